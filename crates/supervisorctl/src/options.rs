//! The command line's options: THE TABLE, and reading by it.

use engine::dialect::supervisord::{getopt, repr, Form};

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opt {
    /// The configuration file.
    Configuration,
    /// Show what there is.
    Help,
    /// Ask before what ends the server.
    Interactive,
    /// Where the server is.
    ServerUrl,
    /// Who we are.
    Username,
    /// How we prove it.
    Password,
    /// Where typed lines are kept.
    HistoryFile,
}

/// Everything about one option.
pub struct Row {
    /// Which one.
    pub opt: Opt,
    /// Its letters.
    pub letters: &'static [char],
    /// Its long names, the first as help shows it.
    pub names: &'static [&'static str],
    /// What it takes, as help shows it; nothing where it takes nothing.
    pub takes: Option<&'static str>,
    /// What it does.
    pub help: &'static str,
}

/// Every option. Source: supervisorctl(1) of Supervisor 4.3.0; its help says `--history-file`, its
/// program `--history_file`: both are understood here.
pub const OPTIONS: &[Row] = &[
    Row {
        opt: Opt::Configuration,
        letters: &['c'],
        names: &["configuration"],
        takes: Some("FILENAME"),
        help: "configuration file (searched for if not given)",
    },
    Row {
        opt: Opt::Help,
        letters: &['h', '?'],
        names: &["help"],
        takes: None,
        help: "print this and exit",
    },
    Row {
        opt: Opt::Interactive,
        letters: &['i'],
        names: &["interactive"],
        takes: None,
        help: "ask before shutdown and reload; without an action, start the shell",
    },
    Row {
        opt: Opt::ServerUrl,
        letters: &['s'],
        names: &["serverurl"],
        takes: Some("URL"),
        help: "where supervisord listens: http://HOST:PORT or unix:///PATH",
    },
    Row {
        opt: Opt::Username,
        letters: &['u'],
        names: &["username"],
        takes: Some("USERNAME"),
        help: "name to give to the server",
    },
    Row {
        opt: Opt::Password,
        letters: &['p'],
        names: &["password"],
        takes: Some("PASSWORD"),
        help: "password to give to the server",
    },
    Row {
        opt: Opt::HistoryFile,
        letters: &['r'],
        names: &["history-file", "history_file"],
        takes: Some("FILENAME"),
        help: "keep the lines typed in the shell there",
    },
];

/// The options that were given, each with how it was written and its value, and the words after
/// them.
pub type Given = (Vec<(Opt, String, String)>, Vec<String>);

/// Reads arguments up to the first that is no option.
pub fn read(arguments: &[String]) -> Result<Given, String> {
    let form =
        |row: &Row| Form { letters: row.letters, names: row.names, takes: row.takes.is_some() };
    let forms: Vec<Form> = OPTIONS.iter().map(form).collect();
    let (found, rest) = getopt(arguments, &forms)?;
    let found = found.into_iter().filter_map(|found| {
        let row = OPTIONS.get(found.place)?;
        Some((row.opt, found.written, found.value))
    });
    Ok((found.collect(), rest))
}

/// Returns what `-h` prints.
pub fn help(program: &str) -> String {
    let mut out = format!(
        "supervisorctl -- control programs that supervisord runs.\n\n\
         Usage: {program} [options] [action [arguments]]\n\nOptions:\n"
    );
    for row in OPTIONS {
        let letters: Vec<String> = row.letters.iter().map(|letter| format!("-{letter}")).collect();
        let name = row.names.first().copied().unwrap_or_default();
        let takes = row.takes.map(|takes| format!(" {takes}")).unwrap_or_default();
        out.push_str(&format!("{}/--{name}{takes} -- {}\n", letters.join("/"), row.help));
    }
    out.push_str(
        "\nWithout an action a shell starts in which actions are typed. `help` in it, or as the\n\
         action, lists them.\n\n",
    );
    out
}

/// Returns the complaint about an option that was given twice.
pub fn twice(written: &str) -> String {
    format!("conflicting command line option {}", repr(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, wanted: Result<&str, &str>) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let got = read(&words).map(|(options, rest)| {
            let options = options.iter().map(|(_, name, value)| format!("{name}={value}"));
            format!("{} | {}", options.collect::<Vec<_>>().join(" "), rest.join(" "))
        });
        assert_eq!(got.as_deref().map_err(String::as_str), wanted, "{line}");
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        check("-c x status -u y", Ok("-c=x | status -u y"));
        check("-icx --pass=a=b --username z", Ok("-i= -c=x --password=a=b --username=z | "));
        check("--history_file a --history b -- -i", Ok("--history_file=a --history-file=b | -i"));
        check("-", Ok(" | -"));
        check("-Z", Err("option -Z not recognized"));
        check("--nosuch", Err("option --nosuch not recognized"));
        check("-s", Err("option -s requires argument"));
        check("--serverurl", Err("option --serverurl requires argument"));
        check("--help=x", Err("option --help must not have an argument"));
        check("--h", Err("option --h not a unique prefix"));
    }
}

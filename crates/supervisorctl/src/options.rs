//! The command line's options: THE TABLE, and reading by it as getopt does.

use engine::dialect::supervisord::repr;

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

/// Reads arguments up to the first that is no option. Source: Python 3.11, getopt.py.
pub fn read(arguments: &[String]) -> Result<Given, String> {
    let mut found = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.as_slice().first() {
        if argument == "--" {
            rest.next();
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            rest.next();
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let (row, full) = by_name(name)?;
            let value = match (row.takes, value) {
                (None, Some(_)) => {
                    return Err(format!("option --{full} must not have an argument"))
                }
                (None, None) => String::new(),
                (Some(_), Some(value)) => value.to_owned(),
                (Some(_), None) => match rest.next() {
                    Some(value) => value.clone(),
                    None => return Err(format!("option --{full} requires argument")),
                },
            };
            found.push((row.opt, format!("--{full}"), value));
        } else if argument.len() > 1 && argument.starts_with('-') {
            rest.next();
            let mut letters = argument.chars();
            letters.next();
            while let Some(letter) = letters.next() {
                let row = OPTIONS.iter().find(|row| row.letters.contains(&letter));
                let row = row.ok_or_else(|| format!("option -{letter} not recognized"))?;
                let mut value = String::new();
                if row.takes.is_some() {
                    value = letters.as_str().to_owned();
                    letters = "".chars();
                    if value.is_empty() {
                        let next = rest.next().cloned();
                        value =
                            next.ok_or_else(|| format!("option -{letter} requires argument"))?;
                    }
                }
                found.push((row.opt, format!("-{letter}"), value));
            }
        } else {
            break;
        }
    }
    Ok((found, rest.as_slice().to_vec()))
}

/// Finds an option by its long name or the beginning of only one.
fn by_name(name: &str) -> Result<(&'static Row, &'static str), String> {
    let all = OPTIONS.iter().flat_map(|row| row.names.iter().map(move |name| (row, *name)));
    let fitting: Vec<_> = all.filter(|(_, known)| known.starts_with(name)).collect();
    let exact = fitting.iter().find(|(_, known)| *known == name);
    match (exact, fitting.as_slice()) {
        (Some(found), _) => Ok(*found),
        (None, []) => Err(format!("option --{name} not recognized")),
        (None, [first, more @ ..]) if more.iter().all(|(row, _)| row.opt == first.0.opt) => {
            Ok(*first)
        }
        (None, _) => Err(format!("option --{name} not a unique prefix")),
    }
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

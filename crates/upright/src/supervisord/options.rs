//! The options of `supervisord`: THE TABLE, and what they come to with the configuration.
//!
//! Read twice, as all options: in front, where a mistake is told to whoever looks, and by each daemon
//! from what the front has made of them.

use super::facts;
use crate::cli::shape::{Flag, Shape};
use crate::proposal::Proposal;
use engine::dialect::supervisord::{getopt, repr, Config, Extent, Form};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The name by which the core is Supervisor's daemon.
pub const NAME: &str = "supervisord";

/// What `-v` prints, and clients are told: the version of Supervisor that this stands for.
pub const VERSION: &str = "4.3.0";

/// What stands first among the arguments that the front has made, with the directory behind it.
const BEGUN_IN: &str = "--begun-in=";

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Prints the help.
    Help,
    /// Prints the version.
    Version,
    /// Names the configuration.
    File,
    /// Sets a key of `[supervisord]`.
    Key,
    /// Sets one to true.
    Flag,
    /// Nothing, as there is no Python.
    Nothing,
}

/// An option: its letters, its name, which is that of its key, its value, what it does, its help.
struct Row {
    letters: &'static [char],
    names: &'static [&'static str],
    value: Option<&'static str>,
    does: Does,
    help: &'static str,
}

const fn row(
    letters: &'static [char],
    names: &'static [&'static str],
    value: Option<&'static str>,
    does: Does,
    help: &'static str,
) -> Row {
    Row { letters, names, value, does, help }
}

/// Every option. Source: supervisord of Supervisor 4.3.0.
#[rustfmt::skip]
const OPTIONS: &[Row] = &[
    row(&['c'], &["configuration"], Some("FILENAME"), Does::File, "configuration file (searched for if not given)"),
    row(&['n'], &["nodaemon"], None, Does::Flag, "run in the foreground, as nodaemon=true in the file"),
    row(&['s'], &["silent"], None, Does::Flag, "no log on standard output, as silent=true in the file"),
    row(&['h', '?'], &["help"], None, Does::Help, "print this and exit"),
    row(&['v'], &["version"], None, Does::Version, "print the version of Supervisor that this stands for and exit"),
    row(&['u'], &["user"], Some("USER"), Does::Key, "run as this user, by name or number"),
    row(&['m'], &["umask"], Some("UMASK"), Does::Key, "file creation mask when in the background (022)"),
    row(&['d'], &["directory"], Some("DIRECTORY"), Does::Key, "directory to be in when in the background"),
    row(&['l'], &["logfile"], Some("FILENAME"), Does::Key, "write the log there"),
    row(&['y'], &["logfile_maxbytes"], Some("BYTES"), Does::Key, "rotate the log at this size"),
    row(&['z'], &["logfile_backups"], Some("NUM"), Does::Key, "keep so many old logs"),
    row(&['e'], &["loglevel"], Some("LEVEL"), Does::Key, "log from this level on (debug, info, warn, error, critical)"),
    row(&['j'], &["pidfile"], Some("FILENAME"), Does::Key, "write the process number there"),
    row(&['i'], &["identifier"], Some("STR"), Does::Key, "name of this supervisord"),
    row(&['q'], &["childlogdir"], Some("DIRECTORY"), Does::Key, "directory of the programs' logs"),
    row(&['k'], &["nocleanup"], None, Does::Flag, "keep the automatic logs of programs of the last run"),
    row(&['a'], &["minfds"], Some("NUM"), Does::Key, "open files that there must be room for"),
    row(&['t'], &["strip_ansi"], None, Does::Flag, "take colours out of what programs write"),
    row(&[], &["minprocs"], Some("NUM"), Does::Key, "processes that there must be room for"),
    row(&[], &["profile_options"], Some("OPTIONS"), Does::Nothing, "accepted; there is no Python here to profile"),
];

/// Returns what the command line may have.
pub fn shape() -> Shape {
    let flag = |row: &Row| Flag {
        short: row.letters.first().copied(),
        long: row.names.first().map(|name| (*name).to_owned()),
        value: row.value.map(str::to_owned),
        help: Some(row.help.to_owned()),
    };
    Shape {
        name: String::from(NAME),
        about: String::from("Run and supervise the programs of a configuration."),
        more: String::from(
            "It stands in for the supervisord of Supervisor 4.3.0. Where no configuration is named, it \
             is searched for where Supervisor searches.",
        ),
        flags: OPTIONS.iter().map(flag).collect(),
        places: Vec::new(),
        commands: Vec::new(),
    }
}

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The configuration, as it was named.
    pub file: Option<String>,
    /// Where relative paths begin.
    pub directory: PathBuf,
    /// Keys of `[supervisord]`, each with its value.
    pub values: Vec<(String, String)>,
    /// Whether it is all that there is.
    pub named: Named,
}

/// Whether a configuration is all that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Named {
    /// It is: `supervisord` runs it.
    #[default]
    Alone,
    /// It is one of several things that run together, and need not have `[supervisord]`.
    AmongOthers,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To run.
    Run(Given),
    /// To print this and end well.
    Print(String),
}

/// Returns the first argument as the name that the core was called by.
pub fn is_meant(program: &[u8]) -> bool {
    program.rsplit(|byte| *byte == b'/').next() == Some(NAME.as_bytes())
}

/// Reads the arguments, the program's name first. A mistake is in the original's words.
pub fn read(arguments: &[OsString], directory: &Path) -> Result<Asked, String> {
    parse(arguments, directory, |key, value| {
        let facts = facts::start(directory, Path::new(""), Extent::Whole);
        facts::judge(key, value, facts)
    })
}

fn parse(
    arguments: &[OsString],
    directory: &Path,
    judge: impl Fn(&str, &str) -> Result<(), String>,
) -> Result<Asked, String> {
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let forms: Vec<Form> = OPTIONS.iter().map(Row::form).collect();
    let (found, rest) = getopt(&words, &forms)?;
    if !rest.is_empty() {
        let rest: Vec<String> = rest.iter().map(|word| repr(word)).collect();
        return Err(format!("positional arguments are not supported: [{}]", rest.join(", ")));
    }
    let mut given = Given { directory: directory.to_owned(), ..Given::default() };
    for option in found {
        let Some(row) = OPTIONS.get(option.place) else { continue };
        let value = match row.does {
            Does::Help => return Ok(Asked::Print(help(arguments.first()))),
            Does::Version => return Ok(Asked::Print(VERSION.to_owned())),
            Does::Nothing => continue,
            Does::Flag => String::from("true"),
            Does::File | Does::Key => option.value,
        };
        let taken = match row.does {
            Does::File => given.file.is_some(),
            _ => given.values.iter().any(|(key, _)| key == row.name()),
        };
        if row.does == Does::Key {
            judge(row.name(), &value).map_err(|why| {
                format!("invalid value for {} {}: {why}", option.written, repr(&value))
            })?;
        }
        if taken {
            return Err(format!("conflicting command line option {}", repr(&option.written)));
        }
        match row.does {
            Does::File => given.file = Some(value),
            _ => given.values.push((row.name().to_owned(), value)),
        }
    }
    Ok(Asked::Run(given))
}

impl Row {
    fn form(&self) -> Form {
        Form { letters: self.letters, names: self.names, takes: self.value.is_some() }
    }

    fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

impl Given {
    /// Returns a configuration that is run beside others, and beside jobs.
    pub fn among_others(path: &Path, directory: &Path) -> Given {
        let file = Some(path.to_string_lossy().into_owned());
        let directory = directory.to_owned();
        Given { file, directory, values: Vec::new(), named: Named::AmongOthers }
    }

    /// Gives a key of `[supervisord]` a value, whatever else gives it one.
    pub fn with(mut self, key: &str, value: String) -> Given {
        self.values.retain(|(other, _)| other != key);
        self.values.push((key.to_owned(), value));
        self
    }

    /// Returns the arguments that the daemons are given: the same, whatever directory and name this
    /// process has later.
    pub fn arguments(&self) -> Vec<CString> {
        let begun = [BEGUN_IN.as_bytes(), self.directory.as_os_str().as_encoded_bytes()].concat();
        let file = self.file.iter().map(|file| format!("--configuration={file}"));
        let keys = self.values.iter().map(|(key, value)| {
            let flag = OPTIONS.iter().any(|row| row.name() == key && row.does == Does::Flag);
            if flag {
                format!("--{key}")
            } else {
                format!("--{key}={value}")
            }
        });
        let all = [NAME.as_bytes().to_vec(), begun].into_iter();
        let all = all.chain(file.chain(keys).map(String::into_bytes));
        all.filter_map(|argument| CString::new(argument).ok()).collect()
    }

    /// Reads what [`Given::arguments`] made.
    pub fn of_arguments(arguments: &[OsString]) -> Option<Given> {
        let (name, rest) = arguments.split_first()?;
        let (begun, rest) = rest.split_first()?;
        let bytes = begun.as_encoded_bytes().strip_prefix(BEGUN_IN.as_bytes())?.to_vec();
        let directory = PathBuf::from(OsString::from_vec(bytes));
        let all: Vec<OsString> = std::iter::once(name).chain(rest).cloned().collect();
        match parse(&all, &directory, |_, _| Ok(())) {
            Ok(Asked::Run(given)) => Some(given),
            Ok(Asked::Print(_)) | Err(_) => None,
        }
    }

    /// Reads the configuration; an error is in the original's words.
    pub fn read(&self) -> Result<Config, String> {
        self.read_with(&Proposal::default())
    }

    /// The same with files that were read before.
    pub fn read_with(&self, read: &Proposal) -> Result<Config, String> {
        let (config, _) = self.read_over(read)?;
        match config.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(config),
        }
    }

    /// Returns where the configuration is.
    pub fn path(&self) -> PathBuf {
        facts::plain(&self.directory.join(self.file.as_deref().unwrap_or_default()))
    }

    /// Reads the configuration with files as they are proposed, whatever is wrong in it; returns the
    /// patterns of its includes, too.
    pub fn read_over(&self, over: &Proposal) -> Result<(Config, Vec<String>), String> {
        let file = self.file.as_deref().unwrap_or_default();
        let path = self.directory.join(file);
        if over.get(&path).map_or(!path.exists(), |text| text.is_none()) {
            return Err(format!("could not find config file {file}"));
        }
        let bytes =
            facts::bytes_over(&path, over).ok_or(format!("could not read config file {file}"))?;
        let extent = match self.named {
            Named::Alone => Extent::Whole,
            Named::AmongOthers => facts::extent_of(&bytes),
        };
        let mut facts = facts::start(&self.directory, Path::new(file), extent);
        facts.given.clone_from(&self.values);
        let config = facts::complete_over(&bytes, &mut facts, over);
        Ok((config, facts.files.into_keys().collect()))
    }
}

fn help(program: Option<&OsString>) -> String {
    let program = program.map_or(NAME.into(), |program| program.to_string_lossy());
    let mut text = format!(
        "supervisord -- run a set of applications as daemons.\n\nUsage: {program} [options]\n\nOptions:\n"
    );
    for row in OPTIONS {
        let letters = row.letters.iter().map(|letter| format!("-{letter}"));
        let names = letters.chain([format!("--{}", row.name())]).collect::<Vec<_>>().join("/");
        let value = row.value.map(|value| format!(" {value}")).unwrap_or_default();
        text += &format!("{names}{value} -- {}\n", row.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(line: &str) -> Result<Asked, String> {
        let words: Vec<OsString> = std::iter::once("/bin/supervisord")
            .chain(line.split(' '))
            .map(OsString::from)
            .collect();
        read(&words, Path::new("/"))
    }

    #[track_caller]
    fn refuses(line: &str, words: &str) {
        assert_eq!(reads(line), Err(words.to_owned()), "{line}");
    }

    #[test]
    fn mistakes_are_told_in_the_originals_words() {
        refuses("-n -n", "conflicting command line option '-n'");
        refuses("-u root --user=a", "conflicting command line option '--user'");
        refuses("-e loud", "invalid value for -e 'loud': bad logging level name 'loud'");
        refuses(
            "-d /nowhere",
            "invalid value for -d '/nowhere': /nowhere is not an existing directory",
        );
        refuses("-a 1x", "invalid value for -a '1x': invalid literal for int() with base 10: '1x'");
        refuses("-Z", "option -Z not recognized");
        refuses("-c", "option -c requires argument");
        refuses("-n a b", "positional arguments are not supported: ['a', 'b']");
    }

    #[test]
    fn the_help_has_every_option_and_comes_before_later_mistakes() {
        let Ok(Asked::Print(text)) = reads("-h -e loud") else { panic!("no help") };
        for row in OPTIONS {
            assert!(text.contains(&format!("--{}", row.name())) && text.contains(row.help));
        }
        assert_eq!(reads("-v"), Ok(Asked::Print(String::from("4.3.0"))));
    }

    #[test]
    fn every_daemon_reads_what_the_front_has_read() {
        let Ok(Asked::Run(given)) = reads("-nc x.conf --logfile_max 1MB -i a=b -e debug") else {
            panic!("not read")
        };
        let words: Vec<OsString> = crate::options::words(given.arguments());
        assert_eq!(Given::of_arguments(&words), Some(given));
    }
}

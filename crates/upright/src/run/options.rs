//! The flags of `upright run`: those of tini, one table. Source: tini(1) 0.19.

use engine::signal::Signal;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What the flags ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The program and its arguments; never empty.
    pub program: Vec<CString>,
    /// Whether orphans of our descendants become our children.
    pub subreaper: bool,
    /// The signal that we want when our parent ends.
    pub parent_death: Option<Signal>,
    /// How much is told: 0 what is wrong, 1 what happens, 2 every signal and process.
    pub verbosity: u8,
    /// Whether each orphan that is reaped is told.
    pub warns_of_orphans: bool,
    /// Who gets the signals.
    pub whom: Whom,
    /// Exit codes that become 0.
    pub fine: Vec<u8>,
}

/// Who gets the signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whom {
    /// The program alone.
    #[default]
    Process,
    /// Its process group.
    Group,
}

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To run.
    Run(Options),
    /// To print this and end well.
    Print(String),
}

impl Options {
    /// Says something, where that much is to be told.
    pub fn tell(&self, verbosity: u8, text: impl FnOnce() -> String) {
        if self.verbosity >= verbosity {
            super::say(&text());
        }
    }

    /// Reports whether an exit code becomes 0.
    pub fn is_fine(&self, code: i32) -> bool {
        self.fine.iter().any(|fine| i32::from(*fine) == code)
    }
}

enum Effect {
    Plain(fn(&mut Options)),
    Value(&'static str, fn(&mut Options, &OsStr) -> Result<(), String>),
    Print(fn() -> String),
}

struct Row {
    letter: char,
    long: Option<&'static str>,
    effect: Effect,
    help: &'static str,
}

/// THE TABLE of flags.
const FLAGS: &[Row] = &[
    Row {
        letter: 's',
        long: None,
        effect: Effect::Plain(|o| o.subreaper = true),
        help: "reap orphans though this is not PID 1 (also TINI_SUBREAPER)",
    },
    Row {
        letter: 'p',
        long: None,
        effect: Effect::Value("SIGNAL", |o, value| {
            let name = value.to_str().and_then(|name| match name.parse() {
                Ok(number) => Signal::new(number),
                Err(_) => Signal::from_name(name),
            });
            o.parent_death = Some(name.ok_or_else(|| {
                format!("-p {}: no such signal: for example SIGTERM", value.display())
            })?);
            Ok(())
        }),
        help: "get this signal when the parent ends",
    },
    Row {
        letter: 'v',
        long: None,
        effect: Effect::Plain(|o| o.verbosity = o.verbosity.saturating_add(1)),
        help: "say more; up to three times (also TINI_VERBOSITY)",
    },
    Row {
        letter: 'w',
        long: None,
        effect: Effect::Plain(|o| o.warns_of_orphans = true),
        help: "say which orphans are reaped",
    },
    Row {
        letter: 'g',
        long: None,
        effect: Effect::Plain(|o| o.whom = Whom::Group),
        help: "pass signals on to the program's group (also TINI_KILL_PROCESS_GROUP)",
    },
    Row {
        letter: 'e',
        long: None,
        effect: Effect::Value("CODE", |o, value| {
            let code = value.to_str().and_then(|code| code.parse().ok());
            o.fine.push(code.ok_or_else(|| {
                format!("-e {}: no exit code: expected 0 to 255", value.display())
            })?);
            Ok(())
        }),
        help: "exit with 0 where the program exits with this code (repeatable)",
    },
    Row {
        letter: 'l',
        long: None,
        effect: Effect::Print(|| String::from(include_str!("../../../../LICENSE-MIT").trim_end())),
        help: "show the licence and end",
    },
    Row { letter: 'h', long: Some("help"), effect: Effect::Print(help), help: "show this and end" },
    Row {
        letter: 'V',
        long: Some("version"),
        effect: Effect::Print(|| format!("upright {}", env!("CARGO_PKG_VERSION"))),
        help: "show the version and end",
    },
];

/// Reads the arguments behind the program's name, and the environment: flags up to `--` or the first
/// word that is none. A mistake comes back as the lines to print.
pub fn read(arguments: &[&OsStr], env: &dyn Fn(&str) -> Option<OsString>) -> Result<Asked, String> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    let mut program = Vec::new();
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            break;
        }
        let long = |row: &&Row| {
            row.long.is_some_and(|long| bytes.strip_prefix(b"--") == Some(long.as_bytes()))
        };
        if let Some(Effect::Print(text)) = FLAGS.iter().find(long).map(|row| &row.effect) {
            return Ok(Asked::Print(text()));
        }
        let Some(mut letters) = bytes.strip_prefix(b"-").filter(|letters| !letters.is_empty())
        else {
            program.push(argument);
            break;
        };
        while let Some((letter, behind)) = letters.split_first() {
            let row = FLAGS.iter().find(|row| row.letter == char::from(*letter));
            letters = behind;
            match row.map(|row| &row.effect) {
                None => return Err(mistake(argument)),
                Some(Effect::Print(text)) => return Ok(Asked::Print(text())),
                Some(Effect::Plain(effect)) => effect(&mut options),
                Some(Effect::Value(name, effect)) => {
                    let value = match behind {
                        [] => rest.next().copied(),
                        behind => Some(OsStr::from_bytes(behind)),
                    };
                    let shown = char::from(*letter);
                    let value = value.ok_or_else(|| format!("-{shown}: {name} is missing"))?;
                    effect(&mut options, value)?;
                    letters = &[];
                }
            }
        }
    }
    program.extend(rest);
    let program: Result<Vec<CString>, _> =
        program.iter().map(|word| CString::new(word.as_bytes())).collect();
    options.program = program.map_err(|_| String::from("an argument has a NUL in it"))?;
    if options.program.is_empty() {
        return Err(format!("no program to run\n{}", help()));
    }
    options.subreaper |= env("TINI_SUBREAPER").is_some();
    if env("TINI_KILL_PROCESS_GROUP").is_some() {
        options.whom = Whom::Group;
    }
    let verbosity = env("TINI_VERBOSITY").and_then(|text| text.to_str()?.parse::<u8>().ok());
    // tini counts from 1, which is where warnings are.
    options.verbosity = verbosity.map_or(options.verbosity, |level| level.saturating_sub(1));
    Ok(Asked::Run(options))
}

fn mistake(argument: &OsStr) -> String {
    format!(
        "{}: no such flag; put `--` before a program whose name begins with `-`\n{}",
        argument.display(),
        help()
    )
}

fn help() -> String {
    let mut text = String::from(
        "Usage: upright run [FLAG]... [--] PROGRAM [ARGUMENT]...\n\
         Runs one program as the init of a container, in place of tini.\n\nFlags:\n",
    );
    for row in FLAGS {
        let value = match row.effect {
            Effect::Value(value, _) => format!(" {value}"),
            Effect::Plain(_) | Effect::Print(_) => String::new(),
        };
        let long = row.long.map_or_else(String::new, |long| format!(", --{long}"));
        let name = format!("  -{}{long}{value}", row.letter);
        text += &format!("{name:<18}{}\n", row.help);
    }
    text + "\nExit codes: the program's own, 128 and the signal's number where one ended it, 127 where it\n\
        cannot be found, 126 where it cannot be executed, 1 where this one cannot start."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(arguments: &[&str], env: &[(&str, &str)]) -> Result<Asked, String> {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        read(&arguments, &|name| {
            env.iter().find(|row| row.0 == name).map(|row| OsString::from(row.1))
        })
    }

    fn runs(arguments: &[&str], env: &[(&str, &str)]) -> Options {
        match reads(arguments, env) {
            Ok(Asked::Run(options)) => options,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    fn words(options: &Options) -> Vec<&str> {
        options.program.iter().map(|word| word.to_str().unwrap()).collect()
    }

    #[test]
    fn flags_are_read_as_tini_reads_them() {
        let read =
            runs(&["-sgvv", "-w", "-p", "SIGTERM", "-e143", "-e", "1", "--", "a", "-b"], &[]);
        assert_eq!(words(&read), ["a", "-b"]);
        assert!(read.subreaper && read.warns_of_orphans && read.whom == Whom::Group);
        assert_eq!((read.verbosity, read.parent_death), (2, Some(Signal::TERM)));
        assert!(read.is_fine(143) && read.is_fine(1) && !read.is_fine(0));
    }

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        assert_eq!(words(&runs(&["-v", "ls", "-l"], &[])), ["ls", "-l"]);
        assert_eq!(words(&runs(&["--", "-l"], &[])), ["-l"]);
        assert_eq!(words(&runs(&["-"], &[])), ["-"]);
    }

    #[test]
    fn the_variables_of_tini_are_heard() {
        let env =
            [("TINI_SUBREAPER", ""), ("TINI_KILL_PROCESS_GROUP", "1"), ("TINI_VERBOSITY", "3")];
        let read = runs(&["x"], &env);
        assert!(read.subreaper && read.whom == Whom::Group);
        assert_eq!(read.verbosity, 2);
    }

    #[test]
    fn a_mistake_names_what_would_be_right() {
        for (arguments, words) in [
            (&["-x", "a"][..], "-x: no such flag"),
            (&[], "no program to run"),
            (&["--"], "no program to run"),
            (&["-e"], "-e: CODE is missing"),
            (&["-e", "256", "a"], "-e 256: no exit code: expected 0 to 255"),
            (&["-p", "NONE", "a"], "-p NONE: no such signal"),
        ] {
            let told = reads(arguments, &[]).unwrap_err();
            assert!(told.starts_with(words), "{arguments:?}: {told}");
        }
    }

    #[test]
    fn help_names_every_flag_and_the_licence_is_shown() {
        let Ok(Asked::Print(help)) = reads(&["--help"], &[]) else { panic!("help") };
        assert!(FLAGS.iter().all(|row| help.contains(row.help)));
        let Ok(Asked::Print(licence)) = reads(&["-l"], &[]) else { panic!("licence") };
        assert!(licence.contains("Permission is hereby granted"));
    }
}

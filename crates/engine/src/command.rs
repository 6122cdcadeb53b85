//! How a command of a job is run: by itself or by the shell.

use crate::spec::Command;
use crate::text::Text;
use alloc::vec::Vec;

/// Characters that mean something to the shell. Source: Upstart 1.13.2; `#` is not among them.
const SHELL_CHARACTERS: &[u8] = b"~`!$^&*()=|\\{}[];\"'<>?";

/// The shell.
const SHELL: &str = "/bin/sh";

/// Where the shell finds a script of several lines: descriptor 9, opened anew.
const SCRIPT_PATH: &str = "/proc/self/fd/9";

/// The kernel takes arguments up to 128 KiB; a longer command is handed over as a script instead.
const ARGUMENT_MAX: usize = 100_000;

/// What is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program, looked up in the job's PATH, and its arguments.
    pub argv: Vec<Text>,
    /// A text that the program reads from descriptor 9.
    pub script: Option<Text>,
}

/// Returns how the command is run. A command line without characters of the shell is split at its
/// blanks and executed; anything else goes to `sh -e`, a script of several lines by a descriptor, so
/// that its length has no limit. Source: behaviour of Upstart 1.13.2.
pub fn argv(command: &Command) -> Launch {
    match command {
        Command::Exec(text) if !text.bytes().iter().any(|byte| SHELL_CHARACTERS.contains(byte)) => {
            let words = text.bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            Launch { argv: words.map(Text::from).collect(), script: None }
        }
        Command::Exec(text) => shell(Text::from([b"exec ", text.bytes()].concat())),
        Command::Script(text) => {
            let line = text.bytes().strip_suffix(b"\n").unwrap_or(text.bytes());
            match line.contains(&b'\n') {
                true => script(text.clone()),
                false => shell(Text::from(line)),
            }
        }
    }
}

fn shell(line: Text) -> Launch {
    if line.len() > ARGUMENT_MAX {
        return script(line);
    }
    let argv = [SHELL, "-e", "-c"].into_iter().map(Text::from);
    // The last one is what `$0` says.
    Launch { argv: argv.chain([line, Text::from(SHELL)]).collect(), script: None }
}

fn script(text: Text) -> Launch {
    let argv = [SHELL, "-e", SCRIPT_PATH].into_iter().map(Text::from).collect();
    Launch { argv, script: Some(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: Command, argv: &[&str], script: Option<&str>) {
        let launch = super::argv(&command);
        let expected = Launch {
            argv: argv.iter().map(|word| Text::from(*word)).collect(),
            script: script.map(Text::from),
        };
        assert_eq!(launch, expected, "{command:?}");
    }

    #[test]
    fn a_plain_command_is_split_at_blanks_and_needs_no_shell() {
        check(Command::Exec("web  -p\t80 a#b,c:%d".into()), &["web", "-p", "80", "a#b,c:%d"], None);
    }

    #[test]
    fn every_character_of_the_shell_calls_the_shell() {
        for byte in SHELL_CHARACTERS {
            let line = alloc::format!("web {}", char::from(*byte));
            let run = alloc::format!("exec {line}");
            let argv = ["/bin/sh", "-e", "-c", run.as_str(), "/bin/sh"];
            check(Command::Exec(line.as_str().into()), &argv, None);
        }
    }

    #[test]
    fn a_script_of_one_line_is_an_argument_of_the_shell() {
        let argv = ["/bin/sh", "-e", "-c", "web -p 80", "/bin/sh"];
        check(Command::Script("web -p 80\n".into()), &argv, None);
        check(Command::Script("web -p 80".into()), &argv, None);
        check(Command::Script("".into()), &["/bin/sh", "-e", "-c", "", "/bin/sh"], None);
    }

    #[test]
    fn a_script_of_several_lines_is_read_from_descriptor_9() {
        let argv = ["/bin/sh", "-e", "/proc/self/fd/9"];
        check(Command::Script("a\nb\n".into()), &argv, Some("a\nb\n"));
        check(Command::Script("\na\n".into()), &argv, Some("\na\n"));
    }

    #[test]
    fn a_command_too_long_for_an_argument_is_read_from_descriptor_9() {
        let line = "x;".repeat(ARGUMENT_MAX);
        let run = alloc::format!("exec {line}");
        let argv = ["/bin/sh", "-e", "/proc/self/fd/9"];
        check(Command::Exec(line.as_str().into()), &argv, Some(&run));
    }
}

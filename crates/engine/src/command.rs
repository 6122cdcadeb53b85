//! How a command of a job is run: by itself or by the shell.

use crate::spec::Command;
use crate::text::Text;
use alloc::string::String;
use alloc::vec::Vec;

/// Characters that mean something to the shell. Source: Upstart 1.13.2; `#` is not among them.
const SHELL_CHARACTERS: &[u8] = b"~`!$^&*()=|\\{}[];\"'<>?";

/// The shell.
const SHELL: &str = "/bin/sh";

/// Where the shell finds a script of several lines: descriptor 9, opened anew.
const SCRIPT_PATH: &str = "/proc/self/fd/9";

/// What the shell does first, on the script's first line, so that messages name the lines of the job's
/// file: closes the descriptor, which what the script starts is not to have. Source: Upstart 1.13.2.
const CLOSE: &[u8] = b"exec 9<&-;";

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
        Command::Words(text) => {
            let words = words(&text.lossy()).unwrap_or_default();
            Launch { argv: words.into_iter().map(Text::from).collect(), script: None }
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

impl Launch {
    /// Returns the launch for where no descriptor can be opened by its name, as without `/proc`: a script
    /// is an argument of the shell, as far as the kernel takes it. `$0` is the shell then.
    pub fn without_names(self) -> Launch {
        match self.script {
            Some(text) if text.len() <= ARGUMENT_MAX => {
                shell(Text::from(text.bytes().strip_prefix(CLOSE).unwrap_or(text.bytes())))
            }
            _ => self,
        }
    }
}

/// Returns the words of a command that is never given to a shell: quotes group, a backslash takes the
/// next character as it is, nothing is replaced. Where a quote is not closed: an error.
/// Source: Python's `shlex.split`, as Supervisor 4.3.0 uses it.
pub fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' | '"' => quoted(char, &mut chars, word.get_or_insert_with(String::new))?,
            '\\' => {
                let next = chars.next().ok_or("No escaped character")?;
                word.get_or_insert_with(String::new).push(next);
            }
            char => word.get_or_insert_with(String::new).push(char),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(
    quote: char,
    chars: &mut core::str::Chars<'_>,
    word: &mut String,
) -> Result<(), &'static str> {
    while let Some(char) = chars.next() {
        match char {
            char if char == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or("No escaped character")? {
                next @ ('"' | '\\') => word.push(next),
                next => word.extend(['\\', next]),
            },
            char => word.push(char),
        }
    }
    Err("No closing quotation")
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
    Launch { argv, script: Some(Text::from([CLOSE, text.bytes()].concat())) }
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
    fn a_script_is_an_argument_where_descriptors_have_no_names() {
        let launch = argv(&Command::Script("echo one\necho two\n".into())).without_names();
        let words = ["/bin/sh", "-e", "-c", "echo one\necho two\n", "/bin/sh"];
        assert_eq!(launch.argv, words.map(Text::from));
        assert_eq!(launch.script, None);
        let long = argv(&Command::Script("true\n".repeat(ARGUMENT_MAX).as_str().into()));
        assert_eq!(long.clone().without_names(), long);
        let plain = argv(&Command::Exec("web -p 80".into()));
        assert_eq!(plain.clone().without_names(), plain);
    }

    #[test]
    fn words_are_grouped_by_quotes_and_never_given_to_a_shell() {
        let line = "a 'b c' \"d\\\"e\\f\"g\\ h\n'' *$X;";
        check(Command::Words(line.into()), &["a", "b c", "d\"e\\fg h", "", "*$X;"], None);
        assert_eq!(words("a 'b"), Err("No closing quotation"));
        assert_eq!(words("a \\"), Err("No escaped character"));
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
        check(Command::Script("a\nb\n".into()), &argv, Some("exec 9<&-;a\nb\n"));
        check(Command::Script("\na\n".into()), &argv, Some("exec 9<&-;\na\n"));
    }

    #[test]
    fn a_command_too_long_for_an_argument_is_read_from_descriptor_9() {
        let line = "x;".repeat(ARGUMENT_MAX);
        let run = alloc::format!("exec 9<&-;exec {line}");
        let argv = ["/bin/sh", "-e", "/proc/self/fd/9"];
        check(Command::Exec(line.as_str().into()), &argv, Some(&run));
    }
}

//! The file of rights: each line grants a role over jobs, `operate user deploy web web-*`.
//!
//! Words are divided by blanks; `"` keeps blanks in a word, `#` at the beginning of one begins a comment.

use super::{Diagnostic, Place, Severity, DIAGNOSTICS_MAX};
use crate::rights::{self, number, Granted, Role, Who, WORD_MAX};
use crate::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How many lines may grant something, and how many patterns one may have.
pub const GRANTS_MAX: usize = 1000;
const PATTERNS_MAX: usize = 100;

/// The longest file that is read, in bytes.
pub const FILE_MAX: usize = 256 * 1024;

/// What a file of rights says and what is to be said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is granted, in the order of the file. Only what was understood where there is an error.
    pub granted: Vec<Granted>,
    /// At most [`DIAGNOSTICS_MAX`], in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// The users and groups that there are, where that is known.
pub struct Accounts {
    /// Names of users.
    pub users: Vec<Text>,
    /// Names of groups.
    pub groups: Vec<Text>,
}

impl Rules {
    /// Returns the first error; none: the file can be put in force.
    pub fn error(&self) -> Option<&Diagnostic> {
        self.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Reads a file of rights. Never fails, on any bytes; where `accounts` are known, names that nobody
/// has are remarked upon.
pub fn read(file: &[u8], accounts: Option<&Accounts>) -> Rules {
    let mut reading = Reading { rules: Rules::default(), accounts };
    let mut start = 0;
    for (number, line) in file.split(|byte| *byte == b'\n').enumerate() {
        if reading.rules.diagnostics.len() >= DIAGNOSTICS_MAX {
            break;
        }
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let line = Line { number, start, bytes: line };
        start += line.bytes.len() + 1;
        reading.line(&line);
    }
    reading.rules
}

/// A line of the file.
struct Line<'a> {
    number: u32,
    /// The offset of its first byte.
    start: usize,
    bytes: &'a [u8],
}

/// A word of a line: what it says, and which of the line's bytes it is.
struct Word<'a> {
    text: &'a [u8],
    from: usize,
    to: usize,
}

struct Reading<'a> {
    rules: Rules,
    accounts: Option<&'a Accounts>,
}

impl<'a> Line<'a> {
    /// Divides the line; the place of a quote that is not closed where there is one.
    fn words(&self) -> Result<Vec<Word<'a>>, usize> {
        let mut words = Vec::new();
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at) {
            match byte {
                b'#' => break,
                byte if byte.is_ascii_whitespace() => at += 1,
                b'"' => {
                    let rest = self.bytes.get(at + 1..).unwrap_or_default();
                    let end = rest.iter().position(|byte| *byte == b'"').ok_or(at)?;
                    let text = rest.get(..end).unwrap_or_default();
                    words.push(Word { text, from: at, to: at + end + 2 });
                    at += end + 2;
                }
                _ => {
                    let rest = self.bytes.get(at..).unwrap_or_default();
                    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                    let text = rest.get(..end).unwrap_or_default();
                    words.push(Word { text, from: at, to: at + end });
                    at += end;
                }
            }
        }
        Ok(words)
    }

    fn place(&self, from: usize, to: usize) -> Place {
        let before = self.bytes.get(..from).unwrap_or(self.bytes);
        let column = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1;
        Place {
            line: self.number,
            column: u32::try_from(column).unwrap_or(u32::MAX),
            start: self.start + from,
            end: self.start + to,
        }
    }
}

impl Reading<'_> {
    fn line(&mut self, line: &Line<'_>) {
        let words = match line.words() {
            Ok(words) => words,
            Err(at) => {
                let place = line.place(at, line.bytes.len());
                let help = "close it on the same line";
                return self.wrong(place, "quote", "a quote is not closed", help);
            }
        };
        if words.is_empty() {
            return;
        }
        let texts: Vec<&[u8]> = words.iter().map(|word| word.text).collect();
        let behind = words.last().map_or(0, |word| word.to);
        // Behind the last word, where one is missing.
        let at = |number: usize| match words.get(number) {
            Some(word) => line.place(word.from, word.to),
            None => line.place(behind, behind),
        };
        let (allow, taken) = match rights::read(&texts) {
            Ok(read) => read,
            Err(mistake) => {
                return self.wrong(at(mistake.word), "right", mistake.message, mistake.help);
            }
        };
        self.remark_on(&allow.who, at(2));
        let patterns = words.get(taken..).unwrap_or_default();
        let jobs = self.patterns(line, patterns);
        if jobs.is_empty() {
            let help = "name jobs or patterns, as `web` or `web-*`; `*` is everything";
            self.wrong(line.place(behind, behind), "no-jobs", "over which jobs?", help);
        }
        if jobs.len() > PATTERNS_MAX || self.rules.granted.len() >= GRANTS_MAX {
            let help = format!("at most {GRANTS_MAX} lines, each with at most {PATTERNS_MAX} jobs");
            return self.wrong(line.place(0, behind), "too-much", "this is too much", help);
        }
        let everything = jobs.iter().any(|pattern| pattern.bytes() == b"*");
        if allow.who == Who::Everybody && allow.role == Role::Administer && everything {
            let message = "every user of this machine becomes root by this";
            self.doubtful(at(1), "everybody", message, "name a user or a group");
        }
        self.rules.granted.push(Granted { allow, jobs });
    }

    fn patterns(&mut self, line: &Line<'_>, words: &[Word<'_>]) -> Vec<Text> {
        let mut jobs = Vec::new();
        for word in words {
            if word.text.is_empty() || word.text.len() > WORD_MAX || word.text.contains(&0) {
                let help = format!("a pattern has 1 to {WORD_MAX} bytes and no NUL");
                let place = line.place(word.from, word.to);
                self.wrong(place, "pattern", "this is no pattern", help);
            }
            jobs.push(Text::from(word.text));
        }
        jobs
    }

    /// Remarks upon a name that nobody has here.
    fn remark_on(&mut self, who: &Who, place: Place) {
        let Some(accounts) = self.accounts else { return };
        let (name, known, message, file) = match who {
            Who::User(name) => (name, &accounts.users, "no such user here", "/etc/passwd"),
            Who::Group(name) => (name, &accounts.groups, "no such group here", "/etc/group"),
            Who::Everybody => return,
        };
        if number(name).is_some() || known.contains(name) {
            return;
        }
        let names: Vec<&str> = known.iter().filter_map(Text::utf8).collect();
        let otherwise = format!("it is not in {file}; name those of a name service by number");
        let help = crate::dialect::meant::did_you_mean(name.bytes(), &names, &otherwise);
        self.doubtful(place, "unknown-name", message, help);
    }

    fn wrong(
        &mut self,
        place: Place,
        code: &'static str,
        message: &'static str,
        help: impl Into<String>,
    ) {
        self.say(Severity::Error, place, code, message, help.into());
    }

    fn doubtful(
        &mut self,
        place: Place,
        code: &'static str,
        message: &'static str,
        help: impl Into<String>,
    ) {
        self.say(Severity::Warning, place, code, message, help.into());
    }

    fn say(
        &mut self,
        severity: Severity,
        place: Place,
        code: &'static str,
        message: &'static str,
        help: String,
    ) {
        self.rules.diagnostics.push(Diagnostic {
            severity,
            code: code.into(),
            message: message.into(),
            line: Some(place.line),
            place,
            help: Some(help),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::render;

    fn said(file: &str) -> String {
        let text = |name: &str| Text::from(name);
        let accounts = Accounts { users: [text("bob")].into(), groups: [text("adm")].into() };
        let rules = read(file.as_bytes(), Some(&accounts));
        rules.diagnostics.iter().map(|one| render(one, "a.rights", file.as_bytes())).collect()
    }

    #[test]
    fn a_file_grants_what_its_lines_say() {
        let file = "# who may what\n\n  operate user bob web \"a b\" web-*  # the team\nlook group adm *\n\
                    administer user 1000 *\n";
        let rules = read(file.as_bytes(), None);
        assert_eq!((rules.error(), rules.granted.len()), (None, 3));
        let shown: Vec<String> = rules.granted.iter().map(|one| format!("{}", one.allow)).collect();
        assert_eq!(shown, ["operate user bob", "look group adm", "administer user 1000"]);
        let over = |number: usize, job: Option<&str>| {
            rules.granted[number].is_over(job.map(str::as_bytes))
        };
        assert!(over(0, Some("a b")) && over(0, Some("web-7")) && !over(0, Some("db")));
        assert!(over(1, None) && !over(0, None));
        assert_eq!(said(file), "");
    }

    #[test]
    fn all_errors_are_told_at_once_with_line_caret_and_what_was_meant() {
        let file = "oprate user bob web\nlook  usr bob web\noperate user\nlook user bob\n\
                    look user bob \"a b\noperate user bop *\nadminister everybody *\nlook group adm web\n";
        let expected = "\
a.rights:1:1: error: no such role
1 | oprate user bob web
  | ^^^^^^
  = help: did you mean `operate`?
a.rights:2:7: error: nobody is named
2 | look  usr bob web
  |       ^^^
  = help: did you mean `user`?
a.rights:3:13: error: a name is missing
3 | operate user
  |             ^
  = help: expected the name or number of a user
a.rights:4:14: error: over which jobs?
4 | look user bob
  |              ^
  = help: name jobs or patterns, as `web` or `web-*`; `*` is everything
a.rights:5:15: error: a quote is not closed
5 | look user bob \"a b
  |               ^^^^
  = help: close it on the same line
a.rights:6:14: warning: no such user here
6 | operate user bop *
  |              ^^^
  = help: did you mean `bob`?
a.rights:7:12: warning: every user of this machine becomes root by this
7 | administer everybody *
  |            ^^^^^^^^^
  = help: name a user or a group
";
        assert_eq!(said(file), expected);
    }

    #[test]
    fn any_bytes_are_read_and_every_place_is_in_the_file() {
        let mut dice = 1_u64;
        for _ in 0..2000 {
            let mut file = Vec::new();
            for _ in 0..40 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let words: [&[u8]; 10] = [
                    b"look ",
                    b"operate ",
                    b"user ",
                    b"group ",
                    b"everybody ",
                    b"\"",
                    b"\n",
                    b"* ",
                    b"\0\xff",
                    b"#",
                ];
                file.extend_from_slice(words[(dice % 10) as usize]);
            }
            let rules = read(&file, None);
            for one in &rules.diagnostics {
                let Place { start, end, .. } = one.place;
                assert!(start <= end && end <= file.len(), "{one:?}");
                assert!(!render(one, "a.rights", &file).is_empty());
            }
        }
    }

    #[test]
    fn a_file_of_too_many_lines_is_refused() {
        let rules = read("look everybody a\n".repeat(GRANTS_MAX + 1).as_bytes(), None);
        assert_eq!(rules.granted.len(), GRANTS_MAX);
        assert_eq!(rules.error().map(|error| error.place.line), Some(GRANTS_MAX as u32 + 1));
    }
}

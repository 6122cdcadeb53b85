//! What is to be said about a file, where, and what would be right.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The widest piece of a source line that is shown, in characters.
const SHOWN_MAX: usize = 100;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not loaded.
    Error,
    /// The file is loaded; it probably does not do what was meant.
    Warning,
    /// The file is loaded; there is something to know about it.
    Hint,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "hint",
        })
    }
}

/// A piece of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The line it begins in, from 1.
    pub line: u32,
    /// The character it begins at, from 1.
    pub column: u32,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// One remark about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A short name for the kind of remark, for programs: `unknown-stanza`.
    pub code: Cow<'static, str>,
    /// What is wrong: for errors in the original's words.
    pub message: Cow<'static, str>,
    /// The line that the original reports; none where it reports none.
    pub line: Option<u32>,
    /// What the remark is about. May begin in another line than the reported one.
    pub place: Place,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Returns the one line that the original's log has: `PATH:LINE: MESSAGE`.
    /// Source: libnih 1.0.4 as used by Upstart 1.13.2.
    pub fn one_line(&self, path: &str) -> String {
        match self.line {
            Some(line) => format!("{path}:{line}: {}", self.message),
            None => format!("{path}: Error while loading configuration file: {}", self.message),
        }
    }
}

/// Returns a remark for a person: where, what, the source line with a mark under the piece, what
/// would be right. Several lines, the last one ended too. `file` is the text that was parsed.
pub fn render(diagnostic: &Diagnostic, path: &str, file: &[u8]) -> String {
    let Place { line, column, start, end } = diagnostic.place;
    let mut out =
        format!("{path}:{line}:{column}: {}: {}\n", diagnostic.severity, diagnostic.message);
    let number = format!("{line}");
    let (shown, before, marked) = source_line(file, start, end);
    if !shown.is_empty() {
        let pad = " ".repeat(number.len());
        out.push_str(&format!("{number} | {shown}\n"));
        out.push_str(&format!("{pad} | {}{}\n", " ".repeat(before), "^".repeat(marked.max(1))));
    }
    if let Some(help) = &diagnostic.help {
        let help: String = help.chars().map(printable).collect();
        out.push_str(&format!("{} = help: {help}\n", " ".repeat(number.len())));
    }
    out
}

/// Returns the line around `start`, clipped and without control characters, how many characters
/// stand before the piece, and how many characters the piece has in it.
fn source_line(file: &[u8], start: usize, end: usize) -> (String, usize, usize) {
    let start = start.min(file.len());
    let window = SHOWN_MAX * 4;
    let head = file.get(start.saturating_sub(window)..start).unwrap_or_default();
    let tail = file.get(start..file.len().min(start + window)).unwrap_or_default();
    let from = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let length = tail.iter().position(|byte| *byte == b'\n').unwrap_or(tail.len());
    let piece = tail.get(..length.min(end.saturating_sub(start))).unwrap_or_default();
    let rest = tail.get(piece.len()..length).unwrap_or_default();
    let before = last_chars(head.get(from..).unwrap_or_default(), SHOWN_MAX / 2);
    let piece = first_chars(piece, SHOWN_MAX / 2);
    let room = SHOWN_MAX.saturating_sub(before.chars().count() + piece.chars().count());
    let rest = first_chars(rest, room);
    let counts = (before.chars().count(), piece.chars().count());
    (format!("{before}{piece}{rest}"), counts.0, counts.1)
}

fn first_chars(bytes: &[u8], count: usize) -> String {
    let bytes = bytes.get(..bytes.len().min(count * 4)).unwrap_or_default();
    String::from_utf8_lossy(bytes).chars().take(count).map(printable).collect()
}

fn last_chars(bytes: &[u8], count: usize) -> String {
    let from = bytes.len().saturating_sub(count * 4);
    let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default());
    let skip = text.chars().count().saturating_sub(count);
    text.chars().skip(skip).map(printable).collect()
}

/// A file may hold anything; a terminal must not be told it.
fn printable(char: char) -> char {
    match char {
        '\t' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(start: usize, end: usize) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code: "unknown-stanza".into(),
            message: "Unknown stanza".into(),
            line: Some(2),
            place: Place { line: 2, column: 3, start, end },
            help: Some("did you mean `exec`?".into()),
        }
    }

    #[test]
    fn a_remark_shows_the_line_and_marks_the_piece() {
        let shown = render(&remark(8, 12), "web.conf", b"task\n\t\xc3\xa4exce \x1b[1m\nrespawn");
        let expected = "web.conf:2:3: error: Unknown stanza\n2 |  äexce \u{fffd}[1m\n  |   ^^^^\n  = help: did you mean `exec`?\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_help_quotes_of_the_file_cannot_command_a_terminal() {
        let help = Some("it is read from left to right: (a \u{1b}[2J\nor b)".into());
        let shown = render(&Diagnostic { help, ..remark(0, 4) }, "web.conf", b"task");
        let last = "  = help: it is read from left to right: (a \u{fffd}[2J\u{fffd}or b)\n";
        assert!(shown.ends_with(last), "{shown:?}");
    }

    #[test]
    fn a_very_long_line_is_clipped_around_the_piece() {
        let file = "x".repeat(1_000_000);
        let shown = render(&remark(500_000, 900_000), "web.conf", file.as_bytes());
        assert!(shown.lines().all(|line| line.chars().count() <= SHOWN_MAX + 4), "{shown}");
    }

    #[test]
    fn a_place_outside_the_file_is_harmless() {
        let shown = render(&remark(50, 60), "web.conf", b"task");
        assert!(shown.starts_with("web.conf:2:3: error: Unknown stanza\n"), "{shown}");
    }

    #[test]
    fn the_one_line_form_is_the_one_of_the_original() {
        assert_eq!(remark(0, 0).one_line("/etc/x.conf"), "/etc/x.conf:2: Unknown stanza");
        let lineless = Diagnostic { line: None, ..remark(0, 0) };
        assert_eq!(
            lineless.one_line("x.conf"),
            "x.conf: Error while loading configuration file: Unknown stanza"
        );
    }
}

//! Help as libnih lays it out. Source: recorded from Upstart 1.13.2.

use super::commands::{CommandRow, Group, COMMANDS};
use super::options::{OptionRow, COMMON};

/// The width that help is laid out for; the original's where it does not know the terminal's.
const WIDTH: usize = 80;

/// Where descriptions begin.
const COLUMN: usize = 30;

/// Returns what `--version` prints.
pub(super) fn version(program: &str) -> String {
    format!(
        "{program} (upstart 1.13.2)\n\
         Copyright (C) 2006-2014 Canonical Ltd., 2011 Scott James Remnant\n\
         \n\
         This is free software; see the source for copying conditions.  There is NO\n\
         warranty; not even for MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.\n"
    )
}

/// Returns what `initctl --help` prints.
pub(super) fn program(program: &str) -> String {
    let common: Vec<_> = COMMON.iter().collect();
    format!(
        "Usage: {program} [OPTION]... COMMAND [OPTION]... [ARG]...\n\n{}\
         For a list of commands, try `{program} help'.\n\n{REPORT}",
        options(&common)
    )
}

/// Returns what `--help` of a command prints; `shown` is its name where that is an argument.
pub(super) fn command(program: &str, shown: &str, row: &CommandRow) -> String {
    let mut out = format!("Usage: {program}");
    for part in [shown, "[OPTION]...", row.usage].iter().filter(|part| !part.is_empty()) {
        out += &format!(" {part}");
    }
    out += &format!("\n{}\n\n", wrapped(row.synopsis, WIDTH - 1, 0));
    let all: Vec<_> = row.options.iter().chain(COMMON).collect();
    out += &options(&all);
    if !row.help.is_empty() {
        out += &format!("{}\n\n", wrapped(row.help, WIDTH - 1, 0));
    }
    out + REPORT
}

/// Returns what `initctl help` prints.
pub(super) fn commands(program: &str) -> String {
    let mut out = String::new();
    for group in Group::ALL {
        out += &format!("{} commands:\n", group.title());
        for row in COMMANDS.iter().filter(|row| row.group == group) {
            described(&mut out, &format!("  {}", row.name), row.synopsis, WIDTH - COLUMN);
        }
        out.push('\n');
    }
    out + &format!("For more information on a command, try `{program} COMMAND --help'.\n")
}

const REPORT: &str = "Report bugs to <upstart-devel@lists.ubuntu.com>\n";

fn options(rows: &[&OptionRow]) -> String {
    let mut out = String::from("Options:\n");
    for row in rows {
        let Some(help) = row.help else { continue };
        let short =
            row.short.map_or(String::from("    "), |short| format!("-{}, ", char::from(short)));
        let argument = row.argument.map_or(String::new(), |name| format!("={name}"));
        let head = format!("  {short}--{}{argument}", row.long);
        described(&mut out, &head, help, WIDTH - COLUMN - 1);
    }
    out.push('\n');
    out
}

/// Appends a head with its description beside it, or below it where the head is too long.
fn described(out: &mut String, head: &str, text: &str, width: usize) {
    out.push_str(head);
    let mut length = head.len();
    if length > COLUMN - 2 {
        out.push('\n');
        length = 0;
    }
    for line in wrapped(text, width, 2).lines() {
        out.extend(std::iter::repeat_n(' ', COLUMN - length));
        out.push_str(line);
        out.push('\n');
        length = 0;
    }
}

/// Returns the text in lines of at most `width`; all but the first of a paragraph begin with
/// `indent` spaces.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let paragraph = |text: &str| {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match lines.last_mut() {
                Some(line) if line.len() + 1 + word.len() <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                Some(_) => lines.push(format!("{}{word}", " ".repeat(indent))),
                None => lines.push(word.to_owned()),
            }
        }
        lines.join("\n")
    };
    text.split('\n').map(paragraph).collect::<Vec<_>>().join("\n")
}

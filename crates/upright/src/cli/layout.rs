//! Help as libnih lays it out. Source: recorded from Upstart 1.13.2.

use super::options::OptionRow;

/// The width that help is laid out for; the original's where it does not know the terminal's.
pub const WIDTH: usize = 80;

/// Where descriptions begin.
pub const COLUMN: usize = 30;

/// Returns what `--version` prints.
pub fn version(program: &str) -> String {
    format!(
        "{program} (upstart 1.13.2)\n\
         Copyright (C) 2006-2014 Canonical Ltd., 2011 Scott James Remnant\n\
         \n\
         This is free software; see the source for copying conditions.  There is NO\n\
         warranty; not even for MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.\n"
    )
}

/// Returns what `--help` prints of a program that is one command; `options` is laid out already.
pub fn simple(program: &str, usage: &str, synopsis: &str, options: &str, more: &str) -> String {
    let mut out = format!("Usage: {program} [OPTION]...");
    if !usage.is_empty() {
        out += &format!(" {usage}");
    }
    out += &format!("\n{}\n\n{options}", wrapped(synopsis, WIDTH - 1, 0));
    out + &format!("{}\n\n{REPORT}", wrapped(more, WIDTH - 1, 0))
}

/// The last line of every help.
pub const REPORT: &str = "Report bugs to <upstart-devel@lists.ubuntu.com>\n";

/// Returns the options with their help.
pub fn options<E>(rows: &[&OptionRow<E>]) -> String {
    let mut out = String::from("Options:\n");
    for row in rows {
        let Some(help) = row.help else { continue };
        let short =
            row.short.map_or(String::from("    "), |short| format!("-{}, ", char::from(short)));
        let argument = row.argument.unwrap_or_default();
        let head = match (row.long, argument) {
            ("", _) => format!("  {} {argument}", short.trim_end_matches(", ")),
            (long, "") => format!("  {short}--{long}"),
            (long, _) => format!("  {short}--{long}={argument}"),
        };
        described(&mut out, head.trim_end(), help, WIDTH - COLUMN - 1);
    }
    out.push('\n');
    out
}

/// Appends a head with its description beside it, or below it where the head is too long.
pub fn described(out: &mut String, head: &str, text: &str, width: usize) {
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
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
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

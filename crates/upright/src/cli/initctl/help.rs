//! Help of initctl. Source: recorded from Upstart 1.13.2.

use super::commands::{CommandRow, Group, COMMANDS};
use super::options::COMMON;
use crate::cli::layout::{described, options, wrapped, COLUMN, REPORT, WIDTH};

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

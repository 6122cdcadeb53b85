//! The manual page, made from the tables: what stands in the repository is what they say.
//! `UPDATE_EXPECT=1 cargo test -p supervisorctl page` writes it.

use crate::commands::COMMANDS;
use crate::options::OPTIONS;
use std::path::Path;

const HEAD: &str = ".\\\" Made from the tables by crates/supervisorctl/src/page.rs.
.TH SUPERVISORCTL 1 2026-11-21 Upright
.SH NAME
supervisorctl \\- ask and command a supervisord, Upright's or Supervisor's
.SH SYNOPSIS
\\fBsupervisorctl\\fR [\\fIOPTION\\fR]... [\\fIACTION\\fR [\\fIARGUMENT\\fR]...]
.SH DESCRIPTION
Does one action and ends, or reads actions from its shell where none is given. It speaks XML\\-RPC over a
Unix socket or a port, in the words of Supervisor 4.3.0.
.SH OPTIONS
";

const TAIL: &str =
    ".SH SEE ALSO\n.BR supervisord (1),\n.BR upright (1),\n.BR upright\\-supervisord.conf (5)\n";

/// Text of a page: no letter of it is a command.
fn plain(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

fn page() -> String {
    let mut out = String::from(HEAD);
    for row in OPTIONS {
        let letters = row.letters.iter().map(|letter| format!("-{letter}"));
        let names = row.names.iter().map(|name| format!("--{name}"));
        let heads: Vec<String> = letters.chain(names).collect();
        let value = row.takes.map(|takes| format!(" \\fI{}\\fR", plain(takes))).unwrap_or_default();
        out += &format!(".TP\n\\fB{}\\fR{value}\n", plain(&heads.join(", ")));
        let mut letters = row.help.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        out += &format!("{}.\n", plain(&format!("{first}{}", letters.as_str())));
    }
    out += ".SH ACTIONS\n";
    for command in COMMANDS {
        for line in command.help.lines().filter(|line| !line.trim().is_empty()) {
            // What is typed, tabs, and what it does; a line that begins with tabs goes on.
            match line.split_once('\t') {
                Some((typed, does)) if !typed.trim().is_empty() => {
                    let (typed, does) = (plain(typed.trim()), plain(does.trim()));
                    out += &format!(".TP\n\\fB{typed}\\fR\n{does}\n");
                }
                Some(_) => out += &format!("{}\n", plain(line.trim())),
                None => out += &format!(".TP\n\\fB{}\\fR\n{}\n", command.name, plain(line.trim())),
            }
        }
    }
    out + TAIL
}

#[test]
fn the_manual_page_is_what_the_tables_say() {
    let at = "../../dist/man/originals/supervisorctl.1";
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join(at);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&at, page()).unwrap();
    }
    let there = std::fs::read_to_string(&at).unwrap_or_default();
    assert!(there == page(), "run again with UPDATE_EXPECT=1 and look at it");
}

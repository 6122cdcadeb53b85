//! Pages and syntax files that are made from the tables: what stands in the repository is what they
//! say. `UPDATE_EXPECT=1 cargo test -p upright --test pages` writes them.

use engine::dialect::supervisord::{Kind, OPTIONS};
use engine::dialect::upstart::STANZAS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the text of a file.
type Make = fn() -> String;

/// Every file that is made, below the repository, and how.
const PAGES: &[(&str, Make)] = &[
    ("dist/man/upright-job.5", job),
    ("dist/man/upright-supervisord.conf.5", supervisord),
    ("dist/vim/syntax/upright-job.vim", vim),
];

#[test]
fn what_is_made_from_the_tables_is_up_to_date() {
    for (file, make) in PAGES {
        let (path, made) = (at(file), make());
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &made).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == made,
            "{file} is not what the tables say: run again with UPDATE_EXPECT=1 and look at it"
        );
    }
}

#[test]
fn manual_pages_are_read_without_a_complaint() {
    let pages = || PAGES.iter().filter(|(file, _)| file.contains("/man/"));
    let checks: [(&str, &[&str]); 2] =
        [("mandoc", &["-Tlint", "-Werror"]), ("groff", &["-man", "-Tutf8", "-ww", "-z"])];
    let mut checked = false;
    for (program, words) in checks {
        for (file, _) in pages() {
            let Ok(done) = Command::new(program).args(words).arg(at(file)).output() else { break };
            let said = [done.stdout, done.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(done.status.success() && said.is_empty(), "{program} {file}: {said}");
            checked = true;
        }
    }
    if !checked {
        println!("passed over: neither mandoc nor groff is installed");
    }
}

fn at(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

fn head(name: &str, what: &str, about: &str) -> String {
    let title = name.to_uppercase();
    format!(".\\\" Made from the tables by crates/upright/tests/pages.rs.\n.TH {title} 5 2026-11-21 Upright\n.SH NAME\n{} \\- {what}\n.SH DESCRIPTION\n{about}\n", plain(name))
}

/// Text of a page: no letter of it is a command.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

fn sentence(help: &str) -> String {
    let mut letters = help.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    plain(&format!("{}{}.", first.collect::<String>(), letters.as_str()))
}

fn job() -> String {
    let about = "A job file describes one service or task. A stanza is a line, but for those that end\nwith \\fBend script\\fR; a \\fB#\\fR begins a comment, a backslash at its end continues a line. What\nCAPITALS stand for is to be filled in, what is in brackets may be left out.";
    let mut out = head("upright-job", "job files of Upright and Upstart", about);
    out += ".SH STANZAS\n";
    for row in STANZAS {
        let words = format!("\\fB{}\\fR {}", plain(row.words), plain(row.arguments));
        out += &format!(".TP\n{}\n{}\n", words.trim_end(), sentence(row.help));
        if !row.source.starts_with("init(5)") {
            out += &format!("({})\n", plain(row.source));
        }
    }
    out + ".SH SEE ALSO\n.BR upright\\-supervisord.conf (5)\n"
}

fn supervisord() -> String {
    let about = "Programs of Supervisor are described in the form of Python's ConfigParser: sections in\nbrackets, a key and a value in each line, longer values indented. Names as in\n\\fB%(ENV_X)s\\fR are replaced.";
    let name = "upright-supervisord.conf";
    let mut out = head(name, "configuration of Supervisor as Upright reads it", about);
    for (kind, section, _) in Kind::TABLE {
        let mut rows = OPTIONS.iter().filter(|row| row.section == kind).peekable();
        if rows.peek().is_none() {
            continue;
        }
        let name = if section.ends_with(':') { format!("{section}NAME") } else { section.into() };
        out += &format!(".SH [{}]\n", plain(&name));
        for row in rows {
            out += &format!(".TP\n\\fB{}\\fR={}\n", plain(row.key), plain(row.value));
            out += &format!("{}\n", sentence(row.help));
            if let Some(default) = row.default.filter(|default| !default.is_empty()) {
                out += &format!("Default: {}\n", plain(default));
            }
            if !row.source.contains("Supervisor 4") {
                out += &format!("({})\n", plain(row.source));
            }
        }
    }
    out + ".SH SEE ALSO\n.BR upright\\-job (5)\n"
}

fn vim() -> String {
    let words = |at: usize| -> String {
        let all: BTreeSet<&str> =
            STANZAS.iter().filter_map(|row| row.words.split(' ').nth(at)).collect();
        all.into_iter().collect::<Vec<_>>().join("\\|")
    };
    format!(
        "\" Job files of Upright and Upstart. Made from the tables by crates/upright/tests/pages.rs.\n\
         if exists('b:current_syntax')\n  finish\nendif\n\
         syn include @uprightShell syntax/sh.vim\n\
         syn region uprightScript matchgroup=uprightStanza keepend contains=@uprightShell\n\
         \\ start='^\\s*\\(\\(pre-start\\|post-start\\|pre-stop\\|post-stop\\)\\s\\+\\)\\?script\\s*$' end='^\\s*end\\s\\+script\\s*$'\n\
         syn match uprightStanza '^\\s*\\({}\\)\\>\\(\\s\\+\\({}\\)\\>\\)\\?'\n\
         syn match uprightComment '#.*$'\n\
         syn region uprightString start='\"' skip='\\\\.' end='\"'\n\
         syn match uprightVariable '\\$\\(\\w\\+\\|{{[^}}]*}}\\)'\n\
         hi def link uprightStanza Statement\nhi def link uprightComment Comment\n\
         hi def link uprightString String\nhi def link uprightVariable Identifier\n\
         let b:current_syntax = 'upright-job'\n",
        words(0),
        words(1)
    )
}

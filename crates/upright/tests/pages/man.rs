//! Manual pages.

use super::{at, MADE, PAGES};
use engine::dialect::supervisord::{Kind, OPTIONS};
use engine::dialect::upstart::STANZAS;
use engine::machine::{CHAIN_MAX, EMITTED};
use std::collections::BTreeMap;
use std::process::Command;
use upright::cli::shape::{self, Flag, Needed, Place, Shape, Times};

#[test]
fn manual_pages_are_read_without_a_complaint() {
    let ours = PAGES.iter().map(|(file, _)| *file).filter(|file| file.contains("/man/"));
    // Made beside its tables, in another crate.
    let pages: Vec<&str> = ours.chain(["dist/man/originals/supervisorctl.1"]).collect();
    let checks: [(&str, &[&str]); 2] =
        [("mandoc", &["-Tlint", "-Wwarning"]), ("groff", &["-man", "-Tutf8", "-ww", "-z"])];
    let mut checked = false;
    for (program, words) in checks {
        for file in &pages {
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

#[test]
fn every_command_and_every_option_has_its_place_in_a_page() {
    for shape in shape::all() {
        // A command of initctl's has its page there.
        let pages = ["upright.1", "originals/initctl.8", &format!("originals/{}.8", shape.name)]
            .map(|page| {
                std::fs::read_to_string(at(&format!("dist/man/{page}"))).unwrap_or_default()
            });
        let wanted = shape.commands.iter().chain([&shape]);
        let shown = wanted.clone().flat_map(|one| &one.flags).filter(|flag| flag.help.is_some());
        let names = shown.map(|flag| plain(&heads(flag).join(", ")));
        for name in names.chain(wanted.map(|one| plain(&one.name))) {
            assert!(pages.iter().any(|page| page.contains(&name)), "{}: {name}", shape.name);
        }
    }
}

fn head(name: &str, section: u8, what: &str, about: &str) -> String {
    let title = name.to_uppercase();
    let begin = if about.is_empty() { "" } else { ".SH DESCRIPTION\n" };
    format!(
        ".\\\" {MADE}\n.TH {title} {section} 2026-11-21 Upright\n.SH NAME\n{} \\- {what}\n{begin}{about}",
        plain(name)
    )
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
    let text = format!("{}{}", first.collect::<String>(), letters.as_str());
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    plain(&format!("{text}{end}"))
}

fn paragraphs(text: &str) -> String {
    let all = text.split("\n\n").filter(|text| !text.is_empty());
    all.map(|text| format!(".PP\n{}\n", sentence(text))).collect()
}

/// Returns an option in each of its forms, without its value.
fn heads(flag: &Flag) -> Vec<String> {
    let short = flag.short.map(|short| format!("-{short}"));
    let long = flag.long.as_ref().map(|long| format!("--{long}"));
    short.into_iter().chain(long).collect()
}

fn flags<'a>(flags: impl IntoIterator<Item = &'a Flag>) -> String {
    let mut out = String::new();
    for flag in flags {
        let Some(help) = &flag.help else { continue };
        let value = flag.value.as_ref().map(|value| format!(" \\fI{}\\fR", plain(value)));
        let heads = plain(&heads(flag).join(", "));
        out += &format!(".TP\n\\fB{heads}\\fR{}\n{}\n", value.unwrap_or_default(), sentence(help));
    }
    out
}

fn usage(names: &[&str], shape: &Shape) -> String {
    let mut out = format!("\\fB{}\\fR", plain(&names.join(" ")));
    if shape.flags.iter().any(|flag| flag.help.is_some()) {
        out += " [\\fIOPTION\\fR]...";
    }
    if !shape.commands.is_empty() {
        out += " \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...";
    }
    for Place { value, needed, times, .. } in &shape.places {
        let value = format!("\\fI{}\\fR", plain(value));
        let value = if *needed == Needed::Yes { value } else { format!("[{value}]") };
        out += &format!(" {value}{}", if *times == Times::Many { "..." } else { "" });
    }
    out
}

/// Returns the options that most commands have, which are told once.
fn common(shape: &Shape) -> Vec<&Flag> {
    let mut count: BTreeMap<_, (usize, &Flag)> = BTreeMap::new();
    for flag in shape.commands.iter().flat_map(|command| &command.flags) {
        count.entry((heads(flag), &flag.help)).or_insert((0, flag)).0 += 1;
    }
    let most = shape.commands.len() / 2;
    count.into_values().filter(|row| row.0 > most).map(|row| row.1).collect()
}

/// A page of a program with commands.
fn commands(shape: &Shape, section: u8, what: &str, about: &str) -> String {
    let mut out = head(&shape.name, section, what, "");
    out += &format!(".SH SYNOPSIS\n{}\n.SH DESCRIPTION\n{about}", usage(&[&shape.name], shape));
    let common = common(shape);
    let own = shape.flags.iter().filter(|flag| !common.contains(flag));
    out += ".SH OPTIONS\n";
    out += &flags(own.chain(common.iter().copied()));
    out += ".SH COMMANDS\n";
    for command in &shape.commands {
        let own = |flag: &&Flag| !common.contains(flag);
        let shown = Shape {
            flags: command.flags.iter().filter(own).cloned().collect(),
            commands: Vec::new(),
            ..command.clone()
        };
        out += &format!(".SS {}\n{}\n.PP\n", plain(&command.name), usage(&[&command.name], &shown));
        out += &format!("{}\n", sentence(&command.about));
        out += &paragraphs(&command.more);
        for place in shown.places.iter().filter(|place| !place.help.is_empty()) {
            out += &format!(".TP\n\\fI{}\\fR\n{}\n", plain(&place.value), sentence(&place.help));
        }
        out += &flags(&shown.flags);
    }
    out
}

fn find(name: &str) -> Shape {
    shape::all().into_iter().find(|shape| shape.name == name).expect("it is one of the programs")
}

pub fn upright() -> String {
    let shape = find("upright");
    let about = "Every command asks the Upright that runs, over its control socket: the one that \\fB\\-\\-socket\\fR,\n\\fBUPRIGHT_SOCKET\\fR or \\fBUPSTART_SESSION\\fR names, else the system's or the user's own.\n";
    let what = "start and supervise services, and say why each is in the state it is in";
    let out = commands(&shape, 1, what, about);
    let codes = shape.more.strip_prefix("Exit codes: ").unwrap_or(&shape.more);
    out + &format!(".SH EXIT STATUS\n{}\n", sentence(codes))
        + ".SH SEE ALSO\n.BR upright\\-job (5),\n.BR upright\\-supervisord.conf (5),\n.BR upright\\-events (7),\n.BR initctl (8)\n"
}

pub fn initctl() -> String {
    let about = "Controls jobs and emits events, in the words of Upstart's initctl. The commands about jobs and\nevents are programs by their own names, too.\n";
    let out = commands(&find("initctl"), 8, "control jobs, events and the init daemon", about);
    out + ".SH EXIT STATUS\n0 where it was done, 1 where it was not.\n.SH SEE ALSO\n.BR upright (1),\n.BR upright\\-job (5),\n.BR init (8)\n"
}

/// A page of a program that is one command.
fn simple(shape: &Shape, section: u8, see: &str) -> String {
    let mut letters = shape.about.trim_end_matches('.').chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase).collect::<String>();
    let mut out = head(&shape.name, section, &plain(&format!("{first}{}", letters.as_str())), "");
    out += &format!(".SH SYNOPSIS\n{}\n", usage(&[&shape.name], shape));
    if !shape.more.is_empty() {
        out += &format!(".SH DESCRIPTION\n{}", paragraphs(&shape.more).replacen(".PP\n", "", 1));
    }
    out += &format!(".SH OPTIONS\n{}", flags(&shape.flags));
    out + &format!(".SH SEE ALSO\n{see}\n")
}

pub fn tool(name: &str) -> String {
    simple(&find(name), 8, ".BR init (8),\n.BR initctl (8)")
}

pub fn init() -> String {
    simple(
        &upright::options::shape(),
        8,
        ".BR upright (1),\n.BR upright\\-job (5),\n.BR initctl (8)",
    )
}

pub fn supervisord() -> String {
    let shape = upright::supervisord::options::shape();
    simple(&shape, 1, ".BR upright (1),\n.BR upright\\-supervisord.conf (5)")
}

pub fn events() -> String {
    let about = "Upright emits these events about jobs by itself; \\fBstart on\\fR and \\fBstop on\\fR may name them.\nVariables in parentheses may be missing. Programs of a supervisord.conf are jobs, too, called\n\\fIGROUP\\fB:\\fIPROCESS\\fR.\n";
    let mut out = head("upright-events", 7, "events that Upright emits about jobs", about);
    out += ".SH EVENTS\n";
    for row in EMITTED {
        out += &format!(".TP\n\\fB{}\\fR\n{}\n", plain(row.name), sentence(row.when));
        out += &format!(".br\nVariables: {}.\n", plain(row.variables).replace('`', ""));
        out += &format!(".br\nWaits for it to finish: {}.\n", plain(row.waits));
    }
    out += &format!(
        ".SH NOTES\nThe first four are Upstart's. \\fBexited\\fR and those below it report: none of them is delivered to\nthe job that it reports, nor along a chain of more than {CHAIN_MAX} jobs that start each other by them. Those\nbelow \\fBexited\\fR are emitted only where a condition names them, and at most five of a kind for each\ninstance within a minute.\n"
    );
    out += ".SH EXAMPLE\nA job that tells of every failure:\n.PP\n.nf\nstart on failed\ninstance $JOB:$INSTANCE\nexec logger \\-t alert \"$JOB: $REASON\"\n.fi\n";
    out + ".SH SEE ALSO\n.BR upright\\-job (5),\n.BR upright (1)\n"
}

pub fn job() -> String {
    let about = "A job file describes one service or task. A stanza is a line, but for those that end\nwith \\fBend script\\fR; a \\fB#\\fR begins a comment, a backslash at its end continues a line. What\nCAPITALS stand for is to be filled in, what is in brackets may be left out.\n";
    let mut out = head("upright-job", 5, "job files of Upright and Upstart", about);
    out += ".SH STANZAS\n";
    for row in STANZAS {
        let words = format!("\\fB{}\\fR {}", plain(row.words), plain(row.arguments));
        out += &format!(".TP\n{}\n{}\n", words.trim_end(), sentence(row.help));
        if !row.source.starts_with("init(5)") {
            out += &format!("({})\n", plain(row.source));
        }
    }
    out + ".SH SEE ALSO\n.BR upright (1),\n.BR upright\\-supervisord.conf (5),\n.BR upright\\-events (7)\n"
}

pub fn supervisord_conf() -> String {
    let about = "Programs of Supervisor are described in the form of Python's ConfigParser: sections in\nbrackets, a key and a value in each line, longer values indented. Names as in\n\\fB%(ENV_X)s\\fR are replaced.\n";
    let name = "upright-supervisord.conf";
    let mut out = head(name, 5, "configuration of Supervisor as Upright reads it", about);
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
    out + ".SH SEE ALSO\n.BR upright (1),\n.BR upright\\-job (5)\n"
}

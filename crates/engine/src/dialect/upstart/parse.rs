//! From a file to a spec: stanza after stanza, going on behind those that cannot be read.

use super::complaint::Complaint;
use super::lex::{Cursor, Fault, Reader, Word};
use super::stanzas::{Stanza, STANZAS};
use crate::dialect::meant::did_you_mean;
use crate::dialect::{Diagnostic, Parsed, DIAGNOSTICS_MAX};
use crate::names::JobName;
use crate::process::Role;
use crate::spec::{Command, EnvRow, Expect, JobSpec, Respawn};
use crate::text::Text;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How often reading goes back to a line it has already gone over, in search of the next error.
/// Bounds the whole work to so many times the file's length.
const RETURNS_MAX: u32 = 16;

/// A job that is being read.
pub struct Draft<'a> {
    /// The file.
    pub reader: Reader<'a>,
    /// What it says so far.
    pub spec: JobSpec,
    /// What remarks at the end are made of.
    pub notes: Notes,
}

/// Where stanzas of this file stand that only make sense together.
pub struct Notes {
    /// The stanza that is being read.
    pub stanza: Word,
    /// The last `manual` without `start on` behind it.
    pub manual: Option<Word>,
    /// Variables that the `start on` that counts wants to be set.
    pub variables: Vec<(Text, Word)>,
    /// The last stanza that says how to respawn and has no meaning without `respawn`.
    pub respawn_limit: Option<Word>,
    /// Whether `respawn reset` was given.
    pub reset: bool,
    /// The last `expect`.
    pub expect: Option<Word>,
    /// The commands this file has given.
    commands: BTreeMap<Role, u32>,
}

impl Draft<'_> {
    /// Keeps a command; one given before in this file is replaced with a remark.
    pub fn command(&mut self, role: Role, command: Command) {
        let line = self.notes.stanza.from.line;
        if let Some(before) = self.notes.commands.insert(role, line) {
            let fault = Fault::at(Complaint::Replaced, &self.notes.stanza);
            let help = format!("the command in line {before} is never run; remove one of them");
            self.reader.remark(fault.help(help));
        }
        self.spec.commands.insert(role, command);
    }
}

/// Returns the job that the file describes. Never fails, on any bytes; takes time and memory in
/// proportion to the file's length.
pub fn parse(name: JobName, file: &[u8]) -> Parsed {
    read(JobSpec::new(name), file)
}

/// Returns the job as an override file changes it: what has one value is replaced, lists grow, what
/// is on stays on. An override with an error changes nothing at all.
/// Source: init(5), override files; the original keeps what stands before the error.
pub fn apply_override(spec: &JobSpec, file: &[u8]) -> Parsed {
    let parsed = read(spec.clone(), file);
    match parsed.error() {
        Some(_) => Parsed { spec: spec.clone(), ..parsed },
        None => parsed,
    }
}

fn read(spec: JobSpec, file: &[u8]) -> Parsed {
    let (mut draft, errors) = walk(spec, file, |_| {});
    relations(&mut draft);
    let remarks = draft.reader.take_remarks();
    Parsed { spec: draft.spec, diagnostics: told(file, errors, remarks) }
}

/// Reads all stanzas; `begins` is told where each does.
fn walk(spec: JobSpec, file: &[u8], mut begins: impl FnMut(Cursor)) -> (Draft<'_>, Vec<Fault>) {
    let reader = Reader::new(file);
    let from = reader.cursor();
    let notes = Notes {
        stanza: Word { text: Vec::new(), from, to: 0 },
        manual: None,
        variables: Vec::new(),
        respawn_limit: None,
        reset: false,
        expect: None,
        commands: BTreeMap::new(),
    };
    let mut draft = Draft { reader, spec, notes };
    let mut errors = Vec::new();
    let mut returns = 0;
    while !draft.reader.at_end() && errors.len() < DIAGNOSTICS_MAX && returns < RETURNS_MAX {
        draft.reader.skip_blanks();
        if !draft.reader.has_token() {
            draft.reader.skip_line();
            continue;
        }
        let from = draft.reader.cursor();
        begins(from);
        if let Err(fault) = stanza(&mut draft) {
            returns += u32::from(go_on(&mut draft, from, &fault));
            errors.push(fault);
        }
    }
    (draft, errors)
}

/// Returns where each stanza of a file begins: its line, from 1, and what stands there.
pub fn places(file: &[u8]) -> Vec<(u32, Text)> {
    let name = JobName::try_from("places");
    let Ok(spec) = name.map(JobSpec::new) else { return Vec::new() };
    let mut places = Vec::new();
    walk(spec, file, |from: Cursor| {
        let rest = file.get(from.at..).unwrap_or_default();
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        places.push((from.line, Text::from(line.trim_ascii_end())));
    });
    places
}

/// Steps to where reading may go on after a fault: behind the line with the fault, or behind the
/// script that it heads. Reports whether lines were gone over that will be gone over again.
fn go_on(draft: &mut Draft<'_>, from: Cursor, fault: &Fault) -> bool {
    let reached = draft.reader.cursor();
    if fault.complaint == Complaint::UnterminatedBlock {
        // Everything up to the end of the file is the script.
        draft.reader.skip_all();
        return false;
    }
    // What the fault is about may be far ahead of where the stanza began (a parenthesis that takes
    // the next stanzas in), or far behind of what was read (a quote that is never closed).
    draft.reader.rewind(if fault.from.at < from.at { from } else { fault.from });
    match draft.reader.skip_script() {
        Some(found) => !found,
        None => draft.reader.cursor().at < reached.at,
    }
}

/// Reads one stanza.
fn stanza(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let first = draft.reader.keyword("a stanza")?;
    draft.notes.stanza = first.clone();
    let forms: Vec<(&Stanza, &str)> = STANZAS.iter().filter_map(|row| form(row, &first)).collect();
    if forms.is_empty() {
        let names: Vec<&str> = STANZAS.iter().map(|row| row.words).collect();
        let line = draft.reader.cursor().line;
        return Err(Fault { line, ..unknown(&first, &names) });
    }
    let alone = forms.iter().find(|form| form.1.is_empty()).map(|form| form.0);
    let back = draft.reader.cursor();
    if forms.len() > 1 || alone.is_none() {
        let seconds: Vec<&str> = forms.iter().map(|form| form.1).collect();
        if draft.reader.has_token() || alone.is_none() {
            let second = draft.reader.keyword(&one_of(&seconds))?;
            if let Some(form) = forms.iter().find(|form| form.1.as_bytes() == &second.text[..]) {
                draft.notes.stanza.to = second.to;
                return (form.0.read)(draft);
            }
            if alone.is_none() {
                return Err(unknown(&second, &seconds));
            }
        }
    }
    draft.reader.rewind(back);
    match alone {
        Some(row) => (row.read)(draft),
        None => Err(unknown(&first, &[])),
    }
}

/// Returns the row with its second word, if it has one, where the first word is this.
fn form<'row>(row: &'row Stanza, first: &Word) -> Option<(&'row Stanza, &'row str)> {
    let (one, two) = row.words.split_once(' ').unwrap_or((row.words, ""));
    (one.as_bytes() == &first.text[..]).then_some((row, two))
}

fn unknown(word: &Word, names: &[&str]) -> Fault {
    let fault = Fault::at(Complaint::UnknownStanza, word);
    if word.text.starts_with(b"\xef\xbb\xbf") {
        return fault.help("the file begins with a byte order mark; save it without");
    }
    if word.text.contains(&0) {
        return fault.help("this is no text in ASCII or UTF-8");
    }
    if word.text == b"end" {
        return fault.help("no script is open here");
    }
    let otherwise = match names.len() {
        1..=8 => format!("expected {}", one_of(names)),
        _ => "no stanza has this name".to_string(),
    };
    fault.help(did_you_mean(&word.text, names, &otherwise))
}

/// Returns the words as a person reads them: `on`, or `one of exec, script, timeout`.
pub fn one_of(names: &[&str]) -> String {
    match names {
        [name] => format!("`{name}`"),
        names => format!("one of {}", names.join(", ")),
    }
}

/// Remarks about stanzas that stand in a relation, once the whole file is read.
fn relations(draft: &mut Draft<'_>) {
    let Draft { reader, spec, notes } = draft;
    if let (Some(word), false) = (&notes.respawn_limit, spec.policy.respawn != Respawn::Never) {
        let fault = Fault::at(Complaint::RespawnOff, word);
        reader.remark(fault.help("add a line `respawn`, or remove this one"));
    }
    let scripted = matches!(spec.commands.get(&Role::Main), Some(Command::Script(_)));
    let forks = matches!(spec.policy.expect, Expect::Fork | Expect::Daemon);
    if let (Some(word), true, true) = (&notes.expect, scripted, forks) {
        let fault = Fault::at(Complaint::ExpectScript, word);
        reader.remark(fault.help("move what comes before the daemon to `pre-start`, use `exec`"));
    }
    let keys = spec.env.iter().filter_map(|row| match row {
        EnvRow::Set(key, _) | EnvRow::Inherit(key) => Some(key.bytes()),
        EnvRow::InheritAll => None,
    });
    let known: BTreeSet<&[u8]> = match notes.variables.is_empty() {
        true => BTreeSet::new(),
        false => keys.collect(),
    };
    for (name, word) in notes.variables.iter().filter(|row| !known.contains(row.0.bytes())) {
        let fault = Fault::at(Complaint::UnknownVariable, word);
        let name = name.lossy();
        reader.remark(fault.help(format!("set `{name}` with `env {name}=VALUE` in this job")));
    }
}

/// Returns errors and remarks in the order of the file. Errors are never left out for remarks.
fn told(file: &[u8], errors: Vec<Fault>, remarks: Vec<Fault>) -> Vec<Diagnostic> {
    let room = DIAGNOSTICS_MAX.saturating_sub(errors.len());
    let all = errors.into_iter().chain(remarks.into_iter().take(room));
    let mut told: Vec<Diagnostic> = all.map(|fault| fault.diagnostic(file)).collect();
    told.sort_by_key(|diagnostic| diagnostic.place.start);
    // A word that two forms of a stanza have looked at is remarked upon twice.
    told.dedup();
    told
}

//! Python's `ConfigParser` as Supervisor uses it: sections, keys, values, and where they stand.
//!
//! Not strict (what is repeated is merged), comments with `;` and `#` also behind values, keys in
//! small letters, empty lines within values. Source: CPython 3.11, `RawConfigParser`.

use super::python::{is_space, repr, strip};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;

/// The section that every other one inherits from.
const DEFAULT: &str = "DEFAULT";

/// What stands for the directory of the file itself.
const HERE: &str = "%(here)s";

/// A piece of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Which file, in the order they were read.
    pub file: usize,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The lines joined with newlines, comments taken out.
    pub text: String,
    /// Where the key stands.
    pub key: Spot,
    /// Where the value begins; its lines may go on behind the end.
    pub spot: Spot,
}

/// A section: its keys in the order in which they came first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// Where it was opened first.
    pub spot: Spot,
    keys: Vec<(String, Value)>,
    places: BTreeMap<String, usize>,
}

impl Section {
    fn new(name: &str, spot: Spot) -> Section {
        let name = name.to_string();
        Section { name, spot, keys: Vec::new(), places: BTreeMap::new() }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let place = self.places.get(key)?;
        self.keys.get(*place).map(|(_, value)| value)
    }

    /// Sets a value; returns its place.
    fn set(&mut self, key: String, value: Value) -> usize {
        let place = *self.places.entry(key.clone()).or_insert(self.keys.len());
        match self.keys.get_mut(place) {
            Some((_, old)) => *old = value,
            None => self.keys.push((key, value)),
        }
        place
    }
}

/// Everything that was read so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ini {
    sections: Vec<Section>,
    places: BTreeMap<String, usize>,
    defaults: Section,
    /// The section that was looked up last: the keys of one are read one after the other.
    last: Cell<usize>,
}

/// Something that is no line of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub spot: Spot,
    /// What the original would say about the file; the same for all its faults.
    pub refusal: String,
    /// Whether it is that no section was opened before.
    pub no_section: bool,
}

impl Default for Ini {
    fn default() -> Ini {
        Ini::new()
    }
}

impl Ini {
    /// Returns what nothing says.
    pub fn new() -> Ini {
        let spot = Spot { file: 0, start: 0, end: 0 };
        let defaults = Section::new(DEFAULT, spot);
        Ini { sections: Vec::new(), places: BTreeMap::new(), defaults, last: Cell::new(0) }
    }

    /// Reads one more file into what is there. `name` is what the original calls it. Goes on behind
    /// what it cannot read; the faults are in the order of the file.
    pub fn read(&mut self, file: usize, name: &str, text: &str) -> Vec<Fault> {
        let mut reading = Reading { ini: self, file, at: None, key: None, indent: 0 };
        let mut bad = Vec::new();
        let mut missing: Option<(Spot, String)> = None;
        for (number, line) in lines(text).enumerate() {
            match reading.line(&line) {
                Ok(()) => {}
                Err(Wrong::NoSection) => {
                    missing.get_or_insert_with(|| {
                        let whole = repr(&line.whole);
                        let name = repr(name);
                        let said = format!("file: {name}, line: {}\n{whole}", number + 1);
                        (line.spot(file), format!("File contains no section headers.\n{said}"))
                    });
                }
                Err(Wrong::NoKey) => bad.push((number + 1, line.spot(file), repr(&line.whole))),
            }
        }
        self.close();
        if let Some((spot, refusal)) = missing {
            return alloc::vec![Fault { spot, refusal, no_section: true }];
        }
        let mut refusal = format!("Source contains parsing errors: {}", repr(name));
        for (number, _, line) in &bad {
            refusal.push_str(&format!("\n\t[line {number:2}]: {line}"));
        }
        let fault = |spot| Fault { spot, refusal: refusal.clone(), no_section: false };
        bad.iter().map(|(_, spot, _)| fault(*spot)).collect()
    }

    /// Returns the sections in the order in which they came first, without `[DEFAULT]`.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    /// Returns a section.
    pub fn section(&self, name: &str) -> Option<&Section> {
        let last = self.sections.get(self.last.get());
        if let Some(section) = last.filter(|section| section.name == name) {
            return Some(section);
        }
        let place = *self.places.get(name)?;
        self.last.set(place);
        self.sections.get(place)
    }

    /// Returns the value of a key, also an inherited one.
    pub fn get(&self, section: &str, key: &str) -> Option<&Value> {
        self.get_in(self.section(section)?, key)
    }

    /// As [`Ini::get`], of a section that was looked up already.
    pub fn get_in<'a>(&'a self, section: &'a Section, key: &str) -> Option<&'a Value> {
        section.get(key).or_else(|| self.defaults.get(key))
    }

    /// Returns the keys of a section with the inherited ones.
    pub fn keys<'a>(
        &'a self,
        section: &'a Section,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + 'a {
        let inherited = self.defaults.keys.iter().filter(|(key, _)| section.get(key).is_none());
        section.keys.iter().chain(inherited).map(|(key, value)| (&**key, value))
    }

    /// Returns the keys that stand in the section itself.
    pub fn own_keys<'a>(
        &'a self,
        section: &'a Section,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + 'a {
        section.keys.iter().map(|(key, value)| (&**key, value))
    }

    /// Returns the keys of `[DEFAULT]`.
    pub fn default_keys(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.defaults.keys.iter().map(|(key, value)| (&**key, value))
    }

    /// Puts a directory in place of every `%(here)s` that is there so far.
    pub fn expand_here(&mut self, here: &str) {
        for section in &mut self.sections {
            for (key, value) in &self.defaults.keys {
                if value.text.contains(HERE) && section.get(key).is_none() {
                    section.set(key.clone(), value.clone());
                }
            }
            for (_, value) in &mut section.keys {
                if value.text.contains(HERE) {
                    value.text = value.text.replace(HERE, here);
                }
            }
        }
    }

    /// Ends the values: blanks behind the last line go.
    fn close(&mut self) {
        for section in self.sections.iter_mut().chain([&mut self.defaults]) {
            for (_, value) in &mut section.keys {
                value.text.truncate(value.text.trim_end_matches(is_space).len());
            }
        }
    }
}

enum Wrong {
    NoSection,
    NoKey,
}

/// Where reading stands: the open section and key.
struct Reading<'a> {
    ini: &'a mut Ini,
    file: usize,
    at: Option<At>,
    /// The place of the open key in its section.
    key: Option<usize>,
    indent: usize,
}

#[derive(Clone, Copy)]
enum At {
    Default,
    Section(usize),
}

impl Reading<'_> {
    fn line(&mut self, line: &Line) -> Result<(), Wrong> {
        let comment = comment(&line.whole);
        let kept = comment.and_then(|at| line.whole.get(..at)).unwrap_or(&line.whole);
        let value = strip(kept);
        if value.is_empty() {
            if comment.is_none() {
                self.go_on("");
            }
            return Ok(());
        }
        let indent = line.whole.chars().take_while(|char| is_space(*char)).count();
        if self.key.is_some() && indent > self.indent {
            self.go_on(value);
            return Ok(());
        }
        self.indent = indent;
        let starts = line.start + (kept.len() - kept.trim_start_matches(is_space).len());
        if let Some(header) = header(value) {
            self.open(header, starts, starts + header.len() + 2);
            return Ok(());
        }
        if self.at.is_none() {
            return Err(Wrong::NoSection);
        }
        let Some(split) = value.find(['=', ':']) else { return Err(Wrong::NoKey) };
        let (key, rest) = (value.get(..split).unwrap_or(""), value.get(split + 1..).unwrap_or(""));
        let key = key.trim_end_matches(is_space);
        let text = strip(rest);
        let begins = starts + value.len() - rest.trim_start_matches(is_space).len();
        let file = self.file;
        let spot = |start, length| Spot { file, start, end: start + length };
        let value = Value {
            text: text.to_string(),
            key: spot(starts, key.len()),
            spot: spot(begins, text.len()),
        };
        let place = self.section().map(|section| section.set(key.to_lowercase(), value));
        // What is indented below a value without a key does not go on with it.
        self.key = place.filter(|_| !key.is_empty());
        if key.is_empty() {
            Err(Wrong::NoKey)
        } else {
            Ok(())
        }
    }

    fn open(&mut self, header: &str, start: usize, end: usize) {
        self.key = None;
        if header == DEFAULT {
            self.at = Some(At::Default);
            return;
        }
        let next = self.ini.sections.len();
        let at = *self.ini.places.entry(header.to_string()).or_insert(next);
        if at == next {
            let spot = Spot { file: self.file, start, end };
            self.ini.sections.push(Section::new(header, spot));
        }
        self.at = Some(At::Section(at));
    }

    fn section(&mut self) -> Option<&mut Section> {
        match self.at? {
            At::Default => Some(&mut self.ini.defaults),
            At::Section(at) => self.ini.sections.get_mut(at),
        }
    }

    /// Adds a line to the open value, where there is one.
    fn go_on(&mut self, text: &str) {
        let Some(key) = self.key else { return };
        let Some(section) = self.section() else { return };
        if let Some((_, value)) = section.keys.get_mut(key) {
            value.text.push('\n');
            value.text.push_str(text);
        }
    }
}

/// Returns what stands between `[` and the last `]`.
fn header(value: &str) -> Option<&str> {
    let rest = value.strip_prefix('[')?;
    let end = rest.rfind(']')?;
    // The first one may be part of the name where there is another.
    rest.get(..end).filter(|name| !name.is_empty())
}

/// Returns where the comment begins. The two signs are looked for in turns, a place of each a turn,
/// and the first turn that finds one ends the search, also where the other sign comes before it.
fn comment(line: &str) -> Option<usize> {
    let stripped = strip(line);
    if stripped.starts_with(['#', ';']) {
        return Some(0);
    }
    let mut places = [Some(0), Some(0)];
    while places.iter().any(Option::is_some) {
        let mut found = None;
        for (sign, place) in [';', '#'].into_iter().zip(&mut places) {
            let Some(from) = *place else { continue };
            let at = line.get(from..).and_then(|rest| rest.find(sign)).map(|at| from + at);
            *place = at.map(|at| at + 1);
            let Some(at) = at else { continue };
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            if before.is_none_or(is_space) {
                found = Some(found.map_or(at, |other: usize| other.min(at)));
            }
        }
        if found.is_some() {
            return found;
        }
    }
    None
}

/// A line as Python reads it: its end is `\n`, whatever it was.
struct Line {
    start: usize,
    whole: String,
}

impl Line {
    fn spot(&self, file: usize) -> Spot {
        let text = strip(&self.whole);
        let lead = self.whole.len() - self.whole.trim_start_matches(is_space).len();
        Spot { file, start: self.start + lead, end: self.start + lead + text.len() }
    }
}

/// Returns the lines; `\n`, `\r\n` and `\r` end one.
fn lines(text: &str) -> impl Iterator<Item = Line> + '_ {
    let mut start = 0;
    core::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let end = rest.find(['\n', '\r']);
        let ending = match end {
            Some(at) if rest.get(at..).is_some_and(|rest| rest.starts_with("\r\n")) => 2,
            Some(_) => 1,
            None => 0,
        };
        let length = end.unwrap_or(rest.len());
        let mut whole = rest.get(..length).unwrap_or("").to_string();
        if ending > 0 {
            whole.push('\n');
        }
        let line = Line { start, whole };
        start += length + ending;
        Some(line)
    })
}

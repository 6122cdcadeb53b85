//! From files to a configuration: the order of the original's own reading, so that the first error
//! is the one it stops at; behind an error reading goes on.

use super::config::{Access, Config, Daemon, Listen, Plugin, Remark, Server, Source};
use super::expand::{expand, Names, Word};
use super::facts::{join, parent, Extent, Facts, Inquiry, Want};
use super::ini::{Ini, Section, Spot};
use super::options::{Client, Key, Kind, Read, Scope, OPTIONS};
use super::python::is_space;
use super::value::Given;
use super::{programs, unknown};
use crate::dialect::{Diagnostic, Place, Severity, DIAGNOSTICS_MAX};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How many files `[include]` may bring in.
pub const FILES_MAX: usize = 1000;

/// Python's reader decodes so many bytes at a time, and counts from there.
const CHUNK: usize = 8192;

/// The factory of the interface that the original brings with it.
pub const MAIN_INTERFACE: &str = "supervisor.rpcinterface:make_main_rpcinterface";

/// Returns what a configuration says. Never fails, on any bytes. Facts that are missing are taken to
/// be favourable, and named in `wants`: find them out and read again.
pub fn read(file: &[u8], facts: &Facts) -> Config {
    let mut reading = Reading::new(facts);
    reading.files(file);
    if reading.ini.section("supervisord").is_none() {
        let spot = Spot { file: 0, start: 0, end: 0 };
        let said = String::from(".ini file does not include supervisord section");
        let help = "add a line `[supervisord]`; it needs no keys";
        let remarked = Remarked { spot, code: "no-section", said, suffix: "", help: Some(help) };
        match facts.extent {
            Extent::Whole => reading.fail(remarked),
            Extent::Part => {}
        }
    }
    reading.daemon();
    reading.interfaces();
    programs::read(&mut reading);
    reading.servers();
    reading.user();
    let (client, refused) = reading.client();
    drop(client);
    for remarked in refused {
        reading.warn(remarked);
    }
    unknown::warn(&mut reading);
    reading.end()
}

/// Returns which facts the files and `[supervisord]` want. To find these out first spares reading all
/// the rest more often than once, as most configurations want no others.
pub fn first_wants(file: &[u8], facts: &Facts) -> BTreeSet<Want> {
    let mut reading = Reading::new(facts);
    reading.files(file);
    reading.daemon();
    reading.inquiry.wants
}

/// Returns what `[supervisorctl]` says; an error is in the original's words. Files of `[include]`
/// are not read for it.
pub fn read_client(file: &[u8], facts: &Facts) -> Result<Client, String> {
    let mut reading = Reading::new(facts);
    reading.source(&facts.path, file);
    if let Some(refusal) = reading.config.refusal {
        return Err(refusal);
    }
    if reading.ini.section("supervisorctl").is_none() {
        return Err(String::from(".ini file does not include supervisorctl section"));
    }
    let (client, refused) = reading.client();
    match refused.into_iter().next() {
        Some(remarked) => Err(remarked.said),
        None => Ok(client),
    }
}

/// Returns what is wrong with the value that the command line gives a key of `[supervisord]`, and
/// which facts were missing to tell.
pub fn judge(key: &str, text: &str, facts: &Facts) -> (Result<(), String>, BTreeSet<Want>) {
    let mut inquiry = Inquiry { facts, wants: BTreeSet::new() };
    let judged = set(&mut Daemon::new(facts), key, text, &mut inquiry);
    (judged, inquiry.wants)
}

fn set(
    daemon: &mut Daemon,
    key: &str,
    text: &str,
    inquiry: &mut Inquiry<'_>,
) -> Result<(), String> {
    let row = OPTIONS.iter().find(|row| row.section == Kind::Daemon && row.key == key);
    match row.map(|row| &row.read) {
        Some(Read::Daemon(read)) => {
            read(daemon, &mut Given { section: "supervisord", text, inquiry })
        }
        Some(_) | None => Err(format!("[supervisord] has no key {key}")),
    }
}

/// Something to be said about a place.
pub(super) struct Remarked {
    pub spot: Spot,
    pub code: &'static str,
    /// What is said.
    pub said: String,
    /// What the original says behind it.
    pub suffix: &'static str,
    pub help: Option<&'static str>,
}

/// A configuration that is being read.
pub(super) struct Reading<'a> {
    pub ini: Ini,
    pub inquiry: Inquiry<'a>,
    pub config: Config,
    /// `ENV_X` of the environment, and what `[supervisord]` adds.
    pub environment: Names,
    /// Which file brought a section in, where it is not the configuration itself.
    pub origins: BTreeMap<String, usize>,
    /// Where lines of the files begin.
    lines: Vec<Vec<usize>>,
    seen: BTreeSet<(Spot, String)>,
}

impl<'a> Reading<'a> {
    fn new(facts: &'a Facts) -> Reading<'a> {
        let rows = facts.environment.iter();
        let environment = rows.map(|(key, value)| variable(key, value)).collect();
        Reading {
            ini: Ini::new(),
            inquiry: Inquiry { facts, wants: BTreeSet::new() },
            config: Config::new(facts),
            environment,
            origins: BTreeMap::new(),
            lines: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn end(mut self) -> Config {
        self.config.wants = self.inquiry.wants;
        self.config
    }

    /// Notes an error. The first one is what the original says.
    pub fn fail(&mut self, remarked: Remarked) {
        let suffix = match remarked.suffix {
            "" => String::new(),
            suffix => suffix.to_string(),
        };
        self.fail_with(remarked, &suffix);
    }

    /// Notes an error behind which the original says something of its own.
    pub fn fail_with(&mut self, remarked: Remarked, suffix: &str) {
        if self.config.refusal.is_none() {
            self.config.refusal = Some(format!("{}{suffix}", remarked.said));
        }
        self.remark(Severity::Error, remarked);
    }

    /// Notes a warning.
    pub fn warn(&mut self, remarked: Remarked) {
        self.remark(Severity::Warning, remarked);
    }

    fn remark(&mut self, severity: Severity, remarked: Remarked) {
        let Remarked { spot, code, said, suffix: _, help } = remarked;
        let said: String = said.chars().map(printable).collect();
        let full = self.config.remarks.len() >= DIAGNOSTICS_MAX;
        if full || !self.seen.insert((spot, said.clone())) {
            return;
        }
        let diagnostic = Diagnostic {
            severity,
            code: code.into(),
            message: said.into(),
            line: None,
            place: self.place(spot),
            help: help.map(ToString::to_string),
        };
        self.config.remarks.push(Remark { file: spot.file, diagnostic });
    }

    /// As `remark`, for a warning with a help that is made up for it.
    pub fn warn_helped(&mut self, spot: Spot, code: &'static str, said: String, help: String) {
        let before = self.config.remarks.len();
        self.warn(Remarked { spot, code, said, suffix: "", help: None });
        if let Some(remark) = self.config.remarks.get_mut(before) {
            remark.diagnostic.help = Some(help);
        }
    }

    fn place(&self, spot: Spot) -> Place {
        let Some(begins) = self.lines.get(spot.file) else { return Place::default() };
        let line = begins.partition_point(|at| *at <= spot.start).max(1);
        let begin = begins.get(line - 1).copied().unwrap_or(0);
        let bytes = self.config.files.get(spot.file).map_or(&[][..], |file| &file.bytes);
        let before = bytes.get(begin..spot.start).unwrap_or_default();
        let column = 1 + String::from_utf8_lossy(before).chars().count();
        Place {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            start: spot.start,
            end: spot.end,
        }
    }

    /// Reads one file into the rest.
    fn source(&mut self, path: &str, bytes: &[u8]) {
        let file = self.config.files.len();
        self.config.files.push(Source { path: path.to_string(), bytes: bytes.to_vec() });
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        self.lines.push([0].into_iter().chain(ends.map(|(at, _)| at + 1)).collect());
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let (spot, said) = undecodable(file, bytes, error);
                let help = Some("write the file in UTF-8");
                self.fail(Remarked { spot, code: "not-utf8", said, suffix: "", help });
                return;
            }
        };
        let known: BTreeSet<String> = self.ini.sections().map(|one| one.name.clone()).collect();
        for fault in self.ini.read(file, path, text) {
            if self.config.refusal.is_none() {
                self.config.refusal = Some(fault.refusal);
            }
            let (said, help) = match fault.no_section {
                true => ("File contains no section headers.", no_section_help(text)),
                false => (
                    "Source contains parsing errors",
                    "write `key = value`, or `;` before a comment",
                ),
            };
            let said = String::from(said);
            let spot = fault.spot;
            self.remark(
                Severity::Error,
                Remarked { spot, code: "syntax", said, suffix: "", help: Some(help) },
            );
        }
        if file > 0 {
            let new = self.ini.sections().filter(|section| !known.contains(&section.name));
            let new: Vec<String> = new.map(|section| section.name.clone()).collect();
            self.origins.extend(new.into_iter().map(|name| (name, file)));
        }
    }

    /// Reads the configuration and what `[include]` names.
    fn files(&mut self, file: &[u8]) {
        let facts = self.inquiry.facts;
        self.source(&facts.path, file);
        let Some(section) = self.ini.section("include") else { return };
        let spot = section.spot;
        self.ini.expand_here(&facts.here);
        let Some(value) = self.ini.get("include", "files").cloned() else {
            let said = String::from(".ini file has [include] section, but no files setting");
            let help = Some("add `files = PATTERN`");
            return self.fail(Remarked { spot, code: "missing-key", said, suffix: "", help });
        };
        let mut names = self.environment.clone();
        names.extend([word("here", &facts.here), word("host_node_name", &facts.host)]);
        let patterns = match expand(&value.text, &names, "include.files") {
            Ok(patterns) => patterns,
            Err(said) => {
                let spot = value.spot;
                return self.fail(Remarked { spot, code: "names", said, suffix: "", help: None });
            }
        };
        for pattern in patterns.split(is_space).filter(|pattern| !pattern.is_empty()) {
            self.include(&join(&facts.here, pattern), value.spot);
        }
    }

    fn include(&mut self, pattern: &str, spot: Spot) {
        let Some(found) = self.inquiry.files(pattern) else { return };
        if found.is_empty() {
            let said = format!("No file matches via include \"{pattern}\"");
            self.config.warnings.push(said.clone());
            self.warn(Remarked { spot, code: "no-file", said, suffix: "", help: None });
        }
        let mut found: Vec<_> = found.iter().collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        for file in found {
            if self.config.files.len() > FILES_MAX {
                let said = format!("[include] brings in more than {FILES_MAX} files");
                return self.fail(Remarked {
                    spot,
                    code: "too-much",
                    said,
                    suffix: "",
                    help: None,
                });
            }
            let path = &file.path;
            self.config.notices.push(format!("Included extra file \"{path}\" during parsing"));
            match &file.bytes {
                Some(bytes) => self.source(path, bytes),
                None => {
                    let said = format!("{path} cannot be read");
                    let help = Some("the original passes over it without a word");
                    self.warn(Remarked { spot, code: "unreadable", said, suffix: "", help });
                }
            }
            self.ini.expand_here(parent(path));
        }
    }

    /// Returns a value with its names replaced; where nothing is said, the default. `None` where
    /// there is neither, or an error, which is noted.
    pub fn value(
        &mut self,
        section: &str,
        key: &Key,
        names: &Names,
        suffix: &str,
    ) -> Option<(String, Spot)> {
        let own = self.ini.section(section);
        let given = own.and_then(|own| self.ini.get_in(own, key.key));
        let spot = given.map(|value| value.spot).or(own.map(|own| own.spot));
        let spot = spot.unwrap_or(Spot { file: 0, start: 0, end: 0 });
        let raw = given.map(|value| value.text.clone()).or(key.default.map(ToString::to_string))?;
        if !raw.contains('%') {
            // Most have nothing to replace.
            return Some((raw, spot));
        }
        let label = format!("{section}.{}", key.key);
        let expanded = match key.scope {
            Scope::Raw => Ok(raw),
            Scope::ProcessBare => expand(&raw, names, key.key),
            Scope::ProcessTwice => {
                expand(&raw, names, &label).and_then(|text| expand(&text, names, key.key))
            }
            Scope::HereTwice => expand(&raw, names, &label).and_then(|text| {
                let mut names = names.clone();
                names.extend([word("host_node_name", &self.inquiry.facts.host)]);
                expand(&text, &names, key.key)
            }),
            Scope::Environment | Scope::Here | Scope::Socket | Scope::Program | Scope::Process => {
                expand(&raw, names, &label)
            }
        };
        match expanded {
            Ok(text) => Some((text, spot)),
            Err(said) => {
                let remarked = Remarked { spot, code: "names", said, suffix: "", help: None };
                self.fail_with(remarked, suffix);
                None
            }
        }
    }

    /// Reads a value by its row; an error is noted.
    pub fn apply(
        &mut self,
        section: &str,
        key: &Key,
        names: &Names,
        suffix: &str,
        read: impl FnOnce(&mut Given<'_, 'a>) -> Result<(), String>,
    ) {
        let Some((text, spot)) = self.value(section, key, names, suffix) else { return };
        let inquiry = &mut self.inquiry;
        if let Err(said) = read(&mut Given { section, text: &text, inquiry }) {
            let remarked = Remarked { spot, code: "value", said, suffix: "", help: None };
            self.fail_with(remarked, suffix);
        }
    }

    /// Returns the names of the environment and `here`.
    pub fn here(&self) -> Names {
        let mut names = self.environment.clone();
        names.extend([word("here", &self.inquiry.facts.here)]);
        names
    }

    fn daemon(&mut self) {
        let names = self.here();
        let mut daemon = self.config.daemon.clone();
        for key in OPTIONS {
            if let Read::Daemon(read) = key.read {
                self.apply("supervisord", key, &names, "", |v| read(&mut daemon, v));
            }
        }
        let facts = self.inquiry.facts;
        for (key, text) in &facts.given {
            if let Err(said) = set(&mut daemon, key, text, &mut self.inquiry) {
                let spot = Spot { file: 0, start: 0, end: 0 };
                self.fail(Remarked { spot, code: "value", said, suffix: "", help: None });
            }
        }
        let rows = daemon.environment.iter();
        self.environment.extend(rows.map(|(key, value)| variable(key, value)));
        self.config.daemon = daemon;
    }

    fn interfaces(&mut self) {
        let sections: Vec<Section> = self
            .ini
            .sections()
            .filter(|one| one.name.starts_with("rpcinterface:"))
            .cloned()
            .collect();
        for section in &sections {
            if let Some(plugin) = self.plugin(section, Kind::Interface) {
                self.config.interfaces.push(plugin);
            }
        }
    }

    /// Reads a section that names Python code.
    fn plugin(&mut self, section: &Section, kind: Kind) -> Option<Plugin> {
        let key = OPTIONS.iter().find(|key| key.section == kind)?;
        let environment = self.environment.clone();
        let name = &section.name;
        if self.ini.get(name, key.key).is_none() {
            let said = format!("section [{name}] does not specify a {}", key.key);
            let help = Some("`supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface` is the one that is known");
            let spot = section.spot;
            self.fail(Remarked { spot, code: "missing-key", said, suffix: "", help });
            return None;
        }
        let (factory, _) = self.value(name, key, &environment, "")?;
        let rows: Vec<(String, String, Spot)> = {
            let rows = self.ini.keys(section).filter(|(other, _)| *other != key.key);
            rows.map(|(key, value)| (key.to_string(), value.text.clone(), value.spot)).collect()
        };
        let mut arguments = Vec::new();
        for (key, raw, spot) in rows {
            match expand(&raw, &environment, &format!("{name}.{key}")) {
                Ok(text) => arguments.push((key, text)),
                Err(said) => {
                    self.fail(Remarked { spot, code: "names", said, suffix: "", help: None });
                }
            }
        }
        let short = name.split_once(':').map_or("", |parts| parts.1).to_string();
        Some(Plugin { name: short, factory, arguments })
    }

    fn servers(&mut self) {
        for (kind, missing) in [(Kind::Inet, "port"), (Kind::Unix, "file")] {
            let of_kind = self.ini.sections().filter(|one| one.name.starts_with(kind.head()));
            let sections: Vec<Section> = of_kind.cloned().collect();
            for section in &sections {
                self.server(section, kind, missing);
            }
        }
    }

    fn server(&mut self, section: &Section, kind: Kind, wanted: &'static str) {
        let name = section.name.clone();
        let environment = self.environment.clone();
        let here = self.here();
        let mut server = Server {
            section: name.clone(),
            name: name.split_once(':').map(|parts| parts.1.to_string()),
            listen: Listen::Inet { host: String::new(), port: 0 },
            login: None,
            access: Access::default(),
        };
        let (mut username, mut password) = (None, None);
        for key in OPTIONS.iter().filter(|key| key.section == kind) {
            let names = if key.scope == Scope::Here { &here } else { &environment };
            if key.key == wanted && self.ini.get(&name, wanted).is_none() {
                let said = format!("section [{name}] has no {wanted} value");
                let spot = section.spot;
                self.fail(Remarked { spot, code: "missing-key", said, suffix: "", help: None });
            } else if let Read::Server(read) = key.read {
                self.apply(&name, key, names, "", |v| read(&mut server, v));
            } else {
                let text = self.value(&name, key, names, "").map(|(text, _)| text);
                match key.key {
                    "username" => username = text,
                    _ => {
                        password = text;
                        self.check_login(section, username.is_some(), password.is_some());
                    }
                }
            }
        }
        server.login = username.zip(password);
        self.config.servers.push(server);
    }

    fn check_login(&mut self, section: &Section, username: bool, password: bool) {
        if username != password {
            let name = &section.name;
            let said = format!(
                "Section [{name}] contains incomplete authentication: If a username or a password is \
                 specified, both the username and password must be specified"
            );
            let spot = section.spot;
            self.fail(Remarked { spot, code: "login", said, suffix: "", help: None });
        }
    }

    /// Checks the daemon's own user, which the original does when all the rest is read.
    fn user(&mut self) {
        let Some(user) = self.config.daemon.user.clone() else { return };
        let section = "supervisord";
        let found = Given { section, text: &user, inquiry: &mut self.inquiry }.user();
        if let Err(said) = found {
            let value = self.ini.get(section, "user");
            let spot = value.map_or(Spot { file: 0, start: 0, end: 0 }, |value| value.spot);
            self.fail(Remarked { spot, code: "value", said, suffix: "", help: None });
        }
    }

    /// Reads what supervisorctl reads; what it would refuse is only a warning to the daemon.
    fn client(&mut self) -> (Client, Vec<Remarked>) {
        let mut client = Client {
            serverurl: String::from("http://localhost:9001"),
            prompt: String::from("supervisor"),
            username: None,
            password: None,
            history_file: None,
        };
        let section = "supervisorctl";
        // The client does not know what `[supervisord]` adds to the environment.
        let rows = self.inquiry.facts.environment.iter();
        let environment: Names = rows.map(|(key, value)| variable(key, value)).collect();
        let mut here = environment.clone();
        here.extend([word("here", &self.inquiry.facts.here)]);
        let mut refused = Vec::new();
        for key in OPTIONS {
            let Read::Client(read) = key.read else { continue };
            let names = if key.scope == Scope::Here { &here } else { &environment };
            let given = self.ini.get(section, key.key);
            let Some(raw) = given.map(|value| value.text.as_str()).or(key.default) else {
                continue;
            };
            let spot = given.map_or(Spot { file: 0, start: 0, end: 0 }, |value| value.spot);
            let text = expand(raw, names, &format!("{section}.{}", key.key));
            let inquiry = &mut self.inquiry;
            let done = text
                .and_then(|text| read(&mut client, &mut Given { section, text: &text, inquiry }));
            if let Err(said) = done {
                refused.push(Remarked {
                    spot,
                    code: "client",
                    said,
                    suffix: "",
                    help: Some("supervisorctl refuses this"),
                });
            }
        }
        (client, refused)
    }
}

impl Daemon {
    fn new(facts: &Facts) -> Daemon {
        Daemon {
            minfds: 0,
            minprocs: 0,
            directory: None,
            user: None,
            umask: 0,
            logfile: String::new(),
            logfile_maxbytes: 0,
            logfile_backups: 0,
            loglevel: 0,
            pidfile: String::new(),
            identifier: String::new(),
            nodaemon: false,
            silent: false,
            childlogdir: facts.temporary.clone(),
            nocleanup: false,
            strip_ansi: false,
            restart_budget: None,
            environment: Vec::new(),
            log_mode: None,
            log_owner: None,
        }
    }
}

impl Config {
    fn new(facts: &Facts) -> Config {
        let daemon = Daemon::new(facts);
        Config {
            daemon,
            servers: Vec::new(),
            groups: Vec::new(),
            interfaces: Vec::new(),
            refusal: None,
            warnings: Vec::new(),
            notices: Vec::new(),
            remarks: Vec::new(),
            files: Vec::new(),
            wants: BTreeSet::new(),
        }
    }
}

/// What quotes a file must not command a terminal.
fn printable(char: char) -> char {
    match char {
        '\n' | '\t' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    }
}

/// Returns a row of the names.
pub(super) fn word(name: &str, text: &str) -> (Rc<str>, Word) {
    (name.into(), Word::Text(text.into()))
}

/// Returns the row of a variable.
pub(super) fn variable(key: &str, value: &str) -> (Rc<str>, Word) {
    word(&format!("ENV_{key}"), value)
}

fn no_section_help(text: &str) -> &'static str {
    match text.starts_with('\u{feff}') {
        true => "the file begins with a byte order mark; take it out",
        false => "put `[program:NAME]` or another section before the first key",
    }
}

/// Returns where bytes are not UTF-8 and what Python says of it.
fn undecodable(file: usize, bytes: &[u8], error: core::str::Utf8Error) -> (Spot, String) {
    let start = error.valid_up_to();
    let length = error.error_len().unwrap_or(bytes.len().saturating_sub(start)).max(1);
    let first = bytes.get(start).copied().unwrap_or(0);
    let why = match (error.error_len(), first) {
        (None, _) => "unexpected end of data",
        (Some(_), 0xc2..=0xf4) => "invalid continuation byte",
        (Some(_), _) => "invalid start byte",
    };
    let at = start % CHUNK;
    let what = match length {
        1 => format!("byte 0x{first:02x} in position {at}"),
        _ => format!("bytes in position {at}-{}", at + length - 1),
    };
    let spot = Spot { file, start, end: start + length };
    (spot, format!("'utf-8' codec can't decode {what}: {why}"))
}

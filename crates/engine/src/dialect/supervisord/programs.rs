//! Programs and their groups.

use super::config::{
    Group, GroupKind, LogFile, Output, Pool, Program, Restart, Socket, SocketPlace,
};
use super::expand::{expand, Names, Word};
use super::facts::{normal, Extent};
use super::ini::{Section, Spot};
use super::options::{FastCgi, Key, Kind, Read, Scope, OPTIONS};
use super::python::repr;
use super::read::{variable, word, Reading, Remarked};
use super::value::{self, Given};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How many processes one configuration may have; the original counts as far as memory goes.
pub const PROCESSES_MAX: usize = 20_000;

/// The original's own judge of what listeners answer.
pub(super) const DEFAULT_HANDLER: &str = "supervisor.dispatchers:default_handler";

/// Reads all groups: those that are named, then what stands alone.
pub(super) fn read(reading: &mut Reading<'_>) {
    let mut taken = BTreeSet::new();
    let mut groups = Vec::new();
    for section in of_kind(reading, Kind::Group) {
        groups.extend(reading.group(&section, &mut taken));
    }
    for kind in [Kind::Program, Kind::Listener, Kind::FastCgi] {
        for section in of_kind(reading, kind) {
            if kind == Kind::Listener || !taken.contains(&section.name) {
                groups.extend(reading.alone(&section, kind));
            }
        }
    }
    for group in &mut groups {
        for program in &mut group.programs {
            let own = core::mem::take(&mut program.environment);
            program.environment = merged(&reading.config.daemon.environment, own);
        }
    }
    groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    reading.config.groups = groups;
}

fn of_kind(reading: &Reading<'_>, kind: Kind) -> Vec<Section> {
    let all = reading.ini.sections().filter(|section| Kind::of(&section.name) == Some(kind));
    all.cloned().collect()
}

fn merged(base: &[(String, String)], own: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut all = base.to_vec();
    for (key, value) in own {
        match all.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => all.push((key, value)),
        }
    }
    all
}

fn short(section: &str) -> &str {
    section.split_once(':').map_or("", |parts| parts.1)
}

impl Reading<'_> {
    fn group(&mut self, section: &Section, taken: &mut BTreeSet<String>) -> Option<Group> {
        let mut group = self.named(section, GroupKind::Programs)?;
        let names = self.here();
        let mut members = Vec::new();
        for key in OPTIONS.iter().filter(|key| key.section == Kind::Group) {
            if key.key == "programs" {
                members = self.members(section, key, &names);
            } else {
                self.group_key(&mut group, section, key, &names);
            }
        }
        // The original's variable for the section is overwritten by each member that it finds.
        let mut blamed = section.name.clone();
        for (member, spot) in members {
            let found = ["program:", "fcgi-program:"].map(|head| {
                let name = format!("{head}{member}");
                self.ini.section(&name).cloned()
            });
            let said = match found {
                [Some(one), None] | [None, Some(one)] => {
                    taken.insert(one.name.clone());
                    blamed.clone_from(&one.name);
                    let programs = self.processes(&one, &group.name);
                    group.programs.extend(programs);
                    continue;
                }
                [None, None] => {
                    format!("[{blamed}] names unknown program or fcgi-program {member}")
                }
                [Some(_), Some(_)] => {
                    format!(
                        "[{blamed}] name {member} is ambiguous (exists as program and fcgi-program)"
                    )
                }
            };
            let remarked = Remarked { spot, code: "member", said, suffix: "", help: None };
            match self.inquiry.facts.extent {
                Extent::Whole => self.fail(remarked),
                Extent::Part => {
                    let help = Some("another file may have it");
                    self.warn(Remarked { help, ..remarked });
                }
            }
        }
        Some(group)
    }

    fn members(&mut self, section: &Section, key: &Key, names: &Names) -> Vec<(String, Spot)> {
        let Some((text, spot)) = self.value(&section.name, key, names, "") else {
            return Vec::new();
        };
        let given = Given { section: &section.name, text: &text, inquiry: &mut self.inquiry };
        given.list().into_iter().map(|member| (member, spot)).collect()
    }

    /// Begins a group by its name.
    fn named(&mut self, section: &Section, kind: GroupKind) -> Option<Group> {
        let given = short(&section.name);
        let name = match kind {
            // The original does not look at the name of a pool, only at that of its program.
            GroupKind::Listeners(_) => Ok(given.to_string()),
            GroupKind::Programs | GroupKind::FastCgi(_) => value::name(given),
        };
        match name {
            Ok(name) => Some(Group { name, priority: 0, kind, programs: Vec::new() }),
            Err(said) => {
                let spot = section.spot;
                self.fail(Remarked { spot, code: "name", said, suffix: "", help: None });
                None
            }
        }
    }

    /// Reads the group's own priority. A program's priority is also that of the group which it forms.
    fn group_key(&mut self, group: &mut Group, section: &Section, key: &Key, names: &Names) {
        if let Read::Group(read) = key.read {
            self.apply(&section.name, key, names, "", |v| read(group, v));
        }
    }

    fn priority(&mut self, group: &mut Group, section: &Section) {
        let names = self.here();
        let listeners = matches!(group.kind, GroupKind::Listeners(_));
        if listeners && self.ini.get(&section.name, "priority").is_none() {
            group.priority = -1;
            return;
        }
        let row = OPTIONS.iter().find(|key| key.section == Kind::Group && key.key == "priority");
        if let Some(key) = row {
            self.group_key(group, section, key, &names);
        }
    }

    /// Reads a program that forms a group of its own.
    fn alone(&mut self, section: &Section, kind: Kind) -> Option<Group> {
        let pool = Pool {
            buffer_size: 0,
            events: BTreeSet::new(),
            result_handler: String::from(DEFAULT_HANDLER),
        };
        let special = match kind {
            Kind::Listener => GroupKind::Listeners(pool),
            _ => GroupKind::Programs,
        };
        let mut group = self.named(section, special)?;
        self.priority(&mut group, section);
        if let GroupKind::Listeners(pool) = &mut group.kind {
            self.pool(pool, section);
        }
        if kind == Kind::FastCgi {
            let socket = self.socket(section, &group.name);
            group.kind = socket.map_or(GroupKind::Programs, GroupKind::FastCgi);
        }
        group.programs = self.processes(section, &group.name.clone());
        Some(group)
    }

    fn pool(&mut self, pool: &mut Pool, section: &Section) {
        let names = self.here();
        for key in OPTIONS {
            if let Read::Pool(read) = key.read {
                self.apply(&section.name, key, &names, "", |v| read(pool, v));
            }
        }
        let Some(key) = OPTIONS.iter().find(|key| key.key == "redirect_stderr") else { return };
        let name = &section.name;
        self.apply(name, key, &names, "", |v| match v.boolean()? {
            false => Ok(()),
            true => Err(format!(
                "[{name}] section sets redirect_stderr=true but this is not allowed because it will \
                 interfere with the eventlistener protocol"
            )),
        });
    }

    fn socket(&mut self, section: &Section, program: &str) -> Option<Socket> {
        let names = self.here();
        let mut given = FastCgi::default();
        if let Some(key) =
            OPTIONS.iter().find(|key| key.section == Kind::Program && key.key == "user")
        {
            self.apply(&section.name, key, &names, "", |v| {
                given.user = v.user().map(|user| Some((user.uid, user.gid)))?;
                Ok(())
            });
        }
        for key in OPTIONS {
            if let Read::FastCgi(read) = key.read {
                self.apply(&section.name, key, &names, "", |v| read(&mut given, v));
            }
        }
        let mut names = names;
        names.extend([word("program_name", program)]);
        let key = OPTIONS.iter().find(|key| key.key == "socket")?;
        let found = self.value(&section.name, key, &names, "");
        let refused = found.is_none() && self.ini.get(&section.name, "socket").is_some();
        let (text, spot) = found.unwrap_or((String::new(), section.spot));
        if refused {
            return None;
        }
        let name = &section.name;
        let said = match text.is_empty() {
            true => format!("[{name}] section requires a \"socket\" line"),
            false => match socket_place(&text, &given, self.inquiry.facts.uid) {
                Ok(listen) => return Some(Socket { listen, backlog: given.backlog }),
                Err(said) => format!("{said} in [{name}] socket"),
            },
        };
        let help = Some("`tcp://HOST:PORT` or `unix:///PATH`");
        self.fail(Remarked { spot, code: "socket", said, suffix: "", help });
        None
    }

    /// Reads a program and makes its processes.
    fn processes(&mut self, section: &Section, group: &str) -> Vec<Program> {
        let origin = self.origins.get(&section.name).and_then(|file| self.config.files.get(*file));
        let path = origin.map_or(&self.inquiry.facts.path, |file| &file.path);
        let suffix = format!(" in section {} (file: {})", repr(&section.name), repr(path));
        let errors = self.config.remarks.len();
        let program_name = match value::name(short(&section.name)) {
            Ok(name) => name,
            Err(said) => {
                let spot = section.spot;
                self.fail_with(
                    Remarked { spot, code: "name", said, suffix: "", help: None },
                    &suffix,
                );
                return Vec::new();
            }
        };
        let facts = self.inquiry.facts;
        let common = [
            word("here", &facts.here),
            word("program_name", &program_name),
            word("host_node_name", &facts.host),
            word("group_name", group),
        ];
        let mut names = self.environment.clone();
        names.extend(common);
        let mut program = Program::new(section);
        for key in OPTIONS.iter().filter(|key| !is_process(key)) {
            if let Read::Program(read) = key.read {
                self.apply(&section.name, key, &names, &suffix, |v| read(&mut program, v));
            }
        }
        self.together(&mut program, section, &suffix);
        let mut programs = Vec::new();
        for number in 0..program.numprocs {
            let made: usize = self.config.groups.iter().map(|group| group.programs.len()).sum();
            if made + programs.len() >= PROCESSES_MAX {
                let said = format!("more than {PROCESSES_MAX} processes");
                let spot = section.spot;
                self.fail_with(
                    Remarked { spot, code: "too-much", said, suffix: "", help: None },
                    &suffix,
                );
                break;
            }
            if number > 0 {
                // What the one before was given stays, but for what everybody has.
                names
                    .extend(self.environment.iter().map(|(key, word)| (key.clone(), word.clone())));
            }
            let number = program.numprocs_start.saturating_add(number);
            programs.extend(self.process(&program, section, number, &mut names, &suffix));
            if self.config.remarks.len() > errors + 20 {
                // The rest of many processes would say the same again.
                break;
            }
        }
        programs.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        programs
    }

    /// Checks what keys of one program say together.
    fn together(&mut self, program: &mut Program, section: &Section, suffix: &str) {
        let name = &section.name;
        if self.ini.get(name, "killasgroup").is_none() {
            program.killasgroup = program.stopasgroup;
        }
        if program.numprocs > 1 && !program.process_name.contains("%(process_num)") {
            let spot = self.spot(section, "numprocs");
            let said = "%(process_num) must be present within process_name when numprocs > 1";
            let help = Some("process_name = %(program_name)s_%(process_num)02d");
            let said = String::from(said);
            self.fail_with(Remarked { spot, code: "numprocs", said, suffix: "", help }, suffix);
        }
        if program.stopasgroup && !program.killasgroup {
            let spot = self.spot(section, "killasgroup");
            let said = String::from("Cannot set stopasgroup=true and killasgroup=false");
            self.fail_with(Remarked { spot, code: "group", said, suffix: "", help: None }, suffix);
        }
    }

    /// Returns where a value stands, or its section where it is not given.
    fn spot(&self, section: &Section, key: &str) -> Spot {
        self.ini.get(&section.name, key).map_or(section.spot, |value| value.spot)
    }

    fn process(
        &mut self,
        program: &Program,
        section: &Section,
        number: i64,
        names: &mut Names,
        suffix: &str,
    ) -> Option<Program> {
        let mut one = program.clone();
        let numbers = [("process_num", number), ("numprocs", program.numprocs)];
        names.extend(numbers.map(|(name, number)| (name.into(), Word::Number(number))));
        for key in OPTIONS.iter().filter(|key| is_process(key)) {
            let Read::Program(read) = key.read else { continue };
            self.apply(&section.name, key, names, suffix, |v| read(&mut one, v));
            match key.key {
                "environment" => {
                    names.extend(one.environment.iter().map(|(key, value)| variable(key, value)));
                }
                "stdout_syslog" => self.log_file(&mut one.stdout, section, "stdout"),
                "stderr_syslog" => {
                    self.log_file(&mut one.stderr, section, "stderr");
                    self.redirect(&mut one, section);
                }
                _ => {}
            }
        }
        if self.ini.get(&section.name, "command").is_none() {
            let said = format!("program section {} does not specify a command", section.name);
            let spot = section.spot;
            let help = Some("add `command = ...`");
            self.fail_with(Remarked { spot, code: "missing-key", said, suffix: "", help }, suffix);
        }
        if let Err(why) = crate::command::words(&one.command) {
            let spot = self.spot(section, "command");
            let said = format!("the command cannot be split: {why}");
            let help = Some("a `;` or `#` behind a blank begins a comment, also within quotes");
            self.warn(Remarked { spot, code: "command", said, suffix: "", help });
        }
        let spot = self.spot(section, "process_name");
        match expand(&one.process_name, names, "process_name") {
            Ok(name) => {
                one.name = name;
                Some(one)
            }
            Err(said) => {
                self.fail_with(
                    Remarked { spot, code: "names", said, suffix: "", help: None },
                    suffix,
                );
                None
            }
        }
    }

    /// Warns of what the original warns of, and settles the old way to say syslog.
    fn log_file(&mut self, output: &mut Output, section: &Section, which: &str) {
        let key = format!("{which}_logfile");
        let name = &section.name;
        let said = match output.logfile {
            LogFile::Syslog => {
                output.logfile = LogFile::None;
                output.syslog = true;
                format!(
                    "For [{name}], {key}=syslog but this is deprecated and will be removed.  \
                     Use {which}_syslog=true to enable syslog instead."
                )
            }
            LogFile::Auto if output.maxbytes == 0 => format!(
                "For [{name}], AUTO logging used for {key} without rollover, set maxbytes > 0 to \
                 avoid filling up filesystem unintentionally"
            ),
            LogFile::Auto | LogFile::None | LogFile::Path(_) => return,
        };
        self.logged(said, self.spot(section, &key));
    }

    fn redirect(&mut self, program: &mut Program, section: &Section) {
        if !program.redirect_stderr {
            return;
        }
        if let LogFile::Path(_) = program.stderr.logfile {
            let said = format!(
                "For [{}], redirect_stderr=true but stderr_logfile has also been set to a filename, \
                 the filename has been ignored",
                section.name
            );
            self.logged(said, self.spot(section, "stderr_logfile"));
        }
        program.stderr.logfile = LogFile::None;
    }

    /// Notes a warning that the original writes into its log.
    fn logged(&mut self, said: String, spot: Spot) {
        self.config.warnings.push(said.clone());
        self.warn(Remarked { spot, code: "logged", said, suffix: "", help: None });
    }
}

/// Reports whether a key is read for each process anew.
fn is_process(key: &Key) -> bool {
    match key.scope {
        Scope::Process | Scope::ProcessTwice | Scope::ProcessBare => true,
        Scope::Environment
        | Scope::Here
        | Scope::HereTwice
        | Scope::Socket
        | Scope::Program
        | Scope::Raw => false,
    }
}

fn socket_place(text: &str, given: &FastCgi, uid: u32) -> Result<SocketPlace, String> {
    if let Some(path) = text.strip_prefix("unix://") {
        if !path.starts_with('/') {
            let path = repr(path);
            return Err(format!("('Unix socket path %s is not an absolute path', {path})"));
        }
        let own = given.user.filter(|user| user.0 != uid);
        let own = own.map(|(uid, gid)| super::config::Owner { uid, gid: Some(gid) });
        let mode = given.mode.unwrap_or(0o700);
        let owner = given.owner.or(own);
        return Ok(SocketPlace::Unix { path: normal(path), mode, owner });
    }
    if given.owner.is_some() || given.mode.is_some() {
        let why =
            "socket_owner and socket_mode params should only be used with a Unix domain socket";
        return Err(String::from(why));
    }
    let bad = || format!("('Bad socket format %s', {})", repr(text));
    let rest = text.strip_prefix("tcp://").ok_or_else(bad)?;
    let (host, port) = rest.split_once(':').ok_or_else(bad)?;
    let blank = host.is_empty() || host.chars().any(super::python::is_space);
    if blank || port.is_empty() || !port.chars().all(|char| char.is_ascii_digit()) {
        return Err(bad());
    }
    Ok(SocketPlace::Tcp { host: host.to_lowercase(), port: value::port(port)? })
}

impl Program {
    fn new(section: &Section) -> Program {
        let output = Output {
            logfile: LogFile::Auto,
            maxbytes: 0,
            backups: 0,
            syslog: false,
            capture_maxbytes: 0,
            events_enabled: false,
        };
        Program {
            section: section.name.clone(),
            name: String::new(),
            command: String::new(),
            directory: None,
            umask: None,
            priority: 0,
            autostart: false,
            autorestart: Restart::Never,
            startsecs: 0,
            startretries: 0,
            stanzas: String::new(),
            backoff_delay: 0,
            backoff_cap: 0,
            backoff_factor: None,
            restart_pace: 0,
            cgroups: Vec::new(),
            exitcodes: Vec::new(),
            stopsignal: None,
            stopwaitsecs: 0,
            stopasgroup: false,
            killasgroup: false,
            user: None,
            redirect_stderr: false,
            stdout: output.clone(),
            stderr: output,
            environment: Vec::new(),
            serverurl: None,
            process_name: String::new(),
            numprocs: 0,
            numprocs_start: 0,
        }
    }
}

//! The programs of Supervisor's configuration: read, told to the machine, and what `[supervisord]` says.

use super::chronicle::Chronicle;
use super::groups::{groups_of, Group};
use super::outputs;
use super::startup::Refused;
use super::talk::Grade;
use super::Daemon;
use crate::options::Mode;
use crate::proposal::Proposal;
use crate::supervisord::front::Read;
use crate::supervisord::options::NAME;
use crate::supervisord::{front, plain};
use engine::dialect::supervisord::{
    self, is_foreign_descriptor, Config, LogFile as Log, Plugin, Program, Server, MAIN_INTERFACE,
};
use engine::keeper::{held, ToKeeper};
use engine::logroute::{encode, Forward, LogFile, LogRoute, ToLogger};
use engine::machine::{Effect, Input, Level};
use engine::process::Stream;
use engine::spec::OnFull;
use engine::text::Text;
use engine::treat::Treatment;
use shown::words::system as words;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use sys::{background, memfd, seqpacket};

/// The value of `logfile` that is no file.
const SYSLOG: &str = "syslog";

/// What is known of Supervisor's configuration.
#[derive(Debug, Default)]
pub struct Programs {
    /// What `[supervisord]` said when everything began, where we stand in for its daemon.
    own: Option<supervisord::Daemon>,
    /// The reading end of our own log, for each new logger.
    log: Option<OwnedFd>,
    /// The files as they were read for us, which we may not read ourselves.
    read: Option<Proposal>,
    /// What was read last.
    pub(super) pending: Option<Vec<Group>>,
}

impl Daemon {
    /// Takes what an earlier daemon had the keeper hold.
    pub(super) fn take_programs(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        let own = held.remove(&held::PROGRAMS).and_then(|fd| memfd::read_all(fd).ok());
        self.programs.own = own.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(own) = self.programs.own.clone() {
            self.take_autologs(&own, held);
        }
        self.allow_restarts();
        let read = held.remove(&held::READ).and_then(|fd| memfd::read_all(fd).ok());
        self.programs.read = read.map(|bytes| Read::unpacked(&bytes));
        self.programs.log = held.remove(&held::LOG_READ);
        let end = held.remove(&held::LOG);
        if let (Some(own), Some(end)) = (&self.programs.own, end) {
            self.chronicle = Some(Chronicle::new(end, own.loglevel));
        }
    }

    /// Reads the configuration, begins the log and tells the machine of the programs. Where it is wrong
    /// everything ends, as nothing has begun.
    pub(super) fn begin_programs(&mut self, effects: &mut Vec<Effect>) -> Result<(), Refused> {
        let mut pending: Vec<Group> = Vec::new();
        let mut servers: Vec<Server> = Vec::new();
        let mut interfaces: Vec<Plugin> = Vec::new();
        let mut identifier = None;
        let alone = self.settings.options.mode == Mode::Supervisord;
        let read = self.programs.read.clone().unwrap_or_default();
        for given in self.settings.programs.clone() {
            let config = match given.read_with(&read) {
                Ok(config) => config,
                Err(mistake) if !alone => {
                    self.say(Level::Error, &mistake);
                    continue;
                }
                Err(mistake) => return Err(self.refuse(&mistake)),
            };
            self.stand_in(&config);
            self.warn_of_wants(&config);
            self.warn_of_what_is_not_there(&config);
            let (groups, wrong) = groups_of(&config);
            wrong.iter().for_each(|line| self.say(Level::Error, line));
            let groups = self.without_those_taken(groups);
            for spec in groups.iter().flat_map(|group| &group.jobs) {
                self.handle(Input::Define(spec.clone()), effects);
            }
            pending.extend(groups);
            servers.extend(config.servers);
            interfaces.extend(config.interfaces);
            identifier.get_or_insert(config.daemon.identifier);
        }
        let pools = pending.iter().filter_map(|group| group.pool.clone()).collect();
        self.add_pools(pools, effects);
        self.programs.pending = Some(pending);
        if let Some(identifier) = identifier {
            let served = self.serve_http(&identifier, &servers, effects);
            match served {
                Err(mistake) if alone => return Err(self.refuse(&mistake)),
                Err(mistake) => self.say(Level::Error, &mistake),
                Ok(()) => {}
            }
            self.say_what_servers_have(&interfaces, &servers);
        }
        self.write_pidfile();
        Ok(())
    }

    /// Lets go of the files as they were read for us: what is read from now on is what is there.
    pub(super) fn forget_read(&mut self) {
        if self.programs.read.take().is_some() {
            self.link.send(&ToKeeper::Drop { key: held::READ }, &[]);
        }
    }

    /// Says what of a configuration has no effect here.
    fn warn_of_what_is_not_there(&self, config: &Config) {
        for Plugin { name, factory, .. } in &config.interfaces {
            if factory != MAIN_INTERFACE {
                let line = format!(
                    "[rpcinterface:{name}]: {factory} does not run, as there is no Python here"
                );
                self.say(Level::Warn, &line);
            }
        }
        let own = [("supervisord", "logfile", config.daemon.logfile.as_str())];
        let programs = config.groups.iter().flat_map(|group| &group.programs);
        let logs = own.into_iter().chain(programs.flat_map(logs_of));
        for (section, key, path) in logs.filter(|(.., path)| is_foreign_descriptor(path)) {
            let line = format!(
                "[{section}]: {key}={path}: nothing is kept there, as of our descriptors only 1 and 2 \
                 are for output"
            );
            self.say(Level::Warn, &line);
        }
    }

    /// Does what Supervisor's daemon does before it starts programs, where we stand in for it.
    fn stand_in(&mut self, config: &Config) {
        if self.settings.options.mode == Mode::Supervisord {
            self.programs.own = Some(config.daemon.clone());
            self.allow_restarts();
            self.hold_settings();
            self.begin_chronicle();
            self.begin_autologs(&config.daemon);
            self.say_what_was_read(config);
        }
    }

    /// Returns what `[supervisord]` said when everything began, where we stand in for its daemon.
    pub(super) fn own_settings(&self) -> Option<&supervisord::Daemon> {
        self.programs.own.as_ref()
    }

    /// Tells the machine how many restarts there may be: the command line goes before the file.
    pub(super) fn allow_restarts(&mut self) {
        let said = self.programs.own.as_ref().and_then(|own| own.restart_budget);
        let budget = self.settings.options.restart_budget.or(said);
        self.engine.allow_restarts(budget.unwrap_or_default());
    }

    /// Says of each server what can be called there, and whether anybody may. Source: Supervisor 4.3.0,
    /// http.py, make_http_servers.
    fn say_what_servers_have(&self, interfaces: &[Plugin], servers: &[Server]) {
        let Some(log) = &self.chronicle else { return };
        for server in servers {
            for Plugin { name, .. } in interfaces.iter().filter(|it| it.factory == MAIN_INTERFACE) {
                log.write(Grade::Info, &format!("RPC interface '{name}' initialized"));
            }
            if server.login.is_none() {
                let section = &server.section;
                let line =
                    format!("Server '{section}' running without any HTTP authentication checking");
                log.write(Grade::Critical, &line);
            }
        }
    }

    fn refuse(&self, mistake: &str) -> Refused {
        front::complain(mistake, NAME);
        self.link.send(&ToKeeper::Quit { code: front::USAGE }, &[]);
        Refused::Usage
    }

    /// Keeps what `[supervisord]` says for the daemons after this one.
    fn hold_settings(&self) {
        let bytes = self.programs.own.as_ref().and_then(|own| serde_json::to_vec(own).ok());
        let file = bytes.and_then(|bytes| memfd::sealed(c"upright-programs", &bytes).ok());
        if let Some(file) = file {
            self.hold(held::PROGRAMS, file.as_fd());
        }
    }

    /// Begins the log: a pipe that the keeper holds and the logger reads.
    fn begin_chronicle(&mut self) {
        let Some(own) = &self.programs.own else { return };
        let (read, end) = match sys::pipe::new() {
            Ok(ends) => ends,
            Err(errno) => {
                self.voice.say(Level::Error, &format!("there is no log: {errno}"));
                return;
            }
        };
        self.hold(held::LOG_READ, read.as_fd());
        self.hold(held::LOG, end.as_fd());
        self.chronicle = Some(Chronicle::new(end, own.loglevel));
        self.programs.log = Some(read);
        self.pass_chronicle();
    }

    /// Tells a logger where our own log goes.
    pub(super) fn pass_chronicle(&self) {
        let (Some(own), Some(log)) = (&self.programs.own, &self.programs.log) else { return };
        let Some(logger) = &self.logger else { return };
        let path = self.path(&own.logfile);
        let foreground = own.nodaemon && !own.silent;
        let (kept, forward) = match path.to_str() {
            // Both at once would be each line twice.
            Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => {
                (false, Forward::Bare(Stream::Stdout))
            }
            Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => {
                (false, Forward::Bare(Stream::Stderr))
            }
            Some(path) if is_foreign_descriptor(path) && !foreground => (false, Forward::No),
            Some(path) if is_foreign_descriptor(path) => (false, Forward::Bare(Stream::Stdout)),
            Some("/dev/null") if foreground => (false, Forward::Bare(Stream::Stdout)),
            Some("/dev/null") => (false, Forward::No),
            _ if own.logfile == SYSLOG && foreground => (false, Forward::Bare(Stream::Stdout)),
            _ if own.logfile == SYSLOG => (false, Forward::No),
            _ if foreground => (true, Forward::Bare(Stream::Stdout)),
            _ => (true, Forward::No),
        };
        let owner = own.log_owner.as_ref().map(|(user, group)| {
            (Text::from(user.as_str()), group.as_ref().map(|group| Text::from(group.as_str())))
        });
        let (uid, gid) = owner.as_ref().map_or((None, None), outputs::found);
        let file = LogFile {
            path: Text::from(path.as_os_str().as_bytes()),
            rotate_size: u64::try_from(own.logfile_maxbytes).unwrap_or(0),
            rotate_count: u32::try_from(own.logfile_backups).unwrap_or(0),
            mode: own.log_mode.unwrap_or((0o666 & !own.umask) as u16),
            uid,
            gid,
            on_full: OnFull::Drop,
        };
        let syslog = own.logfile == SYSLOG;
        // What goes to syslog has the name of this program there, and no other.
        let label = if syslog { String::new() } else { String::from(NAME) };
        let treat = Treatment { syslog, ..Treatment::default() };
        let route = LogRoute { label, file: kept.then_some(file), forward, treat };
        // A logger that does not listen is ended, and the next one told.
        let _ = seqpacket::send(logger, &[&encode(&ToLogger::Own { route })], &[log.as_fd()]);
    }

    /// Returns where our own log is, where we stand in for Supervisor's daemon and it is a file.
    pub(super) fn own_log(&self) -> Option<Text> {
        let own = self.programs.own.as_ref().filter(|own| own.logfile != SYSLOG)?;
        Some(Text::from(self.path(&own.logfile).as_os_str().as_bytes()))
    }

    /// Returns a path of `[supervisord]` as it was meant when everything began.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        let given = self.settings.programs.first();
        given.map_or_else(|| PathBuf::from(path), |given| plain(&given.directory.join(path)))
    }

    /// Says what the front and reading have come to, as the original does once it has a log.
    fn say_what_was_read(&self, config: &Config) {
        let Some(log) = &self.chronicle else { return };
        if self.settings.uid == 0 && config.daemon.user.is_none() {
            log.write(
                Grade::Critical,
                "Supervisor is running as root.  Privileges were not dropped because no user is specified in the config file.  If you intend to run as root, you can set user=root in the config file to avoid this message.",
            );
        }
        config.warnings.iter().for_each(|line| log.write(Grade::Warn, line));
        config.notices.iter().for_each(|line| log.write(Grade::Info, line));
        if config.daemon.user.is_some() {
            let uid = self.settings.uid;
            log.write(Grade::Info, &format!("Set uid to user {uid} succeeded"));
        }
        if !config.daemon.nodaemon {
            log.write(Grade::Info, "daemonizing the supervisord process");
            self.say_where(log, config.daemon.directory.as_deref());
        }
    }

    /// Says whether the front could go where the configuration wants us to be.
    fn say_where(&self, log: &Chronicle, directory: Option<&str>) {
        let Some(directory) = directory else { return };
        let shown = supervisord::repr(directory);
        let there = fs::canonicalize(self.path(directory));
        let here = std::env::current_dir();
        match (there, here) {
            (Ok(there), Ok(here)) if there == here => {
                log.write(Grade::Info, &format!("set current directory: {shown}"));
            }
            (Ok(_), _) => log.write(Grade::Critical, &format!("can't chdir into {shown}")),
            (Err(error), _) => {
                log.write(Grade::Critical, &format!("can't chdir into {shown}: {}", words(&error)));
            }
        }
    }

    /// Writes the process number where the configuration wants it.
    fn write_pidfile(&self) {
        let Some(own) = &self.programs.own else { return };
        let (path, pid) = (self.path(&own.pidfile), self.settings.named);
        let written = fs::File::create(&path).and_then(|mut file| writeln!(file, "{pid}"));
        let Some(log) = &self.chronicle else { return };
        match written {
            Ok(()) => log.write(Grade::Info, &format!("supervisord started with pid {pid}")),
            Err(_) => {
                let path = path.display();
                log.write(Grade::Critical, &format!("could not write pidfile {path}"));
            }
        }
    }

    /// Tells the process that waits in front, where we are in the background, that all is well.
    pub(super) fn tell_front(&self) {
        if self.programs.own.as_ref().is_some_and(|own| !own.nodaemon) {
            background::tell_ready();
        }
    }

    /// Everything ends: removes what shows that we are there.
    pub(super) fn end_programs(&self) {
        let Some(own) = &self.programs.own else { return };
        self.end_autologs();
        let path = self.path(&own.pidfile);
        let ours = format!("{}\n", self.settings.named);
        if fs::read(&path).is_ok_and(|there| there == ours.as_bytes()) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns the files that a program's outputs are kept in, with their keys.
fn logs_of(program: &Program) -> impl Iterator<Item = (&str, &'static str, &str)> {
    let outputs = [("stdout_logfile", &program.stdout), ("stderr_logfile", &program.stderr)];
    outputs.into_iter().filter_map(|(key, output)| match &output.logfile {
        Log::Path(path) => Some((program.section.as_str(), key, path.as_str())),
        Log::None | Log::Auto | Log::Syslog => None,
    })
}

//! Every section and key, one row each: which section, the key, the shape of its value, what it is
//! when nothing is said, which names it may have, help, source, and how it is read. Reading, "did you
//! mean", help listings and documentation all come from this table. Within a section the rows are in
//! the order in which the original reads them, so that the first error is the same one.

use super::config::{Access, Daemon, Group, Listen, Owner, Pool, Program, Server};
use super::value::{self, Given};
use crate::dialect::upstart;
use crate::machine::Budget;
use crate::names::JobName;
use crate::spec::JobSpec;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A kind of section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `[include]`.
    Include,
    /// `[supervisord]`.
    Daemon,
    /// `[rpcinterface:x]`.
    Interface,
    /// `[group:x]`.
    Group,
    /// `[eventlistener:x]`, beyond what programs have.
    Listener,
    /// `[fcgi-program:x]`, beyond what programs have.
    FastCgi,
    /// `[program:x]`.
    Program,
    /// `[inet_http_server]`.
    Inet,
    /// `[unix_http_server]`.
    Unix,
    /// `[supervisorctl]`.
    Client,
    /// `[ctlplugin:x]`.
    ClientPlugin,
}

impl Kind {
    /// Every kind with the head of its section: a whole name, or what it begins with.
    pub const TABLE: [(Kind, &'static str, Head); 11] = [
        (Kind::Include, "include", Head::Whole),
        (Kind::Daemon, "supervisord", Head::Whole),
        (Kind::Interface, "rpcinterface:", Head::Prefix),
        (Kind::Group, "group:", Head::Prefix),
        (Kind::Listener, "eventlistener:", Head::Prefix),
        (Kind::FastCgi, "fcgi-program:", Head::Prefix),
        (Kind::Program, "program:", Head::Prefix),
        (Kind::Inet, "inet_http_server", Head::Prefix),
        (Kind::Unix, "unix_http_server", Head::Prefix),
        (Kind::Client, "supervisorctl", Head::Whole),
        (Kind::ClientPlugin, "ctlplugin:", Head::Prefix),
    ];

    /// Returns the kind of a section of this name.
    pub fn of(section: &str) -> Option<Kind> {
        let is = |head: &str, how| match how {
            Head::Whole => section == head,
            Head::Prefix => section.starts_with(head),
        };
        Kind::TABLE.iter().find(|(_, head, how)| is(head, *how)).map(|(kind, _, _)| *kind)
    }

    /// Returns the head of its sections.
    pub fn head(self) -> &'static str {
        Kind::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Reports whether a row says something about sections of this kind.
    pub fn has(self, row: &Key) -> bool {
        let programs =
            matches!(self, Kind::Listener | Kind::FastCgi) && row.section == Kind::Program;
        row.section == self || programs
    }
}

/// How much of a section's name the head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// All of it.
    Whole,
    /// What it begins with.
    Prefix,
}

/// Which names a value may have, beside `ENV_X`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No other.
    Environment,
    /// `here`.
    Here,
    /// `here`, replaced twice; the second time `host_node_name` too.
    HereTwice,
    /// `here` and `program_name`.
    Socket,
    /// `here`, `program_name`, `group_name`, `host_node_name`.
    Program,
    /// As `Program`, and `process_num`, `numprocs`: read for each process.
    Process,
    /// As `Process`, replaced twice, so that a percent sign is written `%%%%`.
    ProcessTwice,
    /// As `Process`; an error does not say which section.
    ProcessBare,
    /// Names stay, and are replaced later.
    Raw,
}

/// How a value is read.
pub(super) enum Read {
    /// Elsewhere: what it means depends on more than its own section.
    Elsewhere,
    Daemon(fn(&mut Daemon, &mut Given<'_, '_>) -> Result<(), String>),
    Group(fn(&mut Group, &mut Given<'_, '_>) -> Result<(), String>),
    Pool(fn(&mut Pool, &mut Given<'_, '_>) -> Result<(), String>),
    FastCgi(fn(&mut FastCgi, &mut Given<'_, '_>) -> Result<(), String>),
    Program(fn(&mut Program, &mut Given<'_, '_>) -> Result<(), String>),
    Server(fn(&mut Server, &mut Given<'_, '_>) -> Result<(), String>),
    Client(fn(&mut Client, &mut Given<'_, '_>) -> Result<(), String>),
}

/// What `[fcgi-program:x]` says of its socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FastCgi {
    pub user: Option<(u32, u32)>,
    pub backlog: Option<u16>,
    pub owner: Option<Owner>,
    pub mode: Option<u32>,
}

/// What `[supervisorctl]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where the daemon listens.
    pub serverurl: String,
    /// What stands before what is typed.
    pub prompt: String,
    /// As whom it logs in.
    pub username: Option<String>,
    /// With which password.
    pub password: Option<String>,
    /// Where what was typed is kept.
    pub history_file: Option<String>,
}

/// One key.
pub struct Key {
    /// The kind of section that has it.
    pub section: Kind,
    /// Its name, in small letters.
    pub key: &'static str,
    /// The shape of its value.
    pub value: &'static str,
    /// What is read where nothing is said; none: nothing is.
    pub default: Option<&'static str>,
    /// Which names it may have.
    pub scope: Scope,
    /// What it is for.
    pub help: &'static str,
    /// Where its behaviour comes from.
    pub source: &'static str,
    pub(super) read: Read,
}

const SUPERVISOR: &str = "configuration of Supervisor 4.3.0";
const OURS: &str = "Upright; Supervisor passes over it";

/// The keys, by section.
pub const OPTIONS: &[Key] = &[
    Key {
        section: Kind::Include,
        key: "files",
        value: "PATTERN...",
        default: None,
        scope: Scope::Here,
        help: "reads more files, relative to this one's directory",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Daemon,
        key: "minfds",
        value: "COUNT",
        default: Some("1024"),
        scope: Scope::Here,
        help: "raises the limit of open files to it",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.minfds = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "minprocs",
        value: "COUNT",
        default: Some("200"),
        scope: Scope::Here,
        help: "raises the limit of processes to it",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.minprocs = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "directory",
        value: "DIRECTORY",
        default: None,
        scope: Scope::Here,
        help: "goes there when going into the background",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.directory = Some(v.existing_directory()?);
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "user",
        value: "USER",
        default: None,
        scope: Scope::Here,
        help: "becomes this user",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.user = Some(v.owned());
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "umask",
        value: "OCTAL",
        default: Some("022"),
        scope: Scope::Here,
        help: "sets the file creation mask of the daemon",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.umask = v.octal()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "logfile",
        value: "PATH",
        default: Some("supervisord.log"),
        scope: Scope::Here,
        help: "writes the daemon's own log there",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.logfile = v.path()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "logfile_maxbytes",
        value: "SIZE",
        default: Some("50MB"),
        scope: Scope::Here,
        help: "rotates that log at SIZE; 0 never",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.logfile_maxbytes = v.bytes()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "logfile_backups",
        value: "COUNT",
        default: Some("10"),
        scope: Scope::Here,
        help: "keeps so many old ones",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.logfile_backups = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "loglevel",
        value: "LEVEL",
        default: Some("info"),
        scope: Scope::Here,
        help: "writes what is as grave or graver",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.loglevel = v.level()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "pidfile",
        value: "PATH",
        default: Some("supervisord.pid"),
        scope: Scope::Here,
        help: "writes the process number there",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.pidfile = v.path()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "identifier",
        value: "TEXT",
        default: Some("supervisor"),
        scope: Scope::Here,
        help: "names this daemon in events and log names",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.identifier = v.owned();
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "nodaemon",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Here,
        help: "stays in the foreground",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.nodaemon = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "silent",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Here,
        help: "writes no log to standard output",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.silent = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "childlogdir",
        value: "DIRECTORY",
        default: None,
        scope: Scope::Here,
        help: "puts logs of AUTO names there; as tempfile finds",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.childlogdir = v.existing_directory()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "nocleanup",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Here,
        help: "keeps logs of AUTO names of the last run",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.nocleanup = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "strip_ansi",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Here,
        help: "takes colours out of the output of programs",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.strip_ansi = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "log_mode",
        value: "OCTAL",
        default: None,
        scope: Scope::Here,
        help: "sets the permission bits of all new logs",
        source: OURS,
        read: Read::Daemon(|d, v| {
            let bits = v.octal().ok().and_then(|bits| u16::try_from(bits).ok());
            d.log_mode = bits.filter(|bits| *bits <= 0o7777);
            d.log_mode.map(drop).ok_or_else(|| format!("Invalid log_mode value {}", v.text))
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "log_owner",
        value: "USER[:GROUP]",
        default: None,
        scope: Scope::Here,
        help: "sets the owner of all new logs",
        source: OURS,
        read: Read::Daemon(|d, v| {
            v.owner().ok_or_else(|| format!("Invalid log_owner value {}", v.text))?;
            d.log_owner = Some(match v.text.split_once(':') {
                Some((user, group)) => (user.to_string(), Some(group.to_string())),
                None => (v.owned(), None),
            });
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "restart_budget",
        value: "RATE[:BURST]",
        default: None,
        scope: Scope::Here,
        help: "restarts at most so many a second over all; 50:1000",
        source: OURS,
        read: Read::Daemon(|d, v| {
            d.restart_budget = Some(Budget::from_text(v.text).ok_or_else(|| {
                format!("not a number of restarts a second, as 50 or 50:1000: {}", v.text)
            })?);
            Ok(())
        }),
    },
    Key {
        section: Kind::Daemon,
        key: "environment",
        value: "KEY=VALUE,...",
        default: Some(""),
        scope: Scope::HereTwice,
        help: "sets variables of every program",
        source: SUPERVISOR,
        read: Read::Daemon(|d, v| {
            d.environment = v.pairs()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Interface,
        key: "supervisor.rpcinterface_factory",
        value: "MODULE:CALLABLE",
        default: None,
        scope: Scope::Environment,
        help: "names Python code; only the original's own is known",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Group,
        key: "programs",
        value: "NAME,...",
        default: None,
        scope: Scope::Here,
        help: "puts these programs into the group",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Group,
        key: "priority",
        value: "NUMBER",
        default: Some("999"),
        scope: Scope::Here,
        help: "starts smaller ones first, stops them last",
        source: SUPERVISOR,
        read: Read::Group(|g, v| {
            g.priority = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Listener,
        key: "buffer_size",
        value: "COUNT",
        default: Some("10"),
        scope: Scope::Here,
        help: "keeps so many events for a busy listener",
        source: SUPERVISOR,
        read: Read::Pool(buffer_size),
    },
    Key {
        section: Kind::Listener,
        key: "result_handler",
        value: "MODULE:CALLABLE",
        default: Some("supervisor.dispatchers:default_handler"),
        scope: Scope::Here,
        help: "names Python code; only the original's own is known",
        source: SUPERVISOR,
        read: Read::Pool(|p, v| {
            p.result_handler = v.owned();
            Ok(())
        }),
    },
    Key {
        section: Kind::Listener,
        key: "events",
        value: "EVENT,...",
        default: Some(""),
        scope: Scope::Here,
        help: "sends these events to the listener",
        source: SUPERVISOR,
        read: Read::Pool(events),
    },
    Key {
        section: Kind::FastCgi,
        key: "socket_backlog",
        value: "COUNT",
        default: None,
        scope: Scope::Here,
        help: "lets so many connections wait",
        source: SUPERVISOR,
        read: Read::FastCgi(socket_backlog),
    },
    Key {
        section: Kind::FastCgi,
        key: "socket_owner",
        value: "USER[:GROUP]",
        default: None,
        scope: Scope::Here,
        help: "gives the Unix socket to this user",
        source: SUPERVISOR,
        read: Read::FastCgi(socket_owner),
    },
    Key {
        section: Kind::FastCgi,
        key: "socket_mode",
        value: "OCTAL",
        default: None,
        scope: Scope::Here,
        help: "sets the permission bits of the Unix socket; 0700",
        source: SUPERVISOR,
        read: Read::FastCgi(socket_mode),
    },
    Key {
        section: Kind::FastCgi,
        key: "socket",
        value: "tcp://HOST:PORT|unix:///PATH",
        default: None,
        scope: Scope::Socket,
        help: "opens the socket that the programs share",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Program,
        key: "priority",
        value: "NUMBER",
        default: Some("999"),
        scope: Scope::Program,
        help: "starts smaller ones first, stops them last",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.priority = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "autostart",
        value: "BOOLEAN",
        default: Some("true"),
        scope: Scope::Program,
        help: "starts the program with the daemon",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.autostart = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "autorestart",
        value: "BOOLEAN|unexpected",
        default: Some("unexpected"),
        scope: Scope::Program,
        help: "starts it again when it ends",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.autorestart = v.restart()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "startsecs",
        value: "SECONDS",
        default: Some("1"),
        scope: Scope::Program,
        help: "takes it for running after so long",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.startsecs = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "startretries",
        value: "COUNT",
        default: Some("3"),
        scope: Scope::Program,
        help: "tries again so often when it ends earlier",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.startretries = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stopsignal",
        value: "SIGNAL",
        default: Some("TERM"),
        scope: Scope::Program,
        help: "asks it to end with this signal",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stopsignal = v.signal()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stopwaitsecs",
        value: "SECONDS",
        default: Some("10"),
        scope: Scope::Program,
        help: "waits so long before KILL",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stopwaitsecs = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stopasgroup",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Program,
        help: "asks its whole process group to end",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stopasgroup = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "killasgroup",
        value: "BOOLEAN",
        default: None,
        scope: Scope::Program,
        help: "kills its whole process group; as stopasgroup",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.killasgroup = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "exitcodes",
        value: "STATUS,...",
        default: Some("0"),
        scope: Scope::Program,
        help: "lists exits that are expected",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.exitcodes = v.exit_codes()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "redirect_stderr",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Program,
        help: "sends standard error where standard output goes",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.redirect_stderr = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "numprocs",
        value: "COUNT",
        default: Some("1"),
        scope: Scope::Program,
        help: "starts so many processes",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.numprocs = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "numprocs_start",
        value: "NUMBER",
        default: Some("0"),
        scope: Scope::Program,
        help: "begins their numbers with it",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.numprocs_start = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stdout_capture_maxbytes",
        value: "SIZE",
        default: Some("0"),
        scope: Scope::Program,
        help: "keeps so much of marked standard output for events",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stdout.capture_maxbytes = v.bytes()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stdout_events_enabled",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Program,
        help: "makes events of standard output",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stdout.events_enabled = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stderr_capture_maxbytes",
        value: "SIZE",
        default: Some("0"),
        scope: Scope::Program,
        help: "keeps so much of marked standard error for events",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stderr.capture_maxbytes = v.bytes()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stderr_events_enabled",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Program,
        help: "makes events of standard error",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stderr.events_enabled = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "serverurl",
        value: "URL|AUTO",
        default: None,
        scope: Scope::Program,
        help: "tells the program where the daemon listens",
        source: SUPERVISOR,
        read: Read::Program(serverurl),
    },
    Key {
        section: Kind::Program,
        key: "user",
        value: "USER",
        default: None,
        scope: Scope::Program,
        help: "runs the program as this user",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.user = Some((v.owned(), v.user()?.uid));
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "umask",
        value: "OCTAL",
        default: None,
        scope: Scope::Program,
        help: "sets the file creation mask",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.umask = Some(v.octal()?);
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "backoff_delay",
        value: "SECONDS",
        default: Some("1"),
        scope: Scope::Program,
        help: "waits so long before a failed start is tried again",
        source: OURS,
        read: Read::Program(|p, v| {
            p.backoff_delay = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "backoff_cap",
        value: "SECONDS",
        default: Some("60"),
        scope: Scope::Program,
        help: "waits at most so long; each wait is longer",
        source: OURS,
        read: Read::Program(|p, v| {
            p.backoff_cap = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "backoff_factor",
        value: "NUMBER",
        default: None,
        scope: Scope::Program,
        help: "makes each wait so many times the last",
        source: OURS,
        read: Read::Program(|p, v| {
            p.backoff_factor = Some(factor(v.text)?);
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "backoff_jitter",
        value: "PERCENT",
        default: None,
        scope: Scope::Program,
        help: "adds to a wait at random, up to it; 0",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "respawn jitter", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "backoff_reset",
        value: "SECONDS",
        default: None,
        scope: Scope::Program,
        help: "counts a shorter run as a failed start; startsecs",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "respawn reset", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "backoff_retry",
        value: "SECONDS",
        default: None,
        scope: Scope::Program,
        help: "tries so often where it would be FATAL",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "respawn retry", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "restart_pace",
        value: "SECONDS",
        default: Some("1"),
        scope: Scope::Program,
        help: "keeps two starts so far apart",
        source: OURS,
        read: Read::Program(|p, v| {
            p.restart_pace = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "start_on",
        value: "EVENT [KEY=VALUE]... [and|or ...]",
        default: None,
        scope: Scope::Program,
        help: "starts the program by itself when that comes true",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "start on", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "stop_on",
        value: "EVENT [KEY=VALUE]... [and|or ...]",
        default: None,
        scope: Scope::Program,
        help: "stops the program by itself when that comes true",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "stop on", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "emits",
        value: "EVENT...",
        default: None,
        scope: Scope::Program,
        help: "names events that the program emits; globs",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "emits", Lines::Each)),
    },
    Key {
        section: Kind::Program,
        key: "description",
        value: "TEXT",
        default: None,
        scope: Scope::Program,
        help: "says what the program is",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "description", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "essential",
        value: "BOOLEAN",
        default: None,
        scope: Scope::Program,
        help: "ends everything with its code when it ended for good",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "essential", Lines::Flag)),
    },
    Key {
        section: Kind::Program,
        key: "task",
        value: "BOOLEAN",
        default: None,
        scope: Scope::Program,
        help: "means the start is done when the program ended",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "task", Lines::Flag)),
    },
    Key {
        section: Kind::Program,
        key: "pre_start",
        value: "COMMAND",
        default: None,
        scope: Scope::Program,
        help: "prepares; the program starts if it succeeds",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "pre-start exec", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "post_start",
        value: "COMMAND",
        default: None,
        scope: Scope::Program,
        help: "runs after the program; completes the start",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "post-start exec", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "pre_stop",
        value: "COMMAND",
        default: None,
        scope: Scope::Program,
        help: "runs before the program is told to stop",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "pre-stop exec", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "post_stop",
        value: "COMMAND",
        default: None,
        scope: Scope::Program,
        help: "cleans up when the program is gone",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "post-stop exec", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "check",
        value: "COMMAND",
        default: None,
        scope: Scope::Program,
        help: "comes before `upright restart` and `reload`, stops both",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "check exec", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "check_timeout",
        value: "SECONDS",
        default: None,
        scope: Scope::Program,
        help: "limits check, else to 60; 0 does not",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "check timeout", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "expect",
        value: "none|stop|fork|daemon",
        default: None,
        scope: Scope::Program,
        help: "says how it tells that it is ready; up for startsecs",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "expect", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "expect_timeout",
        value: "SECONDS",
        default: None,
        scope: Scope::Program,
        help: "takes the original for the program after it; 5",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "expect timeout", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "respawn_limit",
        value: "COUNT SECONDS|unlimited",
        default: None,
        scope: Scope::Program,
        help: "bounds how often it is started again; unlimited",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "respawn limit", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "kill_mode",
        value: "process|group|mixed|tree",
        default: None,
        scope: Scope::Program,
        help: "chooses who is signalled; as the two asgroup keys say",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "kill mode", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "reload_signal",
        value: "SIGNAL",
        default: None,
        scope: Scope::Program,
        help: "asks it to reload with it; HUP, 0 is none",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "reload signal", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "nice",
        value: "NUMBER",
        default: None,
        scope: Scope::Program,
        help: "sets the priority, -20 (high) to 19 (low)",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "nice", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "oom_score",
        value: "NUMBER|never",
        default: None,
        scope: Scope::Program,
        help: "adjusts the OOM killer, -1000 to 1000",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "oom score", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "limit",
        value: "RESOURCE SOFT HARD",
        default: None,
        scope: Scope::Program,
        help: "sets a resource limit; one on each line",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "limit", Lines::Each)),
    },
    Key {
        section: Kind::Program,
        key: "allow",
        value: "ROLE user NAME | group NAME | everybody",
        default: None,
        scope: Scope::Program,
        help: "grants a role over the program; one on each line",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "allow", Lines::Each)),
    },
    Key {
        section: Kind::Program,
        key: "chroot",
        value: "DIRECTORY",
        default: None,
        scope: Scope::Program,
        help: "changes the root directory",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "chroot", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "group",
        value: "GROUP",
        default: None,
        scope: Scope::Program,
        help: "runs the program as this group; that of user",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "setgid", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "log_mode",
        value: "OCTAL",
        default: None,
        scope: Scope::Program,
        help: "sets the permission bits of a new log",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "log mode", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "log_owner",
        value: "USER[:GROUP]",
        default: None,
        scope: Scope::Program,
        help: "sets the owner of a new log",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "log owner", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "log_on_full",
        value: "block|drop",
        default: None,
        scope: Scope::Program,
        help: "says what a full disk does to output; drop",
        source: OURS,
        read: Read::Program(|p, v| stanza(p, v, "log on-full", Lines::One)),
    },
    Key {
        section: Kind::Program,
        key: "cgroup",
        value: "CONTROLLER [NAME] [KEY VALUE],...",
        default: Some(""),
        scope: Scope::Process,
        help: "joins a control group and limits it",
        source: OURS,
        read: Read::Program(|p, v| {
            p.cgroups = v.cgroups()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "process_name",
        value: "NAME",
        default: Some("%(program_name)s"),
        scope: Scope::Raw,
        help: "names the processes",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.process_name = value::name(v.text)?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "environment",
        value: "KEY=VALUE,...",
        default: Some(""),
        scope: Scope::ProcessBare,
        help: "sets variables",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.environment = v.pairs()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "directory",
        value: "DIRECTORY",
        default: None,
        scope: Scope::Process,
        help: "runs the program there",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.directory = Some(v.owned());
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stdout_logfile",
        value: "PATH|AUTO|NONE",
        default: Some("AUTO"),
        scope: Scope::ProcessTwice,
        help: "writes standard output there",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stdout.logfile = v.log_file()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stdout_logfile_backups",
        value: "COUNT",
        default: Some("10"),
        scope: Scope::Process,
        help: "keeps so many old ones",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stdout.backups = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stdout_logfile_maxbytes",
        value: "SIZE",
        default: Some("50MB"),
        scope: Scope::Process,
        help: "rotates that file at SIZE; 0 never",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stdout.maxbytes = v.bytes()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stdout_syslog",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Process,
        help: "sends its lines to syslog too",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stdout.syslog = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stderr_logfile",
        value: "PATH|AUTO|NONE",
        default: Some("AUTO"),
        scope: Scope::ProcessTwice,
        help: "writes standard error there",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stderr.logfile = v.log_file()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stderr_logfile_backups",
        value: "COUNT",
        default: Some("10"),
        scope: Scope::Process,
        help: "keeps so many old ones",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stderr.backups = v.integer()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stderr_logfile_maxbytes",
        value: "SIZE",
        default: Some("50MB"),
        scope: Scope::Process,
        help: "rotates that file at SIZE; 0 never",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stderr.maxbytes = v.bytes()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "stderr_syslog",
        value: "BOOLEAN",
        default: Some("false"),
        scope: Scope::Process,
        help: "sends its lines to syslog too",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.stderr.syslog = v.boolean()?;
            Ok(())
        }),
    },
    Key {
        section: Kind::Program,
        key: "command",
        value: "COMMAND",
        default: None,
        scope: Scope::Process,
        help: "is what is run; never by a shell",
        source: SUPERVISOR,
        read: Read::Program(|p, v| {
            p.command = v.owned();
            Ok(())
        }),
    },
    Key {
        section: Kind::Inet,
        key: "username",
        value: "TEXT",
        default: None,
        scope: Scope::Environment,
        help: "lets in only this user",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Inet,
        key: "password",
        value: "TEXT",
        default: None,
        scope: Scope::Environment,
        help: "and only with this password, or its {SHA}",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Inet,
        key: "port",
        value: "HOST:PORT",
        default: None,
        scope: Scope::Environment,
        help: "listens there; * is every address",
        source: SUPERVISOR,
        read: Read::Server(port),
    },
    Key {
        section: Kind::Inet,
        key: "access",
        value: "full|read-only|local",
        default: Some("full"),
        scope: Scope::Environment,
        help: "what may be done there; local: from this machine alone",
        source: OURS,
        read: Read::Server(access),
    },
    Key {
        section: Kind::Unix,
        key: "file",
        value: "PATH",
        default: None,
        scope: Scope::Here,
        help: "listens there",
        source: SUPERVISOR,
        read: Read::Server(file),
    },
    Key {
        section: Kind::Unix,
        key: "username",
        value: "TEXT",
        default: None,
        scope: Scope::Environment,
        help: "lets in only this user",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Unix,
        key: "password",
        value: "TEXT",
        default: None,
        scope: Scope::Environment,
        help: "and only with this password, or its {SHA}",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
    Key {
        section: Kind::Unix,
        key: "chown",
        value: "USER[:GROUP]",
        default: None,
        scope: Scope::Environment,
        help: "gives the socket to this user",
        source: SUPERVISOR,
        read: Read::Server(chown),
    },
    Key {
        section: Kind::Unix,
        key: "chmod",
        value: "OCTAL",
        default: Some("0700"),
        scope: Scope::Environment,
        help: "sets the permission bits of the socket",
        source: SUPERVISOR,
        read: Read::Server(chmod),
    },
    Key {
        section: Kind::Unix,
        key: "access",
        value: "full|read-only|local",
        default: Some("full"),
        scope: Scope::Environment,
        help: "what may be done there; local: from this machine alone",
        source: OURS,
        read: Read::Server(access),
    },
    Key {
        section: Kind::Client,
        key: "serverurl",
        value: "URL",
        default: Some("http://localhost:9001"),
        scope: Scope::Here,
        help: "asks the daemon there",
        source: SUPERVISOR,
        read: Read::Client(server),
    },
    Key {
        section: Kind::Client,
        key: "prompt",
        value: "TEXT",
        default: Some("supervisor"),
        scope: Scope::Environment,
        help: "stands before what is typed",
        source: SUPERVISOR,
        read: Read::Client(|c, v| {
            c.prompt = v.owned();
            Ok(())
        }),
    },
    Key {
        section: Kind::Client,
        key: "username",
        value: "TEXT",
        default: None,
        scope: Scope::Environment,
        help: "logs in as this user",
        source: SUPERVISOR,
        read: Read::Client(|c, v| {
            c.username = Some(v.owned());
            Ok(())
        }),
    },
    Key {
        section: Kind::Client,
        key: "password",
        value: "TEXT",
        default: None,
        scope: Scope::Environment,
        help: "logs in with this password",
        source: SUPERVISOR,
        read: Read::Client(|c, v| {
            c.password = Some(v.owned());
            Ok(())
        }),
    },
    Key {
        section: Kind::Client,
        key: "history_file",
        value: "PATH",
        default: None,
        scope: Scope::Here,
        help: "keeps what was typed there",
        source: SUPERVISOR,
        read: Read::Client(history),
    },
    Key {
        section: Kind::ClientPlugin,
        key: "supervisor.ctl_factory",
        value: "MODULE:CALLABLE",
        default: None,
        scope: Scope::Environment,
        help: "names Python code, which does not run here",
        source: SUPERVISOR,
        read: Read::Elsewhere,
    },
];

/// Returns a listing of all keys, as `supervisord --help-keys` and the documentation have it.
pub fn help() -> String {
    let mut out = String::new();
    for (kind, head, how) in Kind::TABLE {
        let rest = if how == Head::Prefix && head.ends_with(':') { "NAME" } else { "" };
        out.push_str(&format!("[{head}{rest}]\n"));
        for row in OPTIONS.iter().filter(|row| row.section == kind) {
            let left = format!("  {}={}", row.key, row.value);
            let default = row.default.filter(|text| !text.is_empty());
            let default = default.map_or(String::new(), |text| format!("; {text}"));
            out.push_str(&format!("{left:44} {}{default}\n", row.help));
        }
    }
    out
}

/// How the lines of a value become stanzas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// All of them together are one.
    One,
    /// Each is one.
    Each,
    /// It is there, or not.
    Flag,
}

/// Takes what a job file's stanza says; the stanza's own reader judges it.
fn stanza(
    program: &mut Program,
    v: &mut Given<'_, '_>,
    stanza: &'static str,
    lines: Lines,
) -> Result<(), String> {
    let all = v.text.lines().map(super::python::strip).filter(|line| !line.is_empty());
    let said: Vec<String> = match lines {
        Lines::One => Vec::from([all.collect::<Vec<_>>().join(" ")]),
        Lines::Each => all.map(String::from).collect(),
        Lines::Flag if v.boolean()? => Vec::from([String::new()]),
        Lines::Flag => Vec::new(),
    };
    for value in said {
        let line = format!("{stanza} {value}\n");
        let spec = JobSpec::new(JobName::try_from("program").map_err(|error| error.to_string())?);
        if let Some(error) = upstart::apply_override(&spec, line.as_bytes()).error() {
            return Err(format!("`{}`: {}", line.trim_end(), error.message));
        }
        program.stanzas.push_str(&line);
    }
    Ok(())
}

/// Reads by how much each wait is longer than the last; in hundredths.
fn factor(text: &str) -> Result<u32, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1.0..=1000.0).contains(number));
    let number = number.ok_or_else(|| format!("not a factor from 1 to 1000: {text}"))?;
    Ok((number * 100.0 + 0.5) as u32)
}

fn buffer_size(pool: &mut Pool, v: &mut Given<'_, '_>) -> Result<(), String> {
    pool.buffer_size = v.integer()?;
    match pool.buffer_size < 1 {
        true => {
            let size = pool.buffer_size;
            Err(format!("[{}] section sets invalid buffer_size ({size})", v.section))
        }
        false => Ok(()),
    }
}

fn events(pool: &mut Pool, v: &mut Given<'_, '_>) -> Result<(), String> {
    let names = v.list();
    if names.is_empty() {
        return Err(format!("[{}] section requires an \"events\" line", v.section));
    }
    for name in names {
        let upper = name.to_uppercase();
        match super::config::EVENTS.iter().find(|known| **known == upper) {
            Some(known) => drop(pool.events.insert(known)),
            None => return Err(format!("Unknown event type {upper} in [{}] events", v.section)),
        }
    }
    Ok(())
}

fn socket_backlog(socket: &mut FastCgi, v: &mut Given<'_, '_>) -> Result<(), String> {
    let number = v.integer()?;
    let backlog = u16::try_from(number).ok().filter(|backlog| *backlog > 0);
    socket.backlog = Some(backlog.ok_or_else(|| format!("Invalid socket_backlog value {number}"))?);
    Ok(())
}

fn socket_owner(socket: &mut FastCgi, v: &mut Given<'_, '_>) -> Result<(), String> {
    socket.owner = v.owner();
    socket.owner.map(drop).ok_or_else(|| format!("Invalid socket_owner value {}", v.text))
}

fn socket_mode(socket: &mut FastCgi, v: &mut Given<'_, '_>) -> Result<(), String> {
    socket.mode = v.octal().ok();
    socket.mode.map(drop).ok_or_else(|| format!("Invalid socket_mode value {}", v.text))
}

fn serverurl(program: &mut Program, v: &mut Given<'_, '_>) -> Result<(), String> {
    let auto = super::python::strip(v.text).eq_ignore_ascii_case("auto");
    program.serverurl = (!auto).then(|| v.owned());
    Ok(())
}

fn port(server: &mut Server, v: &mut Given<'_, '_>) -> Result<(), String> {
    let (host, port) = v.address()?;
    server.listen = Listen::Inet { host, port };
    Ok(())
}

fn file(server: &mut Server, v: &mut Given<'_, '_>) -> Result<(), String> {
    let file = v.inquiry.normal_path(super::python::strip(v.text));
    server.listen = Listen::Unix { file, chmod: 0o700, chown: None };
    Ok(())
}

fn chown(server: &mut Server, v: &mut Given<'_, '_>) -> Result<(), String> {
    let owner = v.owner();
    if let Listen::Unix { chown, .. } = &mut server.listen {
        *chown = owner;
    }
    owner.map(drop).ok_or_else(|| format!("Invalid sockchown value {}", v.text))
}

fn chmod(server: &mut Server, v: &mut Given<'_, '_>) -> Result<(), String> {
    let bits = v.octal().map_err(|_| format!("Invalid chmod value {}", v.text))?;
    if let Listen::Unix { chmod, .. } = &mut server.listen {
        *chmod = bits;
    }
    Ok(())
}

fn access(server: &mut Server, v: &mut Given<'_, '_>) -> Result<(), String> {
    server.access = Access::named(super::python::strip(v.text))
        .ok_or_else(|| format!("Invalid access value {}: give full, read-only or local", v.text))?;
    Ok(())
}

fn server(client: &mut Client, v: &mut Given<'_, '_>) -> Result<(), String> {
    client.serverurl = match v.text.strip_prefix("unix://") {
        Some(path) => format!("unix://{}", v.inquiry.normal_path(path)),
        None => v.owned(),
    };
    Ok(())
}

fn history(client: &mut Client, v: &mut Given<'_, '_>) -> Result<(), String> {
    client.history_file = (!v.text.is_empty()).then(|| v.inquiry.normal_path(v.text));
    Ok(())
}

//! What a configuration says, once it is read: the daemon, its servers, groups of programs.

use super::facts::Want;
use crate::dialect::Diagnostic;
use crate::machine::Budget;
use crate::signal::Signal;
use crate::spec::Cgroup;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Everything that a configuration says, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[supervisord]`.
    pub daemon: Daemon,
    /// `[inet_http_server]` and `[unix_http_server]`, in this order.
    pub servers: Vec<Server>,
    /// The groups in the order of their priorities, names where these are the same.
    pub groups: Vec<Group>,
    /// `[rpcinterface:x]`.
    pub interfaces: Vec<Plugin>,
    /// What the original says on standard error, where it does not start: the first error.
    pub refusal: Option<String>,
    /// What the original writes into its log, the warnings first.
    pub warnings: Vec<String>,
    /// What it writes at level `info`.
    pub notices: Vec<String>,
    /// All errors and warnings, with their places. At most as many as one file may have.
    pub remarks: Vec<Remark>,
    /// The files that were read, the configuration first.
    pub files: Vec<Source>,
    /// Facts that were missing. As long as there are some, nothing else here counts.
    pub wants: BTreeSet<Want>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A remark about one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Which one of the files.
    pub file: usize,
    /// The remark.
    pub diagnostic: Diagnostic,
}

/// The keys of `[supervisord]`. Numbers are as they were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Open files that there must be room for.
    pub minfds: i64,
    /// Processes that there must be room for.
    pub minprocs: i64,
    /// Where to go when it goes into the background.
    pub directory: Option<String>,
    /// Whom to become.
    pub user: Option<String>,
    /// File creation mask.
    pub umask: u32,
    /// The log.
    pub logfile: String,
    /// At how many bytes the log is rotated.
    pub logfile_maxbytes: i64,
    /// How many old logs are kept.
    pub logfile_backups: i64,
    /// From which level on it is written.
    pub loglevel: u8,
    /// Where the process number is written.
    pub pidfile: String,
    /// What it calls itself.
    pub identifier: String,
    /// Whether it stays in the foreground.
    pub nodaemon: bool,
    /// Whether the log does not also go to standard output.
    pub silent: bool,
    /// Where logs with names of their own go.
    pub childlogdir: String,
    /// Whether old logs with names of their own stay.
    pub nocleanup: bool,
    /// Whether colours are taken out of the output of programs.
    pub strip_ansi: bool,
    /// How many restarts there may be over all programs; none: nobody has said.
    #[serde(default)]
    pub restart_budget: Option<Budget>,
    /// Variables for every program.
    pub environment: Vec<(String, String)>,
    /// Permission bits of new logs, this daemon's own and those of programs; none: nobody has said.
    #[serde(default)]
    pub log_mode: Option<u16>,
    /// Who has new logs, by name, and the group; none: nobody has said.
    #[serde(default)]
    pub log_owner: Option<(String, Option<String>)>,
}

/// A section that opens a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The section's whole name.
    pub section: String,
    /// What stands behind the colon in it.
    pub name: Option<String>,
    /// Where it listens.
    pub listen: Listen,
    /// User and password, where they are wanted.
    pub login: Option<(String, String)>,
    /// What may be done through it.
    #[serde(default)]
    pub access: Access,
}

/// What may be done through a server. Not of the original, whose servers let everything be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Everything.
    #[default]
    Full,
    /// Whoever gets in may look, and read logs.
    ReadOnly,
    /// Everything, but from this machine alone: a port is opened at its loopback address.
    Local,
}

impl Access {
    /// Returns the one of that name.
    pub fn named(name: &str) -> Option<Access> {
        match name {
            "full" => Some(Access::Full),
            "read-only" => Some(Access::ReadOnly),
            "local" => Some(Access::Local),
            _ => None,
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listen {
    /// A TCP socket of IPv4.
    Inet {
        /// Empty: every address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix {
        /// Its path, absolute.
        file: String,
        /// Permission bits.
        chmod: u32,
        /// Owner, where it is changed.
        chown: Option<Owner>,
    },
}

/// A user and perhaps a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Number of the user.
    pub uid: u32,
    /// Number of the group; none: it is not changed.
    pub gid: Option<u32>,
}

/// A section that names Python code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plugin {
    /// What stands behind the colon.
    pub name: String,
    /// `module:callable`.
    pub factory: String,
    /// The other keys.
    pub arguments: Vec<(String, String)>,
}

/// Programs that are started, stopped and removed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The smaller, the earlier it is started and the later stopped.
    pub priority: i64,
    /// What kind of group it is.
    pub kind: GroupKind,
    /// Its processes in the order of their priorities, names where these are the same.
    pub programs: Vec<Program>,
}

/// What makes a group special.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum GroupKind {
    /// Nothing.
    Programs,
    /// They are told events.
    Listeners(Pool),
    /// They share a socket.
    FastCgi(Socket),
}

/// What a group of event listeners has beyond its programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Events that wait at most.
    pub buffer_size: i64,
    /// The events, as the table [`EVENTS`] names them, each once.
    pub events: BTreeSet<&'static str>,
    /// Python code that judges the answers.
    pub result_handler: String,
}

/// Names of events. Source: Supervisor 4.3.0, events.
pub const EVENTS: [&str; 27] = [
    "EVENT",
    "PROCESS_STATE",
    "PROCESS_STATE_STOPPED",
    "PROCESS_STATE_EXITED",
    "PROCESS_STATE_STARTING",
    "PROCESS_STATE_STOPPING",
    "PROCESS_STATE_BACKOFF",
    "PROCESS_STATE_FATAL",
    "PROCESS_STATE_RUNNING",
    "PROCESS_STATE_UNKNOWN",
    "PROCESS_COMMUNICATION",
    "PROCESS_COMMUNICATION_STDOUT",
    "PROCESS_COMMUNICATION_STDERR",
    "PROCESS_LOG",
    "PROCESS_LOG_STDOUT",
    "PROCESS_LOG_STDERR",
    "REMOTE_COMMUNICATION",
    "SUPERVISOR_STATE_CHANGE",
    "SUPERVISOR_STATE_CHANGE_RUNNING",
    "SUPERVISOR_STATE_CHANGE_STOPPING",
    "TICK",
    "TICK_5",
    "TICK_60",
    "TICK_3600",
    "PROCESS_GROUP",
    "PROCESS_GROUP_ADDED",
    "PROCESS_GROUP_REMOVED",
];

/// The socket that programs of `[fcgi-program:x]` share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// Where.
    pub listen: SocketPlace,
    /// How many connections may wait; none: as many as the kernel lets.
    pub backlog: Option<u16>,
}

/// Where a shared socket is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum SocketPlace {
    /// TCP.
    Tcp {
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket.
    Unix {
        /// Absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner, where it is changed.
        owner: Option<Owner>,
    },
}

/// When a program is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Restart {
    /// Never.
    Never,
    /// When it ends otherwise than expected.
    Unexpected,
    /// Always.
    Always,
}

/// Where output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum LogFile {
    /// Into no file.
    None,
    /// Into a file of a name that is made up.
    Auto,
    /// To syslog: the old way to say it, and none once a program is read.
    Syslog,
    /// Into this file.
    Path(String),
}

/// One of the two outputs of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The file.
    pub logfile: LogFile,
    /// At how many bytes it is rotated; 0: never.
    pub maxbytes: i64,
    /// How many old ones are kept.
    pub backups: i64,
    /// Whether lines go to syslog too.
    pub syslog: bool,
    /// How much is kept between the signs of capture mode; 0: they mean nothing.
    pub capture_maxbytes: i64,
    /// Whether output becomes events.
    pub events_enabled: bool,
}

/// One process of a program. Numbers are as they were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// The section it comes from.
    pub section: String,
    /// Name of the process.
    pub name: String,
    /// What is run.
    pub command: String,
    /// Where.
    pub directory: Option<String>,
    /// File creation mask.
    pub umask: Option<u32>,
    /// Order within the group.
    pub priority: i64,
    /// Whether it is started with the daemon.
    pub autostart: bool,
    /// When it is started again.
    pub autorestart: Restart,
    /// How many seconds it must stay up.
    pub startsecs: i64,
    /// How many failed starts are tried again.
    pub startretries: i64,
    /// How many seconds the first such try waits, and each one longer than the last.
    pub backoff_delay: i64,
    /// How many seconds one waits at most.
    pub backoff_cap: i64,
    /// By how much each is longer than the last, in hundredths; none: by the first.
    #[serde(default)]
    pub backoff_factor: Option<u32>,
    /// How many seconds two starts are apart at least.
    pub restart_pace: i64,
    /// What its control group is.
    pub cgroups: Vec<Cgroup>,
    /// Which exits are expected.
    pub exitcodes: Vec<u8>,
    /// What asks it to stop; none: signal 0, which asks nothing.
    pub stopsignal: Option<Signal>,
    /// Seconds until KILL.
    pub stopwaitsecs: i64,
    /// Whether its process group is asked too.
    pub stopasgroup: bool,
    /// Whether its process group is killed too.
    pub killasgroup: bool,
    /// As whom: what was given, and the number.
    pub user: Option<(String, u32)>,
    /// Whether standard error goes where standard output goes.
    pub redirect_stderr: bool,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Variables, those of `[supervisord]` first.
    pub environment: Vec<(String, String)>,
    /// What it is told as the daemon's address; none: the first server.
    pub serverurl: Option<String>,
    /// What it says in the words of job files, a stanza on each line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stanzas: String,
    /// The template of its name, and how many processes there are from which number on.
    #[serde(skip)]
    pub(super) process_name: String,
    #[serde(skip)]
    pub(super) numprocs: i64,
    #[serde(skip)]
    pub(super) numprocs_start: i64,
}

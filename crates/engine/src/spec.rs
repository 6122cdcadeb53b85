//! What a job file says, once it is understood: `JobSpec` = attributes for the kernel, policy for
//! the engine, conditions. Stanzas and options of one meaning share a field.

use crate::few::Few;
use crate::list::List;
use crate::names::{EventName, JobName};
use crate::process::{Role, Stream};
use crate::rights::Allow;
use crate::shared::Shared;
use crate::signal::Signal;
use crate::text::Text;
use crate::time::Span;
use crate::treat::Treatment;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A job as described by its file and override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The name it is known by.
    pub name: JobName,
    /// What people read.
    pub about: Shared<About>,
    /// What the kernel is told for each process.
    pub attrs: Shared<Attrs>,
    /// What the engine decides by.
    pub policy: Shared<Policy>,
    /// The commands, by role.
    pub commands: Few<Role, Command>,
    /// The `env` stanzas in their order.
    pub env: List<EnvRow>,
    /// Variables of the job that its events carry.
    pub export: List<Text>,
    /// The template of the instance name; empty for the one unnamed instance.
    pub instance: Text,
    /// When to start by itself.
    pub start_on: Option<Shared<Condition>>,
    /// When to stop by itself.
    pub stop_on: Option<Shared<Condition>>,
}

impl JobSpec {
    /// Returns the job that an empty file describes.
    pub fn new(name: JobName) -> JobSpec {
        JobSpec {
            name,
            about: Shared::default(),
            attrs: Shared::default(),
            policy: Shared::default(),
            commands: Few::new(),
            env: List::new(),
            export: List::new(),
            instance: Text::default(),
            start_on: None,
            stop_on: None,
        }
    }

    /// Keeps what is the same as in another job only once. Most jobs are alike in most things.
    pub fn share(&mut self, other: &JobSpec) {
        self.about.share(&other.about);
        self.attrs.share(&other.attrs);
        self.policy.share(&other.policy);
        self.env.share(&other.env);
        self.export.share(&other.export);
        for (own, other) in
            [(&mut self.start_on, &other.start_on), (&mut self.stop_on, &other.stop_on)]
        {
            if let (Some(own), Some(other)) = (own, other) {
                own.share(other);
            }
        }
    }
}

/// What people read about a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The `description` stanza.
    pub description: Option<Text>,
    /// The `author` stanza.
    pub author: Option<Text>,
    /// The `version` stanza.
    pub version: Option<Text>,
    /// The `usage` stanza: the parameters that a start wants.
    pub usage: Option<Text>,
    /// The `emits` stanzas: patterns of events that the job's own programs emit.
    pub emits: Vec<Text>,
}

/// A variable given to every process of the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvRow {
    /// `env KEY=VALUE`: the value is literal.
    Set(Text, Text),
    /// `env KEY`: copied from Upright's own environment when the job starts; unset there, removed.
    Inherit(Text),
    /// All of Upright's own environment.
    InheritAll,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// `exec`: the command line as written; the engine decides whether it needs a shell.
    Exec(Text),
    /// `script`: the block, common indentation removed.
    Script(Text),
    /// Words as a shell would quote them, with nothing else of a shell: never run by one.
    Words(Text),
}

/// A `start on` or `stop on` expression in reverse Polish order, so that nothing recurses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Operands and operators; the last node is the root.
    pub nodes: Vec<Node>,
}

/// One node of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// An event to match.
    Event(Operand),
    /// True when both operands are.
    And,
    /// True when one operand is.
    Or,
}

/// An event with what its variables must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operand {
    /// The event's name, compared byte for byte.
    pub event: EventName,
    /// The arguments as written, dequoted. Positional ones come first.
    pub args: Vec<Arg>,
}

/// One argument of an operand; values are globs, expanded before they are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arg {
    /// Compared with the event's variable at the same place.
    Positional(Text),
    /// `KEY=VALUE`.
    Equal(Text, Text),
    /// `KEY!=VALUE`; the variable must be there.
    NotEqual(Text, Text),
}

/// What the kernel is told when a process is spawned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attrs {
    /// Where input and output go.
    pub console: Console,
    /// File creation mask; none: the mode's default.
    pub umask: Option<u16>,
    /// Niceness -20 to 19; none: inherited.
    pub nice: Option<i8>,
    /// oom_score_adj -1000 to 1000; none: inherited.
    pub oom_score_adj: Option<i16>,
    /// Resource limits by resource.
    pub limits: Few<Resource, Limits>,
    /// New root directory.
    pub chroot: Option<Text>,
    /// Working directory.
    pub chdir: Option<Text>,
    /// User by name.
    pub setuid: Option<Text>,
    /// Group by name.
    pub setgid: Option<Text>,
    /// AppArmor profile to load before the job runs.
    pub apparmor_load: Option<Text>,
    /// AppArmor profile that main runs under.
    pub apparmor_switch: Option<Text>,
    /// Control groups to join.
    pub cgroups: Vec<Cgroup>,
    /// Whether the process stops itself before exec for a debugger.
    pub debug: bool,
    /// How output is kept.
    pub log: LogPolicy,
    /// Where main's standard input comes from, unless its console says it.
    #[serde(default)]
    pub input: StandardInput,
    /// Who reads main's standard output.
    #[serde(default)]
    pub reader: Reader,
    /// The socket that main finds as descriptor 0; none: it has no socket.
    #[serde(default)]
    pub socket: Option<Box<Socket>>,
}

/// A socket that listens for all main processes of the jobs that name the same place: open as long as
/// one of these jobs has an instance. Source: Supervisor 4.3.0, fcgi-program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Where.
    pub place: SocketPlace,
    /// How many connections may wait; none: as many as the kernel lets.
    pub backlog: Option<u16>,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketPlace {
    /// At a port.
    Tcp {
        /// Address or name of this machine; empty or `*`: every address.
        host: Text,
        /// The port.
        port: u16,
    },
    /// In the file system.
    Unix {
        /// Absolute path.
        path: Text,
        /// Permission bits.
        mode: u16,
        /// User and perhaps group, each a name or a number; none: not changed.
        owner: Option<(Text, Option<Text>)>,
    },
}

/// As a URL: `tcp://127.0.0.1:9000`, `unix:///run/x.sock`.
impl fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketPlace::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            SocketPlace::Unix { path, .. } => write!(f, "unix://{path}"),
        }
    }
}

/// Who reads the standard output of a job's main process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reader {
    /// The logger.
    #[default]
    Logger,
    /// A gateway that talks with it; what that passes on is logged.
    Gateway,
}

/// Where the standard input of a job's main process comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StandardInput {
    /// From nowhere: it is at its end.
    #[default]
    Null,
    /// From a pipe that clients can write to.
    Pipe,
}

/// Where the input and output of a job's processes go. `None` in the file means the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Console {
    /// Whatever `--default-console` says; `log` unless told.
    #[default]
    Default,
    /// Through a pipe into the job's log file.
    Log,
    /// Through a pseudo terminal into the job's log file, as Upstart did.
    LogPty,
    /// Through a pipe to Upright's own standard output, each line with the job's name before it.
    Stdout,
    /// Nowhere.
    None,
    /// The system console.
    Output,
    /// The system console, as its controlling process.
    Owner,
}

/// A resource that `limit` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Address space, bytes.
    As,
    /// Core file size, bytes.
    Core,
    /// Processor time, seconds.
    Cpu,
    /// Data segment, bytes.
    Data,
    /// File size, bytes.
    Fsize,
    /// Locked memory, bytes.
    Memlock,
    /// POSIX message queues, bytes.
    Msgqueue,
    /// Ceiling of the niceness, 20 - nice.
    Nice,
    /// Open descriptors.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Resident set, bytes; without effect on Linux.
    Rss,
    /// Ceiling of the real-time priority.
    Rtprio,
    /// Queued signals.
    Sigpending,
    /// Stack, bytes.
    Stack,
}

impl Resource {
    /// Every resource with the word that job files use.
    pub const TABLE: [(Resource, &'static str); 14] = [
        (Resource::As, "as"),
        (Resource::Core, "core"),
        (Resource::Cpu, "cpu"),
        (Resource::Data, "data"),
        (Resource::Fsize, "fsize"),
        (Resource::Memlock, "memlock"),
        (Resource::Msgqueue, "msgqueue"),
        (Resource::Nice, "nice"),
        (Resource::Nofile, "nofile"),
        (Resource::Nproc, "nproc"),
        (Resource::Rss, "rss"),
        (Resource::Rtprio, "rtprio"),
        (Resource::Sigpending, "sigpending"),
        (Resource::Stack, "stack"),
    ];
}

/// A soft and a hard limit; none is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// What holds now.
    pub soft: Option<u64>,
    /// What the process may raise it to.
    pub hard: Option<u64>,
}

/// A `cgroup` stanza.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// The controller.
    pub controller: Text,
    /// The group's name, expanded at start; none: the job's own.
    pub name: Option<Text>,
    /// A setting of that group.
    pub setting: Option<(Text, Text)>,
}

/// How the output of a job is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// A file that has reached this many bytes is rotated; none: the daemon's default.
    pub rotate_size: Option<u64>,
    /// How many rotated files are kept; none: the daemon's default.
    pub rotate_count: Option<u32>,
    /// Permission bits of a new file; none: the daemon's default.
    pub mode: Option<u16>,
    /// User and group of a new file; none: the daemon's default.
    pub owner: Option<(Text, Option<Text>)>,
    /// What to do when the disk is full; none: drop and count.
    pub on_full: Option<OnFull>,
    /// Where it goes.
    #[serde(default)]
    pub place: LogPlace,
    /// What is made of it before.
    #[serde(default)]
    pub treat: Treatment,
    /// How main's standard error is kept, where it does not go where standard output goes. What is
    /// not said there is as here.
    #[serde(default)]
    pub errors: Option<Box<LogPolicy>>,
}

/// Where an output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogPlace {
    /// Into the job's file in the log directory, or wherever else the options say.
    #[default]
    Usual,
    /// Nowhere.
    None,
    /// Into this file.
    File(Text),
    /// Into a file of a name that is made up, in the directory for such.
    Auto,
    /// To one of Upright's own outputs, line by line.
    Own(Stream),
}

/// What happens to output that cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// It is dropped, counted and announced.
    #[default]
    Drop,
    /// The job waits in its write.
    Block,
}

/// How long a check may take where its job does not say: who asked for a restart waits for it.
pub const CHECK_TIMEOUT: Span = Span::secs(60);

/// What the engine decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether the job is done when main ends, rather than failed or to be respawned.
    pub task: bool,
    /// Whether Upright ends, with the job's exit code, when it has ended for good.
    #[serde(default)]
    pub essential: bool,
    /// When main is started again after it ended unasked.
    pub respawn: Respawn,
    /// How often respawning may happen.
    pub respawn_limit: RespawnLimit,
    /// How long a respawn waits.
    pub backoff: Backoff,
    /// Ends of main that are not failures.
    pub normal_exit: Vec<NormalExit>,
    /// The polite signal.
    pub kill_signal: Signal,
    /// From the polite signal to KILL. Zero: KILL at once.
    pub kill_timeout: Span,
    /// Who gets the signals.
    pub kill_mode: KillMode,
    /// The signal of `reload`; none (`reload signal 0`): `reload` signals nobody.
    pub reload_signal: Option<Signal>,
    /// How readiness is told.
    pub expect: Expect,
    /// How long an `expect` may take before the original is taken for main.
    pub expect_timeout: Span,
    /// Time limits of the other processes, by role; none: unlimited, of a check [`CHECK_TIMEOUT`]. Zero,
    /// of a check alone: unlimited.
    pub timeouts: Few<Role, Span>,
    /// How often a start is tried again when main ended before it was ready, or could not be
    /// executed; none: it is not, and an early end is an end like any other.
    #[serde(default)]
    pub start_retries: Option<u32>,
    /// Whether the job is started when it becomes known.
    #[serde(default)]
    pub autostart: bool,
    /// The place among other jobs; none: they are stopped together with all others of none.
    #[serde(default)]
    pub order: Option<Order>,
    /// Who has which role over the job, beside what the file of rights says.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            task: false,
            essential: false,
            respawn: Respawn::Never,
            respawn_limit: RespawnLimit::default(),
            backoff: Backoff::default(),
            normal_exit: Vec::new(),
            kill_signal: Signal::TERM,
            kill_timeout: Span::secs(5),
            kill_mode: KillMode::Group,
            reload_signal: Some(Signal::HUP),
            expect: Expect::None,
            expect_timeout: Span::secs(5),
            timeouts: Few::new(),
            start_retries: None,
            autostart: false,
            order: None,
            allow: Vec::new(),
        }
    }
}

/// When main is started again after it ended unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Respawn {
    /// Never.
    Never,
    /// When its end is none of the normal ones.
    Failed,
    /// Whatever its end.
    Always,
}

/// The group of a job and its place among others. An orderly end stops one group after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// The smaller, the later the group is stopped.
    pub group_priority: i64,
    /// Name of the group; decides where priorities are the same.
    pub group: Text,
    /// The place within the group.
    pub priority: i64,
}

/// How many respawns are allowed in which time. Source: init(5), respawn limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RespawnLimit {
    /// At most `count` in a window of `interval`.
    Within {
        /// Respawns.
        count: u32,
        /// Length of the window.
        interval: Span,
    },
    /// Any number.
    Unlimited,
}

impl Default for RespawnLimit {
    fn default() -> RespawnLimit {
        RespawnLimit::Within { count: 10, interval: Span::secs(5) }
    }
}

/// The wait before the next start after a failed one: `delay`, then `factor` times the last and
/// `step` more, up to `cap`; back to `delay` once main stayed up for `reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first wait. Zero (Upstart's way): none at all.
    pub delay: Span,
    /// In hundredths: 200 doubles.
    pub factor_percent: u32,
    /// The longest wait.
    pub cap: Span,
    /// Up to this share of the wait is added at random, in hundredths, so that many that failed
    /// together do not try together.
    pub jitter_percent: u32,
    /// Main stayed up this long: the count of failures begins anew. Zero, where failed starts are
    /// counted: as soon as it was ready.
    pub reset: Span,
    /// The least time from one start of main to the next, so that what ends at once burns nothing.
    #[serde(default)]
    pub pace: Span,
    /// What each wait is longer than the last, beside the factor.
    #[serde(default)]
    pub step: Span,
    /// Where it would be given up it is tried again so often instead, until it has stayed up.
    #[serde(default)]
    pub retry: Option<Span>,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            delay: Span::ZERO,
            factor_percent: 200,
            cap: Span::secs(60),
            jitter_percent: 20,
            reset: Span::secs(60),
            pace: Span::ZERO,
            step: Span::ZERO,
            retry: None,
        }
    }
}

/// An end that is not a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormalExit {
    /// This exit status. Any number that the file may name, though processes only have 0 to 255.
    Status(u32),
    /// This signal.
    Signal(Signal),
}

/// Who is signalled when a job stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KillMode {
    /// Main alone.
    Process,
    /// Main's process group, as Upstart does.
    Group,
    /// Main's process group; then, main gone, everything that can be attributed to it.
    Tree,
    /// Main alone with the polite signal, its process group with KILL.
    Mixed,
}

/// How a job tells that it is ready, and which process then is main.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// Ready when executed.
    None,
    /// Ready when it stops itself with SIGSTOP.
    Stop,
    /// Ready when the original ended and left one child.
    Fork,
    /// Ready when the original ended and left a daemon.
    Daemon,
    /// Ready when it has stayed up so long; at once where that is zero.
    Up(Span),
}

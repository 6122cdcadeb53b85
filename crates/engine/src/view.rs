//! What a person or a client is shown of a job: plain values, taken at one moment.

use crate::dialect::upstart::show;
use crate::intent::Intended;
use crate::machine::state::{Goal, State};
use crate::names::{InstanceName, JobName};
use crate::process::{Exit, Pid, Role, Step, Stream};
use crate::shared::Shared;
use crate::signal::Signal;
use crate::spec::{About, Condition, JobSpec, KillMode, Node, Operand};
use crate::text::Text;
use crate::time::Span;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// An instance, or a job that has none (then `stop/waiting`), at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceView {
    /// The job.
    pub job: JobName,
    /// The instance; empty where it has no name or there is none.
    pub instance: InstanceName,
    /// What is wanted.
    pub goal: Goal,
    /// Where it is.
    pub state: State,
    /// Its living processes, main first.
    pub processes: Vec<(Role, Pid)>,
    /// How long it has been in that state.
    pub since: Span,
    /// The events that started it, a job's own with the job (`started db`); none where somebody asked.
    #[serde(default)]
    pub started_by: Vec<String>,
    /// What it waits for, in words; empty when at rest.
    pub waits_for: String,
    /// How its last main process ended, and how long ago.
    pub last_exit: Option<(LastExit, Span)>,
    /// How often main was started again since the instance exists.
    pub respawns: u64,
    /// What was refused or went wrong but did not stop it; each in a sentence.
    pub warnings: Vec<String>,
    /// How often main was started again, by why, for as long as anything is remembered of it.
    #[serde(default)]
    pub restarts: Restarts,
    /// What an operator has decided of the job.
    #[serde(default)]
    pub intended: Option<Intended>,
}

impl InstanceView {
    /// Returns the view of a job of which nothing else is known: it is at rest.
    pub fn at_rest(job: JobName, instance: InstanceName) -> InstanceView {
        InstanceView {
            job,
            instance,
            goal: Goal::Stop,
            state: State::Waiting,
            processes: Vec::new(),
            since: Span::ZERO,
            started_by: Vec::new(),
            waits_for: String::new(),
            last_exit: None,
            respawns: 0,
            warnings: Vec::new(),
            restarts: Restarts::default(),
            intended: None,
        }
    }
}

/// How often a main process was started again, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarts {
    /// It had ended with status 0.
    pub done: u32,
    /// It had ended with another status.
    pub status: u32,
    /// A signal had ended it.
    pub signal: u32,
    /// Nobody knows how it had ended.
    pub unknown: u32,
    /// It had ended before it was ready, or could not be executed.
    pub unready: u32,
    /// Somebody had asked.
    pub asked: u32,
}

impl Restarts {
    /// Returns each reason by its name, which is that on the wire, with its count.
    pub fn by_reason(&self) -> [(&'static str, u32); 6] {
        let Restarts { done, status, signal, unknown, unready, asked } = *self;
        [
            ("done", done),
            ("status", status),
            ("signal", signal),
            ("unknown", unknown),
            ("unready", unready),
            ("asked", asked),
        ]
    }

    /// Reports whether there was none.
    pub fn is_none(&self) -> bool {
        *self == Restarts::default()
    }
}

/// What stands in for Supervisor's daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorView {
    /// What it calls itself.
    pub identifier: String,
    /// Whether it goes on.
    pub state: SupervisorState,
    /// The process that was started.
    pub pid: Pid,
    /// Its own log.
    pub logfile: Text,
}

/// Whether what stands in for Supervisor's daemon goes on. Source: Supervisor 4.3.0, getState.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SupervisorState {
    /// It does.
    Running,
    /// Everything stops, to begin anew.
    Restarting,
    /// Everything stops.
    Shutdown,
}

/// Groups of Supervisor's configuration that differ from those in force, by name, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsView {
    /// New ones.
    pub added: Vec<String>,
    /// Those that say something else.
    pub changed: Vec<String>,
    /// Those that are not there any more.
    pub removed: Vec<String>,
}

/// Where descriptions are read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// A directory of job files, or a file.
    pub path: Text,
    /// What is in it.
    pub kind: SourceKind,
    /// The files of a configuration, it first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Text>,
    /// The patterns of its `[include]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<Text>,
}

/// What is read from a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Job files.
    Jobs,
    /// A configuration of Supervisor's.
    Programs,
}

/// The file of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// Where it is.
    pub path: Text,
    /// Whether it is there.
    pub state: LogState,
}

/// Whether a log's file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogState {
    /// It is; its descriptor comes with the answer.
    Open,
    /// It is made by its first byte, which has not come yet.
    Empty,
    /// It is not, and nothing has been written that would be in it.
    Missing,
}

/// How much of an output there was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountView {
    /// The job.
    pub job: JobName,
    /// The instance.
    #[serde(default)]
    pub instance: InstanceName,
    /// Which of its outputs.
    pub stream: Stream,
    /// Bytes that were taken since this logger began: written, forwarded, or thrown away where the
    /// description says so.
    pub taken: u64,
    /// Bytes that were dropped since, as they could not be written.
    pub dropped: u64,
    /// The size of the file; none: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What Supervisor's configuration, as it was last read, says of a process. Source: Supervisor 4.3.0,
/// getAllConfigInfo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredView {
    /// The group.
    pub group: Text,
    /// The process: its name within the group.
    pub process: Text,
    /// Whether the group is in force.
    pub in_force: bool,
    /// `priority` of the group and of the process.
    pub priorities: (i64, i64),
    /// `autostart`.
    pub autostart: bool,
    /// `command`, expanded.
    pub command: Text,
    /// `directory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Text>,
    /// The number of `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// `exitcodes`.
    pub exitcodes: Vec<u32>,
    /// `killasgroup`.
    pub kills_group: bool,
    /// `startretries`.
    pub start_retries: u32,
    /// `startsecs`.
    pub start_seconds: u64,
    /// The number of `stopsignal`.
    pub stop_signal: u8,
    /// `stopwaitsecs`.
    pub stop_seconds: u64,
    /// `serverurl`, where the program has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_url: Option<String>,
    /// `redirect_stderr`.
    pub redirects_stderr: bool,
    /// How standard output is kept.
    pub stdout: OutputView,
    /// How standard error would be kept where it went nowhere else.
    pub stderr: OutputView,
}

/// How an output of a program is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputView {
    /// `_logfile`: a path, or `auto` where none has been made up; none: it is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Text>,
    /// `_logfile_maxbytes`.
    pub max_bytes: u64,
    /// `_logfile_backups`.
    pub backups: u32,
    /// `_capture_maxbytes`.
    pub capture: u64,
    /// `_events_enabled`.
    pub events: bool,
    /// `_syslog`.
    pub syslog: bool,
}

/// What a client of Supervisor is shown of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramView {
    /// The job.
    pub job: JobName,
    /// The group; of a job in none its own name.
    pub group: Text,
    /// The process: its name within the group.
    pub process: Text,
    /// The priorities of the group and of the process in it; none: a job that is no program of
    /// Supervisor's configuration.
    pub priorities: Option<(i64, i64)>,
    /// Where it is.
    pub state: ProgramState,
    /// Number of the main process; none: there is none.
    pub pid: Option<Pid>,
    /// How long ago it was last started; none: never.
    pub started: Option<Span>,
    /// How long ago it last ended; none: never.
    pub stopped: Option<Span>,
    /// How it last ended, while it does not run.
    pub exit: Option<Exit>,
    /// What keeps it from running, in Supervisor's words; empty where nothing does.
    pub spawn_error: String,
    /// How many starts in a row have failed.
    pub failures: u32,
    /// The file of its output; none: there is none, an instance has one of its own, or who asks may not
    /// know.
    pub stdout_log: Option<Text>,
    /// The file of its standard error, where that has one of its own.
    pub stderr_log: Option<Text>,
}

impl ProgramView {
    /// Returns the description of a process that runs or cannot run; nothing where it is a date, or
    /// empty: in the other states. Source: Supervisor 4.3.0, getProcessInfo.
    pub fn description(&self) -> Option<String> {
        match self.state {
            ProgramState::Running => {
                let up = uptime(self.started.unwrap_or(Span::ZERO));
                Some(format!("pid {}, uptime {up}", self.pid.unwrap_or(0)))
            }
            ProgramState::Backoff | ProgramState::Fatal if self.spawn_error.is_empty() => {
                Some(format!("unknown error (try \"tail {}\")", self.process))
            }
            ProgramState::Backoff | ProgramState::Fatal => Some(self.spawn_error.clone()),
            ProgramState::Stopped
            | ProgramState::Starting
            | ProgramState::Stopping
            | ProgramState::Exited
            | ProgramState::Unknown => None,
        }
    }
}

/// Hours, minutes and seconds, days before them: `1 day, 0:00:05`.
fn uptime(span: Span) -> String {
    let seconds = span.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

/// A state as Supervisor has them: a projection of goal, state, hold and last end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProgramState {
    /// Never started, or stopped by somebody.
    Stopped,
    /// Started, not ready.
    Starting,
    /// Ready.
    Running,
    /// Ended too early; waits for the next try.
    Backoff,
    /// Asked to end.
    Stopping,
    /// Ended by itself.
    Exited,
    /// Ended too early at every try.
    Fatal,
    /// The kernel holds it: it does not end.
    Unknown,
}

impl ProgramState {
    /// Every state with its name and code. Source: Supervisor 4.3.0, states.
    pub const TABLE: [(ProgramState, &'static str, u32); 8] = [
        (ProgramState::Stopped, "STOPPED", 0),
        (ProgramState::Starting, "STARTING", 10),
        (ProgramState::Running, "RUNNING", 20),
        (ProgramState::Backoff, "BACKOFF", 30),
        (ProgramState::Stopping, "STOPPING", 40),
        (ProgramState::Exited, "EXITED", 100),
        (ProgramState::Fatal, "FATAL", 200),
        (ProgramState::Unknown, "UNKNOWN", 1000),
    ];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        ProgramState::TABLE.iter().find(|row| row.0 == self).map_or("UNKNOWN", |row| row.1)
    }

    /// Reports whether there is nothing left to stop. Source: Supervisor 4.3.0, STOPPED_STATES.
    pub fn is_at_rest(self) -> bool {
        match self {
            ProgramState::Stopped
            | ProgramState::Exited
            | ProgramState::Fatal
            | ProgramState::Unknown => true,
            ProgramState::Starting
            | ProgramState::Running
            | ProgramState::Backoff
            | ProgramState::Stopping => false,
        }
    }

    /// Returns its code.
    pub fn code(self) -> u32 {
        ProgramState::TABLE.iter().find(|row| row.0 == self).map_or(1000, |row| row.2)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastExit {
    /// The process ended.
    Ended {
        /// Which process.
        process: Role,
        /// How.
        exit: Exit,
    },
    /// There never was a process.
    NotSpawned {
        /// Which process.
        process: Role,
        /// Where it failed.
        step: Step,
        /// Why, as the kernel said it.
        errno: i32,
    },
}

/// One entry of the history that `why` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// How long ago.
    pub ago: Span,
    /// What happened.
    pub cause: String,
    /// What the engine decided, and what followed.
    pub decision: String,
}

/// A line of a condition as it is drawn, the lines below an operator one step deeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// How deep it stands; the first line at 0.
    pub depth: u32,
    /// `all of`, `any of`, or the event with its arguments.
    pub words: String,
    /// Whether it has come true.
    pub met: bool,
    /// The event that has come, with its variables' names and values.
    pub by: Option<String>,
    /// What is known of who would bring it; empty where nothing is.
    pub note: String,
}

/// A run of a job's main process that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// How long ago it ended.
    pub ago: Span,
    /// How long it lasted; nothing where its beginning is not remembered or there never was one.
    pub lasted: Option<Span>,
    /// How it ended.
    pub exit: LastExit,
    /// What is known of the signal that ended it; empty where nothing is.
    pub note: String,
}

/// When an instance was wanted, began, ran and ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineView {
    /// The job.
    pub job: JobName,
    /// The instance.
    pub instance: InstanceName,
    /// What happened, oldest first, as far as it is remembered.
    pub marks: Vec<Mark>,
}

/// A moment in the life of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How long ago.
    pub ago: Span,
    /// What happened.
    pub what: MarkKind,
    /// By whom or what, or how; empty where that says nothing.
    pub by: String,
}

/// What happened to an instance at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    /// A start was asked for, or `start on` came true.
    Wanted,
    /// A process that prepares ran.
    Begun,
    /// Main ran.
    Main,
    /// It ran as it should.
    Runs,
    /// Main ended.
    Ended,
    /// It is started again by itself.
    Again,
    /// It failed.
    Failed,
    /// A stop was asked for, `stop on` came true, or it was over.
    Unwanted,
    /// It was gone.
    Gone,
}

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The user.
    pub uid: u32,
    /// The process.
    pub pid: Pid,
    /// The name of its program; empty where it could not be read.
    pub program: Text,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} (", self.uid)?;
        if !self.program.is_empty() {
            write!(f, "{}, ", self.program)?;
        }
        write!(f, "process {})", self.pid)
    }
}

/// What `why` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// The job's state.
    pub status: InstanceView,
    /// Why it is in that state, in a sentence; never empty.
    pub verdict: String,
    /// How long until the machine does something about it by itself; none: nothing is due.
    pub due: Option<Span>,
    /// The ring of jobs and events that wait for each other and that it waits for, a link each.
    pub ring: Vec<String>,
    /// What starts it by itself, drawn.
    pub start_on: Vec<Need>,
    /// What stops it by itself, drawn; of an instance alone.
    pub stop_on: Vec<Need>,
    /// Who waits for this instance: events and clients, in words.
    pub waiters: Vec<String>,
    /// Its last runs, oldest first, as far as the history goes back.
    pub runs: Vec<RunView>,
    /// The last decisions, oldest first.
    pub history: Vec<Remembered>,
    /// The files that describe it, later ones after those that they change.
    pub files: Vec<Text>,
    /// Which section of the file does, where it is a program: `program:web`.
    pub section: Option<String>,
}

/// A job's description as `show-config` wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// The name.
    pub name: JobName,
    /// The `usage` stanza.
    pub usage: Option<Text>,
    /// The `description` stanza.
    pub description: Option<Text>,
    /// The `author` stanza.
    pub author: Option<Text>,
    /// The `version` stanza.
    pub version: Option<Text>,
    /// The `emits` patterns.
    pub emits: Vec<Text>,
    /// The start condition.
    pub start_on: Option<Condition>,
    /// The stop condition.
    pub stop_on: Option<Condition>,
}

impl JobView {
    /// Returns a condition as lists of words in reverse Polish order: an event with its arguments, or
    /// `/AND`, or `/OR`. Source: the properties start_on and stop_on of Upstart 1.13.2.
    pub fn operands(condition: Option<&Condition>) -> Vec<Vec<Text>> {
        let nodes = condition.into_iter().flat_map(|condition| &condition.nodes);
        let words = |node: &Node| match node {
            Node::And => Vec::from([Text::from("/AND")]),
            Node::Or => Vec::from([Text::from("/OR")]),
            Node::Event(Operand { event, args }) => {
                let args = args.iter().map(show::argument);
                [event.text().clone()].into_iter().chain(args).collect()
            }
        };
        nodes.map(words).collect()
    }
}

/// How a job's main process is run and ended, for who may read command lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsView {
    /// Whether the job is done when main ends.
    pub task: bool,
    /// Whether main is started again when it ends unasked.
    pub respawn: bool,
    /// What follows `exec`, or the script.
    pub command: Option<Text>,
    /// Where it runs.
    pub directory: Option<Text>,
    /// Whom it runs as, by name; none: whom Upright runs as.
    pub user: Option<Text>,
    /// What a stop sends.
    pub kill_signal: Signal,
    /// How long until KILL.
    pub kill_timeout: Span,
    /// Who gets the signals.
    pub kill_mode: KillMode,
    /// Statuses that are no failure, besides 0.
    pub normal_exit: Vec<u32>,
    /// Bytes after which the log file is rotated.
    pub rotate_size: u64,
    /// How many old log files are kept.
    pub rotate_count: u32,
}

impl From<JobView> for JobSpec {
    /// Returns the job with what the view tells of it and nothing else.
    fn from(view: JobView) -> JobSpec {
        let JobView { name, usage, description, author, version, emits, start_on, stop_on } = view;
        let about = About { description, author, version, usage, emits }.into();
        let (start_on, stop_on) = (start_on.map(Shared::from), stop_on.map(Shared::from));
        JobSpec { about, start_on, stop_on, ..JobSpec::new(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_counts_hours_without_a_zero_before_them_and_days() {
        let rows = [
            (0, "0:00:00"),
            (3_725, "1:02:05"),
            (86_399, "23:59:59"),
            (86_400, "1 day, 0:00:00"),
            (200_000, "2 days, 7:33:20"),
        ];
        for (seconds, words) in rows {
            assert_eq!(uptime(Span::secs(seconds)), words);
        }
    }

    #[test]
    fn every_state_has_a_name_and_a_code_of_its_own() {
        for (state, name, code) in ProgramState::TABLE {
            assert_eq!((state.name(), state.code()), (name, code));
        }
    }
}

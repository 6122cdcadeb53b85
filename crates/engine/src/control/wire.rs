//! The views as they travel: flat objects that Varlink's types can describe, empty fields left out.
//!
//! Each conversion takes its view apart field by field, so that a new field cannot be forgotten.

use super::notice::Notice;
use crate::dialect::upstart::show;
use crate::intent::Intended;
use crate::machine;
use crate::machine::request::Failure;
use crate::machine::state::{Goal, State};
use crate::machine::{JobChange, ProgramNews};
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{Exit, Pid, Role, Step};
use crate::signal::Signal;
use crate::spec::{Arg, Condition, KillMode, Node, Operand};
use crate::text::Text;
use crate::time::Span;
use crate::view::{
    InstanceView, JobView, LastExit, Mark, MarkKind, Need, ProgramState, ProgramView, Remembered,
    Restarts, RunView, SettingsView, TimelineView, WhyView,
};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

fn millis(span: Span) -> u64 {
    span.0 / 1_000_000
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_unnamed(instance: &InstanceName) -> bool {
    instance.text().is_empty()
}

/// Splits at the first `at`; nothing where there is none.
fn split(text: &Text, at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.bytes().iter().position(|b| *b == at)?;
    let (before, after) = text.bytes().split_at_checked(place)?;
    Some((before, after.get(1..)?))
}

/// The signal that the kernel ends a process with for want of memory.
const KILL: u8 = 9;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireEnding {
    process: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<u8>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    core: bool,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    oom: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
}

impl WireEnding {
    fn of(process: Role) -> WireEnding {
        let (status, signal, core, oom) = (None, None, false, false);
        WireEnding { process, status, signal, core, oom, step: None, errno: None }
    }

    fn ended(process: Role, exit: Exit) -> WireEnding {
        let none = WireEnding::of(process);
        match exit {
            Exit::Status(status) => WireEnding { status: Some(status), ..none },
            Exit::Signal { signal, core } => WireEnding { signal: Some(signal), core, ..none },
            Exit::Unknown => none,
            Exit::OutOfMemory => WireEnding { signal: Some(KILL), oom: true, ..none },
        }
    }

    fn not_spawned(process: Role, step: Step, errno: i32) -> WireEnding {
        WireEnding { step: Some(step), errno: Some(errno), ..WireEnding::of(process) }
    }

    fn exit(&self) -> Exit {
        match (self.status, self.signal) {
            (Some(status), _) => Exit::Status(status),
            (None, Some(_)) if self.oom => Exit::OutOfMemory,
            (None, Some(signal)) => Exit::Signal { signal, core: self.core },
            (None, None) => Exit::Unknown,
        }
    }
}

impl From<LastExit> for WireEnding {
    fn from(last: LastExit) -> WireEnding {
        match last {
            LastExit::Ended { process, exit } => WireEnding::ended(process, exit),
            LastExit::NotSpawned { process, step, errno } => {
                WireEnding::not_spawned(process, step, errno)
            }
        }
    }
}

impl From<WireEnding> for LastExit {
    fn from(wire: WireEnding) -> LastExit {
        match wire.step {
            Some(step) => LastExit::NotSpawned {
                process: wire.process,
                step,
                errno: wire.errno.unwrap_or_default(),
            },
            None => LastExit::Ended { process: wire.process, exit: wire.exit() },
        }
    }
}

/// Why a job failed, as it travels in a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireFailure {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<WireEnding>,
}

impl From<Failure> for WireFailure {
    fn from(failure: Failure) -> WireFailure {
        let (reason, ending) = match failure {
            Failure::Ended(role, exit) => ("ended", Some(WireEnding::ended(role, exit))),
            Failure::NotSpawned(role, step, errno) => {
                ("not-spawned", Some(WireEnding::not_spawned(role, step, errno)))
            }
            Failure::RespawnLimit => ("respawn-limit", None),
            Failure::StartRetries => ("start-retries", None),
            Failure::Timeout(role, exit) => {
                let ending =
                    exit.map_or(WireEnding::of(role), |exit| WireEnding::ended(role, exit));
                ("timeout", Some(ending))
            }
            Failure::Unkillable(role) => ("unkillable", Some(WireEnding::of(role))),
        };
        WireFailure { reason: String::from(reason), ending }
    }
}

impl WireFailure {
    /// Returns the failure; nothing where the words are of a later version.
    pub fn failure(&self) -> Option<Failure> {
        match (self.reason.as_str(), &self.ending) {
            ("ended", Some(ending)) => Some(Failure::Ended(ending.process, ending.exit())),
            ("not-spawned", Some(ending)) => Some(Failure::NotSpawned(
                ending.process,
                ending.step?,
                ending.errno.unwrap_or_default(),
            )),
            ("respawn-limit", _) => Some(Failure::RespawnLimit),
            ("start-retries", _) => Some(Failure::StartRetries),
            ("timeout", Some(ending)) => {
                let exit = Some(ending.exit()).filter(|exit| *exit != Exit::Unknown);
                Some(Failure::Timeout(ending.process, exit))
            }
            ("unkillable", Some(ending)) => Some(Failure::Unkillable(ending.process)),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireProcess {
    process: Role,
    pid: Pid,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireInstance {
    job: JobName,
    #[serde(default, skip_serializing_if = "is_unnamed")]
    instance: InstanceName,
    goal: Goal,
    state: State,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    processes: Vec<WireProcess>,
    age: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    started_by: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    waits_for: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_exit: Option<WireEnding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_exit_age: Option<u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    respawns: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Restarts::is_none")]
    restarts: Restarts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intended: Option<Intended>,
}

impl From<InstanceView> for WireInstance {
    fn from(view: InstanceView) -> WireInstance {
        let InstanceView {
            job,
            instance,
            goal,
            state,
            processes,
            since,
            started_by,
            waits_for,
            last_exit,
            respawns,
            warnings,
            restarts,
            intended,
        } = view;
        let (last_exit, last_exit_age) = match last_exit {
            Some((exit, ago)) => (Some(exit.into()), Some(millis(ago))),
            None => (None, None),
        };
        WireInstance {
            job,
            instance,
            goal,
            state,
            processes: processes
                .into_iter()
                .map(|(process, pid)| WireProcess { process, pid })
                .collect(),
            age: millis(since),
            started_by,
            waits_for,
            last_exit,
            last_exit_age,
            respawns,
            warnings,
            restarts,
            intended,
        }
    }
}

impl From<WireInstance> for InstanceView {
    fn from(wire: WireInstance) -> InstanceView {
        let ago = Span::millis(wire.last_exit_age.unwrap_or_default());
        InstanceView {
            job: wire.job,
            instance: wire.instance,
            goal: wire.goal,
            state: wire.state,
            processes: wire.processes.into_iter().map(|row| (row.process, row.pid)).collect(),
            since: Span::millis(wire.age),
            started_by: wire.started_by,
            waits_for: wire.waits_for,
            last_exit: wire.last_exit.map(|exit| (exit.into(), ago)),
            respawns: wire.respawns,
            warnings: wire.warnings,
            restarts: wire.restarts,
            intended: wire.intended,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireRemembered {
    age: u64,
    cause: String,
    decision: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireNeed {
    depth: u32,
    words: String,
    met: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

impl From<Need> for WireNeed {
    fn from(need: Need) -> WireNeed {
        let Need { depth, words, met, by, note } = need;
        WireNeed { depth, words, met, by, note }
    }
}

impl From<WireNeed> for Need {
    fn from(wire: WireNeed) -> Need {
        let WireNeed { depth, words, met, by, note } = wire;
        Need { depth, words, met, by, note }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireRun {
    age: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lasted: Option<u64>,
    ending: WireEnding,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

impl From<RunView> for WireRun {
    fn from(run: RunView) -> WireRun {
        let RunView { ago, lasted, exit, note } = run;
        WireRun { age: millis(ago), lasted: lasted.map(millis), ending: exit.into(), note }
    }
}

impl From<WireRun> for RunView {
    fn from(wire: WireRun) -> RunView {
        RunView {
            ago: Span::millis(wire.age),
            lasted: wire.lasted.map(Span::millis),
            exit: wire.ending.into(),
            note: wire.note,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireWhy {
    instance: WireInstance,
    verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ring: Vec<String>,
    start_on: Vec<WireNeed>,
    stop_on: Vec<WireNeed>,
    waiters: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    runs: Vec<WireRun>,
    history: Vec<WireRemembered>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    section: Option<String>,
}

impl From<WhyView> for WireWhy {
    fn from(view: WhyView) -> WireWhy {
        let WhyView {
            status,
            verdict,
            due,
            ring,
            start_on,
            stop_on,
            waiters,
            runs,
            history,
            files,
            section,
        } = view;
        let remembered = |row: Remembered| {
            let Remembered { ago, cause, decision } = row;
            WireRemembered { age: millis(ago), cause, decision }
        };
        WireWhy {
            instance: status.into(),
            verdict,
            due: due.map(millis),
            ring,
            start_on: start_on.into_iter().map(WireNeed::from).collect(),
            stop_on: stop_on.into_iter().map(WireNeed::from).collect(),
            waiters,
            runs: runs.into_iter().map(WireRun::from).collect(),
            history: history.into_iter().map(remembered).collect(),
            files,
            section,
        }
    }
}

impl From<WireWhy> for WhyView {
    fn from(wire: WireWhy) -> WhyView {
        let remembered = |row: WireRemembered| Remembered {
            ago: Span::millis(row.age),
            cause: row.cause,
            decision: row.decision,
        };
        WhyView {
            status: wire.instance.into(),
            verdict: wire.verdict,
            due: wire.due.map(Span::millis),
            ring: wire.ring,
            start_on: wire.start_on.into_iter().map(Need::from).collect(),
            stop_on: wire.stop_on.into_iter().map(Need::from).collect(),
            waiters: wire.waiters,
            runs: wire.runs.into_iter().map(RunView::from).collect(),
            history: wire.history.into_iter().map(remembered).collect(),
            files: wire.files,
            section: wire.section,
        }
    }
}

impl WireWhy {
    /// Drops the oldest decision; false where none is left.
    pub(super) fn forget_oldest(&mut self) -> bool {
        if self.history.is_empty() {
            return false;
        }
        self.history.remove(0);
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    And,
    Or,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct WireNode {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    op: Option<Op>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    args: Vec<Text>,
}

fn arg_of(text: Text) -> Arg {
    match split(&text, b'=') {
        None => Arg::Positional(text),
        Some((key, value)) => match key.strip_suffix(b"!") {
            Some(key) => Arg::NotEqual(Text::from(key), Text::from(value)),
            None => Arg::Equal(Text::from(key), Text::from(value)),
        },
    }
}

impl From<Node> for WireNode {
    fn from(node: Node) -> WireNode {
        match node {
            Node::And => WireNode { op: Some(Op::And), ..WireNode::default() },
            Node::Or => WireNode { op: Some(Op::Or), ..WireNode::default() },
            Node::Event(Operand { event, args }) => WireNode {
                op: None,
                event: Some(event),
                args: args.iter().map(show::argument).collect(),
            },
        }
    }
}

impl WireNode {
    fn node(self) -> Option<Node> {
        match (self.op, self.event) {
            (Some(Op::And), _) => Some(Node::And),
            (Some(Op::Or), _) => Some(Node::Or),
            (None, Some(event)) => {
                let args = self.args.into_iter().map(arg_of).collect();
                Some(Node::Event(Operand { event, args }))
            }
            (None, None) => None,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireJob {
    name: JobName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Text>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    emits: Vec<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_on: Option<Vec<WireNode>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_on: Option<Vec<WireNode>>,
}

impl From<JobView> for WireJob {
    fn from(view: JobView) -> WireJob {
        let JobView { name, usage, description, author, version, emits, start_on, stop_on } = view;
        let nodes = |condition: Condition| condition.nodes.into_iter().map(WireNode::from);
        WireJob {
            name,
            usage,
            description,
            author,
            version,
            emits,
            start_on: start_on.map(|condition| nodes(condition).collect()),
            stop_on: stop_on.map(|condition| nodes(condition).collect()),
        }
    }
}

impl From<WireJob> for JobView {
    fn from(wire: WireJob) -> JobView {
        let condition = |nodes: Vec<WireNode>| Condition {
            nodes: nodes.into_iter().filter_map(WireNode::node).collect(),
        };
        JobView {
            name: wire.name,
            usage: wire.usage,
            description: wire.description,
            author: wire.author,
            version: wire.version,
            emits: wire.emits,
            start_on: wire.start_on.map(condition),
            stop_on: wire.stop_on.map(condition),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireMark {
    age: u64,
    what: MarkKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    by: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireTimeline {
    job: JobName,
    #[serde(default, skip_serializing_if = "is_unnamed")]
    instance: InstanceName,
    marks: Vec<WireMark>,
}

/// A start-up is a matter of microseconds.
const MICRO: u64 = 1_000;

impl From<TimelineView> for WireTimeline {
    fn from(view: TimelineView) -> WireTimeline {
        let TimelineView { job, instance, marks } = view;
        let mark = |mark: Mark| {
            let Mark { ago, what, by } = mark;
            WireMark { age: ago.0 / MICRO, what, by }
        };
        WireTimeline { job, instance, marks: marks.into_iter().map(mark).collect() }
    }
}

impl From<WireTimeline> for TimelineView {
    fn from(wire: WireTimeline) -> TimelineView {
        let mark = |mark: WireMark| {
            let WireMark { age, what, by } = mark;
            Mark { ago: Span(age.saturating_mul(MICRO)), what, by }
        };
        let WireTimeline { job, instance, marks } = wire;
        TimelineView { job, instance, marks: marks.into_iter().map(mark).collect() }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireProgram {
    job: JobName,
    group: Text,
    process: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_priority: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    state: ProgramState,
    code: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<Pid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<WireEnding>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    spawn_error: String,
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdout_log: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stderr_log: Option<Text>,
}

impl From<ProgramView> for WireProgram {
    fn from(view: ProgramView) -> WireProgram {
        let description = view.description();
        let ProgramView { job, group, process, state, pid, started, stopped, exit, .. } = view;
        WireProgram {
            job,
            group,
            process,
            group_priority: view.priorities.map(|both| both.0),
            priority: view.priorities.map(|both| both.1),
            state,
            code: state.code(),
            description,
            pid,
            started: started.map(millis),
            stopped: stopped.map(millis),
            ending: exit.map(|exit| WireEnding::ended(Role::Main, exit)),
            spawn_error: view.spawn_error,
            failures: view.failures,
            stdout_log: view.stdout_log,
            stderr_log: view.stderr_log,
        }
    }
}

impl From<WireProgram> for ProgramView {
    fn from(wire: WireProgram) -> ProgramView {
        ProgramView {
            job: wire.job,
            group: wire.group,
            process: wire.process,
            priorities: wire.group_priority.zip(wire.priority),
            state: wire.state,
            pid: wire.pid,
            started: wire.started.map(Span::millis),
            stopped: wire.stopped.map(Span::millis),
            exit: wire.ending.map(|ending| ending.exit()),
            spawn_error: wire.spawn_error,
            failures: wire.failures,
            stdout_log: wire.stdout_log,
            stderr_log: wire.stderr_log,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireSettings {
    task: bool,
    respawn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Text>,
    kill_signal: u8,
    kill_timeout: u64,
    kill_mode: KillMode,
    normal_exit: Vec<u32>,
    rotate_size: u64,
    rotate_count: u32,
}

impl From<SettingsView> for WireSettings {
    fn from(view: SettingsView) -> WireSettings {
        let SettingsView {
            task,
            respawn,
            command,
            directory,
            user,
            kill_signal,
            kill_timeout,
            kill_mode,
            normal_exit,
            rotate_size,
            rotate_count,
        } = view;
        WireSettings {
            task,
            respawn,
            command,
            directory,
            user,
            kill_signal: kill_signal.number(),
            kill_timeout: millis(kill_timeout),
            kill_mode,
            normal_exit,
            rotate_size,
            rotate_count,
        }
    }
}

impl From<WireSettings> for SettingsView {
    fn from(wire: WireSettings) -> SettingsView {
        SettingsView {
            task: wire.task,
            respawn: wire.respawn,
            command: wire.command,
            directory: wire.directory,
            user: wire.user,
            // A number that no signal has comes from no Upright.
            kill_signal: Signal::new(wire.kill_signal).unwrap_or(Signal::TERM),
            kill_timeout: Span::millis(wire.kill_timeout),
            kill_mode: wire.kill_mode,
            normal_exit: wire.normal_exit,
            rotate_size: wire.rotate_size,
            rotate_count: wire.rotate_count,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireEvent {
    name: EventName,
    env: Vec<Text>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    failed: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cause: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireState {
    job: JobName,
    #[serde(default, skip_serializing_if = "is_unnamed")]
    instance: InstanceName,
    goal: Goal,
    from: State,
    to: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireGoal {
    job: JobName,
    #[serde(default, skip_serializing_if = "is_unnamed")]
    instance: InstanceName,
    goal: Goal,
    state: State,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cause: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireFailed {
    job: JobName,
    #[serde(default, skip_serializing_if = "is_unnamed")]
    instance: InstanceName,
    failure: WireFailure,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireJobChange {
    name: JobName,
    change: JobChange,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireProgramNews {
    job: JobName,
    from: ProgramState,
    to: ProgramState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<Pid>,
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<WireEnding>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    expected: bool,
}

impl From<ProgramNews> for WireProgramNews {
    fn from(news: ProgramNews) -> WireProgramNews {
        let ProgramNews { job, from, to, pid, tries: failures, exit, expected } = news;
        let ending = exit.map(|exit| WireEnding::ended(Role::Main, exit));
        WireProgramNews { job, from, to, pid, failures, ending, expected }
    }
}

impl From<WireProgramNews> for ProgramNews {
    fn from(wire: WireProgramNews) -> ProgramNews {
        let WireProgramNews { job, from, to, pid, failures: tries, ending, expected } = wire;
        let exit = ending.map(|ending| ending.exit());
        ProgramNews { job, from, to, pid, tries, exit, expected }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct WireNotice {
    #[serde(default)]
    sequence: u64,
    #[serde(default)]
    missed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    age: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<WireEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<WireState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goal: Option<WireGoal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<WireFailed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<WireJobChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<WireProgramNews>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    restarted: bool,
}

impl From<Notice> for WireNotice {
    fn from(notice: Notice) -> WireNotice {
        use machine::Notice as What;
        let Notice { sequence, missed, age, what } = notice;
        let age = age.map(millis);
        let wire = WireNotice { sequence, missed, age, ..WireNotice::default() };
        match what {
            What::Event { name, env, failed, cause } => {
                WireNotice { event: Some(WireEvent { name, env, failed, cause }), ..wire }
            }
            What::State { job, instance, goal, from, to } => {
                WireNotice { state: Some(WireState { job, instance, goal, from, to }), ..wire }
            }
            What::Goal { job, instance, goal, state, cause } => {
                WireNotice { goal: Some(WireGoal { job, instance, goal, state, cause }), ..wire }
            }
            What::Failed { job, instance, failure } => {
                let failed = WireFailed { job, instance, failure: failure.into() };
                WireNotice { failed: Some(failed), ..wire }
            }
            What::Job { job, change } => {
                WireNotice { job: Some(WireJobChange { name: job, change }), ..wire }
            }
            What::Restarted => WireNotice { restarted: true, ..wire },
            What::Program(news) => WireNotice { program: Some(news.into()), ..wire },
        }
    }
}

impl WireNotice {
    /// Returns the notice; nothing where it is of a later version.
    pub(super) fn notice(self) -> Option<Notice> {
        use machine::Notice as What;
        let WireNotice {
            sequence,
            missed,
            age,
            event,
            state,
            goal,
            failed,
            job,
            program,
            restarted,
        } = self;
        let age = age.map(Span::millis);
        let event = event.map(|WireEvent { name, env, failed, cause }| What::Event {
            name,
            env,
            failed,
            cause,
        });
        let state = state.map(|WireState { job, instance, goal, from, to }| What::State {
            job,
            instance,
            goal,
            from,
            to,
        });
        let goal = goal.map(|WireGoal { job, instance, goal, state, cause }| What::Goal {
            job,
            instance,
            goal,
            state,
            cause,
        });
        let failed = failed.and_then(|WireFailed { job, instance, failure }| {
            Some(What::Failed { job, instance, failure: failure.failure()? })
        });
        let job = job.map(|WireJobChange { name, change }| What::Job { job: name, change });
        let restarted = restarted.then_some(What::Restarted);
        let program = program.map(|news| What::Program(news.into()));
        let what = event.or(state).or(goal).or(failed).or(job).or(program).or(restarted)?;
        Some(Notice { sequence, missed, age, what })
    }
}

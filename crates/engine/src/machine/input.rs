//! What the machine is told and what it wants done: the two enums between it and the world.

use super::instance::Remaining;
use super::state::{Goal, State};
use super::variables::{Variation, Whose};
use crate::intent::{Intent, Keeping};
use crate::machine::request::{Failure, Reply, Request, RequestId, Target};
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{Exit, Pid, Slot, Step};
use crate::signal::Signal;
use crate::spec::JobSpec;
use crate::text::Text;
use crate::view::{Asker, ProgramState};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// News for the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A job's file is there, new or changed.
    Define(Arc<JobSpec>),
    /// As `Define`, but what runs goes on by it at once: it differs in nothing that a process is made with.
    Revise(Arc<JobSpec>),
    /// A job's file is gone.
    Remove(JobName),
    /// A client asks; the number is [`crate::machine::Engine::next_request`]. The token names the
    /// request for a client that lost its connection. Who it is is told later, by `why`.
    Ask(RequestId, Option<Text>, Request, Option<Asker>),
    /// Somebody has another description put in force: as a restart, without the check, which was before.
    Replace(RequestId, Target, Option<Asker>),
    /// Descriptions are put to the test.
    Probation(Probation),
    /// The client of a request is gone: nobody waits for the reply.
    Gone(RequestId),
    /// Upright itself emits an event (`startup`, a signal's).
    Happened(EventName, Vec<Text>),
    /// A process runs what it was meant to; the bits name steps that were refused but only tune.
    Spawned(Slot, Pid, u32),
    /// There is no process.
    SpawnFailed(Slot, Step, i32),
    /// A process was stopped by this signal.
    Stopped(Slot, u8),
    /// A process ended.
    Exited(Slot, Pid, Exit),
    /// The answer to [`Effect::Survey`]: what the slot's original left behind, oldest first.
    Survey(Slot, Vec<Candidate>),
    /// The answer to [`Effect::Sweep`]: how many processes of the slot still live.
    Swept(Slot, u32),
    /// The answer to [`Effect::SweepAll`]: how many of them still live.
    SweptAll(u32),
    /// What lives in the group of a main that is about to be told as ended, or has been.
    Remains(Slot, Remaining),
    /// Stop everything in order, then end.
    Shutdown(ShutdownKind),
    /// Upright got a signal that is for the essential jobs.
    Pass(Signal),
    /// Somebody changes variables.
    Vary(Whose, Variation),
    /// So many processes of the group of a slot's instance has the kernel killed for want of memory,
    /// since the group exists: told before a process of the slot is spawned, and before it is told
    /// as killed.
    OomKills(Slot, u64),
    /// Somebody at the terminal wants the end: the first time an orderly one, the second time at once.
    Interrupt,
    /// Nothing happened but time.
    Tick,
    /// What operators had decided of jobs, as the disk has it.
    Recalled(BTreeMap<JobName, Intent>),
    /// The answer to [`Effect::Keep`] of that number.
    Kept(u64, Keeping),
}

/// Whether descriptions are put to the test, and can be taken back where they fail it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probation {
    /// From now on the end of an essential job is not the end of everything.
    Begins,
    /// An essential job that has ended since and is not back is.
    Ends,
}

/// Why everything stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShutdownKind {
    /// A signal to the keeper, or the control command.
    Shutdown,
    /// The end of a user's session.
    Logout,
    /// Everything stops to begin anew.
    Restart,
}

impl ShutdownKind {
    /// Returns the value of TYPE in the event `session-end`.
    pub const fn name(self) -> &'static str {
        match self {
            ShutdownKind::Shutdown => "shutdown",
            ShutdownKind::Logout => "logout",
            ShutdownKind::Restart => "restart",
        }
    }

    /// Returns the code of `Quit` when nothing else decides it.
    pub(super) const fn code(self) -> i32 {
        match self {
            ShutdownKind::Shutdown | ShutdownKind::Logout => 0,
            ShutdownKind::Restart => crate::keeper::ANEW,
        }
    }
}

/// A process that the original of `expect fork` or `expect daemon` left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub pid: Pid,
    /// Its session's leader.
    pub session: Pid,
    /// Its parent.
    pub parent: Pid,
}

/// What the machine wants done. All are safe to do again after a crash: the comment names why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Spawn the process of this slot as [`crate::machine::Engine::order`] describes it. Redo: the
    /// keeper answers a known slot with what became of it.
    Spawn(Slot),
    /// Signal a process or its group. Redo: a polite signal twice is harmless.
    Signal(Slot, Signal, SignalScope),
    /// The keeper may forget the slot. Redo: forgetting twice is forgetting.
    Release(Slot),
    /// Make this process, left behind by the slot's original, the slot's. Redo: as `Spawn`.
    Adopt(Slot, Pid),
    /// Find out what the slot's original, of this number, left behind. Redo: asked again, answered
    /// again.
    Survey(Slot, Pid),
    /// Signal whatever can be attributed to the slot, now that main is gone, and answer with
    /// `Swept`. Redo: as `Signal`.
    Sweep(Slot, Signal),
    /// Signal whatever descends from Upright and is no job's process, now that the jobs are gone, and
    /// answer with `SweptAll`, again as they end. Redo: as `Signal`.
    SweepAll(Signal),
    /// Answer a request. Redo: the client knows its token, a second answer finds nobody.
    Reply(RequestId, Reply, Option<Slot>),
    /// Tell subscribers. Redo: told twice with the same number.
    Notice(u64, Notice),
    /// Say it in Upright's own log. Redo: said twice.
    Say(Level, String),
    /// Everything has stopped: end with this code. Redo: ending twice is ending.
    Quit(i32),
    /// Write down [`crate::machine::Engine::intents`] and answer with `Kept` and this number. Redo: the
    /// same text again.
    Keep(u64),
}

impl Effect {
    /// Puts a turn's effects into the order in which they are recorded and performed: what a process
    /// waits for, then what ends a row, what is said, and the answers to whoever looks on. Those of a
    /// kind stay in their order: a sweep before the spawn that must not be swept.
    pub fn in_order(effects: &mut [Effect]) {
        effects.sort_by_key(Effect::rank);
    }

    fn rank(&self) -> u8 {
        match self {
            Effect::Spawn(_)
            | Effect::Signal(..)
            | Effect::Adopt(..)
            | Effect::Survey(..)
            | Effect::Sweep(..)
            | Effect::SweepAll(_) => 0,
            Effect::Release(_) => 1,
            Effect::Keep(_) => 2,
            Effect::Say(..) => 2,
            Effect::Reply(..) | Effect::Notice(..) => 3,
            Effect::Quit(_) => 4,
        }
    }
}

/// Who a signal is for; see [`crate::keeper::Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignalScope {
    /// The process alone.
    Process,
    /// Its process group.
    Group,
}

/// What subscribers are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// An event has finished; whether a job it started or stopped failed.
    Event {
        /// Its name.
        name: EventName,
        /// Its variables.
        env: Vec<Text>,
        /// Whether it failed.
        failed: bool,
        /// What caused it, in words; empty where nothing is known.
        #[serde(default)]
        cause: String,
    },
    /// Something else is wanted of an instance.
    Goal {
        /// The job.
        job: JobName,
        /// The instance.
        instance: InstanceName,
        /// The goal now.
        goal: Goal,
        /// The state it is in; `waiting` of an instance that has just come to be.
        state: State,
        /// What caused it, in words; empty where nothing is known.
        #[serde(default)]
        cause: String,
    },
    /// The present run of an instance has failed.
    Failed {
        /// The job.
        job: JobName,
        /// The instance.
        instance: InstanceName,
        /// Why.
        failure: Failure,
    },
    /// A job has become known, or is forgotten.
    Job {
        /// Its name.
        job: JobName,
        /// Which of the two.
        change: JobChange,
    },
    /// A new daemon has taken over; everything goes on.
    Restarted,
    /// An instance is in another state.
    State {
        /// The job.
        job: JobName,
        /// The instance.
        instance: InstanceName,
        /// The goal now.
        goal: Goal,
        /// The state before.
        from: State,
        /// The state now.
        to: State,
    },
    /// A job of a group has come to another of Supervisor's states.
    Program(ProgramNews),
}

/// How a job of a group came to another of Supervisor's states. Each is told, also one that is left at
/// once. Source: Supervisor 4.3.0, events, PROCESS_STATE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramNews {
    /// The job.
    pub job: JobName,
    /// The state before.
    pub from: ProgramState,
    /// The state now.
    pub to: ProgramState,
    /// The main process that this is about; none: there is none.
    pub pid: Option<Pid>,
    /// How many starts in a row have failed, this one included.
    pub tries: u32,
    /// How it ended, where it did.
    pub exit: Option<Exit>,
    /// Whether that is one of the ends that the job expects.
    pub expected: bool,
}

/// What became of a job's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobChange {
    /// It is known now.
    Added,
    /// It is forgotten. One that is replaced is removed and added.
    Removed,
}

/// How loud something is said. Source: initctl log-priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For developers.
    Debug,
    /// What happens.
    Info,
    /// What somebody should know.
    Message,
    /// What somebody should look at.
    Warn,
    /// What does not work.
    Error,
    /// What ends Upright.
    Fatal,
}

impl Level {
    /// Every level with its word.
    pub const TABLE: [(Level, &'static str); 6] = [
        (Level::Debug, "debug"),
        (Level::Info, "info"),
        (Level::Message, "message"),
        (Level::Warn, "warn"),
        (Level::Error, "error"),
        (Level::Fatal, "fatal"),
    ];
}

/// What a spawn shall be: everything the daemon needs to make the keeper's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnOrder {
    /// The slot.
    pub slot: Slot,
    /// The job's description.
    pub spec: Arc<JobSpec>,
    /// The instance's name.
    pub instance: InstanceName,
    /// The whole environment, `KEY=VALUE` each.
    pub env: Vec<Text>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{InstanceId, Role};
    use alloc::vec;

    #[test]
    fn what_a_process_waits_for_comes_before_what_is_said_of_it() {
        let slot = |generation| Slot { instance: InstanceId(1), role: Role::Main, generation };
        let said = |line: &str| Effect::Say(Level::Warn, line.into());
        let swept = Effect::Sweep(slot(1), Signal::KILL);
        let (released, spawned) = (Effect::Release(slot(1)), Effect::Spawn(slot(2)));
        let mut effects = vec![
            released.clone(),
            said("killed"),
            swept.clone(),
            said("respawning"),
            spawned.clone(),
            Effect::Quit(0),
            said("over"),
        ];
        Effect::in_order(&mut effects);
        let (first, second) = (said("killed"), said("respawning"));
        let expected = [swept, spawned, released, first, second, said("over"), Effect::Quit(0)];
        assert_eq!(effects, expected);
    }
}

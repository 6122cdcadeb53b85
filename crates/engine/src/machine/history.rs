//! The last decisions about a job's instance: what `why` reads. Bounded, and kept after the
//! instance is gone.

use crate::errno::Errno;
use crate::list::List;
use crate::machine::event::CHAIN_MAX;
use crate::machine::instance::Remaining;
use crate::machine::request::{Asked, Ended, Failure};
use crate::machine::state::{Goal, State};
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{Exit, Pid, Role, Step};
use crate::shared::Shared;
use crate::signal::Signal;
use crate::time::{Mono, Span};
use crate::view::{Asker, LastExit, Restarts};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How many entries are kept for each instance name of each job.
pub const HISTORY_MAX: usize = 40;

/// How many instances of a job that are gone are remembered by their names; the one whose last entry
/// is the oldest is forgotten first.
pub const PAST_MAX: usize = 32;

/// The end of a run.
pub(super) const AT_REST: Note = Note::Rest(Goal::Stop, State::Waiting);

/// What is remembered of one instance name of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The entries, oldest first, at most [`HISTORY_MAX`].
    pub entries: Vec<Entry>,
    /// How the last main process ended, and when.
    pub last_exit: Option<(Mono, LastExit)>,
    /// How often main was respawned in the present run, or the last.
    pub respawns: u32,
    /// How often it was started again since anything is remembered of it.
    #[serde(default)]
    pub restarts: Restarts,
}

/// A decision with its cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Mono,
    /// What.
    pub note: Note,
}

/// A change of the histories, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Remembering {
    /// An entry is added.
    Entry(JobName, InstanceName, Entry),
    /// The job is gone, and what was remembered of it.
    Forget(JobName),
    /// Too many instances of the job are gone: what was remembered of this one goes, too.
    ForgetInstance(JobName, InstanceName),
}

/// What may be remembered. Words are made when somebody asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// A client asked.
    Asked(Asked),
    /// Events made the condition true.
    ByEvents(Asked, List<EventName>),
    /// The machine itself decided that it shall stop.
    Stops,
    /// It came to rest in this state.
    Rest(Goal, State),
    /// A process runs.
    Spawned(Role, Pid),
    /// A process could not be started.
    NotSpawned(Role, Step, i32),
    /// A process ended.
    Ended(Role, Pid, Exit),
    /// The run failed.
    Failed(Failure),
    /// Main is started again, for the n-th time in the window.
    Respawns(u32),
    /// The next start waits this long.
    BacksOff(Span),
    /// A spawn is tried again after this long, for want of what the kernel said.
    Retries(Role, Span, i32),
    /// A signal was sent to end a process.
    Signalled(Role, Signal),
    /// A client asked for a reload and this was sent to main.
    Reloads(Signal),
    /// A client asked for this signal and it was sent to main.
    Signals(Signal),
    /// Upright got this signal and passed it on to main.
    Passed(Signal),
    /// The original of `expect` ended and this process was taken for main.
    Followed(Pid, Pid),
    /// `expect` did not come about in its time.
    ExpectMissed(Span),
    /// A tuning step was refused.
    Refused(Role, Step),
    /// Processes of the job live on after main.
    LivesOn(u32),
    /// These processes of main's group live on, as the kill mode has it.
    Remains(Box<Remaining>),
    /// An `exited` event was not delivered to these jobs: the chain of such events was too long.
    ChainCut(List<JobName>),
    /// A new description is in force.
    Redefined,
    /// The start failed and is tried again; for the n-th time.
    StartsAgain(u32),
    /// A client of whom it is known who it is asked.
    AskedBy(Asked, Shared<Asker>),
    /// The budget of restarts is spent: its turn comes after this long.
    Deferred(Span),
    /// It would be given up for this, and is tried again slowly instead.
    Slows(Failure),
    /// A client asked for what the job's check comes before.
    Checks(Asked, Option<Shared<Asker>>),
    /// The check did not succeed.
    CheckFailed(Failure),
    /// Its description says that it starts by itself once it is known.
    ByItself,
}

impl History {
    /// Returns when the last entry was.
    pub fn last(&self) -> Option<Mono> {
        self.entries.last().map(|entry| entry.at)
    }

    /// Adds an entry and forgets the oldest where there are too many.
    pub fn add(&mut self, at: Mono, note: Note) {
        let rested = self.entries.last().is_some_and(|last| last.note == AT_REST);
        if rested && note != Note::Redefined {
            self.respawns = 0;
        }
        match note {
            Note::Ended(Role::Main, _, exit) => {
                self.last_exit = Some((at, LastExit::Ended { process: Role::Main, exit }));
            }
            Note::NotSpawned(process, step, errno) => {
                self.last_exit = Some((at, LastExit::NotSpawned { process, step, errno }));
            }
            // What ended before or after main, where the job failed by it.
            Note::Failed(Failure::Ended(process, exit)) if process != Role::Main => {
                self.last_exit = Some((at, LastExit::Ended { process, exit }));
            }
            Note::Respawns(_) => {
                self.respawns = self.respawns.saturating_add(1);
                let count = self.reason();
                *count = count.saturating_add(1);
            }
            Note::StartsAgain(_) => {
                self.restarts.unready = self.restarts.unready.saturating_add(1);
            }
            Note::Asked(Asked::Restart) => {
                self.restarts.asked = self.restarts.asked.saturating_add(1);
            }
            Note::Asked(Asked::Start | Asked::Stop | Asked::Reload | Asked::Check)
            | Note::ByEvents(..)
            | Note::Stops
            | Note::Rest(..)
            | Note::Spawned(..)
            | Note::Ended(..)
            | Note::Failed(_)
            | Note::BacksOff(_)
            | Note::Retries(..)
            | Note::Signalled(..)
            | Note::Reloads(_)
            | Note::Signals(_)
            | Note::Passed(_)
            | Note::Followed(..)
            | Note::ExpectMissed(_)
            | Note::Refused(..)
            | Note::LivesOn(_)
            | Note::Remains(_)
            | Note::ChainCut(_)
            | Note::AskedBy(..)
            | Note::Deferred(_)
            | Note::Slows(_)
            | Note::Checks(..)
            | Note::CheckFailed(_)
            | Note::ByItself
            | Note::Redefined => {}
        }
        if self.entries.len() >= HISTORY_MAX {
            self.entries.remove(0);
        }
        if self.entries.len() == self.entries.capacity() {
            // Most have a start and a rest, and no more for weeks.
            self.entries.reserve_exact(2);
        }
        self.entries.push(Entry { at, note });
    }

    /// Returns the count of restarts after such an end as the last.
    fn reason(&mut self) -> &mut u32 {
        let of = &mut self.restarts;
        match &self.last_exit {
            Some((_, LastExit::Ended { exit: Exit::Status(0), .. })) => &mut of.done,
            Some((_, LastExit::Ended { exit: Exit::Status(_), .. })) => &mut of.status,
            Some((_, LastExit::Ended { exit: Exit::Signal { .. } | Exit::OutOfMemory, .. })) => {
                &mut of.signal
            }
            Some((_, LastExit::NotSpawned { .. })) => &mut of.unready,
            Some((_, LastExit::Ended { exit: Exit::Unknown, .. })) | None => &mut of.unknown,
        }
    }
}

impl Note {
    /// Returns the cause and the decision in words.
    pub fn words(&self) -> (String, String) {
        match self {
            Note::Asked(asked) => {
                (format!("a client asked for a {}", verb(asked)), format!("goal {}", goal(asked)))
            }
            Note::AskedBy(asked, by) => {
                (format!("{} asked for a {}", **by, verb(asked)), format!("goal {}", goal(asked)))
            }
            Note::Checks(asked, by) => checks(asked, by.as_deref()),
            Note::CheckFailed(failure) => {
                (format!("the check failed: {failure}"), "nothing was touched".into())
            }
            Note::ByEvents(asked, names) => by_events(asked, names),
            Note::Stops => (String::from("it is not to be started again"), "goal stop".into()),
            Note::Rest(goal, state) => (format!("{goal}/{state}"), "at rest".into()),
            Note::Spawned(role, pid) => (format!("{role} process {pid} runs"), String::new()),
            Note::NotSpawned(role, step, errno) => {
                (format!("{}", Failure::NotSpawned(*role, *step, *errno)), String::new())
            }
            Note::Ended(role, pid, exit) => {
                (format!("{role} process ({pid}) {}", Ended(*exit)), String::new())
            }
            Note::Failed(failure) => (format!("{failure}"), "the job failed: goal stop".into()),
            Note::Respawns(count) => {
                ("main ended unasked".into(), format!("respawn, number {count} in its window"))
            }
            Note::StartsAgain(count) => {
                ("main ended before it was ready".into(), format!("start again, number {count}"))
            }
            Note::BacksOff(span) => {
                ("main ended too soon".into(), format!("start again in {span}"))
            }
            Note::Retries(role, span, errno) => (
                format!("{role} process: the kernel has no room for it: {}", Errno(*errno)),
                format!("try again in {span}"),
            ),
            Note::Signalled(role, signal) => {
                (format!("{role} shall end"), format!("sent {signal}"))
            }
            Note::Reloads(signal) => sent("a client asked for a reload", *signal),
            Note::Signals(signal) => {
                ("a client asked for a signal".into(), format!("sent {signal} to main"))
            }
            Note::Passed(signal) => sent(&format!("Upright got {signal}"), *signal),
            Note::Followed(from, to) => (
                format!("process {from} ended and left process {to}"),
                format!("main is process {to}"),
            ),
            Note::ExpectMissed(span) => (
                format!("expect did not come about in {span}"),
                "go on with the original process; check the expect stanza".into(),
            ),
            Note::Refused(role, step) => {
                (format!("{role} process: {}", step.refused().0), "go on without".into())
            }
            Note::LivesOn(count) => lives_on(*count),
            Note::Remains(remaining) => {
                (format!("{remaining}"), "left alone, for want of `kill mode tree`".into())
            }
            Note::Deferred(span) => {
                ("too many restarts on this host".into(), format!("wait {span} for its turn"))
            }
            Note::Slows(failure) => (format!("{failure}"), "go on trying, slowly".into()),
            Note::ChainCut(missed) => chain_cut(missed),
            Note::Redefined => ("the job's file changed".into(), "the new one is in force".into()),
            Note::ByItself => ("it starts by itself (autostart)".into(), "goal start".into()),
        }
    }
}

fn checks(asked: &Asked, by: Option<&Asker>) -> (String, String) {
    let by = by.map_or_else(|| "a client".into(), |by| format!("{by}"));
    let decision = match asked {
        Asked::Check => "check",
        Asked::Start | Asked::Stop | Asked::Restart | Asked::Reload => "check first",
    };
    (format!("{by} asked for a {}", verb(asked)), decision.into())
}

fn lives_on(count: u32) -> (String, String) {
    (
        format!("{count} of the processes that main left do not end, even after KILL"),
        "left alone: the kernel holds them".into(),
    )
}

fn chain_cut(missed: &[JobName]) -> (String, String) {
    let names: Vec<String> = missed.iter().map(|job| format!("{job}")).collect();
    (
        format!("more than {CHAIN_MAX} jobs start each other by events that report ends"),
        format!("not delivered to {}", names.join(", ")),
    )
}

fn by_events(asked: &Asked, names: &[EventName]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| format!("{name}")).collect();
    let on = if *asked == Asked::Stop { "stop on" } else { "start on" };
    (format!("{on} came true by {}", names.join(", ")), format!("goal {}", goal(asked)))
}

fn sent(cause: &str, signal: Signal) -> (String, String) {
    (String::from(cause), format!("sent {signal} to main"))
}

pub(super) fn verb(asked: &Asked) -> &'static str {
    match asked {
        Asked::Start => "start",
        Asked::Stop => "stop",
        Asked::Restart => "restart",
        Asked::Reload => "reload",
        Asked::Check => "check",
    }
}

fn goal(asked: &Asked) -> &'static str {
    match asked {
        Asked::Start => "start",
        Asked::Stop => "stop",
        Asked::Restart => "stop, then start",
        Asked::Reload | Asked::Check => "unchanged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_by_why_and_outlive_the_run() {
        let mut history = History::default();
        let ended = |exit| Note::Ended(Role::Main, 7, exit);
        let signal = Exit::Signal { signal: 9, core: false };
        for note in [
            ended(Exit::Status(0)),
            Note::Respawns(1),
            ended(Exit::Status(3)),
            Note::Respawns(2),
            ended(signal),
            Note::Respawns(3),
            ended(signal),
            Note::Respawns(4),
            ended(Exit::Unknown),
            Note::Respawns(5),
            ended(Exit::Status(1)),
            Note::StartsAgain(1),
            Note::Asked(Asked::Restart),
            Note::Asked(Asked::Stop),
            AT_REST,
            Note::Asked(Asked::Start),
        ] {
            history.add(Mono(0), note);
        }
        let counted = Restarts { done: 1, status: 1, signal: 2, unknown: 1, unready: 1, asked: 1 };
        assert_eq!((history.restarts, history.respawns), (counted, 0));
    }
}

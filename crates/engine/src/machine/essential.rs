//! Essential jobs: Upright lives as long as they do, ends with their code, and passes signals on to
//! them.

use super::request::{Ended, Failure};
use super::state::Goal;
use super::{Effect, Engine, Level, Note, Probation, SignalScope, Testing};
use crate::errno::Errno;
use crate::process::{Exit, InstanceId, Role, Step};
use crate::signal::Signal;
use crate::spec::JobSpec;
use crate::view::LastExit;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The exit code for a program that cannot be found. Source: POSIX, shell.
const NOT_FOUND: i32 = 127;

/// The exit code for a program that cannot be executed. Source: POSIX, shell.
const NOT_EXECUTED: i32 = 126;

impl Engine {
    /// An instance comes to rest: where its job is essential and nobody asked for that, everything
    /// ends. A stop that somebody asked for, or a `stop on`, is no such end.
    pub(super) fn note_essential(&mut self, id: InstanceId) {
        let essential = |spec: &JobSpec| spec.policy.essential;
        let Some(instance) = self.instances.look(&id).filter(|instance| instance.ended) else {
            return;
        };
        let quiet = self.globals.shutdown.is_some() || self.essential.is_some();
        if quiet || !self.spec_of(id).is_some_and(|spec| essential(&spec)) {
            return;
        }
        let history = self.histories.get(&(instance.job.clone(), instance.name.clone()));
        let last = history.and_then(|history| history.last_exit.as_ref()).map(|(_, last)| last);
        let last = match last {
            Some(LastExit::Ended { process: Role::Main, exit }) => Some(*exit),
            Some(LastExit::Ended { .. } | LastExit::NotSpawned { .. }) | None => None,
        };
        let failure = instance.failure;
        let code = code(failure, last);
        match self.globals.testing {
            Testing::No => {}
            #[cfg(feature = "planted")]
            Testing::Yes if self.planted(super::Bug::TestEndsAll) => {}
            Testing::Yes => {
                let (job, name) = (instance.job.clone(), instance.name.clone());
                self.globals.testing = Testing::Ended(job, name, code);
                return;
            }
            Testing::Ended(..) => return,
        }
        let level = if code == 0 { Level::Message } else { Level::Error };
        self.say(level, |engine| {
            let (shown, why) = (engine.shown(id), why(failure, last));
            format!("{shown}: the job is essential and has ended for good: {why}; stopping everything, exit code {code}")
        });
        self.essential = Some(code);
    }

    /// Reports whether descriptions are put to the test.
    pub fn tests_descriptions(&self) -> bool {
        self.globals.testing != Testing::No
    }

    /// Begins or ends a time in which the end of an essential job is not the end of everything.
    pub(super) fn put_to_the_test(&mut self, probation: Probation) {
        match probation {
            Probation::Begins => self.globals.testing = Testing::Yes,
            Probation::Ends => {
                let testing = core::mem::take(&mut self.globals.testing);
                let Testing::Ended(job, name, code) = testing else { return };
                let id = self.names.get(&(job.clone(), name.clone()));
                let back = id.and_then(|id| self.instances.look(id));
                let back = back.is_some_and(|instance| instance.goal == Goal::Start);
                let essential = self.spec(&job).is_some_and(|spec| spec.policy.essential);
                if !back && essential && self.globals.shutdown.is_none() {
                    self.say(Level::Error, |_| {
                        let shown = job.with_instance(&name);
                        format!("{shown}: the job is essential, has ended for good while it was put to the test, and is not back; stopping everything, exit code {code}")
                    });
                    self.essential = Some(code);
                }
            }
        }
    }

    /// Passes a signal on to main of every essential job.
    pub(super) fn pass(&mut self, signal: Signal) {
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            let Some(spec) = self.spec_of(id).filter(|spec| spec.policy.essential) else {
                continue;
            };
            let instance = self.instances.look(&id);
            let main = instance.and_then(|instance| instance.processes.get(&Role::Main));
            let Some(slot) = main.filter(|main| main.pid.is_some()).map(|main| main.slot) else {
                continue;
            };
            self.say(Level::Info, |_| format!("Passing {signal} signal on to {}", spec.name));
            self.remember(id, Note::Passed(signal));
            self.out.push(Effect::Signal(slot, signal, SignalScope::Process));
        }
    }
}

/// Returns the code that Upright ends with: the process's own, 128 and the signal's number, or what
/// a shell returns for a program that cannot be run. A failure is never 0.
fn code(failure: Option<Failure>, last: Option<Exit>) -> i32 {
    let of = |exit: Option<Exit>| match exit {
        Some(Exit::Status(status)) => i32::from(status),
        Some(Exit::Signal { signal, .. }) => 128 + i32::from(signal),
        Some(Exit::OutOfMemory) => 128 + i32::from(Signal::KILL.number()),
        Some(Exit::Unknown) | None => 1,
    };
    match failure {
        None => of(last),
        Some(Failure::NotSpawned(_, Step::Exec, errno)) if Errno(errno) == Errno::NOT_FOUND => {
            NOT_FOUND
        }
        Some(Failure::NotSpawned(..)) => NOT_EXECUTED,
        Some(Failure::Ended(_, exit)) => of(Some(exit)).max(1),
        Some(Failure::Timeout(_, exit)) => of(exit).max(1),
        Some(Failure::RespawnLimit | Failure::StartRetries) => of(last).max(1),
        Some(Failure::Unkillable(_)) => 1,
    }
}

fn why(failure: Option<Failure>, last: Option<Exit>) -> String {
    match (failure, last) {
        (Some(Failure::RespawnLimit), Some(exit)) => {
            format!("respawning too fast, the last main process {}", Ended(exit))
        }
        (Some(failure), _) => failure.to_string(),
        (None, Some(exit)) => format!("main process {}", Ended(exit)),
        (None, None) => String::from("it has nothing to run"),
    }
}

//! What the machine still waits to be told of its processes: where a recovery compares it with the
//! keeper's table.

use super::instance::{Due, Hold};
use super::lifecycle::{polite_scope, scope};
use super::request::RequestId;
use super::state::State;
use super::{Engine, SignalScope};
use crate::names::{InstanceName, JobName};
use crate::process::{Pid, Role, Slot};
use crate::signal::Signal;
use crate::spec::{Expect, KillMode};
use alloc::vec::Vec;

/// What the machine believes of a process that has not ended for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belief {
    /// Its spawn has been asked for and not answered.
    Asked,
    /// As `Asked`, but it took so long that it was killed.
    Overdue,
    /// The keeper has been asked to make this process the slot's, and has not answered.
    Adopting(Pid),
    /// It runs under this number.
    Runs(Pid),
    /// It has ended as `expect` wanted; what it left is being looked at.
    Left,
}

impl Engine {
    /// Returns every process that has not ended for the machine, in the order of the instances.
    pub(crate) fn beliefs(&self) -> impl Iterator<Item = (Slot, Belief)> + '_ {
        let all = self.instances.iter().flat_map(|(_, instance)| instance.processes.values());
        all.chain(self.check_processes()).map(|process| {
            let belief = match (process.left_by, process.pid, process.adopted) {
                (Some(_), _, _) => Belief::Left,
                (None, Some(pid), _) => Belief::Runs(pid),
                (None, None, Some(pid)) => Belief::Adopting(pid),
                (None, None, None) if process.overdue => Belief::Overdue,
                (None, None, None) => Belief::Asked,
            };
            (process.slot, belief)
        })
    }

    /// Reports whether an instance has a process, or is about to have one.
    pub fn has_processes(&self, job: &JobName, instance: &InstanceName) -> bool {
        let key = (job.clone(), instance.clone());
        if self.checking.contains_key(&key) {
            return true;
        }
        let id = self.names.get(&key);
        let instance = id.and_then(|id| self.instances.look(id));
        instance.is_some_and(|instance| !instance.processes.is_empty())
    }

    /// Reports whether a slot's original has ended as `expect` wanted, or what it left is about to
    /// become the slot's process.
    pub fn follows(&self, slot: Slot) -> bool {
        let instance = self.instances.look(&slot.instance);
        let processes = instance.into_iter().flat_map(|instance| instance.processes.values());
        processes.into_iter().any(|process| {
            process.left_by.is_some() || (process.adopted.is_some() && process.pid.is_none())
        })
    }

    /// Returns the slots that [`Engine::follows`].
    pub fn followed(&self) -> impl Iterator<Item = Slot> + '_ {
        let beliefs = self.beliefs().filter(|(_, belief)| match belief {
            Belief::Left | Belief::Adopting(_) => true,
            Belief::Asked | Belief::Overdue | Belief::Runs(_) => false,
        });
        beliefs.map(|(slot, _)| slot)
    }

    /// Returns the requests whose clients cannot come back for the answer, as they gave no token.
    pub fn without_token(&self) -> Vec<RequestId> {
        let pending = self.requests.iter().filter(|(_, pending)| pending.token.is_none());
        pending.map(|(id, _)| *id).collect()
    }

    /// Returns the slots whose leftovers are being ended, and by which signal.
    pub fn sweeps(&self) -> impl Iterator<Item = (Slot, Signal)> + '_ {
        self.instances.iter().filter_map(|(_, instance)| {
            let slot = instance.sweeping.as_deref().copied()?;
            let policy = &self.jobs.look(&instance.job)?.spec.policy;
            if policy.kill_mode != KillMode::Tree {
                return None;
            }
            let hard = instance.swept_hard || policy.kill_timeout.0 == 0;
            Some((slot, if hard { Signal::KILL } else { policy.kill_signal }))
        })
    }

    /// Reports whether a slot is a main that has been told to end, and what it leaves in its group is
    /// left alone.
    pub fn leaves_its_group(&self, slot: Slot) -> bool {
        let Some(instance) = self.instances.look(&slot.instance) else { return false };
        let policy = self.jobs.look(&instance.job).map(|job| &job.spec.policy);
        instance.state == State::Killed
            && instance.processes.get(&Role::Main).is_some_and(|main| main.slot == slot)
            && policy.is_some_and(|policy| policy.kill_mode != KillMode::Tree)
    }

    /// Reports whether what a main left in its group is waited for.
    pub fn lingers(&self, slot: Slot) -> bool {
        let instance = self.instances.look(&slot.instance);
        instance.is_some_and(|i| i.remaining.is_some() && i.sweeping.as_deref() == Some(&slot))
    }

    /// Returns the processes that have been told to end and have not, and by which signal.
    pub(crate) fn endings(&self) -> impl Iterator<Item = (Slot, Signal, SignalScope)> + '_ {
        let ends = self.instances.iter().flat_map(|(_, instance)| {
            let policy = self.jobs.look(&instance.job).map(|job| &job.spec.policy);
            let told = instance.processes.iter().filter(|(role, process)| {
                process.overdue || (**role == Role::Main && instance.state == State::Killed)
            });
            told.filter_map(move |(role, process)| {
                let politely = instance.due().is_some_and(|(_, due)| due == Due::Kill(*role));
                let (signal, scope) = match politely {
                    true => (policy?.kill_signal, polite_scope(policy?.kill_mode)),
                    false => (Signal::KILL, scope(policy?.kill_mode)),
                };
                Some((process.slot, signal, scope))
            })
        });
        ends.chain(self.check_endings())
    }

    /// Reports whether a process is the main of an `expect stop` that has been told to go on. Where
    /// it is stopped all the same, that word may have been lost.
    pub(crate) fn was_continued(&self, slot: Slot) -> bool {
        let Some(instance) = self.instances.look(&slot.instance) else { return false };
        let main = instance.processes.get(&Role::Main).is_some_and(|main| main.slot == slot);
        let spec = self.jobs.look(&instance.job).map(|job| &job.spec);
        main && spec.is_some_and(|spec| spec.policy.expect == Expect::Stop)
            && !matches!(instance.hold, Some(Hold::Spawn | Hold::Ready))
    }

    /// Makes sure that the number of a slot, and of its instance, is never given again.
    pub fn never_reuse(&mut self, slot: Slot) {
        let globals = &mut self.globals;
        globals.next_generation = globals.next_generation.max(slot.generation.saturating_add(1));
        globals.next_instance = globals.next_instance.max(slot.instance.0.saturating_add(1));
    }
}

//! Deadlines: fields of the instances, kept in one ordered set.

use super::instance::{Due, Hold, Instance, Remaining, Warning};
use super::request::Failure;
use super::state::State;
use super::{Effect, Engine, Level, SPAWN_TIMEOUT, UNKILLABLE_AFTER};
use crate::process::{InstanceId, Role, Slot};
use crate::signal::Signal;
use crate::spec::KillMode;
use crate::time::{Mono, Span};
use crate::view::ProgramState;
use alloc::boxed::Box;
use alloc::format;

/// What is in main's group may be slower to end than main: so long it is waited for.
const LINGER: Span = Span::millis(100);

impl Engine {
    /// Sets or clears the deadline of an instance.
    pub(super) fn set_due(&mut self, id: InstanceId, due: Option<(Mono, Due)>) {
        let Some(instance) = self.instances.look(&id) else { return };
        let old = instance.due();
        if old == due {
            return;
        }
        if let Some(instance) = self.instances.edit(&id) {
            instance.deadline = due.map(Box::new);
        }
        self.set_due_of(id, old, due);
    }

    /// Keeps the ordered set in step with the instances.
    pub(super) fn set_due_of(
        &mut self,
        id: InstanceId,
        old: Option<(Mono, Due)>,
        new: Option<(Mono, Due)>,
    ) {
        if let Some((at, _)) = old {
            self.deadlines.remove(&(at, id));
        }
        if let Some((at, _)) = new {
            self.deadlines.insert((at, id));
        }
    }

    /// Carries out what is due by now. Each deadline is cleared before it acts, and none that is set
    /// while others are carried out is due in the same turn unless its span is zero.
    pub(super) fn pass_deadlines(&mut self) {
        for _ in 0..super::TURN_STEPS {
            let Some((at, id)) = self.deadlines.first().copied() else { return };
            if at > self.now {
                return;
            }
            let due = self.instances.look(&id).and_then(Instance::due);
            match due {
                Some((_, due)) => self.pass_deadline(id, due),
                None => {
                    self.deadlines.remove(&(at, id));
                }
            }
        }
    }

    fn pass_deadline(&mut self, id: InstanceId, due: Due) {
        if let Due::Settle(..) = due {
            self.survey(id);
            return;
        }
        self.set_due(id, None);
        match due {
            Due::Settle(..) => {}
            Due::Backoff => {
                if !self.hold_for_turn(id) {
                    self.waited_enough(id);
                }
            }
            Due::Turn => self.waited_enough(id),
            Due::Retry(role) => self.spawn_again(id, role),
            Due::Spawn(role) => self.spawn_hangs(id, role),
            Due::Overdue(role) => {
                self.say(Level::Warn, |engine| {
                    format!("{} {role} process did not end in its time", engine.shown(id))
                });
                self.mark_overdue(id, role);
                self.ask_to_end(id, role);
            }
            Due::Kill(role) => self.kill(id, role),
            Due::Unkillable(role) => self.unkillable(id, role),
            Due::Expect(since) => self.expect_missed(id, since),
            Due::Up => self.stayed_up(id),
            Due::Sweep => self.sweep_hard(id),
        }
    }

    /// A start that waited goes on.
    fn waited_enough(&mut self, id: InstanceId) {
        if let Some(instance) = self.instances.edit(&id) {
            instance.hold = None;
        }
        self.begin_starting(id);
        // Upright's own jobs have no such event: nothing holds them now.
        if self.instances.look(&id).is_some_and(|instance| instance.hold.is_none()) {
            self.advance(id);
        }
    }

    /// Main has stayed up long enough to count as ready.
    fn stayed_up(&mut self, id: InstanceId) {
        let Some(spec) = self.spec_of(id) else { return };
        self.started_well(id, &spec.policy);
        self.release_hold(id, Hold::Ready);
    }

    pub(super) fn mark_overdue(&mut self, id: InstanceId, role: Role) {
        if let Some(process) = self.instances.edit(&id).and_then(|i| i.processes.get_mut(&role)) {
            process.overdue = true;
        }
    }

    fn spawn_again(&mut self, id: InstanceId, role: Role) {
        let hold = if role == Role::Main { Hold::Spawn } else { Hold::Process(role) };
        self.spawn(id, role, hold);
    }

    /// A step of the child's set-up hangs: it is ended, and the start has failed when it is gone.
    fn spawn_hangs(&mut self, id: InstanceId, role: Role) {
        self.say(Level::Warn, |engine| {
            format!("{} {role} process: not executed within {SPAWN_TIMEOUT}", engine.shown(id))
        });
        self.mark_overdue(id, role);
        self.kill(id, role);
    }

    /// Even KILL did not end a process: whoever waits is told. The instance stays where it is until
    /// the process is gone, so that there never is a second main.
    fn unkillable(&mut self, id: InstanceId, role: Role) {
        self.say(Level::Error, |engine| {
            format!(
                "{} {role} process does not end {UNKILLABLE_AFTER} after KILL: the kernel holds it; it cannot be started again until it is gone",
                engine.shown(id)
            )
        });
        if let Some(instance) = self.instances.edit(&id) {
            instance.warnings.push(Warning::Unkillable(role));
        }
        self.tell_program(id, ProgramState::Unknown);
        self.fail(id, Failure::Unkillable(role), None);
        self.report_unhealthy(id, role, "it does not end, even after KILL: the kernel holds it");
        self.will_stop(id);
        #[cfg(feature = "planted")]
        if role == Role::Main && self.planted(super::Bug::DoubleMain) {
            self.unhold(id);
            self.advance(id);
        }
    }

    /// Main is gone and the job's kill mode is tree: ends what can be attributed to it.
    pub(super) fn sweep_tree(&mut self, id: InstanceId) {
        let Some(spec) = self.spec_of(id) else { return };
        let Some(instance) = self.instances.edit(&id) else { return };
        let Some(slot) = instance.last_main.take() else { return };
        if spec.policy.kill_mode != KillMode::Tree {
            self.await_remaining(id, slot);
            return;
        }
        instance.hold = Some(Hold::Sweep);
        instance.sweeping = Some(Box::new(slot));
        let quick = spec.policy.kill_timeout.0 == 0;
        instance.swept_hard = quick;
        let signal = if quick { Signal::KILL } else { spec.policy.kill_signal };
        self.out.push(Effect::Sweep(slot, signal));
        let span = if quick { UNKILLABLE_AFTER } else { spec.policy.kill_timeout };
        self.set_due(id, Some((self.now + span, Due::Sweep)));
    }

    /// Main is gone and some of its group live, which may only be slower to end than it was.
    fn await_remaining(&mut self, id: InstanceId, slot: Slot) {
        let Some(instance) = self.instances.edit(&id) else { return };
        if instance.remaining.is_none() {
            return;
        }
        instance.hold = Some(Hold::Sweep);
        instance.sweeping = Some(Box::new(slot));
        instance.swept_hard = true;
        self.set_due(id, Some((self.now + LINGER, Due::Sweep)));
    }

    /// The daemon says what lives in the group of a main that was told to end.
    pub(super) fn remains(&mut self, slot: Slot, remaining: Remaining) {
        let id = slot.instance;
        let Some(instance) = self.instances.edit(&id) else { return };
        let sweeps =
            instance.hold == Some(Hold::Sweep) && instance.sweeping.as_deref() == Some(&slot);
        let ends = instance.state == State::Killed
            && instance.processes.get(&Role::Main).is_some_and(|main| main.slot == slot);
        if !(ends || sweeps && instance.remaining.is_some()) {
            return;
        }
        instance.remaining = (remaining.count > 0).then(|| Box::new(remaining));
        if sweeps && remaining.count == 0 {
            self.end_sweep(id);
        }
    }

    /// What main left had its time to end politely: KILL, once; then it is left and named.
    fn sweep_hard(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.edit(&id) else { return };
        let Some(slot) = instance.sweeping.as_deref().copied() else { return };
        if core::mem::replace(&mut instance.swept_hard, true) {
            self.end_sweep(id);
            return;
        }
        self.out.push(Effect::Sweep(slot, Signal::KILL));
        self.set_due(id, Some((self.now + UNKILLABLE_AFTER, Due::Sweep)));
    }

    /// The daemon says how many of a slot's processes still live.
    pub(super) fn swept(&mut self, slot: Slot, left: u32) {
        let id = slot.instance;
        let Some(instance) = self.instances.edit(&id) else { return };
        if instance.hold != Some(Hold::Sweep) || instance.sweeping.as_deref() != Some(&slot) {
            return;
        }
        instance.left = left;
        if left == 0 {
            self.end_sweep(id);
        }
    }

    fn end_sweep(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.edit(&id) else { return };
        let left = core::mem::take(&mut instance.left);
        let remaining = instance.remaining.take();
        instance.sweeping = None;
        instance.swept_hard = false;
        if left > 0 {
            instance.warnings.push(Warning::LivesOn(left));
            self.remember(id, super::Note::LivesOn(left));
            self.say(Level::Warn, |engine| {
                let shown = engine.shown(id);
                format!(
                    "{shown}: {left} of the processes that main left do not end, even after KILL"
                )
            });
        }
        if let Some(remaining) = remaining {
            if let Some(instance) = self.instances.edit(&id) {
                instance.warnings.push(Warning::Remains(*remaining));
            }
            self.remember(id, super::Note::Remains(Box::new(*remaining)));
            self.say(Level::Warn, |engine| {
                format!("{}: main has ended, {remaining}", engine.shown(id))
            });
        }
        self.release_hold(id, Hold::Sweep);
    }
}

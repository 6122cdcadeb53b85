//! News of processes: they run, could not be started, ended. Source: spec 7.5.

use super::instance::{Due, Hold, Oom, Process, Warning};
use super::lifecycle::{exit_env, ready_when_run, subject};
use super::request::{Ended, Failure};
use super::state::{Goal, Main, State};
use super::{environment, Effect, Engine, Level, Note, SignalScope};
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{Exit, InstanceId, Pid, Role, Slot, Step};
use crate::signal::Signal;
use crate::spec::{Expect, NormalExit, Policy, Respawn};
use crate::text::Text;
use crate::time::Mono;
use crate::view::ProgramState;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Whose process an event `exited` reports, in which chain of such events, and why it ended.
pub(super) struct Reported {
    pub(super) job: JobName,
    pub(super) name: InstanceName,
    pub(super) depth: u8,
    pub(super) cause: String,
}

impl Engine {
    /// Returns the process of a slot; nothing where the slot is not in use any more.
    fn process(&self, slot: Slot) -> Option<Process> {
        let process = self.instances.look(&slot.instance)?.processes.get(&slot.role)?;
        #[cfg(feature = "planted")]
        if self.planted(super::Bug::StaleExit) {
            return Some(*process);
        }
        (process.slot == slot).then_some(*process)
    }

    pub(super) fn spawned(&mut self, slot: Slot, pid: Pid, refused: u32) {
        if slot.role == Role::Check {
            return self.check_spawned(slot, pid, refused);
        }
        let (id, role) = (slot.instance, slot.role);
        let Some(process) = self.process(slot) else {
            // The engine has given this process up; it must not live on as nobody's.
            self.out.push(Effect::Signal(slot, Signal::KILL, SignalScope::Group));
            return;
        };
        if process.pid.is_some() || process.left_by.is_some() {
            return;
        }
        let now = self.now;
        let Some(instance) = self.instances.edit(&id) else { return };
        instance.retries = 0;
        let mut at_once = instance.goal == Goal::Stop || process.adopted.is_some();
        if let Some(process) = instance.processes.get_mut(&role) {
            at_once |= process.early;
            process.pid = Some(pid);
            process.since = now;
        }
        self.remember(id, Note::Spawned(role, pid));
        self.warn_of_refused(id, role, refused);
        if process.overdue {
            return;
        }
        self.set_due(id, None);
        let Some(spec) = self.spec_of(id) else { return };
        if role == Role::Main && ready_when_run(spec.policy.expect) {
            self.started_well(id, &spec.policy);
        }
        if role != Role::Main {
            let limit = spec.policy.timeouts.get(&role);
            self.set_due(id, limit.map(|limit| (now + *limit, Due::Overdue(role))));
        } else if at_once || ready_when_run(spec.policy.expect) {
            self.release_hold(id, Hold::Spawn);
        } else if self.instances.look(&id).is_some_and(|i| i.hold == Some(Hold::Spawn)) {
            self.await_readiness(id, &spec);
        }
    }

    pub(super) fn warn_of_refused(&mut self, id: InstanceId, role: Role, refused: u32) {
        for (step, code, _) in Step::TABLE {
            if refused & 1 << code == 0 {
                continue;
            }
            self.say(Level::Warn, |engine| {
                let shown = engine.shown(id);
                let (why, how) = step.refused();
                format!("{shown} {role} process: {why}; {how}")
            });
            self.remember(id, Note::Refused(role, step));
            if let Some(instance) = self.instances.edit(&id) {
                instance.warnings.push(Warning::Refused(role, step));
            }
        }
    }

    pub(super) fn spawn_failed(&mut self, slot: Slot, step: Step, errno: i32) {
        self.out.push(Effect::Release(slot));
        if slot.role == Role::Check {
            return self.check_not_spawned(slot, step, errno);
        }
        let (id, role) = (slot.instance, slot.role);
        let Some(process) = self.process(slot) else { return };
        if step == Step::Fork && !process.overdue {
            self.retry_spawn(id, role, errno);
            return;
        }
        self.no_process(id, role, Failure::NotSpawned(role, step, errno), slot);
    }

    /// Goes on without a process that never was.
    fn no_process(&mut self, id: InstanceId, role: Role, failure: Failure, slot: Slot) {
        self.say(Level::Warn, |engine| format!("Failed to spawn {} {}", engine.shown(id), failure));
        if let Failure::NotSpawned(role, step, errno) = failure {
            self.remember(id, Note::NotSpawned(role, step, errno));
        }
        let Some(spec) = self.spec_of(id) else { return };
        let Some(instance) = self.instances.edit(&id) else { return };
        instance.processes.remove(&role);
        match role {
            Role::Main if spec.policy.start_retries.is_some() && instance.goal == Goal::Start => {
                self.start_failed(id, slot, &spec.policy, failure);
            }
            Role::Main | Role::PreStart | Role::PostStop => {
                if role == Role::Main {
                    instance.main = Main::Absent;
                }
                self.fail(id, failure, Some(slot));
                self.will_stop(id);
            }
            // There is nothing in this kernel that a profile could be loaded into.
            Role::Security if matches!(failure, Failure::NotSpawned(_, Step::Profile, _)) => {
                instance.warnings.push(Warning::Refused(role, Step::Profile));
            }
            Role::Security => {
                self.fail(id, failure, Some(slot));
                self.will_stop(id);
            }
            Role::PostStart | Role::PreStop | Role::Check => {}
        }
        self.process_gone(id, role);
    }

    /// The machine itself wants the instance to stop.
    pub(super) fn will_stop(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.edit(&id) else { return };
        instance.restart = false;
        let old = core::mem::replace(&mut instance.goal, Goal::Stop);
        if old == Goal::Start {
            instance.ended = true;
            self.remember(id, Note::Stops);
            self.tell_goal(id, old);
        }
    }

    /// Lets the instance move on if it was this process that it waited for.
    fn process_gone(&mut self, id: InstanceId, role: Role) {
        let Some(instance) = self.instances.look(&id) else { return };
        let free = match instance.hold {
            None => true,
            Some(Hold::Process(held)) => held == role,
            Some(Hold::Spawn | Hold::Ready) => role == Role::Main,
            Some(Hold::Event(_) | Hold::Deadline | Hold::Sweep) => false,
        };
        if free && instance.state == State::Killed && role == Role::Main {
            self.unhold(id);
            self.sweep_tree(id);
            self.advance(id);
        } else if free {
            self.unhold(id);
            self.advance(id);
        }
    }

    pub(super) fn stopped(&mut self, slot: Slot, signal: u8) {
        let Some(process) = self.process(slot) else { return };
        let (id, role) = (slot.instance, slot.role);
        self.say(Level::Info, |engine| {
            let shown = Signal::new(signal).map_or_else(|| format!("{signal}"), |s| format!("{s}"));
            let pid = process.pid.unwrap_or(0);
            format!("{} {role} process ({pid}) stopped by {shown} signal", engine.shown(id))
        });
        if role == Role::Main {
            self.stopped_itself(id, slot, signal);
        }
    }

    /// `expect stop`: main says that it is ready. One that says so too late, or while it is told to
    /// end, is let go on all the same.
    fn stopped_itself(&mut self, id: InstanceId, slot: Slot, signal: u8) {
        const STOP: u8 = 19;
        let expects = self.spec_of(id).is_some_and(|spec| spec.policy.expect == Expect::Stop);
        let Some(instance) = self.instances.edit(&id) else { return };
        let awaited = matches!(instance.hold, Some(Hold::Ready | Hold::Spawn));
        let late = instance.warnings.iter().position(|w| *w == Warning::ExpectMissed);
        let ends = matches!(instance.state, State::Stopping | State::Killed);
        if !expects || signal != STOP || !(awaited || late.is_some() || ends) {
            return;
        }
        if let Some(late) = late {
            instance.warnings.edit().remove(late);
        }
        self.out.push(Effect::Signal(slot, Signal::CONT, SignalScope::Process));
        // The news that it runs may come behind the news that it stopped.
        if let Some(process) = instance.processes.get_mut(&Role::Main) {
            process.early = process.pid.is_none();
        }
        self.release_hold(id, Hold::Ready);
    }

    /// Takes note of how many processes of an instance's group were killed for want of memory. The
    /// kernel tells how many, not which.
    pub(super) fn oom_kills(&mut self, slot: Slot, kills: u64) {
        if self.process(slot).is_none() {
            return;
        }
        let Some(instance) = self.instances.edit(&slot.instance) else { return };
        let before = instance.oom.as_ref().map_or(0, |oom| oom.kills);
        let lives = instance.processes.values().any(|process| process.pid.is_some());
        let more = lives && kills > before;
        let starved = lives && (more || instance.oom.as_ref().is_some_and(|oom| oom.starved));
        instance.oom = (kills > 0).then(|| Box::new(Oom { kills, starved }));
    }

    /// Returns how a process ended, as far as there is more to know than its parent is told: KILL that
    /// nobody here sent, while the kernel killed for want of memory.
    fn known_end(&mut self, slot: Slot, exit: Exit) -> Exit {
        let Some(instance) = self.instances.look(&slot.instance) else { return exit };
        let asked = instance.state == State::Killed
            || instance.processes.get(&slot.role).is_some_and(|process| process.overdue);
        let killed = matches!(exit, Exit::Signal { signal, .. } if signal == Signal::KILL.number());
        if asked || !killed || !instance.oom.as_ref().is_some_and(|oom| oom.starved) {
            return exit;
        }
        if let Some(oom) = self.instances.edit(&slot.instance).and_then(|i| i.oom.as_mut()) {
            oom.starved = false;
        }
        Exit::OutOfMemory
    }

    pub(super) fn exited(&mut self, slot: Slot, pid: Pid, exit: Exit) {
        self.out.push(Effect::Release(slot));
        if slot.role == Role::Check {
            return self.check_exited(slot, pid, exit);
        }
        // Told again: what the original left is being looked for already.
        let Some(process) = self.process(slot).filter(|p| p.left_by.is_none()) else { return };
        let (id, role) = (slot.instance, slot.role);
        let Some(spec) = self.spec_of(id) else { return };
        let exit = self.known_end(slot, exit);
        self.say_ended(id, role, pid, exit, &spec.policy);
        self.remember(id, Note::Ended(role, pid, exit));
        if let Some(instance) = self.instances.look(&id) {
            let (job, name) = (instance.job.clone(), instance.name.clone());
            let (depth, cause) = (instance.depth, self.cause_of_end(id, role));
            let of = Reported { job, name, depth, cause };
            self.emit_exited(of, role, pid, exit, process.since);
        }
        if role == Role::Main && self.original_ended(id, slot, pid, exit) {
            return;
        }
        if process.overdue && (role == Role::Main || process.pid.is_none()) {
            // Its set-up hung and it was killed for that: there never was such a process.
            self.no_process(id, role, Failure::NotSpawned(role, Step::Timeout, 0), slot);
            return;
        }
        let Some(instance) = self.instances.edit(&id) else { return };
        instance.processes.remove(&role);
        match role {
            Role::Main => self.main_ended(id, slot, (pid, exit), process.since),
            Role::PreStart | Role::PostStop | Role::Security if process.overdue => {
                self.fail(id, Failure::Timeout(role, Some(exit)), Some(slot));
                self.will_stop(id);
            }
            // The keeper was killed meanwhile. What prepares is done once more, for nobody can say that
            // it was done well; what cleans up is over.
            Role::PreStart | Role::Security if exit == Exit::Unknown && self.prepares(id, role) => {
                self.spawn_and_hold(id, role);
                return;
            }
            Role::PostStop if exit == Exit::Unknown => {}
            // Without its profile main would run unprotected.
            Role::PreStart | Role::PostStop | Role::Security if exit != Exit::Status(0) => {
                self.fail(id, Failure::Ended(role, exit), Some(slot));
                self.will_stop(id);
            }
            Role::PreStart
            | Role::PostStop
            | Role::PostStart
            | Role::PreStop
            | Role::Security
            | Role::Check => {}
        }
        #[cfg(feature = "planted")]
        if role == Role::PostStart && self.planted(super::Bug::LostWakeUp) {
            return;
        }
        self.process_gone(id, role);
    }

    fn prepares(&self, id: InstanceId, role: Role) -> bool {
        let state = if role == Role::Security { State::Security } else { State::PreStart };
        let instance = self.instances.look(&id);
        instance.is_some_and(|i| i.state == state && i.goal == Goal::Start)
    }

    pub(super) fn say_ended(
        &mut self,
        id: InstanceId,
        role: Role,
        pid: Pid,
        exit: Exit,
        policy: &Policy,
    ) {
        let normal = exit == Exit::Status(0) || is_normal(exit, &policy.normal_exit);
        let level = if normal { Level::Info } else { Level::Warn };
        self.say(level, |engine| {
            format!("{} {role} process ({pid}) {}", engine.shown(id), Ended(exit))
        });
    }

    /// Emits `exited`. It is not delivered to the job that it reports.
    pub(super) fn emit_exited(
        &mut self,
        of: Reported,
        role: Role,
        pid: Pid,
        exit: Exit,
        since: Mono,
    ) {
        let Reported { job, name, depth, cause } = of;
        if job.is_reserved() {
            return;
        }
        let mut env = subject(&job, &name);
        env.push(environment::row(b"PROCESS", role.name().as_bytes()));
        env.push(Text::from(format!("PID={pid}")));
        env.extend(exit_env(exit));
        if let Exit::Signal { core, .. } = exit {
            env.push(Text::from(if core { "CORE=1" } else { "CORE=0" }));
        }
        if exit == Exit::OutOfMemory {
            env.extend([Text::from("CORE=0"), Text::from("OOM=1")]);
        }
        env.push(Text::from(format!("RUNTIME={}", super::reports::seconds(self.now.since(since)))));
        if let Ok(name) = EventName::try_from("exited") {
            self.emit(name, env, Vec::new(), depth.saturating_add(1), Some(job), cause);
        }
    }

    /// Decides what the end of main means. The table is spec 7.5, the same in every state.
    pub(super) fn main_ended(
        &mut self,
        id: InstanceId,
        slot: Slot,
        (pid, exit): (Pid, Exit),
        since: Mono,
    ) {
        let Some(spec) = self.spec_of(id) else { return };
        let Some(instance) = self.instances.edit(&id) else { return };
        // Whoever wants a start from now on wants a new main.
        instance.main = Main::Lost;
        #[cfg(feature = "planted")]
        if self.config.planted == Some(super::Bug::RunsWithoutMain) {
            instance.main = Main::Absent;
        }
        if matches!(instance.state, State::Stopping | State::Killed) || instance.goal == Goal::Stop
        {
            self.tell_ended(id, ProgramState::Stopped, Some((pid, exit)));
            return;
        }
        let policy = &spec.policy;
        let early = matches!(instance.hold, Some(Hold::Spawn | Hold::Ready));
        if early && policy.start_retries.is_some() && matches!(policy.expect, Expect::Up(_)) {
            self.start_failed(id, slot, policy, Failure::Ended(Role::Main, exit));
            return;
        }
        // A service that ends well and left no daemon has not started, whoever waited for it.
        let unready = early
            && instance.state == State::Spawned
            && !policy.task
            && matches!(policy.expect, Expect::Stop | Expect::Fork | Expect::Daemon);
        self.tell_ended(id, ProgramState::Exited, Some((pid, exit)));
        let respawns = policy.respawn != Respawn::Never;
        let unasked = exit != Exit::Status(0) || (respawns && !policy.task) || unready;
        let failed = unasked && !is_normal(exit, &policy.normal_exit);
        let again = match policy.respawn {
            Respawn::Never => false,
            Respawn::Failed => failed,
            Respawn::Always => true,
        };
        if again && self.globals.shutdown.is_none() {
            self.respawn_or_give_up(id, slot, policy, since);
            return;
        }
        if failed {
            self.fail(id, Failure::Ended(Role::Main, exit), Some(slot));
        }
        self.will_stop(id);
    }
}

/// Reports whether `normal exit` names this end.
pub(super) fn is_normal(exit: Exit, normal: &[NormalExit]) -> bool {
    normal.iter().any(|row| match (row, exit) {
        (NormalExit::Status(wanted), Exit::Status(status)) => *wanted == u32::from(status),
        (NormalExit::Signal(wanted), Exit::Signal { signal, .. }) => wanted.number() == signal,
        // For want of memory is never as it should be.
        (NormalExit::Status(_), Exit::Signal { .. } | Exit::Unknown | Exit::OutOfMemory)
        | (NormalExit::Signal(_), Exit::Status(_) | Exit::Unknown | Exit::OutOfMemory) => false,
    })
}

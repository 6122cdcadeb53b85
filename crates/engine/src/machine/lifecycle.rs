//! The life of an instance: goals, the way from state to state, and what entering a state does.
//! Source: spec 7.2 to 7.4.

use super::event::EventWaiter;
use super::instance::{Due, Hold, Instance, Process, Waiter};
use super::request::{Asked, Failure, Refusal, Reply, Superseder};
use super::shutdown::Shutdown;
use super::state::{next_state, Goal, Main, State};
use super::{
    environment, Effect, Engine, Level, Note, Notice, SignalScope, SPAWN_TIMEOUT, UNKILLABLE_AFTER,
};
use crate::list::List;
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{Exit, InstanceId, Role};
use crate::signal::Signal;
use crate::spec::{Expect, JobSpec, KillMode};
use crate::text::Text;
use crate::time::Span;
use crate::view::{InstanceView, ProgramState};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Engine {
    /// Wants something else of an instance and lets it move where that frees it.
    pub(super) fn change_goal(&mut self, id: InstanceId, goal: Goal) {
        let Some(instance) = self.instances.edit(&id) else { return };
        let old = core::mem::replace(&mut instance.goal, goal);
        #[cfg(feature = "planted")]
        let careless = self.config.planted == Some(super::Bug::HeirsForgotten);
        let free = match (instance.hold, goal) {
            (None, _) => true,
            #[cfg(feature = "planted")]
            (Some(Hold::Ready), Goal::Stop) if careless => true,
            // What the original left is found first: else nobody would end it.
            (Some(Hold::Ready), Goal::Stop) => !instance.is_left(),
            (Some(Hold::Deadline), Goal::Stop) => matches!(
                instance.state,
                State::Starting | State::PreStart | State::Spawned | State::PostStart
            ),
            (Some(_), _) => false,
        };
        if old != goal {
            self.tell_goal(id, old);
        }
        if free {
            self.unhold(id);
            self.advance(id);
        }
    }

    /// Says and tells that something else is wanted of an instance than before.
    pub(super) fn tell_goal(&mut self, id: InstanceId, old: Goal) {
        let cause = self.cause_of(id);
        let Some(instance) = self.instances.look(&id) else { return };
        let (goal, state) = (instance.goal, instance.state);
        let (job, instance) = (instance.job.clone(), instance.name.clone());
        self.notice(Notice::Goal { job, instance, goal, state, cause });
        self.tell_other_goal(id);
        self.say(Level::Info, |engine| {
            format!("{} goal changed from {old} to {goal}", engine.shown(id))
        });
    }

    /// Frees an instance of its hold and its deadline.
    pub(super) fn unhold(&mut self, id: InstanceId) {
        if let Some(instance) = self.instances.edit(&id) {
            instance.hold = None;
        }
        self.set_due(id, None);
    }

    /// Moves an instance from state to state until something holds it or it is at rest.
    pub(super) fn advance(&mut self, id: InstanceId) {
        while let Some(instance) = self.instances.look(&id) {
            if instance.hold.is_some() {
                return;
            }
            match next_state(instance.goal, instance.state, instance.main) {
                Some(next) => self.enter(id, next),
                None => return,
            }
        }
    }

    fn enter(&mut self, id: InstanceId, state: State) {
        let Some(instance) = self.instances.edit(&id) else { return };
        let old = core::mem::replace(&mut instance.state, state);
        instance.since = self.now;
        let notice = Notice::State {
            job: instance.job.clone(),
            instance: instance.name.clone(),
            goal: instance.goal,
            from: old,
            to: state,
        };
        self.notice(notice);
        self.say(Level::Info, |engine| {
            format!("{} state changed from {old} to {state}", engine.shown(id))
        });
        match state {
            State::PreStop | State::Stopping | State::Killed => self.tell_stopping(id),
            State::Waiting => self.tell_at_rest(id),
            State::Running => self.tell_program(id, ProgramState::Running),
            State::Starting
            | State::Security
            | State::PreStart
            | State::Spawned
            | State::PostStart
            | State::PostStop => {}
        }
        match state {
            State::Starting => self.enter_starting(id),
            State::Security => self.spawn_and_hold(id, Role::Security),
            State::PreStart => self.spawn_and_hold(id, Role::PreStart),
            State::Spawned => self.enter_spawned(id),
            State::PostStart => {
                self.report_ready(id);
                self.spawn_and_hold(id, Role::PostStart);
            }
            State::Running => self.enter_running(id, old),
            State::PreStop => self.spawn_and_hold(id, Role::PreStop),
            State::Stopping => self.enter_stopping(id),
            State::Killed => self.enter_killed(id),
            State::PostStop => self.spawn_and_hold(id, Role::PostStop),
            State::Waiting => self.enter_waiting(id),
        }
    }

    fn enter_starting(&mut self, id: InstanceId) {
        self.adopt_redefinition(id);
        let Some(spec) = self.spec_of(id) else { return };
        let given = self.instances.edit(&id).and_then(|instance| instance.given_next.take());
        let built = given.map(|given| {
            let env = environment::build(self.table(), &spec.env, &self.config.own, &given);
            (List::from(env).like(&mut self.last_env), given)
        });
        let Some(instance) = self.instances.edit(&id) else { return };
        if let Some((env, given)) = built {
            instance.env = env;
            instance.given = *given;
        }
        instance.stop_env = List::new();
        instance.failure = None;
        instance.ended = false;
        instance.main = Main::Absent;
        instance.warnings = List::new();
        if !self.hold_for_backoff(id, &spec) {
            self.begin_starting(id);
        }
    }

    /// Emits `starting` and waits for it.
    pub(super) fn begin_starting(&mut self, id: InstanceId) {
        self.emit_and_hold(id, "starting");
    }

    fn enter_spawned(&mut self, id: InstanceId) {
        let Some(spec) = self.spec_of(id) else { return };
        if spec.commands.contains_key(&Role::Main) {
            self.spawn(id, Role::Main, Hold::Spawn);
            if let Some(instance) = self.instances.edit(&id) {
                instance.main = Main::Alive;
            }
        }
    }

    fn enter_running(&mut self, id: InstanceId, from: State) {
        let Some(spec) = self.spec_of(id) else { return };
        self.remember(id, Note::Rest(Goal::Start, State::Running));
        if from == State::PreStop {
            if let Some(instance) = self.instances.edit(&id) {
                instance.stop_env = List::new();
            }
            let view = self.view_of(id);
            self.release_waiters(id, view);
            return;
        }
        self.emit_for(id, "started", Vec::new());
        if !spec.policy.task {
            let view = self.view_of(id);
            self.release_waiters(id, view);
        }
    }

    fn enter_stopping(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.edit(&id) else { return };
        if core::mem::take(&mut instance.restart) {
            let old = core::mem::replace(&mut instance.goal, Goal::Start);
            if old != Goal::Start {
                self.tell_goal(id, old);
            }
        }
        self.emit_and_hold(id, "stopping");
    }

    fn enter_killed(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.look(&id) else { return };
        match instance.processes.get(&Role::Main) {
            Some(_) => {
                if let Some(instance) = self.instances.edit(&id) {
                    instance.hold = Some(Hold::Process(Role::Main));
                }
                self.ask_to_end(id, Role::Main);
            }
            None => self.sweep_tree(id),
        }
    }

    fn enter_waiting(&mut self, id: InstanceId) {
        self.emit_for(id, "stopped", self.result_env(id));
        self.remember(id, Note::Rest(Goal::Stop, State::Waiting));
        // Who waited is shown the job as it is from now on: without an instance.
        let at_rest = self.view_of(id);
        let at_rest =
            at_rest.map(|view| InstanceView { instance: InstanceName::default(), ..view });
        self.release_waiters(id, at_rest);
        self.note_essential(id);
        let Some(mut instance) = self.instances.remove(&id) else { return };
        self.set_due_of(id, instance.due(), None);
        let matched = instance.stop.reset();
        matched.into_iter().for_each(|event| self.unblock(event));
        self.forget_names(id, &instance);
        self.drop_check(&(instance.job.clone(), instance.name.clone()), |_, (job, name)| {
            Refusal::NotRunning(job.clone(), name.clone())
        });
        self.replace_job(&instance.job);
    }

    /// Tells a process to end: the polite signal, and KILL when that has not helped in time.
    pub(super) fn ask_to_end(&mut self, id: InstanceId, role: Role) {
        let Some(spec) = self.spec_of(id) else { return };
        let policy = &spec.policy;
        if policy.kill_timeout.0 == 0 {
            self.kill(id, role);
            return;
        }
        self.signal(id, role, policy.kill_signal, polite_scope(policy.kill_mode));
        #[cfg(feature = "planted")]
        if self.planted(super::Bug::KillTimerNotArmed) {
            return;
        }
        let at = self.kill_time(id, policy.kill_timeout);
        self.set_due(id, Some((at, Due::Kill(role))));
    }

    /// Ends a process at once.
    pub(super) fn kill(&mut self, id: InstanceId, role: Role) {
        let Some(spec) = self.spec_of(id) else { return };
        self.signal(id, role, Signal::KILL, scope(spec.policy.kill_mode));
        self.set_due(id, Some((self.now + UNKILLABLE_AFTER, Due::Unkillable(role))));
    }

    pub(super) fn signal(
        &mut self,
        id: InstanceId,
        role: Role,
        signal: Signal,
        scope: SignalScope,
    ) {
        let Some(process) = self.instances.look(&id).and_then(|i| i.processes.get(&role)).copied()
        else {
            return;
        };
        self.say(Level::Info, |engine| {
            let pid = process.pid.unwrap_or(0);
            format!("Sending {signal} signal to {} {role} process ({pid})", engine.shown(id))
        });
        self.remember(id, Note::Signalled(role, signal));
        self.out.push(Effect::Signal(process.slot, signal, scope));
    }

    /// Spawns the process of a role where the job has one and holds the instance until it ended.
    pub(super) fn spawn_and_hold(&mut self, id: InstanceId, role: Role) {
        // What is said to be over waits for nothing that still cleans up.
        if self.globals.shutdown.as_ref().is_some_and(Shutdown::is_over) {
            return;
        }
        if self.spec_of(id).is_some_and(|spec| spec.commands.contains_key(&role)) {
            self.spawn(id, role, Hold::Process(role));
        }
    }

    pub(super) fn spawn(&mut self, id: InstanceId, role: Role, hold: Hold) {
        let slot = self.new_slot(id, role);
        let process = Process::asked_for(slot, self.now);
        let Some(instance) = self.instances.edit(&id) else { return };
        instance.processes.insert(role, process);
        instance.hold = Some(hold);
        if role == Role::Main {
            instance.last_main = Some(slot);
            let state = match instance.goal {
                Goal::Start => ProgramState::Starting,
                // Asked to stop while a spawn was tried again.
                Goal::Stop => ProgramState::Stopping,
            };
            self.tell_program(id, state);
        }
        self.out.push(Effect::Spawn(slot));
        self.set_due(id, Some((self.now + SPAWN_TIMEOUT, Due::Spawn(role))));
    }

    /// Emits one of the job's own events and holds the instance until it has finished.
    fn emit_and_hold(&mut self, id: InstanceId, name: &str) {
        let result = if name == "stopping" { self.result_env(id) } else { Vec::new() };
        let Some(event) = self.emit_for(id, name, result) else { return };
        if let Some(event) = self.events.edit(&event) {
            event.waiters.push(EventWaiter::Instance(id));
        }
        if let Some(instance) = self.instances.edit(&id) {
            instance.hold = Some(Hold::Event(event));
        }
    }

    /// Emits one of the job's own events. Source: spec 6.3.
    fn emit_for(
        &mut self,
        id: InstanceId,
        name: &str,
        result: Vec<Text>,
    ) -> Option<super::EventId> {
        let spec = self.spec_of(id)?;
        let instance = self.instances.look(&id)?;
        if instance.job.is_reserved() {
            return None;
        }
        let mut env = self.subject(instance);
        env.extend(result);
        for key in &spec.export {
            let value = super::event::first_value(&instance.env, key.bytes());
            if let (Some(value), None) = (value, super::event::first_value(&env, key.bytes())) {
                env.push(environment::row(key.bytes(), value));
            }
        }
        let depth = instance.depth;
        let name = match self.last_emitted.take().filter(|last| last.text() == name) {
            Some(last) => last,
            None => EventName::try_from(name).ok()?,
        };
        self.last_emitted = Some(name.clone());
        let cause = self.cause_of(id);
        let event = self.emit(name, env, Vec::new(), depth, None, cause);
        let late = self.globals.shutdown.as_ref().is_some_and(|shutdown| shutdown.is_late(id));
        if let Some(event) = self.events.edit(&event) {
            event.late = late;
        }
        Some(event)
    }

    /// Returns JOB and INSTANCE, which every event about an instance begins with.
    pub(super) fn subject(&self, instance: &Instance) -> Vec<Text> {
        subject(&instance.job, &instance.name)
    }

    fn result_env(&self, id: InstanceId) -> Vec<Text> {
        let failure = self.instances.look(&id).and_then(|instance| instance.failure);
        let Some(failure) = failure else { return Vec::from([Text::from("RESULT=ok")]) };
        let mut env = Vec::from([
            Text::from("RESULT=failed"),
            environment::row(b"PROCESS", failure.process().as_bytes()),
        ]);
        match failure {
            Failure::Ended(_, exit) | Failure::Timeout(_, Some(exit)) => env.extend(exit_env(exit)),
            Failure::NotSpawned(..)
            | Failure::RespawnLimit
            | Failure::StartRetries
            | Failure::Timeout(_, None)
            | Failure::Unkillable(_) => {}
        }
        env
    }

    /// Marks the present run as failed, for the first reason that there is: everybody who waits for
    /// it is told so.
    pub(super) fn fail(
        &mut self,
        id: InstanceId,
        failure: Failure,
        output: Option<crate::process::Slot>,
    ) {
        let Some(instance) = self.instances.look(&id) else { return };
        let first = instance.failure.is_none();
        if first {
            let (job, instance) = (instance.job.clone(), instance.name.clone());
            self.notice(Notice::Failed { job, instance, failure });
        }
        self.remember(id, Note::Failed(failure));
        if first {
            self.report_failed(id, failure);
        }
        self.refuse_waiters(id, failure, output);
    }

    /// Tells everybody who waits for the present run that it has failed, whatever follows.
    pub(super) fn refuse_waiters(
        &mut self,
        id: InstanceId,
        failure: Failure,
        output: Option<crate::process::Slot>,
    ) {
        let Some(instance) = self.instances.edit(&id) else { return };
        // The events tell the first reason; whoever came to wait since then is told the one that
        // keeps it from what it wanted.
        instance.failure.get_or_insert(failure);
        // A client that does not wait for the outcome is told where the turn ends.
        let (waiters, accepted): (_, Vec<Waiter>) = (instance.waiters.take().into_iter())
            .partition(|waiter| !matches!(waiter, Waiter::Accepted(_)));
        instance.waiters = accepted.into();
        let (job, name) = (instance.job.clone(), instance.name.clone());
        let waiters: Vec<Waiter> = waiters;
        for waiter in waiters {
            match waiter {
                Waiter::Event(event) => {
                    if let Some(event) = self.events.edit(&event) {
                        event.failed = true;
                    }
                    self.unblock(event);
                }
                Waiter::Request(request) => {
                    let asked = self.asked(request);
                    let refusal = Refusal::Failed(asked, job.clone(), name.clone(), failure);
                    self.reply(request, Reply::Refused(refusal), output);
                }
                Waiter::Accepted(_) => {}
            }
        }
    }

    /// Tells everybody who waits for the instance that it has settled; `view` is what it then is.
    pub(super) fn release_waiters(&mut self, id: InstanceId, view: Option<InstanceView>) {
        let Some(instance) = self.instances.edit(&id) else { return };
        let waiters = instance.waiters.take();
        for waiter in waiters {
            match waiter {
                Waiter::Event(event) => self.unblock(event),
                Waiter::Request(request) | Waiter::Accepted(request) => {
                    self.reply(request, Reply::Done(view.clone()), None);
                }
            }
        }
    }

    /// Tells everybody who waits for the instance that something else was asked of it: events move
    /// on, clients are told who it was. Source: spec 15, row 27.
    pub(super) fn supersede(&mut self, id: InstanceId, by: &Superseder) {
        self.supersede_check(id, by);
        let Some(instance) = self.instances.edit(&id) else { return };
        let waiters = instance.waiters.take();
        let (job, name) = (instance.job.clone(), instance.name.clone());
        for waiter in waiters {
            match waiter {
                Waiter::Event(event) => self.unblock(event),
                #[cfg(feature = "planted")]
                Waiter::Request(_) if self.planted(super::Bug::ReplyNever) => {}
                Waiter::Request(request) => {
                    let asked = self.asked(request);
                    let refusal = Refusal::Superseded(asked, job.clone(), name.clone(), by.clone());
                    self.reply(request, Reply::Refused(refusal), None);
                }
                Waiter::Accepted(request) => {
                    let view = self.view_of(id);
                    self.reply(request, Reply::Done(view), None);
                }
            }
        }
    }

    fn asked(&self, request: super::request::RequestId) -> Asked {
        self.requests.look(&request).map_or(Asked::Start, |pending| pending.asked)
    }

    /// Returns the instance of that name, made where there is none.
    pub(super) fn find_or_create(&mut self, job: &JobName, name: InstanceName) -> InstanceId {
        if let Some(id) = self.names.get(&(job.clone(), name.clone())) {
            return *id;
        }
        let id = self.new_instance();
        let instance = Instance::new(job.clone(), name, self.now);
        self.learn_names(id, &instance);
        self.instances.insert(id, instance);
        id
    }

    pub(super) fn spec_of(&self, id: InstanceId) -> Option<Arc<JobSpec>> {
        let instance = self.instances.look(&id)?;
        self.jobs.look(&instance.job).map(|job| job.spec.clone())
    }
}

/// Returns JOB and INSTANCE.
pub(super) fn subject(job: &JobName, name: &InstanceName) -> Vec<Text> {
    let job = environment::row(b"JOB", job.text().bytes());
    Vec::from([job, environment::row(b"INSTANCE", name.text().bytes())])
}

/// Returns the variable that says how a process ended.
pub(super) fn exit_env(exit: Exit) -> Option<Text> {
    match exit {
        Exit::Status(status) => Some(Text::from(format!("EXIT_STATUS={status}"))),
        Exit::Signal { signal, .. } => {
            let shown = Signal::new(signal).map_or_else(|| signal.to_string(), |s| s.to_string());
            Some(Text::from(format!("EXIT_SIGNAL={shown}")))
        }
        Exit::OutOfMemory => Some(Text::from(format!("EXIT_SIGNAL={}", Signal::KILL))),
        Exit::Unknown => None,
    }
}

/// Returns whom a stop's KILL is for.
pub(super) fn scope(mode: KillMode) -> SignalScope {
    match mode {
        KillMode::Process => SignalScope::Process,
        KillMode::Group | KillMode::Mixed | KillMode::Tree => SignalScope::Group,
    }
}

/// Returns whom a stop's polite signal is for.
pub(super) fn polite_scope(mode: KillMode) -> SignalScope {
    match mode {
        KillMode::Process | KillMode::Mixed => SignalScope::Process,
        KillMode::Group | KillMode::Tree => SignalScope::Group,
    }
}

/// Reports whether main is ready as soon as it runs.
pub(super) fn ready_when_run(expect: Expect) -> bool {
    match expect {
        Expect::None | Expect::Up(Span::ZERO) => true,
        Expect::Stop | Expect::Fork | Expect::Daemon | Expect::Up(_) => false,
    }
}

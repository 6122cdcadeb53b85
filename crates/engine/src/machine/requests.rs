//! Requests of clients: checked, carried out, and answered exactly once. Source: spec 11, 12.

use super::check::Wish;
use super::event::EventWaiter;
use super::instance::{Hold, Waiter};
use super::request::{Asked, Refusal, Reply, Request, RequestId, Superseder, Target, Wait, Which};
use super::state::{Goal, State};
use super::{Effect, Engine, Note, SignalScope, EVENTS_MAX, REQUESTS_MAX};
use crate::intent::Lasting;
use crate::list::List;
use crate::names::{EventName, InstanceName, JobName, NameError};
use crate::process::{InstanceId, Role, Slot};
use crate::rare::Rare;
use crate::shared::Shared;
use crate::signal::Signal;
use crate::text::Text;
use crate::view::Asker;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How many answers are kept for clients that lost their connection.
const ANSWERS_MAX: usize = 256;

/// A request that has been accepted and not yet answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(super) asked: Asked,
    pub(super) token: Option<Text>,
    /// The check that came before it was carried out: whoever asked is shown what that wrote.
    #[serde(default)]
    pub(super) checked: Option<Slot>,
}

/// An answer kept for its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(super) token: Text,
    pub(super) reply: Reply,
}

/// What became of the request of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is being carried out under this number: join it.
    Pending(RequestId),
    /// It was answered like this.
    Answered(Reply),
}

impl Engine {
    /// Returns the number of the next request.
    pub fn next_request(&self) -> RequestId {
        RequestId(self.globals.next_request)
    }

    /// Returns what became of the request of a token; nothing where the token is new.
    pub fn find_token(&self, token: &Text) -> Option<Found> {
        let found = self.tokens.get(token).cloned();
        #[cfg(feature = "planted")]
        let found = found.filter(|found| {
            matches!(found, Found::Answered(_)) || !self.planted(super::Bug::AskedTwice)
        });
        found
    }

    pub(super) fn ask(
        &mut self,
        id: RequestId,
        token: Option<Text>,
        request: Request,
        by: Option<Asker>,
    ) {
        if id.0 < self.globals.next_request {
            return;
        }
        self.asker = by.map(|by| self.known_asker(by));
        self.globals.next_request = id.0.wrapping_add(1);
        if let Some(token) = &token {
            self.tokens.insert(token.clone(), Found::Pending(id));
        }
        let asked = match &request {
            Request::Stop(..) => Asked::Stop,
            Request::Restart(..) => Asked::Restart,
            Request::Reload(_) => Asked::Reload,
            Request::Check(_) => Asked::Check,
            Request::Start(..)
            | Request::StartOnce(..)
            | Request::Signal(..)
            | Request::Intend(..)
            | Request::Emit(..) => Asked::Start,
        };
        let full = self.requests.len() >= REQUESTS_MAX;
        self.requests.insert(id, Pending { asked, token, checked: None });
        let carried_out = if full {
            Err(Refusal::TooMuch(format!("{REQUESTS_MAX} requests are waiting; try again later")))
        } else {
            match request {
                Request::Start(target, wait) => self.start(id, &target, wait, Lasting::Kept),
                Request::StartOnce(target, wait) => self.start(id, &target, wait, Lasting::Runtime),
                Request::Stop(target, wait) => self.stop(id, &target, wait),
                Request::Restart(target, wait) => self.check_first(id, Wish::Restart(target, wait)),
                Request::Reload(target) => self.check_first(id, Wish::Reload(target)),
                Request::Check(target) => self.check_first(id, Wish::Check(target)),
                Request::Signal(target, signal) => self.signal_asked(id, &target, signal),
                Request::Emit(name, env, wait) => self.emit_asked(id, name, env, wait),
                Request::Intend(job, intent, lasting) => self.intend(id, &job, intent, lasting),
            }
        };
        if let Err(refusal) = carried_out {
            self.reply(id, Reply::Refused(refusal), None);
        }
        self.asker = None;
    }

    /// Restarts an instance that was checked.
    pub(super) fn replace(&mut self, id: RequestId, target: &Target, by: Option<Asker>) {
        if id.0 < self.globals.next_request {
            return;
        }
        self.asker = by.map(|by| self.known_asker(by));
        self.globals.next_request = id.0.wrapping_add(1);
        self.requests.insert(id, Pending { asked: Asked::Restart, token: None, checked: None });
        #[cfg(feature = "planted")]
        if self.planted(super::Bug::ReplacedSilently) {
            self.requests.remove(&id);
        }
        if let Err(refusal) = self.restart(id, target, Wait::Accepted) {
            self.reply(id, Reply::Refused(refusal), None);
        }
        self.asker = None;
    }

    /// Keeps who asks once: whoever asks for a thousand starts is one and the same.
    fn known_asker(&mut self, by: Asker) -> Shared<Asker> {
        let known = self.last_asker.take().filter(|last| **last == by);
        let known = known.unwrap_or_else(|| by.into());
        self.last_asker = Some(known.clone());
        known
    }

    fn asked_note(&self, asked: Asked) -> Note {
        match &self.asker {
            Some(by) => Note::AskedBy(asked, by.clone()),
            None => Note::Asked(asked),
        }
    }

    /// The client is gone: its request goes on, nobody is told.
    pub(super) fn gone(&mut self, id: RequestId) {
        let Some(pending) = self.requests.look(&id) else { return };
        // With a token the client may come back and ask for the answer.
        if pending.token.is_none() {
            self.requests.remove(&id);
        }
    }

    pub(super) fn keep_answer(&mut self, pending: Pending, reply: &Reply) {
        let Some(token) = pending.token else { return };
        self.tokens.insert(token.clone(), Found::Answered(reply.clone()));
        let number = self.globals.next_answer;
        self.globals.next_answer = number.wrapping_add(1);
        self.answers.insert(number, Answered { token, reply: reply.clone() });
        while self.answers.len() > ANSWERS_MAX {
            let Some(oldest) = self.answers.keys().next().copied() else { return };
            if let Some(answered) = self.answers.remove(&oldest) {
                self.tokens.remove(&answered.token);
            }
        }
    }

    fn known_job(&self, target: &Target) -> Result<JobName, Refusal> {
        let unknown = || Refusal::UnknownJob(target.job.clone());
        let name = JobName::try_from(target.job.clone()).map_err(|_| unknown())?;
        self.jobs.look(&name).map(|_| name).ok_or_else(unknown)
    }

    fn known_env(&self, env: &[Text]) -> Result<(), Refusal> {
        let fits = |row: &Text| row.bytes().contains(&b'=') && !row.bytes().contains(&0);
        if env.iter().all(fits) {
            Ok(())
        } else {
            Err(Refusal::BadEnv)
        }
    }

    fn named(&self, job: &JobName, target: &Target) -> Result<InstanceName, Refusal> {
        match &target.which {
            Which::Named(name) => Ok(name.clone()),
            Which::Env(env) => {
                self.known_env(env)?;
                let spec = self.jobs.look(job).map(|job| &job.spec);
                let usage = spec.and_then(|spec| spec.about.usage.clone());
                self.instance_name(job, env).map_err(|why| Refusal::Expansion(why, usage))
            }
        }
    }

    /// Returns the instance that a target means, for a look at it. Source: Job.GetInstance.
    pub fn find(&self, target: &Target) -> Result<(JobName, Option<InstanceId>), Refusal> {
        let job = self.known_job(target)?;
        let name = self.named(&job, target)?;
        let id = self.names.get(&(job.clone(), name.clone())).copied();
        match (&target.which, id) {
            (_, Some(id)) => Ok((job, Some(id))),
            (Which::Env(env), None) if env.is_empty() => Ok((job, None)),
            (Which::Env(_) | Which::Named(_), None) => Err(Refusal::UnknownInstance(name)),
        }
    }

    /// Returns the instance that a target means, also one that is gone but remembered, for `why`.
    pub fn find_past(&self, target: &Target) -> Result<(JobName, InstanceName), Refusal> {
        let job = self.known_job(target)?;
        let name = match &target.which {
            Which::Env(env) if env.is_empty() => self.named(&job, target).unwrap_or_default(),
            Which::Env(_) | Which::Named(_) => self.named(&job, target)?,
        };
        let key = (job, name);
        if key.1.text().is_empty()
            || self.names.contains_key(&key)
            || self.histories.contains_key(&key)
        {
            Ok(key)
        } else {
            Err(Refusal::UnknownInstance(key.1))
        }
    }

    fn known_instance(&self, target: &Target) -> Result<InstanceId, Refusal> {
        let job = self.known_job(target)?;
        let name = self.named(&job, target)?;
        let id = self.names.get(&(job, name.clone())).copied();
        id.ok_or(Refusal::UnknownInstance(name))
    }

    fn start(
        &mut self,
        request: RequestId,
        target: &Target,
        wait: Wait,
        meant: Lasting,
    ) -> Result<(), Refusal> {
        let job = self.known_job(target)?;
        self.unmasked(&job)?;
        let name = self.named(&job, target)?;
        if self.globals.shutdown.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        if let (Which::Named(_), None) =
            (&target.which, self.names.get(&(job.clone(), name.clone())))
        {
            return Err(Refusal::UnknownInstance(name));
        }
        let id = self.find_or_create(&job, name);
        let Some(instance) = self.instances.look(&id) else { return Ok(()) };
        if instance.goal == Goal::Start || instance.restart {
            return Err(Refusal::AlreadyRunning(job, instance.name.clone()));
        }
        match meant {
            Lasting::Kept => self.lift(&job),
            Lasting::Runtime => {}
        }
        self.supersede(id, &Superseder::Request(Asked::Start));
        self.remember(id, self.asked_note(Asked::Start));
        if let Some(instance) = self.instances.edit(&id) {
            instance.depth = 0;
            instance.started_by = List::new();
            instance.forgive();
            if let Which::Env(env) = &target.which {
                instance.given_next = Some(Box::new(env.clone().into()));
            }
        }
        self.wait_for(id, request, wait);
        self.change_goal(id, Goal::Start);
        Ok(())
    }

    fn stop(&mut self, request: RequestId, target: &Target, wait: Wait) -> Result<(), Refusal> {
        let id = self.known_instance(target)?;
        let Some(instance) = self.instances.look(&id) else { return Ok(()) };
        if instance.goal == Goal::Stop && !instance.restart {
            let (job, name) = (instance.job.clone(), instance.name.clone());
            return Err(Refusal::AlreadyStopped(job, name));
        }
        self.supersede(id, &Superseder::Request(Asked::Stop));
        self.remember(id, self.asked_note(Asked::Stop));
        if let Some(instance) = self.instances.edit(&id) {
            instance.restart = false;
            instance.stop_env = match &target.which {
                Which::Env(env) => env.clone().into(),
                Which::Named(_) => List::new(),
            };
        }
        self.wait_for(id, request, wait);
        self.change_goal(id, Goal::Stop);
        Ok(())
    }

    /// A restart is a stop whose goal becomes start again at `stopping`: main is always replaced,
    /// whatever processes the job has. What the first start gave stays. Source: spec 15, rows 2, 3.
    pub(super) fn restart(
        &mut self,
        request: RequestId,
        target: &Target,
        wait: Wait,
    ) -> Result<(), Refusal> {
        let id = self.may_restart(target)?;
        self.supersede(id, &Superseder::Request(Asked::Restart));
        self.remember(id, self.asked_note(Asked::Restart));
        let changed = self.has_changed(id);
        let mut goal = Goal::Stop;
        if let Some(instance) = self.instances.edit(&id) {
            // Past `stopping` the goal would not become start again: it is on its way already.
            let on_its_way =
                matches!(instance.state, State::Stopping | State::Killed | State::PostStop);
            #[cfg(feature = "planted")]
            let on_its_way = on_its_way && self.config.planted != Some(super::Bug::RestartLost);
            if on_its_way {
                goal = Goal::Start;
            }
            instance.restart = !on_its_way;
            instance.respawn = Rare::new();
            // What a process of the job asks changes no environment, unless the file has changed.
            let given = instance.given_next.take().map(|given| *given);
            let given = match &target.which {
                Which::Env(env) => {
                    let mut given = given.unwrap_or(instance.given.clone());
                    env.iter().for_each(|row| super::environment::set(given.edit(), row));
                    Some(given)
                }
                Which::Named(_) if changed => given.or(Some(instance.given.clone())),
                Which::Named(_) => given,
            };
            instance.given_next = given.map(Box::new);
        }
        self.wait_for(id, request, wait);
        self.change_goal(id, goal);
        Ok(())
    }

    /// Returns the instance that a restart is for.
    pub(super) fn may_restart(&self, target: &Target) -> Result<InstanceId, Refusal> {
        let id = self.known_instance(target)?;
        if self.globals.shutdown.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        let unknown = || Refusal::UnknownJob(target.job.clone());
        let instance = self.instances.look(&id).ok_or_else(unknown)?;
        let (job, name) = (instance.job.clone(), instance.name.clone());
        if instance.goal == Goal::Stop && !instance.restart {
            return Err(Refusal::AlreadyStopped(job, name));
        }
        self.unmasked(&job)?;
        Ok(id)
    }

    /// Returns what is to be checked, which need not run.
    pub(super) fn find_to_check(
        &self,
        target: &Target,
    ) -> Result<(JobName, InstanceName), Refusal> {
        let job = self.known_job(target)?;
        let name = self.named(&job, target)?;
        let key = (job, name);
        match (&target.which, self.names.contains_key(&key)) {
            (Which::Named(_), false) => Err(Refusal::UnknownInstance(key.1)),
            (Which::Named(_) | Which::Env(_), _) => Ok(key),
        }
    }

    pub(super) fn reload(&mut self, request: RequestId, target: &Target) -> Result<(), Refusal> {
        let (id, main) = self.running(target)?;
        let signal = self.spec_of(id).and_then(|spec| spec.policy.reload_signal);
        if let Some(signal) = signal {
            self.remember(id, Note::Reloads(signal));
            self.out.push(Effect::Signal(main, signal, SignalScope::Process));
        }
        let view = self.view_of(id);
        self.reply(request, Reply::Done(view), None);
        Ok(())
    }

    fn signal_asked(
        &mut self,
        request: RequestId,
        target: &Target,
        signal: Signal,
    ) -> Result<(), Refusal> {
        let (id, main) = self.running(target)?;
        self.remember(id, Note::Signals(signal));
        self.out.push(Effect::Signal(main, signal, SignalScope::Process));
        let view = self.view_of(id);
        self.reply(request, Reply::Done(view), None);
        Ok(())
    }

    /// Returns the instance and its main process, which lives.
    pub(super) fn running(&self, target: &Target) -> Result<(InstanceId, Slot), Refusal> {
        let id = self.known_instance(target)?;
        let unknown = || Refusal::UnknownJob(target.job.clone());
        let instance = self.instances.look(&id).ok_or_else(unknown)?;
        let main = instance.processes.get(&Role::Main).filter(|main| main.pid.is_some());
        match main {
            Some(main) => Ok((id, main.slot)),
            None => Err(Refusal::NotRunning(instance.job.clone(), instance.name.clone())),
        }
    }

    fn emit_asked(
        &mut self,
        request: RequestId,
        name: Text,
        env: Vec<Text>,
        wait: Wait,
    ) -> Result<(), Refusal> {
        let name = EventName::try_from(name.clone()).map_err(|error| match error {
            NameError::Empty => Refusal::EmptyEventName,
            NameError::TooLong | NameError::Control => Refusal::BadName(name),
        })?;
        self.known_env(&env)?;
        if self.events.len() >= EVENTS_MAX {
            let why: String = format!("{EVENTS_MAX} events are on their way; try again later");
            return Err(Refusal::TooMuch(why));
        }
        let cause = self.cause_of_request();
        match wait {
            Wait::Settled => {
                let waiters = Vec::from([EventWaiter::Request(request)]);
                self.emit(name, env, waiters, 0, None, cause);
            }
            Wait::Accepted => {
                self.emit(name, env, Vec::new(), 0, None, cause);
                self.reply(request, Reply::Done(None), None);
            }
        }
        Ok(())
    }

    fn wait_for(&mut self, id: InstanceId, request: RequestId, wait: Wait) {
        let Some(instance) = self.instances.edit(&id) else { return };
        match wait {
            Wait::Settled => instance.waiters.push(Waiter::Request(request)),
            Wait::Accepted => {
                instance.waiters.push(Waiter::Accepted(request));
                self.globals.accepting.insert(id);
            }
        }
    }

    /// Answers clients that wait only until their request is on its way: when the keeper owes no
    /// answer any more, so that the reply names the process.
    pub(super) fn answer_accepted(&mut self) {
        if self.globals.accepting.is_empty() {
            return;
        }
        for id in core::mem::take(&mut self.globals.accepting) {
            let Some(instance) = self.instances.look(&id) else { continue };
            let asked = instance.processes.values().any(|p| p.pid.is_none() && p.left_by.is_none());
            let events = matches!(instance.hold, Some(Hold::Event(_)));
            if asked || (events && !self.globals.work.is_empty()) {
                self.globals.accepting.insert(id);
                continue;
            }
            let Some(instance) = self.instances.edit(&id) else { continue };
            let accepted: Vec<RequestId> = instance
                .waiters
                .iter()
                .filter_map(|waiter| match waiter {
                    Waiter::Accepted(request) => Some(*request),
                    Waiter::Event(_) | Waiter::Request(_) => None,
                })
                .collect();
            instance.waiters.retain(|waiter| !matches!(waiter, Waiter::Accepted(_)));
            for request in accepted {
                let view = self.view_of(id);
                self.reply(request, Reply::Done(view), None);
            }
        }
    }
}

//! Events: emitted, offered to the jobs, blocked, finished. Source: spec 5.2, 5.3.

use super::condition::{contributors, operand_matches, Matches};
use super::event::{first_value, Event, EventWaiter};
use super::instance::{Hold, Waiter};
use super::request::{Asked, Refusal, Reply, Superseder};
use super::state::Goal;
use super::{environment, Effect, Engine, EventId, Level, Note, Notice, Work, CHAIN_MAX};
use crate::expand;
use crate::list::List;
use crate::names::{EventName, InstanceName, JobName};
use crate::process::InstanceId;
use crate::spec::{Condition, Node};
use crate::text::Text;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Engine {
    /// Puts an event in line.
    pub(super) fn emit(
        &mut self,
        name: EventName,
        env: Vec<Text>,
        waiters: Vec<EventWaiter>,
        depth: u8,
        reports: Option<JobName>,
        cause: String,
    ) -> EventId {
        let id = EventId(self.globals.next_event);
        self.globals.next_event = id.0.wrapping_add(1);
        let event = Event {
            name,
            env,
            blockers: 0,
            waiters,
            failed: false,
            offered: false,
            depth,
            late: false,
            reports,
            cause,
        };
        self.events.insert(id, event);
        self.globals.work.push_back(Work::Offer(id));
        id
    }

    /// Offers an event to every job that mentions it, in the order of their names: first to the
    /// instances' stop conditions, then to the job's start condition.
    pub(super) fn offer(&mut self, id: EventId) {
        let Some(event) = self.events.edit(&id) else { return };
        event.offered = true;
        let (name, reports) = (event.name.clone(), event.reports.clone());
        let too_long = event.depth > CHAIN_MAX;
        let mut missed = Vec::new();
        for job in self.mentioning(&name, reports) {
            let by_job = self.stops.get(&name).and_then(|by_job| by_job.get(&job));
            let instances: Vec<InstanceId> =
                by_job.into_iter().flatten().map(|(_, instance)| *instance).collect();
            if too_long {
                let stops = instances.iter().any(|i| !self.stop_places(id, *i).is_empty());
                if stops || !self.start_places(id, &job).is_empty() {
                    missed.push(job);
                }
                continue;
            }
            for instance in instances {
                self.offer_to_stop(id, instance);
            }
            self.offer_to_start(id, &job);
        }
        if !missed.is_empty() {
            self.cut_chain(id, missed);
        }
        if self.events.look(&id).is_some_and(|event| event.blockers == 0) {
            self.globals.work.push_back(Work::Finish(id));
        }
    }

    /// Returns the jobs whose conditions mention an event, but the one that it reports.
    fn mentioning(&self, name: &EventName, reports: Option<JobName>) -> BTreeSet<JobName> {
        let starts = self.starts.get(name).into_iter().flatten();
        let stops = self.stops.get(name).into_iter().flat_map(|by_job| by_job.keys());
        starts.chain(stops).filter(|job| Some(*job) != reports.as_ref()).cloned().collect()
    }

    /// An event at the end of a chain that is too long was not delivered to these jobs.
    fn cut_chain(&mut self, id: EventId, missed: Vec<JobName>) {
        let Some(event) = self.events.look(&id) else { return };
        let Some(job) = event.reports.clone() else { return };
        let instance = first_value(&event.env, b"INSTANCE").map(Text::from).unwrap_or_default();
        let instance = InstanceName::try_from(instance).unwrap_or_default();
        let event = event.name.clone();
        self.say(Level::Warn, |_| {
            let shown = job.with_instance(&instance);
            let names: Vec<String> = missed.iter().map(|job| format!("{job}")).collect();
            let names = names.join(", ");
            format!("{shown} event {event} not delivered to {names}: more than {CHAIN_MAX} jobs start each other by events that report ends")
        });
        self.remember_of(job, instance, Note::ChainCut(missed.into()));
    }

    /// Returns which operands of a condition an event newly matches.
    fn newly_matched(
        &self,
        condition: &Condition,
        matched: &Matches,
        event: &Event,
        env: &dyn Fn() -> Vec<Text>,
    ) -> Vec<usize> {
        let expanded = |text: &Text| expanded(text, env);
        let nodes = condition.nodes.iter().enumerate();
        nodes
            .filter(|(index, node)| match node {
                Node::Event(operand) => {
                    matched.event(*index).is_none() && operand_matches(operand, event, &expanded)
                }
                Node::And | Node::Or => false,
            })
            .map(|(index, _)| index)
            .collect()
    }

    /// Returns which operands of an instance's stop condition an event would newly match.
    fn stop_places(&self, id: EventId, instance: InstanceId) -> Vec<usize> {
        let Some(spec) = self.spec_of(instance) else { return Vec::new() };
        let Some(instance) = self.instances.look(&instance) else { return Vec::new() };
        let (Some(condition), Some(event)) = (&spec.stop_on, self.events.look(&id)) else {
            return Vec::new();
        };
        let env = || instance.env.to_vec();
        self.newly_matched(condition, &instance.stop, event, &env)
    }

    /// Returns which operands of a job's start condition an event would newly match.
    fn start_places(&self, id: EventId, name: &JobName) -> Vec<usize> {
        if self.is_left_alone(name) {
            return Vec::new();
        }
        let Some(job) = self.jobs.look(name) else { return Vec::new() };
        let (Some(condition), Some(event)) = (&job.spec.start_on, self.events.look(&id)) else {
            return Vec::new();
        };
        let (table, own) = (self.table(), &self.config.own);
        let env = || environment::build(table, &job.spec.env, own, &[]);
        self.newly_matched(condition, &job.start, event, &env)
    }

    fn offer_to_stop(&mut self, id: EventId, instance_id: InstanceId) {
        let places = self.stop_places(id, instance_id);
        if places.is_empty() {
            return;
        }
        let Some(spec) = self.spec_of(instance_id) else { return };
        let Some(condition) = &spec.stop_on else { return };
        let Some(instance) = self.instances.edit(&instance_id) else { return };
        places.iter().for_each(|place| instance.stop.add(*place, id));
        let truth = contributors(condition, &instance.stop);
        self.block(id, places.len());
        let Some(events) = truth else { return };
        let stops =
            self.instances.look(&instance_id).is_some_and(|i| i.goal == Goal::Stop && !i.restart);
        if !stops {
            let mut stop_env = self.event_env(&events);
            stop_env.push(environment::row(b"UPSTART_STOP_EVENTS", &self.event_names(&events)));
            self.come_true(instance_id, Asked::Stop, &events);
            if let Some(instance) = self.instances.edit(&instance_id) {
                instance.stop_env = stop_env.into();
                instance.restart = false;
            }
        }
        let matched = self.instances.edit(&instance_id).map(|instance| instance.stop.reset());
        if !stops {
            self.change_goal(instance_id, Goal::Stop);
        }
        #[cfg(feature = "planted")]
        if stops && self.planted(super::Bug::BlockersLeak) {
            return;
        }
        matched.into_iter().flatten().for_each(|event| self.unblock(event));
    }

    fn offer_to_start(&mut self, id: EventId, name: &JobName) {
        let places = self.start_places(id, name);
        if places.is_empty() {
            return;
        }
        let Some(job) = self.jobs.edit(name) else { return };
        let spec = job.spec.clone();
        let Some(condition) = &spec.start_on else { return };
        places.iter().for_each(|place| job.start.add(*place, id));
        let truth = contributors(condition, &job.start);
        self.block(id, places.len());
        let Some(events) = truth else { return };
        if self.may_start(&events) {
            self.start_by_events(name, &events);
        }
        let matched = self.jobs.edit(name).map(|job| job.start.reset());
        matched.into_iter().flatten().for_each(|event| self.unblock(event));
    }

    fn start_by_events(&mut self, name: &JobName, events: &[EventId]) {
        let mut given = self.event_env(events);
        given.push(environment::row(b"UPSTART_EVENTS", &self.event_names(events)));
        let instance = match self.instance_name(name, &given) {
            Ok(instance) => instance,
            Err(why) => {
                self.say(Level::Warn, |_| format!("Failed to obtain {name} instance: {why}"));
                return;
            }
        };
        let depth = events.iter().filter_map(|id| self.events.look(id)).map(|e| e.depth).max();
        let started_by = self.causes(events).like(&mut self.last_causes);
        let id = self.find_or_create(name, instance);
        if self.instances.look(&id).is_some_and(|i| i.goal == Goal::Start || i.restart) {
            return;
        }
        self.come_true(id, Asked::Start, events);
        let given = List::from(given).like(&mut self.last_given);
        if let Some(instance) = self.instances.edit(&id) {
            instance.given_next = Some(Box::new(given));
            instance.started_by = started_by;
            instance.depth = depth.unwrap_or(0);
            instance.forgive();
        }
        self.change_goal(id, Goal::Start);
    }

    /// Lets earlier waiters go and makes the events wait for the instance.
    fn come_true(&mut self, id: InstanceId, asked: Asked, events: &[EventId]) {
        let named = |engine: &Engine, event: &EventId| {
            engine.events.look(event).map(|event| event.name.clone())
        };
        let names: List<EventName> = events.iter().filter_map(|e| named(self, e)).collect();
        let names = names.like(&mut self.last_names);
        if let Some(first) = names.first().cloned() {
            self.supersede(id, &Superseder::Event(first, asked));
        }
        self.remember(id, Note::ByEvents(asked, names));
        for event in events {
            self.block(*event, 1);
            if let Some(instance) = self.instances.edit(&id) {
                instance.waiters.push(Waiter::Event(*event));
            }
        }
    }

    /// Returns the variables of events, one after the other.
    fn event_env(&self, events: &[EventId]) -> Vec<Text> {
        let events = events.iter().filter_map(|id| self.events.look(id));
        events.flat_map(|event| event.env.iter().cloned()).collect()
    }

    /// Returns the events in words: their names, and with a job's own the job.
    fn causes(&self, events: &[EventId]) -> List<Text> {
        let events = events.iter().filter_map(|id| self.events.look(id));
        let words = events.map(|event| {
            let value = |key: &[u8]| super::event::first_value(&event.env, key);
            let name = event.name.text().bytes();
            let of_job = matches!(name, b"starting" | b"started" | b"stopping" | b"stopped");
            match value(b"JOB").filter(|_| of_job) {
                Some(job) => Text::from([name, b" ", job].concat()),
                None => event.name.text().clone(),
            }
        });
        words.collect()
    }

    fn event_names(&self, events: &[EventId]) -> Vec<u8> {
        let events = events.iter().filter_map(|id| self.events.look(id));
        let names: Vec<&[u8]> = events.map(|event| event.name.text().bytes()).collect();
        names.join(&b' ')
    }

    pub(super) fn block(&mut self, id: EventId, times: usize) {
        if let Some(event) = self.events.edit(&id) {
            event.blockers = event.blockers.saturating_add(times as u32);
        }
    }

    pub(super) fn unblock(&mut self, id: EventId) {
        let Some(event) = self.events.edit(&id) else { return };
        event.blockers = event.blockers.saturating_sub(1);
        #[cfg(feature = "planted")]
        if event.failed && self.config.planted == Some(super::Bug::EventNeverFinishes) {
            return;
        }
        if event.blockers == 0 && event.offered {
            self.globals.work.push_back(Work::Finish(id));
        }
    }

    /// Ends an event that nothing blocks: whoever waited for it moves on.
    pub(super) fn finish(&mut self, id: EventId) {
        if !self.events.look(&id).is_some_and(|event| event.blockers == 0 && event.offered) {
            return;
        }
        let Some(event) = self.events.remove(&id) else { return };
        for waiter in &event.waiters {
            match *waiter {
                EventWaiter::Instance(instance) => self.release_hold(instance, Hold::Event(id)),
                EventWaiter::Request(request) if event.failed => {
                    let refusal = Refusal::EventFailed(event.name.clone());
                    self.reply(request, Reply::Refused(refusal), None);
                }
                EventWaiter::Request(request) => self.reply(request, Reply::Done(None), None),
            }
        }
        if event.failed && !event.name.text().bytes().ends_with(b"/failed") {
            let mut name = String::from(event.name.text().lossy());
            name.push_str("/failed");
            if let Ok(name) = EventName::try_from(Text::from(name)) {
                let cause = event.cause.clone();
                self.emit(name, event.env.clone(), Vec::new(), event.depth, None, cause);
            }
        }
        let Event { name, env, failed, cause, .. } = event;
        self.notice(Notice::Event { name, env, failed, cause });
    }

    /// Lets an instance move on that is held by exactly this.
    pub(super) fn release_hold(&mut self, id: InstanceId, hold: Hold) {
        if self.instances.look(&id).is_some_and(|instance| instance.hold == Some(hold)) {
            self.unhold(id);
            self.advance(id);
        }
    }

    /// Makes the name of the instance that these variables start.
    pub(super) fn instance_name(
        &self,
        job: &JobName,
        given: &[Text],
    ) -> Result<InstanceName, String> {
        let Some(job) = self.jobs.look(job) else { return Ok(InstanceName::default()) };
        if job.spec.instance.is_empty() {
            return Ok(InstanceName::default());
        }
        let env = environment::build(self.table(), &job.spec.env, &self.config.own, given);
        let name = expand::expand(&job.spec.instance, &env).map_err(|error| format!("{error}"))?;
        InstanceName::try_from(name).map_err(|error| format!("instance: {error}"))
    }

    /// Replies to a request; it is forgotten and its answer kept for a client that lost its
    /// connection.
    pub(super) fn reply(
        &mut self,
        id: super::request::RequestId,
        reply: Reply,
        output: Option<crate::process::Slot>,
    ) {
        let Some(pending) = self.requests.remove(&id) else { return };
        #[cfg(feature = "planted")]
        if pending.token.is_some() && self.planted(super::Bug::ReplyTwice) {
            self.out.push(Effect::Reply(id, reply.clone(), output));
        }
        let output = match &reply {
            Reply::Done(_) => output.or(pending.checked),
            Reply::Refused(_) => output,
        };
        self.keep_answer(pending, &reply);
        self.out.push(Effect::Reply(id, reply, output));
    }
}

/// Returns an operand's value with its variables replaced; nothing where one is not there. The
/// environment is only made where it is needed.
pub(super) fn expanded(text: &Text, env: &dyn Fn() -> Vec<Text>) -> Option<Text> {
    if !text.bytes().contains(&b'$') {
        return Some(text.clone());
    }
    expand::expand(text, &env()).ok()
}

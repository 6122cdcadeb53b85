//! The machine's own books, checked: what the simulation asks after every turn.

use super::condition::{contributors, Matches};
use super::event::EventWaiter;
use super::instance::{Due, Hold, Instance, Waiter};
use super::job::Next;
use super::program;
use super::request::RequestId;
use super::state::{next_state, Goal, Main, State};
use super::{Engine, EventId, Work, HISTORY_MAX};
use crate::process::{InstanceId, Role};
use crate::spec::{Condition, Expect, JobSpec, Node};
use crate::view::ProgramState;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Engine {
    /// Returns what does not agree inside the machine, in words; nothing where all is well. To be
    /// called between turns.
    #[doc(hidden)]
    pub fn audit(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.audit_indexes(&mut wrong);
        self.audit_events(&mut wrong);
        self.audit_requests(&mut wrong);
        self.audit_jobs(&mut wrong);
        for (id, instance) in self.instances.iter() {
            let before = wrong.len();
            self.audit_rest(*id, instance, &mut wrong);
            self.audit_hold(instance, &mut wrong);
            self.audit_told(*id, instance, &mut wrong);
            for words in &mut wrong[before..] {
                *words = format!("{} (instance {}): {words}", self.shown(*id), id.0);
            }
        }
        self.audit_checks(&mut wrong);
        for ((job, name), history) in &self.histories {
            if history.entries.len() > HISTORY_MAX {
                wrong.push(format!("{job} {name}: {} history entries", history.entries.len()));
            }
        }
        wrong
    }

    /// Returns how many steps are left for the next turn, and how many events have not finished.
    #[doc(hidden)]
    pub fn unfinished(&self) -> (usize, usize) {
        (self.globals.work.len(), self.events.len())
    }

    /// What was told of a program whose main there is, or was, is what it shows. Hooks, which no program
    /// has, are in between.
    fn audit_told(&self, id: InstanceId, instance: &Instance, wrong: &mut Vec<String>) {
        let shown = program::state(instance);
        let plain = |spec: Arc<JobSpec>| {
            let roles = spec.commands.keys().all(|role| *role == Role::Main);
            roles && matches!(spec.policy.expect, Expect::None | Expect::Up(_))
        };
        let main = instance.processes.contains_key(&Role::Main) || shown == ProgramState::Backoff;
        let told = instance.told.filter(|told| main && *told != shown);
        if let Some(told) = told.filter(|_| self.spec_of(id).is_some_and(plain)) {
            wrong.push(format!("told as {}, shown as {}", told.name(), shown.name()));
        }
    }

    fn audit_indexes(&self, wrong: &mut Vec<String>) {
        let mut again = self.clone();
        again.index();
        let same = [
            ("names", again.names == self.names),
            ("start conditions", again.starts == self.starts),
            ("stop conditions", again.stops == self.stops),
            ("deadlines", again.deadlines == self.deadlines),
            ("jobs with a place", again.ordered == self.ordered),
            ("tokens", again.tokens == self.tokens),
            ("instances that are gone", again.past == self.past),
            ("checks", again.checking == self.checking),
        ];
        let differing = same.into_iter().filter(|(_, same)| !same);
        wrong.extend(differing.map(|(index, _)| format!("the index of {index} is not as remade")));
    }

    fn audit_events(&self, wrong: &mut Vec<String>) {
        let mut blockers: BTreeMap<EventId, u32> = BTreeMap::new();
        let mut count = |event: EventId| *blockers.entry(event).or_default() += 1;
        for (_, job) in self.jobs.iter() {
            job.start.events().for_each(&mut count);
        }
        for (_, instance) in self.instances.iter() {
            instance.stop.events().for_each(&mut count);
            for waiter in &instance.waiters {
                if let Waiter::Event(event) = waiter {
                    count(*event);
                }
            }
        }
        for (id, event) in self.events.iter() {
            let counted = blockers.remove(id).unwrap_or(0);
            if counted != event.blockers {
                let told = event.blockers;
                wrong.push(format!("event {}: {told} blockers, {counted} counted", event.name));
            }
            let step = if event.offered { Work::Finish(*id) } else { Work::Offer(*id) };
            let waits = event.offered && event.blockers > 0;
            if !waits && !self.globals.work.contains(&step) {
                wrong.push(format!("event {}: nothing will ever finish it", event.name));
            }
        }
        wrong.extend(blockers.keys().map(|id| format!("event {} is held but gone", id.0)));
    }

    fn audit_requests(&self, wrong: &mut Vec<String>) {
        let mut waiting: BTreeMap<RequestId, u32> = BTreeMap::new();
        for (id, instance) in self.instances.iter() {
            for waiter in &instance.waiters {
                match waiter {
                    Waiter::Event(_) => {}
                    Waiter::Request(request) => *waiting.entry(*request).or_default() += 1,
                    Waiter::Accepted(request) => {
                        *waiting.entry(*request).or_default() += 1;
                        if !self.globals.accepting.contains(id) {
                            wrong
                                .push(format!("request {} is not going to be answered", request.0));
                        }
                    }
                }
            }
        }
        for (_, event) in self.events.iter() {
            for waiter in &event.waiters {
                match waiter {
                    EventWaiter::Instance(_) => {}
                    EventWaiter::Request(request) => *waiting.entry(*request).or_default() += 1,
                }
            }
        }
        for request in self.globals.keeping.iter().copied().chain(self.wishes()) {
            *waiting.entry(request).or_default() += 1;
        }
        for (request, _) in self.requests.iter() {
            let times = waiting.get(request).copied().unwrap_or(0);
            if times != 1 {
                wrong.push(format!("request {} waits in {times} places", request.0));
            }
        }
    }

    fn audit_jobs(&self, wrong: &mut Vec<String>) {
        for (name, job) in self.jobs.iter() {
            if is_true(job.spec.start_on.as_deref(), &job.start) {
                wrong.push(format!("{name}: start on is true and was not taken up"));
            }
            if job.next != Next::Same && !self.has_instances(name) {
                wrong.push(format!("{name}: what shall become of it is not carried out"));
            }
        }
    }

    /// An instance that nothing holds must be at rest, and rest means what it says.
    fn audit_rest(&self, id: InstanceId, instance: &Instance, wrong: &mut Vec<String>) {
        let Some(spec) = self.spec_of(id) else {
            wrong.push(String::from("it has no job"));
            return;
        };
        if is_true(spec.stop_on.as_deref(), &instance.stop) {
            wrong.push(String::from("stop on is true and was not taken up"));
        }
        let (goal, state, main) = (instance.goal, instance.state, instance.main);
        if instance.hold.is_none() {
            if let Some(next) = next_state(goal, state, main) {
                wrong.push(format!("{goal}/{state}: nothing keeps it from {}", next.name()));
            }
            if state == State::Waiting {
                wrong.push(String::from("it is at rest and should be gone"));
            }
            if instance.deadline.is_some() {
                wrong.push(String::from("it has a deadline and is held by nothing"));
            }
        }
        let serves = spec.commands.contains_key(&Role::Main);
        let rests = instance.hold.is_none() && (goal, state) == (Goal::Start, State::Running);
        let runs = instance.processes.get(&Role::Main).is_some_and(|main| main.pid.is_some());
        if rests && serves && (!runs || main != Main::Alive) {
            wrong.push(format!("it is at rest and running, but main is {}", main.name()));
        }
        if instance.processes.values().any(|p| p.slot.generation >= self.globals.next_generation) {
            wrong.push(String::from("a slot from the future"));
        }
    }

    /// What holds an instance must be there, and have its deadline.
    fn audit_hold(&self, instance: &Instance, wrong: &mut Vec<String>) {
        let Some(hold) = instance.hold else { return };
        let due = instance.due().map(|(_, due)| due);
        let fits = match hold {
            Hold::Event(event) => self.events.look(&event).is_some() && due.is_none(),
            Hold::Spawn => {
                let main = instance.processes.get(&Role::Main);
                main.is_some_and(|main| main.pid.is_none() || main.overdue)
                    && match due {
                        Some(Due::Spawn(Role::Main) | Due::Unkillable(Role::Main)) => true,
                        Some(_) => false,
                        None => main.is_some_and(|main| main.overdue),
                    }
            }
            Hold::Ready => matches!(due, Some(Due::Expect(_) | Due::Up | Due::Settle(..))),
            Hold::Process(role) => {
                instance.processes.contains_key(&role)
                    && (role != Role::Main || due.is_some() || !instance.warnings.is_empty())
            }
            Hold::Deadline => matches!(due, Some(Due::Backoff | Due::Turn | Due::Retry(_))),
            Hold::Sweep => due == Some(Due::Sweep) && instance.sweeping.is_some(),
        };
        if !fits {
            let state = instance.state.name();
            wrong.push(format!("in {state} it is held by {hold:?}, which will not end ({due:?})"));
        }
    }
}

fn is_true(condition: Option<&Condition>, matched: &Matches) -> bool {
    condition.is_some_and(|condition| {
        let places = condition.nodes.iter().filter(|node| matches!(node, Node::Event(_)));
        matched.events().count() > places.count() || contributors(condition, matched).is_some()
    })
}

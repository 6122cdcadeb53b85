//! Rings: jobs and events that wait for each other, so that none of them ever goes on by itself.

use super::condition::Matches;
use super::instance::{Hold, Waiter};
use super::why::{literal_job, Tree};
use super::{Engine, EventId};
use crate::dialect::upstart::show;
use crate::names::JobName;
use crate::process::InstanceId;
use crate::spec::{Condition, Node, Operand};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How many jobs, instances and events are looked at for one ring.
const LOOKED_MAX: usize = 10_000;

/// Where looking begins, and everything that may wait for something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Knot {
    /// An instance, held by an event.
    Instance(InstanceId),
    /// An event that has not finished.
    Event(EventId),
    /// A job whose start condition is not met.
    Job(JobName),
}

/// What something waits for, and how that is said.
type Link = (Knot, String);

/// A place on the way, with the links that have not been gone.
struct Step {
    at: Knot,
    said: String,
    open: Vec<Link>,
}

impl Engine {
    /// Returns the first ring that is come upon from here, a sentence for each link; nothing where
    /// there is none. Where any one of several events would do there is none: another may come.
    pub(super) fn ring(&self, from: Knot) -> Vec<String> {
        let mut seen: BTreeSet<Knot> = BTreeSet::new();
        let open = self.links(&from);
        seen.insert(from.clone());
        let mut way = Vec::from([Step { at: from, said: String::new(), open }]);
        while let Some(step) = way.last_mut() {
            let Some((next, said)) = step.open.pop() else {
                way.pop();
                continue;
            };
            if let Some(begin) = way.iter().position(|step| step.at == next) {
                let inside = way.get(begin + 1..).unwrap_or_default();
                return inside.iter().map(|step| step.said.clone()).chain([said]).collect();
            }
            if seen.len() < LOOKED_MAX && seen.insert(next.clone()) {
                let open = self.links(&next);
                way.push(Step { at: next, said, open });
            }
        }
        Vec::new()
    }

    fn links(&self, from: &Knot) -> Vec<Link> {
        match from {
            Knot::Instance(id) => self.instance_links(*id),
            Knot::Event(id) => self.event_links(*id),
            Knot::Job(name) => {
                let Some(job) = self.jobs.look(name) else { return Vec::new() };
                let who = format!("{name}");
                self.condition_links(&who, "starts", job.spec.start_on.as_deref(), &job.start)
            }
        }
    }

    fn instance_links(&self, id: InstanceId) -> Vec<Link> {
        let hold = self.instances.look(&id).and_then(|instance| instance.hold);
        match hold {
            Some(Hold::Event(event)) => {
                let (who, what) = (self.shown(id), self.event_words(event));
                Vec::from([(Knot::Event(event), format!("{who} waits for event {what} to finish"))])
            }
            Some(Hold::Spawn | Hold::Ready | Hold::Process(_) | Hold::Deadline | Hold::Sweep)
            | None => Vec::new(),
        }
    }

    fn event_links(&self, id: EventId) -> Vec<Link> {
        let mut links = Vec::new();
        let what = self.event_words(id);
        for (instance_id, instance) in self.instances.iter() {
            let who = self.shown(*instance_id);
            if instance.waiters.contains(&Waiter::Event(id)) {
                let said = format!("event {what} waits for {who}");
                links.push((Knot::Instance(*instance_id), said));
            }
            if instance.stop.events().any(|event| event == id) {
                let spec = self.spec_of(*instance_id);
                let condition = spec.as_ref().and_then(|spec| spec.stop_on.as_deref());
                let who = format!("event {what} waits for {who}, which");
                links.extend(self.condition_links(&who, "stops", condition, &instance.stop));
            }
        }
        for (name, job) in self.jobs.iter() {
            if job.start.events().any(|event| event == id) {
                let said = format!("event {what} waits for {name} (start on half met)");
                links.push((Knot::Job(name.clone()), said));
            }
        }
        links
    }

    /// Returns the links of a condition by those operands without which it cannot come true.
    fn condition_links(
        &self,
        who: &str,
        does: &str,
        condition: Option<&Condition>,
        matched: &Matches,
    ) -> Vec<Link> {
        let Some(condition) = condition else { return Vec::new() };
        let mut links = Vec::new();
        for operand in necessary(condition, matched) {
            let Some(name) = literal_job(operand) else { continue };
            let Ok(name) = JobName::try_from(name.clone()) else { continue };
            if self.jobs.look(&name).is_none() {
                continue;
            }
            let said = format!("{who} {does} only on {}", show::operand(operand));
            let mut any = false;
            for id in self.names_of(&name) {
                any = true;
                links.push((Knot::Instance(id), said.clone()));
            }
            if !any {
                links.push((Knot::Job(name), said));
            }
        }
        links
    }
}

/// Returns the operands that have not matched and without which the condition cannot come true.
fn necessary<'a>(condition: &'a Condition, matched: &Matches) -> Vec<&'a Operand> {
    let tree = Tree::of(condition, matched);
    let mut found = Vec::new();
    let mut open: Vec<usize> = condition.nodes.len().checked_sub(1).into_iter().collect();
    while let Some(at) = open.pop() {
        if tree.truth.get(at).copied().unwrap_or(true) {
            continue;
        }
        match (condition.nodes.get(at), tree.children.get(at)) {
            (Some(Node::Event(operand)), _) => found.push(operand),
            (Some(Node::And), Some(Some((left, right)))) => open.extend([*left, *right]),
            (Some(Node::And | Node::Or) | None, _) => {}
        }
    }
    found
}

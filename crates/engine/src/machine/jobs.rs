//! Jobs come, change and go; the indexes that find them. Source: spec 2.4.

use super::condition::{operand_matches, Matches};
use super::instance::Instance;
use super::job::{Job, Next};
use super::offering::expanded;
use super::requests::Found;
use super::state::Goal;
use super::{
    environment, Engine, EventId, History, JobChange, Note, Notice, Remembering, PAST_MAX,
};
use crate::names::{EventName, InstanceName, JobName};
use crate::plan::Run;
use crate::process::InstanceId;
use crate::spec::{Condition, JobSpec, Node};
use crate::text::Text;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Engine {
    /// Registers a job, or replaces it: at once where nothing runs, else when the last instance is
    /// gone. Only a job that says so is started by becoming known.
    pub(super) fn define(&mut self, mut spec: Arc<JobSpec>) {
        let name = spec.name.clone();
        // Many jobs are alike, most of all those whose names are: what they have in common is kept
        // once.
        let like = self.jobs.before(&name).map(|(_, job)| &job.spec);
        if let Some(like) = like {
            // Whoever told still has it, perhaps; what is kept here is shared all the same.
            Arc::make_mut(&mut spec).share(like);
        }
        let runs = self.has_instances(&name);
        match self.jobs.edit(&name) {
            Some(job) if job.spec == spec => job.next = Next::Same,
            Some(job) if runs => job.next = Next::Changed(spec),
            Some(_) => self.put_in_force(&name, spec),
            None => {
                let starts = spec.policy.autostart
                    && self.globals.shutdown.is_none()
                    && !self.is_left_alone(&name);
                self.index_start(&spec);
                self.jobs.insert(name.clone(), Job::new(spec));
                self.notice(Notice::Job { job: name.clone(), change: JobChange::Added });
                if starts {
                    let id = self.find_or_create(&name, InstanceName::default());
                    if let Some(instance) = self.instances.edit(&id) {
                        instance.given_next = Some(Box::default());
                    }
                    self.remember(id, Note::ByItself);
                    self.change_goal(id, Goal::Start);
                }
            }
        }
    }

    /// As [`Engine::define`], but where all instances are up and their names stay, they go on by it: what is
    /// decided from now on is decided by it.
    pub(super) fn revise(&mut self, spec: Arc<JobSpec>) {
        let name = spec.name.clone();
        let runs = self.runs_of(&name);
        let same = self.spec(&name).is_some_and(|old| old.instance == spec.instance);
        if runs.is_empty() || !same || !runs.iter().all(Run::is_steady) {
            return self.define(spec);
        }
        let from = (name.clone(), InstanceName::default());
        let of_job = self.names.range(from..).take_while(|((job, _), _)| *job == name);
        let all: Vec<(InstanceName, InstanceId)> =
            of_job.map(|((_, instance), id)| (instance.clone(), *id)).collect();
        for (instance, id) in &all {
            let Some(found) = self.instances.edit(id) else { continue };
            let mut old = core::mem::take(&mut found.stop);
            old.reset().into_iter().for_each(|event| self.unblock(event));
            #[cfg(feature = "planted")]
            if self.planted(super::Bug::RevisedInPart) {
                continue;
            }
            // While the old description still says where it is.
            self.unindex_stops(*id, &name, instance);
        }
        self.put_in_force(&name, spec.clone());
        for (instance, id) in &all {
            self.index_stops(*id, &name, instance, spec.stop_on.as_deref().into_iter());
            self.remember(*id, Note::Redefined);
        }
    }

    /// Forgets a job, when its last instance is gone.
    pub(super) fn undefine(&mut self, name: &JobName) {
        let runs = self.has_instances(name);
        match self.jobs.edit(name) {
            Some(job) if runs => job.next = Next::Removed,
            Some(_) => self.forget_job(name),
            None => {}
        }
    }

    pub(super) fn has_instances(&self, name: &JobName) -> bool {
        let from = (name.clone(), InstanceName::default());
        self.names.range(from..).next().is_some_and(|((job, _), _)| job == name)
    }

    /// Returns how many instances a job has.
    pub fn instances_of(&self, name: &JobName) -> usize {
        let from = (name.clone(), InstanceName::default());
        self.names.range(from..).take_while(|((job, _), _)| job == name).count()
    }

    /// Puts what was waiting for the last instance in force.
    pub(super) fn replace_job(&mut self, name: &JobName) {
        if self.has_instances(name) {
            return;
        }
        let Some(job) = self.jobs.look(name) else { return };
        match job.next.clone() {
            Next::Same => {}
            Next::Changed(spec) => self.put_in_force(name, spec),
            Next::Removed => self.forget_job(name),
        }
    }

    /// Reports whether the file of an instance's job has changed since it was put in force.
    pub(super) fn has_changed(&self, id: InstanceId) -> bool {
        let job = self.instances.look(&id).and_then(|instance| self.jobs.look(&instance.job));
        job.is_some_and(|job| matches!(job.next, Next::Changed(_)))
    }

    /// A restart or respawn of the only instance takes over a changed description.
    pub(super) fn adopt_redefinition(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.look(&id) else { return };
        let (name, asked) = (instance.job.clone(), instance.given_next.is_some());
        let Some(job) = self.jobs.look(&name) else { return };
        let Next::Changed(spec) = job.next.clone() else { return };
        if !asked || self.instances_of(&name) != 1 || spec.instance != job.spec.instance {
            return;
        }
        let Some(instance) = self.instances.edit(&id) else { return };
        let mut old = core::mem::take(&mut instance.stop);
        let instance_name = instance.name.clone();
        old.reset().into_iter().for_each(|event| self.unblock(event));
        // While the old description still says where it is.
        #[cfg(feature = "planted")]
        if self.planted(super::Bug::StaleIndex) {
            self.put_in_force(&name, spec.clone());
        }
        self.unindex_stops(id, &name, &instance_name);
        self.put_in_force(&name, spec.clone());
        self.index_stops(id, &name, &instance_name, spec.stop_on.as_deref().into_iter());
        self.remember(id, Note::Redefined);
    }

    /// Replaces the description. Events that the old start condition had matched are offered to the
    /// new one, so that a half-met condition survives where it still mentions them.
    fn put_in_force(&mut self, name: &JobName, spec: Arc<JobSpec>) {
        let Some(job) = self.jobs.look(name) else { return };
        let (old, mut matched) = (job.spec.clone(), job.start.clone());
        self.unindex_start(&old);
        self.index_start(&spec);
        let mut start = Matches::default();
        let held: Vec<EventId> = matched.reset();
        for event in &held {
            let kept = self.match_again(&spec, &mut start, *event);
            self.block(*event, kept);
        }
        self.jobs.insert(name.clone(), Job { spec, next: Next::Same, start });
        for change in [JobChange::Removed, JobChange::Added] {
            self.notice(Notice::Job { job: name.clone(), change });
        }
        held.into_iter().for_each(|event| self.unblock(event));
    }

    /// Matches an event that is already held against a new condition, without it coming true.
    fn match_again(&self, spec: &JobSpec, start: &mut Matches, id: EventId) -> usize {
        let (Some(condition), Some(event)) = (&spec.start_on, self.events.look(&id)) else {
            return 0;
        };
        let env = || environment::build(self.table(), &spec.env, &self.config.own, &[]);
        let expanded = |text: &Text| expanded(text, &env);
        let mut kept = 0;
        for (index, node) in condition.nodes.iter().enumerate() {
            let Node::Event(operand) = node else { continue };
            if start.event(index).is_none() && operand_matches(operand, event, &expanded) {
                start.add(index, id);
                if super::condition::contributors(condition, start).is_some() {
                    start.remove(index);
                } else {
                    kept += 1;
                }
            }
        }
        kept
    }

    fn forget_job(&mut self, name: &JobName) {
        let Some(mut job) = self.jobs.remove(name) else { return };
        self.drop_checks_of(name);
        self.unindex_start(&job.spec);
        job.start.reset().into_iter().for_each(|event| self.unblock(event));
        self.forget_histories(name);
        self.remembered.push(Remembering::Forget(name.clone()));
        self.notice(Notice::Job { job: name.clone(), change: JobChange::Removed });
    }

    /// Forgets the instance of the job that is gone for the longest where this one, which is gone,
    /// is one too many. Without names there is one for each job.
    pub(super) fn retire(&mut self, job: JobName, name: InstanceName) {
        let key = (job, name);
        if key.1.text().is_empty() || self.names.contains_key(&key) {
            return;
        }
        let Some(last) = self.histories.get(&key).and_then(History::last) else { return };
        let past = self.past.entry(key.0.clone()).or_default();
        past.insert((last, key.1));
        if past.len() <= PAST_MAX {
            return;
        }
        if let Some((_, oldest)) = past.pop_first() {
            let key = (key.0, oldest);
            self.histories.remove(&key);
            self.remembered.push(Remembering::ForgetInstance(key.0, key.1));
        }
    }

    /// Takes an instance from among those that are gone.
    pub(super) fn unretire(&mut self, job: &JobName, name: &InstanceName) {
        let key = (job.clone(), name.clone());
        let Some(last) = self.histories.get(&key).and_then(History::last) else { return };
        if let Some(past) = self.past.get_mut(job) {
            past.remove(&(last, key.1));
            if past.is_empty() {
                self.past.remove(job);
            }
        }
    }

    /// Forgets what is remembered of a job.
    pub(super) fn forget_histories(&mut self, name: &JobName) {
        let from = (name.clone(), InstanceName::default());
        let gone: Vec<_> = self
            .histories
            .range(from..)
            .take_while(|((job, _), _)| job == name)
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter().for_each(|key| {
            self.histories.remove(key);
        });
        self.past.remove(name);
    }

    fn index_start(&mut self, spec: &JobSpec) {
        self.ordered += usize::from(spec.policy.order.is_some());
        for event in mentioned(spec.start_on.as_deref()) {
            self.starts.entry(event).or_default().insert(spec.name.clone());
        }
    }

    fn unindex_start(&mut self, spec: &JobSpec) {
        self.ordered = self.ordered.saturating_sub(usize::from(spec.policy.order.is_some()));
        for event in mentioned(spec.start_on.as_deref()) {
            if let Some(jobs) = self.starts.get_mut(&event) {
                jobs.remove(&spec.name);
                if jobs.is_empty() {
                    self.starts.remove(&event);
                }
            }
        }
    }

    fn index_stops<'a>(
        &mut self,
        id: InstanceId,
        job: &JobName,
        name: &InstanceName,
        conditions: impl Iterator<Item = &'a Condition>,
    ) {
        for event in conditions.flat_map(|condition| mentioned(Some(condition))) {
            let by_job = self.stops.entry(event).or_default();
            by_job.entry(job.clone()).or_default().insert((name.clone(), id));
        }
    }

    fn unindex_stops(&mut self, id: InstanceId, job: &JobName, name: &InstanceName) {
        let stop_on = self.jobs.look(job).and_then(|job| job.spec.stop_on.clone());
        for event in mentioned(stop_on.as_deref()) {
            let Some(by_job) = self.stops.get_mut(&event) else { continue };
            if let Some(instances) = by_job.get_mut(job) {
                instances.remove(&(name.clone(), id));
                if instances.is_empty() {
                    by_job.remove(job);
                }
            }
            if by_job.is_empty() {
                self.stops.remove(&event);
            }
        }
    }

    /// Makes a new instance known by its name and by the events that may stop it.
    pub(super) fn learn_names(&mut self, id: InstanceId, instance: &Instance) {
        self.unretire(&instance.job, &instance.name);
        self.names.insert((instance.job.clone(), instance.name.clone()), id);
        let stop_on = self.jobs.look(&instance.job).and_then(|job| job.spec.stop_on.clone());
        self.index_stops(id, &instance.job, &instance.name, stop_on.as_deref().into_iter());
    }

    /// Forgets the name of an instance that is gone.
    pub(super) fn forget_names(&mut self, id: InstanceId, instance: &Instance) {
        self.names.remove(&(instance.job.clone(), instance.name.clone()));
        self.unindex_stops(id, &instance.job, &instance.name);
        self.retire(instance.job.clone(), instance.name.clone());
    }

    /// Keeps what jobs and instances that were read from a journal have in common once.
    fn share_all(&mut self) {
        let mut last: Option<Arc<JobSpec>> = None;
        self.jobs.settle_each(|job| {
            if let (Some(own), Some(like)) = (Arc::get_mut(&mut job.spec), &last) {
                own.share(like);
            }
            last = Some(job.spec.clone());
        });
        let (last_env, last_given) = (&mut self.last_env, &mut self.last_given);
        self.instances.settle_each(|instance| {
            instance.env = core::mem::take(&mut instance.env).like(last_env);
            instance.given = core::mem::take(&mut instance.given).like(last_given);
        });
    }

    /// Makes everything again that can be made from the ledgers.
    pub(super) fn index(&mut self) {
        self.share_all();
        self.names.clear();
        self.starts.clear();
        self.stops.clear();
        self.deadlines.clear();
        self.ordered = 0;
        self.tokens.clear();
        self.past.clear();
        self.index_checks();
        #[cfg(feature = "planted")]
        if self.planted(super::Bug::BudgetRefilled) {
            self.globals.spent = Default::default();
        }
        let specs: Vec<Arc<JobSpec>> = self.jobs.iter().map(|(_, job)| job.spec.clone()).collect();
        specs.iter().for_each(|spec| self.index_start(spec));
        let instances: Vec<(InstanceId, Instance)> =
            self.instances.iter().map(|(id, instance)| (*id, instance.clone())).collect();
        for (id, instance) in &instances {
            self.learn_names(*id, instance);
            #[cfg(feature = "planted")]
            if self.planted(super::Bug::DeadlineNotRestored) {
                continue;
            }
            self.set_due_of(*id, None, instance.due());
        }
        let remembered: Vec<_> = self.histories.keys().cloned().collect();
        remembered.into_iter().for_each(|(job, name)| self.retire(job, name));
        for (_, answered) in self.answers.iter() {
            let found = Found::Answered(answered.reply.clone());
            self.tokens.insert(answered.token.clone(), found);
        }
        for (id, pending) in self.requests.iter() {
            if let Some(token) = &pending.token {
                self.tokens.insert(token.clone(), Found::Pending(*id));
            }
        }
    }
}

/// Returns the events that a condition mentions, each once.
fn mentioned(condition: Option<&Condition>) -> BTreeSet<EventName> {
    let nodes = condition.into_iter().flat_map(|condition| &condition.nodes);
    nodes
        .filter_map(|node| match node {
            Node::Event(operand) => Some(operand.event.clone()),
            Node::And | Node::Or => None,
        })
        .collect()
}

//! Looking at the machine: the values that status, list and why show.

use super::history::{History, AT_REST};
use super::instance::{Due, Hold, Instance, Waiter, Warning};
use super::job::{Job, Next};
use super::state::{Goal, State};
use super::{Engine, EventId};
use crate::names::{InstanceName, JobName};
use crate::plan::{Run, Starting};
use crate::process::{InstanceId, Pid, Role, Slot};
use crate::spec::{Attrs, Command, Expect, NormalExit, Respawn};
use crate::text::Text;
use crate::time::{Mono, Span};
use crate::view::{InstanceView, JobView, SettingsView};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Bound;

impl Engine {
    /// Returns the view of an instance.
    pub fn view_of(&self, id: InstanceId) -> Option<InstanceView> {
        self.instances.look(&id).map(|instance| self.view(instance))
    }

    pub(super) fn history_of(&self, job: &JobName, name: &InstanceName) -> Option<&History> {
        self.histories.get(&(job.clone(), name.clone()))
    }

    /// Returns the view of a job that has no instance.
    pub fn view_at_rest(&self, job: &JobName) -> InstanceView {
        self.view_gone(job, &InstanceName::default())
    }

    pub(super) fn view_gone(&self, job: &JobName, name: &InstanceName) -> InstanceView {
        let history = self.history_of(job, name);
        InstanceView {
            since: history.map_or(Span::ZERO, |history| self.rested(history)),
            last_exit: self.last_exit(history),
            respawns: history.map_or(0, |history| u64::from(history.respawns)),
            restarts: history.map(|history| history.restarts).unwrap_or_default(),
            intended: self.intended(job),
            ..InstanceView::at_rest(job.clone(), name.clone())
        }
    }

    /// Returns every instance, and every job that has none, in the order of their names, from the
    /// given one on (it included), at most `most`.
    pub fn list(&self, from: Option<&(JobName, InstanceName)>, most: usize) -> Vec<InstanceView> {
        let mut views = Vec::new();
        let jobs = self.jobs_from(from.map(|(job, _)| job));
        let begin = from.map(|(job, _)| (job.clone(), InstanceName::default()));
        // All three in one order: nothing is searched for.
        let first = begin.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let mut names = self.names.range((first, Bound::Unbounded)).peekable();
        let mut histories = self.histories.range((first, Bound::Unbounded)).peekable();
        for (name, _) in jobs {
            let mut any = false;
            while let Some((key, id)) = names.next_if(|((job, _), _)| job <= name) {
                if key.0 != *name {
                    continue;
                }
                any = true;
                if from.is_some_and(|first| key < first) {
                    continue;
                }
                while histories.next_if(|(other, _)| *other < key).is_some() {}
                let history = histories.peek().filter(|(other, _)| *other == key);
                let history = history.map(|(_, history)| *history);
                views.extend(self.instances.look(id).map(|own| self.view_with(own, history)));
            }
            if !any {
                views.push(self.view_at_rest(name));
            }
            if views.len() >= most {
                views.truncate(most);
                break;
            }
        }
        views
    }

    fn jobs_from(&self, first: Option<&JobName>) -> impl Iterator<Item = (&JobName, &Job)> {
        let from = first.map(|first| self.jobs.from(first));
        let all = first.is_none().then(|| self.jobs.iter());
        from.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// Returns what `show-config` shows of the jobs from the given one on (it included), at most
    /// `most`.
    pub fn job_views(&self, from: Option<&JobName>, most: usize) -> Vec<JobView> {
        let jobs = self.jobs_from(from).take(most);
        jobs.filter_map(|(name, _)| self.job_view(name)).collect()
    }

    /// Returns how many jobs are known.
    pub fn job_count(&self) -> usize {
        self.jobs.len()
    }

    /// Returns what `show-config` shows of a job.
    pub fn job_view(&self, name: &JobName) -> Option<JobView> {
        let spec = &self.jobs.look(name)?.spec;
        Some(JobView {
            name: name.clone(),
            usage: spec.about.usage.clone(),
            description: spec.about.description.clone(),
            author: spec.about.author.clone(),
            version: spec.about.version.clone(),
            emits: spec.about.emits.clone(),
            start_on: spec.start_on.as_deref().cloned(),
            stop_on: spec.stop_on.as_deref().cloned(),
        })
    }

    /// Reports whether a variable with this value is that of an event on its way, or of an instance.
    pub fn mentions(&self, row: &Text) -> bool {
        let has = |rows: &[Text]| rows.contains(row);
        let given = |instance: &Instance| {
            has(&instance.env)
                || has(&instance.given)
                || instance.given_next.as_ref().is_some_and(|given| has(given))
        };
        self.events.iter().any(|(_, event)| has(&event.env))
            || self.instances.iter().any(|(_, instance)| given(instance))
    }

    /// Reports whether the job is known and its unnamed instance is to run.
    pub fn is_wanted(&self, job: &JobName) -> bool {
        let id = self.names.get(&(job.clone(), InstanceName::default()));
        let instance = id.and_then(|id| self.instances.look(id));
        instance.is_some_and(|instance| instance.goal == Goal::Start || instance.restart)
    }

    /// Returns how a job's main process is run. Sizes of its log file are what the file says; none is 0.
    pub fn settings_view(&self, name: &JobName) -> Option<SettingsView> {
        let spec = &self.jobs.look(name)?.spec;
        let policy = &spec.policy;
        let status = |exit: &NormalExit| match exit {
            NormalExit::Status(status) => Some(*status),
            NormalExit::Signal(_) => None,
        };
        Some(SettingsView {
            task: policy.task,
            respawn: policy.respawn != Respawn::Never,
            command: spec.commands.get(&Role::Main).map(|command| match command {
                Command::Exec(text) | Command::Script(text) | Command::Words(text) => text.clone(),
            }),
            directory: spec.attrs.chdir.clone(),
            user: spec.attrs.setuid.clone(),
            kill_signal: policy.kill_signal,
            kill_timeout: policy.kill_timeout,
            kill_mode: policy.kill_mode,
            normal_exit: policy.normal_exit.iter().filter_map(status).collect(),
            rotate_size: spec.attrs.log.rotate_size.unwrap_or_default(),
            rotate_count: spec.attrs.log.rotate_count.unwrap_or_default(),
        })
    }

    /// Returns the names of all jobs in order.
    pub fn job_names(&self) -> impl Iterator<Item = &JobName> {
        self.jobs.keys()
    }

    /// Returns the description of a job that is in force.
    pub fn spec(&self, name: &JobName) -> Option<&alloc::sync::Arc<crate::spec::JobSpec>> {
        self.jobs.look(name).map(|job| &job.spec)
    }

    /// Returns the description that a job has, or will have once its instances are gone; nothing
    /// where it is not known or its file is gone.
    pub fn wanted(&self, name: &JobName) -> Option<&alloc::sync::Arc<crate::spec::JobSpec>> {
        let job = self.jobs.look(name)?;
        match &job.next {
            Next::Same => Some(&job.spec),
            Next::Changed(spec) => Some(spec),
            Next::Removed => None,
        }
    }

    /// Returns the instances of a job as a plan finds them.
    pub fn runs_of(&self, name: &JobName) -> Vec<Run> {
        let from = (name.clone(), InstanceName::default());
        let all = self.names.range(from..).take_while(|((job, _), _)| job == name);
        let run = |((_, instance), id): (&(JobName, InstanceName), &InstanceId)| {
            let found = self.instances.look(id)?;
            // One that is being restarted is wanted.
            let goal = if found.restart { Goal::Start } else { found.goal };
            let main = found.processes.get(&Role::Main);
            let pid = main.and_then(|main| main.pid);
            Some(Run { instance: instance.clone(), goal, state: found.state, pid })
        };
        all.filter_map(run).collect()
    }

    /// Returns the variables that an instance was started with.
    pub fn given(&self, job: &JobName, instance: &InstanceName) -> Vec<Text> {
        let id = self.names.get(&(job.clone(), instance.clone()));
        let found = id.and_then(|id| self.instances.look(id));
        found.map_or_else(Vec::new, |instance| instance.given.to_vec())
    }

    /// Returns the essential instances that are wanted.
    pub fn essentials(&self) -> Vec<(JobName, InstanceName)> {
        let wanted = self.instances.iter().filter(|(id, instance)| {
            let spec = self.spec_of(**id);
            instance.goal == Goal::Start && spec.is_some_and(|spec| spec.policy.essential)
        });
        wanted.map(|(_, instance)| (instance.job.clone(), instance.name.clone())).collect()
    }

    /// Returns whether a job may be started.
    pub fn starting(&self, name: &JobName) -> Starting {
        match (self.unmasked(name), self.is_left_alone(name)) {
            _ if self.shutting_down() => Starting::Never,
            (Err(_), _) => Starting::Never,
            (Ok(()), true) => Starting::NotByItself,
            (Ok(()), false) => Starting::May,
        }
    }

    /// Returns the living processes with their slots, for whoever has to tell them apart.
    pub fn processes(&self) -> impl Iterator<Item = (Slot, Option<crate::process::Pid>)> + '_ {
        let all = self.instances.iter().flat_map(|(_, instance)| instance.processes.values());
        all.chain(self.check_processes()).map(|process| (process.slot, process.pid))
    }

    /// Returns the process of a slot, where it lives.
    pub fn pid_of(&self, slot: Slot) -> Option<Pid> {
        if slot.role == Role::Check {
            return self.check_processes().find(|process| process.slot == slot)?.pid;
        }
        let instance = self.instances.look(&slot.instance)?;
        let process = instance.processes.get(&slot.role).filter(|process| process.slot == slot)?;
        process.pid
    }

    /// Returns the slot of an instance's main process, where that lives, and how it was started.
    pub fn main_of(&self, id: InstanceId) -> Option<(Slot, &Attrs)> {
        let instance = self.instances.look(&id)?;
        let main = instance.processes.get(&Role::Main).filter(|process| process.pid.is_some())?;
        Some((main.slot, &self.jobs.look(&instance.job)?.spec.attrs))
    }

    /// Returns the slots whose daemon is not known yet (`expect fork` and `expect daemon`), each with
    /// the time before which it cannot have been there.
    pub fn awaited(&self) -> impl Iterator<Item = (Slot, Mono)> + '_ {
        self.instances.iter().filter_map(|(_, instance)| self.awaits(instance))
    }

    /// Returns that time for one slot; nothing where it is none of those.
    pub fn awaited_since(&self, slot: Slot) -> Option<Mono> {
        let awaited = self.instances.look(&slot.instance).and_then(|own| self.awaits(own));
        awaited.filter(|(of, _)| *of == slot).map(|(_, since)| since)
    }

    fn awaits(&self, instance: &Instance) -> Option<(Slot, Mono)> {
        let main = instance.processes.get(&Role::Main);
        let main =
            main.filter(|main| instance.state == State::Spawned && main.adopted.is_none())?;
        let expect = self.jobs.look(&instance.job)?.spec.policy.expect;
        matches!(expect, Expect::Fork | Expect::Daemon).then_some((main.slot, instance.since))
    }

    /// Returns the job and the instance name of an instance, or of the one that a check is for.
    pub fn name_of(&self, id: InstanceId) -> Option<(&JobName, &InstanceName)> {
        let instance = self.instances.look(&id);
        instance.map(|instance| (&instance.job, &instance.name)).or_else(|| self.checked_by(id))
    }

    /// Returns the process of a slot that is being stopped, did not end in its time and is sent KILL.
    pub fn outlasting(&self, slot: Slot) -> Option<Pid> {
        let instance = self.instances.look(&slot.instance)?;
        let process = instance.processes.get(&slot.role).filter(|process| process.slot == slot)?;
        let killed = instance.due().is_some_and(|(_, due)| due == Due::Unkillable(slot.role));
        let stops = matches!(instance.state, State::Stopping | State::Killed);
        process.pid.filter(|_| killed && stops)
    }

    /// Returns how long ago an instance that is gone went; zero where that is not known.
    fn rested(&self, history: &History) -> Span {
        let rest = history.entries.iter().rev().find(|entry| entry.note == AT_REST);
        rest.map_or(Span::ZERO, |entry| self.now.since(entry.at))
    }

    pub(super) fn last_exit(
        &self,
        history: Option<&History>,
    ) -> Option<(crate::view::LastExit, Span)> {
        let last = history.and_then(|history| history.last_exit.clone());
        last.map(|(at, exit)| (exit, self.now.since(at)))
    }

    pub(super) fn view(&self, instance: &Instance) -> InstanceView {
        self.view_with(instance, self.history_of(&instance.job, &instance.name))
    }

    fn view_with(&self, instance: &Instance, history: Option<&History>) -> InstanceView {
        let processes = instance.processes.iter();
        let check = self.check_pid(&instance.job, &instance.name).map(|pid| (Role::Check, pid));
        let processes = processes.filter_map(|(role, p)| p.pid.map(|pid| (*role, pid)));
        InstanceView {
            job: instance.job.clone(),
            instance: instance.name.clone(),
            goal: instance.goal,
            state: instance.state,
            processes: processes.chain(check).collect(),
            since: self.now.since(instance.since),
            started_by: instance.started_by.iter().map(|by| by.lossy().into_owned()).collect(),
            waits_for: self.hold_words(instance),
            last_exit: self.last_exit(history),
            respawns: instance.respawn.total,
            warnings: instance.warnings.iter().map(warning_words).collect(),
            restarts: history.map(|history| history.restarts).unwrap_or_default(),
            intended: self.intended(&instance.job),
        }
    }

    pub(super) fn hold_words(&self, instance: &Instance) -> String {
        let Some(hold) = instance.hold else { return String::new() };
        #[cfg(feature = "planted")]
        if hold == Hold::Deadline && self.planted(super::Bug::WhySilent) {
            return String::new();
        }
        let left = |at: Mono| at.since(self.now).in_words();
        match (hold, instance.due()) {
            (Hold::Event(event), _) => {
                let mut words = format!("event {}", self.event_words(event));
                let holders = self.holders_of(event);
                if !holders.is_empty() {
                    words += &format!(", which waits for {}", holders.join(", "));
                }
                words
            }
            (Hold::Spawn, _) => "the main process to be executed".to_string(),
            (Hold::Ready, Some((_, Due::Settle(..)))) => {
                "what the main process left behind to settle (expect)".to_string()
            }
            (Hold::Ready, Some((at, _))) => {
                format!("the main process to be ready (expect), at most {} more", left(at))
            }
            (Hold::Ready, None) => "the main process to be ready (expect)".to_string(),
            (Hold::Process(role), Some((at, Due::Kill(_)))) => {
                format!("the {role} process to end, KILL in {}", left(at))
            }
            (Hold::Process(role), Some((at, Due::Overdue(_)))) => {
                format!("the {role} process to end, at most {} more", left(at))
            }
            (Hold::Process(role), _) => format!("the {role} process to end"),
            (Hold::Deadline, Some((at, Due::Retry(role)))) => {
                format!("room in the kernel for the {role} process, next try in {}", left(at))
            }
            (Hold::Deadline, Some((at, Due::Turn))) => format!(
                "its turn, in {}: more than {} restarts a second on this host (restart budget)",
                left(at),
                self.config.budget.per_second
            ),
            (Hold::Deadline, Some((at, _))) if instance.respawn.slow => {
                format!("its next try, in {} (respawn retry)", left(at))
            }
            (Hold::Deadline, Some((at, _))) => format!("its back-off to end, in {}", left(at)),
            (Hold::Deadline, None) => "its back-off to end".to_string(),
            (Hold::Sweep, _) if instance.remaining.is_some() => {
                "what main left in its group to end, a moment".to_string()
            }
            (Hold::Sweep, _) => "what main left behind to end (kill mode tree)".to_string(),
        }
    }

    pub(super) fn event_words(&self, id: EventId) -> String {
        let Some(event) = self.events.look(&id) else { return String::from("that has finished") };
        let mut words = format!("{}", event.name);
        for row in &event.env {
            words += &format!(" {row}");
        }
        words
    }

    /// Says what keeps an event from finishing.
    pub(super) fn holders_of(&self, id: EventId) -> Vec<String> {
        let mut holders = Vec::new();
        for (_, instance) in self.instances.iter() {
            if instance.waiters.contains(&Waiter::Event(id)) {
                let shown = instance.job.with_instance(&instance.name);
                let (goal, state) = (instance.goal, instance.state);
                // What an event holds would be told without end where two wait for each other.
                let waits = match instance.hold {
                    Some(Hold::Event(_)) | None => String::new(),
                    Some(_) => format!(", waiting for {}", self.hold_words(instance)),
                };
                holders.push(format!("{shown} ({goal}/{state}{waits})"));
            }
            if instance.stop.events().any(|event| event == id) {
                let shown = instance.job.with_instance(&instance.name);
                holders.push(format!("{shown} (stop on half met)"));
            }
        }
        for (name, job) in self.jobs.iter() {
            if job.start.events().any(|event| event == id) {
                holders.push(format!("{name} (start on half met)"));
            }
        }
        holders
    }
}

fn warning_words(warning: &Warning) -> String {
    match warning {
        Warning::Refused(role, step) => {
            let role: &Role = role;
            let (why, how) = step.refused();
            format!("{role} process: {why}; {how}")
        }
        Warning::ExpectMissed => {
            "expect did not come about in its time; the original process is taken for main".into()
        }
        Warning::Unkillable(role) => {
            format!("{role} process does not end, even after KILL: the kernel holds it")
        }
        Warning::LivesOn(count) => {
            format!("{count} of the processes that main left do not end, even after KILL")
        }
        Warning::Remains(remaining) => {
            format!("{remaining} (`kill mode tree` in its file ends them too)")
        }
    }
}

//! Checks: a command that is run before a job is touched. A check is a process of its own beside the
//! instance, which stays as it is; only where it ends well is done what was asked.
//!
//! One check runs for an instance at a time. Whoever asks while one runs waits for the next: the one
//! that runs may have looked at files that were changed since.

use super::exits::Reported;
use super::history::Note;
use super::instance::{Due, Process};
use super::job::Next;
use super::request::{Asked, Failure, Refusal, Reply, RequestId, Superseder, Target, Wait, Which};
use super::state::Goal;
use super::{environment, Effect, Engine, Level, SignalScope, SPAWN_TIMEOUT, UNKILLABLE_AFTER};
use crate::list::List;
use crate::names::{InstanceName, JobName};
use crate::process::{Exit, InstanceId, Pid, Role, Slot, Step};
use crate::shared::Shared;
use crate::signal::Signal;
use crate::spec::{JobSpec, CHECK_TIMEOUT};
use crate::text::Text;
use crate::time::{Mono, Span};
use crate::view::Asker;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A check that runs, and who waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    job: JobName,
    name: InstanceName,
    run: Run,
    pub(super) process: Process,
    due: Option<(Mono, Due)>,
    /// Who wants something that waits for it.
    wishers: Vec<Wisher>,
    /// Who came while it ran: for the next one.
    later: Vec<Wisher>,
}

/// What a check is run as. What is done afterwards is done with the same description, or the check is
/// run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    spec: Arc<JobSpec>,
    env: List<Text>,
}

/// A request that waits for a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wisher {
    request: RequestId,
    wish: Wish,
    by: Option<Shared<Asker>>,
}

/// What is checked before it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wish {
    Restart(Target, Wait),
    Reload(Target),
    /// The check alone.
    Check(Target),
}

impl Wish {
    fn target(&self) -> &Target {
        match self {
            Wish::Restart(target, _) | Wish::Reload(target) | Wish::Check(target) => target,
        }
    }

    fn asked(&self) -> Asked {
        match self {
            Wish::Restart(..) => Asked::Restart,
            Wish::Reload(_) => Asked::Reload,
            Wish::Check(_) => Asked::Check,
        }
    }
}

impl Engine {
    /// Carries out what is wished, after the job's check where it has one.
    pub(super) fn check_first(&mut self, request: RequestId, wish: Wish) -> Result<(), Refusal> {
        let note = Note::Checks(wish.asked(), self.asker.clone());
        let wisher = Wisher { request, wish, by: self.asker.clone() };
        self.line_up(wisher, Some(note))
    }

    /// Lets somebody wait for a check, of which the note is remembered; or carries out at once what
    /// needs none.
    fn line_up(&mut self, wisher: Wisher, note: Option<Note>) -> Result<(), Refusal> {
        let (job, name) = self.touchable(&wisher.wish)?;
        let Some(run) = self.run_for(&job, &name, &wisher.wish) else {
            return self.carry_out(wisher.request, wisher.wish);
        };
        if self.globals.shutdown.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        if let Some(note) = note {
            self.remember_of(job.clone(), name.clone(), note);
        }
        let under_way = self.checking.get(&(job.clone(), name.clone())).copied();
        match under_way.and_then(|id| self.checks.edit(&id)) {
            Some(check) => check.later.push(wisher),
            None => {
                let id = self.new_instance();
                self.checking.insert((job.clone(), name.clone()), id);
                self.begin_check(id, (job, name), run, Vec::from([wisher]), Vec::new());
            }
        }
        Ok(())
    }

    /// Returns whom a wish is about, or why it could not be carried out whatever a check says.
    fn touchable(&self, wish: &Wish) -> Result<(JobName, InstanceName), Refusal> {
        let id = match wish {
            Wish::Restart(target, _) => self.may_restart(target)?,
            Wish::Reload(target) => self.running(target)?.0,
            Wish::Check(target) => return self.find_to_check(target),
        };
        let named = self.name_of(id).map(|(job, name)| (job.clone(), name.clone()));
        named.ok_or_else(|| Refusal::UnknownJob(wish.target().job.clone()))
    }

    /// What a wish is carried out on once the check says yes.
    fn carry_out(&mut self, request: RequestId, wish: Wish) -> Result<(), Refusal> {
        match wish {
            Wish::Restart(target, wait) => self.restart(request, &target, wait),
            Wish::Reload(target) => self.reload(request, &target),
            Wish::Check(target) => {
                let (job, name) = self.find_to_check(&target)?;
                let checked = self.requests.look(&request).and_then(|pending| pending.checked);
                if checked.is_none() {
                    return Err(Refusal::NoCheck(job));
                }
                let id = self.names.get(&(job.clone(), name.clone())).copied();
                let view = id.and_then(|id| self.view_of(id));
                let view = view.unwrap_or_else(|| self.view_gone(&job, &name));
                self.reply(request, Reply::Done(Some(view)), None);
                Ok(())
            }
        }
    }

    /// Returns what the check that comes before a wish is run as; nothing where there is none.
    ///
    /// A restart is checked as what it will start, with a description that waits to be put in force; a
    /// reload as what runs.
    fn run_for(&self, job: &JobName, name: &InstanceName, wish: &Wish) -> Option<Run> {
        let registered = self.jobs.look(job)?;
        let id = self.names.get(&(job.clone(), name.clone()));
        let instance = id.and_then(|id| self.instances.look(id));
        let given = |target: &Target| match &target.which {
            Which::Env(env) => env.clone(),
            Which::Named(_) => Vec::new(),
        };
        let (spec, env) = match (wish, instance) {
            (Wish::Reload(_), None) | (Wish::Restart(..), None) => return None,
            (Wish::Reload(_), Some(instance)) => (registered.spec.clone(), instance.env.clone()),
            (Wish::Restart(target, _) | Wish::Check(target), Some(instance)) => {
                let spec = match &registered.next {
                    Next::Changed(next)
                        if self.instances_of(job) == 1
                            && next.instance == registered.spec.instance =>
                    {
                        next.clone()
                    }
                    Next::Changed(_) | Next::Same | Next::Removed => registered.spec.clone(),
                };
                let changed = spec != registered.spec;
                let named = matches!(target.which, Which::Named(_));
                if named && !changed && instance.given_next.is_none() {
                    let run = Run { spec, env: instance.env.clone() };
                    return run.spec.commands.contains_key(&Role::Check).then_some(run);
                }
                let mut all = instance.given_next.as_deref().unwrap_or(&instance.given).to_vec();
                given(target).iter().for_each(|row| environment::set(&mut all, row));
                let env = environment::build(self.table(), &spec.env, &self.config.own, &all);
                (spec, env.into())
            }
            (Wish::Check(target), None) => {
                let spec = registered.spec.clone();
                let given = given(target);
                let env = environment::build(self.table(), &spec.env, &self.config.own, &given);
                (spec, env.into())
            }
        };
        spec.commands.contains_key(&Role::Check).then_some(Run { spec, env })
    }

    fn begin_check(
        &mut self,
        id: InstanceId,
        (job, name): (JobName, InstanceName),
        run: Run,
        wishers: Vec<Wisher>,
        later: Vec<Wisher>,
    ) {
        let slot = self.new_slot(id, Role::Check);
        let process = Process::asked_for(slot, self.now);
        let due = Some((self.now + SPAWN_TIMEOUT, Due::Spawn(Role::Check)));
        self.checks.insert(id, Check { job, name, run, process, due, wishers, later });
        self.out.push(Effect::Spawn(slot));
    }

    /// Returns the check of a slot, where it is the one that runs.
    fn check_of(&mut self, slot: Slot) -> Option<&mut Check> {
        self.checks.look(&slot.instance).filter(|check| check.process.slot == slot)?;
        self.checks.edit(&slot.instance)
    }

    pub(super) fn check_spawned(&mut self, slot: Slot, pid: Pid, refused: u32) {
        let now = self.now;
        let Some(check) = self.check_of(slot) else {
            self.out.push(Effect::Signal(slot, Signal::KILL, SignalScope::Group));
            return;
        };
        if check.process.pid.is_some() {
            return;
        }
        check.process.pid = Some(pid);
        check.process.since = now;
        if !check.process.overdue {
            let limit = check.run.spec.policy.timeouts.get(&Role::Check).copied();
            let limit = limit.unwrap_or(CHECK_TIMEOUT);
            check.due = (limit != Span::ZERO).then(|| (now + limit, Due::Overdue(Role::Check)));
        }
        self.remember(slot.instance, Note::Spawned(Role::Check, pid));
        self.warn_of_refused(slot.instance, Role::Check, refused);
    }

    /// There is no process: nobody can say that all is well.
    pub(super) fn check_not_spawned(&mut self, slot: Slot, step: Step, errno: i32) {
        if self.check_of(slot).is_none() {
            return;
        }
        self.check_failed(slot, Failure::NotSpawned(Role::Check, step, errno));
    }

    pub(super) fn check_exited(&mut self, slot: Slot, pid: Pid, exit: Exit) {
        let Some(check) = self.check_of(slot) else { return };
        let process = check.process;
        let (job, name, spec) = (check.job.clone(), check.name.clone(), check.run.spec.clone());
        self.say_ended(slot.instance, Role::Check, pid, exit, &spec.policy);
        self.remember(slot.instance, Note::Ended(Role::Check, pid, exit));
        let depth = self.names.get(&(job.clone(), name.clone()));
        let depth = depth.and_then(|id| self.instances.look(id)).map_or(0, |i| i.depth);
        let cause = self.check_words(&job, &name).into_iter().next().unwrap_or_default();
        let of = Reported { job, name, depth, cause };
        self.emit_exited(of, Role::Check, pid, exit, process.since);
        match (process.overdue, exit) {
            // Its set-up hung and it was killed for that.
            (true, _) if process.pid.is_none() => {
                self.check_failed(slot, Failure::NotSpawned(Role::Check, Step::Timeout, 0));
            }
            (true, _) => self.check_failed(slot, Failure::Timeout(Role::Check, Some(exit))),
            (false, Exit::Status(0)) => self.check_passed(slot),
            // The keeper was killed meanwhile: nobody can say what it would have found.
            (false, Exit::Unknown) => self.check_again(slot),
            (false, _) => self.check_failed(slot, Failure::Ended(Role::Check, exit)),
        }
    }

    fn check_again(&mut self, slot: Slot) {
        let Some(check) = self.checks.remove(&slot.instance) else { return };
        let key = (check.job, check.name);
        self.begin_check(slot.instance, key, check.run, check.wishers, check.later);
    }

    /// What was checked is done, but for what would be done with another description by now.
    fn check_passed(&mut self, slot: Slot) {
        let Some(check) = self.end_check(slot.instance) else { return };
        let key = (check.job.clone(), check.name.clone());
        let mut later = Vec::new();
        for wisher in check.wishers {
            let run = self.run_for(&key.0, &key.1, &wisher.wish);
            if run.is_some_and(|run| run != check.run) {
                later.push(wisher);
                continue;
            }
            if let Some(pending) = self.requests.edit(&wisher.request) {
                pending.checked = Some(slot);
            }
            self.asker = wisher.by.clone();
            if let Err(refusal) = self.carry_out(wisher.request, wisher.wish) {
                self.reply(wisher.request, Reply::Refused(refusal), None);
            }
            self.asker = None;
        }
        later.extend(check.later);
        self.check_next(key, later);
    }

    /// Nothing is touched, and whoever wished for something is told why.
    fn check_failed(&mut self, slot: Slot, failure: Failure) {
        self.remember(slot.instance, Note::CheckFailed(failure));
        let Some(check) = self.end_check(slot.instance) else { return };
        for wisher in check.wishers {
            let (job, name) = (check.job.clone(), check.name.clone());
            let refusal = Refusal::CheckFailed(wisher.wish.asked(), job, name, failure);
            self.reply(wisher.request, Reply::Refused(refusal), Some(slot));
        }
        self.check_next((check.job, check.name), check.later);
    }

    fn end_check(&mut self, id: InstanceId) -> Option<Check> {
        let check = self.checks.remove(&id)?;
        self.checking.remove(&(check.job.clone(), check.name.clone()));
        Some(check)
    }

    /// Begins the check for those who came while the last one ran; where what they want needs none, or
    /// cannot be done any more, they are answered.
    fn check_next(&mut self, key: (JobName, InstanceName), wishers: Vec<Wisher>) {
        for wisher in wishers {
            let request = wisher.request;
            self.asker = wisher.by.clone();
            if let Err(refusal) = self.line_up(wisher, None) {
                self.reply(request, Reply::Refused(refusal), None);
            }
            self.asker = None;
        }
        // Those who want the same as the first need no check of their own.
        let Some(id) = self.checking.get(&key).copied() else { return };
        let Some(check) = self.checks.look(&id) else { return };
        let run = check.run.clone();
        let same: Vec<bool> = check
            .later
            .iter()
            .map(|wisher| self.run_for(&key.0, &key.1, &wisher.wish).is_some_and(|of| of == run))
            .collect();
        let Some(check) = self.checks.edit(&id) else { return };
        let all = core::mem::take(&mut check.later).into_iter().zip(same);
        let (join, wait): (Vec<_>, Vec<_>) = all.partition(|(_, same)| *same);
        check.wishers.extend(join.into_iter().map(|(wisher, _)| wisher));
        check.later = wait.into_iter().map(|(wisher, _)| wisher).collect();
    }

    /// Something else is wanted of an instance: a check for it has no use any more.
    pub(super) fn supersede_check(&mut self, id: InstanceId, by: &Superseder) {
        let ends = match by {
            Superseder::Request(Asked::Stop) | Superseder::Event(_, Asked::Stop) => true,
            Superseder::Shutdown => true,
            Superseder::Request(_) | Superseder::Event(..) => false,
        };
        if !ends {
            return;
        }
        let Some((job, name)) = self.name_of(id) else { return };
        let key = (job.clone(), name.clone());
        self.drop_check(&key, |asked, (job, name)| {
            Refusal::Superseded(asked, job.clone(), name.clone(), by.clone())
        });
    }

    /// Ends every check, for everything ends.
    pub(super) fn drop_checks(&mut self) {
        let keys: Vec<_> = self.checking.keys().cloned().collect();
        for key in keys {
            self.drop_check(&key, |asked, (job, name)| {
                Refusal::Superseded(asked, job.clone(), name.clone(), Superseder::Shutdown)
            });
        }
    }

    /// Ends the checks of a job that is forgotten.
    pub(super) fn drop_checks_of(&mut self, job: &JobName) {
        let from = (job.clone(), InstanceName::default());
        let of_job = self.checking.range(from..).take_while(|((of, _), _)| of == job);
        let keys: Vec<_> = of_job.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.drop_check(&key, |_, (job, _)| Refusal::UnknownJob(job.text().clone()));
        }
    }

    /// Ends a check at once; whoever waits for it is refused.
    pub(super) fn drop_check(
        &mut self,
        key: &(JobName, InstanceName),
        refusal: impl Fn(Asked, &(JobName, InstanceName)) -> Refusal,
    ) {
        let Some(id) = self.checking.get(key).copied() else { return };
        let Some(check) = self.end_check(id) else { return };
        self.out.push(Effect::Signal(check.process.slot, Signal::KILL, SignalScope::Group));
        for wisher in check.wishers.into_iter().chain(check.later) {
            let refusal = refusal(wisher.wish.asked(), key);
            self.reply(wisher.request, Reply::Refused(refusal), None);
        }
    }

    /// Returns when a check has used up its time.
    pub(super) fn check_deadline(&self) -> Option<Mono> {
        self.checks.iter().filter_map(|(_, check)| Some(check.due?.0)).min()
    }

    /// Ends what has used up its time.
    pub(super) fn pass_check_deadlines(&mut self) {
        let now = self.now;
        let over = self.checks.iter().filter_map(|(id, check)| {
            let (at, due) = check.due?;
            (at <= now).then_some((*id, due))
        });
        let over: Vec<(InstanceId, Due)> = over.collect();
        for (id, due) in over {
            self.pass_check_deadline(id, due);
        }
    }

    fn pass_check_deadline(&mut self, id: InstanceId, due: Due) {
        let now = self.now;
        let Some(check) = self.checks.edit(&id) else { return };
        let (slot, spec) = (check.process.slot, check.run.spec.clone());
        let quick = spec.policy.kill_timeout == Span::ZERO;
        let politely = matches!(due, Due::Overdue(_)) && !quick;
        if due == Due::Unkillable(Role::Check) {
            self.check_failed(slot, Failure::Unkillable(Role::Check));
            return;
        }
        check.process.overdue = true;
        let (signal, next) = if politely {
            let kill_at = now + spec.policy.kill_timeout;
            (spec.policy.kill_signal, (kill_at, Due::Kill(Role::Check)))
        } else {
            (Signal::KILL, (now + UNKILLABLE_AFTER, Due::Unkillable(Role::Check)))
        };
        check.due = Some(next);
        if matches!(due, Due::Overdue(_) | Due::Spawn(_)) {
            self.say(Level::Warn, |engine| {
                format!("{} check process did not end in its time", engine.shown(id))
            });
        }
        self.remember(id, Note::Signalled(Role::Check, signal));
        self.out.push(Effect::Signal(slot, signal, SignalScope::Group));
    }

    /// Returns the checks with what is told to end, and by which signal.
    pub(super) fn check_endings(&self) -> impl Iterator<Item = (Slot, Signal, SignalScope)> + '_ {
        let told = self.checks.iter().filter(|(_, check)| check.process.overdue);
        told.map(|(_, check)| {
            let politely = check.due.is_some_and(|(_, due)| due == Due::Kill(Role::Check));
            let signal = if politely { check.run.spec.policy.kill_signal } else { Signal::KILL };
            (check.process.slot, signal, SignalScope::Group)
        })
    }

    /// Returns the processes of checks.
    pub(super) fn check_processes(&self) -> impl Iterator<Item = &Process> + '_ {
        self.checks.iter().map(|(_, check)| &check.process)
    }

    /// Returns whose check a number is.
    pub(super) fn checked_by(&self, id: InstanceId) -> Option<(&JobName, &InstanceName)> {
        self.checks.look(&id).map(|check| (&check.job, &check.name))
    }

    /// Returns the check that runs for an instance, where it has a process.
    pub(super) fn check_pid(&self, job: &JobName, name: &InstanceName) -> Option<Pid> {
        let id = self.checking.get(&(job.clone(), name.clone()))?;
        self.checks.look(id)?.process.pid
    }

    /// Says who waits for the check of an instance.
    pub(super) fn check_words(&self, job: &JobName, name: &InstanceName) -> Vec<String> {
        let id = self.checking.get(&(job.clone(), name.clone()));
        let Some(check) = id.and_then(|id| self.checks.look(id)) else { return Vec::new() };
        let words = |wisher: &Wisher| {
            let by = wisher.by.as_ref().map_or_else(|| "a client".into(), |by| format!("{}", **by));
            let what = super::history::verb(&wisher.wish.asked());
            format!("{by}, whose {what} comes after the check")
        };
        check.wishers.iter().chain(&check.later).map(words).collect()
    }

    /// Returns what a check's process shall be.
    pub(super) fn check_order(&self, slot: Slot) -> Option<super::SpawnOrder> {
        let check = self.checks.look(&slot.instance).filter(|c| c.process.slot == slot)?;
        let env = self.with_identity(check.run.env.to_vec(), &check.job, &check.name);
        Some(super::SpawnOrder {
            slot,
            spec: check.run.spec.clone(),
            instance: check.name.clone(),
            env,
        })
    }

    /// Makes the index of the checks again.
    pub(super) fn index_checks(&mut self) {
        let named = self.checks.iter();
        self.checking =
            named.map(|(id, check)| ((check.job.clone(), check.name.clone()), *id)).collect();
    }

    /// What must be true of checks, for the audit: every one waits for something that will come and has
    /// somebody who waits for it.
    pub(super) fn audit_checks(&self, wrong: &mut Vec<String>) {
        for (id, check) in self.checks.iter() {
            let (job, name) = (&check.job, &check.name);
            let due = check.due.map(|(_, due)| due);
            let fits = match (check.process.pid, due) {
                (None, Some(Due::Spawn(_) | Due::Kill(_) | Due::Unkillable(_))) => true,
                (Some(_), None) => check
                    .run
                    .spec
                    .policy
                    .timeouts
                    .get(&Role::Check)
                    .is_some_and(|limit| *limit == Span::ZERO),
                (Some(_), Some(Due::Overdue(_) | Due::Kill(_) | Due::Unkillable(_))) => true,
                (_, _) => false,
            };
            if !fits {
                wrong.push(format!("{job} {name}: its check waits for nothing ({due:?})"));
            }
            if check.wishers.is_empty() {
                wrong.push(format!("{job} {name}: nobody wants its check"));
            }
            if check.process.slot.generation >= self.globals.next_generation
                || id.0 >= self.globals.next_instance
            {
                wrong.push(format!("{job} {name}: a check from the future"));
            }
            let alone = |wisher: &Wisher| matches!(wisher.wish, Wish::Check(_));
            let instance = self.names.get(&(job.clone(), name.clone()));
            let instance = instance.and_then(|id| self.instances.look(id));
            let wanted = instance.is_some_and(|i| i.goal == Goal::Start || i.restart);
            if !wanted && !check.wishers.iter().chain(&check.later).all(alone) && instance.is_none()
            {
                wrong.push(format!("{job} {name}: a check for what is gone"));
            }
        }
    }

    /// Returns the requests that wait for checks.
    pub(super) fn wishes(&self) -> impl Iterator<Item = RequestId> + '_ {
        let all = self.checks.iter();
        all.flat_map(|(_, check)| check.wishers.iter().chain(&check.later))
            .map(|wisher| wisher.request)
    }
}

//! Files put in force as a whole: held back while somebody writes them, checked, then done in one turn; and
//! taken back where they fail the test.

use super::connections::ConnectionId;
use super::prospect::Prospect;
use super::Daemon;
use engine::control::answer::Answer;
use engine::control::call::{Call, Meant};
use engine::control::fault::Fault;
use engine::machine::request::{Reply, Request, RequestId, Target, Wait, Which};
use engine::machine::state::Goal;
use engine::machine::{Effect, Input, Level, Probation};
use engine::names::{InstanceName, JobName};
use engine::plan::{self, Fate, FateView, Outcome, PlanRow, RowKind, Step};
use engine::process::Role;
use engine::spec::JobSpec;
use engine::text::Text;
use engine::time::{Mono, Span};
use engine::view::Asker;
use std::collections::BTreeSet;
use std::sync::Arc;

/// For how long files are held back at most.
const HOLD_MAX: Span = Span::secs(60);

/// How long a test waits for its client when the daemon that knew it has died: as long as the command line
/// tries to come back, and somewhat longer.
const ORPHAN_MAX: Span = Span::secs(15);

/// What there is of files that are being put in force.
#[derive(Default)]
pub struct Applying {
    hold: Option<Hold>,
    /// Whether files were to be read meanwhile.
    missed: bool,
    work: Option<Work>,
    /// Checks that have ended.
    answered: Vec<(RequestId, Reply, Option<Text>)>,
    test: Option<Test>,
}

/// Files are not read.
struct Hold {
    by: ConnectionId,
    until: Mono,
}

/// What is to be done once its checks have ended well.
struct Work {
    by: ConnectionId,
    asker: Option<Asker>,
    prospect: Prospect,
    meant: Meant,
    /// What was wanted of the jobs that are being checked.
    before: Vec<Arc<JobSpec>>,
    checks: BTreeSet<RequestId>,
    failed: Option<Fault>,
}

/// Descriptions that are put to the test.
struct Test {
    /// Whose test it is; none: of somebody whom the daemon before knew.
    by: Option<ConnectionId>,
    /// When it is over, where nobody comes back for it.
    until: Option<Mono>,
    /// What ran before, with what it was started with.
    ran: Vec<(JobName, InstanceName, Vec<Text>)>,
}

impl Applying {
    /// Reports whether a request is one of those that are waited for.
    pub fn awaits(&self, request: RequestId) -> bool {
        self.work.as_ref().is_some_and(|work| work.checks.contains(&request))
    }

    /// Takes the reply to one.
    pub fn answer(&mut self, request: RequestId, reply: &Reply, output: Option<&Text>) {
        self.answered.push((request, reply.clone(), output.cloned()));
    }

    /// Reports whether no file is to be read.
    pub fn holds(&self) -> bool {
        self.hold.is_some()
    }

    /// Reports whether there is something to be done at once.
    pub fn is_ready(&self) -> bool {
        !self.answered.is_empty()
    }

    /// Notes that files were to be read.
    pub fn miss(&mut self) {
        self.missed = true;
    }

    /// Returns when a hold or a test is over.
    pub fn due(&self) -> Option<Mono> {
        let hold = self.hold.as_ref().map(|hold| hold.until);
        [hold, self.test.as_ref().and_then(|test| test.until)].into_iter().flatten().min()
    }
}

impl Daemon {
    /// Goes on with a test that the daemon before knew.
    pub(super) fn take_test(&mut self) {
        if self.engine.tests_descriptions() {
            let until = Some(sys::clock::monotonic() + ORPHAN_MAX);
            self.applying.test = Some(Test { by: None, until, ran: Vec::new() });
        }
    }

    /// Carries out a call that holds files back or puts them in force.
    pub(super) fn serve_apply(&mut self, id: ConnectionId, call: Call, effects: &mut Vec<Effect>) {
        let held = self.applying.hold.as_ref().is_some_and(|hold| hold.by != id);
        if held || self.applying.work.is_some() {
            let why = "somebody else is putting files in force; try again when that is done";
            return self.connections.answer(id, Err(Fault::refusal("held", why.into())));
        }
        let Call::Apply(names, meant) = call else {
            let until = sys::clock::monotonic() + HOLD_MAX;
            self.applying.hold = Some(Hold { by: id, until });
            self.connections.keep(id);
            return self.connections.answer(id, Ok(Answer::Done));
        };
        let prospect = self.prospect(&Default::default());
        if let Some(fault) = broken(&prospect, &names) {
            return self.connections.answer(id, Err(fault));
        }
        let asker = self.asker_of(id);
        let (before, checks) = (Vec::new(), BTreeSet::new());
        let mut work = Work { by: id, asker, prospect, meant, before, checks, failed: None };
        if meant != Meant::AsBefore {
            self.begin_checks(&mut work, effects);
        }
        if work.checks.is_empty() {
            return self.put_in_force(work, effects);
        }
        self.connections.await_applying(id);
        self.applying.work = Some(work);
    }

    /// Begins the checks of what will be restarted.
    fn begin_checks(&mut self, work: &mut Work, effects: &mut Vec<Effect>) {
        let mut checked: Vec<(Arc<JobSpec>, InstanceName)> = Vec::new();
        for step in &work.prospect.plan.steps {
            let Step::Change(spec, _) = step else { continue };
            if spec.commands.contains_key(&Role::Check) {
                let restarted = self.outcome(step).into_iter().filter(is_restarted);
                checked.extend(restarted.map(|one| (spec.clone(), one.instance)));
            }
        }
        for (spec, instance) in checked {
            work.before.extend(self.engine.wanted(&spec.name).cloned());
            self.handle(Input::Define(spec.clone()), effects);
            let number = self.engine.next_request();
            work.checks.insert(number);
            let request = Request::Check(named(&spec.name, instance));
            // Known before it is asked: it may be answered in that turn.
            self.handle(Input::Ask(number, None, request, work.asker.clone()), effects);
        }
    }

    /// Goes on with what has ended since, and ends what is over.
    pub(super) fn tend_applying(&mut self, effects: &mut Vec<Effect>) {
        let now = sys::clock::monotonic();
        for (request, reply, output) in std::mem::take(&mut self.applying.answered) {
            let Some(work) = &mut self.applying.work else { continue };
            work.checks.remove(&request);
            if let Reply::Refused(refusal) = reply {
                work.failed.get_or_insert(Fault::refused(&refusal, output));
            }
        }
        let over = self.applying.work.as_ref().is_some_and(|work| work.checks.is_empty());
        if let Some(work) = self.applying.work.take_if(|_| over) {
            match work.failed {
                None => self.put_in_force(work, effects),
                Some(fault) => {
                    for spec in work.before {
                        self.handle(Input::Define(spec), effects);
                    }
                    self.connections.answer(work.by, Err(fault));
                    self.touched.insert(work.by);
                }
            }
        }
        let gone = |id: ConnectionId| self.connections.caller(id).is_none();
        let over =
            self.applying.hold.as_ref().is_some_and(|hold| gone(hold.by) || hold.until <= now);
        let busy = self.applying.work.is_some();
        let ended = self.applying.test.as_ref().is_some_and(|test| {
            test.by.is_some_and(gone) || test.until.is_some_and(|until| until <= now)
        });
        if over && !busy {
            self.release(effects);
        }
        if ended && !busy {
            self.applying.test = None;
            self.handle(Input::Probation(Probation::Ends), effects);
        }
    }

    /// Reads what there is now, whoever wrote it and however far they came.
    fn release(&mut self, effects: &mut Vec<Effect>) {
        self.applying.hold = None;
        self.walk_all();
        if std::mem::take(&mut self.applying.missed) {
            self.reload_programs(effects);
        }
    }

    /// Puts everything in force in this turn.
    fn put_in_force(&mut self, work: Work, effects: &mut Vec<Effect>) {
        let Work { by, asker, prospect, meant, .. } = work;
        let mut rows = self.rows_of(&prospect, self.sight_of(by));
        let steps = prospect.plan.steps.clone();
        let outcomes: Vec<(Step, Vec<Outcome>)> =
            steps.into_iter().map(|step| (step.clone(), self.outcome(&step))).collect();
        let ran = match meant {
            Meant::ToStay => Vec::new(),
            Meant::ToTest => {
                let ran = self.what_runs(&outcomes);
                self.handle(Input::Probation(Probation::Begins), effects);
                self.applying.test = Some(Test { by: Some(by), until: None, ran });
                self.connections.keep(by);
                Vec::new()
            }
            Meant::AsBefore => self.applying.test.take().map_or_else(Vec::new, |test| test.ran),
        };
        let (count, lines) = (outcomes.len(), rows.len());
        if count > 0 {
            let who = asker.as_ref().map_or_else(|| String::from("a client"), ToString::to_string);
            self.say(
                Level::Message,
                &format!("{who} puts {count} of {lines} rows of a plan in force"),
            );
        }
        self.take_over(prospect, effects);
        for (step, outcomes) in &outcomes {
            self.say(Level::Debug, &step.to_string());
            self.handle(plan::input(step, outcomes), effects);
        }
        for (step, outcomes) in &outcomes {
            for one in outcomes {
                let target = named(step.name(), one.instance.clone());
                let number = self.engine.next_request();
                match one.fate {
                    Fate::Restarts => {
                        self.handle(Input::Replace(number, target, asker.clone()), effects);
                    }
                    Fate::Stops => {
                        let stop = Request::Stop(target, Wait::Accepted);
                        self.handle(Input::Ask(number, None, stop, asker.clone()), effects);
                    }
                    Fate::Starts | Fate::GoesOn | Fate::Waits | Fate::Rests => {}
                }
            }
        }
        for (job, instance, given) in ran {
            self.start_again(job, instance, given, &asker, &mut rows, effects);
        }
        match meant {
            Meant::AsBefore => self.handle(Input::Probation(Probation::Ends), effects),
            Meant::ToStay | Meant::ToTest => {}
        }
        rows.extend(self.essential_rows(&rows));
        self.connections.answer(by, Ok(Answer::Plan(rows)));
        self.touched.insert(by);
    }

    /// Returns what will not run on as it does.
    fn what_runs(
        &self,
        outcomes: &[(Step, Vec<Outcome>)],
    ) -> Vec<(JobName, InstanceName, Vec<Text>)> {
        let mut ran = Vec::new();
        for (step, outcomes) in outcomes {
            let touched =
                outcomes.iter().filter(|one| is_restarted(one) || one.fate == Fate::Stops);
            ran.extend(touched.map(|one| {
                let given = self.engine.given(step.name(), &one.instance);
                (step.name().clone(), one.instance.clone(), given)
            }));
        }
        ran
    }

    /// What was read is what is known from now on.
    fn take_over(&mut self, prospect: Prospect, effects: &mut Vec<Effect>) {
        let Prospect { catalogue, groups, .. } = prospect;
        self.catalogue = catalogue;
        (self.applying.hold, self.applying.missed) = (None, false);
        self.walk_all();
        let Some(groups) = groups else { return };
        let there: BTreeSet<&String> = groups.iter().map(|group| &group.name).collect();
        let known = self.programs.pending.iter().flatten();
        let gone: Vec<String> =
            known.map(|group| &group.name).filter(|name| !there.contains(name)).cloned().collect();
        gone.iter().for_each(|name| self.remove_pool(name));
        let pools = groups.iter().filter_map(|group| group.pool.clone()).collect();
        self.programs.pending = Some(groups);
        self.add_pools(pools, effects);
    }

    /// Starts what ran before a test and does not any more.
    fn start_again(
        &mut self,
        job: JobName,
        instance: InstanceName,
        given: Vec<Text>,
        asker: &Option<Asker>,
        rows: &mut [PlanRow],
        effects: &mut Vec<Effect>,
    ) {
        let runs = self.engine.runs_of(&job);
        if runs.iter().any(|run| run.instance == instance && run.goal == Goal::Start) {
            return;
        }
        let of_job = |row: &&mut PlanRow| row.job.as_ref() == Some(job.text());
        if let Some(row) = rows.iter_mut().find(of_job) {
            let shown = (!instance.text().is_empty()).then_some(instance);
            row.instances.retain(|one| one.instance != shown);
            row.instances.push(FateView { instance: shown, fate: Fate::Starts, pid: None });
        }
        let target = Target { job: job.text().clone(), which: Which::Env(given) };
        let (number, start) = (self.engine.next_request(), Request::Start(target, Wait::Accepted));
        self.handle(Input::Ask(number, None, start, asker.clone()), effects);
    }

    fn essential_rows(&self, rows: &[PlanRow]) -> Vec<PlanRow> {
        let touched = |job: &JobName| rows.iter().any(|row| row.job.as_ref() == Some(job.text()));
        let others = self.engine.essentials().into_iter().filter(|(job, _)| !touched(job));
        let row = |(job, instance): (JobName, InstanceName)| {
            let instance = (!instance.text().is_empty()).then_some(instance);
            let instances = vec![FateView { instance, fate: Fate::GoesOn, pid: None }];
            let job = Some(job.text().clone());
            PlanRow { job, instances, ..PlanRow::new(RowKind::Essential) }
        };
        others.map(row).collect()
    }
}

fn is_restarted(one: &Outcome) -> bool {
    one.fate == Fate::Restarts
}

fn named(job: &JobName, instance: InstanceName) -> Target {
    Target { job: job.text().clone(), which: Which::Named(instance) }
}

/// Returns why files cannot be put in force.
fn broken(prospect: &Prospect, names: &[Text]) -> Option<Fault> {
    let meant = |row: &&PlanRow| {
        names.is_empty()
            || row.files.is_empty()
            || row.files.iter().any(|file| names.contains(file))
    };
    let mut lines = Vec::new();
    for row in prospect.broken.iter().filter(meant) {
        let file = row.files.first().map(|file| file.lossy().into_owned()).unwrap_or_default();
        lines.extend(row.mistakes.iter().map(|mistake| {
            format!("{file}:{}:{}: {}", mistake.place.line, mistake.place.column, mistake.message)
        }));
        lines.extend(row.why.clone());
    }
    if lines.is_empty() {
        return None;
    }
    let message = format!("These files cannot be used; nothing was done\n{}", lines.join("\n"));
    Some(Fault::refusal("bad-file", message))
}

//! What reading the files again would come to, with files as they are proposed: a plan that can be shown
//! before anything is done.

use super::catalogue::{Catalogue, Said};
use super::connections::ConnectionId;
use super::groups::{groups_of, Group};
use super::loading::Mistaken;
use super::Daemon;
use crate::proposal::Proposal;
use crate::supervisord::begins_with_section;
use engine::control::answer::Answer;
use engine::control::call::{Call, Proposed};
use engine::control::rights::Sight;
use engine::dialect::supervisord::{namespec, Config};
use engine::dialect::upstart::show;
use engine::dialect::Severity;
use engine::machine::Level;
use engine::names::JobName;
use engine::plan::{diff, outcome, ChangeView, Jobs, Outcome, Plan, PlanRow, RowKind, Step};
use engine::spec::JobSpec;
use engine::text::Text;
use engine::view::{SourceKind, SourceView};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Where each program comes from: file and section.
type Origins = BTreeMap<JobName, (Text, String)>;

/// What reading the files again would come to.
pub struct Prospect {
    /// What changes of what is in force.
    pub plan: Plan,
    /// The files that cannot be used.
    pub broken: Vec<PlanRow>,
    /// How many jobs stay as they are.
    untouched: usize,
    /// Where each program comes from: file and section.
    origins: Origins,
    /// The catalogue as it is then.
    pub catalogue: Catalogue,
    /// The groups of the configurations, where all of them can be read.
    pub groups: Option<Vec<Group>>,
}

impl Daemon {
    /// Answers what is asked of files.
    pub(super) fn serve_plans(&self, id: ConnectionId, call: Call) -> Answer {
        let Call::Plan(files) = call else { return self.sources() };
        self.planned(files, self.sight_of(id))
    }

    /// Answers where descriptions are read from.
    fn sources(&self) -> Answer {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
        let jobs = self.catalogue.sources().iter().map(|source| SourceView {
            path: text(&absolute(source)),
            kind: SourceKind::Jobs,
            files: Vec::new(),
            patterns: Vec::new(),
        });
        let mut all: Vec<SourceView> = jobs.collect();
        for given in &self.settings.programs {
            let read = given.read_over(&Proposal::default()).ok();
            let (files, patterns) = read.map_or_else(Default::default, |(config, patterns)| {
                let files = config.files.iter().map(|file| text(&absolute(Path::new(&file.path))));
                (files.collect(), patterns.into_iter().map(Text::from).collect())
            });
            let (path, kind) = (text(&given.path()), SourceKind::Programs);
            all.push(SourceView { path, kind, files, patterns });
        }
        Answer::Sources(all)
    }

    /// Answers what proposed files would change.
    fn planned(&self, files: Vec<Proposed>, sight: Sight) -> Answer {
        let over = Proposal::new(files);
        Answer::Plan(self.rows_of(&self.prospect(&over), sight))
    }

    /// Returns what reading all files would come to. Those that have not changed are not read.
    pub(super) fn prospect(&self, over: &Proposal) -> Prospect {
        let mut said = Said::new();
        let mut catalogue = self.catalogue.proposed(over, &mut said);
        let mut broken: Vec<PlanRow> = Vec::new();
        for (_, line) in said.into_iter().filter(|(level, _)| *level == Level::Error) {
            broken.push(PlanRow { why: Some(line), ..PlanRow::new(RowKind::Broken) });
        }
        let mut new = self.jobs_of(&mut catalogue, over, &mut broken);
        let (origins, groups) = self.programs_of(over, &mut new, &mut broken);
        let ours = |name: &&JobName| !name.is_reserved();
        let names = self.engine.job_names().filter(ours);
        let old = names.filter_map(|name| Some((name.clone(), self.engine.spec(name)?.clone())));
        let plan = diff(&old.collect(), &new);
        let touched = plan.steps.iter().filter(|step| !matches!(step, Step::Remove(_))).count();
        let untouched = new.len() - touched;
        Prospect { plan, broken, untouched, origins, catalogue, groups }
    }

    /// Returns what job files describe.
    fn jobs_of(
        &self,
        catalogue: &mut Catalogue,
        over: &Proposal,
        broken: &mut Vec<PlanRow>,
    ) -> Jobs {
        let mut new = Jobs::new();
        let mut unread = Vec::new();
        for name in catalogue.names() {
            match self.engine.wanted(name) {
                Some(spec) if !catalogue.is_dirty(name) => {
                    new.insert(name.clone(), spec.clone());
                }
                Some(_) | None => unread.push(name.clone()),
            }
        }
        let wanted = |name: &JobName| Some((name.clone(), self.engine.wanted(name)?.clone()));
        let stand: Jobs = unread.iter().filter_map(wanted).collect();
        for name in &unread {
            broken.extend(catalogue.judge(name, over).map(|mistaken| row_of(mistaken, name)));
        }
        let read = catalogue.read(&unread, &stand, over, &mut Said::new());
        new.extend(read);
        new
    }

    /// Adds what configurations describe, and returns where it stands there. Of one that is wrong what is
    /// in force stays.
    fn programs_of(
        &self,
        over: &Proposal,
        jobs: &mut Jobs,
        broken: &mut Vec<PlanRow>,
    ) -> (Origins, Option<Vec<Group>>) {
        let mut origins = Origins::new();
        let mut all: Vec<Group> = Vec::new();
        let wrong = broken.len();
        for given in &self.settings.programs {
            let config = match given.read_over(over) {
                Ok((config, _)) => config,
                Err(why) => {
                    let (files, why) = (vec![text(&given.path())], Some(why));
                    broken.push(PlanRow { files, why, ..PlanRow::new(RowKind::Broken) });
                    continue;
                }
            };
            mistakes_of(&config, broken);
            let (groups, unnamed) = groups_of(&config);
            for why in unnamed {
                broken.push(PlanRow { why: Some(why), ..PlanRow::new(RowKind::Broken) });
            }
            note_origins(&config, &mut origins);
            let new = groups.into_iter().filter(|group| all.iter().all(|g| g.name != group.name));
            let new: Vec<Group> = new.collect();
            all.extend(new);
        }
        if broken.len() > wrong {
            let names = self.engine.job_names();
            let wanted = names.filter_map(|name| Some((name, self.engine.wanted(name)?)));
            let programs = wanted.filter(|(_, spec)| spec.policy.order.is_some());
            jobs.extend(programs.map(|(name, spec)| (name.clone(), spec.clone())));
            return (origins, None);
        }
        for spec in all.iter().flat_map(|group| &group.jobs) {
            if jobs.contains_key(&spec.name) {
                let name = &spec.name;
                let why = Some(format!("program {name}: there is a job of that name, which stays"));
                broken.push(PlanRow { why, ..PlanRow::new(RowKind::Broken) });
            } else {
                jobs.insert(spec.name.clone(), spec.clone());
            }
        }
        (origins, (!self.settings.programs.is_empty()).then_some(all))
    }

    /// Returns the file that has the section of a program, as the configurations are now, and the section;
    /// nothing where it is a job.
    pub(super) fn origin_of_program(&self, name: &JobName) -> Option<(Text, String)> {
        self.engine.spec(name)?.policy.order.as_ref()?;
        let mut origins = Origins::new();
        let configs = self.settings.programs.iter().filter_map(|given| given.read().ok());
        configs.for_each(|config| note_origins(&config, &mut origins));
        origins.remove(name)
    }

    /// Returns what becomes of what runs when a step is taken.
    pub(super) fn outcome(&self, step: &Step) -> Vec<Outcome> {
        let name = step.name();
        outcome(step, &self.engine.runs_of(name), self.engine.starting(name))
    }

    /// Returns what a caller is shown of a prospect.
    pub(super) fn rows_of(&self, prospect: &Prospect, sight: Sight) -> Vec<PlanRow> {
        let mut rows: Vec<PlanRow> = prospect.broken.clone();
        for step in &prospect.plan.steps {
            rows.push(self.row_of(prospect, step, sight));
        }
        let untouched =
            prospect.untouched.saturating_sub(self.add_pool_changes(prospect, &mut rows));
        let count = Some(untouched as u64);
        rows.push(PlanRow { count, ..PlanRow::new(RowKind::Untouched) });
        rows
    }

    /// Adds what event listeners will be told otherwise, which is in no description. Returns how many
    /// programs are touched by that alone.
    fn add_pool_changes(&self, prospect: &Prospect, rows: &mut Vec<PlanRow>) -> usize {
        let before = rows.len();
        for group in prospect.groups.iter().flatten() {
            let changes = group.pool.as_ref().map(|pool| self.told_otherwise(pool));
            let Some(changes) = changes.filter(|changes| !changes.is_empty()) else { continue };
            for spec in &group.jobs {
                let of_job = |row: &&mut PlanRow| row.job.as_ref() == Some(spec.name.text());
                match rows.iter_mut().find(of_job) {
                    Some(row) => row.changes.extend(changes.clone()),
                    None => rows.push(self.row_of_listener(prospect, spec, changes.clone())),
                }
            }
        }
        rows.len() - before
    }

    /// Returns the row of a listener of which nothing but what it is told changes: it goes on.
    fn row_of_listener(
        &self,
        prospect: &Prospect,
        spec: &JobSpec,
        changes: Vec<ChangeView>,
    ) -> PlanRow {
        let step = Step::Change(Arc::new(spec.clone()), Vec::new());
        let instances = self.outcome(&step).into_iter().map(Into::into).collect();
        let (file, section) = prospect.origins.get(&spec.name).cloned().unzip();
        PlanRow {
            job: Some(spec.name.text().clone()),
            program: true,
            files: file.into_iter().collect(),
            section,
            changes,
            instances,
            ..PlanRow::new(RowKind::Change)
        }
    }

    fn row_of(&self, prospect: &Prospect, step: &Step, sight: Sight) -> PlanRow {
        let name = step.name();
        let kind = match step {
            Step::Add(_) => RowKind::Add,
            Step::Change(..) => RowKind::Change,
            Step::Remove(_) => RowKind::Remove,
        };
        let mut row = PlanRow { job: Some(name.text().clone()), ..PlanRow::new(kind) };
        row.instances = self.outcome(step).into_iter().map(Into::into).collect();
        let spec = match step {
            Step::Add(spec) | Step::Change(spec, _) => Some(spec),
            Step::Remove(name) => self.engine.spec(name),
        };
        row.program = spec.is_some_and(|spec| spec.policy.order.is_some());
        match prospect.origins.get(name) {
            Some((file, section)) if kind != RowKind::Remove => {
                row.files = vec![file.clone()];
                row.section = Some(section.clone());
            }
            Some(_) | None if row.program => {}
            Some(_) | None => row.files = prospect.catalogue.files_of(name),
        }
        match step {
            Step::Add(spec) => {
                let start_on = spec.start_on.as_deref();
                row.start_on = start_on.map(|start_on| show::condition(start_on).to_string());
            }
            Step::Change(_, changes) => {
                let values = sight == Sight::Full;
                let shown = |change: &_| ChangeView::of(Clone::clone(change), row.program, values);
                row.changes = changes.iter().map(shown).collect();
            }
            Step::Remove(_) => {}
        }
        row
    }
}

fn text(path: &Path) -> Text {
    Text::from(path.as_os_str().as_bytes())
}

fn row_of(mistaken: Mistaken, name: &JobName) -> PlanRow {
    let Mistaken { path, mistakes, why } = mistaken;
    let path = std::path::absolute(&path).unwrap_or(path);
    let (job, files) = (Some(name.text().clone()), vec![text(&path)]);
    PlanRow { job, files, mistakes, why, ..PlanRow::new(RowKind::Broken) }
}

/// Adds the files of a configuration that have errors.
fn mistakes_of(config: &Config, broken: &mut Vec<PlanRow>) {
    if config.refusal.is_none() {
        return;
    }
    let before = broken.len();
    for (number, file) in config.files.iter().enumerate() {
        let of_file = config.remarks.iter().filter(|remark| remark.file == number);
        let mistakes: Vec<_> = of_file.map(|remark| remark.diagnostic.clone()).collect();
        if mistakes.iter().any(|one| one.severity == Severity::Error) {
            let path = Path::new(&file.path);
            let files = vec![text(&std::path::absolute(path).unwrap_or_else(|_| path.into()))];
            broken.push(PlanRow { files, mistakes, ..PlanRow::new(RowKind::Broken) });
        }
    }
    if broken.len() == before {
        let why = config.refusal.clone();
        broken.push(PlanRow { why, ..PlanRow::new(RowKind::Broken) });
    }
}

/// Notes which file has the section of each program.
fn note_origins(config: &Config, origins: &mut Origins) {
    let mut files: BTreeMap<String, Text> = BTreeMap::new();
    for file in config.files.iter().filter(|file| begins_with_section(&file.bytes)) {
        let path = Path::new(&file.path);
        let path = text(&std::path::absolute(path).unwrap_or_else(|_| path.into()));
        for line in file.bytes.split(|byte| *byte == b'\n') {
            let head = line.strip_prefix(b"[").and_then(|rest| {
                let end = rest.iter().position(|byte| *byte == b']')?;
                rest.get(..end)
            });
            if let Some(head) = head {
                files.insert(String::from_utf8_lossy(head).into_owned(), path.clone());
            }
        }
    }
    for group in &config.groups {
        for program in &group.programs {
            let name = JobName::try_from(&*namespec(group, program));
            if let (Ok(name), Some(file)) = (name, files.get(&program.section)) {
                origins.insert(name, (file.clone(), program.section.clone()));
            }
        }
    }
}

//! Groups of Supervisor's configuration: what there is, what is in force, and from one to the other.
//! Source: Supervisor 4.3.0, reloadConfig, addProcessGroup, removeProcessGroup.

use super::pools::{pool_of, Pool};
use super::reloading::unusable;
use super::{outputs, Daemon};
use crate::options::Mode;
use engine::control::answer::Answer;
use engine::control::fault::Fault;
use engine::dialect::supervisord::{self, Config, Said};
use engine::machine::{Effect, Input, Level, ShutdownKind};
use engine::names::{InstanceName, JobName};
use engine::plan::{self, Jobs};
use engine::process::Stream;
use engine::spec::JobSpec;
use engine::text::Text;
use engine::view::{GroupsView, SupervisorState, SupervisorView};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// A group as a configuration has it.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its jobs in the order in which they are started.
    pub jobs: Vec<Arc<JobSpec>>,
    /// What its programs are told, where they are event listeners.
    pub pool: Option<Pool>,
    /// What its programs say that is not in their jobs.
    said: BTreeMap<String, Said>,
}

/// Returns the groups of a configuration that are served, in their order, and what is wrong with
/// programs that cannot be jobs.
pub fn groups_of(config: &Config) -> (Vec<Group>, Vec<String>) {
    let (jobs, wrong) = config.jobs();
    let mut said: BTreeMap<String, Said> = config.said().into_iter().collect();
    let mut groups: Vec<Group> = Vec::new();
    for spec in jobs {
        let order = spec.policy.order.as_ref();
        let name = order.map_or(String::new(), |order| order.group.lossy().into_owned());
        let more = said.remove_entry(&*spec.name.text().lossy());
        let spec = Arc::new(spec);
        match groups.last_mut().filter(|group| group.name == name) {
            Some(group) => {
                group.jobs.push(spec);
                group.said.extend(more);
            }
            None => {
                let pool = pool_of(config, &name);
                let said = more.into_iter().collect();
                groups.push(Group { name, jobs: vec![spec], pool, said });
            }
        }
    }
    let wrong = wrong.into_iter().map(|(name, why)| format!("{name}: cannot be run: {why}"));
    (groups, wrong.collect())
}

impl Daemon {
    /// Returns the jobs of each group that is in force.
    fn groups_in_force(&self) -> BTreeMap<String, BTreeSet<JobName>> {
        let mut groups: BTreeMap<String, BTreeSet<JobName>> = BTreeMap::new();
        for name in self.engine.job_names() {
            let order = self.engine.wanted(name).and_then(|spec| spec.policy.order.clone());
            if let Some(order) = order {
                let group = groups.entry(order.group.lossy().into_owned()).or_default();
                group.insert(name.clone());
            }
        }
        groups
    }

    /// Answers what stands in for Supervisor's daemon.
    pub(super) fn supervisor(&self, sees_log: bool) -> Result<Answer, Fault> {
        let Some(own) = self.own_settings() else { return Err(none()) };
        let state = match self.engine.shutdown_kind() {
            None => SupervisorState::Running,
            Some(ShutdownKind::Restart) => SupervisorState::Restarting,
            Some(ShutdownKind::Shutdown | ShutdownKind::Logout) => SupervisorState::Shutdown,
        };
        Ok(Answer::Supervisor(Box::new(SupervisorView {
            identifier: own.identifier.clone(),
            state,
            pid: self.settings.named,
            logfile: match sees_log {
                true => Text::from(self.path(&own.logfile).as_os_str().as_bytes()),
                false => Text::default(),
            },
        })))
    }

    /// Reports whether everything may begin anew: only Supervisor's daemon does, and not by a
    /// configuration that is wrong.
    pub(super) fn may_begin_anew(&self) -> Result<(), Fault> {
        if self.settings.options.mode != Mode::Supervisord {
            let why = "only supervisord begins anew; `upright down' ends this Upright";
            return Err(Fault::Unavailable(String::from(why)));
        }
        self.read_groups().map(drop)
    }

    /// Reads the configurations again; what they say is kept to be put in force.
    pub(super) fn reread(&mut self) -> Result<Answer, Fault> {
        let groups = self.read_groups()?;
        let force = self.groups_in_force();
        let mut view = GroupsView::default();
        for group in &groups {
            let Some(jobs) = force.get(&group.name) else {
                view.added.push(group.name.clone());
                continue;
            };
            let same = |spec: &Arc<JobSpec>| self.engine.wanted(&spec.name) == Some(spec);
            let all = group.jobs.len() == jobs.len() && group.jobs.iter().all(same);
            if !all || !self.is_told_so(group.pool.as_ref()) {
                view.changed.push(group.name.clone());
            }
        }
        let there: BTreeSet<&String> = groups.iter().map(|group| &group.name).collect();
        let gone = force.into_keys().filter(|name| !there.contains(name));
        view.removed.extend(gone);
        [&mut view.added, &mut view.changed].into_iter().for_each(|names| names.sort());
        self.programs.pending = Some(groups);
        Ok(Answer::Groups(view))
    }

    /// Answers what the configuration says of programs, as it was last read.
    pub(super) fn configured(&mut self) -> Result<Answer, Fault> {
        if self.programs.pending.is_none() {
            // The daemon that read it has crashed since.
            self.programs.pending = Some(self.read_groups()?);
        }
        let force = self.groups_in_force();
        let mut views = Vec::new();
        for group in self.programs.pending.iter().flatten() {
            for spec in &group.jobs {
                let said = group.said.get(&*spec.name.text().lossy());
                let mut view = supervisord::configured(spec, said);
                view.in_force = force.contains_key(&group.name);
                // Names that were made up are told of what has them.
                let known = view.in_force && self.engine.spec(&spec.name).is_some();
                for (stream, output) in
                    [(Stream::Stdout, &mut view.stdout), (Stream::Stderr, &mut view.stderr)]
                {
                    let none = InstanceName::default();
                    let path = outputs::log_path(&self.settings, spec, &none, stream);
                    if let (true, Some(path)) = (known, path) {
                        output.file = Some(Text::from(path.as_os_str().as_bytes()));
                    }
                }
                views.push(view);
            }
        }
        Ok(Answer::Configured(views))
    }

    /// Puts a group of the configuration, as it was last read, in force.
    pub(super) fn add_group(
        &mut self,
        name: &Text,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Fault> {
        let name = name.lossy().into_owned();
        if self.groups_in_force().contains_key(&name) {
            return Err(Fault::refusal(
                "already-added",
                format!("group {name} is in force already"),
            ));
        }
        if self.programs.pending.is_none() {
            // The daemon that read it has crashed since.
            self.programs.pending = Some(self.read_groups()?);
        }
        let pending = self.programs.pending.as_ref();
        let found = pending.and_then(|all| all.iter().find(|group| group.name == name)).cloned();
        let Some(group) = found else { return Err(unknown(&name)) };
        let taken = group.jobs.iter().find(|spec| self.engine.wanted(&spec.name).is_some());
        if let Some(spec) = taken {
            let why = format!("group {name}: there is a job {} already", spec.name);
            return Err(Fault::refusal("already-added", why));
        }
        for spec in group.jobs {
            self.handle(Input::Define(spec), effects);
        }
        if let Some(pool) = group.pool {
            self.add_pools(vec![pool], effects);
        }
        Ok(Answer::Done)
    }

    /// Forgets a group of which nothing runs.
    pub(super) fn remove_group(
        &mut self,
        name: &Text,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Fault> {
        let name = name.lossy().into_owned();
        let Some(jobs) = self.groups_in_force().remove(&name) else { return Err(unknown(&name)) };
        if jobs.iter().any(|job| self.engine.instances_of(job) > 0) {
            return Err(Fault::refusal("still-running", format!("group {name} still runs")));
        }
        for job in jobs {
            self.handle(Input::Remove(job), effects);
        }
        self.remove_pool(&name);
        Ok(Answer::Done)
    }

    /// Leaves out what has the name of a job that is no program, and says so.
    pub(super) fn without_those_taken(&self, mut groups: Vec<Group>) -> Vec<Group> {
        let is_job = |name: &JobName| {
            self.engine.wanted(name).is_some_and(|spec| spec.policy.order.is_none())
        };
        for group in &mut groups {
            group.jobs.retain(|spec| {
                let taken = is_job(&spec.name);
                if taken {
                    let name = &spec.name;
                    let line = format!("program {name}: there is a job of that name, which stays; give the program another");
                    self.say(Level::Error, &line);
                }
                !taken
            });
        }
        groups
    }

    /// Reads configurations that run beside jobs again, as their files are: what is new becomes known and
    /// starts if it does so by itself, what has changed is in force from its next start, what is gone is
    /// forgotten once it has ended.
    pub(super) fn reload_programs(&mut self, effects: &mut Vec<Effect>) {
        if self.settings.programs.is_empty() || self.settings.options.mode == Mode::Supervisord {
            return;
        }
        if self.applying.holds() {
            return self.applying.miss();
        }
        let groups = match self.read_groups() {
            Ok(groups) => self.without_those_taken(groups),
            Err(fault) => return self.say(Level::Error, &fault.to_string()),
        };
        let force = self.groups_in_force().into_values().flatten();
        let wanted = |name: JobName| Some((name.clone(), self.engine.wanted(&name)?.clone()));
        let old: Jobs = force.filter_map(wanted).collect();
        let jobs = groups.iter().flat_map(|group| &group.jobs);
        let new: Jobs = jobs.map(|spec| (spec.name.clone(), spec.clone())).collect();
        let plan = plan::diff(&old, &new);
        plan.steps.iter().for_each(|step| self.say(Level::Debug, &step.to_string()));
        plan.inputs().for_each(|input| self.handle(input, effects));
        self.programs.pending = Some(groups);
    }

    /// Reads the configurations again for one program, which is then as its section says. Others are left
    /// alone until somebody updates them, and so is one that is not there any more.
    pub(super) fn read_program_again(
        &mut self,
        name: &JobName,
        untouched: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Fault> {
        let groups = self.read_groups().map_err(|fault| {
            let what = format!("Configuration cannot be used: {name}{untouched}");
            unusable(name, &what, &fault.to_string())
        })?;
        let found = groups.iter().flat_map(|group| &group.jobs).find(|spec| spec.name == *name);
        if let Some(spec) = found.filter(|spec| self.engine.wanted(name) != Some(*spec)) {
            self.handle(Input::Define(spec.clone()), effects);
        }
        Ok(())
    }

    fn read_groups(&self) -> Result<Vec<Group>, Fault> {
        let given = &self.settings.programs;
        if given.is_empty() {
            return Err(none());
        }
        if self.applying.holds() {
            let why = "somebody is writing these files; try again when that is done";
            return Err(Fault::refusal("held", why.into()));
        }
        let mut all: Vec<Group> = Vec::new();
        for given in given {
            let config = given.read().map_err(|why| Fault::refusal("unreadable", why))?;
            let (groups, _) = groups_of(&config);
            let new = groups.into_iter().filter(|group| all.iter().all(|g| g.name != group.name));
            let new: Vec<Group> = new.collect();
            all.extend(new);
        }
        Ok(all)
    }
}

fn none() -> Fault {
    Fault::Unavailable(String::from("this Upright has no configuration of Supervisor's"))
}

fn unknown(name: &str) -> Fault {
    Fault::refusal("unknown-group", format!("there is no group {name}"))
}

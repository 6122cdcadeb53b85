//! A change of the job files as a value: what there was, what there shall be, and the difference.
//!
//! [`diff`] is pure; a [`Plan`] can be shown before anything is done, and done by handing its inputs
//! to the machine. Doing it starts and stops nothing.

mod keys;
mod outcome;
mod shown;

pub use keys::{changes, Change, Key, Takes, KEYS, NO_KEYS};
pub use outcome::{input, outcome, Fate, Outcome, Run, Starting};
pub use shown::{ChangeView, FateView, PlanRow, RowKind};

use crate::machine::Input;
use crate::names::JobName;
use crate::spec::JobSpec;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Jobs by their names.
pub type Jobs = BTreeMap<JobName, Arc<JobSpec>>;

/// One job's part of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The job becomes known.
    Add(Arc<JobSpec>),
    /// The job has another description: at once where nothing of it runs, else when that has ended.
    Change(Arc<JobSpec>, Vec<Change>),
    /// The job is forgotten, once nothing of it runs.
    Remove(JobName),
}

/// What has to be done, in the order of the jobs' names; what is removed first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

/// Returns what leads from the old jobs to the new ones.
pub fn diff(old: &Jobs, new: &Jobs) -> Plan {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let mut steps: Vec<Step> = gone.cloned().map(Step::Remove).collect();
    for (name, spec) in new {
        match old.get(name) {
            None => steps.push(Step::Add(spec.clone())),
            Some(before) if before == spec => {}
            Some(before) => steps.push(Step::Change(spec.clone(), changes(before, spec))),
        }
    }
    Plan { steps }
}

impl Plan {
    /// Returns what the machine is told.
    pub fn inputs(self) -> impl Iterator<Item = Input> {
        self.steps.into_iter().map(|step| input(&step, &[]))
    }

    /// Reports whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Step {
    /// Returns the job that it is about.
    pub fn name(&self) -> &JobName {
        match self {
            Step::Add(spec) | Step::Change(spec, _) => &spec.name,
            Step::Remove(name) => name,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Add(spec) => write!(f, "+ {}", spec.name),
            Step::Change(spec, changes) => {
                write!(f, "~ {}", spec.name)?;
                let mut between = ": ";
                for change in changes {
                    write!(f, "{between}{change}")?;
                    between = ", ";
                }
                Ok(())
            }
            Step::Remove(name) => write!(f, "- {name}"),
        }
    }
}

impl fmt::Display for Plan {
    /// One line for each step, each with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::upstart::parse;
    use alloc::string::ToString;

    pub(super) fn jobs(files: &[(&str, &str)]) -> Jobs {
        let job = |(name, text): &(&str, &str)| {
            let name = JobName::try_from(*name).unwrap();
            (name.clone(), Arc::new(parse(name, text.as_bytes()).spec))
        };
        files.iter().map(job).collect()
    }

    fn check(old: &[(&str, &str)], new: &[(&str, &str)], plan: &str) {
        assert_eq!(diff(&jobs(old), &jobs(new)).to_string(), plan);
    }

    #[test]
    fn a_plan_names_what_comes_what_goes_and_the_parts_that_change() {
        let old = [("db", "exec a\n"), ("old", "exec a\n"), ("web", "exec a\nnice 3\n")];
        let new = [("db", "exec a\n"), ("new", "exec a\n"), ("web", "exec b\nstart on x\n")];
        check(
            &old,
            &new,
            "- old\n+ new\n~ web: exec: a -> b, start on: none -> x, nice: 3 -> none\n",
        );
        check(&new, &new, "");
    }

    /// Of each stanza there is a file that says something other than an empty one.
    #[test]
    fn every_stanza_is_a_key_by_its_own_words() {
        let files = [
            ("description x", "description: none -> x"),
            ("author x", "author: none -> x"),
            ("version x", "version: none -> x"),
            ("usage x", "usage: none -> x"),
            ("emits x y", "emits: none -> x y"),
            ("pre-start exec x", "pre-start exec: none -> x"),
            ("check exec x", "check exec: none -> x"),
            ("check timeout 3", "check timeout: none -> 3s"),
            ("kill timeout 7", "kill timeout: 5s -> 7s"),
            ("stop on a or b", "stop on: none -> (a or b)"),
            ("env A=b\nenv C", "env A: none -> b, env C: none -> Upright's own"),
            (
                "respawn\nrespawn limit unlimited",
                "respawn: never -> failed, respawn limit: 10 in 5s -> unlimited",
            ),
            ("normal exit 1 TERM", "normal exit: none -> 1 TERM"),
            ("limit nofile 10 unlimited", "limit: none -> nofile 10 unlimited"),
            ("console none", "console: default -> none"),
        ];
        for (text, expected) in files {
            let old = jobs(&[("web", "")]);
            let new = jobs(&[("web", &format!("{text}\n"))]);
            assert_eq!(diff(&old, &new).to_string(), format!("~ web: {expected}\n"));
        }
    }

    /// No field of a description is without its key.
    #[test]
    fn whatever_differs_has_a_key() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialect");
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("stanza-") || !name.ends_with(".conf") {
                continue;
            }
            let text = std::fs::read(&path).unwrap();
            let job = JobName::try_from("web").unwrap();
            let (old, new) = (JobSpec::new(job.clone()), parse(job, &text).spec);
            assert_eq!(old == new, changes(&old, &new).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_variable_differs_by_itself() {
        let (old, new) = ("env A=1\nenv B=2\nenv C=3\n", "env C=3\nenv B=4\n");
        check(&[("a", old)], &[("a", new)], "~ a: env A: 1 -> none, env B: 2 -> 4\n");
        let (old, new) = ("env A=1\nenv B=$A\n", "env B=$A\nenv A=1\n");
        check(&[("a", old)], &[("a", new)], "~ a: env: A B -> B A\n");
    }

    /// One who writes a stanza or an option finds here when a change of it takes effect.
    #[test]
    fn every_stanza_and_every_option_of_programs_has_a_key_with_when_it_takes_effect() {
        use crate::dialect::supervisord::{Kind, OPTIONS};
        use crate::dialect::upstart::STANZAS;
        // Those that no file may have say nothing.
        let stanzas = STANZAS.iter().filter(|row| !row.source.contains("ChromeOS"));
        for words in stanzas.map(|row| row.words) {
            let says = |key: &&Key| key.words == words || key.also.contains(&words);
            assert_eq!(KEYS.iter().filter(says).count(), 1, "stanza {words}");
        }
        const OF_PROGRAMS: &[Kind] = &[Kind::Group, Kind::Listener, Kind::FastCgi, Kind::Program];
        for row in OPTIONS.iter().filter(|row| OF_PROGRAMS.contains(&row.section)) {
            let keys = KEYS.iter().filter(|key| key.options.contains(&row.key)).count();
            assert_eq!(keys + usize::from(NO_KEYS.contains(&row.key)), 1, "option {}", row.key);
        }
        for key in KEYS {
            for words in key.also {
                assert!(STANZAS.iter().any(|row| row.words == *words), "{words} is no stanza");
            }
            for option in key.options {
                let there = OPTIONS.iter().any(|row| row.key == *option);
                assert!(there, "{option} is no option");
            }
        }
    }

    #[test]
    fn a_comment_is_no_change() {
        check(&[("a", "exec a\n")], &[("a", "# more\nexec   a\n")], "");
    }

    #[test]
    fn after_the_inputs_of_a_plan_there_is_nothing_left_to_do() {
        use crate::machine::{Config, Engine};
        use crate::time::Mono;
        let (old, new) = (jobs(&[("a", "exec a\n"), ("b", "")]), jobs(&[("b", "exec b\n")]));
        let mut engine = Engine::new(Config::default());
        for goal in [&old, &new] {
            let had = engine.job_names().cloned().collect::<Vec<_>>();
            let had = had.into_iter().filter_map(|n| Some((n.clone(), engine.wanted(&n)?.clone())));
            let plan = diff(&had.collect(), goal);
            plan.inputs().for_each(|input| engine.handle(Mono(1), input, &mut Vec::new()));
            let has = goal.iter().all(|(name, spec)| engine.wanted(name) == Some(spec));
            assert!(has && engine.job_count() == goal.len());
        }
    }
}

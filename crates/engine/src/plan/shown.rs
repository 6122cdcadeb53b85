//! A plan as clients are shown it: rows, as many as there are.

use super::keys::{Change, Takes};
use super::outcome::{Fate, Outcome};
use crate::dialect::Diagnostic;
use crate::names::InstanceName;
use crate::process::Pid;
use crate::text::Text;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a row of a plan is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    /// A job that there is not yet.
    Add,
    /// A job that will be described otherwise.
    Change,
    /// A job that will be forgotten.
    Remove,
    /// A file that cannot be used.
    Broken,
    /// How many jobs stay as they are.
    Untouched,
    /// A job that is essential and stays as it is.
    Essential,
}

/// A row of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRow {
    /// What it is about.
    pub kind: RowKind,
    /// The job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Text>,
    /// Whether the job is a program of Supervisor's configuration.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub program: bool,
    /// The files that say so; of a broken one that alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Text>,
    /// The section of the configuration that the job is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The keys that change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeView>,
    /// What becomes of its instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<FateView>,
    /// When a new job starts by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_on: Option<String>,
    /// What is wrong with a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<Diagnostic>,
    /// Why it cannot be used, where no place of it is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl PlanRow {
    /// Returns a row that says nothing yet.
    pub fn new(kind: RowKind) -> PlanRow {
        PlanRow {
            kind,
            job: None,
            program: false,
            files: Vec::new(),
            section: None,
            changes: Vec::new(),
            instances: Vec::new(),
            start_on: None,
            mistakes: Vec::new(),
            why: None,
            count: None,
        }
    }
}

/// A key that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// What it is called in the job's file.
    pub key: String,
    /// Other names that it may have there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// What it says before; none where that may not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it says now; none where that may not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// When that can take effect.
    pub takes: Takes,
}

/// What becomes of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FateView {
    /// The instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceName>,
    /// What becomes of it.
    pub fate: Fate,
    /// The main process that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<Pid>,
}

impl ChangeView {
    /// Returns what a caller is shown of a change; values of variables where `values` says so.
    pub fn of(change: Change, of_program: bool, values: bool) -> ChangeView {
        let key = change.name(of_program);
        let shown = values || !change.is_secret();
        let also: &[&str] = match (of_program, &change.variable) {
            (true, None) => change.key.options,
            (false, None) => change.key.also,
            (_, Some(_)) => &[],
        };
        let also = also.iter().filter(|name| **name != key).map(|name| String::from(*name));
        let takes = change.key.takes;
        let (also, old, new) = (also.collect(), change.old, change.new);
        ChangeView { key, also, old: shown.then_some(old), new: shown.then_some(new), takes }
    }
}

impl From<Outcome> for FateView {
    fn from(outcome: Outcome) -> FateView {
        let Outcome { instance, fate, pid } = outcome;
        let instance = (!instance.text().is_empty()).then_some(instance);
        FateView { instance, fate, pid }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::jobs;
    use super::super::{diff, Step};
    use super::*;

    #[test]
    fn who_may_not_see_variables_is_shown_their_names_alone() {
        let (old, new) = (jobs(&[("a", "env A=1\nexec a\n")]), jobs(&[("a", "env A=2\nexec b\n")]));
        let steps = diff(&old, &new).steps;
        let Step::Change(_, changes) = &steps[0] else { panic!("no change") };
        let shown = |values| -> Vec<(String, Option<String>)> {
            let views = changes.iter().map(|one| ChangeView::of(one.clone(), false, values));
            views.map(|view| (view.key, view.new)).collect()
        };
        let some = |text: &str| Some(String::from(text));
        let key = |text: &str| String::from(text);
        assert_eq!(shown(true), [(key("exec"), some("b")), (key("env A"), some("2"))]);
        assert_eq!(shown(false), [(key("exec"), some("b")), (key("env A"), None)]);
    }
}

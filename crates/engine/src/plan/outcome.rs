//! What becomes of what runs when a step of a plan is taken.

use super::keys::Takes;
use super::Step;
use crate::machine::state::{Goal, State};
use crate::machine::Input;
use crate::names::InstanceName;
use crate::process::Pid;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An instance as a plan finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub instance: InstanceName,
    /// What is wanted of it.
    pub goal: Goal,
    /// Where it is.
    pub state: State,
    /// Its main process.
    pub pid: Option<Pid>,
}

/// What becomes of an instance, or of a job that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is started, as its description says that it starts by itself.
    Starts,
    /// Its process is replaced.
    Restarts,
    /// It is stopped.
    Stops,
    /// It keeps its process, and goes on by the new description.
    GoesOn,
    /// It keeps its process and the old description, until it is stopped.
    Waits,
    /// It does not run, and is not started.
    Rests,
}

/// What becomes of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The instance; of a job that has none the one without a name.
    pub instance: InstanceName,
    /// What becomes of it.
    pub fate: Fate,
    /// The main process that it has.
    pub pid: Option<Pid>,
}

/// Whether something is started, where its description says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starting {
    /// It may be.
    May,
    /// An operator keeps it from being started by itself.
    NotByItself,
    /// Nothing starts it.
    Never,
}

/// Returns what becomes of a job's instances.
pub fn outcome(step: &Step, runs: &[Run], starting: Starting) -> Vec<Outcome> {
    let none = |fate| Vec::from([Outcome { instance: InstanceName::default(), fate, pid: None }]);
    let each = |fate: &dyn Fn(&Run) -> Fate| {
        let wanted = |run: &Run| match run.goal {
            Goal::Start => fate(run),
            Goal::Stop => Fate::Rests,
        };
        let outcome =
            |run: &Run| Outcome { instance: run.instance.clone(), fate: wanted(run), pid: run.pid };
        runs.iter().map(outcome).collect()
    };
    match step {
        Step::Add(spec) if spec.policy.autostart && starting == Starting::May => none(Fate::Starts),
        Step::Add(_) => none(Fate::Rests),
        Step::Change(..) | Step::Remove(_) if runs.is_empty() => none(Fate::Rests),
        Step::Remove(_) => each(&|_| Fate::Stops),
        Step::Change(_, changes) => {
            let takes = changes.iter().map(|change| change.key.takes).max();
            let alone = runs.len() == 1;
            // The description is one for all of them.
            let steady = runs.iter().all(Run::is_steady);
            each(&|_| match takes.unwrap_or(Takes::AtOnce) {
                Takes::AtOnce if steady => Fate::GoesOn,
                Takes::Restart if alone && starting != Starting::Never => Fate::Restarts,
                // One that is on its way has done some of it by the old description.
                Takes::AtOnce | Takes::Restart | Takes::Stop => Fate::Waits,
            })
        }
    }
}

/// Returns what the machine is told so that a step is taken with these outcomes: what goes on by a new
/// description has it put in the place of the old one.
pub fn input(step: &Step, outcomes: &[Outcome]) -> Input {
    match step {
        Step::Change(spec, _) if outcomes.iter().any(|one| one.fate == Fate::GoesOn) => {
            Input::Revise(spec.clone())
        }
        Step::Add(spec) | Step::Change(spec, _) => Input::Define(spec.clone()),
        Step::Remove(name) => Input::Remove(name.clone()),
    }
}

impl Run {
    /// Reports whether it is neither on its way up nor down.
    pub fn is_steady(&self) -> bool {
        self.goal == Goal::Start && self.state == State::Running
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::jobs;
    use super::super::{diff, Plan};
    use super::*;
    use alloc::format;

    fn run(name: &str, goal: Goal, state: State) -> Run {
        Run { instance: InstanceName::try_from(name).unwrap(), goal, state, pid: Some(7) }
    }

    #[track_caller]
    fn check(old: &str, new: &str, runs: &[Run], starting: Starting, expected: &[Fate]) {
        let files = |text: &'static str| jobs(&[("web", text)]);
        let leak = |text: &str| -> &'static str { format!("{text}\n").leak() };
        let Plan { steps } = diff(&files(leak(old)), &files(leak(new)));
        let fates: Vec<Fate> =
            outcome(&steps[0], runs, starting).into_iter().map(|outcome| outcome.fate).collect();
        assert_eq!(fates, expected, "{old} -> {new}");
    }

    #[test]
    fn what_the_process_was_made_with_restarts_it_and_what_the_machine_decides_by_does_not() {
        let up = [run("", Goal::Start, State::Running)];
        check("exec a", "exec b", &up, Starting::May, &[Fate::Restarts]);
        check("exec a", "exec a\nkill timeout 9", &up, Starting::May, &[Fate::GoesOn]);
        check("exec a", "exec b\nkill timeout 9", &up, Starting::May, &[Fate::Restarts]);
        check("exec a", "exec a\ninstance $X", &up, Starting::May, &[Fate::Waits]);
    }

    #[test]
    fn what_does_not_run_is_not_started() {
        check("exec a", "exec b", &[], Starting::May, &[Fate::Rests]);
        let ending = [run("", Goal::Stop, State::Killed)];
        check("exec a", "exec b", &ending, Starting::May, &[Fate::Rests]);
    }

    #[test]
    fn what_nothing_may_start_is_not_restarted() {
        let up = [run("", Goal::Start, State::Running)];
        check("exec a", "exec b", &up, Starting::Never, &[Fate::Waits]);
        check("exec a", "exec b", &up, Starting::NotByItself, &[Fate::Restarts]);
    }

    #[test]
    fn one_that_is_on_its_way_goes_it_by_the_old_and_several_share_one_description() {
        let on_its_way = [run("", Goal::Start, State::PreStart)];
        check("exec a", "exec a\nkill timeout 9", &on_its_way, Starting::May, &[Fate::Waits]);
        check("exec a", "exec b", &on_its_way, Starting::May, &[Fate::Restarts]);
        let two = [run("1", Goal::Start, State::Running), run("2", Goal::Start, State::Running)];
        check("exec a", "exec b", &two, Starting::May, &[Fate::Waits, Fate::Waits]);
        check("exec a", "exec a\nnormal exit 3", &two, Starting::May, &[Fate::GoesOn; 2]);
        let mixed = [run("1", Goal::Start, State::Running), run("2", Goal::Stop, State::Killed)];
        let expected = [Fate::Waits, Fate::Rests];
        check("exec a", "exec a\nnormal exit 3", &mixed, Starting::May, &expected);
    }
}

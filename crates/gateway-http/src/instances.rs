//! Every instance with what control says of it, in both vocabularies.

use crate::control::Control;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::control::fault::Fault;
use engine::control::{Goal, InstanceView, State, Target, Which};
use engine::process::{Pid, Role};
use engine::view::{LastExit, ProgramState, ProgramView};
use std::collections::BTreeMap;

/// What Upright's own jobs are called: nobody's.
pub const OWN: &str = "upright/";

/// An instance, or a job that has none.
#[derive(Clone, Debug)]
pub struct Instance {
    /// What it is called here: `JOB`, `GROUP:PROCESS` or `JOB:INSTANCE`.
    pub name: String,
    /// In Upright's words.
    pub view: InstanceView,
    /// In Supervisor's words; nothing for an instance that has a name of its own.
    pub program: Option<ProgramView>,
}

/// How an instance is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It runs.
    Running,
    /// It is on its way there, or waits to be started again.
    Starting,
    /// It is on its way to rest.
    Stopping,
    /// It does not run, and its last run went wrong.
    Failed,
    /// It does not run.
    Stopped,
}

impl Health {
    /// Every health with its word.
    pub const TABLE: [(Health, &'static str); 5] = [
        (Health::Running, "running"),
        (Health::Starting, "starting"),
        (Health::Stopping, "stopping"),
        (Health::Failed, "failed"),
        (Health::Stopped, "stopped"),
    ];
}

/// Returns all instances of these jobs, by name.
pub async fn all(control: &Control, listed: Listed) -> Result<Vec<Instance>, Fault> {
    let mut answers =
        control.ask_all(&[Call::List(None, listed), Call::Programs(None)]).await?.into_iter();
    let views = match answers.next() {
        Some(Ok(Answer::Instances(views))) => views,
        Some(Err(fault)) => return Err(fault),
        Some(Ok(_)) | None => Vec::new(),
    };
    let programs = match answers.next() {
        Some(Ok(Answer::Programs(programs))) => programs,
        Some(Err(fault)) => return Err(fault),
        Some(Ok(_)) | None => Vec::new(),
    };
    Ok(joined(views, programs))
}

/// Puts together what is said of the same.
pub fn joined(views: Vec<InstanceView>, programs: Vec<ProgramView>) -> Vec<Instance> {
    let programs = programs.into_iter().map(|program| (program.job.clone(), program));
    let mut programs: BTreeMap<_, _> = programs.collect();
    let mut all: Vec<Instance> = Vec::with_capacity(views.len());
    for view in views {
        let unnamed = view.instance.text().is_empty();
        let program = if unnamed { programs.remove(&view.job) } else { None };
        let job = view.job.text().lossy();
        let name = match &program {
            Some(program) if program.group != program.process => {
                format!("{}:{}", program.group.lossy(), program.process.lossy())
            }
            Some(_) => job.into_owned(),
            None if unnamed => job.into_owned(),
            None => format!("{job}:{}", view.instance.text().lossy()),
        };
        all.push(Instance { name, view, program });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Instance {
    /// Returns how it is.
    pub fn health(&self) -> Health {
        let view = &self.view;
        match (view.goal, view.state) {
            (Goal::Start, State::Running) => Health::Running,
            (Goal::Start, _) => Health::Starting,
            (Goal::Stop, State::Waiting) if self.went_wrong() => Health::Failed,
            (Goal::Stop, State::Waiting) => Health::Stopped,
            (Goal::Stop, _) => Health::Stopping,
        }
    }

    /// Reports whether the last run went wrong: it was not asked to end, and ended as it should not.
    fn went_wrong(&self) -> bool {
        let never_ran = matches!(&self.view.last_exit, Some((LastExit::NotSpawned { .. }, _)));
        let program = self.program.as_ref();
        never_ran || program.is_some_and(|program| !program.spawn_error.is_empty())
    }

    /// Returns the state that Supervisor has for it.
    pub fn state(&self) -> ProgramState {
        match &self.program {
            Some(program) => program.state,
            None => match self.health() {
                Health::Running => ProgramState::Running,
                Health::Starting => ProgramState::Starting,
                Health::Stopping => ProgramState::Stopping,
                Health::Failed => ProgramState::Fatal,
                Health::Stopped => ProgramState::Stopped,
            },
        }
    }

    /// Returns what control calls it.
    pub fn target(&self) -> Target {
        let which = if self.view.instance.text().is_empty() {
            Which::Env(Vec::new())
        } else {
            Which::Named(self.view.instance.clone())
        };
        Target { job: self.view.job.text().clone(), which }
    }

    /// Returns its main process.
    pub fn main(&self) -> Option<Pid> {
        let mut processes = self.view.processes.iter();
        processes.find(|(role, _)| *role == Role::Main).map(|(_, pid)| *pid)
    }

    /// Reports whether it is one of Upright's own.
    pub fn is_own(&self) -> bool {
        self.view.job.text().bytes().starts_with(OWN.as_bytes())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use engine::control::command::Command;

    /// Reads what the daemon says of instances and programs, as it travels.
    pub fn read(instances: &str, programs: &str) -> Vec<Instance> {
        let body = |name: &str, list: &str| format!(r#"{{"parameters":{{"{name}":[{list}]}}}}"#);
        let views = Answer::decode(Command::List, body("instances", instances).as_bytes());
        let programs = Answer::decode(Command::Programs, body("programs", programs).as_bytes());
        match (views.unwrap().0, programs.unwrap().0) {
            (Answer::Instances(views), Answer::Programs(programs)) => joined(views, programs),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_instance_is_called_as_clients_of_supervisor_call_it() {
        let all = read(
            r#"{"job":"web","goal":"start","state":"running","age":1},
               {"job":"tty","instance":"tty1","goal":"start","state":"pre-start","age":1},
               {"job":"app:one","goal":"stop","state":"waiting","age":1}"#,
            r#"{"job":"web","group":"web","process":"web","state":"RUNNING","code":20,"failures":0},
               {"job":"app:one","group":"app","process":"one","state":"FATAL","code":200,
                "spawn_error":"Exited too quickly","failures":4}"#,
        );
        let shown: Vec<_> = all
            .iter()
            .map(|one| format!("{} {:?} {}", one.name, one.health(), one.state().name()))
            .collect();
        assert_eq!(
            shown,
            ["app:one Failed FATAL", "tty:tty1 Starting STARTING", "web Running RUNNING"]
        );
    }
}

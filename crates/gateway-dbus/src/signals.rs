//! What happens, as signals. Source: spec 12, Signals.

use crate::faces::{Face, INSTANCE, JOB, ROOT};
use crate::objects;
use crate::value::Value;
use engine::control::{Exit, Failure, Goal, InstanceName, JobChange, JobName, State, What};
use zbus::message::Message;

/// A signal.
#[derive(Debug)]
pub struct Signal {
    /// The object that it is of.
    pub path: String,
    /// Its interface.
    pub interface: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub value: Value,
}

impl Signal {
    fn of_root(name: &'static str, value: Value) -> Signal {
        Signal::of(String::from(objects::ROOT), &ROOT, name, value)
    }

    fn of(path: String, face: &Face, name: &'static str, value: Value) -> Signal {
        Signal { path, interface: face.name, name, value }
    }

    /// Returns the message.
    pub fn message(&self) -> zbus::Result<Message> {
        self.value.message(Message::signal(self.path.as_str(), self.interface, self.name))
    }
}

/// Returns the signals that a notice is, in their order.
pub fn signals(what: &What) -> Vec<Signal> {
    match what {
        What::Event { name, env, .. } => {
            // How a job is told of a descriptor is no part of the event.
            let own = env.iter().filter(|row| !row.bytes().starts_with(b"UPSTART_FDS="));
            let env = own.map(|row| row.to_string()).collect();
            let value = Value::TextAndTexts(name.to_string(), env);
            vec![Signal::of_root("EventEmitted", value)]
        }
        What::Goal { job, instance, goal, state, cause: _ } => {
            let changed = of_instance(job, instance, "GoalChanged", Value::Text(goal.to_string()));
            let new = *goal == Goal::Start && *state == State::Waiting;
            new.then(|| of_job(job, instance, "InstanceAdded"))
                .into_iter()
                .chain([changed])
                .collect()
        }
        What::State { job, instance, goal: _, from: _, to } => {
            let changed = of_instance(job, instance, "StateChanged", Value::Text(to.to_string()));
            let gone = *to == State::Waiting;
            let gone = gone.then(|| of_job(job, instance, "InstanceRemoved"));
            [changed].into_iter().chain(gone).collect()
        }
        What::Failed { job, instance, failure } => {
            vec![of_instance(job, instance, "Failed", Value::Number(status(failure)))]
        }
        What::Job { job, change } => {
            let name = match change {
                JobChange::Added => "JobAdded",
                JobChange::Removed => "JobRemoved",
            };
            vec![Signal::of_root(name, Value::Path(objects::of_job(job.text())))]
        }
        What::Restarted => vec![Signal::of_root("Restarted", Value::Nothing)],
        // The same is told in Upstart's words.
        What::Program(_) => Vec::new(),
    }
}

fn of_job(job: &JobName, instance: &InstanceName, name: &'static str) -> Signal {
    let value = Value::Path(objects::of_instance(job.text(), instance));
    Signal::of(objects::of_job(job.text()), &JOB, name, value)
}

fn of_instance(job: &JobName, instance: &InstanceName, name: &'static str, value: Value) -> Signal {
    Signal::of(objects::of_instance(job.text(), instance), &INSTANCE, name, value)
}

/// Source: job_failed of Upstart 1.13.2: an exit code, or a signal times 256, or -1 where there was no
/// process.
fn status(failure: &Failure) -> i32 {
    match failure {
        Failure::Ended(_, exit) | Failure::Timeout(_, Some(exit)) => match exit {
            Exit::Status(status) => i32::from(*status),
            Exit::Signal { signal, .. } => i32::from(*signal) << 8,
            // KILL.
            Exit::OutOfMemory => 9 << 8,
            Exit::Unknown => -1,
        },
        Failure::RespawnLimit | Failure::StartRetries => 0,
        Failure::NotSpawned(..) | Failure::Timeout(_, None) | Failure::Unkillable(_) => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::Text;

    fn told(what: &What) -> Vec<(String, String)> {
        let all = signals(what);
        for signal in &all {
            let face = [&ROOT, &JOB, &INSTANCE].into_iter().find(|f| f.name == signal.interface);
            let row = face.unwrap().signals.iter().find(|row| row.name == signal.name).unwrap();
            let signature: String = row.tells.iter().map(|arg| arg.1).collect();
            let message = signal.message().unwrap();
            assert_eq!(message.header().signature().to_string_no_parens(), signature);
        }
        all.into_iter().map(|signal| (signal.path, String::from(signal.name))).collect()
    }

    #[test]
    fn every_notice_is_the_signals_that_the_table_describes() {
        let job = JobName::try_from("a-b").unwrap();
        let instance = InstanceName::try_from("x").unwrap();
        let of_job = String::from("/com/ubuntu/Upstart/jobs/a_2db");
        let of_instance = format!("{of_job}/x");
        let goal = |state| What::Goal {
            job: job.clone(),
            instance: instance.clone(),
            goal: Goal::Start,
            state,
            cause: String::new(),
        };
        let first = [(of_job.clone(), "InstanceAdded"), (of_instance.clone(), "GoalChanged")];
        let named = |rows: &[(String, &str)]| -> Vec<(String, String)> {
            rows.iter().map(|(path, name)| (path.clone(), String::from(*name))).collect()
        };
        assert_eq!(told(&goal(State::Waiting)), named(&first));
        assert_eq!(told(&goal(State::PostStop)), named(&first[1..]));
        let state = |to| What::State {
            job: job.clone(),
            instance: instance.clone(),
            goal: Goal::Stop,
            from: State::PostStop,
            to,
        };
        let last = [(of_instance.clone(), "StateChanged"), (of_job, "InstanceRemoved")];
        assert_eq!(told(&state(State::Waiting)), named(&last));
        assert_eq!(told(&state(State::Killed)), named(&last[..1]));
        let failure = Failure::Ended(engine::process::Role::Main, Exit::Status(3));
        let failed = What::Failed { job: job.clone(), instance, failure };
        assert_eq!(told(&failed), named(&[(of_instance, "Failed")]));
        let root = String::from(objects::ROOT);
        for (change, name) in [(JobChange::Added, "JobAdded"), (JobChange::Removed, "JobRemoved")] {
            let what = What::Job { job: job.clone(), change };
            assert_eq!(told(&what), named(&[(root.clone(), name)]));
        }
        let name = Text::from("up").try_into().unwrap();
        let event =
            What::Event { name, env: vec![Text::from("A=1")], failed: false, cause: String::new() };
        assert_eq!(told(&event), named(&[(root.clone(), "EventEmitted")]));
        assert_eq!(told(&What::Restarted), named(&[(root, "Restarted")]));
    }

    #[test]
    fn a_failure_is_told_as_a_number_as_upstart_did() {
        let main = engine::process::Role::Main;
        let killed = Exit::Signal { signal: 9, core: false };
        assert_eq!(status(&Failure::Ended(main, killed)), 9 << 8);
        assert_eq!(status(&Failure::RespawnLimit), 0);
        assert_eq!(status(&Failure::Unkillable(main)), -1);
    }
}

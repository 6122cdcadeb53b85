//! What a turn changed, as it goes into the journal, and the machine made from it again.

use super::check::Check;
use super::event::Event;
use super::instance::Instance;
use super::job::Job;
use super::request::RequestId;
use super::requests::{Answered, Pending};
use super::{Config, Engine, EventId, Globals, History, Remembering};
use crate::intent::Intended;
use crate::names::{InstanceName, JobName};
use crate::process::InstanceId;
use crate::text::Text;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Entries that were touched; nothing stands for one that is gone.
type Touched<K, V> = Vec<(K, Option<V>)>;

/// What changed since the last record, or everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    globals: Globals,
    jobs: Touched<JobName, Job>,
    instances: Touched<InstanceId, Instance>,
    events: Touched<EventId, Event>,
    requests: Touched<RequestId, Pending>,
    answers: Touched<u64, Answered>,
    variables: Touched<(), Vec<Text>>,
    remembered: Vec<Remembering>,
    histories: Vec<((JobName, InstanceName), History)>,
    #[serde(default)]
    intents: Touched<JobName, Intended>,
    #[serde(default)]
    checks: Touched<InstanceId, Check>,
}

impl Changes {
    /// Reports whether no entry has changed. The globals change only with entries or effects, but
    /// for the level that [`Engine::hear`] sets.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
            && self.instances.is_empty()
            && self.events.is_empty()
            && self.requests.is_empty()
            && self.answers.is_empty()
            && self.variables.is_empty()
            && self.remembered.is_empty()
            && self.histories.is_empty()
            && self.intents.is_empty()
            && self.checks.is_empty()
    }
}

impl Engine {
    /// Returns what has changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            globals: self.globals.clone(),
            jobs: self.jobs.take_touched(),
            instances: self.instances.take_touched(),
            events: {
                let events = self.events.take_touched();
                #[cfg(feature = "planted")]
                let events = match self.planted(super::Bug::NotJournalled) {
                    true => events
                        .into_iter()
                        .filter(|(_, e)| !e.as_ref().is_some_and(|e| e.failed))
                        .collect(),
                    false => events,
                };
                events
            },
            requests: self.requests.take_touched(),
            answers: self.answers.take_touched(),
            variables: self.variables.take_touched(),
            remembered: core::mem::take(&mut self.remembered),
            histories: Vec::new(),
            intents: self.intents.take_touched(),
            checks: self.checks.take_touched(),
        }
    }

    /// Returns everything, as changes from nothing.
    pub fn snapshot(&self) -> Changes {
        Changes {
            globals: self.globals.clone(),
            jobs: self.jobs.everything(),
            instances: self.instances.everything(),
            events: self.events.everything(),
            requests: self.requests.everything(),
            answers: self.answers.everything(),
            variables: self.variables.everything(),
            remembered: Vec::new(),
            histories: self.histories.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            intents: self.intents.everything(),
            checks: self.checks.everything(),
        }
    }

    /// Returns the machine that a snapshot and the changes after it make.
    pub fn restore(config: Config, records: impl IntoIterator<Item = Changes>) -> Engine {
        let mut engine = Engine::new(config);
        for changes in records {
            engine.globals = changes.globals;
            engine.jobs.apply(changes.jobs);
            engine.instances.apply(changes.instances);
            engine.events.apply(changes.events);
            engine.requests.apply(changes.requests);
            engine.answers.apply(changes.answers);
            engine.variables.apply(changes.variables);
            engine.intents.apply(changes.intents);
            engine.checks.apply(changes.checks);
            engine.histories.extend(changes.histories);
            for remembering in changes.remembered {
                match remembering {
                    Remembering::Entry(job, name, entry) => {
                        engine.histories.entry((job, name)).or_default().add(entry.at, entry.note);
                    }
                    Remembering::Forget(job) => engine.forget_histories(&job),
                    Remembering::ForgetInstance(job, name) => {
                        engine.histories.remove(&(job, name));
                    }
                }
            }
        }
        engine.now = engine.globals.now;
        engine.index();
        engine
    }
}

//! What a subscriber is told as it happens.

use crate::machine::state::{Goal, State};
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{Exit, Role};
use crate::text::Text;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Counts up by one from the start of the engine; a stream is resumed after one of these.
    pub sequence: u64,
    /// How many notices before this one the subscriber has lost for good.
    pub missed: u64,
    /// What happened.
    pub kind: NoticeKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// An event is being handled.
    Event {
        /// Its name.
        name: EventName,
        /// Its `KEY=VALUE`s.
        env: Vec<Text>,
    },
    /// An instance is in another state.
    StateChanged {
        /// The job.
        job: JobName,
        /// The instance.
        instance: InstanceName,
        /// What is wanted of it.
        goal: Goal,
        /// Where it was.
        from: State,
        /// Where it is.
        to: State,
    },
    /// A process of an instance ended.
    Exited {
        /// The job.
        job: JobName,
        /// The instance.
        instance: InstanceName,
        /// Which process.
        process: Role,
        /// How.
        exit: Exit,
    },
    /// There is a job of that name now, or another description of it.
    JobAdded(JobName),
    /// There is no job of that name any more.
    JobRemoved(JobName),
}

impl Notice {
    /// Returns the notice for those who may not read values: `KEY=VALUE` becomes `KEY`.
    pub fn without_values(&self) -> Notice {
        let mut notice = self.clone();
        if let NoticeKind::Event { env, .. } = &mut notice.kind {
            for row in env {
                if let Some(end) = row.bytes().iter().position(|b| *b == b'=') {
                    *row = Text::from(row.bytes().get(..end).unwrap_or_default());
                }
            }
        }
        notice
    }
}

//! A job as the machine keeps it: its description and how far its start condition is met.

use crate::machine::condition::Matches;
use crate::spec::JobSpec;
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// A registered job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The description in force.
    pub spec: Arc<JobSpec>,
    /// What becomes of the job when its last instance is gone.
    pub next: Next,
    /// How far `start on` is met.
    pub start: Matches,
}

/// What becomes of a job when its last instance is gone. Source: spec 2.4, reload semantics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// It stays as it is.
    Same,
    /// Its file has changed meanwhile.
    Changed(Arc<JobSpec>),
    /// Its file is gone.
    Removed,
}

impl Job {
    /// Returns a job of this description whose condition has matched nothing.
    pub fn new(spec: Arc<JobSpec>) -> Job {
        Job { spec, next: Next::Same, start: Matches::default() }
    }
}

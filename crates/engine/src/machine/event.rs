//! An event on its way: pending, offered to all jobs, finished once nothing blocks it.

use crate::machine::request::RequestId;
use crate::names::{EventName, JobName};
use crate::process::InstanceId;
use crate::text::Text;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Identifies an event for the life of the engine; never given twice. Later events have greater
/// numbers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EventId(pub u64);

/// An event that has been emitted and has not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its name.
    pub name: EventName,
    /// Its variables, `KEY=VALUE` each, in order.
    pub env: Vec<Text>,
    /// How many matched operands and waiting instances keep it from finishing.
    pub blockers: u32,
    /// Who waits for it to finish.
    pub waiters: Vec<EventWaiter>,
    /// Whether a job that it started or stopped failed.
    pub failed: bool,
    /// Whether it has been offered to the jobs.
    pub offered: bool,
    /// Length of the chain of `exited` events that led to it.
    pub depth: u8,
    /// Whether it comes from an instance that the end of everything has started.
    #[serde(default)]
    pub late: bool,
    /// The job whose process's end it reports: that job never gets it.
    pub reports: Option<JobName>,
    /// What caused it, in words; empty where nothing is known.
    #[serde(default)]
    pub cause: String,
}

/// Who waits for an event to finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventWaiter {
    /// An instance in `starting` or `stopping`.
    Instance(InstanceId),
    /// A client that emitted it.
    Request(RequestId),
}

/// The longest chain of jobs started by `exited` events of jobs started by `exited` events.
pub const CHAIN_MAX: u8 = 8;

/// An event that the machine itself emits.
#[derive(Debug)]
pub struct Emitted {
    /// Its name.
    pub name: &'static str,
    /// When it is emitted.
    pub when: &'static str,
    /// Its variables, in order; in parentheses those that may be missing.
    pub variables: &'static str,
    /// Who waits for it to finish.
    pub waits: &'static str,
}

/// THE TABLE of events that the machine itself emits. Of no job in the reserved group is any.
pub const EMITTED: &[Emitted] = &[
    Emitted {
        name: "starting",
        when: "a job is about to start",
        variables: "JOB INSTANCE, what `export` names",
        waits: "the job",
    },
    Emitted {
        name: "started",
        when: "a job runs",
        variables: "JOB INSTANCE, what `export` names",
        waits: "nobody",
    },
    Emitted {
        name: "stopping",
        when: "a job is about to stop",
        variables: "JOB INSTANCE RESULT (PROCESS EXIT_STATUS EXIT_SIGNAL), what `export` names",
        waits: "the job",
    },
    Emitted {
        name: "stopped",
        when: "a job has stopped",
        variables: "JOB INSTANCE RESULT (PROCESS EXIT_STATUS EXIT_SIGNAL), what `export` names",
        waits: "nobody",
    },
    Emitted {
        name: "exited",
        when: "a process of a job has ended, however",
        variables: "JOB INSTANCE PROCESS PID (EXIT_STATUS EXIT_SIGNAL CORE) RUNTIME",
        waits: "nobody",
    },
    Emitted {
        name: "failed",
        when: "a run of a job has failed for good: it is not tried again",
        variables: "JOB INSTANCE PROCESS REASON (EXIT_STATUS EXIT_SIGNAL) RESPAWNS",
        waits: "nobody",
    },
    Emitted {
        name: "backoff",
        when: "a job is to start again and waits for its back-off first",
        variables: "JOB INSTANCE DELAY FAILURES (EXIT_STATUS EXIT_SIGNAL)",
        waits: "nobody",
    },
    Emitted {
        name: "flapping",
        when: "a job has been started again for the third time in a minute",
        variables: "JOB INSTANCE RESTARTS WITHIN (EXIT_STATUS EXIT_SIGNAL)",
        waits: "nobody",
    },
    Emitted {
        name: "ready",
        when: "main of a job serves, before post-start",
        variables: "JOB INSTANCE (PID) AFTER",
        waits: "nobody",
    },
    Emitted {
        name: "unhealthy",
        when: "a process lives and does not do what it should: `expect` did not come about, KILL did not help",
        variables: "JOB INSTANCE PROCESS REASON (PID)",
        waits: "nobody",
    },
];

/// Returns the value of a variable in a `KEY=VALUE` list; of several the first.
pub fn first_value<'a>(env: &'a [Text], key: &[u8]) -> Option<&'a [u8]> {
    env.iter().find_map(|row| split(row).filter(|(name, _)| *name == key).map(|(_, value)| value))
}

/// Splits `KEY=VALUE` at the first `=`.
pub fn split(row: &Text) -> Option<(&[u8], &[u8])> {
    let bytes = row.bytes();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

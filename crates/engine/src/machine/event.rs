//! An event on its way: pending, offered to all jobs, finished once nothing blocks it.

use crate::machine::request::RequestId;
use crate::names::{EventName, JobName};
use crate::process::InstanceId;
use crate::text::Text;
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

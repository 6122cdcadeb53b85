//! What a subscriber is told as it happens.

use crate::machine;
use crate::names::{InstanceName, JobName};
use crate::process::{Pid, Stream};
use crate::text::Text;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// One thing that happened, as one subscriber is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Counts up by one from the start of the engine; a stream is resumed after one of these.
    pub sequence: u64,
    /// How many notices before this one the subscriber has lost for good.
    pub missed: u64,
    /// How long ago it happened; nothing where a daemon that has ended since knew it.
    pub age: Option<Span>,
    /// What happened.
    pub what: machine::Notice,
}

/// What one output of a program said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speech {
    /// How many of these the subscriber has lost just before, for it did not read them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
    /// The job.
    pub job: JobName,
    /// The instance.
    #[serde(default, skip_serializing_if = "is_unnamed")]
    pub instance: InstanceName,
    /// Which output.
    pub stream: Stream,
    /// The process; 0 where that is forgotten.
    pub pid: Pid,
    /// Whether it stood between the signs of capture mode; else it is written as well.
    pub captured: bool,
    /// What was said. Of what is written a piece as it came, cut anywhere.
    pub said: Text,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_unnamed(instance: &InstanceName) -> bool {
    instance.text().is_empty()
}

impl Notice {
    /// Returns the notice for those who may not read values: `KEY=VALUE` becomes `KEY`.
    pub fn without_values(&self) -> Notice {
        let mut notice = self.clone();
        match &mut notice.what {
            machine::Notice::Event { env, .. } => {
                for row in env {
                    if let Some(end) = row.bytes().iter().position(|b| *b == b'=') {
                        *row = Text::from(row.bytes().get(..end).unwrap_or_default());
                    }
                }
            }
            machine::Notice::State { .. }
            | machine::Notice::Goal { .. }
            | machine::Notice::Failed { .. }
            | machine::Notice::Job { .. }
            | machine::Notice::Program(_)
            | machine::Notice::Restarted => {}
        }
        notice
    }
}

//! What a subscriber is told as it happens.

use crate::machine;
use crate::text::Text;
use crate::time::Span;

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

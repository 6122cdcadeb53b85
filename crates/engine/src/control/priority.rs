//! The least priority of Upright's own messages.

use core::fmt;
use serde::{Deserialize, Serialize};

/// How important a message is; those below the set priority are not logged.
/// Source: initctl(8), log-priority.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum LogPriority {
    /// For finding faults of Upright itself.
    Debug,
    /// Goals, states and events.
    Info,
    /// The default.
    #[default]
    Message,
    /// Something looks wrong.
    Warn,
    /// Something failed.
    Error,
    /// Nothing can go on.
    Fatal,
}

impl LogPriority {
    /// Every priority with its word, least important first.
    pub const TABLE: [(LogPriority, &'static str); 6] = [
        (LogPriority::Debug, "debug"),
        (LogPriority::Info, "info"),
        (LogPriority::Message, "message"),
        (LogPriority::Warn, "warn"),
        (LogPriority::Error, "error"),
        (LogPriority::Fatal, "fatal"),
    ];

    /// Returns the word.
    pub fn name(self) -> &'static str {
        LogPriority::TABLE.iter().find(|row| row.0 == self).map_or("message", |row| row.1)
    }

    /// Returns the priority of a word.
    pub fn from_name(name: &str) -> Option<LogPriority> {
        LogPriority::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

impl fmt::Display for LogPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

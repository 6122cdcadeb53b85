//! The words for the least priority of Upright's own messages.

use crate::machine::Level;

/// Returns the word of a priority.
pub fn name(level: Level) -> &'static str {
    Level::TABLE.iter().find(|row| row.0 == level).map_or("message", |row| row.1)
}

/// Returns the priority of a word.
pub fn from_name(name: &str) -> Option<Level> {
    Level::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
}

//! What the commands do.

pub mod changes;
pub mod daemon;
pub mod group;
pub mod logs;
pub mod names;
pub mod status;

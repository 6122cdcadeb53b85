//! Supervisor's programs: their configuration, read with what this machine knows, and its daemon's command
//! line.

mod facts;
pub mod front;
pub mod options;

pub use facts::{complete, judge, plain, read, start, Extent};

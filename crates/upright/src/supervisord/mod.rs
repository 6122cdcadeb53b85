//! Supervisor's programs: their configuration, read with what this machine knows.

mod facts;

pub use facts::{complete, read, Extent};

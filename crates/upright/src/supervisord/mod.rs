//! Supervisor's programs: their configuration, read with what this machine knows, and its daemon's command
//! line.

mod facts;
pub mod front;
pub mod options;

pub use facts::{
    begins_with_section, complete, extent_of, is_configuration, judge, plain, read, start, Extent,
};

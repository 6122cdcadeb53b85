//! Upright: the keeper, the daemon and the logger, which are one binary, and the command line.
#![forbid(unsafe_code)]

pub mod cli;
pub mod daemon;
mod heir;
pub mod keeper;
pub mod logger;
mod logplace;
pub mod options;
mod proposal;
pub mod run;
#[cfg(test)]
#[path = "../../sys/src/scratch.rs"]
mod scratch;
pub mod session;
pub mod supervisord;
pub mod trial;

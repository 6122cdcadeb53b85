//! Upright: the keeper, the daemon, the logger and the command line.
#![forbid(unsafe_code)]

pub mod cli;

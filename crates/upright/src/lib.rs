//! The processes of Upright: keeper, daemon, logger and command line.
#![forbid(unsafe_code)]

pub mod logger;

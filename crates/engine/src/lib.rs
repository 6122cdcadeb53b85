//! The decisions of Upright.
//!
//! Text goes in and specs come out (`dialect`); inputs go in and effects come out (`machine`).
//! Nothing here reads a clock, a file, the environment or a process number by itself, nothing here
//! blocks, and nothing here fails: bad text becomes diagnostics, late news is dropped.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cgroup;
pub mod command;
pub mod concern;
pub mod control;
pub mod dialect;
pub mod errno;
pub mod expand;
#[cfg(test)]
mod expect;
pub mod few;
pub mod glob;
pub mod handover;
pub mod intent;
pub mod journal;
pub mod keeper;
pub mod list;
pub mod logroute;
pub mod machine;
pub mod names;
pub mod pack;
pub mod packed;
pub mod plan;
pub mod process;
pub mod rare;
pub mod recovery;
pub mod rights;
pub mod shared;
pub mod signal;
pub mod spec;
pub mod text;
pub mod time;
pub mod token;
pub mod treat;
pub mod view;

//! A pipe, or the master of a pseudo terminal, that a process writes to.

use super::forward::Partial;
use super::pace::Pace;
use super::tail::Tail;
use super::treat::Treat;
use engine::logroute::Forward;
use engine::process::{Slot, Stream};
use std::os::fd::OwnedFd;

/// How many bytes a pipe holds unless told otherwise.
pub const PIPE_DEFAULT: u32 = 64 * 1024;

/// How many bytes a pipe holds that was found full.
pub const PIPE_GROWN: u32 = 1024 * 1024;

/// What a process's output comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pipe: bytes are moved, exactly once.
    Pipe,
    /// A pseudo terminal: bytes are copied; what was read is lost when the logger is killed before
    /// it is written.
    Terminal,
}

/// How a source is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// For every byte, as long as there is one.
    Level,
    /// Not at all, until a timer.
    Paused,
    /// For news: what is in it stays in it for now.
    Edge,
}

/// One process's output.
pub struct Source {
    /// Whose.
    pub slot: Slot,
    /// Which of its outputs.
    pub stream: Stream,
    /// The name for messages and forwarded lines.
    pub label: Box<str>,
    /// Where it comes from.
    pub fd: OwnedFd,
    /// What that is.
    pub kind: Kind,
    /// The file it goes to, by number.
    pub file: Option<u32>,
    /// How it is watched.
    pub watch: Watch,
    /// Whether nobody can write to it any more.
    pub ended: bool,
    /// How busy it is.
    pub pace: Pace,
    /// How many bytes fit.
    pub capacity: u32,
    /// Bytes of it that were taken so far.
    pub taken: u64,
    /// Bytes of it dropped so far.
    pub dropped: u64,
    /// Bytes dropped as the daemon knows it.
    pub told: u64,
    /// Where its last bytes are.
    pub tail: Tail,
    /// Where its lines are forwarded to.
    pub forward: Forward,
    /// Its unfinished line, where lines are forwarded.
    pub partial: Option<Box<Partial>>,
    /// What is made of what comes, where something is.
    pub treat: Option<Box<Treat>>,
    /// What was read from a terminal and is not written yet.
    pub pending: Vec<u8>,
}

impl Source {
    /// Returns what stands before lines that are forwarded; empty: nothing.
    pub fn prefix(&self) -> &str {
        match self.forward {
            Forward::No | Forward::Labelled => &self.label,
            Forward::Bare(_) => "",
        }
    }
}

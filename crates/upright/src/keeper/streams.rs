//! The pipes of a new process: what it gets of them, and what is kept.

use super::table::Ends;
use engine::keeper::{End, Wants};
use std::os::fd::OwnedFd;
use sys::pty::{self, Output};
use sys::Errno;

/// Both sides of the standard streams of a process that is about to be made.
pub struct Streams {
    /// Standard input, and where it is written to.
    pub input: Option<Output>,
    /// Standard output.
    pub output: Option<OwnedFd>,
    errors: Option<OwnedFd>,
    /// The reading end of what the logger writes.
    read: Option<OwnedFd>,
    /// The reading end of a standard error of its own.
    read_errors: Option<OwnedFd>,
    /// The reading end of a standard output that the logger does not read.
    tap: Option<OwnedFd>,
    /// Where of that goes what is to be logged.
    spill: Option<OwnedFd>,
}

/// What is kept of a process's pipes.
pub struct Kept {
    /// What the logger reads.
    pub read: Option<OwnedFd>,
    /// Standard error, which it reads too, where that has a pipe of its own.
    pub read_errors: Option<OwnedFd>,
    /// What is lent.
    pub ends: Ends,
}

impl Streams {
    /// Makes what a spawn wants, for a user and group to own.
    pub fn make(wants: Wants, owner: (u32, u32)) -> Result<Streams, Errno> {
        let Wants { log, pty, input, errors, tap, plan_in_fd: _, script_fd: _, group_fd: _ } =
            wants;
        let input = input.then(|| pty::input(owner)).transpose()?;
        let output = match (pty, log) {
            (true, _) => Some(pty::terminal(owner)?),
            (false, true) => Some(pty::pipe(owner)?),
            (false, false) => None,
        };
        let (read, output) = output.map(|Output { read, write }| (read, write)).unzip();
        let piped = log && !pty;
        let errors = (errors && piped).then(|| pty::pipe(owner)).transpose()?;
        let (read_errors, errors) = errors.map(|Output { read, write }| (read, write)).unzip();
        let mut streams =
            Streams { input, output, errors, read, read_errors, tap: None, spill: None };
        if tap && piped {
            let Output { read, write } = pty::pipe(owner)?;
            streams.tap = Some(read);
            streams.spill = streams.output.replace(write);
        }
        Ok(streams)
    }

    /// Returns what standard error becomes, where it is not what standard output is.
    pub fn errors(&self) -> Option<&OwnedFd> {
        self.errors.as_ref().or(self.spill.as_ref())
    }

    /// Keeps our side; the process's own is closed.
    pub fn kept(self) -> Kept {
        let Streams { input, output: _, errors: _, read, read_errors, tap, spill } = self;
        let input = input.map(|Output { read: _, write }| write);
        let mut ends = Ends::default();
        for (end, fd) in [(End::Input, input), (End::Tap, tap), (End::Spill, spill)] {
            if let Some(place) = ends.get_mut(usize::from(end.code())) {
                *place = fd;
            }
        }
        Kept { read, read_errors, ends }
    }
}

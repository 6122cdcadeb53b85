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
    /// Standard error, where it does not go where the output does.
    pub errors: Option<OwnedFd>,
    /// The reading end of what the logger writes.
    read: Option<OwnedFd>,
    /// The reading end of a standard output that the logger does not read.
    tap: Option<OwnedFd>,
}

/// What is kept of a process's pipes.
pub struct Kept {
    /// What the logger reads.
    pub read: Option<OwnedFd>,
    /// What is lent.
    pub ends: Ends,
}

impl Streams {
    /// Makes what a spawn wants, for a user and group to own.
    pub fn make(wants: Wants, owner: (u32, u32)) -> Result<Streams, Errno> {
        let Wants { log, pty, input, tap, plan_in_fd: _, script_fd: _, group_fd: _ } = wants;
        let input = input.then(|| pty::input(owner)).transpose()?;
        let output = match (pty, log) {
            (true, _) => Some(pty::terminal(owner)?),
            (false, true) => Some(pty::pipe(owner)?),
            (false, false) => None,
        };
        let (read, output) = output.map(|Output { read, write }| (read, write)).unzip();
        if !(tap && log && !pty) {
            return Ok(Streams { input, output, errors: None, read, tap: None });
        }
        let Output { read: tap, write } = pty::pipe(owner)?;
        Ok(Streams { input, output: Some(write), errors: output, read, tap: Some(tap) })
    }

    /// Keeps our side; the process's own is closed.
    pub fn kept(self) -> Kept {
        let Streams { input, output: _, errors, read, tap } = self;
        let spill = errors.filter(|_| tap.is_some());
        let input = input.map(|Output { read: _, write }| write);
        let mut ends = Ends::default();
        for (end, fd) in [(End::Input, input), (End::Tap, tap), (End::Spill, spill)] {
            if let Some(place) = ends.get_mut(usize::from(end.code())) {
                *place = fd;
            }
        }
        Kept { read, ends }
    }
}

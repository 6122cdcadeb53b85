//! The pipes of a new process: what it gets of them, and what is kept.

use super::table::Ends;
use engine::keeper::{End, Wants};
use std::os::fd::OwnedFd;
use sys::pty::{self, Output};
use sys::Errno;

/// The process's own sides of its standard streams, to be closed once it has them.
pub struct Own {
    /// Standard input.
    pub input: Option<OwnedFd>,
    /// Standard output.
    pub output: Option<OwnedFd>,
    /// Standard error, where it has a pipe of its own that the logger reads.
    pub errors: Option<OwnedFd>,
}

/// What is kept of a process's pipes.
pub struct Kept {
    /// What the logger reads.
    pub read: Option<OwnedFd>,
    /// Standard error, which it reads too, where that has a pipe of its own.
    pub read_errors: Option<OwnedFd>,
    /// What is lent. Where standard output is read by others, standard error is [`End::Spill`].
    pub ends: Ends,
}

/// Makes what a spawn wants, for a user and group to own.
pub fn make(wants: Wants, owner: (u32, u32)) -> Result<(Own, Kept), Errno> {
    let Wants { log, pty, input, errors, tap, plan_in_fd: _, script_fd: _, group_fd: _ } = wants;
    let input = input.then(|| pty::input(owner)).transpose()?;
    let output = match (pty, log) {
        (true, _) => Some(pty::terminal(owner)?),
        (false, true) => Some(pty::pipe(owner)?),
        (false, false) => None,
    };
    let piped = log && !pty;
    let errors = (errors && piped).then(|| pty::pipe(owner)).transpose()?;
    let tap = (tap && piped).then(|| pty::pipe(owner)).transpose()?;
    let sides = |pipe: Option<Output>| pipe.map(|Output { read, write }| (read, write)).unzip();
    let ((own_input, input), (read, mut output)) = (sides(input), sides(output));
    let ((read_errors, errors), (tap, tapped)) = (sides(errors), sides(tap));
    let spill = tapped.and_then(|tapped| output.replace(tapped));
    let mut ends = Ends::default();
    for (end, fd) in [(End::Input, input), (End::Tap, tap), (End::Spill, spill)] {
        if let Some(place) = ends.get_mut(usize::from(end.code())) {
            *place = fd;
        }
    }
    Ok((Own { input: own_input, output, errors }, Kept { read, read_errors, ends }))
}

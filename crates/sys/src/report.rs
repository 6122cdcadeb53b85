//! What a child tells the keeper while it sets itself up: warnings, then a failure or nothing.
//!
//! The pipe is close-on-exec: its end without a failure means that the program runs.

use engine::process::Step;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One report on the wire: kind, step, two bytes of nothing, errno.
pub(crate) type Wire = [u8; 8];

/// What a step is reported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gravity {
    /// It was refused; the start goes on.
    Warning,
    /// The start has failed.
    Failure,
}

/// Returns a report as it is written; async-signal-safe.
pub(crate) fn encode(gravity: Gravity, step: Step, errno: Errno) -> Wire {
    let mut wire = [0; 8];
    wire[0] = match gravity {
        Gravity::Warning => 1,
        Gravity::Failure => 2,
    };
    wire[1] = step.code();
    wire[4..].copy_from_slice(&errno.raw_os_error().to_le_bytes());
    wire
}

/// What has become of a child's set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Pending,
    /// The program runs (or the child was ended before it could say more).
    Runs,
    /// It failed; the child ends by itself.
    Failed {
        /// At this step.
        step: Step,
        /// For this reason.
        errno: i32,
    },
}

/// The reading end of a child's report.
#[derive(Debug)]
pub struct Report {
    fd: OwnedFd,
    warnings: u32,
    failed: Option<(Step, i32)>,
}

impl Report {
    pub(crate) fn new(fd: OwnedFd) -> Report {
        Report { fd, warnings: 0, failed: None }
    }

    /// Takes a report over from another process of ours, with the warnings that it had read.
    pub fn resume(fd: OwnedFd, warnings: u32) -> Report {
        Report { fd, warnings, failed: None }
    }

    /// Returns the steps that were refused but only tune: bit n is the step of code n.
    pub fn warnings(&self) -> u32 {
        self.warnings
    }

    /// Reads what is there, without waiting.
    pub fn read(&mut self) -> Progress {
        let mut buffer = [0u8; 512];
        loop {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) => break,
                Ok(length) => self.take(buffer.get(..length).unwrap_or(&[])),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.failed.is_none() => return Progress::Pending,
                Err(_) => break,
            }
        }
        match self.failed {
            Some((step, errno)) => Progress::Failed { step, errno },
            None => Progress::Runs,
        }
    }

    /// Takes whole reports: they are written at once and a page holds a whole number of them.
    fn take(&mut self, bytes: &[u8]) {
        for wire in bytes.chunks_exact(8) {
            let Ok([kind, step, _, _, errno @ ..]) = Wire::try_from(wire) else { continue };
            match (kind, Step::from_code(step)) {
                (1, Some(_)) => self.warnings |= 1u32.checked_shl(step.into()).unwrap_or(0),
                (2, Some(step)) => self.failed = Some((step, i32::from_le_bytes(errno))),
                _ => self.failed = Some((Step::Plan, libc::EPROTO)),
            }
        }
    }
}

impl AsFd for Report {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

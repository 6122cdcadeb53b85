//! Before the keeper becomes another binary, that one shows in a child that it can: it is started as it
//! would be, with all that would be left to it, makes a keeper of that, and does with it what a keeper
//! does (`proof`), in a table that is its own.
//!
//! What ends it there would have ended PID 1, and the machine with it.

use super::handover::{arguments, Performance, REHEARSAL};
use super::{prepare, Keeper};
use engine::keeper::NotUpgraded;
use engine::process::{Exit, Pid};
use engine::signal::Signal;
use engine::time::{Mono, Span};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use sys::own::Binary;
use sys::Errno;

/// How long it may take.
const PATIENCE: Span = Span::secs(30);

/// The exit status of one that can: none that a program has by chance.
const PASSED: u8 = 83;

/// A binary that shows what it can.
pub struct Rehearsal {
    pid: Pid,
    /// When it has taken too long.
    pub until: Mono,
    binary: Binary,
}

/// Plays the keeper that goes on with what another has left; returns the exit status.
pub fn run(arguments: &[CString]) -> i32 {
    prepare();
    let left = arguments.get(2).map_or(c"", CString::as_c_str);
    let resumed = Keeper::resume(left, Performance::Rehearsal);
    match resumed.and_then(|keeper| keeper.map(|mut keeper| keeper.prove()).transpose()) {
        Ok(Some(())) => i32::from(PASSED),
        Ok(None) => 1,
        Err(why) => {
            sys::say::line(format_args!("upright: the keeper could not go on: {why}"));
            1
        }
    }
}

impl Keeper {
    /// Has a binary show that it can take over. It is gone on in once it has.
    pub(super) fn rehearse(&mut self, binary: OwnedFd) -> Result<(), Errno> {
        let binary = Binary::of(binary)?;
        let file = self.left()?;
        let heirlooms = self.heirlooms_and(&file);
        let highest = heirlooms.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        let pid = binary.start_heir(&arguments(REHEARSAL, &file, highest), &heirlooms)?;
        self.rehearsal = Some(Rehearsal { pid, until: self.now + PATIENCE, binary });
        Ok(())
    }

    /// Reports whether a child is the binary that shows it.
    pub(super) fn is_rehearsed_by(&self, pid: Pid) -> bool {
        self.rehearsal.as_ref().is_some_and(|rehearsal| rehearsal.pid == pid)
    }

    /// Goes on in the binary that has shown that it can; else the daemon is told.
    pub(super) fn rehearsed(&mut self, exit: Exit) {
        let Some(Rehearsal { binary, .. }) = self.rehearsal.take() else { return };
        self.not_upgraded = Some(match exit == Exit::Status(PASSED) && self.ending.is_none() {
            true => NotUpgraded::Refused(self.become_binary(&binary).raw_os_error()),
            false => NotUpgraded::Died(exit),
        });
    }

    /// Ends a rehearsal that has taken too long.
    pub(super) fn cut_rehearsal(&mut self) {
        if let Some(rehearsal) = self.rehearsal.as_ref().filter(|one| one.until <= self.now) {
            let _ = sys::signals::send(rehearsal.pid, Signal::KILL);
        }
    }
}

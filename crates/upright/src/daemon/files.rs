//! Descriptors that came with events, for the jobs that those start. Source: spec 5.2, UPSTART_FDS.
//!
//! The number that a process finds one at is its name: the variable UPSTART_FDS tells it, and who still
//! has that variable still needs it. The keeper holds each, so that it outlives the daemon.

use super::Daemon;
use engine::control::fault::Fault;
use engine::keeper::{held, ToKeeper};
use engine::machine::SpawnOrder;
use engine::process::Role;
use engine::text::Text;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use sys::plan::GIVEN_MAX;

/// The variable that tells a process the number.
const VARIABLE: &str = "UPSTART_FDS";

/// The lowest number of a descriptor that a process is given.
const FIRST: u8 = 3;

/// The descriptors, by the number that they become.
#[derive(Default)]
pub struct Files {
    held: BTreeMap<u8, OwnedFd>,
    /// Whether something has happened since it was last looked who needs them.
    stale: bool,
}

impl Files {
    /// Returns what a process is given: what its environment names.
    pub fn given(&self, order: &SpawnOrder) -> Vec<(u8, OwnedFd)> {
        if order.slot.role == Role::Security {
            return Vec::new();
        }
        let named = self.held.iter().filter(|(number, _)| order.env.contains(&row(**number)));
        named.filter_map(|(number, fd)| Some((*number, fd.try_clone().ok()?))).collect()
    }

    /// Notes that something has happened.
    pub fn note(&mut self) {
        self.stale = true;
    }
}

impl Daemon {
    /// Takes over what the keeper held.
    pub(super) fn take_files(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        for number in FIRST..=GIVEN_MAX {
            if let Some(fd) = held.remove(&key(number)) {
                self.files.held.insert(number, fd);
            }
        }
        self.files.stale = true;
    }

    /// Keeps a descriptor; returns the variable that the event tells it by.
    pub(super) fn keep_file(&mut self, fd: OwnedFd) -> Result<Text, Fault> {
        self.forget_files();
        let free = (FIRST..=GIVEN_MAX).find(|number| !self.files.held.contains_key(number));
        let number = free.ok_or_else(|| {
            let most = GIVEN_MAX - FIRST + 1;
            Fault::Unavailable(format!("{most} descriptors of events are in use; try again later"))
        })?;
        self.hold(key(number), fd.as_fd());
        self.files.held.insert(number, fd);
        self.files.stale = true;
        Ok(row(number))
    }

    /// Closes what nobody needs any more.
    pub(super) fn forget_files(&mut self) {
        if self.files.held.is_empty() || !std::mem::take(&mut self.files.stale) {
            return;
        }
        let numbers: Vec<u8> = self.files.held.keys().copied().collect();
        for number in numbers {
            if !self.engine.mentions(&row(number)) {
                self.files.held.remove(&number);
                self.link.send(&ToKeeper::Drop { key: key(number) }, &[]);
            }
        }
    }
}

fn key(number: u8) -> u32 {
    held::FILES + u32::from(number)
}

fn row(number: u8) -> Text {
    Text::from(format!("{VARIABLE}={number}"))
}

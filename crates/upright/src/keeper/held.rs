//! Descriptors that the keeper holds so that they outlive the daemon.

use engine::keeper::HELD_MAX;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors by key, in the order in which they came.
pub struct Held {
    fds: Vec<(u32, OwnedFd)>,
    told: usize,
    /// Keys that have changed since the logger was told.
    to_pass: VecDeque<u32>,
    heirs: Heirs,
}

/// Whether somebody can take the keeper's place when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heirs {
    /// The logger, or else the daemon.
    Some,
    /// Nobody: it is PID 1, with which everything ends.
    None,
}

impl Held {
    /// Makes an empty store with all the memory that it will need.
    pub fn new(heirs: Heirs) -> Held {
        let to_pass = VecDeque::with_capacity(2 * HELD_MAX);
        Held { fds: Vec::with_capacity(HELD_MAX), told: 0, to_pass, heirs }
    }

    /// Holds a descriptor in place of the one that is there; reports whether there was room.
    pub fn hold(&mut self, key: u32, fd: OwnedFd) -> bool {
        let room = self.fds.len() < self.fds.capacity().min(HELD_MAX);
        match self.fds.iter_mut().find(|(other, _)| *other == key) {
            Some((_, place)) => *place = fd,
            None if room => self.fds.push((key, fd)),
            None => return false,
        }
        self.pass(key);
        true
    }

    /// Closes what is held under a key.
    pub fn drop(&mut self, key: u32) {
        self.fds.retain(|(other, _)| *other != key);
        self.pass(key);
    }

    /// Closes everything.
    pub fn drop_all(&mut self) {
        self.fds.clear();
    }

    /// Returns everything.
    pub fn all(&self) -> impl Iterator<Item = (u32, BorrowedFd<'_>)> {
        self.fds.iter().map(|(key, fd)| (*key, fd.as_fd()))
    }

    /// Tells everything once more, to a new daemon.
    pub fn tell_all(&mut self) {
        self.told = 0;
    }

    /// Returns what is to be told next to a new daemon.
    pub fn next_to_tell(&self) -> Option<(u32, BorrowedFd<'_>)> {
        self.all().nth(self.told)
    }

    /// What [`Held::next_to_tell`] returned was told.
    pub fn told(&mut self) {
        self.told += 1;
    }

    /// Passes everything on once more, to a new logger.
    pub fn pass_all(&mut self) {
        self.to_pass.clear();
        if self.heirs == Heirs::Some {
            self.to_pass.extend(self.fds.iter().map(|(key, _)| *key));
        }
    }

    fn pass(&mut self, key: u32) {
        if self.heirs == Heirs::Some && !self.to_pass.contains(&key) {
            self.to_pass.push_back(key);
        }
    }

    /// Returns what is to be passed next to the logger: a key, and what is held there now.
    pub fn next_to_pass(&self) -> Option<(u32, Option<BorrowedFd<'_>>)> {
        let key = *self.to_pass.front()?;
        Some((key, self.all().find(|(other, _)| *other == key).map(|(_, fd)| fd)))
    }

    /// What [`Held::next_to_pass`] returned was passed.
    pub fn passed(&mut self) {
        self.to_pass.pop_front();
    }
}

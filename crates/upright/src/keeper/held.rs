//! Descriptors that the keeper holds so that they outlive the daemon.

use engine::keeper::HELD_MAX;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors by key, in the order in which they came.
pub struct Held {
    fds: Vec<(u32, OwnedFd)>,
    told: usize,
}

impl Held {
    /// Makes an empty store with all the memory that it will need.
    pub fn new() -> Held {
        Held { fds: Vec::with_capacity(HELD_MAX), told: 0 }
    }

    /// Holds a descriptor in place of the one that is there; reports whether there was room.
    pub fn hold(&mut self, key: u32, fd: OwnedFd) -> bool {
        if let Some((_, place)) = self.fds.iter_mut().find(|(other, _)| *other == key) {
            *place = fd;
            return true;
        }
        let room = self.fds.len() < self.fds.capacity().min(HELD_MAX);
        if room {
            self.fds.push((key, fd));
        }
        room
    }

    /// Closes what is held under a key.
    pub fn drop(&mut self, key: u32) {
        self.fds.retain(|(other, _)| *other != key);
    }

    /// Closes everything.
    pub fn drop_all(&mut self) {
        self.fds.clear();
    }

    /// Tells everything once more, to a new daemon.
    pub fn tell_all(&mut self) {
        self.told = 0;
    }

    /// Returns what is to be told next to a new daemon.
    pub fn next_to_tell(&self) -> Option<(u32, BorrowedFd<'_>)> {
        self.fds.get(self.told).map(|(key, fd)| (*key, fd.as_fd()))
    }

    /// What [`Held::next_to_tell`] returned was told.
    pub fn told(&mut self) {
        self.told += 1;
    }
}

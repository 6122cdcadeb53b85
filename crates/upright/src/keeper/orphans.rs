//! The ends of processes that belong to no slot, until the daemon has journalled them.

use engine::keeper::FromKeeper;
use engine::process::{Exit, Pid};
use std::collections::VecDeque;

/// How many ends are kept; the oldest goes where there are more. What has no slot is waited for only
/// while a daemon follows it, which is short.
const KEPT: usize = 1024;

/// One end.
struct Orphan {
    sequence: u64,
    pid: Pid,
    exit: Exit,
}

/// The ends, the oldest first.
#[derive(Default)]
pub struct Orphans {
    kept: VecDeque<Orphan>,
    last: u64,
    told: u64,
}

impl Orphans {
    /// Keeps an end.
    pub fn ended(&mut self, pid: Pid, exit: Exit) {
        self.last += 1;
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        // Without memory the number is skipped, as it is when too many are kept.
        if self.kept.try_reserve(1).is_ok() {
            self.kept.push_back(Orphan { sequence: self.last, pid, exit });
        }
    }

    /// Returns every end that is kept.
    pub fn all(&self) -> impl Iterator<Item = (u64, Pid, Exit)> + '_ {
        self.kept.iter().map(|orphan| (orphan.sequence, orphan.pid, orphan.exit))
    }

    /// Returns the number of the last end.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Keeps an end that another keeper has counted, up to the last of them.
    pub fn resume(&mut self, end: Option<(u64, Pid, Exit)>, last: u64) {
        self.last = self.last.max(last);
        if let Some((sequence, pid, exit)) = end.filter(|_| self.kept.try_reserve(1).is_ok()) {
            self.last = self.last.max(sequence);
            self.kept.push_back(Orphan { sequence, pid, exit });
        }
    }

    /// Takes the latest end of a process with this number out.
    pub fn take(&mut self, pid: Pid) -> Option<Exit> {
        let place = self.kept.iter().rposition(|orphan| orphan.pid == pid)?;
        self.kept.remove(place).map(|orphan| orphan.exit)
    }

    /// The daemon has journalled what it was told up to this number.
    pub fn seen(&mut self, sequence: u64) {
        while self.kept.front().is_some_and(|orphan| orphan.sequence <= sequence) {
            self.kept.pop_front();
        }
    }

    /// Tells everything that is kept once more, to a new daemon.
    pub fn tell_all(&mut self) {
        self.told = 0;
    }

    /// Returns what is to be told next.
    pub fn next_to_tell(&self) -> Option<FromKeeper> {
        let place = self.kept.partition_point(|orphan| orphan.sequence <= self.told);
        let Orphan { sequence, pid, exit } = *self.kept.get(place)?;
        Some(FromKeeper::OrphanExited { sequence, pid, exit })
    }

    /// What [`Orphans::next_to_tell`] returned was told.
    pub fn told(&mut self) {
        if let Some(FromKeeper::OrphanExited { sequence, .. }) = self.next_to_tell() {
            self.told = sequence;
        }
    }
}

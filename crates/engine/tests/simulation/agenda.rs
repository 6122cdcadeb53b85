//! What is going to happen, in the order of time.

use engine::time::Mono;
use std::collections::BTreeMap;

/// Things that happen at their time; of those at the same time the one that was added first.
pub struct Agenda<T> {
    entries: BTreeMap<(Mono, u64), T>,
    added: u64,
}

impl<T> Agenda<T> {
    /// Returns an empty agenda.
    pub fn new() -> Agenda<T> {
        Agenda { entries: BTreeMap::new(), added: 0 }
    }

    /// Adds something.
    pub fn add(&mut self, at: Mono, what: T) {
        self.entries.insert((at, self.added), what);
        self.added += 1;
    }

    /// Returns when the next thing happens.
    pub fn next(&self) -> Option<Mono> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next thing that is due.
    pub fn take(&mut self, now: Mono) -> Option<T> {
        self.next().filter(|at| *at <= now)?;
        self.entries.pop_first().map(|(_, what)| what)
    }
}

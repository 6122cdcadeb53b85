//! A map that knows which of its entries were touched since the last turn was recorded.

use crate::packed::pack_together;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// An ordered map with a list of touched keys. Only [`Ledger::edit`], [`Ledger::insert`] and
/// [`Ledger::remove`] change it, so no change can be forgotten in the journal.
///
/// Values are boxed: the map's nodes have room for eleven each and are half empty where keys come in
/// order, as ours do.
#[derive(Clone, Debug)]
pub struct Ledger<K, V> {
    entries: BTreeMap<K, Box<V>>,
    touched: BTreeSet<K>,
    /// How many entries have been looked at.
    #[cfg(test)]
    pub(super) looked_at: core::cell::Cell<usize>,
}

impl<K: Ord + Clone, V: Clone> Ledger<K, V> {
    /// Returns an empty ledger.
    pub fn new() -> Self {
        Ledger {
            entries: BTreeMap::new(),
            touched: BTreeSet::new(),
            #[cfg(test)]
            looked_at: core::cell::Cell::new(0),
        }
    }

    /// Returns the entry of a key.
    pub fn look(&self, key: &K) -> Option<&V> {
        self.count();
        self.entries.get(key).map(|entry| &**entry)
    }

    /// Counts an entry that is looked at, in tests.
    #[inline(always)]
    fn count(&self) {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
    }

    /// Returns the entry of a key for a change.
    pub fn edit(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        if !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
        Some(entry)
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, key: K, value: V) {
        self.touched.insert(key.clone());
        self.entries.insert(key, Box::new(value));
    }

    /// Removes an entry and returns it.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key);
        if entry.is_some() {
            self.touched.insert(key.clone());
        }
        entry.map(|entry| *entry)
    }

    /// Returns all entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, &**value)).inspect(|_| self.count())
    }

    /// Returns the entry before a key.
    pub fn before(&self, key: &K) -> Option<(&K, &V)> {
        self.entries.range(..key).next_back().map(|(key, value)| (key, &**value))
    }

    /// Changes how entries are kept, not what they are: nothing of it goes into the journal.
    pub fn settle_each(&mut self, change: impl FnMut(&mut V)) {
        self.entries.values_mut().map(|entry| &mut **entry).for_each(change);
    }

    /// Gives up the memory that the map has left half used. Nothing of it goes into the journal.
    pub fn pack_together(&mut self) {
        pack_together(&mut self.entries);
    }

    /// Returns the entries from a key on, it included, in the order of their keys.
    pub fn from(&self, key: &K) -> impl Iterator<Item = (&K, &V)> {
        self.entries.range(key..).map(|(key, value)| (key, &**value)).inspect(|_| self.count())
    }

    /// Returns all keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys().inspect(|_| self.count())
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Reports whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns what was touched since the last call, in the order of the keys: the new value, or
    /// nothing for an entry that is gone.
    pub fn take_touched(&mut self) -> Vec<(K, Option<V>)> {
        core::mem::take(&mut self.touched)
            .into_iter()
            .map(|key| {
                let value = self.look(&key).cloned();
                (key, value)
            })
            .collect()
    }

    /// Takes over what [`Ledger::take_touched`] returned.
    pub fn apply(&mut self, touched: Vec<(K, Option<V>)>) {
        for (key, value) in touched {
            match value {
                Some(value) => self.entries.insert(key, Box::new(value)),
                None => self.entries.remove(&key),
            };
        }
    }

    /// Returns every entry as if all had been touched.
    pub fn everything(&self) -> Vec<(K, Option<V>)> {
        self.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
    }
}

impl<K: Ord + Clone, V: Clone> Default for Ledger<K, V> {
    fn default() -> Self {
        Ledger::new()
    }
}

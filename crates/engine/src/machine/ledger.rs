//! A map that knows which of its entries were touched since the last turn was recorded.

use alloc::collections::{btree_map, BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// An ordered map with a list of touched keys. Only [`Ledger::edit`], [`Ledger::insert`] and
/// [`Ledger::remove`] change it, so no change can be forgotten in the journal.
#[derive(Clone, Debug)]
pub struct Ledger<K, V> {
    entries: BTreeMap<K, V>,
    touched: BTreeSet<K>,
}

impl<K: Ord + Clone, V: Clone> Ledger<K, V> {
    /// Returns an empty ledger.
    pub fn new() -> Self {
        Ledger { entries: BTreeMap::new(), touched: BTreeSet::new() }
    }

    /// Returns the entry of a key.
    pub fn look(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Returns the entry of a key for a change.
    pub fn edit(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key);
        if entry.is_some() && !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
        entry
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, key: K, value: V) {
        self.touched.insert(key.clone());
        self.entries.insert(key, value);
    }

    /// Removes an entry and returns it.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key);
        if entry.is_some() {
            self.touched.insert(key.clone());
        }
        entry
    }

    /// Returns all entries in the order of their keys.
    pub fn iter(&self) -> btree_map::Iter<'_, K, V> {
        self.entries.iter()
    }

    /// Returns the entries from a key on, it included, in the order of their keys.
    pub fn from(&self, key: &K) -> btree_map::Range<'_, K, V> {
        self.entries.range(key..)
    }

    /// Returns all keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
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
                let value = self.entries.get(&key).cloned();
                (key, value)
            })
            .collect()
    }

    /// Takes over what [`Ledger::take_touched`] returned.
    pub fn apply(&mut self, touched: Vec<(K, Option<V>)>) {
        for (key, value) in touched {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }

    /// Returns every entry as if all had been touched.
    pub fn everything(&self) -> Vec<(K, Option<V>)> {
        self.entries.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
    }
}

impl<K: Ord + Clone, V: Clone> Default for Ledger<K, V> {
    fn default() -> Self {
        Ledger::new()
    }
}

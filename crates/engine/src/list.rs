//! A list that takes one word while it is empty, and that is kept once where others have the same.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list that reads as a slice. A change makes it one's own first, so nobody else sees it.
#[derive(Clone)]
pub struct List<T>(Option<Arc<Vec<T>>>);

impl<T> List<T> {
    /// Returns an empty list; takes no memory.
    pub const fn new() -> Self {
        List(None)
    }
}

impl<T: Clone> List<T> {
    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        let list = self.edit();
        if list.is_empty() {
            list.reserve_exact(1);
        }
        list.push(item);
    }

    /// Keeps the items that are meant.
    pub fn retain(&mut self, meant: impl FnMut(&T) -> bool) {
        if !self.is_empty() {
            self.edit().retain(meant);
            self.forget_if_empty();
        }
    }

    /// Removes the items and returns them.
    pub fn take(&mut self) -> Vec<T> {
        self.0.take().map_or_else(Vec::new, Arc::unwrap_or_clone)
    }

    /// Returns the list for any change.
    pub fn edit(&mut self) -> &mut Vec<T> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    fn forget_if_empty(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }
}

impl<T: PartialEq> List<T> {
    /// Uses the other's items where they equal one's own.
    pub fn share(&mut self, other: &Self) {
        if *self == *other {
            self.0 = other.0.clone();
        }
    }

    /// Returns the items, kept once where the last such list had the same, and makes them the last.
    pub fn like(mut self, last: &mut Self) -> Self {
        self.share(last);
        last.0 = self.0.clone();
        self
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List::new()
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(mut items: Vec<T>) -> Self {
        items.shrink_to_fit();
        List((!items.is_empty()).then(|| Arc::new(items)))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        List::from(items.into_iter().collect::<Vec<T>>())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) if Arc::ptr_eq(one, other) => true,
            (_, _) => **self == **other,
        }
    }
}

impl<T: Eq> Eq for List<T> {}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(List::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_change_is_seen_by_nobody_else_and_an_empty_list_takes_nothing() {
        let mut one = List::from(vec![1]);
        let mut other = List::from(vec![1]);
        other.share(&one);
        assert_eq!(one.as_ptr(), other.as_ptr());
        one.push(2);
        assert_eq!((&*one, &*other), (&[1, 2][..], &[1][..]));
        one.retain(|item| *item > 2);
        assert!(one.0.is_none());
        assert_eq!((other.take(), &*other), (vec![1], &[][..]));
        other.edit();
        assert_eq!(other, one, "empty is empty");
    }

    #[test]
    fn it_is_written_as_a_list_and_read_again() {
        let list = List::from(vec![3, 1]);
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(text, "[3,1]");
        assert_eq!(serde_json::from_str::<List<u8>>(&text).unwrap(), list);
    }
}

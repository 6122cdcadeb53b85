//! A value that many jobs have in common and that is kept once.

use alloc::sync::Arc;
use core::ops::{Deref, DerefMut};
use serde::{Deserialize, Serialize};

/// A value that reads as if it were one's own. A change makes it one's own first, so nobody else
/// sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shared<T>(Arc<T>);

impl<T: PartialEq> Shared<T> {
    /// Uses the other's value where it equals one's own.
    pub fn share(&mut self, other: &Self) {
        if self.0 == other.0 {
            self.0 = other.0.clone();
        }
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Shared(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_by_nobody_else() {
        let mut one = Shared::from(1);
        let mut other = Shared::from(1);
        other.share(&one);
        assert!(Arc::ptr_eq(&one.0, &other.0));
        *one = 2;
        assert_eq!((*one, *other), (2, 1));
        other.share(&one);
        assert_eq!(*other, 1, "what differs is not shared");
    }
}

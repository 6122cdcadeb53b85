//! A value that nearly always is its default, which takes one word until it is another.

use alloc::boxed::Box;
use core::ops::{Deref, DerefMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A type whose default stands somewhere, to be looked at.
pub trait Usual: Sized + PartialEq + 'static {
    /// The default.
    const USUAL: &'static Self;
}

/// A value that reads as if it were there. A change takes the memory for it, so that what may be the
/// default already is looked at first.
#[derive(Clone, Debug)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Rare<T> {
    /// Returns the default; takes no memory.
    pub const fn new() -> Self {
        Rare(None)
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare::new()
    }
}

impl<T: Usual> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Rare((value != *T::USUAL).then(|| Box::new(value)))
    }
}

impl<T: Usual> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Usual + Eq> Eq for Rare<T> {}

impl<T: Usual> Deref for Rare<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::USUAL)
    }
}

impl<T: Usual + Clone> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::USUAL.clone()))
    }
}

impl<T: Usual + Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Usual + Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Rare::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Usual for u32 {
        const USUAL: &'static u32 = &7;
    }

    #[test]
    fn the_default_takes_no_memory_and_is_written_like_any_other_value() {
        let mut rare: Rare<u32> = Rare::new();
        assert_eq!((*rare, serde_json::to_string(&rare).unwrap().as_str()), (7, "7"));
        assert_eq!(serde_json::from_str::<Rare<u32>>("7").unwrap().0, None);
        *rare += 1;
        assert_eq!(serde_json::from_str::<Rare<u32>>("8").unwrap(), rare);
        *rare -= 1;
        assert_eq!(rare, Rare::new(), "whether it has been another");
        assert_eq!(size_of::<Rare<u32>>(), size_of::<usize>());
    }
}

//! Rows with small numbers that are used again once a row is gone.

/// Rows by number.
pub struct Slab<T> {
    rows: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// Makes an empty one; takes no memory yet.
    pub fn new() -> Slab<T> {
        Slab { rows: Vec::new(), free: Vec::new() }
    }

    /// Adds a row and returns its number.
    pub fn insert(&mut self, row: T) -> u32 {
        if let Some(number) = self.free.pop() {
            if let Some(place) = self.rows.get_mut(number as usize) {
                *place = Some(row);
                return number;
            }
        }
        self.rows.push(Some(row));
        u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
    }

    /// Returns the row of that number where there is one.
    pub fn row(&self, number: u32) -> Option<&T> {
        self.rows.get(number as usize)?.as_ref()
    }

    /// Returns the row of that number, to be changed, where there is one.
    pub fn row_mut(&mut self, number: u32) -> Option<&mut T> {
        self.rows.get_mut(number as usize)?.as_mut()
    }

    /// Takes a row out.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let row = self.rows.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(row)
    }

    /// Returns the numbers in use.
    pub fn numbers(&self) -> Vec<u32> {
        let used = self.rows.iter().enumerate().filter(|(_, row)| row.is_some());
        used.filter_map(|(number, _)| u32::try_from(number).ok()).collect()
    }

    /// Reports whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.free.len() == self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_only_once_its_row_is_gone() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!((slab.row(a), slab.row(b)), (Some(&'a'), Some(&'b')));
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!((slab.remove(a), slab.row(a)), (None, None));
        assert_eq!(slab.insert('c'), a);
        assert_eq!(slab.numbers(), [a, b]);
        slab.remove(a);
        slab.remove(b);
        assert!(slab.is_empty());
    }
}

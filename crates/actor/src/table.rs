//! A map by number that is small for a few entries and quick for many.
//!
//! Most actors have a link or two; a supervisor may have a hundred thousand. The entries are a row, which is
//! searched while it is short and has an index when it is not. The order of iteration is not specified, but
//! follows from what was done with the table alone, not from the numbers: a simulation relies on that.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const FEW: usize = 8;

pub(crate) struct Table<V> {
    row: Vec<(u64, V)>,
    /// Where each entry is in the row. Made when there are more than a few, and kept.
    index: Option<Box<Index>>,
}

type Index = HashMap<u64, usize, BuildHasherDefault<Spread>>;

/// Numbers are given out in sequence: multiplying spreads them over the bits that a map looks at.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio: Fibonacci hashing, Knuth vol. 3, 6.4.
        let product = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Table {
            row: Vec::new(),
            index: None,
        }
    }
}

impl<V> Table<V> {
    fn place(&self, key: u64) -> Option<usize> {
        match &self.index {
            None => self.row.iter().position(|(k, _)| *k == key),
            Some(index) => index.get(&key).copied(),
        }
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        let at = self.place(key)?;
        Some(&mut self.row[at].1)
    }

    pub(crate) fn insert(&mut self, key: u64, value: V) {
        if let Some(at) = self.place(key) {
            self.row[at].1 = value;
            return;
        }
        let at = self.row.len();
        self.row.push((key, value));
        match &mut self.index {
            Some(index) => {
                index.insert(key, at);
            }
            None if at < FEW => {}
            None => self.make_index(),
        }
    }

    fn make_index(&mut self) {
        let index = self.row.iter().enumerate().map(|(at, (key, _))| (*key, at));
        self.index = Some(Box::new(index.collect()));
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<V> {
        let at = self.place(key)?;
        let (_, value) = self.row.swap_remove(at);
        if let Some(index) = &mut self.index {
            index.remove(&key);
            // The last one has taken its place.
            if let Some((moved, _)) = self.row.get(at) {
                index.insert(*moved, at);
            }
        }
        Some(value)
    }

    /// Takes those that `is_one` is true for.
    pub(crate) fn take_if(&mut self, is_one: impl Fn(&V) -> bool) -> Vec<V> {
        let taken: Vec<_> = (self.row)
            .extract_if(.., |(_, value)| is_one(value))
            .map(|(_, value)| value)
            .collect();
        if !taken.is_empty() && self.index.is_some() {
            self.make_index();
        }
        taken
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.row.iter().map(|(_, value)| value)
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.row.into_iter().map(|(_, value)| value)
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_its_entries_when_it_grows_beyond_a_row() {
        let mut table = Table::default();
        for n in 0..100_u64 {
            table.insert(n, n * 2);
            table.insert(n, n * 3);
        }
        assert_eq!(table.values().count(), 100);
        assert_eq!(table.get_mut(50), Some(&mut 150));
        assert_eq!(table.remove(50), Some(150));
        assert_eq!(table.remove(50), None);
        assert_eq!(table.take_if(|value| *value == 3), [3]);
        assert_eq!(table.into_values().sum::<u64>(), 4950 * 3 - 153);
    }

    #[test]
    fn entries_are_found_wherever_removals_have_moved_them() {
        let mut table = Table::default();
        for n in 0..40_u64 {
            table.insert(n, n);
        }
        for n in (0..40).step_by(3) {
            assert_eq!(table.remove(n), Some(n));
        }
        let even = table.take_if(|n| n % 2 == 0);
        assert_eq!(even.len(), 13);
        for n in 0..40 {
            let expected = (n % 3 != 0 && n % 2 != 0).then_some(n);
            assert_eq!(table.get_mut(n).copied(), expected);
        }
        assert_eq!(table.values().count(), 13);
    }
}

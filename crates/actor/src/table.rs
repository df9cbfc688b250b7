//! A map by number that is small for a few entries and quick for many.
//!
//! Most actors have a link or two; a supervisor may have a hundred thousand. Up to eight entries are a row
//! that is searched; more are hashed. The order of iteration is not specified.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const FEW: usize = 8;

pub(crate) enum Table<V> {
    Few(Vec<(u64, V)>),
    Many(HashMap<u64, V, BuildHasherDefault<Spread>>),
}

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
        Table::Few(Vec::new())
    }
}

impl<V> Table<V> {
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        match self {
            Table::Few(row) => row.iter_mut().find(|(k, _)| *k == key).map(|(_, v)| v),
            Table::Many(map) => map.get_mut(&key),
        }
    }

    pub(crate) fn insert(&mut self, key: u64, value: V) {
        match self {
            Table::Few(row) => {
                if let Some((_, old)) = row.iter_mut().find(|(k, _)| *k == key) {
                    *old = value;
                } else if row.len() < FEW {
                    row.push((key, value));
                } else {
                    let mut map: HashMap<_, _, _> = row.drain(..).collect();
                    map.insert(key, value);
                    *self = Table::Many(map);
                }
            }
            Table::Many(map) => {
                map.insert(key, value);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<V> {
        match self {
            Table::Few(row) => {
                let at = row.iter().position(|(k, _)| *k == key)?;
                Some(row.swap_remove(at).1)
            }
            Table::Many(map) => map.remove(&key),
        }
    }

    /// Takes those that `is_one` is true for.
    pub(crate) fn take_if(&mut self, is_one: impl Fn(&V) -> bool) -> Vec<V> {
        match self {
            Table::Few(row) => (row.extract_if(.., |(_, value)| is_one(value)))
                .map(|(_, value)| value)
                .collect(),
            Table::Many(map) => (map.extract_if(|_, value| is_one(value)))
                .map(|(_, value)| value)
                .collect(),
        }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        let (row, map) = match self {
            Table::Few(row) => (Some(row.iter().map(|(_, v)| v)), None),
            Table::Many(map) => (None, Some(map.values())),
        };
        row.into_iter().flatten().chain(map.into_iter().flatten())
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        let (row, map) = match self {
            Table::Few(row) => (Some(row.into_iter().map(|(_, v)| v)), None),
            Table::Many(map) => (None, Some(map.into_values())),
        };
        row.into_iter().flatten().chain(map.into_iter().flatten())
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
}

//! The table of slots: grows in chunks that never move, and is read without a lock.
//!
//! Invariants:
//! 1. A slot's address and its existence are stable from its first use until the table is dropped,
//!    so an event of any age may look its slot up.
//! 2. Indices are given out by one caller at a time (the driver's registry lock); `get` needs no
//!    lock.
//!
//! Three levels: a root of 256 shelves, a shelf of 512 chunks, a chunk of 64 slots: 8,388,608
//! slots, more than the kernel gives one process descriptors. A chunk is 7 KiB; an idle driver has
//! none.

use std::sync::OnceLock;

use crate::slot::Slot;

const CHUNK: u32 = 64;
const SHELF: u32 = 512;
const ROOT: u32 = 256;

type Chunk = Box<[Slot]>;
type Shelf = Box<[OnceLock<Chunk>]>;

#[derive(Debug)]
pub(crate) struct Table {
    root: Box<[OnceLock<Shelf>]>,
}

impl Table {
    /// The number of slots a table can have.
    pub(crate) const CAPACITY: u32 = ROOT * SHELF * CHUNK;

    pub(crate) fn new() -> Self {
        Table {
            root: (0..ROOT).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Returns the slot, if its chunk was ever made.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Slot> {
        let (shelf, chunk, slot) = split(index);
        self.root.get(shelf)?.get()?.get(chunk)?.get()?.get(slot)
    }

    /// Returns the slot, making its chunk if need be. `index` is below
    /// [`CAPACITY`](Self::CAPACITY).
    pub(crate) fn get_or_make(&self, index: u32) -> &Slot {
        let (shelf, chunk, slot) = split(index);
        let shelf = self.root[shelf].get_or_init(|| (0..SHELF).map(|_| OnceLock::new()).collect());
        let chunk = shelf[chunk].get_or_init(|| (0..CHUNK).map(|_| Slot::new()).collect());
        &chunk[slot]
    }
}

#[inline]
const fn split(index: u32) -> (usize, usize, usize) {
    (
        (index / CHUNK / SHELF) as usize,
        (index / CHUNK % SHELF) as usize,
        (index % CHUNK) as usize,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_costs_at_most_128_bytes() {
        assert!(size_of::<Slot>() + size_of::<crate::Registration>() <= 128);
    }

    #[test]
    fn slots_are_found_where_they_were_made_and_nowhere_else() {
        let table = Table::new();
        assert!(table.get(0).is_none());
        let indices = [0, CHUNK - 1, CHUNK, CHUNK * SHELF, Table::CAPACITY - 1];
        let made: Vec<*const Slot> = indices
            .iter()
            .map(|&i| std::ptr::from_ref(table.get_or_make(i)))
            .collect();
        for (&index, &slot) in indices.iter().zip(&made) {
            let found = table.get(index).expect("was made");
            assert!(std::ptr::eq(found, slot));
        }
        assert!(table.get(Table::CAPACITY).is_none());
        assert!(table.get(u32::MAX).is_none());
    }
}

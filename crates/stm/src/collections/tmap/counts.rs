//! How many keys a map has, in several variables.
//!
//! Each thread adds to one of them, by a change that commutes and so reads nothing: threads that insert different
//! keys neither conflict here nor take a cache line from each other. A variable by itself means nothing (it may be
//! negative); their sum is the number of keys.

use crate::{Snapshot, Stm, TVar, Tx};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};

const COUNTS: usize = 16;

/// Threads that begin one after the other count this far apart: variables made together share cache lines.
const APART: usize = 5;

pub(super) struct Counts([TVar<isize>; COUNTS]);

impl Counts {
    pub(super) fn new(keys: usize) -> Self {
        // A collection in memory is no longer than `isize::MAX`.
        let keys = keys as isize;
        Counts(std::array::from_fn(|at| {
            TVar::new(if at == 0 { keys } else { 0 })
        }))
    }

    /// One key more.
    pub(super) fn add(&self, tx: &Tx) -> Stm<()> {
        self.0[mine()].commute(tx, |count| count + 1)
    }

    /// One key fewer.
    pub(super) fn subtract(&self, tx: &Tx) -> Stm<()> {
        self.0[mine()].commute(tx, |count| count - 1)
    }

    pub(super) fn clear(&self, tx: &Tx) -> Stm<()> {
        self.0.iter().try_for_each(|count| count.set(tx, 0))
    }

    pub(super) fn sum(&self, tx: &Tx) -> Stm<usize> {
        let counts = self.0.iter().map(|count| count.get(tx).copied());
        Ok(counts.sum::<Stm<isize>>()?.unsigned_abs())
    }

    pub(super) fn view(&self, snapshot: &Snapshot) -> usize {
        let counts = self.0.iter().map(|count| *count.view(snapshot));
        counts.sum::<isize>().unsigned_abs()
    }

    /// About how many there are, outside of transactions.
    pub(super) fn estimate(&self) -> usize {
        let counts = self.0.iter().map(TVar::load);
        counts.sum::<isize>().try_into().unwrap_or(0)
    }
}

/// Which one the calling thread adds to.
fn mine() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Relaxed: a number, which orders nothing.
        static MINE: usize = THREADS.fetch_add(APART, Ordering::Relaxed) % COUNTS;
    }
    MINE.with(|mine| *mine)
}

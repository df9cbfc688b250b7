//! The workloads of transactions, written once for whatever guards the data: a library of
//! transactional memory, or locks.
//!
//! `numbers` and `contention` are over numbers that one transaction reads or changes together,
//! `wake` is over conditions that are waited for, `map` over a map, `memory` asks what it all costs.
//!
//! 1. Every run ends with a check of what must have stayed true: transfers keep the sum, increments
//!    add up. Where a transaction reads all numbers, it checks the sum itself.
//! 2. The driver takes part as the first thread, and all meet before the first transaction, so that
//!    they run at the same time, each on a worker of its own.

pub(crate) mod contention;
pub(crate) mod map;
pub(crate) mod memory;
pub(crate) mod numbers;
pub(crate) mod wake;

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::registry::{Bench, Entry};

/// Numbers that are read and changed together, each call a transaction of its own.
pub(crate) trait Numbers: Send + Sync + 'static {
    /// Makes as many numbers as there are values.
    fn new(values: Vec<u64>) -> Self;

    /// Reads one number.
    fn read(&self, index: usize) -> u64;

    /// Adds one to one number.
    fn add_one(&self, index: usize);

    /// Takes one from the first number and adds it to the second, if the first is not zero.
    fn transfer(&self, from: usize, to: usize);

    /// Reads all numbers as they are at one moment, and adds them up.
    fn sum(&self) -> u64;

    /// Does the same in the way that is best where nothing is written.
    fn audit(&self) -> u64 {
        self.sum()
    }

    /// Returns how many values were replaced and are not dropped yet, where that is known.
    fn backlog() -> Option<u64> {
        None
    }
}

/// Returns the benches over numbers, as `peer` runs them.
pub(crate) const fn entries<P: Place, N: Numbers>(peer: &'static str) -> [Entry; 6] {
    [
        Entry::measure(Bench::StmCounter, peer, numbers::counter::<P, N>),
        Entry::measure(Bench::StmRead, peer, numbers::read::<P, N>),
        Entry::measure(Bench::StmBank, peer, numbers::bank::<P, N>),
        Entry::measure(Bench::StmHot, peer, contention::hot::<P, N>),
        Entry::measure(Bench::StmLongReader, peer, contention::long_reader::<P, N>),
        Entry::measure(Bench::StmMemory, peer, memory::memory::<P, N>),
    ]
}

/// Runs `body(0)` to `body(threads - 1)` at the same time, the first of them in this thread.
///
/// Returns the time from the first start to the last end, which the threads read themselves, and
/// what they returned.
fn together<P: Place, T: Send + 'static>(
    threads: usize,
    body: impl Fn(usize) -> T + Send + Sync + 'static,
) -> (Duration, Vec<T>) {
    let (met, body) = (Arc::new(AtomicUsize::new(0)), Arc::new(body));
    let part = move |index: usize| {
        met.fetch_add(1, Ordering::AcqRel);
        // It must not leave its worker to another of them.
        while met.load(Ordering::Acquire) < threads {
            hint::spin_loop();
        }
        let start = Instant::now();
        let result = body(index);
        (start, Instant::now(), result)
    };
    let others: Vec<_> = (1..threads)
        .map(|index| {
            let part = part.clone();
            P::spawn(move || part(index))
        })
        .collect();
    let mut parts = vec![part(0)];
    parts.extend(others.into_iter().map(P::join));
    let start = parts.iter().map(|part| part.0).min();
    let end = parts.iter().map(|part| part.1).max();
    let (start, end) = start.zip(end).expect("there is a thread");
    let results = parts.into_iter().map(|part| part.2).collect();
    (end - start, results)
}

/// Numbers at random from a xorshift generator (Marsaglia, 2003): the same for every peer.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// Makes the sequence of one of the threads.
    fn of_thread(index: usize) -> Self {
        Random(0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// Draws a number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) * bound) >> 32
    }

    /// Draws two different numbers below `bound`.
    fn pair_below(&mut self, bound: u64) -> (usize, usize) {
        let first = self.below(bound);
        let second = self.below(bound - 1);
        let second = second + u64::from(second >= first);
        (first as usize, second as usize)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::peers::threads::OsThreads;
    use crate::weft::TVar;

    fn moves_and_counts<N: Numbers>() {
        let numbers = N::new(vec![1, 0, 5]);
        numbers.transfer(0, 1);
        assert_eq!([0, 1, 2].map(|index| numbers.read(index)), [0, 1, 5]);
        numbers.transfer(0, 2);
        assert_eq!(numbers.read(0), 0, "what is not there is not taken");
        numbers.transfer(2, 0);
        numbers.add_one(1);
        assert_eq!([0, 1, 2].map(|index| numbers.read(index)), [1, 2, 4]);
        assert_eq!((numbers.sum(), numbers.audit()), (7, 7));
    }

    #[test]
    fn every_peer_moves_and_counts_alike() {
        moves_and_counts::<Vec<TVar<u64>>>();
        moves_and_counts::<Vec<stm::TVar<u64>>>();
        moves_and_counts::<Vec<fast_stm::TVar<u64>>>();
        moves_and_counts::<Vec<async_stm::TVar<u64>>>();
        moves_and_counts::<Vec<Mutex<u64>>>();
        moves_and_counts::<Mutex<Vec<u64>>>();
    }

    #[test]
    fn a_pair_at_random_is_never_one_number_twice_and_reaches_all() {
        let mut random = Random::of_thread(0);
        let mut seen = [[false; 4]; 4];
        for _ in 0..1000 {
            let (first, second) = random.pair_below(4);
            assert_ne!(first, second);
            seen[first][second] = true;
        }
        assert_eq!(seen.iter().flatten().filter(|seen| **seen).count(), 12);
    }

    #[test]
    fn every_thread_has_its_part_and_a_sequence_of_its_own() {
        let (_, drawn) =
            together::<OsThreads, _>(3, |index| (index, Random::of_thread(index).below(1 << 30)));
        assert_eq!(
            drawn.iter().map(|drawn| drawn.0).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        assert!(drawn[0].1 != drawn[1].1 && drawn[1].1 != drawn[2].1);
    }
}

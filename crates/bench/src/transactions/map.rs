//! A map that is mostly read.

use std::sync::Arc;

use super::numbers::shares;
use super::{Random, together};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::place::Place;

/// So many keys are in the map at first, every other one of twice as many. Removals and
/// insertions, which are equally frequent, keep it near that.
const KEYS: u64 = 100_000;

/// So many of a hundred operations write.
const WRITES: u64 = 10;

/// A map that threads share, each call a transaction of its own.
pub(crate) trait Map: Send + Sync + 'static {
    /// Makes an empty map.
    fn new() -> Self;

    /// Reads what is stored under a key.
    fn get(&self, key: u64) -> Option<u64>;

    /// Stores a value and returns the one it replaces.
    fn insert(&self, key: u64, value: u64) -> Option<u64>;

    /// Removes what is stored under a key and returns it.
    fn remove(&self, key: u64) -> Option<u64>;

    /// Counts the keys.
    fn len(&self) -> u64;
}

/// Threads look up keys, and sometimes insert or remove one.
pub(crate) fn map<P: Place, M: Map>(run: &Run) -> Measurement {
    let threads = run.workers;
    let (each, total) = shares(run.n_or(1_000_000), threads);
    let elapsed = P::drive(run, move || {
        let map = Arc::new(M::new());
        for key in (0..2 * KEYS).step_by(2) {
            assert_eq!(map.insert(key, key), None);
        }
        let (elapsed, grown) = together::<P, _>(threads, {
            let map = map.clone();
            move |thread| work(&*map, thread, each)
        });
        let expected = KEYS as i64 + grown.iter().sum::<i64>();
        assert_eq!(
            map.len() as i64,
            expected,
            "no insertion or removal is lost"
        );
        elapsed
    });
    Measurement::new(total, total, elapsed)
}

/// Does the share of one thread; returns by how many keys that has let the map grow.
fn work<M: Map>(map: &M, thread: usize, operations: u64) -> i64 {
    let mut random = Random::of_thread(thread);
    let mut grown = 0;
    for _ in 0..operations {
        let (action, key) = (random.below(100), random.below(2 * KEYS));
        if action >= WRITES {
            assert!(map.get(key).is_none_or(|value| value == key));
        } else if action % 2 == 0 {
            grown += i64::from(map.insert(key, key).is_none());
        } else {
            grown -= i64::from(map.remove(key).is_some());
        }
    }
    grown
}

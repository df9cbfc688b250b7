//! The buckets of a map, and how their number grows.
//!
//! Bucket variables never move, so a look-up is one read: no variable says where the table is. There are
//! levels of buckets, each with twice as many as the one before; a key's bucket at a level is given by the
//! first bits of its hash. A bucket that is split hands its entries to the two below it at the next level.
//!
//! Invariants
//! 1. Of the buckets of a hash, from the first level on, some (maybe none) are `Moved`, then one has `Entries`,
//!    and the rest are `Fresh`. A transaction sees it so, because a split is part of one.
//! 2. `newest` is only a hint where to start. It is raised after the level it names was made, so each level up
//!    to it is there, and each level above one in which a bucket is `Moved`.
//! 3. `counts` add up to the number of entries. Which of them counts a key is given by its hash; they are added
//!    to without being read, so inserts of different keys do not conflict.
//!
//! After a level was added, each write moves a few buckets more to it, in transactions of their own: see
//! `growth.rs`.

use super::entries::position;
use crate::{Stm, TVar, Tx};
use std::hash::{BuildHasher, Hash};
use std::sync::OnceLock;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};

/// How many levels there can be.
const LEVELS: usize = 32;
const COUNTS: usize = 16;
/// How many entries a bucket has at most on average before there is another level.
pub(super) const LOAD: usize = 8;

pub(super) struct Table<K: 'static, V: 'static, S> {
    pub(super) hasher: S,
    /// The logarithm of the number of buckets at the first level.
    first_bits: u32,
    levels: [OnceLock<Level<K, V>>; LEVELS],
    newest: AtomicUsize,
    pub(super) counts: [TVar<isize>; COUNTS],
}

pub(super) struct Level<K: 'static, V: 'static> {
    pub(super) buckets: Box<[TVar<Bucket<K, V>>]>,
    /// How many buckets some thread has undertaken to move to the next level.
    pub(super) claimed: AtomicUsize,
}

pub(super) enum Bucket<K, V> {
    /// Its entries are still at a level before.
    Fresh,
    /// What keys of this bucket there are.
    Entries(Box<[(K, V)]>),
    /// Its entries are at a level behind.
    Moved,
}

/// The bucket that has a key if anybody has.
pub(super) struct Place<'t, 'tx, K: 'static, V: 'static> {
    pub(super) level: usize,
    pub(super) var: &'t TVar<Bucket<K, V>>,
    pub(super) entries: &'tx [(K, V)],
}

/// Where a key's bucket is: the first bits count.
#[derive(Clone, Copy)]
pub(super) struct Spread(pub(super) u64);

impl Spread {
    /// Spreads also what a poor hasher left in the last bits.
    fn new(hash: u64) -> Self {
        Spread(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The bucket out of `2^bits`.
    #[inline]
    fn index(self, bits: u32) -> usize {
        (self.0 >> (u64::BITS - bits)) as usize
    }

    /// Not the first bits: so neighbours count apart. The last ones are poor.
    fn count(self) -> usize {
        (self.0 >> 24) as usize % COUNTS
    }
}

impl<K, V, S> Table<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(capacity: usize, hasher: S) -> Self {
        let bits = first_bits(capacity);
        let empty = (0..1_usize << bits).map(|_| Box::default());
        Self::with_entries(bits, empty, [0; COUNTS], hasher)
    }

    /// A table with `2^bits` buckets, that have these entries.
    fn with_entries(
        bits: u32,
        buckets: impl Iterator<Item = Box<[(K, V)]>>,
        counts: [isize; COUNTS],
        hasher: S,
    ) -> Self {
        let levels = [const { OnceLock::new() }; LEVELS];
        levels[0].get_or_init(|| Level::new(buckets.map(Bucket::Entries)));
        Table {
            hasher,
            first_bits: bits,
            levels,
            newest: AtomicUsize::new(0),
            counts: counts.map(TVar::new),
        }
    }

    pub(super) fn level(&self, level: usize) -> &Level<K, V> {
        self.levels[level].get().expect("invariant 2")
    }

    pub(super) fn newest(&self) -> usize {
        // Acquire: pairs with the release in `add_level`: the level is there.
        self.newest.load(Ordering::Acquire)
    }

    /// Adds a level behind `level`, unless somebody has, or there can be no more.
    pub(super) fn add_level(&self, level: usize) {
        if level + 1 == LEVELS {
            return;
        }
        let buckets = self.level(level).buckets.len() * 2;
        self.levels[level + 1].get_or_init(|| Level::new((0..buckets).map(|_| Bucket::Fresh)));
        // Release: pairs with the acquire in `newest`.
        self.newest.fetch_max(level + 1, Ordering::Release);
    }

    pub(super) fn index(&self, level: usize, spread: Spread) -> usize {
        spread.index(self.first_bits + level as u32)
    }

    /// Which of the counts counts the key.
    pub(super) fn count(&self, spread: Spread) -> &TVar<isize> {
        &self.counts[spread.count()]
    }

    /// Looks for the bucket with entries, reading buckets by `read`.
    #[inline]
    pub(super) fn find_by<'r, E>(
        &self,
        spread: Spread,
        read: impl Fn(&TVar<Bucket<K, V>>) -> Result<&'r Bucket<K, V>, E>,
    ) -> Result<Place<'_, 'r, K, V>, E> {
        let mut level = self.newest();
        loop {
            let var = &self.level(level).buckets[self.index(level, spread)];
            // Up or down, but never both: invariant 1.
            match read(var)? {
                Bucket::Entries(entries) => {
                    return Ok(Place {
                        level,
                        var,
                        entries,
                    });
                }
                Bucket::Fresh => level -= 1,
                Bucket::Moved => level += 1,
            }
        }
    }

    #[inline]
    pub(super) fn find<'tx>(&self, tx: &'tx Tx, spread: Spread) -> Stm<Place<'_, 'tx, K, V>> {
        self.find_by(spread, |var| var.get(tx))
    }

    /// How many entries there are, in this transaction.
    pub(super) fn len(&self, tx: &Tx) -> Stm<usize> {
        let sum = self
            .counts
            .iter()
            .try_fold(0, |sum, count| Ok(sum + count.get(tx)?));
        Ok(sum?.unsigned_abs())
    }
}

impl<K: 'static, V: 'static, S: BuildHasher> Table<K, V, S> {
    #[inline]
    pub(super) fn spread<Q: Hash + ?Sized>(&self, key: &Q) -> Spread {
        Spread::new(self.hasher.hash_one(key))
    }
}

impl<K, V, S> Table<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A table of these entries; of several with one key the last one counts.
    pub(super) fn filled(entries: Vec<(K, V)>, hasher: S) -> Self {
        let bits = first_bits(entries.len());
        let mut buckets: Vec<Vec<(K, V)>> = (0..1_usize << bits).map(|_| Vec::new()).collect();
        let mut counts = [0; COUNTS];
        for (key, value) in entries {
            let spread = Spread::new(hasher.hash_one(&key));
            let bucket = &mut buckets[spread.index(bits)];
            match position(bucket, &key) {
                Some(at) => bucket[at].1 = value,
                None => {
                    bucket.push((key, value));
                    counts[spread.count()] += 1;
                }
            }
        }
        Self::with_entries(bits, buckets.into_iter().map(Vec::into), counts, hasher)
    }
}

impl<K, V> Level<K, V>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn new(buckets: impl Iterator<Item = Bucket<K, V>>) -> Self {
        Level {
            buckets: buckets.map(TVar::new).collect(),
            claimed: AtomicUsize::new(0),
        }
    }
}

/// The logarithm of the number of buckets that a table for so many entries begins with.
fn first_bits(capacity: usize) -> u32 {
    (capacity / LOAD).next_power_of_two().ilog2().max(3)
}

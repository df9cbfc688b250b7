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
//!
//! After a level was added, each write moves a few buckets more to it, in transactions of their own: see
//! `growth.rs`.

use super::counts::Counts;
use super::entries::{Entries, PART_BITS};
use crate::{Stm, TVar, Tx};
use std::hash::{BuildHasher, Hash};
use std::mem;
use std::sync::OnceLock;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};

/// How many levels there can be.
const LEVELS: usize = 32;
/// The logarithm of the number of buckets that a map has at least: many, so that transactions on a small map seldom
/// meet in one.
const LEAST_BITS: u32 = 5;

/// How many entries a bucket has at most on average before there is another level.
///
/// A write makes a bucket anew. Where that is a copy of bytes, buckets are large: then the map is small, and more of
/// it is in the caches. Where entries must be cloned and dropped one by one, they are small.
pub(super) const fn load<K, V>() -> usize {
    if mem::needs_drop::<(K, V)>() {
        return 6;
    }
    match 512 / (mem::size_of::<(K, V)>() + 1) {
        0..6 => 6,
        31.. => 32,
        load => load,
    }
}

pub(super) struct Table<K: 'static, V: 'static, S> {
    pub(super) hasher: S,
    levels: [OnceLock<Level<K, V>>; LEVELS],
    newest: AtomicUsize,
    pub(super) counts: Counts,
}

pub(super) struct Level<K: 'static, V: 'static> {
    /// So many bits of a hash choose a bucket.
    bits: u32,
    pub(super) buckets: Box<[TVar<Bucket<K, V>>]>,
    /// How many buckets some thread has undertaken to move to the next level.
    pub(super) claimed: AtomicUsize,
}

pub(super) enum Bucket<K, V> {
    /// Its entries are still at a level before.
    Fresh,
    /// What keys of this bucket there are.
    Entries(Entries<K, V>),
    /// Its entries are at a level behind.
    Moved,
}

/// The bucket that has a key if anybody has.
pub(super) struct Place<'t, 'tx, K: 'static, V: 'static> {
    pub(super) level: usize,
    pub(super) var: &'t TVar<Bucket<K, V>>,
    pub(super) entries: &'tx Entries<K, V>,
    /// The key's part of the entries.
    pub(super) part: usize,
}

/// Where a key's bucket is: the first bits count.
#[derive(Clone, Copy)]
pub(super) struct Spread(u64);

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

    /// The part of the bucket out of `2^bits`.
    #[inline]
    fn part(self, bits: u32) -> usize {
        self.index(bits + PART_BITS) % (1 << PART_BITS)
    }
}

impl<K, V, S> Table<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(capacity: usize, hasher: S) -> Self {
        let bits = first_bits::<K, V>(capacity);
        let empty = (0..1_usize << bits).map(|_| Entries::new());
        Self::with_entries(bits, empty, 0, hasher)
    }

    /// A table with `2^bits` buckets, that have these entries.
    fn with_entries(
        bits: u32,
        buckets: impl Iterator<Item = Entries<K, V>>,
        len: usize,
        hasher: S,
    ) -> Self {
        let levels = [const { OnceLock::new() }; LEVELS];
        levels[0].get_or_init(|| Level::new(bits, buckets.map(Bucket::Entries)));
        Table {
            hasher,
            levels,
            newest: AtomicUsize::new(0),
            counts: Counts::new(len),
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
        let bits = self.level(level).bits + 1;
        let fresh = || Level::new(bits, (0..1_usize << bits).map(|_| Bucket::Fresh));
        self.levels[level + 1].get_or_init(fresh);
        // Release: pairs with the acquire in `newest`.
        self.newest.fetch_max(level + 1, Ordering::Release);
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
            let found = self.level(level);
            let var = &found.buckets[found.index(spread)];
            // Up or down, but never both: invariant 1.
            match read(var)? {
                Bucket::Entries(entries) => {
                    return Ok(Place {
                        level,
                        var,
                        entries,
                        part: found.part(spread),
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
        let bits = first_bits::<K, V>(entries.len());
        let mut buckets: Vec<Vec<(usize, (K, V))>> = Vec::new();
        buckets.resize_with(1 << bits, Vec::new);
        let mut len = 0;
        for (key, value) in entries {
            let spread = Spread::new(hasher.hash_one(&key));
            let bucket = &mut buckets[spread.index(bits)];
            match bucket.iter_mut().find(|(_, entry)| entry.0 == key) {
                Some((_, entry)) => entry.1 = value,
                None => {
                    bucket.push((spread.part(bits), (key, value)));
                    len += 1;
                }
            }
        }
        let buckets = buckets.into_iter().map(Entries::of);
        Self::with_entries(bits, buckets, len, hasher)
    }
}

impl<K, V> Level<K, V>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn new(bits: u32, buckets: impl Iterator<Item = Bucket<K, V>>) -> Self {
        Level {
            bits,
            buckets: buckets.map(TVar::new).collect(),
            claimed: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(super) fn index(&self, spread: Spread) -> usize {
        spread.index(self.bits)
    }

    /// The part of the bucket.
    #[inline]
    pub(super) fn part(&self, spread: Spread) -> usize {
        spread.part(self.bits)
    }

    /// Some hash of that bucket.
    pub(super) fn spread(&self, index: usize) -> Spread {
        Spread((index as u64) << (u64::BITS - self.bits))
    }
}

/// The logarithm of the number of buckets that a table for so many entries begins with.
fn first_bits<K, V>(capacity: usize) -> u32 {
    let buckets = (capacity / load::<K, V>()).next_power_of_two();
    buckets.ilog2().max(LEAST_BITS)
}

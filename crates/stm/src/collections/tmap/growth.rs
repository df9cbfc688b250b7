//! More buckets, a few at a time.
//!
//! An insert into a long bucket adds a level when the map is crowded, and splits its bucket. The other buckets
//! of the level before follow in small transactions of their own: after each write that finds some left, its
//! thread moves [`SHARE`] of them. So no insert stops the map, or pays for all of it.
//!
//! A bucket that somebody claimed and did not move, because a hash or a clone of the user's panicked, stays
//! where it is, where look-ups find it too.

use super::entries::Entries;
use super::table::{Bucket, Place, Spread, Table, load};
use crate::{Stm, Tx, atomically};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use weftwork_core::sync::atomic::Ordering;

/// How many buckets a write moves when there are some to move.
const SHARE: usize = 16;

impl<K, V, S> Table<K, V, S> {
    /// A bucket with this many entries is long: a reason to ask whether the map is crowded.
    const LONG: usize = load::<K, V>() + load::<K, V>() / 2;
    /// A bucket with this many is so long that even entries of this very transaction are asked for.
    const VERY_LONG: usize = load::<K, V>() * 4;
}

impl<K, V, S> Table<K, V, S>
where
    K: Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The bucket that a new key of this hash goes to.
    pub(super) fn find_for_insert<'tx>(
        &self,
        tx: &'tx Tx,
        spread: Spread,
    ) -> Stm<Place<'_, 'tx, K, V>> {
        let mut place = self.find(tx, spread)?;
        while place.entries.len() >= Self::LONG && self.may_split(tx, &place)? {
            self.split(tx, self.level(place.level).index(spread), &place)?;
            place = self.find(tx, spread)?;
        }
        Ok(place)
    }

    /// Whether there is a level behind the bucket's; if the map is crowded there will be.
    fn may_split(&self, tx: &Tx, place: &Place<'_, '_, K, V>) -> Stm<bool> {
        let level = place.level;
        if level == self.newest() {
            let room = self.level(level).buckets.len() * load::<K, V>();
            // What this transaction has inserted is not in the estimate.
            let is_crowded = self.counts.estimate() > room
                || (place.entries.len() >= Self::VERY_LONG && self.counts.sum(tx)? > room);
            if is_crowded {
                self.add_level(level);
            }
        }
        Ok(level < self.newest())
    }

    /// Hands the entries of a bucket to the two behind it.
    fn split(&self, tx: &Tx, index: usize, place: &Place<'_, '_, K, V>) -> Stm<()> {
        let behind = self.level(place.level + 1);
        let mut halves = [Vec::new(), Vec::new()];
        for entry in place.entries.all() {
            let spread = self.spread(&entry.0);
            let half = behind.index(spread) - 2 * index;
            halves[half].push((behind.part(spread), entry.clone()));
        }
        for (half, entries) in halves.into_iter().enumerate() {
            let entries = Bucket::Entries(Entries::of(entries));
            behind.buckets[2 * index + half].set(tx, entries)?;
        }
        place.var.set(tx, Bucket::Moved)
    }

    /// Lets this transaction move a share of the buckets that are left, once it is committed.
    pub(super) fn help_to_grow(self: &Arc<Self>, tx: &Tx) {
        if self.is_growing() {
            let table = Arc::clone(self);
            tx.on_commit(move || table.move_a_share());
        }
    }

    /// Whether some bucket of the level before the newest is still to be moved.
    fn is_growing(&self) -> bool {
        self.newest().checked_sub(1).is_some_and(|before| {
            let before = self.level(before);
            // Relaxed, here and below: a counter, which orders nothing.
            before.claimed.load(Ordering::Relaxed) < before.buckets.len()
        })
    }

    fn move_a_share(&self) {
        let Some(before) = self.newest().checked_sub(1) else {
            return;
        };
        let level = self.level(before);
        let first = level.claimed.fetch_add(SHARE, Ordering::Relaxed);
        for index in first..(first + SHARE).min(level.buckets.len()) {
            atomically(|tx| self.move_behind(tx, before, index));
        }
    }

    /// Moves what is in the bucket, or was not moved there yet, to the next level.
    fn move_behind(&self, tx: &Tx, level: usize, index: usize) -> Stm<()> {
        let spread = self.level(level).spread(index);
        loop {
            let place = self.find(tx, spread)?;
            if place.level > level {
                return Ok(());
            }
            self.split(tx, self.level(place.level).index(spread), &place)?;
        }
    }
}

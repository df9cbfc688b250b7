//! A hash map.
//!
//! `table.rs` holds the buckets and says where a key is, `growth.rs` makes more of them, `entries.rs` is what is
//! in one, `counts.rs` how many keys there are. `walk.rs` goes through all, `view.rs` is the map as a snapshot sees
//! it, `write.rs` what changes it.

mod counts;
mod entries;
mod growth;
mod table;
mod view;
mod walk;
mod write;

pub use view::TMapView;

use crate::{Snapshot, Stm, Tx};
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use table::Table;
use walk::Iter;

/// A hash map whose transactions conflict only if they use the same key, or two keys of the same bucket.
///
/// A look-up reads one variable and allocates nothing. A write makes its bucket anew, some entries, so keys
/// and values are cloned then: put what is costly to clone in an [`Arc`]. Buckets grow in number with the
/// map, a few at a time, so that no write is held up by it; they never become fewer. [`len`](Self::len) is
/// exact, and inserts of different keys nevertheless do not conflict.
///
/// To go through a large map, use [`view`](Self::view): it conflicts with nobody. A clone is another handle to
/// the same map.
///
/// ```
/// use weftwork_stm::{TMap, atomically};
///
/// let stock = TMap::new();
/// atomically(|tx| stock.insert(tx, "apples", 3_u32));
/// // Takes two apples and puts in two pears, or neither.
/// atomically(|tx| {
///     stock.alter(tx, "apples", |n| n.map(|n| n - 2))?;
///     stock.alter(tx, "pears", |n| Some(n.unwrap_or(&0) + 2))
/// });
/// assert_eq!(atomically(|tx| Ok(stock.get(tx, "pears")?.copied())), Some(2));
/// ```
pub struct TMap<K: 'static, V: 'static, S = RandomState> {
    table: Arc<Table<K, V, S>>,
}

impl<K, V> TMap<K, V>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Makes an empty map.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::<String, u64>::new();
    /// assert!(atomically(|tx| map.is_empty(tx)));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// Makes an empty map with buckets for this many keys.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::with_capacity(1000);
    /// atomically(|tx| map.insert(tx, 1, "one"));
    /// ```
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }
}

impl<K, V, S> TMap<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Makes an empty map that hashes keys with `hasher`.
    ///
    /// ```
    /// use std::hash::{BuildHasherDefault, DefaultHasher};
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::with_hasher(BuildHasherDefault::<DefaultHasher>::default());
    /// atomically(|tx| map.insert(tx, 1, "one"));
    /// ```
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_capacity_and_hasher(0, hasher)
    }

    /// Makes an empty map with buckets for this many keys, that hashes keys with `hasher`.
    ///
    /// ```
    /// use std::hash::RandomState;
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::with_capacity_and_hasher(1000, RandomState::new());
    /// atomically(|tx| map.insert(tx, 1, "one"));
    /// ```
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        TMap {
            table: Arc::new(Table::new(capacity, hasher)),
        }
    }

    /// All keys with their values, in no particular order.
    ///
    /// Reads all buckets, and so conflicts with whoever writes to the map: see [`view`](Self::view). Entries
    /// that the transaction inserts or removes meanwhile may or may not be seen.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::from([("one", 1), ("two", 2)]);
    /// let sum = atomically(|tx| map.iter(tx).try_fold(0, |sum, entry| Ok(sum + entry?.1)));
    /// assert_eq!(sum, 3);
    /// ```
    pub fn iter<'tx>(&self, tx: &'tx Tx) -> impl Iterator<Item = Stm<(&'tx K, &'tx V)>> {
        Iter::new(&self.table, tx)
    }

    /// How many keys there are. Conflicts with whoever inserts or removes some.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::from([("one", 1), ("two", 2)]);
    /// assert_eq!(atomically(|tx| map.len(tx)), 2);
    /// ```
    pub fn len(&self, tx: &Tx) -> Stm<usize> {
        self.table.counts.sum(tx)
    }

    /// Whether there is no key. Conflicts with whoever inserts or removes some.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// assert!(atomically(|tx| TMap::<u8, u8>::new().is_empty(tx)));
    /// ```
    pub fn is_empty(&self, tx: &Tx) -> Stm<bool> {
        Ok(self.len(tx)? == 0)
    }

    /// The map as `snapshot` sees it: to look keys up, and to go through all, without conflicts.
    ///
    /// ```
    /// use weftwork_stm::{TMap, snapshot};
    ///
    /// let map = TMap::from([("one", 1), ("two", 2)]);
    /// let (len, sum) = snapshot(|s| {
    ///     let map = map.view(s);
    ///     (map.len(), map.iter().map(|(_, n)| *n).sum::<i32>())
    /// });
    /// assert_eq!((len, sum), (2, 3));
    /// ```
    #[must_use]
    pub fn view<'s>(&'s self, snapshot: &'s Snapshot) -> TMapView<'s, K, V, S> {
        TMapView::new(self, snapshot)
    }
}

impl<K, V, S> TMap<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The value of `key`.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::from([("one", 1)]);
    /// let one = atomically(|tx| Ok(map.get(tx, "one")?.copied()));
    /// assert_eq!(one, Some(1));
    /// ```
    #[inline]
    pub fn get<'tx, Q>(&self, tx: &'tx Tx, key: &Q) -> Stm<Option<&'tx V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = self.table.find(tx, self.table.spread(key))?;
        let at = place.entries.position(place.part, key);
        Ok(at.map(|at| &place.entries.all()[at].1))
    }

    /// The value of `key`. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let answers = TMap::new();
    /// let other = std::thread::spawn({
    ///     let answers = answers.clone();
    ///     move || atomically(|tx| answers.insert(tx, "question", 42))
    /// });
    /// assert_eq!(atomically(|tx| answers.wait(tx, "question").copied()), 42);
    /// other.join().unwrap();
    /// ```
    pub fn wait<'tx, Q>(&self, tx: &'tx Tx, key: &Q) -> Stm<&'tx V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.get(tx, key)? {
            Some(value) => Ok(value),
            None => tx.retry(),
        }
    }

    /// Whether there is such a key.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::from([("one", 1)]);
    /// assert!(!atomically(|tx| map.contains_key(tx, "two")));
    /// ```
    pub fn contains_key<Q>(&self, tx: &Tx, key: &Q) -> Stm<bool>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Ok(self.get(tx, key)?.is_some())
    }
}

impl<K: 'static, V: 'static, S> Clone for TMap<K, V, S> {
    fn clone(&self) -> Self {
        TMap {
            table: Arc::clone(&self.table),
        }
    }
}

impl<K, V, S> Default for TMap<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: Default,
{
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K: 'static, V: 'static, S> fmt::Debug for TMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TMap").finish_non_exhaustive()
    }
}

//! A map as a snapshot sees it.

use super::TMap;
use super::table::Place;
use super::walk::Walk;
use crate::Snapshot;
use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

/// A [`TMap`] as a [`Snapshot`] sees it: what [`TMap::view`] makes.
///
/// It conflicts with nobody, and nobody waits for it, however long it is looked at.
///
/// ```
/// use weftwork_stm::{TMap, TMapView, snapshot};
///
/// fn sum(map: &TMapView<'_, &str, i32>) -> i32 {
///     map.iter().map(|(_, n)| *n).sum()
/// }
///
/// let map = TMap::from([("one", 1), ("two", 2)]);
/// assert_eq!(snapshot(|s| sum(&map.view(s))), 3);
/// ```
pub struct TMapView<'s, K: 'static, V: 'static, S = RandomState> {
    map: &'s TMap<K, V, S>,
    snapshot: &'s Snapshot,
}

impl<'s, K, V, S> TMapView<'s, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(map: &'s TMap<K, V, S>, snapshot: &'s Snapshot) -> Self {
        TMapView { map, snapshot }
    }

    /// The value of `key`.
    ///
    /// ```
    /// use weftwork_stm::{TMap, snapshot};
    ///
    /// let map = TMap::from([("one", 1)]);
    /// assert_eq!(snapshot(|s| map.view(s).get("one").copied()), Some(1));
    /// ```
    pub fn get<Q>(&self, key: &Q) -> Option<&'s V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        S: BuildHasher,
    {
        let table = &self.map.table;
        let spread = table.spread(key);
        let Ok(Place { entries, part, .. }) =
            table.find_by(spread, |var| Ok::<_, Infallible>(var.view(self.snapshot)));
        let at = entries.position(part, key)?;
        Some(&entries.all()[at].1)
    }

    /// Whether there is such a key.
    ///
    /// ```
    /// use weftwork_stm::{TMap, snapshot};
    ///
    /// let map = TMap::from([("one", 1)]);
    /// assert!(!snapshot(|s| map.view(s).contains_key("two")));
    /// ```
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        S: BuildHasher,
    {
        self.get(key).is_some()
    }

    /// All keys with their values, in no particular order.
    ///
    /// ```
    /// use weftwork_stm::{TMap, snapshot};
    ///
    /// let stock = TMap::from([("apples", 3), ("pears", 4)]);
    /// let all = snapshot(|s| stock.view(s).iter().map(|(_, n)| *n).sum::<u32>());
    /// assert_eq!(all, 7);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'s K, &'s V)> + use<'s, K, V, S> {
        let snapshot = self.snapshot;
        let mut walk = Walk::new(&self.map.table);
        std::iter::from_fn(move || {
            let Ok(entry) = walk.next_by(|var| Ok::<_, Infallible>(var.view(snapshot)));
            entry
        })
    }

    /// How many keys there are.
    ///
    /// ```
    /// use weftwork_stm::{TMap, snapshot};
    ///
    /// assert_eq!(snapshot(|s| TMap::from([("one", 1)]).view(s).len()), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.table.counts.view(self.snapshot)
    }

    /// Whether there is no key.
    ///
    /// ```
    /// use weftwork_stm::{TMap, snapshot};
    ///
    /// assert!(snapshot(|s| TMap::<u8, u8>::new().view(s).is_empty()));
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: 'static, V: 'static, S> fmt::Debug for TMapView<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TMapView").finish_non_exhaustive()
    }
}

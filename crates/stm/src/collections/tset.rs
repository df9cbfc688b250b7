//! A hash set.

mod view;

pub use view::TSetView;

use super::TMap;
use crate::{Snapshot, Stm, Tx};
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

/// A hash set: a [`TMap`] without values, with its costs and guarantees.
///
/// ```
/// use weftwork_stm::{TSet, atomically};
///
/// let (idle, busy) = (TSet::from(["ann", "bob"]), TSet::new());
/// // In one set or the other, at all times.
/// let moved = atomically(|tx| Ok(idle.remove(tx, "ann")? && busy.insert(tx, "ann")?));
/// assert!(moved);
/// ```
pub struct TSet<T: 'static, S = RandomState> {
    map: TMap<T, (), S>,
}

impl<T: Send + Sync + 'static> TSet<T> {
    /// Makes an empty set.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// assert!(atomically(|tx| TSet::<u64>::new().is_empty(tx)));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }
}

impl<T: Send + Sync + 'static, S> TSet<T, S> {
    /// Makes an empty set that hashes with `hasher`.
    ///
    /// ```
    /// use std::hash::RandomState;
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// let set = TSet::with_hasher(RandomState::new());
    /// atomically(|tx| set.insert(tx, 1));
    /// ```
    pub fn with_hasher(hasher: S) -> Self {
        TSet {
            map: TMap::with_hasher(hasher),
        }
    }

    /// All elements, in no particular order. Conflicts with whoever writes to the set: see
    /// [`view`](Self::view).
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// let set = TSet::from([1, 2]);
    /// let sum = atomically(|tx| set.iter(tx).try_fold(0, |sum, element| Ok(sum + element?)));
    /// assert_eq!(sum, 3);
    /// ```
    pub fn iter<'tx>(&self, tx: &'tx Tx) -> impl Iterator<Item = Stm<&'tx T>> {
        self.map.iter(tx).map(|entry| Ok(entry?.0))
    }

    /// How many elements there are. Conflicts with whoever inserts or removes some.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// assert_eq!(atomically(|tx| TSet::from([1, 2, 1]).len(tx)), 2);
    /// ```
    pub fn len(&self, tx: &Tx) -> Stm<usize> {
        self.map.len(tx)
    }

    /// Whether there is no element. Conflicts with whoever inserts or removes some.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// assert!(!atomically(|tx| TSet::from([1]).is_empty(tx)));
    /// ```
    pub fn is_empty(&self, tx: &Tx) -> Stm<bool> {
        self.map.is_empty(tx)
    }

    /// The set as `snapshot` sees it: to look elements up, and to go through all, without conflicts.
    ///
    /// ```
    /// use weftwork_stm::{TSet, snapshot};
    ///
    /// let set = TSet::from([1, 2]);
    /// assert!(snapshot(|s| set.view(s).contains(&2)));
    /// assert_eq!(snapshot(|s| set.view(s).iter().sum::<i32>()), 3);
    /// ```
    #[must_use]
    pub fn view<'s>(&'s self, snapshot: &'s Snapshot) -> TSetView<'s, T, S> {
        TSetView::new(self.map.view(snapshot))
    }
}

impl<T, S> TSet<T, S>
where
    T: Hash + Eq + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Whether `element` is in the set.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// assert!(atomically(|tx| TSet::from(["one"]).contains(tx, "one")));
    /// ```
    pub fn contains<Q>(&self, tx: &Tx, element: &Q) -> Stm<bool>
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.contains_key(tx, element)
    }

    /// Waits until `element` is in the set.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// let ready = TSet::new();
    /// let other = std::thread::spawn({
    ///     let ready = ready.clone();
    ///     move || atomically(|tx| ready.insert(tx, "engine"))
    /// });
    /// atomically(|tx| ready.wait(tx, "engine"));
    /// other.join().unwrap();
    /// ```
    pub fn wait<Q>(&self, tx: &Tx, element: &Q) -> Stm<()>
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.wait(tx, element).copied()
    }
}

impl<T, S> TSet<T, S>
where
    T: Hash + Eq + Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Adds `element`, and says whether it was not there.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// let set = TSet::new();
    /// assert!(atomically(|tx| set.insert(tx, 1)));
    /// assert!(!atomically(|tx| set.insert(tx, 1)));
    /// ```
    pub fn insert(&self, tx: &Tx, element: T) -> Stm<bool> {
        Ok(self.map.insert(tx, element, ())?.is_none())
    }

    /// Removes `element`, and says whether it was there.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// let set = TSet::from([1]);
    /// assert!(atomically(|tx| set.remove(tx, &1)));
    /// assert!(!atomically(|tx| set.remove(tx, &1)));
    /// ```
    pub fn remove<Q>(&self, tx: &Tx, element: &Q) -> Stm<bool>
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Ok(self.map.remove(tx, element)?.is_some())
    }

    /// Removes all elements. Conflicts with whoever uses any.
    ///
    /// ```
    /// use weftwork_stm::{TSet, atomically};
    ///
    /// let set = TSet::from([1]);
    /// atomically(|tx| set.clear(tx));
    /// assert!(atomically(|tx| set.is_empty(tx)));
    /// ```
    pub fn clear(&self, tx: &Tx) -> Stm<()> {
        self.map.clear(tx)
    }
}

impl<T, S> FromIterator<T> for TSet<T, S>
where
    T: Hash + Eq + Send + Sync + 'static,
    S: BuildHasher + Default,
{
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        TSet {
            map: elements.into_iter().map(|element| (element, ())).collect(),
        }
    }
}

impl<T, const N: usize> From<[T; N]> for TSet<T>
where
    T: Hash + Eq + Send + Sync + 'static,
{
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<T: 'static, S> Clone for TSet<T, S> {
    fn clone(&self) -> Self {
        TSet {
            map: self.map.clone(),
        }
    }
}

impl<T: Send + Sync + 'static, S: Default> Default for TSet<T, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<T: 'static, S> fmt::Debug for TSet<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TSet").finish_non_exhaustive()
    }
}

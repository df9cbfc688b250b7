//! A set as a snapshot sees it.

use crate::collections::TMapView;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

/// A [`TSet`](super::TSet) as a [`Snapshot`](crate::Snapshot) sees it: what [`TSet::view`](super::TSet::view) makes.
///
/// ```
/// use weftwork_stm::{TSet, TSetView, snapshot};
///
/// fn sum(set: &TSetView<'_, i32>) -> i32 {
///     set.iter().sum()
/// }
///
/// assert_eq!(snapshot(|s| sum(&TSet::from([1, 2]).view(s))), 3);
/// ```
pub struct TSetView<'s, T: 'static, S = RandomState> {
    map: TMapView<'s, T, (), S>,
}

impl<'s, T: Send + Sync + 'static, S> TSetView<'s, T, S> {
    pub(super) fn new(map: TMapView<'s, T, (), S>) -> Self {
        TSetView { map }
    }

    /// Whether `element` is in the set.
    ///
    /// ```
    /// use weftwork_stm::{TSet, snapshot};
    ///
    /// assert!(snapshot(|s| TSet::from(["one"]).view(s).contains("one")));
    /// ```
    pub fn contains<Q>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        S: BuildHasher,
    {
        self.map.contains_key(element)
    }

    /// All elements, in no particular order.
    ///
    /// ```
    /// use weftwork_stm::{TSet, snapshot};
    ///
    /// assert_eq!(snapshot(|s| TSet::from([1, 2]).view(s).iter().count()), 2);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &'s T> + use<'s, T, S> {
        self.map.iter().map(|(element, ())| element)
    }

    /// How many elements there are.
    ///
    /// ```
    /// use weftwork_stm::{TSet, snapshot};
    ///
    /// assert_eq!(snapshot(|s| TSet::from([1, 2]).view(s).len()), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no element.
    ///
    /// ```
    /// use weftwork_stm::{TSet, snapshot};
    ///
    /// assert!(snapshot(|s| TSet::<u8>::new().view(s).is_empty()));
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

impl<T: 'static, S> fmt::Debug for TSetView<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TSetView").finish_non_exhaustive()
    }
}

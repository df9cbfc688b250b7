//! Values that are counted when they are made and when they are dropped.
//!
//! Invariants:
//! 1. `created` is raised before the value can be reached by anybody, `dropped` after it is gone, so
//!    at any instant `dropped <= created` unless somebody dropped a value twice.
//! 2. The counts are plain std atomics, also under loom: counting must not order the accesses of the
//!    code under test more than a model would without it, nor cost a model steps.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the values it tracks, so that a test can say that none leaked and none was dropped twice.
///
/// Clones share the counts.
///
/// ```
/// use weftwork_testkit::DropCounter;
///
/// let drops = DropCounter::new();
/// let kept = drops.track("kept");
/// drop(drops.track("gone"));
/// assert_eq!((drops.created(), drops.dropped(), drops.live()), (2, 1, 1));
/// drop(kept);
/// drops.assert_none_live();
/// ```
#[derive(Clone, Debug, Default)]
pub struct DropCounter {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    created: AtomicUsize,
    dropped: AtomicUsize,
}

impl DropCounter {
    /// Makes a counter that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wraps `value`; its creation counts now, its end when the wrapper is dropped or opened.
    #[must_use]
    pub fn track<T>(&self, value: T) -> Counted<T> {
        Counted {
            value,
            ticket: Ticket::new(&self.counts),
        }
    }

    /// How many values were ever tracked.
    #[must_use]
    pub fn created(&self) -> usize {
        // Relaxed: a count; whoever needs it exact has joined the threads that move it.
        self.counts.created.load(Ordering::Relaxed)
    }

    /// How many of them are gone.
    #[must_use]
    pub fn dropped(&self) -> usize {
        // Relaxed: as in `created`.
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// How many are still there.
    ///
    /// # Panics
    ///
    /// If more values were dropped than made, which means that one was dropped twice.
    #[must_use]
    #[track_caller]
    pub fn live(&self) -> usize {
        // `dropped` first: a value made and dropped between the two reads must not look like a
        // double drop.
        let dropped = self.dropped();
        let created = self.created();
        created.checked_sub(dropped).unwrap_or_else(|| {
            panic!("{dropped} values were dropped, but only {created} were made: a double drop")
        })
    }

    /// Asserts that exactly `expected` tracked values are alive.
    ///
    /// # Panics
    ///
    /// If there are more or fewer.
    #[track_caller]
    pub fn assert_live(&self, expected: usize) {
        let live = self.live();
        assert!(
            live == expected,
            "{expected} tracked values should be alive, but {live} are ({} made, {} dropped)",
            self.created(),
            self.dropped(),
        );
    }

    /// Asserts that every tracked value was dropped, and that there was at least one.
    ///
    /// # Panics
    ///
    /// If one is alive, or none was ever made: then the test tracked nothing and proves nothing.
    #[track_caller]
    pub fn assert_none_live(&self) {
        assert!(
            self.created() > 0,
            "no value was tracked, so there is nothing to assert"
        );
        self.assert_live(0);
    }
}

/// One life in the counts; a field of its own so that [`Counted::into_inner`] can move the value out.
struct Ticket(Arc<Counts>);

impl Ticket {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.created.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(counts))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A value whose end is counted by the [`DropCounter`] that tracks it.
///
/// It dereferences to the value. A clone is a further tracked value. Comparisons, hash and `Debug`
/// are those of the value, so that a `Counted<T>` can stand wherever a test had a `T`.
pub struct Counted<T> {
    // Dropped in this order: the value is gone before its end is counted (invariant 1).
    value: T,
    ticket: Ticket,
}

impl<T> Counted<T> {
    /// Takes the value out; for the counter this is its end.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Counted<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Clone> Clone for Counted<T> {
    fn clone(&self) -> Self {
        Counted {
            value: self.value.clone(),
            ticket: Ticket::new(&self.ticket.0),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Counted<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Counted<T> {}

impl<T: PartialOrd> PartialOrd for Counted<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Counted<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T: std::hash::Hash> std::hash::Hash for Counted<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

//! Poisoning, for those who asked for it: a mutex that remembers that a holder panicked.
//!
//! Relaxed throughout: the mark is written by a holder before it unlocks and read by one that has
//! locked, so the lock orders it; without the lock it is a report.

use std::panic::Location;
use std::{fmt, ptr};
// Outside the models: ordered by the lock, see above.
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

/// The mutex does not poison. Never changes.
const NEVER: u8 = 0;
/// No holder has panicked since the mutex was made or cleared.
const CLEAN: u8 = 1;
/// A holder has panicked.
const POISONED: u8 = 2;

pub(crate) struct Poison {
    mark: AtomicU8,
    location: AtomicPtr<Location<'static>>,
}

impl Poison {
    pub(super) const fn never() -> Self {
        Poison::with(NEVER)
    }

    pub(super) const fn clean() -> Self {
        Poison::with(CLEAN)
    }

    const fn with(mark: u8) -> Self {
        Poison {
            mark: AtomicU8::new(mark),
            location: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Whether the mutex poisons.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.mark.load(Ordering::Relaxed) != NEVER
    }

    #[inline]
    pub(super) fn is_poisoned(&self) -> bool {
        self.mark.load(Ordering::Relaxed) == POISONED
    }

    /// Where the lock was taken by the holder that panicked.
    pub(super) fn location(&self) -> Option<&'static Location<'static>> {
        // SAFETY: null or what `set` wrote: a reference that is valid for ever.
        unsafe { self.location.load(Ordering::Relaxed).as_ref() }
    }

    pub(super) fn set(&self, location: Option<&'static Location<'static>>) {
        let location = location.map_or(ptr::null(), ptr::from_ref).cast_mut();
        self.location.store(location, Ordering::Relaxed);
        self.mark.store(POISONED, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        if self.is_on() {
            self.mark.store(CLEAN, Ordering::Relaxed);
        }
    }
}

/// The lock was taken, but a holder before panicked: what [`Mutex::lock_checked`] hands the guard
/// back with.
///
/// [`Mutex::lock_checked`]: crate::Mutex::lock_checked
///
/// ```
/// use weftwork_sync::Mutex;
///
/// let mutex = Mutex::poisoning(5);
/// let panicked = std::panic::catch_unwind(|| {
///     let _guard = mutex.lock();
///     panic!("half way");
/// });
/// assert!(panicked.is_err());
/// let error = mutex.lock_checked().unwrap_err();
/// assert!(error.location().is_some());
/// assert_eq!(*error.into_inner(), 5);
/// ```
pub struct PoisonError<G> {
    guard: G,
    location: Option<&'static Location<'static>>,
}

impl<G> PoisonError<G> {
    pub(super) fn new(guard: G, location: Option<&'static Location<'static>>) -> Self {
        PoisonError { guard, location }
    }

    /// Gives the guard: the value may be half changed.
    pub fn into_inner(self) -> G {
        self.guard
    }

    /// Borrows the guard.
    pub fn get_ref(&self) -> &G {
        &self.guard
    }

    /// Borrows the guard for changes.
    pub fn get_mut(&mut self) -> &mut G {
        &mut self.guard
    }

    /// Where the holder that panicked had taken the lock.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.location
    }
}

impl<G> fmt::Display for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location {
            Some(at) => write!(f, "poisoned: the holder since {at} panicked"),
            None => f.write_str("poisoned: a holder panicked"),
        }
    }
}

impl<G> fmt::Debug for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoisonError")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl<G> std::error::Error for PoisonError<G> {}

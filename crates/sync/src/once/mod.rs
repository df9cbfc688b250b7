//! Things that are done once: a call, a value, a lazy value.

mod cell;
mod lazy;
mod raw;

pub use cell::OnceLock;
pub use lazy::LazyLock;

use raw::{RawOnce, Turn};
use std::fmt;

/// A call that is made once.
///
/// Whoever comes while it is made waits for its end: only the current green thread or OS thread. If
/// the call panics, or unwinds because its task is cancelled, the once is poisoned, as std's is.
///
/// ```
/// use weftwork_sync::Once;
///
/// static START: Once = Once::new();
///
/// for _ in 0..3 {
///     START.call_once(|| println!("once"));
/// }
/// assert!(START.is_completed());
/// ```
pub struct Once {
    raw: RawOnce,
}

impl Once {
    /// Makes one that has not been called.
    ///
    /// ```
    /// static START: weftwork_sync::Once = weftwork_sync::Once::new();
    /// assert!(!START.is_completed());
    /// ```
    #[cfg(not(weftwork_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Once {
            raw: RawOnce::new(),
        }
    }

    /// Makes one that has not been called.
    #[cfg(weftwork_loom)]
    #[must_use]
    pub fn new() -> Self {
        Once {
            raw: RawOnce::new(),
        }
    }

    /// Calls `f` if this is the first call, or waits until the first has ended. What `f` did is seen
    /// afterwards.
    ///
    /// # Panics
    /// `f` panics, or one before did; or `f` uses this `Once` itself.
    ///
    /// ```
    /// let once = weftwork_sync::Once::new();
    /// let mut calls = 0;
    /// once.call_once(|| calls += 1);
    /// once.call_once(|| calls += 1);
    /// assert_eq!(calls, 1);
    /// ```
    #[track_caller]
    #[inline]
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.raw.is_complete() {
            self.call_slow(false, |_| f());
        }
    }

    /// As [`call_once`](Self::call_once), but also after a call that panicked; `f` is told.
    ///
    /// # Panics
    /// `f` panics, or uses this `Once` itself.
    ///
    /// ```
    /// let once = weftwork_sync::Once::new();
    /// let panicked = std::panic::catch_unwind(|| once.call_once(|| panic!("half way")));
    /// assert!(panicked.is_err() && once.is_poisoned());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(once.is_completed());
    /// ```
    #[track_caller]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        if !self.raw.is_complete() {
            self.call_slow(true, f);
        }
    }

    #[track_caller]
    #[cold]
    fn call_slow(&self, forced: bool, f: impl FnOnce(&OnceState)) {
        match self.raw.begin(forced) {
            Turn::Complete => {}
            Turn::Poisoned => panic!("once is poisoned: its call panicked"),
            Turn::Run(mut run) => {
                run.poison_unless_complete();
                f(&OnceState(run.was_poisoned()));
                run.complete();
            }
        }
    }

    /// Whether the call has been made, and has ended.
    ///
    /// ```
    /// assert!(!weftwork_sync::Once::new().is_completed());
    /// ```
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.raw.is_complete()
    }

    /// Whether the call panicked.
    ///
    /// ```
    /// assert!(!weftwork_sync::Once::new().is_poisoned());
    /// ```
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.raw.is_poisoned()
    }
}

impl Default for Once {
    fn default() -> Self {
        Once::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

/// What a forced call is told: see [`Once::call_once_force`].
#[derive(Debug)]
pub struct OnceState(bool);

impl OnceState {
    /// Whether a call before panicked.
    ///
    /// ```
    /// weftwork_sync::Once::new().call_once_force(|state| assert!(!state.is_poisoned()));
    /// ```
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.0
    }
}

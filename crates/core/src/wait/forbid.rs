//! Stretches of code in which nothing may wait, such as the body of a memory transaction.
//!
//! Whoever runs such a stretch holds a [`Forbidden`] meanwhile. A wait that would really wait then
//! panics and names both places: a mistake that would otherwise hold up everybody else, or wait for ever.
//!
//! Invariants
//! 1. The record is the OS thread's. That is exact, because a green thread is not switched away while
//!    a guard is held: waits panic, [`checkpoint`](super::checkpoint) does not yield, and
//!    `JoinHandle::join` runs no other task in place.
//! 2. There are two exceptions, which wait, with the record put aside for that long ([`lifted`]): a
//!    destructor while its thread unwinds, because a second panic would abort the process; and a shielded
//!    wait, because somebody uses the frame that a panic would leave. The second is met only by who forgets
//!    a guard: what lends a frame asks [`assert_may_wait`] first.

use super::Site;
use std::panic::Location;
use std::{fmt, marker::PhantomData};

/// Where waiting became forbidden, and in what.
#[derive(Clone, Copy)]
struct Place {
    what: &'static str,
    location: &'static Location<'static>,
}

/// Forbids the calling thread to wait until the guard is dropped.
///
/// While a guard is held, every wait of this crate, and so every blocking call of the crates above, panics
/// if what it waits for is not there. What is ready at once is handed over as ever; `try_` forms and
/// deadlines that have passed do not wait, so they do not panic either. [`checkpoint`](super::checkpoint)
/// and [`try_checkpoint`](super::try_checkpoint) do nothing. In a thread that is panicking already,
/// destructors wait undisturbed.
///
/// `what` is a noun for the message, such as `"transaction"`, and `location` where it begins. Guards nest,
/// and may be dropped in any order; the message names the place of the first one that is held.
///
/// ```
/// use std::panic::{Location, catch_unwind};
/// use weftwork_core::{task, wait};
///
/// let (task, handle) = task::closure(|| 7);
/// let refused = catch_unwind(|| {
///     let _guard = wait::forbid("transaction", Location::caller());
///     handle.join() // Nobody has run the task yet.
/// });
/// let message = *refused.unwrap_err().downcast::<String>().unwrap();
/// assert!(message.contains("waits inside the transaction begun at"), "{message}");
/// drop(task);
/// ```
#[inline]
pub fn forbid(what: &'static str, location: &'static Location<'static>) -> Forbidden {
    record::enter(Place { what, location });
    Forbidden {
        _of_this_thread: PhantomData,
    }
}

/// Keeps its thread from waiting: see [`forbid`].
#[must_use = "waiting is allowed again when the guard is dropped"]
pub struct Forbidden {
    /// The guard counts in its thread's record: it must not go to another one.
    _of_this_thread: PhantomData<*mut ()>,
}

impl Drop for Forbidden {
    #[inline]
    fn drop(&mut self) {
        record::leave();
    }
}

impl fmt::Debug for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forbidden").finish_non_exhaustive()
    }
}

/// Whether the calling thread may wait: it holds no guard of [`forbid`].
///
/// For schedulers, and for code that blocks by other means than this crate's.
///
/// ```
/// use std::panic::Location;
/// use weftwork_core::wait;
///
/// assert!(wait::may_wait());
/// let guard = wait::forbid("example", Location::caller());
/// assert!(!wait::may_wait());
/// drop(guard);
/// assert!(wait::may_wait());
/// ```
#[inline]
#[must_use]
pub fn may_wait() -> bool {
    !record::is_held()
}

/// Panics, as a wait does, if the calling thread holds a guard of [`forbid`] and is not panicking
/// already.
///
/// For code that blocks by other means than this crate's: it calls this before it does.
///
/// # Panics
/// Waiting is forbidden here. The message names `site` and the place where it became so.
///
/// ```
/// use std::panic::Location;
/// use weftwork_core::wait::{Reason, Site, assert_may_wait};
///
/// let site = Site { reason: Reason::new("disk"), location: Location::caller() };
/// assert_may_wait(site);
/// ```
#[inline]
pub fn assert_may_wait(site: Site) {
    if record::is_held() {
        refuse(site);
    }
}

/// What a wait calls before it parks, where it found out earlier that waiting `is_forbidden`: panics, or
/// runs `park` with the record put aside.
#[inline]
pub(super) fn park<R>(site: Site, is_forbidden: bool, park: impl FnOnce() -> R) -> R {
    if is_forbidden {
        refuse(site);
        return lifted(park);
    }
    park()
}

#[cold]
fn refuse(site: Site) {
    if std::thread::panicking() {
        return;
    }
    if let Some(Place { what, location }) = record::place() {
        panic!("{site} waits inside the {what} begun at {location}, where nothing may wait");
    }
}

/// Runs `f` with no guard in force; afterwards they are again. Other tasks may run on this thread meanwhile.
pub(super) fn lifted<R>(f: impl FnOnce() -> R) -> R {
    let _back = record::put_aside();
    f()
}

#[cfg(not(weftwork_loom))]
mod record {
    use super::Place;
    use std::cell::Cell;

    struct Record {
        guards: Cell<usize>,
        /// Of the first guard. Means nothing while there is none.
        place: Cell<Option<Place>>,
    }

    thread_local! {
        static RECORD: Record = const {
            Record { guards: Cell::new(0), place: Cell::new(None) }
        };
    }

    #[inline]
    pub(super) fn enter(place: Place) {
        RECORD.with(|record| {
            let guards = record.guards.get();
            if guards == 0 {
                record.place.set(Some(place));
            }
            record.guards.set(guards + 1);
        });
    }

    #[inline]
    pub(super) fn leave() {
        RECORD.with(|record| record.guards.set(record.guards.get() - 1));
    }

    #[inline]
    pub(super) fn is_held() -> bool {
        RECORD.with(|record| record.guards.get() != 0)
    }

    pub(super) fn place() -> Option<Place> {
        RECORD.with(|record| record.place.get())
    }

    pub(super) struct PutAside {
        guards: usize,
        place: Option<Place>,
    }

    pub(super) fn put_aside() -> PutAside {
        RECORD.with(|record| PutAside {
            guards: record.guards.replace(0),
            place: record.place.get(),
        })
    }

    impl Drop for PutAside {
        fn drop(&mut self) {
            RECORD.with(|record| {
                record.guards.set(self.guards);
                record.place.set(self.place);
            });
        }
    }
}

/// The threads of a model share one OS thread, which is switched at every step: nothing is recorded, and
/// nothing is refused.
#[cfg(weftwork_loom)]
mod record {
    use super::Place;

    pub(super) fn enter(_: Place) {}

    pub(super) fn leave() {}

    pub(super) fn is_held() -> bool {
        false
    }

    pub(super) fn place() -> Option<Place> {
        None
    }

    pub(super) struct PutAside;

    pub(super) fn put_aside() -> PutAside {
        PutAside
    }
}

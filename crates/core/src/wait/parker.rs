//! The OS-thread parker: how a wait sleeps where no scheduler hosts the thread.
//!
//! Invariants
//! 1. Only the owner thread moves the word to `PARKED` and away from `NOTIFIED`.
//! 2. Anybody may move it to `NOTIFIED`; whoever finds `PARKED` there unparks the thread.
//!
//! No wake is lost: `park` and `unpark` both read-modify-write the one word. If `unpark` comes
//! first, `park` finds `NOTIFIED` and does not sleep. If `park` comes first, `unpark` finds `PARKED`
//! and wakes the thread, whose own token (`std::thread::park`) covers the gap between the exchange
//! and the sleep. The thread's token may also be there for other reasons; hence the loop.
//!
//! The `Arc` is std's also under loom: counting wakers is no part of the protocol, and loom's cannot
//! be the type of `self`.

#[cfg(weftwork_canary)]
use crate::canary::{self, Step};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::thread::{self, Thread};
use std::fmt;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};
use std::time::Instant;

/// Neither side has acted.
const EMPTY: u32 = 0;
/// Set by the owner: it sleeps, or is about to. Excludes a wake that does not unpark.
const PARKED: u32 = 1;
/// Set by an `unpark`: the next or current `park` returns. Excludes sleeping.
const NOTIFIED: u32 = 2;

/// A one-token parking place of one OS thread.
///
/// ```
/// use std::sync::Arc;
/// use weftwork_core::wait::Parker;
///
/// let parker = Arc::new(Parker::new());
/// let waker = parker.waker();
/// let other = std::thread::spawn(move || waker.wake());
/// assert!(parker.park(None));
/// other.join().unwrap();
/// ```
pub struct Parker {
    state: AtomicU32,
    thread: Thread,
}

impl Parker {
    /// Makes the parking place of the calling thread.
    #[must_use]
    pub fn new() -> Self {
        Parker {
            state: AtomicU32::new(EMPTY),
            thread: thread::current(),
        }
    }

    /// Waits for a token and takes it, at most until `deadline`; `None` is for ever. Returns false
    /// if the time was over first, which it never says early. A token that is there is taken even
    /// if the time is over.
    ///
    /// Only the thread that made the parker may call this: on another one it sleeps through its
    /// wakes, though nothing worse.
    pub fn park(&self, deadline: Option<Instant>) -> bool {
        // Acquire, here and below: pairs with the release in `unpark`, so that what was done before
        // the wake is seen after it. Release on the way to PARKED has no reader to pair with.
        if self
            .state
            .compare_exchange(EMPTY, PARKED, Ordering::Acquire, Ordering::Acquire)
            .is_err()
        {
            // NOTIFIED: take the token.
            self.state.swap(EMPTY, Ordering::Acquire);
            return true;
        }
        loop {
            let in_time = sleep(deadline);
            if self
                .state
                .compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return true;
            }
            // Canary: a wait whose time is over throws away the token that came meanwhile.
            #[cfg(weftwork_canary)]
            if !in_time && canary::is(Step::ParkTimeout) {
                self.state.store(EMPTY, Ordering::Release);
                return false;
            }
            if !in_time {
                // A token may have come since: then it is taken, and the wait was in time.
                return self.state.swap(EMPTY, Ordering::Acquire) == NOTIFIED;
            }
        }
    }

    /// Leaves a token and wakes the owner if it sleeps. From any thread; never blocks. A token that
    /// is there already is not doubled.
    pub fn unpark(&self) {
        // Canary: a wake that looks before it leaps loses the race against `park`.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Unpark) && self.state.load(Ordering::Acquire) == EMPTY {
            self.state.store(NOTIFIED, Ordering::Release);
            return;
        }
        // Release: pairs with the acquires in `park`.
        if self.state.swap(NOTIFIED, Ordering::Release) == PARKED {
            self.thread.unpark();
        }
    }

    /// A waker that leaves a token.
    #[must_use]
    pub fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(Arc::clone(self)).cast();
        // SAFETY: the table's functions treat the data as an `Arc<Parker>` in raw form and keep its
        // count; a parker is `Send + Sync`.
        unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
    }
}

impl Default for Parker {
    fn default() -> Self {
        Parker::new()
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").finish_non_exhaustive()
    }
}

/// Sleeps until unparked or until `deadline`; false if the latter has passed.
#[cfg(not(weftwork_loom))]
fn sleep(deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else {
        thread::park();
        return true;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return false;
    }
    thread::park_timeout(left);
    true
}

/// Under loom a wait with a deadline may end at any time: let the others run, then give up.
#[cfg(weftwork_loom)]
fn sleep(deadline: Option<Instant>) -> bool {
    if deadline.is_none() {
        thread::park();
        return true;
    }
    thread::yield_now();
    false
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: a waker's data is an `Arc<Parker>` in raw form, which the waker keeps alive.
    let parker = std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Parker>()) });
    RawWaker::new(Arc::into_raw(Arc::clone(&parker)).cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as in `clone`; the waker's count is given up.
    unsafe { Arc::from_raw(data.cast::<Parker>()) }.unpark();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `clone`.
    unsafe { &*data.cast::<Parker>() }.unpark();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as in `wake`.
    drop(unsafe { Arc::from_raw(data.cast::<Parker>()) });
}

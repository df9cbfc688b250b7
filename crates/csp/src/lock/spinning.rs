//! The lock of a channel: one word that is spun on, and given back by a plain store.
//!
//! It is held for a few dozen instructions, in which nothing waits and no user code runs; most of the
//! time nobody else wants it. So what counts is its cost without contention: one read-modify-write,
//! where a lock that can put threads to sleep needs a second one to let go, because it has to look for
//! sleepers. Measured against `parking_lot`'s: see `docs/design/channels.md`.
//!
//! A thread that finds it held pauses, a little longer each time. If it is still held then, its holder
//! was probably interrupted in the middle: the thread offers its processor. (On a real-time scheduler,
//! where an offer reaches only threads of the same priority, threads of different priorities must not
//! share a channel on one processor.)
//!
//! Invariants
//! 1. `value` is reached by whoever has moved `held` from false to true, until it moves it back.

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

use std::ops::{Deref, DerefMut};
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::{hint, thread};

/// Rounds of pauses, each twice as long as the last, before the processor is offered.
const ROUNDS: u32 = if cfg!(weftwork_loom) { 1 } else { 8 };
/// The first of them: long enough for the holder to do what it has at hand. A thread that looks more often
/// takes the line with the word away from it each time.
const FIRST_ROUND: u32 = if cfg!(weftwork_loom) { 0 } else { 5 };

pub(crate) struct Lock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives `value` to one thread at a time (invariant 1).
unsafe impl<T: Send> Send for Lock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Lock {
            held: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        // Acquire: pairs with the Release in the guard's drop.
        if self
            .held
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            self.contend();
        }
        LockGuard(self)
    }

    #[cold]
    fn contend(&self) {
        let mut round = FIRST_ROUND;
        loop {
            // Relaxed: only a look, so that the line is not fought for.
            while self.held.load(Ordering::Relaxed) {
                if round < ROUNDS {
                    for _ in 0..1_u32 << round {
                        hint::spin_loop();
                    }
                    round += 1;
                } else {
                    thread::yield_now();
                }
            }
            // Acquire: as in `lock`.
            if self
                .held
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }
}

/// Access to what the lock guards.
pub(crate) struct LockGuard<'a, T>(&'a Lock<T>);

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: held by us (invariant 1).
        self.0.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: held by us (invariant 1).
        self.0.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Canary: the next holder may not see what this one has done.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("lock: release")) {
            self.0.held.store(false, Ordering::Relaxed); // Relaxed: that is the canary.
            return;
        }
        // Release: pairs with the Acquire of the next holder.
        self.0.held.store(false, Ordering::Release);
    }
}

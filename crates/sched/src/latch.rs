//! The latch of a fork-join: how the second half, wherever it ran, lets the forker go on.
//!
//! The latch lies in the forker's frame, which is gone as soon as the forker has seen it open. So
//! whoever opens it takes what it needs to wake the forker before, and touches nothing of the frame
//! after.
//!
//! Invariants
//! 1. It leaves `WAITING` once, by whoever took the job out of its queue.
//! 2. What was written before it was left is visible to the forker that sees it open.

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU32, Ordering};

/// Not taken, or being run.
const WAITING: u32 = 0;
/// Set by the thief: the result, or the panic, is in place.
const DONE: u32 = 1;
/// Set by a queue that was dropped: it will not be run.
const ABANDONED: u32 = 2;

/// What became of the second half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its result, or its panic, is in place.
    Done,
    /// It will not be run.
    Abandoned,
}

/// See the module's page.
#[derive(Debug)]
pub struct Latch(AtomicU32);

impl Latch {
    /// A latch that is shut.
    #[inline]
    pub fn new() -> Self {
        Latch(AtomicU32::new(WAITING))
    }

    /// Opens the latch. `waker` runs before: it takes the means to wake the forker, which come back.
    ///
    /// The latch may be gone when this returns, and `waker`'s surroundings with it.
    #[inline]
    #[must_use = "the forker may be parked: wake it"]
    pub fn open<W>(&self, outcome: Outcome, waker: impl FnOnce() -> W) -> W {
        let state = match outcome {
            Outcome::Done => DONE,
            Outcome::Abandoned => ABANDONED,
        };
        // Canary: the means to wake are looked for in a frame that may be gone.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("latch: reference after the store")) {
            self.0.store(state, Ordering::Release);
            return waker();
        }
        let waker = waker();
        // Canary: the forker sees the latch open, and not the result.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("latch: open")) {
            self.0.store(state, Ordering::Relaxed); // Relaxed: that is the canary.
            return waker;
        }
        // Release: publishes the result (partner: `outcome`).
        self.0.store(state, Ordering::Release);
        waker
    }

    /// What became of the second half; `None` while it is not known.
    #[inline]
    pub fn outcome(&self) -> Option<Outcome> {
        // Acquire: pairs with the release in `open`.
        match self.0.load(Ordering::Acquire) {
            WAITING => None,
            DONE => Some(Outcome::Done),
            _ => Some(Outcome::Abandoned),
        }
    }
}

impl Default for Latch {
    fn default() -> Self {
        Latch::new()
    }
}

//! How many children of a scope run, and who waits for their end.
//!
//! Invariants
//! 1. The waiter is in its place before it looks at the count for the last time, and the child that
//!    brings the count to zero looks for the waiter after that. The place is under a lock, so one of
//!    the two sees the other.
//! 2. What a child did is visible to whoever sees the count at zero.

use std::task::{Context, Poll, Waker};
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};

/// See the module's page.
#[derive(Debug)]
pub struct Running {
    count: AtomicUsize,
    waiter: Mutex<Option<Waker>>,
}

impl Running {
    /// No children.
    pub fn new() -> Self {
        Running {
            count: AtomicUsize::new(0),
            waiter: Mutex::new(None),
        }
    }

    /// Counts a child. Called by the thread that waits, or by a child that is counted itself.
    pub fn begin(&self) {
        // Relaxed: the count is above zero, or the caller is the one who would wait.
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Uncounts a child, and wakes the waiter if it was the last.
    pub fn end(&self) {
        // Canary: what the child did may come after.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("running: end")) {
            // Relaxed: that is the canary.
            if self.count.fetch_sub(1, Ordering::Relaxed) == 1 {
                let waiter = self.waiter.lock().take();
                waiter.into_iter().for_each(Waker::wake);
            }
            return;
        }
        // AcqRel: what the children did is before the end of the scope (partner: `poll_none`).
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiter = self.waiter.lock().take();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }

    /// Ready when no child runs.
    pub fn poll_none(&self, context: &mut Context<'_>) -> Poll<()> {
        // Acquire, both: pairs with the release in `end`.
        if self.count.load(Ordering::Acquire) == 0 {
            return Poll::Ready(());
        }
        let before = self.waiter.lock().replace(context.waker().clone());
        drop(before);
        // Canary: the last child may have looked for a waiter before there was one.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("running: look again")) {
            return Poll::Pending;
        }
        if self.count.load(Ordering::Acquire) == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// How many run. A report.
    pub fn count(&self) -> usize {
        // Relaxed: a report.
        self.count.load(Ordering::Relaxed)
    }
}

impl Default for Running {
    fn default() -> Self {
        Running::new()
    }
}

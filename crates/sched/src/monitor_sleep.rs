//! How the monitor sleeps when all workers do, and is woken when one wakes up.
//!
//! Announce and look again, with a fence between the two on both sides: the monitor sets `asleep`,
//! then looks whether a worker is awake; a worker that woke up is uncounted as a sleeper first, then
//! looks at `asleep`. One of the two sees the other. A fence, because every worker passes here after
//! every sleep, and a read-modify-write would have them all write to one line.

use std::time::Duration;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicBool, Ordering, fence};
use weftwork_core::sync::{Condvar, Mutex};

/// See the module's page.
#[derive(Debug)]
pub struct MonitorSleep {
    asleep: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl MonitorSleep {
    /// A monitor that is awake.
    pub fn new() -> Self {
        MonitorSleep {
            asleep: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Called by a worker that woke up, after it has uncounted itself as asleep.
    #[inline]
    pub fn note_awake(&self) {
        // SeqCst: pairs with the fence in `sleep`.
        // Canary: the look at `asleep` may come before the uncounting is visible.
        #[cfg(weftwork_canary)]
        let fence = |ordering| {
            if !canary::is(Step::Of("monitor: fence of the worker")) {
                fence(ordering);
            }
        };
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Wakes the monitor, if it sleeps or naps.
    #[cold]
    pub fn wake(&self) {
        let _held = self.lock.lock();
        // Relaxed: under the lock.
        self.asleep.store(false, Ordering::Relaxed);
        self.wake.notify_all();
    }

    /// Sleeps until woken, unless `still` tells otherwise after the announcement.
    pub fn sleep(&self, still: impl Fn() -> bool) {
        let mut held = self.lock.lock();
        // Relaxed: ordered by the fence.
        self.asleep.store(true, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `note_awake`.
        // Canary: the look at the workers may come before the announcement is visible.
        #[cfg(weftwork_canary)]
        let fence = |ordering| {
            if !canary::is(Step::Of("monitor: fence of the monitor")) {
                fence(ordering);
            }
        };
        fence(Ordering::SeqCst);
        if !still() {
            self.asleep.store(false, Ordering::Relaxed);
            return;
        }
        while self.asleep.load(Ordering::Relaxed) {
            self.wake.wait(&mut held);
        }
    }

    /// Waits for one period, or until woken.
    pub fn nap(&self, period: Duration) {
        let mut held = self.lock.lock();
        self.wake.wait_for(&mut held, period);
    }
}

impl Default for MonitorSleep {
    fn default() -> Self {
        MonitorSleep::new()
    }
}

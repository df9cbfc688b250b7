//! What the loom models of this crate share: a sleep that is only a sleep, and the canaries' switch.
//!
//! Shared state is in an ordinary `Arc`, and a sleeper holds no lock: loom reports a deadlock by
//! unwinding the threads, which may not touch the model any more.

#![allow(dead_code)] // Each model uses a part.

use std::sync::{Arc, OnceLock};
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_core::sync::thread;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}
pub(crate) use weaken;

/// A place where one thread sleeps until it is woken. It stands for the kernel, or for a switch.
pub(crate) struct Sleeper {
    woken: AtomicBool,
    owner: OnceLock<thread::Thread>,
}

impl Sleeper {
    pub(crate) fn new() -> Self {
        Sleeper {
            woken: AtomicBool::new(false),
            owner: OnceLock::new(),
        }
    }

    /// Sleeps until there was a wake since the last sleep.
    pub(crate) fn sleep(&self) {
        self.owner.get_or_init(thread::current);
        // Relaxed: a sleep orders nothing, the protocol must.
        while !self.woken.swap(false, Ordering::Relaxed) {
            thread::park();
        }
    }

    /// Wakes. True: there was no wake since the last sleep.
    pub(crate) fn wake(&self) -> bool {
        // Relaxed: as above.
        let first = !self.woken.swap(true, Ordering::Relaxed);
        if let Some(owner) = self.owner.get() {
            owner.unpark();
        }
        first
    }
}

/// Runs `body` on a thread of the model.
pub(crate) fn run<W: 'static, T: 'static>(
    world: &Arc<W>,
    body: impl FnOnce(&W) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || body(&world))
}

//! What the loom models of this crate share: a sleep that is only a sleep, and the canaries' switch.
//!
//! Shared state is in an ordinary `Arc`, and a sleeper holds no lock: loom reports a deadlock by
//! unwinding the threads, which may not touch the model any more.

#![allow(dead_code)] // Each model uses a part.

use std::sync::{Arc, OnceLock};
use weftwork_core::sync::atomic::{AtomicU32, Ordering};
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
    state: AtomicU32,
    owner: OnceLock<thread::Thread>,
}

const EMPTY: u32 = 0;
const ASLEEP: u32 = 1;
const WOKEN: u32 = 2;

// Relaxed, everywhere: a sleep orders nothing, the protocol must. A wake reaches into loom only for
// a sleeper, because loom takes an `unpark` for the end of any other wait, too.
impl Sleeper {
    pub(crate) fn new() -> Self {
        Sleeper {
            state: AtomicU32::new(EMPTY),
            owner: OnceLock::new(),
        }
    }

    /// Sleeps until there was a wake since the last sleep.
    pub(crate) fn sleep(&self) {
        self.owner.get_or_init(thread::current);
        let relaxed = Ordering::Relaxed;
        let asleep = self.state.compare_exchange(EMPTY, ASLEEP, relaxed, relaxed);
        if asleep.is_ok() {
            thread::park();
        }
        let state = self.state.swap(EMPTY, relaxed);
        assert_eq!(state, WOKEN, "woken by nobody");
    }

    /// Wakes. True: there was no wake since the last sleep.
    pub(crate) fn wake(&self) -> bool {
        let before = self.state.swap(WOKEN, Ordering::Relaxed);
        if before == ASLEEP {
            self.owner.get().expect("somebody sleeps").unpark();
        }
        before != WOKEN
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

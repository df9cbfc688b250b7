//! What the suites of plain channels share: a watchdog, every capacity, and ways to meet another
//! thread without sleeping.

#![allow(dead_code, reason = "no suite uses all of it")]

use weftwork_csp as channel;

use channel::{Receiver, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Longer than any test takes; only a hang gets here.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// Long enough for whatever must happen by itself.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);

/// How long an operation waits that must run out of time.
pub(crate) const SHORT: Duration = Duration::from_millis(15);

/// No room, one message, a few, any number.
pub(crate) const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(7), None];

pub(crate) fn watched<R>(test: impl FnOnce() -> R) -> R {
    weftwork_testkit::with_watchdog(HANG, test)
}

pub(crate) fn open<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    match capacity {
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    }
}

/// Runs `test` for each of [`CAPACITIES`] and says which one failed.
pub(crate) fn for_each_capacity(test: impl Fn(Option<usize>)) {
    watched(|| {
        for capacity in CAPACITIES {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(capacity))) {
                eprintln!("with capacity {capacity:?}:");
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Runs `wait`, which must run out of time after [`SHORT`], and not before.
#[track_caller]
pub(crate) fn never_early<R>(wait: impl FnOnce(Duration) -> R) -> R {
    let start = Instant::now();
    let result = wait(SHORT);
    let waited = start.elapsed();
    assert!(waited >= SHORT, "gave up after {waited:?} of {SHORT:?}");
    result
}

/// Lets other threads go on for a while. No claim rests on how far they come.
pub(crate) fn let_others_run() {
    for _ in 0..20 {
        std::thread::yield_now();
    }
}

/// A point in time that has passed.
pub(crate) fn past() -> Instant {
    Instant::now()
        .checked_sub(Duration::from_millis(1))
        .unwrap_or_else(Instant::now)
}

/// A cheap generator of numbers that look random, for choices in stress tests.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // xorshift64* (Vigna 2016).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

//! What the child of a supervisor tells of its crashes: `actor_restart` is the time from a panic in a
//! handler until the supervisor has the next incarnation.

use std::panic::{self, panic_any};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Instant;

use parking_lot::Mutex;

use crate::measure::{Measurement, quantile};

/// How often the child crashes.
pub(crate) const CRASHES: u64 = 1000;

/// The payload of the panics that are meant.
struct Meant;

/// The clock of one child, which all its incarnations read.
#[derive(Debug, Clone)]
pub(crate) struct Crashes(Arc<Clock>);

#[derive(Debug)]
struct Clock {
    start: Instant,
    /// When it crashed, in nanoseconds; 0, while it runs.
    crashed: AtomicU64,
    took: Mutex<Vec<u64>>,
}

impl Crashes {
    /// Starts the clock. From now on a crash is not reported, nor is it the end of the process, as
    /// other panics are.
    pub(crate) fn new() -> Self {
        static QUIET: Once = Once::new();
        QUIET.call_once(|| {
            weftwork_actor::reports::silence();
            let others = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !info.payload().is::<Meant>() {
                    others(info);
                }
            }));
        });
        Crashes(Arc::new(Clock {
            start: Instant::now(),
            crashed: AtomicU64::new(0),
            took: Mutex::default(),
        }))
    }

    fn now(&self) -> u64 {
        self.0.start.elapsed().as_nanos() as u64
    }

    /// Crashes, in a handler of the child.
    pub(crate) fn crash(&self) -> ! {
        self.0.crashed.store(self.now(), Ordering::Release);
        panic_any(Meant)
    }

    /// Notes that there is an incarnation: the first, or the next after a crash.
    pub(crate) fn ready(&self) {
        let now = self.now();
        match self.0.crashed.swap(0, Ordering::Acquire) {
            0 => {}
            crashed => self.0.took.lock().push(now - crashed),
        }
    }

    /// Returns what `n` crashes took.
    pub(crate) fn measurement(&self, n: u64) -> Measurement {
        let mut took = std::mem::take(&mut *self.0.took.lock());
        assert_eq!(took.len() as u64, n, "every crash is followed by a start");
        took.sort_unstable();
        Measurement::untimed(n)
            .with("p50_us", quantile(&took, 0.5) as f64 / 1e3)
            .with("p99_us", quantile(&took, 0.99) as f64 / 1e3)
    }
}

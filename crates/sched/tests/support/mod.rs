//! What the tests share: runtimes under a watchdog, and counts to wait on instead of sleeping.

#![allow(dead_code, reason = "no test file uses all of it")]

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;
use weftwork_core::sync::Mutex;
use weftwork_sched::{Runtime, block_on};
use weftwork_testkit::{watchdog, with_watchdog};

/// Longer than any test takes; only a hang gets here.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Long enough for whatever must end by itself.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// Runs `test` with a runtime, which must then shut down cleanly.
pub(crate) fn with_runtime(workers: usize, test: impl FnOnce(&Runtime)) {
    let watchdog = watchdog(HANG);
    let rt = runtime(workers);
    let handle = rt.handle().clone();
    watchdog.on_hang("runtime", move |out| {
        let _ = write!(out, "{handle:#?}\n{:#?}", handle.stats());
    });
    test(&rt);
    let report = rt.shutdown(AMPLE);
    assert!(report.is_clean(), "{report}");
}

/// Runs `test` with one worker, with two and with four.
pub(crate) fn with_runtimes(test: impl Fn(&Runtime)) {
    for workers in [1, 2, 4] {
        with_runtime(workers, &test);
    }
}

pub(crate) fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

pub(crate) fn watched(test: impl FnOnce()) {
    with_watchdog(HANG, test);
}

/// A number that only goes up, and can be waited for from threads, green threads and futures.
#[derive(Debug, Default)]
pub(crate) struct Count {
    number: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Count {
    pub(crate) fn new() -> Count {
        Count::default()
    }

    pub(crate) fn get(&self) -> usize {
        self.number.load(Ordering::SeqCst)
    }

    pub(crate) fn add(&self) {
        self.number.fetch_add(1, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until the number is at least `number`.
    #[track_caller]
    pub(crate) fn wait_for(&self, number: usize) {
        block_on(self.reached(number));
    }

    pub(crate) async fn reached(&self, number: usize) {
        std::future::poll_fn(|context| {
            if self.get() >= number {
                return Poll::Ready(());
            }
            self.waiting.lock().push(context.waker().clone());
            if self.get() >= number {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Adds one to a count when dropped.
pub(crate) struct OnDrop<'a>(pub(crate) &'a Count);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.add();
    }
}

//! Who takes part in the stress programs: OS threads, green threads, and futures on an executor that
//! knows nothing of ours. What they exchange, and the ledger that must balance at the end.
//!
//! The programs have a `main` of their own and no lock of std's, so that ThreadSanitizer sees all that
//! orders their accesses: see `ci/tsan.sh`.

#![allow(dead_code, reason = "each program uses some of it")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use weftwork_sched::{JoinHandle, Runtime};
use weftwork_testkit::{Counted, DropCounter};

/// A runtime of two workers.
pub(crate) fn runtime() -> Runtime {
    Runtime::builder().workers(2).build().unwrap()
}

/// The parties of one round.
pub(crate) struct Crowd<'r> {
    runtime: &'r Runtime,
    threads: Vec<thread::JoinHandle<()>>,
    green: Vec<JoinHandle<()>>,
}

impl<'r> Crowd<'r> {
    pub(crate) fn new(runtime: &'r Runtime) -> Self {
        Crowd {
            runtime,
            threads: Vec::new(),
            green: Vec::new(),
        }
    }

    /// Lets `work` run on an OS thread.
    pub(crate) fn thread(&mut self, work: impl FnOnce() + Send + 'static) {
        self.threads.push(thread::spawn(work));
    }

    /// Lets `work` run on a green thread.
    pub(crate) fn green(&mut self, work: impl FnOnce() + Send + 'static) {
        self.green.push(self.runtime.spawn(work));
    }

    /// Lets the future of `work` run on a foreign executor, which is a thread.
    pub(crate) fn future(&mut self, work: impl AsyncFnOnce() + Send + 'static) {
        self.threads.push(thread::spawn(move || block_on(work())));
    }

    /// Waits until all are through.
    pub(crate) fn join(self) {
        for thread in self.threads {
            thread.join().expect("no thread panics");
        }
        for thread in self.green {
            thread.join().expect("no green thread panics");
        }
    }
}

/// The waker of the foreign executor.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Release: pairs with the Acquire in `poll_until`.
        self.rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Drives a future to its end as a foreign executor would.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    poll_until(pin!(future), None).expect("a wait without deadline ends")
}

/// Drives a future, but for `patience` at most. The caller may then drop it, or go on.
pub(crate) fn poll_for<F: Future>(future: Pin<&mut F>, patience: Duration) -> Option<F::Output> {
    poll_until(future, Some(Instant::now() + patience))
}

fn poll_until<F: Future>(mut future: Pin<&mut F>, end: Option<Instant>) -> Option<F::Output> {
    let bell = Arc::new(Bell {
        rung: AtomicBool::new(false),
        thread: thread::current(),
    });
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // Acquire: pairs with the Release in `wake`.
        while !bell.rung.swap(false, Ordering::Acquire) {
            match end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => return None,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

/// A message. Its number is in plain memory of its own: a hand-over that does not order the accesses of
/// the two sides is a race there.
pub(crate) type Letter = Counted<Box<u64>>;

/// What was sent and what was received, as counts and sums.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    totals: Arc<Totals>,
    drops: DropCounter,
}

/// Relaxed throughout: the parties are joined before anybody compares.
#[derive(Default)]
struct Totals {
    sent: AtomicU64,
    sum_sent: AtomicU64,
    received: AtomicU64,
    sum_received: AtomicU64,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Writes a letter that nobody has sent yet.
    pub(crate) fn write(&self, number: u64) -> Letter {
        self.drops.track(Box::new(number))
    }

    /// Books a letter as sent.
    pub(crate) fn note_sent(&self, number: u64) {
        self.totals.sent.fetch_add(1, Ordering::Relaxed);
        self.totals.sum_sent.fetch_add(number, Ordering::Relaxed);
    }

    /// Books a letter as received, uses it up, and gives its number.
    pub(crate) fn note_received(&self, mut letter: Letter) -> u64 {
        let number = std::mem::replace(&mut **letter, u64::MAX);
        assert_ne!(number, u64::MAX, "a letter was received twice");
        self.totals.received.fetch_add(1, Ordering::Relaxed);
        self.totals
            .sum_received
            .fetch_add(number, Ordering::Relaxed);
        number
    }

    /// How many letters were received.
    pub(crate) fn received(&self) -> u64 {
        self.totals.received.load(Ordering::Relaxed)
    }

    /// How many letters were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.totals.sent.load(Ordering::Relaxed)
    }

    /// Asserts that each letter that was sent was received, and that none is left anywhere.
    pub(crate) fn assert_balanced(&self, round: &str) {
        assert_eq!(self.received(), self.sent(), "{round}: letters");
        assert_eq!(
            self.totals.sum_received.load(Ordering::Relaxed),
            self.totals.sum_sent.load(Ordering::Relaxed),
            "{round}: their sum"
        );
        self.drops.assert_live(0);
    }

    /// Asserts that no more was received than sent, and that no letter is left anywhere.
    pub(crate) fn assert_none_left(&self, round: &str) {
        assert!(self.received() <= self.sent(), "{round}: letters");
        self.drops.assert_live(0);
    }
}

/// Says what a program has done, and how long that took.
pub(crate) fn report(what: &str, since: Instant) {
    println!("{what}: {:.1?}", since.elapsed());
}

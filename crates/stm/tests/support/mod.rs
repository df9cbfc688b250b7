//! What the suites of transactions share: a watchdog, ways to interfere with a body at a chosen
//! place, and a waker that counts.

#![allow(dead_code, reason = "no suite uses all of it")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use weftwork_core::sync::Mutex;
use weftwork_stm::{Stm, TVar, Tx};

/// Longer than any test takes; only a hang gets here.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// Long enough for whatever must happen by itself.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);

/// How long something waits that must run out of time.
pub(crate) const SHORT: Duration = Duration::from_millis(15);

/// After this many conflicts, a transaction runs alone. Nobody can make it conflict then: who tries
/// waits for its end.
pub(crate) const TO_RUN_ALONE: u32 = 8;

/// Runs a test under the watchdog, and no two of a suite at the same time: they count attempts, and a
/// transaction of another test that runs alone makes every other one step back.
pub(crate) fn watched<R>(test: impl FnOnce() -> R) -> R {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    weftwork_testkit::with_watchdog(HANG, test)
}

/// Runs `f` on another thread, and returns when it is over: what others do in the middle of a body.
pub(crate) fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| match scope.spawn(f).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Runs `f(n)` for each `n` below `count`, on a thread each; what they return, in order.
pub(crate) fn on_threads<R: Send>(count: usize, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let (f, start) = (&f, &std::sync::Barrier::new(count));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|n| {
                scope.spawn(move || {
                    start.wait();
                    f(n)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Runs `test` while each of so many threads does `work(n)` again and again; `n` counts the threads.
pub(crate) fn beside<R>(
    threads: usize,
    work: impl Fn(usize) + Sync,
    test: impl FnOnce() -> R,
) -> R {
    /// Ends the work also if the test panics.
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (is_over, work) = (&AtomicBool::new(false), &work);
    thread::scope(|scope| {
        let _ends = Ends(is_over);
        for n in 0..threads {
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    work(n);
                }
            });
        }
        test()
    })
}

/// Makes the attempt run into a commit of another thread.
pub(crate) fn conflict<R>(tx: &Tx) -> Stm<R> {
    let (a, b) = (TVar::new(0), TVar::new(0));
    a.get(tx)?;
    elsewhere(|| {
        a.store(1);
        b.store(1);
    });
    // The `b` of now and the `a` of before were never there together.
    b.get(tx)?;
    unreachable!("the attempt has seen an inconsistent state");
}

/// Runs `f`, which must panic; its message.
#[track_caller]
pub(crate) fn panics<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have panicked"),
        Err(payload) => message(&*payload),
    }
}

/// The message of a panic.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.expect("the panic has a message")
}

/// Lets other threads go on for a while. No claim rests on how far they come.
pub(crate) fn let_others_run() {
    for _ in 0..20 {
        thread::yield_now();
    }
}

/// A waker that counts how often it is called, and knows who still has a clone of it.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn new() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    pub(crate) fn rings(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// How many wakers of this bell are left behind somewhere, besides the test's own.
    pub(crate) fn left_behind(self: &Arc<Bell>) -> usize {
        Arc::strong_count(self) - 2
    }
}

/// Polls `future` once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
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

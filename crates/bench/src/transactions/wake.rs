//! A crowd in which each waits for a condition of its own: how long it takes to wake them all, and
//! whether anybody else wakes.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::spawn;
use tokio::time::sleep;

use crate::cli::Run;
use crate::measure::Measurement;
use crate::peers::tokio::drive;
use crate::place::Place;
use crate::workload::{LOOK_AGAIN, SETTLE};

/// So many wait.
const WAITERS: u64 = 1000;

/// So many of them are woken one by one in the end, to see that nobody else wakes.
const PROBES: u64 = 100;

/// A number that grows, and one waiter for it.
pub(crate) trait Bell: Send + Sync + 'static {
    /// Makes a bell whose number is 0.
    fn new() -> Self;

    /// Sets the number, and wakes the waiter.
    fn ring(&self, round: u64);

    /// Waits until the number is `round` at least, calling `looked` whenever it looks.
    fn wait(&self, round: u64, looked: impl Fn());
}

/// A bell whose waiter is a task.
pub(crate) trait AsyncBell: Send + Sync + 'static {
    /// Makes a bell whose number is 0.
    fn new() -> Self;

    /// Sets the number, and wakes the waiter.
    fn ring(&self, round: u64) -> impl Future<Output = ()> + Send;

    /// Waits until the number is `round` at least, calling `looked` whenever it looks.
    fn wait(&self, round: u64, looked: impl Fn() + Send + Sync) -> impl Future<Output = ()> + Send;
}

/// What the driver and the waiters share.
#[derive(Debug)]
struct Crowd<B> {
    bells: Vec<B>,
    /// Rings when the last waiter of a round is awake.
    all_awake: B,
    awake: AtomicU64,
    /// How often a waiter looked at its number.
    looks: AtomicU64,
}

impl<B> Crowd<B> {
    fn new(bell: impl Fn() -> B) -> Self {
        Crowd {
            bells: (0..WAITERS).map(|_| bell()).collect(),
            all_awake: bell(),
            awake: AtomicU64::new(0),
            looks: AtomicU64::new(0),
        }
    }

    fn looked(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a waiter that woke in `round`; returns whether it was the last.
    fn woke_last(&self, round: u64) -> bool {
        self.awake.fetch_add(1, Ordering::AcqRel) + 1 == round * WAITERS
    }
}

/// Makes the measurement of `rounds` in which the whole crowd woke.
fn measurement(rounds: u64, elapsed: Duration, wrong: u64) -> Measurement {
    let wakes = rounds * WAITERS;
    Measurement::new(wakes, wakes, elapsed).with("wrong_wakes", wrong as f64)
}

/// The crowd waits in threads of a kind.
pub(crate) fn wake<P: Place, B: Bell>(run: &Run) -> Measurement {
    let rounds = run.n_or(100_000).div_ceil(WAITERS);
    let (elapsed, wrong) = P::drive(run, move || {
        let crowd = Arc::new(Crowd::new(B::new));
        let waiters: Vec<_> = (0..WAITERS as usize)
            .map(|waiter| {
                let crowd = crowd.clone();
                P::spawn(move || {
                    for round in 1..=rounds + 1 {
                        crowd.bells[waiter].wait(round, || crowd.looked());
                        if crowd.woke_last(round) {
                            crowd.all_awake.ring(round);
                        }
                    }
                })
            })
            .collect();
        while crowd.looks.load(Ordering::Relaxed) < WAITERS {
            P::sleep(LOOK_AGAIN);
        }
        P::sleep(SETTLE);
        let start = Instant::now();
        for round in 1..=rounds {
            crowd.bells.iter().for_each(|bell| bell.ring(round));
            crowd.all_awake.wait(round, || ());
        }
        let elapsed = start.elapsed();
        P::sleep(SETTLE);
        let before = crowd.looks.load(Ordering::Relaxed);
        let (probed, rest) = crowd.bells.split_at(PROBES as usize);
        probed.iter().for_each(|bell| bell.ring(rounds + 1));
        while crowd.awake.load(Ordering::Acquire) < rounds * WAITERS + PROBES {
            P::sleep(LOOK_AGAIN);
        }
        P::sleep(SETTLE);
        // One look of each that was woken, which then ended.
        let wrong = crowd.looks.load(Ordering::Relaxed) - before - PROBES;
        rest.iter().for_each(|bell| bell.ring(rounds + 1));
        waiters.into_iter().for_each(P::join);
        (elapsed, wrong)
    });
    measurement(rounds, elapsed, wrong)
}

/// The crowd waits in tasks on tokio.
pub(crate) fn wake_on_tokio<B: AsyncBell>(run: &Run) -> Measurement {
    let rounds = run.n_or(100_000).div_ceil(WAITERS);
    let (elapsed, wrong) = drive(run, async move {
        let crowd = Arc::new(Crowd::new(B::new));
        let mut waiters = Vec::new();
        for waiter in 0..WAITERS as usize {
            let crowd = crowd.clone();
            waiters.push(spawn(async move {
                for round in 1..=rounds + 1 {
                    crowd.bells[waiter].wait(round, || crowd.looked()).await;
                    if crowd.woke_last(round) {
                        crowd.all_awake.ring(round).await;
                    }
                }
            }));
        }
        while crowd.looks.load(Ordering::Relaxed) < WAITERS {
            sleep(LOOK_AGAIN).await;
        }
        sleep(SETTLE).await;
        let start = Instant::now();
        for round in 1..=rounds {
            for bell in &crowd.bells {
                bell.ring(round).await;
            }
            crowd.all_awake.wait(round, || ()).await;
        }
        let elapsed = start.elapsed();
        sleep(SETTLE).await;
        let before = crowd.looks.load(Ordering::Relaxed);
        let (probed, rest) = crowd.bells.split_at(PROBES as usize);
        for bell in probed {
            bell.ring(rounds + 1).await;
        }
        while crowd.awake.load(Ordering::Acquire) < rounds * WAITERS + PROBES {
            sleep(LOOK_AGAIN).await;
        }
        sleep(SETTLE).await;
        let wrong = crowd.looks.load(Ordering::Relaxed) - before - PROBES;
        for bell in rest {
            bell.ring(rounds + 1).await;
        }
        for waiter in waiters {
            waiter.await.unwrap();
        }
        (elapsed, wrong)
    });
    measurement(rounds, elapsed, wrong)
}

/// What the crowd waits with where there are no transactions: a number, and the waiter's handle to
/// be unparked by.
pub(crate) struct Parked<T> {
    number: AtomicU64,
    waiter: OnceLock<T>,
}

/// A handle by which a thread of a kind is unparked.
pub(crate) trait Unpark: Send + Sync + 'static {
    /// Returns the handle of this thread.
    fn current() -> Self;

    /// Sleeps until somebody calls [`Unpark::unpark`].
    fn park();

    /// Wakes the thread.
    fn unpark(&self);
}

impl<T: Unpark> Bell for Parked<T> {
    fn new() -> Self {
        Parked {
            number: AtomicU64::new(0),
            waiter: OnceLock::new(),
        }
    }

    fn ring(&self, round: u64) {
        self.number.store(round, Ordering::SeqCst);
        if let Some(waiter) = self.waiter.get() {
            waiter.unpark();
        }
    }

    fn wait(&self, round: u64, looked: impl Fn()) {
        self.waiter.get_or_init(T::current);
        loop {
            looked();
            if self.number.load(Ordering::SeqCst) >= round {
                break;
            }
            T::park();
        }
    }
}

//! Latencies between workers: waking a task whose worker sleeps, and stealing from a busy worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{current, drive, park, spawn};
use crate::cli::Run;
use crate::measure::{Measurement, median};

/// Between two wakes the other worker is left alone this long, so that it goes to sleep.
const REST: Duration = Duration::from_micros(100);

/// The longest latency that is told apart, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// Spins until `condition`: the task must not leave its worker, nor let it run another.
fn spin_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::hint::spin_loop();
    }
}

/// Measures from an `unpark` on one worker until the task, which is on another and whose worker
/// sleeps, has read the clock.
///
/// The two tasks meet by spinning, each on its own worker; from then on neither can change it.
pub(super) fn wake(run: &Run) -> Measurement {
    let n = run.n_or(20_000);
    assert!(
        run.workers >= 2,
        "a wake between workers takes --workers 2 at least"
    );
    let (elapsed, histogram) = drive(run, move || {
        let clock = Instant::now();
        let now = move || clock.elapsed().as_nanos() as u64;
        let met = Arc::new(AtomicU64::new(0));
        // Wakes are numbered from 1; the sleeper answers with the time at which it ran.
        let round = Arc::new(AtomicU64::new(0));
        let answered = Arc::new(AtomicU64::new(0));
        let ran_at = Arc::new(AtomicU64::new(0));
        let sleeping = Arc::new(OnceLock::new());
        let sleeper = spawn({
            let sleeping = sleeping.clone();
            let (met, round) = (met.clone(), round.clone());
            let (answered, ran_at) = (answered.clone(), ran_at.clone());
            move || {
                sleeping.set(current()).expect("nobody else sets it");
                met.fetch_add(1, Ordering::AcqRel);
                spin_until(|| met.load(Ordering::Acquire) == 2);
                for expected in 1..=n {
                    while round.load(Ordering::Acquire) != expected {
                        park();
                    }
                    ran_at.store(now(), Ordering::Relaxed);
                    answered.store(expected, Ordering::Release);
                }
                thread::current().id()
            }
        });
        spin_until(|| met.load(Ordering::Acquire) == 1);
        met.fetch_add(1, Ordering::AcqRel);
        let sleeping = sleeping.get().expect("set before they met");
        let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST, 3).expect("valid bounds");
        let mut sum = Duration::ZERO;
        for number in 1..=n {
            let rested = Instant::now();
            spin_until(|| rested.elapsed() >= REST);
            let woken_at = now();
            round.store(number, Ordering::Release);
            sleeping.unpark();
            spin_until(|| answered.load(Ordering::Acquire) == number);
            let latency = ran_at.load(Ordering::Relaxed).saturating_sub(woken_at);
            histogram.saturating_record(latency);
            sum += Duration::from_nanos(latency);
        }
        let other = sleeper.join().unwrap();
        assert_ne!(
            other,
            thread::current().id(),
            "the tasks were on two workers"
        );
        (sum, histogram)
    });
    let quantile = |q| histogram.value_at_quantile(q) as f64 / 1e3;
    Measurement::new(n, n, elapsed)
        .with("p50_us", quantile(0.5))
        .with("p99_us", quantile(0.99))
        .with("p999_us", quantile(0.999))
}

/// Where and when a stolen task ran.
struct Ran {
    thread: ThreadId,
    after: Duration,
}

/// One round: spawns `n` tasks and keeps the worker busy until nine tenths have run elsewhere.
///
/// The last tenth is left out because a runtime may keep the latest task for the worker itself.
/// Returns the time until the first ran, and until nine tenths had, both from the first spawn.
fn steal_round(n: u64) -> (Duration, Duration) {
    let count = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            let count = count.clone();
            spawn(move || {
                let ran = Ran {
                    thread: thread::current().id(),
                    after: start.elapsed(),
                };
                count.fetch_add(1, Ordering::Release);
                ran
            })
        })
        .collect();
    let wanted = n - n / 10;
    spin_until(|| count.load(Ordering::Acquire) >= wanted);
    let most = start.elapsed();
    let here = thread::current().id();
    let ran: Vec<Ran> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    let stolen = ran.iter().filter(|ran| ran.thread != here);
    let first = stolen
        .map(|ran| ran.after)
        .min()
        .expect("tasks were stolen");
    (first, most)
}

/// Measures how fast other workers take what a busy worker spawned.
pub(super) fn steal(run: &Run) -> Measurement {
    const ROUNDS: usize = 21;
    let n = run.n_or(10_000);
    assert!(run.workers >= 2, "stealing takes --workers 2 at least");
    assert!(n >= 10, "nine tenths of --n must be at least one task");
    let rounds = drive(run, move || {
        (0..ROUNDS).map(|_| steal_round(n)).collect::<Vec<_>>()
    });
    let of = |pick: fn(&(Duration, Duration)) -> Duration| {
        let values: Vec<f64> = rounds
            .iter()
            .map(|round| pick(round).as_secs_f64())
            .collect();
        median(&values).expect("there are rounds")
    };
    let stolen = n - n / 10;
    Measurement::new(n, stolen, Duration::from_secs_f64(of(|round| round.1)))
        .with("first_us", of(|round| round.0) * 1e6)
}

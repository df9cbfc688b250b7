//! Sleepers, and a runtime that has nothing to do.

use std::time::{Duration, Instant};

use super::{JoinHandle, drive, runtime, sleep, sleep_async, spawn, spawn_async};
use crate::cli::Run;
use crate::measure::{self, Measurement};
use crate::process::cpu_time;
use crate::watch;
use crate::workload::{SETTLE, Sleeps};

fn sleep_and_tell_lateness(duration: Duration) -> u64 {
    let due = Instant::now() + duration;
    sleep(duration);
    Instant::now().saturating_duration_since(due).as_nanos() as u64
}

/// Green threads as sleepers.
pub(super) fn timer(run: &Run) -> Measurement {
    sleepers(run, |duration| {
        spawn(move || sleep_and_tell_lateness(duration))
    })
}

/// Futures as sleepers.
pub(super) fn timer_async(run: &Run) -> Measurement {
    sleepers(run, |duration| {
        spawn_async(async move {
            let due = Instant::now() + duration;
            sleep_async(duration).await;
            Instant::now().saturating_duration_since(due).as_nanos() as u64
        })
    })
}

fn sleepers(run: &Run, sleeper: fn(Duration) -> JoinHandle<u64>) -> Measurement {
    let (n, span_ms) = (run.n_or(100_000), run.span_ms);
    let cpu = cpu_time();
    let (wall, late) = drive(run, move || {
        let start = Instant::now();
        let handles: Vec<_> = Sleeps::new(span_ms).take(n as usize).map(sleeper).collect();
        let late: Vec<u64> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .collect();
        (start.elapsed(), late)
    });
    measure::timer(n, span_ms, cpu_time() - cpu, wall, late)
}

/// Watches a runtime without work for `--span-ms`.
pub(super) fn idle(run: &Run) -> Measurement {
    let runtime = runtime(run);
    // Has every worker work once, so that all are started before they are watched.
    runtime.run(|| {
        for task in [(); 64].map(|()| spawn(|| sleep(Duration::from_millis(1)))) {
            task.join().unwrap();
        }
    });
    watch::idleness(run, run.span_ms, SETTLE)
}

//! Spawning, yielding, and handing a turn to and fro.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::{current, drive, park, spawn, yield_now};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::workload::{self, FAN_OUT};

pub(super) fn switch(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let yields = move || {
        for _ in 0..n {
            yield_now();
        }
    };
    let elapsed = drive(run, move || {
        let start = Instant::now();
        let (one, other) = (spawn(yields), spawn(yields));
        one.join().unwrap();
        other.join().unwrap();
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

pub(super) fn spawn_join(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, move || {
        let start = Instant::now();
        let mut handles = Vec::with_capacity(workload::BATCH as usize);
        let mut sum = 0;
        for batch in workload::batches(n) {
            handles.extend((0..batch).map(|_| spawn(|| 1_u64)));
            for handle in handles.drain(..) {
                sum += handle.join().unwrap();
            }
        }
        assert_eq!(sum, n);
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

/// Waits until `turn` is `expected`, parked in between.
fn wait_for(turn: &AtomicU64, expected: u64) {
    while turn.load(Ordering::Acquire) != expected {
        park();
    }
}

/// Two green threads count upwards in turns: each adds one, wakes the other, and parks.
pub(super) fn pingpong(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, move || {
        let turn = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let driver = current();
        let (tell, told) = mpsc::channel();
        let echo = spawn({
            let turn = turn.clone();
            move || {
                tell.send(current()).unwrap();
                driver.unpark();
                for round in 0..n {
                    wait_for(&turn, 2 * round + 1);
                    turn.store(2 * round + 2, Ordering::Release);
                    driver.unpark();
                }
            }
        });
        let echo_thread = loop {
            match told.try_recv() {
                Ok(thread) => break thread,
                Err(_) => park(),
            }
        };
        for round in 0..n {
            turn.store(2 * round + 1, Ordering::Release);
            echo_thread.unpark();
            wait_for(&turn, 2 * round + 2);
        }
        echo.join().unwrap();
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn sky(first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let share = leaves / FAN_OUT;
    let children: [_; FAN_OUT as usize] =
        std::array::from_fn(|child| spawn(move || sky(first + child as u64 * share, share)));
    children
        .into_iter()
        .map(|child| child.join().unwrap())
        .sum()
}

pub(super) fn skynet(run: &Run) -> Measurement {
    let n = workload::full_tree(run.n_or(1_000_000));
    let elapsed = drive(run, move || {
        let start = Instant::now();
        assert_eq!(sky(0, n), workload::sum_below(n));
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

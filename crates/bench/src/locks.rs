//! The workload over locks, written once for every lock: tasks add to one number under it.
//!
//! The sum is checked: a lock that lets two in at once loses additions.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::spawn;

use crate::cli::Run;
use crate::measure::Measurement;
use crate::peers::tokio::drive;
use crate::place::Place;

/// Tasks where none are asked for.
const TASKS: usize = 8;

/// A library's lock, which blocks the thread that waits for it, with a number in it.
pub(crate) trait Lock: Default + Send + Sync + 'static {
    /// Adds one under the lock.
    fn add_one(&self);

    /// Reads the number under the lock.
    fn total(&self) -> u64;
}

/// A library's lock, which is awaited, with a number in it.
pub(crate) trait AsyncLock: Default + Send + Sync + 'static {
    /// Adds one under the lock.
    fn add_one(&self) -> impl Future<Output = ()> + Send;

    /// Reads the number under the lock.
    fn total(&self) -> impl Future<Output = u64> + Send;
}

/// Returns the number of tasks, and how often each takes the lock.
fn shares(run: &Run) -> (u64, u64) {
    let tasks = run.tasks.unwrap_or(TASKS) as u64;
    (tasks, run.n_or(2_000_000).div_ceil(tasks))
}

fn measurement(tasks: u64, each: u64, elapsed: Duration) -> Measurement {
    Measurement::new(tasks * each, tasks * each, elapsed).with("tasks", tasks as f64)
}

/// Threads of a kind take one lock by turns.
pub(crate) fn mutex<P: Place, L: Lock>(run: &Run) -> Measurement {
    let (tasks, each) = shares(run);
    let elapsed = P::drive(run, move || {
        let lock = Arc::new(L::default());
        let start = Instant::now();
        let threads: Vec<_> = (0..tasks)
            .map(|_| {
                let lock = lock.clone();
                P::spawn(move || (0..each).for_each(|_| lock.add_one()))
            })
            .collect();
        threads.into_iter().for_each(P::join);
        let elapsed = start.elapsed();
        assert_eq!(lock.total(), tasks * each);
        elapsed
    });
    measurement(tasks, each, elapsed)
}

/// Tasks on tokio take one lock by turns.
pub(crate) fn mutex_on_tokio<L: AsyncLock>(run: &Run) -> Measurement {
    let (tasks, each) = shares(run);
    let elapsed = drive(run, async move {
        let lock = Arc::new(L::default());
        let start = Instant::now();
        let mut handles = Vec::new();
        for _ in 0..tasks {
            let lock = lock.clone();
            handles.push(spawn(async move {
                for _ in 0..each {
                    lock.add_one().await;
                }
            }));
        }
        for handle in handles {
            handle.await.unwrap();
        }
        let elapsed = start.elapsed();
        assert_eq!(lock.total().await, tasks * each);
        elapsed
    });
    measurement(tasks, each, elapsed)
}

//! What variables cost in memory, and how many of the values that were replaced are not dropped yet.

use std::sync::Arc;

use super::numbers::shares;
use super::{Numbers, together};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::place::Place;
use crate::process::Footprint;

/// So many numbers are written in turn while the backlog is watched.
const WRITTEN: usize = 1024;

/// Makes `--n` numbers and uses each; then lets `--workers` threads commit as many transactions.
///
/// The backlog is that of all threads, looked at by each between its own transactions.
pub(crate) fn memory<P: Place, N: Numbers>(run: &Run) -> Measurement {
    let (n, threads) = (run.n_or(1_000_000), run.workers);
    let (bytes_per_var, backlog) = P::drive(run, move || {
        // Some work first: what a thread needs for itself is not what a variable costs.
        churn::<P, N>(threads, WRITTEN as u64);
        // The values are made, and freed, by each library as it likes; this is what is kept.
        let before = Footprint::now().rss_kib;
        let numbers = N::new(vec![1; n as usize]);
        let sum: u64 = (0..n as usize).map(|index| numbers.read(index)).sum();
        let after = Footprint::now().rss_kib;
        assert_eq!(sum, n);
        drop(numbers);
        let bytes_per_var = (after - before) * 1024.0 / n as f64;
        (bytes_per_var, churn::<P, N>(threads, n))
    });
    let measurement = Measurement::untimed(n).with("bytes_per_var", bytes_per_var);
    match backlog {
        None => measurement,
        Some(backlog) => measurement.with("backlog", backlog as f64),
    }
}

/// Commits `n` transactions that write; returns the greatest backlog seen.
fn churn<P: Place, N: Numbers>(threads: usize, n: u64) -> Option<u64> {
    let (each, total) = shares(n, threads);
    let numbers = Arc::new(N::new(vec![0; WRITTEN]));
    let (_, backlogs) = together::<P, _>(threads, {
        let numbers = numbers.clone();
        move |_| {
            (0..each as usize)
                .map(|round| {
                    numbers.add_one(round % WRITTEN);
                    if round % WRITTEN == 0 {
                        N::backlog()
                    } else {
                        None
                    }
                })
                .max()
                .flatten()
        }
    });
    assert_eq!(numbers.sum(), total);
    backlogs.into_iter().max().flatten()
}

//! The recursive Fibonacci function: with a spawn and join per call, and by fork-join.

use std::time::Instant;

use super::{drive, join, spawn};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::workload;

fn by_spawn(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let forked = spawn(move || by_spawn(n - 1));
    let inline = by_spawn(n - 2);
    forked.join().unwrap() + inline
}

fn by_join(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (forked, inline) = join(|| by_join(n - 1), || by_join(n - 2));
    forked + inline
}

fn measure(run: &Run, fib: fn(u64) -> u64) -> Measurement {
    let n = run.fib;
    let elapsed = drive(run, move || {
        let start = Instant::now();
        let result = fib(n);
        let elapsed = start.elapsed();
        assert_eq!(result, workload::fibonacci(n));
        elapsed
    });
    Measurement::new(n, workload::fibonacci_forks(n), elapsed)
        .with("wall_ms", elapsed.as_secs_f64() * 1e3)
}

pub(super) fn fib_by_spawn(run: &Run) -> Measurement {
    measure(run, by_spawn)
}

pub(super) fn fib_by_join(run: &Run) -> Measurement {
    measure(run, by_join)
}

//! Fork-join on rayon: no task of it can wait for anything but its children.

use std::time::Instant;

use ::rayon as rt;

use crate::cli::Run;
use crate::measure::Measurement;
use crate::registry::{Bench, Entry};
use crate::workload::{self, FAN_OUT};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::SpawnJoin, "rayon", spawn_join),
    Entry::measure(Bench::Skynet, "rayon", skynet),
    Entry::measure(Bench::CpuFib, "rayon", cpu_fib),
];

/// Runs `driver` on a pool of `--workers` threads.
fn drive<T: Send>(run: &Run, driver: impl FnOnce() -> T + Send) -> T {
    rt::ThreadPoolBuilder::new()
        .num_threads(run.workers)
        .build()
        .expect("the pool starts")
        .install(driver)
}

fn spawn_join(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, || {
        let start = Instant::now();
        let mut sum = 0;
        for batch in workload::batches(n) {
            let mut results = vec![0_u64; batch as usize];
            rt::scope(|scope| {
                for result in &mut results {
                    scope.spawn(move |_| *result = 1);
                }
            });
            sum += results.iter().sum::<u64>();
        }
        assert_eq!(sum, n);
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn sky(first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let share = leaves / FAN_OUT;
    let mut sums = [0; FAN_OUT as usize];
    rt::scope(|scope| {
        for (child, sum) in sums.iter_mut().enumerate() {
            scope.spawn(move |_| *sum = sky(first + child as u64 * share, share));
        }
    });
    sums.iter().sum()
}

fn skynet(run: &Run) -> Measurement {
    let n = workload::full_tree(run.n_or(1_000_000));
    let elapsed = drive(run, || {
        let start = Instant::now();
        assert_eq!(sky(0, n), workload::sum_below(n));
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (forked, inline) = rt::join(|| fib(n - 1), || fib(n - 2));
    forked + inline
}

fn cpu_fib(run: &Run) -> Measurement {
    let n = run.fib;
    let elapsed = drive(run, || {
        let start = Instant::now();
        let result = fib(n);
        let elapsed = start.elapsed();
        assert_eq!(result, workload::fibonacci(n));
        elapsed
    });
    Measurement::new(n, workload::fibonacci_forks(n), elapsed)
        .with("wall_ms", elapsed.as_secs_f64() * 1e3)
}

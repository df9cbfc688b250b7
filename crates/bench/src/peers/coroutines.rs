//! Bare stackful coroutines, without a scheduler: the floor under `switch`.
//!
//! One operation is a resume and a suspend, that is two switches, as in a round trip of two tasks.

use std::time::Instant;

use corosensei::{Coroutine, CoroutineResult};

use crate::cli::Run;
use crate::measure::Measurement;
use crate::registry::{Bench, Entry};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Switch, "corosensei", corosensei),
    Entry::measure(Bench::Switch, "generator", generator),
];

fn corosensei(run: &Run) -> Measurement {
    let n = run.n_or(10_000_000);
    let mut coroutine = Coroutine::<(), u64, u64>::new(move |yielder, ()| {
        for _ in 0..n {
            yielder.suspend(1);
        }
        n
    });
    let start = Instant::now();
    let mut sum = 0;
    for _ in 0..n {
        match coroutine.resume(()) {
            CoroutineResult::Yield(one) => sum += one,
            CoroutineResult::Return(_) => panic!("it returned early"),
        }
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, n);
    assert_eq!(coroutine.resume(()).as_return(), Some(n));
    Measurement::new(n, n, elapsed)
}

/// The base of may.
fn generator(run: &Run) -> Measurement {
    let n = run.n_or(10_000_000);
    let mut generator = ::generator::Gn::<()>::new_scoped(move |mut scope| {
        for _ in 0..n {
            scope.yield_(1_u64);
        }
        n
    });
    let start = Instant::now();
    let mut sum = 0;
    for _ in 0..n {
        sum += generator.resume().expect("it has more to yield");
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, n);
    assert_eq!(generator.resume(), Some(n));
    Measurement::new(n, n, elapsed)
}

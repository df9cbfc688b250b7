//! The timer wheel: arming and cancelling, and arming and firing, among many armed timers.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use weftwork_reactor::Wheel;

/// Deadlines are spread over this many nanoseconds.
const SPAN: u64 = 1_000_000_000;

/// A sequence of deadlines within the span (a multiplicative congruential generator).
fn deadlines() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1_u64), |last| {
        Some(last.wrapping_mul(0x5851_F42D_4C95_7F2D) | 1)
    })
    .map(|number| ((number >> 32) * SPAN) >> 32)
}

fn filled(armed: usize) -> Wheel<u64> {
    let mut wheel = Wheel::new(0);
    for deadline in deadlines().take(armed) {
        wheel.insert(deadline, deadline);
    }
    wheel
}

/// The life of a timeout that does not strike, as around most reads of a server.
fn insert_cancel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel/insert and cancel");
    for armed in [0, 1_000, 100_000] {
        let mut wheel = filled(armed);
        let mut next = deadlines();
        group.bench_function(BenchmarkId::from_parameter(armed), |bencher| {
            bencher.iter(|| {
                let deadline = next.next().expect("it does not end");
                let key = wheel.insert(deadline, deadline);
                assert_eq!(wheel.cancel(black_box(key)), Some(deadline));
            });
        });
        assert_eq!(wheel.len(), armed);
    }
    group.finish();
}

/// All timers of a wheel fire, with the time advancing by one millisecond.
fn fire(criterion: &mut Criterion) {
    const STEP: usize = 1_000_000;
    let mut group = criterion.benchmark_group("wheel/fire all");
    for armed in [1_000, 100_000] {
        group.throughput(criterion::Throughput::Elements(armed as u64));
        group.bench_function(BenchmarkId::from_parameter(armed), |bencher| {
            bencher.iter_batched(
                || (filled(armed), Vec::with_capacity(armed)),
                |(mut wheel, mut due)| {
                    for now in (0..=SPAN).step_by(STEP) {
                        wheel.advance(now, &mut due);
                    }
                    assert_eq!(due.len(), armed);
                    due
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// What a worker asks before each sleep.
fn next_deadline(criterion: &mut Criterion) {
    let wheel = filled(100_000);
    criterion.bench_function("wheel/next deadline", |bencher| {
        bencher.iter(|| black_box(&wheel).next_deadline());
    });
}

criterion_group!(benches, insert_cancel, fire, next_deadline);
criterion_main!(benches);

//! Spawning and yielding on one worker, within one green thread.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use weftwork_sched::{Runtime, spawn, yield_now};

fn runtime() -> Runtime {
    Runtime::builder()
        .workers(1)
        .build()
        .expect("the runtime starts")
}

/// Runs `operation` so many times on a green thread of the runtime; returns how long it took.
fn on_a_green_thread(runtime: &Runtime, times: u64, operation: fn()) -> Duration {
    runtime.run(move || {
        let start = Instant::now();
        for _ in 0..times {
            operation();
        }
        start.elapsed()
    })
}

/// One task at a time: the join finds it unstarted, and may run it in place.
fn spawn_and_join(criterion: &mut Criterion) {
    let runtime = runtime();
    criterion.bench_function("spawn and join", |bencher| {
        bencher.iter_custom(|times| {
            on_a_green_thread(&runtime, times, || {
                assert_eq!(spawn(|| 1).join().unwrap(), 1)
            })
        });
    });
}

fn yield_alone(criterion: &mut Criterion) {
    let runtime = runtime();
    criterion.bench_function("yield, nobody else is ready", |bencher| {
        bencher.iter_custom(|times| on_a_green_thread(&runtime, times, yield_now));
    });
}

/// Two green threads yield to each other: one iteration is a round trip.
fn yield_to_another(criterion: &mut Criterion) {
    let runtime = runtime();
    criterion.bench_function("yield, round trip of two", |bencher| {
        bencher.iter_custom(|times| {
            runtime.run(move || {
                let yields = move || {
                    for _ in 0..times {
                        yield_now();
                    }
                };
                let start = Instant::now();
                let (one, other) = (spawn(yields), spawn(yields));
                one.join().unwrap();
                other.join().unwrap();
                start.elapsed()
            })
        });
    });
}

criterion_group!(benches, spawn_and_join, yield_alone, yield_to_another);
criterion_main!(benches);

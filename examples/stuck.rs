//! A task that keeps its worker: the monitor names it, and timers and other tasks go on.
//!
//! A green thread gives its worker up whenever it waits. One that computes without end does not. The
//! monitor finds it; other workers take its worker's queued tasks, timers and sockets over. The cure
//! is a checkpoint in the loop, or `blocking` around it.
//!
//! `cargo run --release --example stuck`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use weftwork::prelude::*;
use weftwork::task::TaskBuilder;
use weftwork::time::sleep_async;
use weftwork::try_checkpoint;

fn main() {
    let (reports, reported) = mpsc::channel();
    let runtime = Runtime::builder()
        .workers(2)
        .stuck_after(Duration::from_millis(50))
        .on_stuck(move |stuck| {
            println!("monitor: {stuck}");
            // Nobody listens any more when the example has seen enough.
            let _ = reports.send(stuck.name().map(String::from));
        })
        .build()
        .expect("the runtime starts");

    // All is watched from the main thread, which is no worker: a green thread that was parked on the
    // hog's worker would have to wait for it like anybody who has started there.
    let _entered = runtime.enter();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let hog = TaskBuilder::named("hog").spawn(move || {
        let mut rounds = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            rounds = std::hint::black_box(rounds + 1);
        }
        rounds
    });

    let timers: Vec<_> = (1..=20)
        .map(|n| spawn_async(sleep_async(Duration::from_millis(n))))
        .collect();
    let squares: Vec<_> = (0..100_u32).map(|n| spawn(move || n * n)).collect();
    for timer in timers {
        timer.join().expect("a timer fires");
    }
    let sum: u32 = squares
        .into_iter()
        .map(|square| square.join().expect("a square is computed"))
        .sum();
    assert_eq!(sum, 328_350);
    println!("20 timers fired and 100 tasks ran beside the hog");

    let name = reported.recv_timeout(Duration::from_secs(30));
    assert_eq!(name.expect("the monitor reports").as_deref(), Some("hog"));
    stop.store(true, Ordering::Relaxed);
    assert!(hog.join().expect("the hog ends") > 0);

    // The cure: a loop with a checkpoint leaves its worker to others and hears of a cancellation.
    // (`checkpoint` unwinds then; this form tells, in programs that cannot unwind, too.)
    let polite = TaskBuilder::named("polite").spawn(|| {
        let mut rounds = 0_u64;
        while try_checkpoint().is_ok() {
            rounds += 1;
        }
        rounds
    });
    assert_eq!(spawn(|| 5).join().expect("it runs beside"), 5);
    polite.cancel();
    match polite.join() {
        Ok(rounds) => println!("the polite loop ended after {rounds} rounds"),
        // It was cancelled before it had started.
        Err(error) => assert!(error.is_cancelled(), "{error}"),
    }
}

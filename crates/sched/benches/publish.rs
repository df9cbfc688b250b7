//! What it costs a worker to make work visible and to see whether somebody sleeps: a push, a fence
//! and a look, against a push and a read-modify-write of the word that all workers share.
//!
//! Run with `cargo bench -p weftwork-sched --bench publish`. `docs/design/idle.md` has the figures.

use crossbeam_utils::CachePadded;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::Instant;

const ROUNDS: usize = 41;
const PUSHES: usize = 200_000;

/// Keeps the calling thread on one processor, so that two threads do run at the same time.
fn pin(processor: usize) {
    // SAFETY: a set of processors is plain data, for which zeros are valid, and the calls only use
    // the set on this frame.
    let status = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    assert_eq!(status, 0, "processor {processor} is not to be had");
}

/// Runs `publish` in `threads` threads, each with a deque of its own; the median of the cost per push.
fn report(name: &str, threads: usize, publish: impl Fn(&AtomicUsize) -> usize + Sync) {
    let shared = CachePadded::new(AtomicUsize::new(0));
    let round = || {
        let start = Barrier::new(threads);
        let (start, publish, shared) = (&start, &publish, &shared);
        let one = |index: usize| {
            pin(index);
            let deque = crossbeam_deque::Worker::new_lifo();
            start.wait();
            let begin = Instant::now();
            for n in 0..PUSHES {
                deque.push(n);
                black_box(publish(shared));
                black_box(deque.pop());
            }
            begin.elapsed().as_nanos() as f64 / PUSHES as f64
        };
        let costs: Vec<f64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|index| scope.spawn(move || one(index)))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("no panic"))
                .collect()
        });
        costs.iter().sum::<f64>() / costs.len() as f64
    };
    round();
    let mut costs: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    costs.sort_by(f64::total_cmp);
    println!(
        "{threads} threads, {name:<34} {:>7.1} ns",
        costs[ROUNDS / 2]
    );
}

fn main() {
    for threads in [1, 2] {
        report("push, pop", threads, |_| 0);
        report("push, fence, load, pop", threads, |word| {
            fence(Ordering::SeqCst);
            word.load(Ordering::Relaxed)
        });
        report("push, fetch_add(0), pop", threads, |word| {
            word.fetch_add(0, Ordering::SeqCst)
        });
    }
}

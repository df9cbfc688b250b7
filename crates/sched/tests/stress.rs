//! Everything at once: more workers than processors, several OS threads, all kinds of waits.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use support::with_runtime;
use weftwork_sched::{
    JoinHandle, Thread, checkpoint, current, join, park_timeout, sleep, sleep_async, spawn,
    spawn_async, spawn_local, timeout, yield_now,
};
use weftwork_testkit::{Counted, DropCounter, iters};

/// xorshift64 (Marsaglia 2003).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A task that does some steps, of which some spawn further tasks, and counts itself.
fn work(
    mut state: u64,
    depth: u32,
    done: Arc<AtomicUsize>,
    held: Counted<()>,
    tell: mpsc::Sender<Thread>,
) {
    let _held = held;
    for _ in 0..random(&mut state) % 6 {
        match random(&mut state) % 10 {
            0 => yield_now(),
            1 => checkpoint(),
            2 => sleep(Duration::from_nanos(random(&mut state) % 50_000)),
            3 => {
                drop(tell.send(current()));
                park_timeout(Duration::from_micros(50));
            }
            4 if depth > 0 => {
                let (there, held, tell) = (Arc::clone(&done), _held.clone(), tell.clone());
                let child = spawn(move || work(state ^ 1, depth - 1, there, held, tell));
                child.join().unwrap();
            }
            5 if depth > 0 => {
                let (there, held, tell) = (Arc::clone(&done), _held.clone(), tell.clone());
                drop(spawn(move || work(state ^ 2, depth - 1, there, held, tell)));
            }
            6 => {
                let n = random(&mut state);
                let future = spawn_async(async move {
                    sleep_async(Duration::from_nanos(n % 20_000)).await;
                    n
                });
                assert_eq!(future.join().unwrap(), n);
            }
            7 => {
                let (a, b) = join(
                    || {
                        yield_now();
                        1
                    },
                    || spawn_local(|| 2).join().unwrap(),
                );
                assert_eq!(a + b, 3);
            }
            8 => {
                let never = spawn(|| sleep(Duration::MAX));
                never.cancel();
                assert!(never.join().unwrap_err().is_cancelled());
            }
            _ => drop(timeout(Duration::from_micros(20), || {
                sleep(Duration::from_micros(20))
            })),
        }
    }
    done.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_mixture_of_everything_loses_nothing() {
    with_runtime(4, |rt| {
        let drops = DropCounter::new();
        let done = Arc::new(AtomicUsize::new(0));
        let (tell, told) = mpsc::channel::<Thread>();
        let unparker = std::thread::spawn(move || told.iter().for_each(|thread| thread.unpark()));
        let rounds = iters(600, 150, 10);
        let spawners: Vec<_> = (1..4_u64)
            .map(|seed| {
                let (handle, drops) = (rt.handle().clone(), drops.clone());
                let (done, tell) = (Arc::clone(&done), tell.clone());
                std::thread::spawn(move || {
                    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let mut running: Vec<JoinHandle<()>> = Vec::new();
                    let mut finished = 0;
                    for _ in 0..rounds {
                        let seed = random(&mut state);
                        let (there, held, tell) =
                            (Arc::clone(&done), drops.track(()), tell.clone());
                        running.push(handle.spawn(move || work(seed, 2, there, held, tell)));
                        if running.len() > 64 {
                            let at = random(&mut state) as usize % running.len();
                            let task = running.swap_remove(at);
                            if random(&mut state).is_multiple_of(4) {
                                task.cancel();
                            }
                            match task.join() {
                                Ok(()) => finished += 1,
                                Err(error) => assert!(error.is_cancelled(), "{error}"),
                            }
                        }
                    }
                    for task in running {
                        task.join().unwrap();
                        finished += 1;
                    }
                    finished
                })
            })
            .collect();
        let finished: usize = spawners.into_iter().map(|s| s.join().unwrap()).sum();
        drop(tell);
        unparker.join().unwrap();
        assert!(done.load(Ordering::Relaxed) >= finished);
        while rt.stats().live > 0 {
            std::thread::yield_now();
        }
        drops.assert_none_live();
    });
}

#[test]
fn wakes_across_workers_are_never_lost() {
    with_runtime(4, |rt| {
        // A ring of tasks that pass tokens on by unparking each other.
        let tasks = 16;
        let rounds = iters(3_000, 800, 50);
        rt.run(|| {
            let boxes: Arc<Vec<AtomicUsize>> =
                Arc::new((0..tasks).map(|_| AtomicUsize::new(0)).collect());
            let threads: Arc<Vec<std::sync::OnceLock<Thread>>> =
                Arc::new((0..tasks).map(|_| std::sync::OnceLock::new()).collect());
            let ring: Vec<_> = (0..tasks)
                .map(|me| {
                    let (boxes, threads) = (Arc::clone(&boxes), Arc::clone(&threads));
                    spawn(move || {
                        threads[me].set(current()).unwrap();
                        for _ in 0..rounds {
                            while boxes[me].load(Ordering::Acquire) == 0 {
                                weftwork_sched::park();
                            }
                            boxes[me].fetch_sub(1, Ordering::AcqRel);
                            let next = (me + 1) % tasks;
                            boxes[next].fetch_add(1, Ordering::AcqRel);
                            if let Some(thread) = threads[next].get() {
                                thread.unpark();
                            }
                        }
                    })
                })
                .collect();
            while threads.iter().any(|thread| thread.get().is_none()) {
                yield_now();
            }
            for start in [0, 5, 10] {
                boxes[start].fetch_add(1, Ordering::AcqRel);
                threads[start].get().unwrap().unpark();
            }
            ring.into_iter().for_each(|task| task.join().unwrap());
            let left: usize = boxes
                .iter()
                .map(|tokens| tokens.load(Ordering::Relaxed))
                .sum();
            assert_eq!(left, 3);
        });
    });
}

//! Taking turns: yields, checkpoints and time slices.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::{Count, with_runtime, with_runtimes};
use weftwork_core::sync::Mutex;
use weftwork_sched::{
    checkpoint, sleep, spawn, spawn_async, spawn_local, try_checkpoint, yield_now,
};

#[test]
fn green_threads_that_yield_take_turns_in_order() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let turns = Arc::new(Mutex::new(Vec::new()));
            let ready = Arc::new(Count::new());
            let tasks: Vec<_> = (0..3)
                .map(|me| {
                    let (turns, ready) = (Arc::clone(&turns), Arc::clone(&ready));
                    spawn(move || {
                        ready.add();
                        ready.wait_for(4);
                        for _ in 0..100 {
                            turns.lock().push(me);
                            yield_now();
                        }
                    })
                })
                .collect();
            ready.wait_for(3);
            ready.add();
            tasks.into_iter().for_each(|task| task.join().unwrap());
            let turns = turns.lock();
            // No one has two turns more than another at any time before the first one ends.
            let mut had = [0_u32; 3];
            for &me in turns.iter().take(290) {
                had[me] += 1;
                let (most, least) = (had.iter().max().unwrap(), had.iter().min().unwrap());
                assert!(most - least <= 2, "{had:?}");
            }
        });
    });
}

#[test]
fn a_task_that_yields_for_ever_starves_nobody() {
    with_runtimes(|rt| {
        let stop = Arc::new(AtomicBool::new(false));
        for spinners in [1, 2, 3, 5] {
            let spinning: Vec<_> = (0..spinners)
                .map(|_| {
                    let stop = Arc::clone(&stop);
                    rt.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            yield_now();
                        }
                    })
                })
                .collect();
            // New tasks, woken futures, local tasks, timers, and tasks from outside.
            rt.run(|| {
                for _ in 0..3 {
                    let fresh = spawn(|| 1);
                    while !fresh.is_finished() {
                        yield_now();
                    }
                    let future = spawn_async(async { spawn(|| 1).await.unwrap() });
                    while !future.is_finished() {
                        yield_now();
                    }
                    let local = spawn_local(|| 1);
                    while !local.is_finished() {
                        yield_now();
                    }
                    sleep(Duration::from_micros(20));
                }
            });
            stop.store(true, Ordering::Relaxed);
            spinning.into_iter().for_each(|task| task.join().unwrap());
            stop.store(false, Ordering::Relaxed);
        }
    });
}

#[test]
fn a_loop_of_checkpoints_starves_nobody() {
    with_runtime(1, |rt| {
        let stop = Arc::new(AtomicBool::new(false));
        for silent in [false, true] {
            let there = Arc::clone(&stop);
            let spinning = rt.spawn(move || {
                while !there.load(Ordering::Relaxed) {
                    if silent {
                        try_checkpoint().unwrap();
                    } else {
                        checkpoint();
                    }
                }
            });
            assert_eq!(rt.spawn(|| 5).join().unwrap(), 5);
            rt.run(|| sleep(Duration::from_micros(20)));
            rt.spawn_async(async {}).join().unwrap();
            stop.store(true, Ordering::Relaxed);
            spinning.join().unwrap();
            stop.store(false, Ordering::Relaxed);
        }
    });
}

#[test]
fn waits_that_are_ready_at_once_count_as_checkpoints() {
    with_runtime(1, |rt| {
        let stop = Arc::new(AtomicBool::new(false));
        let there = Arc::clone(&stop);
        let spinning = rt.spawn(move || {
            while !there.load(Ordering::Relaxed) {
                // Never has to wait.
                weftwork_sched::block_on(async {});
            }
        });
        assert_eq!(rt.spawn(|| 5).join().unwrap(), 5);
        stop.store(true, Ordering::Relaxed);
        spinning.join().unwrap();
    });
}

#[test]
fn a_slice_that_is_over_ends_at_the_next_checkpoint() {
    with_runtime(1, |rt| {
        let other_ran = Arc::new(AtomicBool::new(false));
        let there = Arc::clone(&other_ran);
        rt.run(move || {
            let other = spawn(move || there.store(true, Ordering::Relaxed));
            // Far fewer checkpoints than the budget: only the monitor ends this slice.
            let mut checkpoints = 0;
            while !other_ran.load(Ordering::Relaxed) {
                let start = std::time::Instant::now();
                while start.elapsed() < Duration::from_millis(25) {
                    std::hint::spin_loop();
                }
                checkpoint();
                checkpoints += 1;
                assert!(checkpoints < 100, "the slice was not ended");
            }
            other.join().unwrap();
        });
    });
}

#[test]
fn chains_of_spawns_and_joins_let_others_run() {
    with_runtime(1, |rt| {
        let stop = Arc::new(AtomicBool::new(false));
        let there = Arc::clone(&stop);
        let chain = rt.spawn(move || {
            while !there.load(Ordering::Relaxed) {
                spawn(|| ()).join().unwrap();
            }
        });
        assert_eq!(rt.spawn(|| 5).join().unwrap(), 5);
        rt.run(|| sleep(Duration::from_micros(20)));
        stop.store(true, Ordering::Relaxed);
        chain.join().unwrap();
    });
}

#[test]
fn the_oldest_new_task_runs_although_newer_ones_keep_coming() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let oldest_ran = Arc::new(AtomicBool::new(false));
            let there = Arc::clone(&oldest_ran);
            drop(spawn(move || there.store(true, Ordering::Relaxed)));
            fn endless(stop: Arc<AtomicBool>, spawned: Arc<AtomicUsize>) {
                spawned.fetch_add(1, Ordering::Relaxed);
                if !stop.load(Ordering::Relaxed) {
                    drop(spawn(move || endless(stop, spawned)));
                }
            }
            let spawned = Arc::new(AtomicUsize::new(0));
            endless(Arc::clone(&oldest_ran), Arc::clone(&spawned));
            while !oldest_ran.load(Ordering::Relaxed) {
                sleep(Duration::from_micros(50));
            }
            assert!(spawned.load(Ordering::Relaxed) >= 1);
        });
    });
}

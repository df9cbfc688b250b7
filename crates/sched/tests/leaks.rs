//! Nothing leaks and nothing is dropped twice, whatever happens to tasks.

mod support;

use std::sync::Arc;
use std::time::Duration;
use support::{Count, with_runtime, with_runtimes};
use weftwork_sched::{park, scope, sleep, sleep_async, spawn, spawn_async, yield_now};
use weftwork_testkit::{DropCounter, iters};

/// xorshift64 (Marsaglia 2003).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn closures_outputs_and_futures_are_all_dropped_once() {
    with_runtimes(|rt| {
        let (inputs, outputs) = (DropCounter::new(), DropCounter::new());
        let mut state = 0x2545_f491_4f6c_dd1d;
        let mut handles = Vec::new();
        for _ in 0..iters(10_000, 3_000, 200) {
            let kind = random(&mut state) % 8;
            let (input, counter) = (inputs.track(()), outputs.clone());
            let handle = if kind.is_multiple_of(2) {
                rt.spawn(move || {
                    let _input = input;
                    match kind {
                        0 => (),
                        2 => yield_now(),
                        4 => sleep(Duration::from_micros(5)),
                        _ => spawn(yield_now).join().unwrap(),
                    }
                    counter.track(())
                })
            } else {
                rt.spawn_async(async move {
                    let _input = input;
                    match kind {
                        1 => (),
                        3 => yield_now(),
                        5 => sleep_async(Duration::from_micros(5)).await,
                        _ => spawn_async(async {}).await.unwrap(),
                    }
                    counter.track(())
                })
            };
            match random(&mut state) % 4 {
                0 => handle.cancel(),
                1 => drop(handle),
                2 => handles.push(handle),
                _ => {
                    let there = handle.task_ref();
                    handles.push(handle);
                    there.cancel();
                }
            }
        }
        for handle in handles {
            if let Err(error) = handle.join() {
                assert!(error.is_cancelled());
            }
        }
        while rt.stats().live > 0 {
            std::thread::yield_now();
        }
        inputs.assert_none_live();
        outputs.assert_none_live();
    });
}

#[test]
fn parked_tasks_that_are_cancelled_leave_nothing() {
    with_runtime(2, |rt| {
        let drops = DropCounter::new();
        let started = Arc::new(Count::new());
        let tasks = iters(2_000, 500, 100);
        let handles: Vec<_> = (0..tasks)
            .map(|_| {
                let (held, there) = (drops.track(()), Arc::clone(&started));
                rt.spawn(move || {
                    let _held = held;
                    there.add();
                    loop {
                        park();
                    }
                })
            })
            .collect();
        started.wait_for(tasks);
        drops.assert_live(tasks);
        handles.iter().for_each(|handle| handle.cancel());
        for handle in handles {
            assert!(handle.join().unwrap_err().is_cancelled());
        }
        drops.assert_none_live();
    });
}

#[test]
fn scopes_leave_nothing() {
    with_runtimes(|rt| {
        let drops = DropCounter::new();
        rt.run(|| {
            for round in 0..iters(300, 100, 10) {
                scope(|s| {
                    let kept: Vec<_> = (0..4)
                        .map(|n| {
                            let held = drops.track(n);
                            s.spawn(move || {
                                if n == round % 4 {
                                    yield_now();
                                }
                                held
                            })
                        })
                        .collect();
                    if round % 2 == 0 {
                        s.cancel();
                    }
                    for child in kept.into_iter().take(2) {
                        drop(child.join());
                    }
                });
                drops.assert_none_live();
            }
        });
    });
}

#[test]
fn a_runtime_that_is_dropped_gives_its_stacks_and_descriptors_back() {
    support::watched(|| {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let mappings = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().count()
        };
        let round = || {
            let rt = support::runtime(2);
            rt.run(|| {
                let parked: Vec<_> = (0..100).map(|_| spawn(|| sleep(Duration::MAX))).collect();
                yield_now();
                drop(parked);
            });
            drop(rt.shutdown(Duration::ZERO));
        };
        // The first rounds make what the process keeps.
        round();
        round();
        let (files, maps) = (open(), mappings());
        for _ in 0..iters(30, 10, 3) {
            round();
        }
        // Another test of this process may be going on: its few are not what a leak looks like.
        assert!(open() <= files + 24, "{files} {}", open());
        assert!(mappings() <= maps + 60, "{maps} {}", mappings());
    });
}

//! `join`: two halves, on one worker or two.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Count, OnDrop, with_runtime, with_runtimes};
use weftwork_sched::{join, park, spawn, yield_now};
use weftwork_testkit::DropCounter;

#[test]
fn both_halves_run_and_may_borrow() {
    with_runtimes(|rt| {
        rt.run(|| {
            let (mut a, mut b) = (1, 2);
            let sum = join(
                || {
                    a += 10;
                    a
                },
                || {
                    b += 20;
                    b
                },
            );
            assert_eq!((sum, a, b), ((11, 22), 11, 22));
        });
    });
}

#[test]
fn it_recurses_like_a_function() {
    fn fib(n: u32) -> u64 {
        if n < 2 {
            return u64::from(n);
        }
        let (a, b) = join(|| fib(n - 1), || fib(n - 2));
        a + b
    }
    with_runtimes(|rt| assert_eq!(rt.run(|| fib(20)), 6765));
}

#[test]
fn outside_of_a_runtime_the_halves_run_one_after_the_other() {
    support::watched(|| {
        let first_done = AtomicBool::new(false);
        let (a, b) = join(
            || {
                first_done.store(true, Ordering::Relaxed);
                1
            },
            || first_done.load(Ordering::Relaxed),
        );
        assert_eq!((a, b), (1, true));
    });
}

#[test]
fn a_half_that_waits_for_the_other_is_served() {
    with_runtimes(|rt| {
        rt.run(|| {
            let count = Count::new();
            // The second half must be run, by this worker or another, while the first waits.
            join(|| count.wait_for(1), || count.add());
            // And the other way about.
            let count = Count::new();
            join(
                || {
                    yield_now();
                    count.add();
                },
                || count.wait_for(1),
            );
        });
    });
}

#[test]
fn a_panic_of_the_first_half_comes_out_after_the_second_has_ended_or_was_dropped() {
    with_runtimes(|rt| {
        rt.run(|| {
            for wait in [false, true] {
                let drops = DropCounter::new();
                let running = AtomicUsize::new(0);
                let started = Count::new();
                let token = drops.track(());
                let payload = catch_unwind(AssertUnwindSafe(|| {
                    join(
                        || {
                            if wait {
                                started.wait_for(1);
                            }
                            panic!("first")
                        },
                        || {
                            let _token = token;
                            running.fetch_add(1, Ordering::SeqCst);
                            started.add();
                            yield_now();
                            running.fetch_sub(1, Ordering::SeqCst);
                        },
                    )
                }))
                .unwrap_err();
                assert_eq!(payload.downcast_ref::<&str>(), Some(&"first"));
                assert_eq!(running.load(Ordering::SeqCst), 0);
                drops.assert_none_live();
            }
        });
    });
}

#[test]
fn a_panic_of_the_second_half_comes_out_whoever_ran_it() {
    with_runtimes(|rt| {
        rt.run(|| {
            for wait in [false, true] {
                let drops = DropCounter::new();
                let started = Count::new();
                let payload = catch_unwind(AssertUnwindSafe(|| {
                    join(
                        || {
                            if wait {
                                started.wait_for(1);
                            }
                            drops.track(1)
                        },
                        || {
                            started.add();
                            panic!("second")
                        },
                    )
                }))
                .unwrap_err();
                assert_eq!(payload.downcast_ref::<&str>(), Some(&"second"));
                drops.assert_none_live();
            }
        });
    });
}

#[test]
fn the_first_panic_wins_when_both_halves_panic() {
    with_runtimes(|rt| {
        rt.run(|| {
            let started = Count::new();
            let payload = catch_unwind(AssertUnwindSafe(|| {
                join(
                    || {
                        started.wait_for(1);
                        panic!("first")
                    },
                    || {
                        started.add();
                        panic!("second")
                    },
                )
            }))
            .unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"first"));
        });
    });
}

#[test]
fn tasks_spawned_in_the_first_half_do_not_confuse_the_second() {
    with_runtimes(|rt| {
        rt.run(|| {
            let done = Arc::new(Count::new());
            let (_, second) = join(
                || {
                    for _ in 0..10 {
                        let done = Arc::clone(&done);
                        drop(spawn(move || done.add()));
                    }
                },
                || 7,
            );
            assert_eq!(second, 7);
            done.wait_for(10);
        });
    });
}

#[test]
fn a_cancellation_reaches_both_halves_wherever_they_wait() {
    with_runtimes(|rt| {
        for _ in 0..weftwork_testkit::iters(50, 10, 3) {
            let (parked, ended) = (Arc::new(Count::new()), Arc::new(Count::new()));
            let (parked_there, ended_there) = (Arc::clone(&parked), Arc::clone(&ended));
            let task = rt.spawn(move || {
                let half = || {
                    let _ended = OnDrop(&ended_there);
                    parked_there.add();
                    loop {
                        park();
                    }
                };
                let _: ((), ()) = join(half, || {
                    let _: ((), ()) = join(half, half);
                });
            });
            parked.wait_for(3);
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
            assert_eq!(ended.get(), 3);
        }
    });
}

#[test]
fn a_stolen_half_runs_on_another_worker_and_comes_back() {
    with_runtime(2, |rt| {
        rt.run(|| {
            let started = AtomicBool::new(false);
            let here = std::thread::current().id();
            // The first half keeps this worker until the other has taken the second.
            let ((), there) = join(
                || {
                    while !started.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                },
                || {
                    started.store(true, Ordering::SeqCst);
                    yield_now();
                    std::thread::current().id()
                },
            );
            assert_ne!(here, there);
            assert_eq!(here, std::thread::current().id());
        });
    });
}

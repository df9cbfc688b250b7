//! The runtime without threads: it runs when it is told to.

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{AMPLE, Count, OnDrop, watched};
use weftwork_sched::{
    LocalRuntime, Runtime, blocking, join, park, sleep, sleep_async, spawn, spawn_async,
    spawn_local, spawn_local_async, yield_now,
};
use weftwork_testkit::DropCounter;

fn local() -> LocalRuntime {
    Runtime::builder()
        .unwind_limit(Duration::from_millis(400))
        .build_local()
        .unwrap()
}

#[test]
fn it_runs_everything_on_the_calling_thread() {
    watched(|| {
        let rt = local();
        let here = std::thread::current().id();
        let borrowed = Cell::new(1);
        let sum = rt.run(|| {
            assert_eq!(std::thread::current().id(), here);
            borrowed.set(2);
            let (a, b) = join(|| 1, || 2);
            let shared = Rc::new(4);
            let there = Rc::clone(&shared);
            let c = spawn_local(move || {
                assert_eq!(std::thread::current().id(), here);
                yield_now();
                *there
            });
            let d = spawn(|| {
                sleep(Duration::from_millis(1));
                8
            });
            let e = spawn_async(async {
                sleep_async(Duration::from_millis(1)).await;
                16
            });
            a + b + c.join().unwrap() + d.join().unwrap() + e.join().unwrap() + blocking(|| 32)
        });
        assert_eq!((sum, borrowed.get()), (63, 2));
        assert_eq!(rt.block_on(async { Rc::new(5) }), Rc::new(5));
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn tasks_rest_between_two_runs() {
    watched(|| {
        let rt = local();
        let steps = Rc::new(Cell::new(0));
        let there = Rc::clone(&steps);
        let handle = rt.run(|| {
            spawn_local(move || {
                for _ in 0..3 {
                    there.set(there.get() + 1);
                    yield_now();
                }
            })
        });
        let rested = steps.get();
        std::thread::yield_now();
        assert_eq!(steps.get(), rested);
        rt.run(|| handle.join().unwrap());
        assert_eq!(steps.get(), 3);
        let early = rt.spawn(|| 7);
        assert!(!early.is_finished());
        assert_eq!(rt.run(|| early.join().unwrap()), 7);
    });
}

#[test]
fn run_returns_although_other_tasks_are_always_ready() {
    watched(|| {
        let rt = local();
        let spinner = rt.run(|| {
            spawn_local(|| {
                loop {
                    yield_now();
                }
            })
        });
        for n in 0..5 {
            assert_eq!(
                rt.run(|| {
                    yield_now();
                    n
                }),
                n
            );
        }
        rt.run(|| {
            spinner.cancel();
            assert!(spinner.join().unwrap_err().is_cancelled());
        });
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn another_thread_spawns_into_it_while_it_waits() {
    watched(|| {
        let rt = local();
        let handle = rt.handle().clone();
        let here = std::thread::current().id();
        let done = Arc::new(Count::new());
        let there = Arc::clone(&done);
        let foreign = std::thread::spawn(move || {
            for _ in 0..50 {
                let there = Arc::clone(&there);
                let task = handle.spawn(move || {
                    there.add();
                    std::thread::current().id()
                });
                let future = handle.spawn_async(async { std::thread::current().id() });
                assert_eq!(task.join().unwrap(), here);
                assert_eq!(future.join().unwrap(), here);
            }
            there.add();
        });
        rt.run(|| done.wait_for(51));
        foreign.join().unwrap();
    });
}

#[test]
fn a_panic_of_run_is_the_callers_and_the_runtime_goes_on() {
    watched(|| {
        let rt = local();
        let payload = catch_unwind(AssertUnwindSafe(|| {
            rt.run(|| {
                yield_now();
                panic_any("run")
            })
        }))
        .unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"run"));
        assert_eq!(rt.run(|| spawn(|| 5).join().unwrap()), 5);
    });
}

#[test]
fn run_inside_of_a_runtime_is_refused() {
    watched(|| {
        let rt = local();
        let refused = rt.run(|| catch_unwind(AssertUnwindSafe(|| rt.run(|| ()))).unwrap_err());
        let text = refused.downcast_ref::<&str>().unwrap();
        assert!(text.contains("inside of a runtime"), "{text}");
        // Of another runtime too.
        let threads = support::runtime(1);
        let refused = threads.run(|| {
            let rt = local();
            let refused = catch_unwind(AssertUnwindSafe(|| rt.run(|| ())));
            refused.is_err()
        });
        assert!(refused);
    });
}

#[test]
fn a_shutdown_finishes_or_cancels_what_rests() {
    watched(|| {
        let rt = local();
        let ended = Rc::new(Cell::new(false));
        let there = Rc::clone(&ended);
        rt.run(|| {
            drop(spawn_local(move || {
                sleep(Duration::from_millis(2));
                there.set(true);
            }));
        });
        let report = rt.shutdown(AMPLE);
        assert!(report.is_clean(), "{report}");
        assert!(ended.get());

        let rt = local();
        let drops = DropCounter::new();
        rt.run(|| {
            for n in 0..8 {
                let held = Rc::new(drops.track(()));
                match n % 4 {
                    0 => drop(spawn_local(move || {
                        let _held = held;
                        loop {
                            park();
                        }
                    })),
                    1 => drop(spawn_local_async(async move {
                        let _held = held;
                        std::future::pending::<()>().await;
                    })),
                    2 => drop(spawn_local(move || {
                        let _held = held;
                        spawn(|| sleep(Duration::MAX)).join().unwrap();
                    })),
                    _ => drop(spawn_local(move || drop(held))),
                }
            }
            yield_now();
        });
        let report = rt.shutdown(Duration::ZERO);
        assert_eq!(
            (report.abandoned(), report.stuck_threads()),
            (0, 0),
            "{report}"
        );
        assert!(!report.is_clean());
        drops.assert_none_live();
    });
}

#[test]
fn dropping_it_unwinds_parked_tasks() {
    watched(|| {
        let ended = Arc::new(Count::new());
        let rt = local();
        let there = Arc::clone(&ended);
        let task = rt.run(|| {
            let task = spawn(move || {
                let _ended = OnDrop(&there);
                loop {
                    park();
                }
            });
            yield_now();
            task
        });
        let handle = rt.handle().clone();
        drop(rt);
        assert!(task.join().unwrap_err().is_cancelled());
        assert!(handle.spawn(|| ()).join().unwrap_err().is_cancelled());
        assert!(ended.get() <= 1);
    });
}

#[test]
fn timers_that_came_due_at_rest_fire_in_the_next_run() {
    watched(|| {
        let rt = local();
        let start = Instant::now();
        let sleeper = rt.run(|| {
            let sleeper = spawn(|| sleep(Duration::from_millis(2)));
            yield_now();
            sleeper
        });
        while start.elapsed() < Duration::from_millis(3) {
            std::thread::yield_now();
        }
        rt.run(|| sleeper.join().unwrap());
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

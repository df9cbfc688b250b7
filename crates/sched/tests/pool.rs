//! The blocking pool: work that keeps its thread, and the threads it may have.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use support::{AMPLE, Count, watched, with_runtime, with_runtimes};
use weftwork_sched::{Runtime, block_on, blocking, join, spawn, spawn_async, yield_now};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn the_worker_goes_on_while_the_closure_keeps_its_thread() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let barrier = Barrier::new(2);
            let here = std::thread::current().id();
            weftwork_sched::scope(|s| {
                let kept = s.spawn(|| {
                    blocking(|| {
                        barrier.wait();
                        std::thread::current().id()
                    })
                });
                let other = s.spawn(|| {
                    blocking(|| barrier.wait());
                });
                assert_ne!(kept.join().unwrap(), here);
                other.join().unwrap();
            });
            assert_eq!(std::thread::current().id(), here);
        });
    });
}

#[test]
fn the_closure_borrows_and_its_output_comes_back() {
    with_runtimes(|rt| {
        rt.run(|| {
            let mut list = vec![1, 2];
            let last = blocking(|| {
                list.push(3);
                list.last().copied()
            });
            assert_eq!((last, list.len()), (Some(3), 3));
        });
        let n = rt.spawn_async(async { blocking(|| 5) });
        assert_eq!(n.join().unwrap(), 5);
        rt.run(|| {
            assert_eq!(join(|| blocking(|| 1), || blocking(|| 2)), (1, 2));
        });
    });
}

#[test]
fn on_a_thread_of_its_own_it_is_a_call() {
    watched(|| {
        let here = std::thread::current().id();
        assert_eq!(blocking(|| std::thread::current().id()), here);
        let rt = support::runtime(1);
        let _entered = rt.enter();
        assert_eq!(blocking(|| std::thread::current().id()), here);
        // And in the pool itself.
        let nested = rt.run(|| {
            blocking(|| {
                let outer = std::thread::current().id();
                blocking(|| std::thread::current().id()) == outer
            })
        });
        assert!(nested);
    });
}

#[test]
fn a_panic_of_the_closure_is_the_callers_and_the_thread_serves_on() {
    with_runtimes(|rt| {
        rt.run(|| {
            for _ in 0..3 {
                let caught = catch_unwind(AssertUnwindSafe(|| blocking(|| panic_any("inside"))));
                assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"inside"));
                assert_eq!(blocking(|| 5), 5);
            }
        });
        let error = rt.handle().spawn_blocking(|| panic_any("alone")).join();
        assert!(error.unwrap_err().is_panic());
    });
}

#[test]
fn no_more_threads_than_allowed_and_nothing_is_lost() {
    watched(|| {
        let rt = Runtime::builder()
            .workers(2)
            .max_blocking_threads(3)
            .build()
            .unwrap();
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..iters(300, 100, 20))
            .map(|n| {
                let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
                rt.spawn(move || {
                    blocking(|| {
                        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        n
                    })
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

fn pool_threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .filter(|comm| comm.trim_end() == format!("{name}-blocking"))
        .count()
}

#[test]
fn idle_threads_go_after_their_time_and_come_back_when_needed() {
    watched(|| {
        let name = "pool";
        let rt = Runtime::builder()
            .workers(1)
            .name(name)
            .blocking_keep_alive(Duration::from_millis(1))
            .build()
            .unwrap();
        for _ in 0..3 {
            rt.run(|| {
                let barrier = Barrier::new(4);
                weftwork_sched::scope(|s| {
                    for _ in 0..4 {
                        s.spawn(|| blocking(|| barrier.wait()));
                    }
                });
            });
            while pool_threads(name) > 0 {
                std::thread::yield_now();
            }
        }
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn threads_without_time_to_idle_lose_nothing() {
    watched(|| {
        let rt = Runtime::builder()
            .workers(2)
            .max_blocking_threads(2)
            .blocking_keep_alive(Duration::ZERO)
            .build()
            .unwrap();
        rt.run(|| {
            for n in 0..iters(2_000, 500, 50) {
                assert_eq!(blocking(|| n), n);
                if n % 3 == 0 {
                    let other = spawn(move || blocking(|| n));
                    assert_eq!(other.join().unwrap(), n);
                }
            }
        });
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn a_shutdown_runs_what_the_pool_has_queued() {
    watched(|| {
        let rt = Runtime::builder()
            .workers(1)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let drops = DropCounter::new();
        let (go, done) = (Arc::new(Count::new()), Arc::new(Count::new()));
        let handles: Vec<_> = (0..5)
            .map(|_| {
                let (go, done, held) = (Arc::clone(&go), Arc::clone(&done), drops.track(()));
                rt.handle().spawn_blocking(move || {
                    go.wait_for(1);
                    done.add();
                    drop(held);
                })
            })
            .collect();
        let handle = rt.handle().clone();
        let report = rt.shutdown(AMPLE);
        assert!(report.is_clean(), "{report}");
        assert!(
            handle
                .spawn_blocking(|| ())
                .join()
                .unwrap_err()
                .is_cancelled()
        );
        go.add();
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        assert_eq!(done.get(), 5);
        drops.assert_none_live();
    });
}

#[test]
fn a_shutdown_waits_for_a_task_inside_blocking() {
    watched(|| {
        let rt = support::runtime(1);
        let (started, go) = (Arc::new(Count::new()), Arc::new(Count::new()));
        let (started_there, go_there) = (Arc::clone(&started), Arc::clone(&go));
        let task = rt.spawn(move || {
            let text = String::from("borrowed");
            blocking(|| {
                started_there.add();
                go_there.wait_for(1);
                text.len()
            })
        });
        started.wait_for(1);
        let closer = std::thread::spawn(move || rt.shutdown(Duration::ZERO));
        go.add();
        let report = closer.join().unwrap();
        assert_eq!(
            (report.abandoned(), report.stuck_threads()),
            (0, 0),
            "{report}"
        );
        // It was cancelled, but meets that only at its next wait, and has none.
        assert_eq!(task.join().unwrap(), 8);
    });
}

#[test]
fn what_a_blocking_closure_waits_for_may_be_a_task() {
    with_runtime(1, |rt| {
        let handle = rt.handle().clone();
        let n = rt.run(move || {
            blocking(|| {
                let green = handle.spawn(|| {
                    yield_now();
                    1
                });
                let future = handle.spawn_async(async { spawn_async(async { 2 }).await.unwrap() });
                green.join().unwrap() + block_on(future).unwrap()
            })
        });
        assert_eq!(n, 3);
    });
}

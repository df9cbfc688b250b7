//! Spawning, joining and waiting.

use std::time::Duration;
use weftwork_sched::{Runtime, current, park, sleep, spawn, spawn_async, yield_now};
use weftwork_testkit::watchdog;

fn with_runtime(workers: usize, test: impl Fn(&Runtime)) {
    let watchdog = watchdog(Duration::from_secs(60));
    let rt = Runtime::builder().workers(workers).build().unwrap();
    let handle = rt.handle().clone();
    watchdog.on_hang("runtime", move |out| {
        use std::fmt::Write;
        let _ = write!(out, "{handle:#?}\n{:#?}", handle.stats());
    });
    test(&rt);
    assert!(rt.shutdown(Duration::from_secs(10)).is_clean());
    drop(watchdog);
}

#[test]
fn a_green_thread_returns_its_output_to_the_joiner() {
    for workers in [1, 2, 4] {
        with_runtime(workers, |rt| {
            assert_eq!(rt.run(|| spawn(|| 6 * 7).join().unwrap()), 42);
        });
    }
}

#[test]
fn two_green_threads_take_turns() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let a = spawn(|| (0..1000).for_each(|_| yield_now()));
            let b = spawn(|| (0..1000).for_each(|_| yield_now()));
            a.join().unwrap();
            b.join().unwrap();
        });
    });
}

#[test]
fn park_and_unpark_hand_a_turn_over() {
    for workers in [1, 2] {
        with_runtime(workers, |rt| {
            rt.run(|| {
                let me = current();
                let other = spawn(move || {
                    for _ in 0..1000 {
                        me.unpark();
                        park();
                    }
                });
                let mut turns = 0;
                while !other.is_finished() {
                    weftwork_sched::park_timeout(Duration::from_millis(1));
                    turns += 1;
                    // The handle of the other is only known to itself: it is woken by its own turn.
                    other.task_ref().cancel();
                }
                assert!(turns > 0);
            });
        });
    }
}

#[test]
fn futures_and_green_threads_join_each_other() {
    with_runtime(2, |rt| {
        let n = rt.run(|| {
            let inner = spawn_async(async {
                let deep = spawn(|| {
                    sleep(Duration::from_millis(2));
                    20
                });
                deep.await.unwrap() + 1
            });
            inner.join().unwrap() * 2
        });
        assert_eq!(n, 42);
    });
}

#[test]
fn many_parked_green_threads_all_wake() {
    with_runtime(2, |rt| {
        rt.run(|| {
            let (tx, rx) = std::sync::mpsc::channel();
            let handles: Vec<_> = (0..2000)
                .map(|_| {
                    let tx = tx.clone();
                    spawn(move || {
                        tx.send(current()).unwrap();
                        park();
                    })
                })
                .collect();
            for _ in 0..2000 {
                let thread = loop {
                    match rx.try_recv() {
                        Ok(thread) => break thread,
                        Err(_) => yield_now(),
                    }
                };
                thread.unpark();
            }
            handles
                .into_iter()
                .for_each(|handle| handle.join().unwrap());
        });
    });
}

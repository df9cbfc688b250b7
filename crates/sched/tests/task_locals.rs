//! Task-local values: whose they are, when they are made, when they go.

mod support;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;
use support::{Count, with_runtime, with_runtimes};
use weftwork_sched::{
    join, sleep_async, spawn, spawn_async, spawn_local, task_local, timeout, yield_now,
};
use weftwork_testkit::DropCounter;

struct Announces(Option<Arc<Count>>);

impl Drop for Announces {
    fn drop(&mut self) {
        if let Some(count) = self.0.take() {
            count.add();
        }
    }
}

task_local! {
    static NUMBER: Cell<u32> = Cell::new(1);
    static HELD: RefCell<Announces> = RefCell::new(Announces(None));
    static OUTER: u32 = INNER.get() + 1;
    static INNER: u32 = 41;
}

task_local! {
    static RECURSIVE: Cell<u32> = {
        let depth = DEPTH.with(|depth| depth.replace(depth.get() + 1));
        if depth == 0 {
            RECURSIVE.with(|value| value.set(9));
        }
        Cell::new(depth)
    };
    static DEPTH: Cell<u32> = Cell::new(0);
}

fn number() -> u32 {
    NUMBER.with(Cell::get)
}

#[test]
fn every_task_has_its_own() {
    with_runtimes(|rt| {
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                rt.spawn(move || {
                    assert_eq!(number(), 1);
                    NUMBER.with(|number| number.set(n));
                    yield_now();
                    let child = spawn(number).join().unwrap();
                    let future = spawn_async(async { number() }).join().unwrap();
                    let local = spawn_local(number).join().unwrap();
                    let limited = timeout(support::AMPLE, number).unwrap();
                    assert_eq!([child, future, local, limited], [1; 4]);
                    assert_eq!(number(), n);
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    NUMBER.with(|number| number.set(7));
    assert_eq!(number(), 7);
    assert_eq!(std::thread::spawn(number).join().unwrap(), 1);
}

#[test]
fn they_are_dropped_when_the_task_ends_however_it_does() {
    with_runtimes(|rt| {
        let dropped = Arc::new(Count::new());
        let hold = |count: &Arc<Count>| {
            let count = Arc::clone(count);
            HELD.with(|held| held.borrow_mut().0 = Some(count));
        };
        let there = Arc::clone(&dropped);
        rt.spawn(move || hold(&there)).join().unwrap();
        assert_eq!(dropped.get(), 1);
        let there = Arc::clone(&dropped);
        let panics = rt.spawn(move || {
            hold(&there);
            std::panic::panic_any("on purpose");
        });
        panics.join().unwrap_err();
        assert_eq!(dropped.get(), 2);
        let (there, started) = (Arc::clone(&dropped), Arc::new(Count::new()));
        let started_there = Arc::clone(&started);
        let cancelled = rt.spawn_async(async move {
            hold(&there);
            started_there.add();
            std::future::pending::<()>().await;
        });
        started.wait_for(1);
        cancelled.cancel();
        cancelled.join().unwrap_err();
        assert_eq!(dropped.get(), 3);
    });
}

#[test]
fn an_initializer_may_use_other_keys_and_its_own() {
    with_runtimes(|rt| {
        rt.run(|| {
            assert_eq!(OUTER.get(), 42);
            // The value that the initializer itself made stays.
            RECURSIVE.with(|value| assert_eq!(value.get(), 9));
            RECURSIVE.with(|value| value.set(10));
            RECURSIVE.with(|value| assert_eq!(value.get(), 10));
        });
    });
}

#[test]
fn a_future_takes_them_from_thread_to_thread() {
    with_runtime(4, |rt| {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                rt.spawn_async(async move {
                    NUMBER.with(|number| number.set(n));
                    for _ in 0..30 {
                        sleep_async(Duration::from_micros(10)).await;
                        NUMBER.with(|number| number.set(number.get() + 1));
                    }
                    number() - n
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.join().unwrap(), 30);
        }
    });
}

#[test]
fn a_joiner_keeps_its_own_over_a_child_on_its_stack() {
    with_runtimes(|rt| {
        rt.run(|| {
            NUMBER.with(|number| {
                number.set(3);
                let child = spawn(|| {
                    NUMBER.with(|number| number.set(4));
                    yield_now();
                    self::number()
                });
                assert_eq!(child.join().unwrap(), 4);
                assert_eq!(number.get(), 3);
            });
            assert_eq!(number(), 3);
        });
    });
}

#[test]
fn the_first_half_of_a_join_sees_the_tasks_own() {
    with_runtimes(|rt| {
        rt.run(|| {
            NUMBER.with(|number| number.set(6));
            let (first, _) = join(number, yield_now);
            assert_eq!((first, number()), (6, 6));
        });
    });
}

#[test]
fn a_value_is_used_across_parks() {
    with_runtimes(|rt| {
        let drops = DropCounter::new();
        for _ in 0..10 {
            let held = drops.track(());
            rt.spawn(move || {
                let _held = held;
                NUMBER.with(|number| {
                    for n in 0..20 {
                        number.set(n);
                        yield_now();
                        // Made meanwhile: the list of values grows under the reference.
                        INNER.get();
                        HELD.with(|held| assert!(held.borrow().0.is_none()));
                        assert_eq!(number.get(), n);
                    }
                });
            })
            .join()
            .unwrap();
        }
        drops.assert_none_live();
    });
}

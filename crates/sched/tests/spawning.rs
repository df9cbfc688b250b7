//! Spawning, joining, detaching; who a task is.

mod support;

use std::sync::Arc;
use std::time::Duration;
use support::{Count, OnDrop, with_runtime, with_runtimes};
use weftwork_core::Spawn;
use weftwork_sched::{
    Handle, TaskBuilder, block_on, current, sleep, spawn, spawn_async, yield_now,
};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn a_green_thread_returns_its_output_to_the_joiner() {
    with_runtimes(|rt| {
        assert_eq!(rt.run(|| spawn(|| 6 * 7).join().unwrap()), 42);
        assert_eq!(rt.spawn(|| "from outside").join().unwrap(), "from outside");
        assert_eq!(rt.handle().spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn run_borrows_from_its_caller_and_gives_the_output_back() {
    with_runtimes(|rt| {
        let mut words = vec!["a", "b"];
        let length = rt.run(|| {
            yield_now();
            words.push("c");
            words.len()
        });
        assert_eq!((length, words.len()), (3, 3));
    });
}

#[test]
fn a_detached_task_goes_on_and_its_output_is_dropped() {
    with_runtimes(|rt| {
        let drops = DropCounter::new();
        let (go, gone) = (Arc::new(Count::new()), Arc::new(Count::new()));
        let output = drops.track(());
        let (go_there, gone_there) = (Arc::clone(&go), Arc::clone(&gone));
        drop(rt.spawn(move || {
            go_there.wait_for(1);
            gone_there.add();
            output
        }));
        go.add();
        gone.wait_for(1);
        // The output goes after the task's last words: wait for the runtime to be empty.
        while rt.stats().live > 0 {
            std::thread::yield_now();
        }
        drops.assert_none_live();
    });
}

#[test]
fn an_output_that_nobody_took_is_dropped_with_the_handle() {
    with_runtimes(|rt| {
        let drops = DropCounter::new();
        let output = drops.track(());
        let handle = rt.spawn(move || output);
        while !handle.is_finished() {
            std::thread::yield_now();
        }
        drops.assert_live(1);
        drop(handle);
        drops.assert_none_live();
    });
}

#[test]
fn joins_nest_deeper_than_a_stack() {
    fn chain(depth: u32) -> u32 {
        if depth == 0 {
            return 0;
        }
        spawn(move || chain(depth - 1)).join().unwrap() + 1
    }
    let depth = u32::try_from(iters(20_000, 5_000, 500)).unwrap();
    with_runtimes(|rt| {
        assert_eq!(rt.run(move || chain(depth)), depth);
    });
}

#[test]
fn a_task_is_joined_from_an_os_thread_a_task_and_a_future() {
    with_runtimes(|rt| {
        let go = Arc::new(Count::new());
        let late = |n: u32| {
            let go = Arc::clone(&go);
            rt.spawn(move || {
                go.wait_for(1);
                n
            })
        };
        let (for_thread, for_task, for_future) = (late(1), late(2), late(3));
        let task = rt.spawn(move || for_task.join().unwrap());
        let future = rt.spawn_async(async move { for_future.await.unwrap() });
        let foreign = std::thread::spawn(move || for_thread.join().unwrap());
        go.add();
        assert_eq!(foreign.join().unwrap(), 1);
        assert_eq!(task.join().unwrap(), 2);
        assert_eq!(future.join().unwrap(), 3);
    });
}

#[test]
fn try_join_gives_the_handle_back_while_the_task_goes_on() {
    with_runtimes(|rt| {
        let go = Arc::new(Count::new());
        let go_there = Arc::clone(&go);
        let mut handle = rt.spawn(move || {
            go_there.wait_for(1);
            5
        });
        handle = handle.try_join().unwrap_err().into_inner();
        handle = handle
            .join_timeout(Duration::from_millis(1))
            .unwrap_err()
            .into_inner();
        go.add();
        assert_eq!(handle.join_timeout(support::AMPLE).unwrap().unwrap(), 5);
    });
}

#[test]
fn join_timeout_gives_the_handle_back_to_a_green_thread_too() {
    with_runtimes(|rt| {
        rt.run(|| {
            let go = Arc::new(Count::new());
            let go_there = Arc::clone(&go);
            let handle = spawn(move || go_there.wait_for(1));
            let handle = handle
                .join_timeout(Duration::from_millis(1))
                .unwrap_err()
                .into_inner();
            go.add();
            handle.join().unwrap();
        });
    });
}

#[test]
fn futures_and_green_threads_join_each_other() {
    with_runtimes(|rt| {
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
fn names_and_numbers_are_those_of_the_spawner_and_the_handle() {
    with_runtimes(|rt| {
        rt.run(|| {
            let handle = TaskBuilder::named("worker bee").spawn(|| {
                yield_now();
                let me = current();
                (me.id(), me.name().map(String::from))
            });
            let id = handle.id();
            assert_eq!(handle.name(), Some("worker bee"));
            assert_eq!(
                handle.join().unwrap(),
                (Some(id), Some("worker bee".to_string()))
            );
            let line = line!() + 1;
            let unnamed = spawn(|| current().name().is_none());
            assert_eq!(unnamed.spawned_at().line(), line);
            assert_eq!(unnamed.spawned_at().file(), file!());
            assert!(unnamed.join().unwrap());
            let future = TaskBuilder::named("moth").spawn_async(async {
                let name = current().name().map(String::from);
                (current().id(), name)
            });
            let id = future.id();
            assert_eq!(future.join().unwrap(), (Some(id), Some("moth".to_string())));
        });
        assert_eq!(current().id(), None);
        assert_eq!(current().name(), std::thread::current().name());
    });
}

#[test]
fn a_task_with_a_large_stack_recurses_where_others_could_not() {
    fn deep(levels: usize) -> usize {
        let frame = std::hint::black_box([levels; 128]);
        if levels == 0 {
            return 0;
        }
        deep(levels - 1) + 1 + frame[0] - levels
    }
    with_runtime(2, |rt| {
        rt.run(|| {
            let levels = TaskBuilder::new()
                .stack_size(64 << 20)
                .spawn(|| {
                    let levels = deep(4_000);
                    yield_now();
                    deep(4_000) + levels
                })
                .join()
                .unwrap();
            assert_eq!(levels, 8_000);
            let absurd = TaskBuilder::new().stack_size(usize::MAX).spawn(|| ());
            assert!(absurd.join().unwrap_err().is_panic());
        });
    });
}

#[test]
fn spawn_outside_of_a_runtime_says_what_is_missing() {
    support::watched(|| {
        let missing = std::panic::catch_unwind(|| drop(spawn(|| ()))).unwrap_err();
        let text = missing.downcast_ref::<String>().unwrap();
        assert!(text.contains("outside of a runtime"), "{text}");
    });
}

#[test]
fn an_entered_runtime_is_the_one_that_spawn_uses_until_the_guard_goes() {
    with_runtime(1, |outer| {
        let inner = support::runtime(2);
        assert!(Handle::current().is_none());
        {
            let _outer = outer.enter();
            assert_eq!(Handle::current().unwrap().stats().workers, 1);
            {
                let _inner = inner.enter();
                assert_eq!(Handle::current().unwrap().stats().workers, 2);
                assert_eq!(
                    spawn(|| Handle::current().unwrap().stats().workers)
                        .join()
                        .unwrap(),
                    2
                );
            }
            assert_eq!(Handle::current().unwrap().stats().workers, 1);
        }
        assert!(Handle::current().is_none());
        assert!(inner.shutdown(support::AMPLE).is_clean());
    });
}

#[test]
fn the_handle_serves_as_an_executor_for_other_crates() {
    with_runtimes(|rt| {
        let handle = rt.handle().clone();
        assert_eq!(handle.spawn_fn(|| 3).unwrap().join().unwrap(), 3);
        let count = Arc::new(Count::new());
        let future = {
            let count = Arc::clone(&count);
            handle.spawn_future(async move {
                count.reached(1).await;
                4
            })
        };
        count.add();
        assert_eq!(future.unwrap().join().unwrap(), 4);
    });
}

#[test]
fn a_joined_task_has_dropped_what_it_owned() {
    with_runtimes(|rt| {
        let dropped = Arc::new(Count::new());
        for _ in 0..iters(500, 100, 20) {
            let before = dropped.get();
            let there = Arc::clone(&dropped);
            let work = rt.spawn(move || {
                let _guard = OnDrop(&there);
                yield_now();
            });
            work.join().unwrap();
            assert_eq!(dropped.get(), before + 1);
        }
    });
}

#[test]
fn run_works_from_a_task_of_another_runtime() {
    with_runtime(1, |outer| {
        let inner = support::runtime(1);
        let n = outer.run(|| {
            // The outer worker goes on while this task waits for the inner runtime.
            let go = Arc::new(Count::new());
            let go_there = Arc::clone(&go);
            let other = spawn(move || go_there.add());
            let n = inner.run(|| {
                go.wait_for(1);
                assert_eq!(Handle::current().unwrap().stats().workers, 1);
                block_on(async { 5 })
            });
            other.join().unwrap();
            n
        });
        assert_eq!(n, 5);
        assert!(inner.shutdown(support::AMPLE).is_clean());
    });
}

//! Panics: who sees them, and who must not.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::Arc;
use std::time::Duration;
use support::{Count, OnDrop, with_runtime, with_runtimes};
use weftwork_sched::{
    JoinError, Runtime, TaskBuilder, park, sleep_async, spawn, spawn_async, yield_now,
};
use weftwork_testkit::DropCounter;

struct PanicsWhenDropped(&'static str);

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic_any(self.0);
    }
}

fn text(error: JoinError) -> &'static str {
    let payload = error.into_panic();
    payload.downcast_ref::<&'static str>().expect("the payload")
}

#[test]
fn a_panic_is_the_joiners_and_nobody_elses() {
    with_runtimes(|rt| {
        let go = Arc::new(Count::new());
        let siblings: Vec<_> = (0..8)
            .map(|n| {
                let go = Arc::clone(&go);
                rt.spawn(move || {
                    go.wait_for(1);
                    yield_now();
                    n
                })
            })
            .collect();
        let n = std::hint::black_box(13);
        let line = line!() + 1;
        let guilty = rt.spawn(move || panic!("number {n}"));
        let id = guilty.id();
        let error = guilty.join().unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.id(), id);
        assert_eq!(error.spawned_at().line(), line);
        assert!(
            error.to_string().ends_with("panicked: number 13"),
            "{error}"
        );
        assert_eq!(
            error.into_panic().downcast_ref::<String>().unwrap(),
            "number 13"
        );
        go.add();
        for (n, sibling) in siblings.into_iter().enumerate() {
            assert_eq!(sibling.join().unwrap(), n);
        }
    });
}

#[test]
fn any_payload_comes_through() {
    with_runtimes(|rt| {
        let error = rt.spawn(|| panic_any(17_u64)).join().unwrap_err();
        assert_eq!(error.into_panic().downcast_ref::<u64>(), Some(&17));
        let error = rt.spawn(|| resume_unwind(Box::new("quiet"))).join();
        assert_eq!(text(error.unwrap_err()), "quiet");
    });
}

#[test]
fn run_and_block_on_panic_with_the_payload_of_their_work() {
    with_runtimes(|rt| {
        let payload = catch_unwind(AssertUnwindSafe(|| rt.run(|| panic_any("run")))).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"run"));
        let payload = catch_unwind(AssertUnwindSafe(|| {
            rt.block_on(async {
                yield_now();
                panic_any("block_on")
            })
        }))
        .unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"block_on"));
        // The runtime is as good as before.
        assert_eq!(rt.run(|| spawn(|| 5).join().unwrap()), 5);
    });
}

#[test]
fn a_panic_after_a_park_unwinds_on_the_carrier() {
    with_runtimes(|rt| {
        let ended = Arc::new(Count::new());
        let there = Arc::clone(&ended);
        let task = rt.spawn(move || {
            let _ended = OnDrop(&there);
            for _ in 0..3 {
                let inner = catch_unwind(|| {
                    yield_now();
                    panic_any("inner")
                });
                assert!(inner.is_err());
                weftwork_sched::sleep(Duration::from_micros(50));
            }
            panic_any("outer")
        });
        assert_eq!(text(task.join().unwrap_err()), "outer");
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn a_panic_in_a_poll_drops_the_future_and_is_the_joiners() {
    with_runtimes(|rt| {
        let drops = DropCounter::new();
        for waits in [false, true] {
            let held = drops.track(());
            let task = rt.spawn_async(async move {
                let _held = held;
                if waits {
                    sleep_async(Duration::from_micros(50)).await;
                }
                panic_any("poll")
            });
            assert_eq!(text(task.join().unwrap_err()), "poll");
        }
        drops.assert_none_live();
    });
}

#[test]
fn a_panic_in_a_destructor_of_the_work_is_the_joiners() {
    with_runtimes(|rt| {
        let owned = PanicsWhenDropped("closure's");
        let task = rt.spawn(move || {
            let _owned = &owned;
        });
        assert_eq!(text(task.join().unwrap_err()), "closure's");
        let owned = PanicsWhenDropped("future's");
        let task = rt.spawn_async(async move {
            let _owned = owned;
            yield_now();
        });
        assert_eq!(text(task.join().unwrap_err()), "future's");
    });
}

#[test]
fn a_panic_in_a_cancelled_futures_drop_is_the_joiners() {
    with_runtimes(|rt| {
        let started = Arc::new(Count::new());
        let there = Arc::clone(&started);
        let task = rt.spawn_async(async move {
            let _owned = PanicsWhenDropped("dropped");
            there.add();
            std::future::pending::<()>().await;
        });
        started.wait_for(1);
        task.cancel();
        assert_eq!(text(task.join().unwrap_err()), "dropped");
    });
}

#[test]
fn an_output_nobody_takes_may_panic_when_dropped() {
    with_runtimes(|rt| {
        drop(rt.spawn(|| PanicsWhenDropped("output")));
        drop(rt.spawn_async(async { PanicsWhenDropped("output") }));
        while rt.stats().live > 0 {
            std::thread::yield_now();
        }
        assert_eq!(rt.run(|| spawn(|| 5).join().unwrap()), 5);
    });
}

#[test]
fn a_payload_that_panics_when_dropped_hurts_nobody() {
    with_runtimes(|rt| {
        drop(rt.spawn(|| panic_any(PanicsWhenDropped("payload"))));
        while rt.stats().live > 0 {
            std::thread::yield_now();
        }
        assert_eq!(rt.run(|| spawn(|| 5).join().unwrap()), 5);
    });
}

#[test]
fn a_detached_panic_leaves_the_runtime_as_it_was() {
    with_runtimes(|rt| {
        for _ in 0..20 {
            drop(rt.spawn(|| panic_any("nobody looks")));
            drop(rt.spawn_async(async { panic_any("nobody looks") }));
        }
        assert_eq!(rt.run(|| spawn(|| 5).join().unwrap()), 5);
    });
}

#[test]
fn a_task_may_panic_while_another_is_parked_in_its_unwinding() {
    struct Waits(Arc<Count>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.add();
            self.0.wait_for(2);
        }
    }
    with_runtime(1, |rt| {
        let count = Arc::new(Count::new());
        let there = Arc::clone(&count);
        let unwinding = rt.spawn(move || {
            let _waits = Waits(there);
            panic_any("first")
        });
        count.wait_for(1);
        // On the same thread, which counts as panicking.
        let other = rt.spawn(|| {
            let caught = catch_unwind(|| panic_any("caught"));
            assert!(caught.is_err());
            panic_any("second")
        });
        assert_eq!(text(other.join().unwrap_err()), "second");
        count.add();
        assert_eq!(text(unwinding.join().unwrap_err()), "first");
    });
}

#[test]
fn a_waker_that_panics_hurts_only_itself() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic_any("waker");
        }
    }
    with_runtimes(|rt| {
        let waker = std::task::Waker::from(Arc::new(Panics));
        let mut context = std::task::Context::from_waker(&waker);
        // Two timers of the runtime that call it, and one that must not suffer.
        let _entered = rt.enter();
        let mut sleeps = [
            Box::pin(sleep_async(Duration::from_millis(2))),
            Box::pin(sleep_async(Duration::from_millis(2))),
        ];
        for sleep in &mut sleeps {
            assert!(sleep.as_mut().poll(&mut context).is_pending());
        }
        rt.run(|| weftwork_sched::sleep(Duration::from_millis(4)));
        // A task whose joiner's waker panics.
        let go = Arc::new(Count::new());
        let there = Arc::clone(&go);
        let mut task = rt.spawn(move || there.wait_for(1));
        assert!(
            std::pin::Pin::new(&mut task)
                .poll(&mut context)
                .is_pending()
        );
        go.add();
        while !task.is_finished() {
            std::thread::yield_now();
        }
        assert_eq!(rt.run(|| spawn(|| 5).join().unwrap()), 5);
    });
}

#[test]
fn hooks_that_panic_leave_the_runtime_whole() {
    support::watched(|| {
        let rt = Runtime::builder()
            .workers(2)
            .on_thread_start(|_| panic_any("start"))
            .on_thread_stop(|_| panic_any("stop"))
            .build()
            .unwrap();
        assert_eq!(rt.run(|| spawn(|| 5).join().unwrap()), 5);
        let report = rt.shutdown(support::AMPLE);
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn a_stuck_hook_that_panics_leaves_the_monitor_alive() {
    support::watched(|| {
        let reports = Arc::new(Count::new());
        let there = Arc::clone(&reports);
        let rt = Runtime::builder()
            .workers(1)
            .stuck_after(Duration::from_millis(1))
            .on_stuck(move |_| {
                there.add();
                panic_any("on_stuck");
            })
            .build()
            .unwrap();
        for round in 1..=2 {
            let there = Arc::clone(&reports);
            rt.run(move || {
                while there.get() < round {
                    std::hint::spin_loop();
                }
            });
        }
        let report = rt.shutdown(support::AMPLE);
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn a_named_task_panics_like_any_other() {
    with_runtimes(|rt| {
        rt.run(|| {
            let task = TaskBuilder::named("guilty").spawn(|| panic_any("named"));
            assert_eq!(text(task.join().unwrap_err()), "named");
            let task = TaskBuilder::named("guilty").spawn_async(async { panic_any("named") });
            assert_eq!(text(task.join().unwrap_err()), "named");
            let parked = spawn(|| {
                loop {
                    park();
                }
            });
            parked.cancel();
            assert!(parked.join().unwrap_err().is_cancelled());
            assert_eq!(spawn_async(async { 5 }).join().unwrap(), 5);
        });
    });
}

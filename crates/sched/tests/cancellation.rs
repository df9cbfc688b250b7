//! Cancelling: where a task may wait, what it sees, and what of it still runs.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::{Count, OnDrop, with_runtimes};
use weftwork_core::wait::cancel::is_cancel_unwind;
use weftwork_sched::{
    Cancelled, Runtime, block_on, blocking, checkpoint, is_cancelled, park, sleep, spawn,
    spawn_async, spawn_local, try_checkpoint, try_yield_now, yield_now,
};
use weftwork_testkit::{DropCounter, iters};

/// Runs `wait` as a task, cancels it there, and sees it unwind on its own thread.
fn unwinds_from(rt: &Runtime, wait: impl Fn() + Send + 'static) {
    struct SaysWhere(mpsc::Sender<std::thread::ThreadId>);
    impl Drop for SaysWhere {
        fn drop(&mut self) {
            self.0.send(std::thread::current().id()).unwrap();
        }
    }
    let (tell, told) = mpsc::channel();
    let started = Arc::new(Count::new());
    let there = Arc::clone(&started);
    let task = rt.spawn(move || {
        let _where = SaysWhere(tell.clone());
        tell.send(std::thread::current().id()).unwrap();
        there.add();
        wait();
        unreachable!("the wait ended without its event");
    });
    started.wait_for(1);
    task.cancel();
    let error = task.join().unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    let (began, ended) = (told.recv().unwrap(), told.recv().unwrap());
    assert_eq!(began, ended, "a destructor ran on another thread");
}

#[test]
fn every_kind_of_wait_is_left() {
    with_runtimes(|rt| {
        unwinds_from(rt, || {
            loop {
                park();
            }
        });
        unwinds_from(rt, || sleep(Duration::MAX));
        unwinds_from(rt, || block_on(std::future::pending()));
        unwinds_from(rt, || {
            loop {
                yield_now();
            }
        });
        unwinds_from(rt, || {
            loop {
                checkpoint();
            }
        });
        let never = rt.spawn(|| sleep(Duration::MAX));
        let end = never.task_ref();
        let never = weftwork_core::sync::Mutex::new(Some(never));
        unwinds_from(rt, move || {
            let never = never.lock().take().unwrap();
            never.join().unwrap();
        });
        end.cancel();
        unwinds_from(rt, || {
            weftwork_sched::scope(|s| {
                s.spawn(|| sleep(Duration::MAX));
            });
        });
        unwinds_from(rt, || {
            weftwork_sched::join(|| sleep(Duration::MAX), || sleep(Duration::MAX));
        });
    });
}

#[test]
fn a_task_that_was_not_started_never_is() {
    with_runtimes(|rt| {
        rt.run(|| {
            let drops = DropCounter::new();
            let mut started = 0;
            for _ in 0..iters(200, 50, 10) {
                let held = drops.track(());
                let (tell, told) = mpsc::channel();
                let task = spawn(move || {
                    let _held = held;
                    tell.send(()).unwrap();
                    park();
                });
                task.cancel();
                assert!(task.join().unwrap_err().is_cancelled());
                started += usize::from(told.try_recv().is_ok());
            }
            drops.assert_none_live();
            if weftwork_sched::Handle::current().unwrap().stats().workers == 1 {
                assert_eq!(started, 0);
            }
        });
    });
}

#[test]
fn a_cancellation_that_is_caught_is_met_again_at_every_wait() {
    with_runtimes(|rt| {
        let started = Arc::new(Count::new());
        let there = Arc::clone(&started);
        let task = rt.spawn(move || {
            there.add();
            let mut caught = 0;
            for _ in 0..5 {
                let payload = catch_unwind(|| {
                    loop {
                        park();
                    }
                })
                .unwrap_err();
                assert!(is_cancel_unwind(&*payload));
                caught += 1;
            }
            assert!(is_cancelled());
            caught
        });
        started.wait_for(1);
        task.cancel();
        // It caught them all and returned: that is its output.
        assert_eq!(task.join().unwrap(), 5);
    });
}

#[test]
fn the_try_forms_tell_instead_of_unwinding() {
    with_runtimes(|rt| {
        let started = Arc::new(Count::new());
        let there = Arc::clone(&started);
        let task = rt.spawn(move || {
            assert_eq!(try_yield_now(), Ok(()));
            assert_eq!(try_checkpoint(), Ok(()));
            assert!(!is_cancelled());
            there.add();
            while try_yield_now().is_ok() {}
            assert_eq!(try_checkpoint(), Err(Cancelled));
            assert_eq!(try_yield_now(), Err(Cancelled));
            assert!(is_cancelled());
            "left in order"
        });
        started.wait_for(1);
        task.cancel();
        assert_eq!(task.join().unwrap(), "left in order");
    });
}

#[test]
fn a_wait_in_a_destructor_completes_while_the_task_unwinds() {
    struct Tidy(Arc<Count>);
    impl Drop for Tidy {
        fn drop(&mut self) {
            let start = Instant::now();
            sleep(Duration::from_millis(1));
            assert!(start.elapsed() >= Duration::from_millis(1));
            assert_eq!(spawn(|| 5).join().unwrap(), 5);
            yield_now();
            self.0.add();
        }
    }
    with_runtimes(|rt| {
        let (started, tidied) = (Arc::new(Count::new()), Arc::new(Count::new()));
        for panic in [false, true] {
            let (started_there, tidied_there) = (Arc::clone(&started), Arc::clone(&tidied));
            let before = started.get();
            let task = rt.spawn(move || {
                let _tidy = Tidy(tidied_there);
                started_there.add();
                if panic {
                    panic!("on purpose");
                }
                loop {
                    park();
                }
            });
            started.wait_for(before + 1);
            task.cancel();
            let error = task.join().unwrap_err();
            // The panic may have been before the cancellation or not have been at all.
            assert!(error.is_cancelled() != error.is_panic());
        }
        assert_eq!(tidied.get(), 2);
    });
}

#[test]
fn a_destructor_at_the_end_of_the_closure_waits_undisturbed() {
    struct Last(Arc<Count>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.add();
            self.0.wait_for(3);
        }
    }
    with_runtimes(|rt| {
        let count = Arc::new(Count::new());
        let task = rt.spawn_async({
            let last = Last(Arc::clone(&count));
            async move {
                let _last = last;
                std::future::pending::<()>().await;
            }
        });
        while rt.stats().runs == 0 {
            std::thread::yield_now();
        }
        task.cancel();
        count.wait_for(1);
        // Again, while it waits in its destructor.
        task.cancel();
        count.add();
        count.add();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(count.get(), 3);
    });
}

#[test]
fn a_suspended_future_is_dropped_between_polls() {
    with_runtimes(|rt| {
        let (started, ended) = (Arc::new(Count::new()), Arc::new(Count::new()));
        let (started_there, ended_there) = (Arc::clone(&started), Arc::clone(&ended));
        let task = rt.spawn_async(async move {
            let _ended = OnDrop(&ended_there);
            started_there.add();
            std::future::pending::<()>().await;
        });
        started.wait_for(1);
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn a_future_that_waits_inside_its_poll_is_unwound_from_there() {
    with_runtimes(|rt| {
        let (started, ended) = (Arc::new(Count::new()), Arc::new(Count::new()));
        let (started_there, ended_there) = (Arc::clone(&started), Arc::clone(&ended));
        let task = rt.spawn_async(async move {
            let _ended = OnDrop(&ended_there);
            started_there.add();
            sleep(Duration::MAX);
        });
        started.wait_for(1);
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn a_thread_bound_task_is_cancelled_from_another_thread() {
    with_runtimes(|rt| {
        let (tell, told) = mpsc::channel();
        let canceller = std::thread::spawn(move || {
            for task in told {
                weftwork_core::task::TaskRef::cancel(&task);
            }
        });
        rt.run(move || {
            let held = std::rc::Rc::new(());
            let there = held.clone();
            let green = spawn_local(move || {
                let _there = there;
                loop {
                    park();
                }
            });
            let there = held.clone();
            let future = weftwork_sched::spawn_local_async(async move {
                let _there = there;
                std::future::pending::<()>().await;
            });
            tell.send(green.task_ref()).unwrap();
            tell.send(future.task_ref()).unwrap();
            assert!(green.join().unwrap_err().is_cancelled());
            assert!(future.join().unwrap_err().is_cancelled());
            assert_eq!(std::rc::Rc::strong_count(&held), 1);
        });
        canceller.join().unwrap();
    });
}

#[test]
fn a_cancelled_caller_of_blocking_leaves_after_the_closure_has_ended() {
    with_runtimes(|rt| {
        let (started, go, ended) = (
            Arc::new(Count::new()),
            Arc::new(Count::new()),
            Arc::new(Count::new()),
        );
        let (started_there, go_there, ended_there) =
            (Arc::clone(&started), Arc::clone(&go), Arc::clone(&ended));
        let task = rt.spawn(move || {
            blocking(|| {
                started_there.add();
                go_there.wait_for(1);
                ended_there.add();
            });
            park();
        });
        started.wait_for(1);
        task.cancel();
        assert!(!task.is_finished());
        go.add();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn code_that_catches_panics_can_pass_a_cancellation_on() {
    with_runtimes(|rt| {
        let started = Arc::new(Count::new());
        let there = Arc::clone(&started);
        let task = rt.spawn(move || {
            there.add();
            let result = catch_unwind(AssertUnwindSafe(|| sleep(Duration::MAX)));
            match result {
                Err(payload) if is_cancel_unwind(&*payload) => resume_unwind(payload),
                other => panic!("not a cancellation: {other:?}"),
            }
        });
        started.wait_for(1);
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn cancelling_again_or_too_late_changes_nothing() {
    with_runtimes(|rt| {
        let task = rt.spawn(|| 5);
        while !task.is_finished() {
            std::thread::yield_now();
        }
        task.cancel();
        task.cancel();
        assert_eq!(task.join().unwrap(), 5);
    });
}

#[test]
fn a_cancellation_races_with_the_end_and_loses_or_wins() {
    with_runtimes(|rt| {
        let drops = DropCounter::new();
        for n in 0..iters(3_000, 500, 50) {
            let held = drops.track(());
            let work = move || {
                if n % 3 == 0 {
                    yield_now();
                }
                held
            };
            let task = if n % 2 == 0 {
                rt.spawn(work)
            } else {
                rt.spawn_async(async move { work() })
            };
            if n % 5 == 0 {
                std::thread::yield_now();
            }
            task.cancel();
            match task.join() {
                Ok(held) => drop(held),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        drops.assert_none_live();
    });
}

#[test]
fn a_cancelled_joiner_leaves_the_joined_task_alone() {
    with_runtimes(|rt| {
        let (started, go, done) = (
            Arc::new(Count::new()),
            Arc::new(Count::new()),
            Arc::new(Count::new()),
        );
        let (go_there, done_there) = (Arc::clone(&go), Arc::clone(&done));
        let child = rt.spawn({
            let started = Arc::clone(&started);
            move || {
                started.add();
                go_there.wait_for(1);
                done_there.add();
            }
        });
        started.wait_for(1);
        let joiner = rt.spawn({
            let started = Arc::clone(&started);
            move || {
                started.add();
                child.join().unwrap();
            }
        });
        started.wait_for(2);
        joiner.cancel();
        assert!(joiner.join().unwrap_err().is_cancelled());
        go.add();
        done.wait_for(1);
    });
}

#[test]
fn a_task_without_a_wait_runs_to_its_end() {
    with_runtimes(|rt| {
        let (started, go) = (Arc::new(Count::new()), Arc::new(std::sync::Barrier::new(2)));
        let (started_there, go_there) = (Arc::clone(&started), Arc::clone(&go));
        let task = rt.spawn(move || {
            started_there.add();
            go_there.wait();
            "done"
        });
        started.wait_for(1);
        task.cancel();
        go.wait();
        assert_eq!(task.join().unwrap(), "done");
    });
}

#[test]
fn a_future_awaiting_a_task_can_be_cancelled_by_itself() {
    with_runtimes(|rt| {
        rt.run(|| {
            let me = spawn_async(async {
                let inner = spawn_async(std::future::pending::<()>());
                inner.cancel();
                inner.await.unwrap_err().is_cancelled()
            });
            assert!(me.join().unwrap());
        });
    });
}

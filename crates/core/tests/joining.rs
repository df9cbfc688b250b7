//! Join handles: blocking, timed, polled, and in a race with the end of the task.

#![cfg(not(weftwork_loom))]

mod queue;

use queue::{Calls, Queue, poll};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_core::{block_on, task};
use weftwork_testkit::{DropCounter, iters, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn join_on_an_os_thread_waits_for_another() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| 1);
        let joiner = std::thread::spawn(move || handle.join().unwrap());
        task.run();
        assert_eq!(joiner.join().unwrap(), 1);
    });
}

#[test]
fn a_handle_is_a_future() {
    with_watchdog(LIMIT, || {
        let (a, a_handle) = task::closure(|| 1);
        let (b, b_handle) = task::closure(|| 2);
        let runner = std::thread::spawn(move || {
            b.run();
            a.run();
        });
        let sum = block_on(async { a_handle.await.unwrap() + b_handle.await.unwrap() });
        assert_eq!(sum, 3);
        runner.join().unwrap();
    });
}

#[test]
fn a_task_may_await_another_task() {
    with_watchdog(LIMIT, || {
        let queue = Queue::default();
        let (inner, inner_handle) = task::closure(|| 5);
        let (outer, outer_handle) =
            task::future(async { inner_handle.await.unwrap() * 2 }, queue.clone());
        outer.run();
        assert!(!outer_handle.is_finished());
        inner.run();
        assert_eq!(queue.drain(), 1);
        assert_eq!(outer_handle.join().unwrap(), 10);
    });
}

#[test]
fn join_timeout_gives_the_handle_back_and_is_never_early() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| 1);
        let start = Instant::now();
        let timeout = Duration::from_millis(3);
        let refused = handle.join_timeout(timeout).unwrap_err();
        assert!(start.elapsed() >= timeout);
        assert_eq!(refused.to_string(), "task is not finished");
        let handle = refused.into_inner();
        let refused = handle.join_deadline(Instant::now()).unwrap_err();
        let handle = refused.into_inner();
        task.run();
        assert_eq!(handle.join_timeout(Duration::ZERO).unwrap().unwrap(), 1);
    });
}

#[test]
fn join_timeout_without_end_waits_for_the_task() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| 1);
        let runner = std::thread::spawn(move || task.run());
        assert_eq!(handle.join_timeout(Duration::MAX).unwrap().unwrap(), 1);
        runner.join().unwrap();
    });
}

#[test]
fn try_join_never_waits() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| 1);
        let handle = handle.try_join().unwrap_err().into_inner();
        task.run();
        assert_eq!(handle.try_join().unwrap().unwrap(), 1);
    });
}

#[test]
fn only_the_last_of_two_wakers_is_called() {
    with_watchdog(LIMIT, || {
        let (task, mut handle) = task::closure(|| 1);
        let ((first, first_waker), (second, second_waker)) = (Calls::new(), Calls::new());
        assert!(poll(&mut handle, &first_waker).is_pending());
        assert!(poll(&mut handle, &first_waker).is_pending());
        assert!(poll(&mut handle, &second_waker).is_pending());
        drop(first_waker);
        assert_eq!(Arc::strong_count(&first), 1, "the old waker is let go");
        task.run();
        assert_eq!((first.get(), second.get()), (0, 1));
        assert!(matches!(
            poll(&mut handle, &second_waker),
            Poll::Ready(Ok(1))
        ));
    });
}

#[test]
fn a_handle_dropped_while_it_waits_takes_its_waker_along() {
    with_watchdog(LIMIT, || {
        let (task, mut handle) = task::closure(|| 1);
        let (calls, waker) = Calls::new();
        assert!(poll(&mut handle, &waker).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&calls), 2);
        drop(handle);
        assert_eq!(Arc::strong_count(&calls), 1);
        task.run();
        assert_eq!(calls.get(), 0);
    });
}

#[test]
fn a_future_that_dropped_the_handle_it_waited_with_is_unreachable() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let held = drops.track(());
        let (inner, mut inner_handle) = task::closure(|| 1);
        let (outer, outer_handle) = task::future(
            async move {
                let _held = held;
                std::future::poll_fn(|context| {
                    assert!(poll(&mut inner_handle, context.waker()).is_pending());
                    Poll::Ready(())
                })
                .await;
                drop(inner_handle);
                std::future::pending::<()>().await;
            },
            Queue::default(),
        );
        drop(outer_handle);
        outer.run();
        drops.assert_none_live();
        inner.run();
    });
}

#[test]
fn a_handle_polled_after_it_was_ready_panics_and_says_whose_mistake_it_is() {
    with_watchdog(LIMIT, || {
        let (task, mut handle) = task::closure(|| 1);
        task.run();
        assert!(poll(&mut handle, Waker::noop()).is_ready());
        let caught = catch_unwind(AssertUnwindSafe(|| poll(&mut handle, Waker::noop())));
        let message = caught.unwrap_err().downcast::<&str>().unwrap();
        assert!(message.ends_with("the caller's mistake"), "{message}");
    });
}

#[test]
fn a_joiners_waker_that_panics_does_not_leave_the_run() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("in the waker"));
        }
    }
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let output = drops.track(());
        let (task, mut handle) = task::closure(move || output);
        assert!(poll(&mut handle, &Waker::from(Arc::new(Bad))).is_pending());
        task.run();
        drop(handle.join().unwrap());
        drops.assert_none_live();
    });
}

#[test]
fn a_joiners_waker_may_run_the_joiner_at_once() {
    // An executor that runs tasks on the stack of whoever wakes them.
    struct Inline(std::sync::Mutex<Option<task::JoinHandle<u32>>>, AtomicUsize);
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let handle = self.0.lock().unwrap().take().unwrap();
            let output = handle.try_join().unwrap().unwrap();
            self.1.store(output as usize, Ordering::SeqCst);
        }
    }
    with_watchdog(LIMIT, || {
        let (task, mut handle) = task::closure(|| 9);
        let inline = Arc::new(Inline(std::sync::Mutex::new(None), AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&inline));
        assert!(poll(&mut handle, &waker).is_pending());
        *inline.0.lock().unwrap() = Some(handle);
        task.run();
        assert_eq!(inline.1.load(Ordering::SeqCst), 9);
        drop(waker);
        assert_eq!(Arc::strong_count(&inline), 1);
    });
}

/// Runs a task on another thread while `join` ends its handle on this one.
fn race(join: impl Fn(task::JoinHandle<weftwork_testkit::Counted<usize>>, usize)) {
    with_watchdog(LIMIT, || {
        let rounds = iters(30_000, 5_000, 100);
        let drops = DropCounter::new();
        let (send, receive) = std::sync::mpsc::channel::<weftwork_core::Task>();
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for task in receive {
                    barrier.wait();
                    task.run();
                }
            });
            // Moved in, so that a failed round closes the channel and lets the thread end.
            let send = send;
            for n in 0..rounds {
                let output = drops.track(n);
                let (task, handle) = task::closure(move || output);
                send.send(task).unwrap();
                barrier.wait();
                join(handle, n);
            }
        });
        assert_eq!(drops.created(), rounds);
        drops.assert_none_live();
    });
}

#[test]
fn join_races_with_completion() {
    race(|handle, n| assert_eq!(*handle.join().unwrap(), n));
}

#[test]
fn a_polling_joiner_races_with_completion() {
    race(|mut handle, n| {
        let (first, first_waker) = Calls::new();
        let (second, second_waker) = Calls::new();
        for waker in [&first_waker, &second_waker] {
            if let Poll::Ready(output) = poll(&mut handle, waker) {
                assert_eq!(*output.unwrap(), n);
                return;
            }
        }
        while second.get() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(first.get(), 0);
        let Poll::Ready(Ok(output)) = poll(&mut handle, &second_waker) else {
            panic!("woken, but not ready");
        };
        assert_eq!(*output, n);
    });
}

#[test]
fn detachment_races_with_completion() {
    race(|handle, n| {
        if n % 2 == 0 {
            let (_, waker) = Calls::new();
            let mut handle = handle;
            let _ = poll(&mut handle, &waker);
        }
    });
}

#[test]
fn cancellation_races_with_completion() {
    race(|handle, n| {
        let other = handle.task_ref();
        other.cancel();
        match handle.join() {
            Ok(output) => assert_eq!(*output, n),
            Err(e) => assert!(e.is_cancelled()),
        }
        assert!(other.is_finished());
    });
}

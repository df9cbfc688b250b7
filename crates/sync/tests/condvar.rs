//! The condition variable: waits of every kind, timeouts, cancellation, notifications passed on.

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use support::{all_kinds, poll, runtime};
use weftwork_sync::{Condvar, Mutex};
use weftwork_testkit::watchdog;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn parties_of_every_kind_wait_for_each_other() {
    let _dog = watchdog(LIMIT);
    // Each adds one, and waits until all ten have.
    let pair = Arc::new((Mutex::new(0_u64), Condvar::new()));
    let (blocking, asynchronous) = (Arc::clone(&pair), Arc::clone(&pair));
    all_kinds(
        move || {
            let mut n = blocking.0.lock();
            *n += 1;
            blocking.1.notify_all();
            blocking.1.wait_while(&mut n, |n| *n < 10);
        },
        || {
            let pair = Arc::clone(&asynchronous);
            async move {
                // A guard does not go with the task to another thread; a wait that has it does.
                let mut waiting = {
                    let mut n = pair.0.lock_async().await;
                    *n += 1;
                    pair.1.notify_all();
                    (*n < 10).then(|| pair.1.wait_async(n))
                };
                while let Some(wait) = waiting {
                    let n = wait.await;
                    waiting = (*n < 10).then(|| pair.1.wait_async(n));
                }
            }
        },
    );
    assert_eq!(*pair.0.lock(), 10);
}

#[test]
fn notify_one_wakes_the_one_that_waits_longest() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let mut first = pin!(changed.wait_async(mutex.lock()));
    assert!(poll(first.as_mut()).is_pending());
    let mut second = pin!(changed.wait_async(mutex.lock()));
    assert!(poll(second.as_mut()).is_pending());
    assert!(changed.notify_one());
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(first.as_mut()).is_ready());
    assert!(changed.notify_one());
    assert!(!changed.notify_one(), "nobody is left");
}

#[test]
fn a_wait_gives_the_mutex_up_and_has_it_again() {
    let (mutex, changed) = (Mutex::new(1), Condvar::new());
    let mut wait = pin!(changed.wait_async(mutex.lock()));
    assert!(mutex.is_locked(), "until the first poll");
    assert!(poll(wait.as_mut()).is_pending());
    let guard = mutex.try_lock().expect("given up");
    changed.notify_all();
    assert!(poll(wait.as_mut()).is_pending(), "the mutex is held");
    drop(guard);
    let Poll::Ready(guard) = poll(wait.as_mut()) else {
        panic!("the mutex is free");
    };
    assert!(mutex.is_locked());
    drop(guard);
}

#[test]
fn a_notification_of_a_future_dropped_in_any_stage_goes_to_the_next() {
    for polls_once_more in [false, true] {
        let (mutex, changed) = (Mutex::new(()), Condvar::new());
        let mut first = Box::pin(changed.wait_async(mutex.lock()));
        assert!(poll(first.as_mut()).is_pending());
        let mut second = pin!(changed.wait_async(mutex.lock()));
        assert!(poll(second.as_mut()).is_pending());
        let guard = mutex.lock();
        changed.notify_one();
        if polls_once_more {
            // Now it waits for the mutex.
            assert!(poll(first.as_mut()).is_pending());
        }
        drop(first);
        drop(guard);
        assert!(poll(second.as_mut()).is_ready());
    }
}

#[test]
fn a_wait_that_times_out_is_not_early_and_has_the_mutex() {
    let _dog = watchdog(LIMIT);
    let (mutex, changed) = (Mutex::new(1), Condvar::new());
    let mut guard = mutex.lock();
    let start = Instant::now();
    let waited = changed.wait_timeout(&mut guard, Duration::from_millis(20));
    assert!(waited.is_err() && start.elapsed() >= Duration::from_millis(20));
    assert!(mutex.is_locked() && !changed.notify_one());
    let held = changed.wait_timeout_while(&mut guard, Duration::from_millis(1), |n| *n == 1);
    assert!(held.is_err());
    let passed = changed.wait_timeout_while(&mut guard, Duration::MAX, |n| *n == 2);
    assert!(passed.is_ok());
}

#[test]
fn a_cancelled_wait_unwinds_with_the_mutex_locked_and_unlocks_it() {
    struct Checks<'a>(&'a Mutex<u32>);
    impl Drop for Checks<'_> {
        fn drop(&mut self) {
            assert!(!self.0.is_locked(), "the guard was dropped before");
        }
    }
    let _dog = watchdog(LIMIT);
    runtime().run(|| {
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        let waiter = weftwork_sched::spawn({
            let pair = Arc::clone(&pair);
            move || {
                let _checks = Checks(&pair.0);
                let mut guard = pair.0.lock();
                *guard = 1;
                pair.1.wait(&mut guard);
                unreachable!("only a cancellation ends this");
            }
        });
        while *pair.0.lock() == 0 {
            weftwork_sched::yield_now();
        }
        waiter.task_ref().cancel();
        assert!(waiter.join().unwrap_err().is_cancelled());
        assert!(!pair.0.is_locked() && !pair.1.notify_one());
    });
}

#[test]
fn a_mutex_poisoned_during_the_wait_is_reported_after_it() {
    let _dog = watchdog(LIMIT);
    let pair = (Mutex::poisoning(false), Condvar::new());
    let waited = std::thread::scope(|s| {
        let waiter = s.spawn(|| {
            let mut ready = pair.0.lock();
            *ready = true;
            pair.1.wait(&mut ready);
        });
        support::until(|| *pair.0.lock());
        let panicked = s.spawn(|| {
            let _guard = pair.0.lock();
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicked.join().is_err());
        support::until(|| pair.1.notify_one());
        waiter.join()
    });
    assert!(waited.is_err());
}

//! The mutex in every interleaving: exclusion, waking, the hand-over to one that lost, leaving.
#![cfg(weftwork_loom)]

use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::thread;
use weftwork_sync::{Condvar, Mutex, MutexGuard};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A number that loom watches: two at once in it fail the model.
struct Number(UnsafeCell<u32>);

impl Number {
    fn new() -> Self {
        Number(UnsafeCell::new(0))
    }

    fn add_one(&mut self) {
        // SAFETY: the lock under test says so; loom checks it.
        self.0.with_mut(|n| unsafe { *n += 1 });
    }

    fn get(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|n| unsafe { *n })
    }
}

// SAFETY: what takes the automatic impl away is loom's cell, which checks its use.
unsafe impl Send for Number {}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_two_add_and_neither_sleeps_through_the_unlock() {
    weaken!("mutex_announce");
    model("lock against lock", 39, || {
        let mutex = Arc::new(Mutex::new(Number::new()));
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || mutex.lock().add_one()
        });
        mutex.lock().add_one();
        other.join().unwrap();
        assert_eq!(mutex.lock().get(), 2);
    });
}

#[test]
fn three_add_whoever_barges() {
    model("lock against lock against lock", 9_000, || {
        let mutex = Arc::new(Mutex::new(Number::new()));
        let others = [(); 2].map(|()| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || mutex.lock().add_one())
        });
        mutex.lock().add_one();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(mutex.lock().get(), 3);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_one_that_lost_gets_the_lock_handed_over() {
    weaken!("mutex_hand_over");
    model("lock twice against lock", 1_100, || {
        let mutex = Arc::new(Mutex::new(Number::new()));
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            // In a model one loss is enough.
            move || mutex.lock().add_one()
        });
        for _ in 0..3 {
            mutex.lock().add_one();
        }
        other.join().unwrap();
        assert_eq!(mutex.lock().get(), 4);
    });
}

#[test]
fn a_future_that_is_dropped_passes_its_turn_on() {
    model(
        "unlock against drop of a waiter, another behind",
        300,
        || {
            let mutex = Arc::new(Mutex::new(Number::new()));
            let guard = mutex.lock();
            let mut first = ManuallyDrop::new(Box::pin(mutex.lock_async()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(first.as_mut().poll(&mut context).is_pending());
            let behind = thread::spawn({
                let mutex = Arc::clone(&mutex);
                move || mutex.lock().add_one()
            });
            drop(guard);
            drop(ManuallyDrop::into_inner(first));
            behind.join().unwrap();
            assert_eq!(mutex.lock().get(), 1);
            assert!(!mutex.is_locked());
        },
    );
}

#[test]
fn a_lock_handed_to_a_future_that_is_dropped_is_free() {
    model("unlock_fair against drop of the waiter", 36, || {
        let mutex = Arc::new(Mutex::new(Number::new()));
        let guard = mutex.lock();
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || {
                let mut waiter = pin!(mutex.lock_async());
                let mut context = Context::from_waker(Waker::noop());
                if let std::task::Poll::Ready(mut guard) = waiter.as_mut().poll(&mut context) {
                    guard.add_one();
                }
            }
        });
        MutexGuard::unlock_fair(guard);
        other.join().unwrap();
        assert!(mutex.try_lock().is_some(), "somebody kept the lock");
    });
}

#[test]
fn a_lock_that_times_out_leaves_the_mutex_in_order() {
    model("timeout against unlock", 42, || {
        let mutex = Arc::new(Mutex::new(Number::new()));
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || {
                // So far away that the model's clock says when it is over.
                let deadline = Instant::now() + Duration::from_secs(3600);
                mutex
                    .lock_deadline(deadline)
                    .map(|mut n| n.add_one())
                    .is_ok()
            }
        });
        mutex.lock().add_one();
        let added = u32::from(other.join().unwrap());
        assert_eq!(mutex.try_lock().expect("unlocked").get(), 1 + added);
    });
}

#[test]
fn a_notification_under_the_mutex_is_not_lost() {
    model("condvar: wait against notify", 55, || {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let other = thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                *pair.0.lock() = true;
                // After the unlock, and so perhaps before the waiter has parked.
                pair.1.notify_one();
            }
        });
        pair.1.wait_while(&mut pair.0.lock(), |ready| !*ready);
        other.join().unwrap();
    });
}

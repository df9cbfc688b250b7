//! The semaphore in every interleaving: giving against joining, against leaving, against closing.
#![cfg(weftwork_loom)]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Waker};
use weftwork_core::sync::thread;
use weftwork_sync::Semaphore;
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_permits_given_while_somebody_joins_are_not_lost() {
    weaken!("semaphore_announce");
    model("give against join", 14, || {
        let semaphore = Arc::new(Semaphore::new(0));
        let other = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.add_permits(2)
        });
        semaphore.acquire(2).unwrap().forget();
        other.join().unwrap();
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn a_big_request_is_served_from_two_gifts_before_a_small_one_behind_it() {
    model("two gifts against a big and a small request", 250, || {
        let semaphore = Arc::new(Semaphore::new(0));
        let mut big = ManuallyDrop::new(Box::pin(semaphore.acquire_async(2)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(big.as_mut().poll(&mut context).is_pending());
        let small = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.try_acquire(1).is_err()
        });
        let giver = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.add_permits(1)
        });
        semaphore.add_permits(1);
        giver.join().unwrap();
        assert!(
            big.as_mut().poll(&mut context).is_ready(),
            "the gifts are its own"
        );
        drop(ManuallyDrop::into_inner(big));
        small.join().unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn permits_of_a_dropped_waiter_go_to_the_next() {
    model("give against drop of a waiter, another behind", 290, || {
        let semaphore = Arc::new(Semaphore::new(0));
        let mut first = ManuallyDrop::new(Box::pin(semaphore.acquire_async(1)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        let behind = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire(1).unwrap().forget()
        });
        let giver = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.add_permits(1)
        });
        drop(ManuallyDrop::into_inner(first));
        giver.join().unwrap();
        behind.join().unwrap();
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn closing_wakes_whoever_joins_meanwhile() {
    model("close against join", 12, || {
        let semaphore = Arc::new(Semaphore::new(0));
        let other = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.close()
        });
        assert!(semaphore.acquire(1).is_err());
        other.join().unwrap();
        assert_eq!(semaphore.forget(1), 0);
        semaphore.add_permits(1);
        assert!(semaphore.is_closed() && semaphore.try_acquire(1).is_err());
    });
}

//! The lock of a channel alone, in every interleaving.
//!
//! The lock is internal, so its file is a part of this test. The canary is run a second time under
//! `--cfg weftwork_canary`, with the lock weakened, and must then fail.

#![cfg(weftwork_loom)]

#[allow(
    missing_debug_implementations,
    unreachable_pub,
    reason = "a file of the library"
)]
#[path = "../src/lock/spinning.rs"]
mod spinning;

use spinning::Lock;
use std::sync::Arc;
use weftwork_core::sync::thread;
use weftwork_testkit::model;

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_one_holds_it_at_a_time_and_sees_what_was_done_before() {
    #[cfg(weftwork_canary)]
    let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of("lock: release"));
    model("lock: two that add", 4, || {
        let lock = Arc::new(Lock::new(0));
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || *lock.lock() += 1
        });
        *lock.lock() += 1;
        other.join().unwrap();
        assert_eq!(*lock.lock(), 2);
    });
}

#[test]
fn one_that_holds_it_twice_and_one_that_waits_both_get_it() {
    model("lock: two that add, one of them twice", 13, || {
        let lock = Arc::new(Lock::new(0));
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || *lock.lock() += 1
        });
        for _ in 0..2 {
            *lock.lock() += 1;
        }
        other.join().unwrap();
        assert_eq!(*lock.lock(), 3);
    });
}

//! The reader-writer lock in every interleaving: exclusion, phases, leaving.
#![cfg(weftwork_loom)]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Waker};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::thread;
use weftwork_sync::RwLock;
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A number that loom watches.
struct Number(UnsafeCell<u32>);

// SAFETY: what takes the automatic impls away is loom's cell, which checks its use.
unsafe impl Send for Number {}
// SAFETY: as above.
unsafe impl Sync for Number {}

impl Number {
    fn add_one(&mut self) {
        // SAFETY: the lock under test says so; loom checks it.
        self.0.with_mut(|n| unsafe { *n += 1 });
    }

    fn get(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|n| unsafe { *n })
    }
}

fn number() -> Arc<RwLock<Number>> {
    Arc::new(RwLock::new(Number(UnsafeCell::new(0))))
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_a_reader_and_a_writer_exclude_and_wake_each_other() {
    weaken!("rwlock_announce");
    model("read against write", 25, || {
        let lock = number();
        let writer = thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.write().add_one()
        });
        assert!(lock.read().get() <= 1);
        writer.join().unwrap();
        assert_eq!(lock.read().get(), 1);
    });
}

#[test]
fn two_writers_and_a_reader() {
    model("write against write against read", 2900, || {
        let lock = number();
        let writers = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.write().add_one())
        });
        assert!(lock.read().get() <= 2);
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(lock.read().get(), 2);
        assert!(!lock.is_locked());
    });
}

#[test]
fn a_writer_that_leaves_lets_the_readers_behind_it_in() {
    model(
        "drop of a waiting writer against a reader behind it",
        9,
        || {
            let lock = number();
            let held = lock.read();
            let mut writer = ManuallyDrop::new(Box::pin(lock.write_async()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(writer.as_mut().poll(&mut context).is_pending());
            let reader = thread::spawn({
                let lock = Arc::clone(&lock);
                // Waits for the writer, not for the reader that holds the lock.
                move || lock.read().get()
            });
            drop(ManuallyDrop::into_inner(writer));
            assert_eq!(reader.join().unwrap(), 0);
            drop(held);
            assert!(lock.try_write().is_some(), "somebody kept the lock");
        },
    );
}

#[test]
fn a_lock_given_to_a_future_that_is_dropped_goes_on() {
    model("unlock against drop of a waiting writer", 160, || {
        let lock = number();
        let held = lock.write();
        let mut first = ManuallyDrop::new(Box::pin(lock.write_async()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        let second = thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.write().add_one()
        });
        drop(held);
        drop(ManuallyDrop::into_inner(first));
        second.join().unwrap();
        assert_eq!(lock.try_read().expect("free").get(), 1);
    });
}

//! The once in every interleaving: one runs, the others see what it did.
#![cfg(weftwork_loom)]

use std::sync::Arc;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::thread;
use weftwork_sync::{Once, OnceLock};
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
fn canary_whoever_waits_for_the_run_is_woken_and_sees_it() {
    weaken!("once_announce");
    model("call against call", 39, || {
        let once = Arc::new((Once::new(), AtomicUsize::new(0)));
        let call = |once: &(Once, AtomicUsize)| {
            // Relaxed, here and below: the once orders it.
            once.0.call_once(|| {
                once.1.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(once.1.load(Ordering::Relaxed), 1);
        };
        let other = thread::spawn({
            let once = Arc::clone(&once);
            move || call(&once)
        });
        call(&once);
        other.join().unwrap();
    });
}

#[test]
fn an_initialization_that_fails_is_tried_by_one_that_waited() {
    model("failing against waiting", 39, || {
        let cell = Arc::new(OnceLock::new());
        let other = thread::spawn({
            let cell = Arc::clone(&cell);
            move || cell.get_or_try_init(|| Err::<u32, ()>(())).copied()
        });
        assert_eq!(cell.get_or_init(|| 7), &7);
        assert!(matches!(other.join().unwrap(), Ok(7) | Err(())));
    });
}

#[test]
fn a_look_at_the_cell_sees_nothing_or_all_of_it() {
    model("get against set", 11, || {
        let cell = Arc::new(OnceLock::new());
        let writer = thread::spawn({
            let cell = Arc::clone(&cell);
            move || cell.set(Box::new(7)).unwrap()
        });
        let reader = thread::spawn({
            let cell = Arc::clone(&cell);
            move || cell.get().is_none_or(|seven| **seven == 7)
        });
        assert!(reader.join().unwrap());
        writer.join().unwrap();
        assert_eq!(cell.get().map(|seven| **seven), Some(7));
    });
}

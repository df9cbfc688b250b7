//! The frame of the models, held against models whose outcome is known.

#![cfg(weftwork_loom)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use weftwork_core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use weftwork_core::sync::{Arc, thread};
use weftwork_testkit::{Model, Recorder, check, model};

/// The store that publishes a message; the canary weakens it.
const PUBLISH: Ordering = if cfg!(weftwork_canary) {
    Ordering::Relaxed
} else {
    Ordering::Release
};

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the message is seen whole"))]
fn canary_a_published_message_is_seen_whole() {
    model("message", 3, || {
        let shared = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
        let writer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                // Relaxed: PUBLISH orders it.
                shared.0.store(7, Ordering::Relaxed);
                // Release: pairs with the Acquire below.
                shared.1.store(true, PUBLISH);
            }
        });
        // Acquire: pairs with PUBLISH.
        if shared.1.load(Ordering::Acquire) {
            let value = shared.0.load(Ordering::Relaxed);
            assert_eq!(value, 7, "the message is seen whole");
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_model_without_concurrency_misses_its_floor() {
    let missed = catch_unwind(|| model("alone", 2, || {}));
    assert_eq!(missed.is_err(), !cfg!(weftwork_canary));
}

#[test]
fn a_floor_that_cannot_fail_is_refused() {
    for floor in [0, 1] {
        assert!(catch_unwind(|| model("no floor", floor, || {})).is_err());
    }
}

/// A counter whose `fetch_add(1)` answers the value before.
#[derive(Debug)]
struct Tally;

impl Model for Tally {
    type State = usize;
    type Op = ();
    type Ret = usize;

    fn initial(&self) -> usize {
        0
    }

    fn step(&self, state: &usize, (): &(), ret: Option<&usize>) -> Option<usize> {
        ret.is_none_or(|r| r == state).then_some(state + 1)
    }
}

/// Two threads of two increments each, whose history is checked in every interleaving.
fn counted(name: &str, increment: fn(&AtomicUsize) -> usize) {
    model(name, 50, move || {
        let counter = Arc::new(AtomicUsize::new(0));
        let recorder = Recorder::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let counter = Arc::clone(&counter);
                let mut log = recorder.log();
                thread::spawn(move || {
                    for _ in 0..2 {
                        log.record((), || increment(&counter));
                    }
                })
            })
            .collect();
        for t in threads {
            t.join().unwrap();
        }
        check(&Tally, &recorder.finish()).unwrap();
    });
}

#[test]
fn an_atomic_counter_is_linearizable_in_every_interleaving() {
    // Relaxed: the order of a single location is total without it.
    counted("atomic counter", |c| c.fetch_add(1, Ordering::Relaxed));
}

#[test]
fn a_lost_update_is_found_in_some_interleaving() {
    let found = catch_unwind(AssertUnwindSafe(|| {
        counted("torn counter", |c| {
            let before = c.load(Ordering::Relaxed);
            c.store(before + 1, Ordering::Relaxed);
            before
        });
    }));
    let message = found.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("not linearizable"), "{message}");
}

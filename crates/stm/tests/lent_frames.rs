//! Calls that lend the caller's frame to other threads, inside a transaction: they are refused before they
//! lend anything, because the panic of a wait would leave a frame that is in use.
#![cfg(not(weftwork_loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use weftwork_sched::{Runtime, blocking, join, scope, spawn, timeout, yield_now};
use weftwork_stm::{TVar, atomically};
use weftwork_testkit::{DropCounter, watchdog};

/// Runs `call`, which must be refused, in a transaction of a green thread; says whether it has begun.
fn refused_in_a_transaction(call: impl Fn(&TVar<bool>) + Send + Sync + 'static) {
    let _dog = watchdog(Duration::from_secs(60));
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(move || {
        let has_begun = TVar::new(false);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            atomically(|_| {
                call(&has_begun);
                Ok(())
            });
        }));
        let payload = panicked.expect_err("it is refused");
        let text = payload.downcast_ref::<String>().expect("a message");
        assert!(text.contains("waits inside the transaction"), "{text}");
        assert!(!has_begun.load(), "nothing was lent");
    });
}

#[test]
fn a_scope_is_refused_before_it_lends() {
    refused_in_a_transaction(|has_begun| {
        scope(|s| {
            s.spawn(|| has_begun.store(true));
        });
    });
}

#[test]
fn blocking_is_refused_before_it_lends() {
    refused_in_a_transaction(|has_begun| blocking(|| has_begun.store(true)));
}

#[test]
fn a_time_limit_is_refused_before_it_lends() {
    refused_in_a_transaction(|has_begun| {
        let _ = timeout(Duration::from_secs(5), || has_begun.store(true));
    });
}

#[test]
fn a_run_is_refused_before_it_lends() {
    let other = Runtime::builder().workers(1).build().unwrap();
    refused_in_a_transaction(move |has_begun| other.run(|| has_begun.store(true)));
}

#[test]
fn the_halves_of_a_join_run_one_after_the_other() {
    let _dog = watchdog(Duration::from_secs(60));
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let count = runtime.run(|| {
        let drops = DropCounter::new();
        let count = atomically(|_| {
            let (a, b) = join(|| drops.track(1), || drops.track(2));
            Ok(*a + *b)
        });
        drops.assert_none_live();
        count
    });
    assert_eq!(count, 3);
}

#[test]
fn a_body_that_yields_is_not_switched_away() {
    let _dog = watchdog(Duration::from_secs(60));
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let n = TVar::new(0);
        let other = spawn({
            let n = n.clone();
            // Would begin inside of the first one's attempt.
            move || atomically(|tx| n.update(tx, |n| n + 1))
        });
        atomically(|tx| {
            n.update(tx, |n| n + 10)?;
            yield_now();
            Ok(())
        });
        assert_eq!(n.load(), 10, "nobody ran in between");
        other.join().unwrap();
        assert_eq!(n.load(), 11);
    });
}

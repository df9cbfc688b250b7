//! Stretches of code that may not wait, on threads that no scheduler hosts. (Hosted: `hosting.rs`.)

#![cfg(not(weftwork_loom))]

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::wait::{
    Forbidden, Interrupt, Reason, Site, assert_may_wait, checkpoint, forbid, may_wait,
    try_checkpoint, wait, wait_deadline, wait_interruptible, wait_registered, wait_shielded,
};
use weftwork_core::{TimedOut, block_on, task};
use weftwork_testkit::with_watchdog;

const LIMIT: Duration = Duration::from_secs(60);

#[track_caller]
fn transaction() -> Forbidden {
    forbid("transaction", Location::caller())
}

/// What `work` panics with.
fn message_of<R>(work: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).err();
    *payload.expect("nobody waits here").downcast().unwrap()
}

#[test]
fn the_panic_names_what_waits_and_what_forbids_it_with_both_places() {
    with_watchdog(LIMIT, || {
        let begun = line!() + 1;
        let guard = transaction();
        let waits = line!() + 1;
        let message = message_of(|| wait(Reason::new("receive"), |_| Poll::<()>::Pending));
        drop(guard);
        let file = file!();
        let expected = [
            format!("receive at {file}:{waits}:"),
            format!("waits inside the transaction begun at {file}:{begun}:"),
        ];
        for part in expected {
            assert!(message.contains(&part), "{message:?} lacks {part:?}");
        }
    });
}

#[test]
fn every_wait_that_would_wait_panics() {
    with_watchdog(LIMIT, || {
        let soon = Some(Instant::now() + Duration::from_secs(3600));
        let guard = transaction();
        let (task, handle) = task::closure(|| ());
        let never = |_: &mut Context<'_>| Poll::<()>::Pending;
        let waits: [(&str, &dyn Fn()); 5] = [
            ("wait", &|| wait(Reason::PARK, never)),
            ("wait_deadline", &|| {
                let _ = wait_deadline(Reason::PARK, soon, never);
            }),
            ("wait_registered", &|| {
                let _ = wait_registered(Reason::PARK, soon, |_| {}, never);
            }),
            ("wait_interruptible", &|| {
                let _ = wait_interruptible(Reason::PARK, soon, never);
            }),
            ("block_on", &|| block_on(pending())),
        ];
        for (name, waits) in waits {
            let message = message_of(waits);
            assert!(message.contains("nothing may wait"), "{name}: {message}");
        }
        assert!(message_of(|| handle.join()).starts_with("join at "));
        drop((task, guard));
    });
}

#[test]
fn a_shielded_wait_waits_because_somebody_uses_its_frame() {
    with_watchdog(LIMIT, || {
        let guard = transaction();
        let mut looks = 0;
        wait_shielded(Reason::PARK, |context| {
            looks += 1;
            if looks < 4 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            assert!(may_wait(), "what it waits for may wait in turn");
            Poll::Ready(())
        });
        assert!(!may_wait(), "the guard is in force again");
        drop(guard);
        assert!(may_wait());
    });
}

#[test]
fn what_is_ready_at_once_is_no_wait() {
    with_watchdog(LIMIT, || {
        let _guard = transaction();
        assert_eq!(wait(Reason::PARK, |_| Poll::Ready(3)), 3);
        assert_eq!(block_on(ready(3)), 3);
        let (task, handle) = task::closure(|| 3);
        task.run();
        assert_eq!(handle.join().unwrap(), 3);
    });
}

#[test]
fn a_deadline_that_has_passed_is_no_wait() {
    with_watchdog(LIMIT, || {
        let _guard = transaction();
        let past = Some(Instant::now());
        let never = |_: &mut Context<'_>| Poll::<()>::Pending;
        assert_eq!(wait_deadline(Reason::PARK, past, never), Err(TimedOut));
        assert_eq!(
            wait_interruptible(Reason::PARK, past, never),
            Err(Interrupt::TimedOut)
        );
    });
}

#[test]
fn the_thread_may_wait_again_after_the_panic_and_after_the_guard() {
    with_watchdog(LIMIT, || {
        let refused = catch_unwind(|| {
            let _guard = transaction();
            block_on(pending::<()>());
        });
        assert!(refused.is_err());
        assert!(may_wait());
        let (task, handle) = task::closure(|| 3);
        let runner = std::thread::spawn(move || task.run());
        assert_eq!(handle.join().unwrap(), 3);
        runner.join().unwrap();
    });
}

#[test]
fn guards_nest_in_any_order_of_dropping_and_the_first_is_named() {
    with_watchdog(LIMIT, || {
        let outer = forbid("outer", Location::caller());
        let inner = forbid("inner", Location::caller());
        drop(outer);
        assert!(!may_wait());
        assert!(message_of(|| block_on(pending::<()>())).contains("the outer begun"));
        drop(inner);
        assert!(may_wait());
        let again = forbid("again", Location::caller());
        assert!(message_of(|| block_on(pending::<()>())).contains("the again begun"));
        drop(again);
    });
}

#[test]
fn other_threads_may_wait() {
    with_watchdog(LIMIT, || {
        let _guard = transaction();
        let other = std::thread::spawn(|| {
            let (task, handle) = task::closure(|| 3);
            let runner = std::thread::spawn(move || task.run());
            runner.join().unwrap();
            (may_wait(), handle.join().unwrap())
        });
        assert_eq!(other.join().unwrap(), (true, 3));
    });
}

#[test]
fn a_checkpoint_is_no_wait() {
    let _guard = transaction();
    checkpoint();
    assert_eq!(try_checkpoint(), Ok(()));
}

#[test]
fn a_destructor_that_waits_while_its_thread_unwinds_waits() {
    /// Waits for a task of another thread when it is dropped.
    struct Joins(Option<task::JoinHandle<u8>>, Option<weftwork_core::Task>);

    impl Drop for Joins {
        fn drop(&mut self) {
            let task = self.1.take().unwrap();
            let runner = std::thread::spawn(move || task.run());
            assert_eq!(self.0.take().unwrap().join().unwrap(), 3);
            assert!(!may_wait(), "the guard is in force again");
            runner.join().unwrap();
        }
    }

    with_watchdog(LIMIT, || {
        let payload = catch_unwind(|| {
            let _guard = transaction();
            let (task, handle) = task::closure(|| 3);
            let _joins = Joins(Some(handle), Some(task));
            panic!("the first panic");
        });
        let message = payload.unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(*message, "the first panic");
        assert!(may_wait());
    });
}

#[test]
fn code_that_blocks_by_other_means_can_ask() {
    let site = Site {
        reason: Reason::new("disk"),
        location: Location::caller(),
    };
    assert_may_wait(site);
    let _guard = transaction();
    assert!(message_of(|| assert_may_wait(site)).starts_with("disk at "));
}

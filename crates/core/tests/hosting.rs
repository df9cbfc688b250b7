//! Waits on a thread that a scheduler hosts: here a fake one. (Cancelled there: `hosting_cancel.rs`.)

#![cfg(not(weftwork_loom))]

mod fake_host;

use fake_host::{Event, FakeHost};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::task::Poll;
use std::time::{Duration, Instant};
use weftwork_core::host;
use weftwork_core::task;
use weftwork_core::wait::{
    Reason, checkpoint, forbid, hand_over, may_wait, try_checkpoint, wait, wait_deadline,
};
use weftwork_core::{TimedOut, block_on};
use weftwork_testkit::with_watchdog;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_wait_parks_with_its_reason_and_its_callers_line() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.at_park({
            let event = event.clone();
            move |_| event.set()
        });
        let line = line!() + 1;
        fake.hosting(|| event.wait());
        let [parked] = fake.parks()[..] else {
            panic!("parked {} times", fake.parks().len());
        };
        assert_eq!(parked.site.reason, Reason::PARK);
        assert_eq!(parked.site.location.file(), file!());
        assert_eq!(parked.site.location.line(), line);
        assert_eq!(
            parked.site.to_string(),
            format!("park at {}", parked.site.location)
        );
        assert_eq!((parked.deadline, parked.interruptible), (None, true));
        assert_eq!(fake.checkpoints.get(), 1);
        assert!(!host::is_hosted(), "the host left with its guard");
    });
}

#[test]
fn join_and_block_on_name_themselves_and_their_caller() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (task, handle) = task::closure(|| 1);
        fake.at_park(move |_| task.run());
        let line = line!() + 1;
        assert_eq!(fake.hosting(|| handle.join()).unwrap(), 1);
        let (task, handle) = task::closure(|| 1);
        fake.at_park(move |_| task.run());
        fake.hosting(|| block_on(handle)).unwrap();
        let (task, handle) = task::closure(|| 1);
        fake.at_park(move |_| task.run());
        let far = Duration::from_secs(3600);
        fake.hosting(|| handle.join_timeout(far)).unwrap().unwrap();

        let parks = fake.parks();
        assert_eq!(parks.len(), 3);
        assert_eq!(parks[0].site.reason, Reason::JOIN);
        assert_eq!(parks[0].site.location.line(), line);
        assert_eq!(parks[1].site.reason, Reason::BLOCK_ON);
        assert_eq!(parks[1].site.location.line(), line + 3);
        assert_eq!(parks[2].site.reason, Reason::JOIN);
        assert!(parks[2].deadline.unwrap() > Instant::now());
        assert!(parks.iter().all(|p| p.site.location.file() == file!()));
    });
}

#[test]
fn join_runs_a_task_in_place_if_the_host_would_start_it_next() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (task, handle) = task::closure(|| 1);
        *fake.next.borrow_mut() = Some(task);
        assert_eq!(fake.hosting(|| handle.join()).unwrap(), 1);
        assert!(fake.parks().is_empty());
    });
}

#[test]
fn a_wait_inside_an_operation_does_not_eat_its_wake() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (outer, inner) = (Event::default(), Event::default());
        fake.at_park({
            let (outer, inner) = (outer.clone(), inner.clone());
            move |_| {
                // One token for both: the inner wait takes it.
                outer.set();
                inner.set();
            }
        });
        // A further park would find the script empty.
        fake.hosting(|| {
            wait(Reason::PARK, |context| {
                let out = outer.poll(context);
                inner.wait();
                out
            });
        });
        assert_eq!(fake.parks().len(), 1);
    });
}

#[test]
fn a_deadline_goes_to_the_host_and_a_last_look_follows_it() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let deadline = Instant::now() + Duration::from_millis(1);
        let sleep_past = move |_: &FakeHost| {
            while Instant::now() < deadline {
                std::thread::yield_now();
            }
        };
        fake.at_park(|_| {});
        fake.at_park(sleep_past);
        let out =
            fake.hosting(|| wait_deadline(Reason::SLEEP, Some(deadline), |_| Poll::<()>::Pending));
        assert_eq!(out, Err(TimedOut));
        assert!(Instant::now() >= deadline);
        assert!(fake.parks().iter().all(|p| p.deadline == Some(deadline)));

        // The event comes between the look and the reading of the clock.
        let mut polls = 0;
        let out = fake.hosting(|| {
            wait_deadline(Reason::SLEEP, Some(deadline), |_| {
                polls += 1;
                if polls == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        });
        assert_eq!(out, Ok(()));
    });
}

#[test]
fn a_host_that_cannot_park_is_passed_over() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.can_park.set(false);
        fake.hosting(|| {
            assert!(!host::is_hosted());
            let event = Event::default();
            let other = std::thread::spawn({
                let event = event.clone();
                move || event.set()
            });
            event.wait();
            checkpoint();
            other.join().unwrap();
        });
        assert!(fake.parks().is_empty());
        assert_eq!(fake.checkpoints.get(), 0);
    });
}

#[test]
fn without_parks_the_thread_and_brings_the_host_back() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.hosting(|| {
            let event = Event::default();
            let other = std::thread::spawn({
                let event = event.clone();
                move || event.set()
            });
            host::without(|| {
                assert!(!host::is_hosted());
                event.wait();
            });
            other.join().unwrap();
            assert!(host::is_hosted());
            let caught = catch_unwind(|| host::without(|| resume_unwind(Box::new(()))));
            assert!(caught.is_err());
            assert!(host::is_hosted(), "also after a panic");
        });
        assert!(fake.parks().is_empty());
    });
}

#[test]
fn hosts_nest() {
    with_watchdog(LIMIT, || {
        let (outer, inner) = (FakeHost::new(), FakeHost::new());
        let (a, b) = (Event::default(), Event::default());
        for (fake, event) in [(&inner, &a), (&outer, &b)] {
            let event = event.clone();
            fake.at_park(move |_| event.set());
        }
        outer.hosting(|| {
            inner.hosting(|| a.wait());
            b.wait();
        });
        assert_eq!((outer.parks().len(), inner.parks().len()), (1, 1));
    });
}

/// What a panic says that `work` ends with.
fn message_of<R>(work: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).err();
    *payload.expect("nobody waits here").downcast().unwrap()
}

#[test]
fn where_waiting_is_forbidden_a_task_neither_parks_nor_counts_its_slice() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.hosting(|| {
            let _guard = forbid("transaction", Location::caller());
            let message = message_of(|| event.wait());
            assert!(
                message.contains("inside the transaction begun at"),
                "{message}"
            );
            checkpoint();
            assert_eq!(try_checkpoint(), Ok(()));
            event.set();
            event.wait();
        });
        assert!(fake.parks().is_empty());
        assert_eq!(fake.checkpoints.get(), 0);
        fake.hosting(checkpoint);
        assert_eq!(fake.checkpoints.get(), 1);
    });
}

#[test]
fn where_waiting_is_forbidden_a_join_runs_no_other_task() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (task, handle) = task::closure(|| 1);
        *fake.next.borrow_mut() = Some(task);
        fake.hosting(|| {
            let _guard = forbid("transaction", Location::caller());
            assert!(message_of(|| handle.join()).starts_with("join at "));
        });
        assert!(fake.next.borrow().is_some());
    });
}

#[test]
fn a_destructor_that_unwinds_where_waiting_is_forbidden_parks_and_others_may_wait_meanwhile() {
    struct Waits(Event);

    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.wait();
            assert!(!may_wait());
        }
    }

    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.at_park({
            let event = event.clone();
            move |_| {
                assert!(may_wait());
                event.set();
            }
        });
        let unwound = fake.hosting(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let _guard = forbid("transaction", Location::caller());
                let _waits = Waits(event);
                resume_unwind(Box::new(3_u8));
            }))
        });
        assert_eq!(*unwound.unwrap_err().downcast::<u8>().unwrap(), 3);
        let [parked] = fake.parks()[..] else {
            panic!("parked {} times", fake.parks().len());
        };
        assert!(!parked.interruptible);
        assert!(may_wait());
    });
}

#[test]
fn a_hand_over_wakes_once_and_is_the_hosts_only_where_the_task_may_wait() {
    with_watchdog(LIMIT, || {
        let wakes = Cell::new(0);
        let wake = || wakes.set(wakes.get() + 1);
        assert!(!hand_over(wake), "no host");
        let fake = FakeHost::new();
        fake.hosting(|| {
            assert!(hand_over(wake));
            let forbidden = forbid("test", Location::caller());
            assert!(!hand_over(wake), "waiting is forbidden");
            drop(forbidden);
            fake.can_park.set(false);
            assert!(!hand_over(wake), "no task is current");
        });
        assert_eq!((wakes.get(), fake.hand_overs.get()), (4, 1));
    });
}

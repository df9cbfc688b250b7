//! The parker, and the wait on top of it, in every interleaving.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::{Arc as ModelArc, Mutex, thread};
use weftwork_core::wait::{Parker, Reason, wait, wait_deadline};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:ident) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::$step);
    };
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_an_unpark_during_park_is_not_lost() {
    weaken!(Unpark);
    model("park against unpark", 3, || {
        let parker = Arc::new(Parker::new());
        let message = ModelArc::new(AtomicUsize::new(0));
        let waker = parker.waker();
        let other = thread::spawn({
            let message = ModelArc::clone(&message);
            move || {
                // Relaxed: the token orders it.
                message.store(7, Ordering::Relaxed);
                waker.wake();
            }
        });
        assert!(parker.park(None));
        // Relaxed: the token orders it.
        assert_eq!(message.load(Ordering::Relaxed), 7);
        other.join().unwrap();
    });
}

#[test]
fn two_unparks_leave_one_token() {
    model("unpark against unpark", 46, || {
        let parker = Arc::new(Parker::new());
        let wakers = [parker.waker(), parker.waker()];
        let [a, b] = wakers.map(|waker| thread::spawn(move || waker.wake()));
        assert!(parker.park(None));
        a.join().unwrap();
        b.join().unwrap();
        // The second unpark came before the park's end, or its token is still here: once.
        let late = parker.park(Some(Instant::now()));
        assert!(!late || !parker.park(Some(Instant::now())));
    });
}

#[test]
fn a_token_left_before_the_park_is_taken_at_once() {
    model("unpark, then park, against a second unpark", 5, || {
        let parker = Arc::new(Parker::new());
        parker.unpark();
        let other = thread::spawn({
            let waker = parker.waker();
            move || waker.wake_by_ref()
        });
        assert!(parker.park(None));
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the token was thrown away"))]
fn canary_a_token_that_comes_at_the_deadline_is_taken_or_kept() {
    weaken!(ParkTimeout);
    model("deadline against unpark", 6, || {
        let parker = Arc::new(Parker::new());
        let waker = parker.waker();
        let other = thread::spawn(move || waker.wake());
        // The model's clock may be anywhere: this ends with the token or without.
        let in_time = parker.park(Some(Instant::now()));
        other.join().unwrap();
        let kept = parker.park(Some(Instant::now()));
        assert!(in_time != kept, "the token was thrown away");
    });
}

/// A place for a number, with its waiter: the least thing that can be waited for.
#[derive(Default)]
struct Slot(Mutex<(Option<u32>, Option<Waker>)>);

impl Slot {
    fn put(&self, value: u32) {
        let waker = {
            let mut inner = self.0.lock();
            inner.0 = Some(value);
            inner.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut std::task::Context<'_>) -> Poll<u32> {
        let mut inner = self.0.lock();
        match inner.0.take() {
            Some(value) => Poll::Ready(value),
            None => {
                inner.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[test]
fn two_threads_wait_for_each_other_in_turn() {
    model("wait on two threads", 14, || {
        let slots = ModelArc::new((Slot::default(), Slot::default()));
        let other = thread::spawn({
            let slots = ModelArc::clone(&slots);
            move || {
                let n = wait(Reason::PARK, |context| slots.0.poll(context));
                slots.1.put(n + 1);
            }
        });
        slots.0.put(1);
        assert_eq!(wait(Reason::PARK, |context| slots.1.poll(context)), 2);
        other.join().unwrap();
    });
}

#[test]
fn a_wait_that_times_out_has_looked_after_the_deadline() {
    model("wait with a deadline", 13, || {
        let slot = ModelArc::new(Slot::default());
        let other = thread::spawn({
            let slot = ModelArc::clone(&slot);
            move || slot.put(3)
        });
        // So far away that the model's clock, not the machine's, says when it is over.
        let deadline = Instant::now() + Duration::from_secs(3600);
        let first = wait_deadline(Reason::PARK, Some(deadline), |context| slot.poll(context));
        other.join().unwrap();
        let second = slot.poll(&mut std::task::Context::from_waker(Waker::noop()));
        assert_eq!(
            first.is_ok(),
            second.is_pending(),
            "the value was lost or seen twice"
        );
    });
}

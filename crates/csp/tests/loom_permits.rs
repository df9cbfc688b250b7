//! Permits in every interleaving: against closes, receivers and those who wait for the end.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod held;

use held::Held;
use std::pin::pin;
use std::task::{Context, Waker};
use weftwork_core::sync::thread;
use weftwork_csp::{RecvError, bounded};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "a message was lost"))]
fn canary_what_is_sent_by_a_permit_is_received_before_the_end() {
    weaken!("permit: keep");
    model("permit: reserve against receive and close", 9, || {
        let (s, r) = bounded(1);
        s.send(1).unwrap();
        let (s, r) = (Held::new(s), Held::new(r));
        let reserving = thread::spawn(move || {
            let sent = s.reserve().is_ok_and(|permit| permit.send(2).is_ok());
            drop(s.release());
            sent
        });
        assert_eq!(r.recv(), Ok(1));
        r.close();
        let received = r.recv() == Ok(2);
        assert_eq!(reserving.join().unwrap(), received, "a message was lost");
        drop(r.release());
    });
}

#[test]
fn a_permit_that_comes_back_ends_the_wait_for_the_end() {
    model("permit: drop against receive", 8, || {
        let (s, r) = bounded::<i32>(1);
        let permit = s.reserve().unwrap().into_owned();
        s.close();
        let releasing = thread::spawn(move || drop(permit));
        assert_eq!(r.recv(), Err(RecvError));
        releasing.join().unwrap();
    });
}

#[test]
fn at_capacity_0_a_reserve_and_a_receive_meet() {
    model("permit: reserve against receive at capacity 0", 23, || {
        let (s, r) = bounded(0);
        let reserving = thread::spawn(move || s.reserve().unwrap().send(1).unwrap());
        assert_eq!(r.recv(), Ok(1));
        assert_eq!(r.recv(), Err(RecvError));
        reserving.join().unwrap();
    });
}

#[test]
fn a_reserve_that_is_given_up_leaves_the_room_to_the_next() {
    model("permit: given up against receive", 60, || {
        let (s, r) = bounded(1);
        s.send(1).unwrap();
        let receiving = thread::spawn(move || (r.recv(), r.recv()));
        {
            let mut reserve = pin!(s.reserve_async());
            let mut context = Context::from_waker(Waker::noop());
            drop(reserve.as_mut().poll(&mut context));
        }
        s.reserve().unwrap().send(2).unwrap();
        assert_eq!(receiving.join().unwrap(), (Ok(1), Ok(2)));
    });
}

//! The end of a channel in every interleaving: close, and the drop of the last handle of one end,
//! against sends, receives and selects.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::time::Duration;
use weftwork_core::sync::thread;
use weftwork_csp::{RecvError, Select, SendError, TryRecvError, bounded, unbounded};
use weftwork_testkit::{DropCounter, model};

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_sender_that_waits_hears_of_a_close() {
    weaken!("state: end");
    for close in [true, false] {
        model("close: close, or last drop, against send", 8, move || {
            let (s, r) = bounded(0);
            let other = thread::spawn(move || {
                close.then(|| {
                    assert!(r.close());
                    r
                })
            });
            assert_eq!(s.send(7), Err(SendError(7)));
            let r = other.join().unwrap();
            assert!(r.is_none_or(|r| r.recv() == Err(RecvError)));
        });
    }
}

#[test]
fn a_receiver_that_waits_hears_of_the_end() {
    for close in [true, false] {
        for capacity in [0, 1] {
            model("close: close, or last drop, against recv", 8, move || {
                let (s, r) = bounded::<i32>(capacity);
                let other = thread::spawn(move || {
                    if close {
                        assert!(s.close());
                        assert_eq!(s.send(7), Err(SendError(7)));
                    }
                });
                assert_eq!(r.recv(), Err(RecvError));
                other.join().unwrap();
            });
        }
    }
}

#[test]
fn what_was_sent_before_the_end_is_received_before_it() {
    model("close: send and last drop against recv", 14, || {
        let (s, r) = unbounded();
        let other = thread::spawn(move || s.send(7).unwrap());
        assert_eq!(r.recv(), Ok(7));
        assert_eq!(r.recv(), Err(RecvError));
        other.join().unwrap();
    });
}

#[test]
fn a_send_and_a_close_agree_on_who_came_first() {
    for capacity in [0, 1] {
        model("close: close against send and recv", 29, move || {
            let (s, r) = bounded(capacity);
            let other = thread::spawn({
                let r = r.clone();
                move || r.recv().is_ok()
            });
            let closing = thread::spawn(move || r.close());
            let sent = s.send(7).is_ok();
            let received = other.join().unwrap();
            assert!(closing.join().unwrap());
            assert_eq!(sent, received);
        });
    }
}

#[test]
fn selects_hear_of_a_close() {
    model("close: close against the recv arm of a select", 16, || {
        let (s, r) = bounded::<i32>(0);
        let other = thread::spawn(move || s.close());
        let mut select = Select::new();
        select.recv(&r);
        assert_eq!(select.select().recv(&r), Err(RecvError));
        assert!(other.join().unwrap());
    });
    model("close: close against the send arm of a select", 16, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || r.close());
        let mut select = Select::new();
        select.send(&s);
        assert_eq!(select.select().send(&s, 7), Err(SendError(7)));
        assert!(other.join().unwrap());
    });
}

#[test]
fn a_select_that_was_chosen_and_a_close_agree_on_who_came_first() {
    model(
        "close: close against a select that sends, and recv",
        284,
        || {
            let (s, r) = bounded(0);
            let other = thread::spawn({
                let r = r.clone();
                move || r.recv().is_ok()
            });
            let closing = thread::spawn(move || r.close());
            let mut select = Select::new();
            select.send(&s);
            let sent = select.select().send(&s, 7).is_ok();
            assert_eq!(sent, other.join().unwrap());
            assert!(closing.join().unwrap());
        },
    );
}

#[test]
fn a_message_of_a_channel_whose_receivers_are_gone_is_dropped_once() {
    for capacity in [0, 1] {
        model("close: last receiver's drop against send", 2, move || {
            let drops = DropCounter::new();
            let (s, r) = bounded(capacity);
            let message = drops.track(7);
            let other = thread::spawn(move || drop(r));
            // At capacity 1 it may be in the buffer when the receiver goes.
            if let Err(SendError(message)) = s.send(message) {
                assert_eq!(*message, 7);
            } else {
                assert_eq!(capacity, 1);
            }
            other.join().unwrap();
            drops.assert_none_live();
        });
    }
}

#[test]
fn whoever_waits_for_the_end_hears_of_it() {
    model("close: last drop against closed", 23, || {
        let (s, r) = bounded::<i32>(1);
        let other = thread::spawn(move || drop(r));
        assert!(s.closed().wait().is_none());
        assert!(s.is_closed());
        other.join().unwrap();
    });
}

#[test]
fn a_time_limit_and_an_end_leave_the_message_with_its_sender() {
    model("close: close against send_timeout", 32, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || {
            assert!(r.close());
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
        });
        let message = s
            .send_timeout(7, Duration::from_secs(3600))
            .unwrap_err()
            .into_inner();
        assert_eq!(message, 7);
        other.join().unwrap();
    });
}

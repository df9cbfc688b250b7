//! Select in every interleaving: against sends and receives, against another select in both roles and
//! over two channels, against its own time limit, and forgotten once it has chosen.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::task::{Context, Poll, Waker};
use std::time::Duration;
use weftwork_core::sync::thread;
use weftwork_csp::{Receiver, Select, Sender, bounded};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// What a select came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    Sent,
    Received(u32),
    TimedOut,
}

/// Which of the two arms is looked at first.
#[derive(Debug, Clone, Copy)]
enum First {
    Receive,
    Send,
}

/// Receives from `r` or sends `message` to `s`, whichever is possible first.
fn exchange(
    r: &Receiver<u32>,
    s: &Sender<u32>,
    message: u32,
    first: First,
    timeout: Option<Duration>,
) -> Chosen {
    let mut select = Select::new_biased();
    let receive = match first {
        First::Receive => {
            let receive = select.recv(r);
            select.send(s);
            receive
        }
        First::Send => {
            select.send(s);
            select.recv(r)
        }
    };
    let operation = match timeout {
        None => select.select(),
        Some(timeout) => match select.select_timeout(timeout) {
            Ok(operation) => operation,
            Err(_) => return Chosen::TimedOut,
        },
    };
    if operation.index() == receive {
        return Chosen::Received(operation.recv(r).unwrap());
    }
    operation.send(s, message).unwrap();
    Chosen::Sent
}

#[test]
fn a_select_that_receives_meets_a_send() {
    for capacity in [0, 1] {
        model("select: recv arm against send", 15, move || {
            let (s, r) = bounded(capacity);
            let other = thread::spawn(move || s.send(7));
            let mut select = Select::new();
            select.recv(&r);
            assert_eq!(select.select().recv(&r), Ok(7));
            assert_eq!(other.join().unwrap(), Ok(()));
        });
    }
}

#[test]
fn a_select_that_sends_meets_a_receive() {
    for capacity in [0, 1] {
        model("select: send arm against recv", 5, move || {
            let (s, r) = bounded(capacity);
            let other = thread::spawn(move || r.recv());
            let mut select = Select::new();
            select.send(&s);
            assert_eq!(select.select().send(&s, 7), Ok(()));
            assert_eq!(other.join().unwrap(), Ok(7));
        });
    }
}

#[test]
fn a_select_that_sends_has_a_value_for_a_receive_that_does_not_wait() {
    model("select: send arm against try_recv", 25, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || {
            let mut select = Select::new();
            select.send(&s);
            select.select().send(&s, 7).unwrap();
        });
        // It waits for the value of a select that it has chosen, but for a time only.
        let received = r.try_recv().or_else(|_| r.recv());
        assert_eq!(received, Ok(7));
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "a packet is filled once"))]
fn canary_one_arm_is_chosen_by_one_party() {
    weaken!("signal: try_claim");
    model("select: two recv arms against two try_sends", 3, || {
        let (s1, r1) = bounded(0);
        let (s2, r2) = bounded(0);
        let mut select = Select::new_biased();
        let number = select.recv(&r1);
        select.recv(&r2);
        let mut chosen = Box::pin(select.select_async());
        let mut context = Context::from_waker(Waker::noop());
        assert!(chosen.as_mut().poll(&mut context).is_pending());
        let other = thread::spawn(move || (s1.try_send(1).is_ok(), s1));
        let mine = s2.try_send(2).is_ok();
        let (theirs, _s1) = other.join().unwrap();
        assert!(mine != theirs);
        let Poll::Ready(operation) = chosen.as_mut().poll(&mut context) else {
            panic!("the choice was lost");
        };
        assert_eq!(operation.index() == number, theirs);
        let message = operation.recv(if theirs { &r1 } else { &r2 });
        assert_eq!(message, Ok(if theirs { 1 } else { 2 }));
    });
}

#[test]
fn two_selects_in_both_roles_on_one_channel_pair_with_each_other() {
    for (mine, theirs) in [
        (First::Receive, First::Receive),
        (First::Receive, First::Send),
        (First::Send, First::Send),
    ] {
        model("select: against itself on one channel", 69, move || {
            let (s, r) = bounded(0);
            let other = thread::spawn({
                let (s, r) = (s.clone(), r.clone());
                move || exchange(&r, &s, 2, theirs, None)
            });
            let chosen = exchange(&r, &s, 1, mine, None);
            match other.join().unwrap() {
                Chosen::Sent => assert_eq!(chosen, Chosen::Received(2)),
                other => assert_eq!((chosen, other), (Chosen::Sent, Chosen::Received(1))),
            }
        });
    }
}

#[test]
fn two_selects_that_cross_over_two_channels_pair_once() {
    for first in [First::Send, First::Receive] {
        model("select: crosswise over two channels", 113, move || {
            let (to_a, a) = bounded(0);
            let (to_b, b) = bounded(0);
            let other = thread::spawn(move || exchange(&b, &to_a, 2, first, None));
            let chosen = exchange(&a, &to_b, 1, First::Receive, None);
            match other.join().unwrap() {
                Chosen::Sent => assert_eq!(chosen, Chosen::Received(2)),
                other => assert_eq!((chosen, other), (Chosen::Sent, Chosen::Received(1))),
            }
        });
    }
}

#[test]
fn a_select_does_not_pair_with_itself() {
    for first in [First::Send, First::Receive] {
        model("select: both arms on one channel", 62, move || {
            let (s, r) = bounded(0);
            let other = thread::spawn({
                let r = r.clone();
                move || r.recv_timeout(Duration::ZERO).ok()
            });
            let chosen = exchange(&r, &s, 1, first, Some(Duration::ZERO));
            match other.join().unwrap() {
                Some(message) => assert_eq!((chosen, message), (Chosen::Sent, 1)),
                // The receiver's time may be over between the choice and the message: then the
                // message is in the channel.
                None if chosen == Chosen::Sent => assert_eq!(r.try_recv(), Ok(1)),
                None => assert_eq!(chosen, Chosen::TimedOut),
            }
        });
    }
}

#[test]
fn a_select_whose_time_is_over_has_received_or_left_the_message_with_its_sender() {
    model(
        "select: time limit of a recv arm against try_send",
        22,
        || {
            let (s, r) = bounded(0);
            let other = thread::spawn(move || (s.try_send(7).is_ok(), s));
            let mut select = Select::new();
            select.recv(&r);
            let received = match select.select_timeout(Duration::ZERO) {
                Ok(operation) => {
                    assert_eq!(operation.recv(&r), Ok(7));
                    true
                }
                Err(_) => false,
            };
            let (sent, _s) = other.join().unwrap();
            assert_eq!(sent, received);
        },
    );
}

#[test]
fn two_selects_whose_time_may_be_over_agree_on_what_happened() {
    model("select: time limit against time limit", 66, || {
        let (s, r) = bounded(0);
        let other = thread::spawn({
            let s = s.clone();
            move || {
                let mut select = Select::new();
                select.send(&s);
                match select.select_timeout(Duration::ZERO) {
                    Ok(operation) => operation.send(&s, 7).is_ok(),
                    Err(_) => false,
                }
            }
        });
        let mut select = Select::new();
        select.recv(&r);
        let received = match select.select_timeout(Duration::ZERO) {
            Ok(operation) => operation.recv(&r).is_ok(),
            Err(_) => false,
        };
        // What was sent to a select that had left is in the channel.
        let sent = other.join().unwrap();
        assert_eq!(sent, received || r.try_recv().is_ok());
        assert!(!received || r.try_recv().is_err());
    });
}

#[test]
fn a_forgotten_selection_keeps_nobody_from_the_receiver_it_had_chosen() {
    model("select: forgotten send arm, recv and send", 17, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || r.recv());
        let mut select = Select::new();
        select.send(&s);
        if let Ok(operation) = select.try_select() {
            std::mem::forget(operation);
        }
        assert_eq!(s.send(7), Ok(()));
        assert_eq!(other.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_forgotten_selection_keeps_nobody_from_the_room_it_was_promised() {
    model("select: forgotten send arm, room for one", 30, || {
        let (s, r) = bounded(1);
        let mut select = Select::new();
        select.send(&s);
        std::mem::forget(select.try_select().unwrap());
        let other = thread::spawn(move || r.recv());
        assert_eq!(s.send(7), Ok(()));
        assert_eq!(other.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_selection_that_comes_late_leaves_its_message_in_the_channel() {
    model("select: overtaken send arm", 17, || {
        let (s, r) = bounded(0);
        let other = thread::spawn({
            let r = r.clone();
            move || r.recv().unwrap()
        });
        let mut select = Select::new();
        select.send(&s);
        let late = select.try_select().ok();
        s.send(1).unwrap();
        let sent = match late {
            Some(operation) => {
                operation.send(&s, 2).unwrap();
                3
            }
            None => 1,
        };
        let theirs = other.join().unwrap();
        assert_eq!(theirs + r.try_recv().unwrap_or(0), sent);
    });
}

//! The watch channel in every interleaving: changes against waits, against one another, and the ends.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod held;

use held::Held;
use weftwork_core::sync::thread;
use weftwork_csp::{RecvError, watch};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

#[test]
fn a_receiver_that_waits_sees_the_last_value_and_then_the_end() {
    model("watch: send and end against changed", 80, || {
        let (sender, mut receiver) = watch::channel(0);
        let other = thread::spawn(move || {
            sender.send(1).unwrap();
            sender.send(2).unwrap();
        });
        let mut last = 0;
        while receiver.changed() == Ok(()) {
            let value = *receiver.borrow_and_update();
            assert!(value > last);
            last = value;
        }
        assert_eq!(last, 2);
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "a change was lost"))]
fn canary_changes_of_two_senders_are_both_there() {
    weaken!("watch_same_version");
    model("watch: send_modify against send_modify", 4, || {
        let (sender, receiver) = watch::channel(0);
        let (sender, receiver) = (Held::new(sender), Held::new(receiver));
        let second = Held::new(sender.clone());
        let other = thread::spawn(move || {
            second.send_modify(|n| *n += 1);
            second.release()
        });
        sender.send_modify(|n| *n += 2);
        drop(other.join().unwrap());
        assert_eq!(*receiver.borrow(), 3, "a change was lost");
        drop(receiver.release());
        drop(sender.release());
    });
}

#[test]
fn a_wait_for_a_value_ends_with_it_or_with_the_senders() {
    model("watch: wait_for against changes", 70, || {
        let (sender, mut receiver) = watch::channel(0);
        let other = thread::spawn(move || {
            sender.send(1).unwrap();
            sender.send(2).unwrap();
        });
        assert_eq!(receiver.wait_for(|n| *n == 2).map(|n| *n), Ok(2));
        assert_eq!(receiver.wait_for(|n| *n == 3).map(|n| *n), Err(RecvError));
        other.join().unwrap();
    });
}

#[test]
fn a_sender_is_told_of_the_end_of_the_last_receiver() {
    model(
        "watch: wait_closed against the end of two receivers",
        270,
        || {
            let (sender, first) = watch::channel(0);
            let second = sender.subscribe();
            let other = thread::spawn(move || drop(first));
            let another = thread::spawn(move || drop(second));
            sender.wait_closed();
            assert!(sender.send(1).is_err());
            other.join().unwrap();
            another.join().unwrap();
        },
    );
}

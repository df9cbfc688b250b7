//! Send and receive in every interleaving, at capacity 0, 1 and without a limit: hand-over, waiting,
//! time limits.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::time::Duration;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::thread;
use weftwork_csp::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError, bounded, unbounded,
};
use weftwork_testkit::{DropCounter, model};

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// So far away that the model says when it is over, not the machine's clock.
const FAR: Duration = Duration::from_secs(3600);

/// A message whose inside loom watches: it must be written before it is read.
struct Letter(UnsafeCell<u32>);

impl Letter {
    fn new(number: u32) -> Self {
        let letter = Letter(UnsafeCell::new(0));
        // SAFETY: nobody else has it; loom checks it.
        letter.0.with_mut(|inside| unsafe { *inside = number });
        letter
    }

    fn read(&self) -> u32 {
        // SAFETY: whoever has it reads it; loom checks that it is alone.
        self.0.with(|inside| unsafe { *inside })
    }
}

// SAFETY: what takes the automatic impl away is loom's cell, which checks its use.
unsafe impl Send for Letter {}

fn of_capacity<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_receiver_that_goes_to_sleep_is_found_by_the_sender() {
    weaken!("receiving: look");
    for capacity in [None, Some(1), Some(0)] {
        model("channel: send against recv", 10, move || {
            let (s, r) = of_capacity(capacity);
            let other = thread::spawn(move || assert!(s.send(Letter::new(7)).is_ok()));
            assert_eq!(r.recv().unwrap().read(), 7);
            other.join().unwrap();
            assert!(r.recv().is_err(), "one message was sent");
        });
    }
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_message_that_is_handed_over_is_seen_whole() {
    weaken!("signal: settle");
    model("channel: try_send against recv_timeout", 18, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || s.try_send(Letter::new(7)).is_ok());
        let received = r.recv_timeout(FAR);
        if let Ok(letter) = &received {
            assert_eq!(letter.read(), 7);
        }
        assert_eq!(other.join().unwrap(), received.is_ok());
    });
}

#[test]
fn a_sender_that_waits_for_room_gets_it() {
    for capacity in [0, 1] {
        model("channel: two sends against two recvs", 20, move || {
            let (s, r) = bounded(capacity);
            let other = thread::spawn(move || {
                s.send(1).unwrap();
                s.send(2).unwrap();
            });
            assert_eq!(r.recv(), Ok(1));
            assert_eq!(r.recv(), Ok(2));
            other.join().unwrap();
        });
    }
}

#[test]
fn two_senders_and_one_receiver_all_come_to_an_end() {
    for capacity in [0, 1] {
        model("channel: two senders, one receiver", 214, move || {
            let (s, r) = bounded(capacity);
            let others = [1, 2].map(|number| {
                let s = s.clone();
                thread::spawn(move || s.send(number).unwrap())
            });
            let sum = r.recv().unwrap() + r.recv().unwrap();
            assert_eq!(sum, 3);
            for other in others {
                other.join().unwrap();
            }
        });
    }
}

#[test]
fn two_receivers_and_one_sender_all_come_to_an_end() {
    for capacity in [0, 1] {
        model("channel: one sender, two receivers", 119, move || {
            let (s, r) = bounded(capacity);
            let others = [(); 2].map(|()| {
                let r = r.clone();
                thread::spawn(move || r.recv().unwrap())
            });
            s.send(1).unwrap();
            s.send(2).unwrap();
            let sum: i32 = others.map(|other| other.join().unwrap()).iter().sum();
            assert_eq!(sum, 3);
        });
    }
}

#[test]
fn a_send_that_does_not_wait_meets_a_receiver_that_does() {
    model("channel: try_send against recv", 14, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || r.recv());
        match s.try_send(7) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => s.send(message).unwrap(),
            Err(TrySendError::Disconnected(_)) => panic!("the receiver is there"),
        }
        assert_eq!(other.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_receive_that_does_not_wait_meets_a_sender_that_does() {
    model("channel: try_recv against send", 14, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || s.send(7));
        let received = r.try_recv().or_else(|_| r.recv());
        assert_eq!(received, Ok(7));
        assert_eq!(other.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_send_whose_time_is_over_was_received_or_gives_its_message_back() {
    let drops = DropCounter::new();
    model("channel: send_timeout against try_recv", 18, move || {
        let drops = drops.clone();
        let (s, r) = bounded(0);
        let message = drops.track(7);
        let other = thread::spawn(move || r.try_recv().is_ok());
        let sent = s.send_timeout(message, FAR);
        let received = other.join().unwrap();
        match &sent {
            Ok(()) => assert!(received),
            Err(SendTimeoutError::Timeout(_) | SendTimeoutError::Disconnected(_)) => {
                assert!(!received);
            }
        }
        drop(sent);
        drops.assert_none_live();
    });
}

#[test]
fn a_receive_whose_time_is_over_leaves_the_message_where_it_is() {
    model("channel: send against recv_timeout", 16, || {
        let (s, r) = bounded(1);
        let other = thread::spawn(move || {
            s.send(7).unwrap();
            s
        });
        let received = r.recv_timeout(FAR);
        let _s = other.join().unwrap();
        match received {
            Ok(message) => assert_eq!(message, 7),
            Err(RecvTimeoutError::Timeout) => assert_eq!(r.try_recv(), Ok(7)),
            Err(RecvTimeoutError::Disconnected) => panic!("the sender is there"),
        }
        assert!(r.try_recv().is_err(), "it was received twice");
    });
}

#[test]
fn two_whose_time_may_be_over_agree_on_what_happened() {
    model("channel: send_timeout against recv_timeout", 22, || {
        let (s, r) = bounded(0);
        let other = thread::spawn(move || (r.recv_timeout(FAR).is_ok(), r));
        let sent = s.send_timeout(7, FAR).is_ok();
        let (received, r) = other.join().unwrap();
        assert_eq!(sent, received);
        assert!(r.try_recv().is_err());
    });
}

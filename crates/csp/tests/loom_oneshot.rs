//! The oneshot channel in every interleaving: send, drop and close of one end against receive, drop,
//! close and a new poll of the other.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod held;

use held::Held;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_core::sync::thread;
use weftwork_csp::oneshot::{self, Receiver, RecvError, RecvTimeoutError};
use weftwork_testkit::{DropCounter, model};

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A waker that counts its calls, outside the model.
#[derive(Default)]
struct Calls(Count);

impl Calls {
    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<T>(receiver: &mut Receiver<T>, calls: &Arc<Calls>) -> Poll<Result<T, RecvError>> {
    let waker = Waker::from(Arc::clone(calls));
    Pin::new(receiver).poll(&mut Context::from_waker(&waker))
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_message_is_received_whole() {
    weaken!("oneshot_order");
    model("oneshot: send against try_recv and drop", 8, || {
        let drops = DropCounter::new();
        let (sender, receiver) = oneshot::channel();
        let mut receiver = Held::new(receiver);
        let message = drops.track(7);
        let other = thread::spawn(move || sender.send(message).is_ok());
        let received = receiver.try_recv().is_ok();
        drop(receiver);
        let sent = other.join().unwrap();
        assert!(sent || !received);
        drops.assert_none_live();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_receiver_that_registers_is_woken() {
    weaken!("oneshot_announce");
    model("oneshot: send against recv", 31, || {
        let (sender, receiver) = oneshot::channel();
        let mut receiver = Held::new(receiver);
        let other = thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(weftwork_core::block_on(&mut *receiver), Ok(7));
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_receiver_that_polls_with_another_waker_is_woken_by_that() {
    weaken!("oneshot_withdraw");
    model(
        "oneshot: send against a poll with another waker",
        10,
        || {
            let (sender, receiver) = oneshot::channel();
            let mut receiver = Held::new(receiver);
            let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
            assert!(poll(&mut receiver, &first).is_pending());
            let other = thread::spawn(move || sender.send(7).unwrap());
            let polled = poll(&mut receiver, &second);
            other.join().unwrap();
            match polled {
                Poll::Ready(message) => assert_eq!(message, Ok(7)),
                Poll::Pending => {
                    assert_eq!((first.get(), second.get()), (0, 1));
                    assert_eq!(receiver.try_recv(), Ok(7));
                }
            }
            drop(receiver);
            // Neither waker was left behind.
            assert_eq!(
                (Arc::strong_count(&first), Arc::strong_count(&second)),
                (1, 1)
            );
        },
    );
}

#[test]
fn a_receiver_is_told_of_a_sender_that_is_dropped() {
    model("oneshot: drop of the sender against recv", 31, || {
        let (sender, receiver) = oneshot::channel::<i32>();
        let other = thread::spawn(move || drop(sender));
        assert_eq!(receiver.recv(), Err(RecvError));
        other.join().unwrap();
    });
}

#[test]
fn a_message_sent_to_a_receiver_that_is_dropped_is_dropped_or_handed_back() {
    model("oneshot: send against a drop after a poll", 13, || {
        let drops = DropCounter::new();
        let calls = Arc::new(Calls::default());
        let (sender, mut receiver) = oneshot::channel();
        assert!(poll(&mut receiver, &calls).is_pending());
        let message = drops.track(7);
        let other = thread::spawn(move || sender.send(message).map_err(|e| e.into_inner()));
        drop(receiver);
        // The waker is gone with the receiver, unless the sender is about to call it.
        match other.join().unwrap() {
            Ok(()) => {}
            Err(message) => drop(message),
        }
        drops.assert_none_live();
        assert_eq!(Arc::strong_count(&calls), 1);
    });
}

#[test]
fn two_ends_that_are_dropped_at_once_free_the_channel_once() {
    model("oneshot: drop of both ends, both waiting", 10, || {
        let calls = Arc::new(Calls::default());
        let closed_calls = Arc::new(Calls::default());
        let (mut sender, mut receiver) = oneshot::channel::<i32>();
        assert!(poll(&mut receiver, &calls).is_pending());
        let waker = Waker::from(Arc::clone(&closed_calls));
        let mut closed = sender.closed();
        assert!(
            Pin::new(&mut closed)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        // The waker stays, as with a future that is leaked.
        std::mem::forget(closed);
        drop(waker);
        let other = thread::spawn(move || drop(sender));
        drop(receiver);
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&calls), 1);
        assert_eq!(Arc::strong_count(&closed_calls), 1);
        assert!(
            calls.get() + closed_calls.get() <= 1,
            "one of the two is too late"
        );
    });
}

#[test]
fn a_sender_that_waits_is_told_of_a_close_and_of_a_drop() {
    for close in [true, false] {
        model(
            "oneshot: close or drop against a wait for it",
            70,
            move || {
                let (mut sender, mut receiver) = oneshot::channel::<i32>();
                let other = thread::spawn(move || {
                    if close {
                        receiver.close();
                        assert_eq!(
                            receiver.try_recv(),
                            Err(oneshot::TryRecvError::Disconnected)
                        );
                    }
                });
                sender.wait_closed();
                assert!(sender.send(7).is_err());
                other.join().unwrap();
            },
        );
    }
}

#[test]
fn a_message_is_received_or_handed_back_whatever_a_close_does() {
    model("oneshot: send against close and try_recv", 7, || {
        let (sender, mut receiver) = oneshot::channel();
        let other = thread::spawn(move || sender.send(7).is_ok());
        receiver.close();
        let received = receiver.try_recv().is_ok();
        assert_eq!(other.join().unwrap(), received);
    });
}

#[test]
fn a_message_that_comes_at_the_deadline_is_received_then_or_later() {
    model("oneshot: send against recv with a deadline", 160, || {
        let (sender, mut receiver) = oneshot::channel();
        let other = thread::spawn(move || sender.send(7).unwrap());
        let deadline = Instant::now() + Duration::from_secs(3600);
        let early = receiver.recv_deadline(deadline);
        other.join().unwrap();
        match early {
            Ok(message) => assert_eq!(message, 7),
            Err(RecvTimeoutError::Timeout) => assert_eq!(receiver.recv(), Ok(7)),
            Err(RecvTimeoutError::Disconnected) => panic!("the message was lost"),
        }
    });
}

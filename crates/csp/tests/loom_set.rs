//! The set of receivers in every interleaving: wakes against looks.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod held;

use held::Held;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use weftwork_core::sync::thread;
use weftwork_csp::set::ReceiverSet;
use weftwork_csp::{RecvError, bounded, unbounded};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A waker that notes that it was called. Outside the models: it is looked at when all is over.
#[derive(Default)]
struct Called(AtomicBool);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "a wake was lost"))]
fn canary_a_message_that_comes_between_look_and_sleep_is_told_of() {
    weaken!("set: pop_or_wait");
    model("set: send against look", 8, || {
        let (s, r) = unbounded();
        let (s, mut set) = (Held::new(s), Held::new(ReceiverSet::new()));
        let key = set.insert(r);
        let sending = thread::spawn(move || {
            s.send(1).unwrap();
            s.release()
        });
        let called = Arc::<Called>::default();
        let waker = Waker::from(Arc::clone(&called));
        let mut next = Held::new(Box::pin(set.recv_async()));
        let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
        let s = Held::new(sending.join().unwrap());
        match polled {
            Poll::Ready(received) => assert_eq!(received, Some((key, Ok(1)))),
            Poll::Pending => assert!(called.0.load(Ordering::SeqCst), "a wake was lost"),
        }
        drop(next.release());
        drop(s.release());
        drop(set.release());
    });
}

#[test]
fn a_set_sleeps_until_a_message_comes() {
    model("set: send against receive", 24, || {
        let (s, r) = unbounded();
        let mut set = ReceiverSet::new();
        let key = set.insert(r);
        let sending = thread::spawn(move || s.send(1).unwrap());
        assert_eq!(set.recv(), Some((key, Ok(1))));
        assert_eq!(set.recv(), Some((key, Err(RecvError))));
        sending.join().unwrap();
    });
}

#[test]
fn the_channels_of_two_senders_both_arrive_and_end() {
    model("set: two senders, capacity 0", 4_500, || {
        let mut set = ReceiverSet::new();
        let senders = [1, 2].map(|n| {
            let (s, r) = bounded(0);
            set.insert(r);
            thread::spawn(move || s.send(n).unwrap())
        });
        let mut sum = 0;
        let mut ended = 0;
        while let Some((_, received)) = set.recv() {
            match received {
                Ok(n) => sum += n,
                Err(RecvError) => ended += 1,
            }
        }
        assert_eq!((sum, ended), (3, 2));
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_receiver_that_is_removed_leaves_its_message_to_others() {
    model("set: remove against receive", 11, || {
        let (s, r) = unbounded();
        let mut set = ReceiverSet::new();
        let key = set.insert(r.clone());
        assert_eq!(set.try_recv(), None);
        let receiving = thread::spawn(move || r.recv());
        s.send(1).unwrap();
        drop(set.remove(key));
        assert_eq!(receiving.join().unwrap(), Ok(1));
    });
}

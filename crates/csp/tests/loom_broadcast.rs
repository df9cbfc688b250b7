//! The broadcast and the lossy channels in every interleaving: sends against receives, ends and drops
//! of futures.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod held;

use held::Held;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Wake, Waker};
use weftwork_core::sync::thread;
use weftwork_csp::broadcast::{self, RecvError};
use weftwork_csp::lossy;
use weftwork_testkit::model;

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

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn two_receivers_see_all_through_one_place() {
    model("broadcast: bounded, two receivers", 8000, || {
        let (sender, mut first) = broadcast::bounded(1);
        let mut second = sender.subscribe();
        let other = thread::spawn(move || (second.recv(), second.recv()));
        let sending = thread::spawn(move || {
            sender.send(1).unwrap();
            sender.send(2).unwrap();
        });
        assert_eq!((first.recv(), first.recv()), (Ok(1), Ok(2)));
        assert_eq!(other.join().unwrap(), (Ok(1), Ok(2)));
        sending.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the place was lost"))]
fn canary_room_of_a_send_that_is_dropped_goes_to_the_next() {
    weaken!("broadcast_pass_on");
    model("broadcast: room against the drop of a send", 5, || {
        let (sender, receiver) = broadcast::bounded(1);
        let (sender, mut receiver) = (Held::new(sender), Held::new(receiver));
        sender.send(0).unwrap();
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        let mut first = Held::new(Box::pin(sender.send_async(1)));
        let mut next = Held::new(Box::pin(sender.send_async(2)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        let other = thread::spawn(move || {
            assert_eq!(receiver.recv(), Ok(0));
            receiver.release()
        });
        drop(first.release());
        let receiver = Held::new(other.join().unwrap());
        assert_eq!(calls.0.load(SeqCst), 1, "the place was lost");
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        );
        drop(next.release());
        drop(receiver.release());
        drop(sender.release());
    });
}

#[test]
fn a_receiver_is_told_of_the_last_message_and_of_the_end() {
    model("broadcast: send and end against recv", 60, || {
        let (sender, mut receiver) = broadcast::lagging(1);
        let other = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Err(RecvError::Disconnected));
        other.join().unwrap();
    });
}

#[test]
fn the_end_of_the_slowest_receiver_makes_room() {
    model("broadcast: send against the end of the slowest", 30, || {
        let (sender, slow) = broadcast::bounded(1);
        let mut quick = sender.subscribe();
        sender.send(1).unwrap();
        assert_eq!(quick.recv(), Ok(1));
        let other = thread::spawn(move || drop(slow));
        sender.send(2).unwrap();
        assert_eq!(quick.recv(), Ok(2));
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the news were lost"))]
fn canary_news_of_a_receive_that_is_dropped_go_to_the_next() {
    weaken!("lossy_pass_on");
    model("lossy: send against the drop of a receive", 5, || {
        let (sender, receiver) = lossy::sliding(1);
        let receiver = Held::new(receiver);
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        let mut first = Held::new(Box::pin(receiver.recv_async()));
        let mut next = Held::new(Box::pin(receiver.recv_async()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        let other = thread::spawn(move || {
            sender.send(1).unwrap();
            sender
        });
        drop(first.release());
        let sender = Held::new(other.join().unwrap());
        assert_eq!(calls.0.load(SeqCst), 1, "the news were lost");
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        );
        drop(next.release());
        drop(receiver.release());
        drop(sender.release());
    });
}

#[test]
fn two_receivers_share_what_a_sender_of_a_lossy_channel_sends() {
    model("lossy: two receivers against two messages", 750, || {
        let (sender, receiver) = lossy::dropping(2);
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || receiver.recv()
        });
        let sending = thread::spawn(move || {
            sender.send(1).unwrap();
            sender.send(2).unwrap();
        });
        let mine = receiver.recv().unwrap();
        let theirs = other.join().unwrap().unwrap();
        sending.join().unwrap();
        assert_eq!(mine + theirs, 3);
        assert!(receiver.recv().is_err());
    });
}

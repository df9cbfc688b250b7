//! An event that happens while transactions go to sleep for it, and go away, in every interleaving.

#![cfg(weftwork_loom)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use weftwork_core::sync::{Mutex, thread};
use weftwork_stm::bridge::TEvent;
use weftwork_stm::{atomically, atomically_async};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A message from one thread to a future.
#[derive(Default)]
struct Letter(Mutex<(Option<u32>, Option<Waker>)>);

impl Letter {
    fn send(&self, number: u32) {
        let waker = {
            let mut letter = self.0.lock();
            letter.0 = Some(number);
            letter.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<u32> {
        let waker = context.waker().clone();
        let mut letter = self.0.lock();
        let Some(number) = letter.0 else {
            let old = letter.1.replace(waker);
            drop(letter);
            drop(old);
            return Poll::Pending;
        };
        Poll::Ready(number)
    }
}

fn event() -> (Arc<Letter>, TEvent<u32>) {
    let letter = Arc::new(Letter::default());
    let received = Arc::clone(&letter);
    let event = TEvent::new(std::future::poll_fn(move |context| received.poll(context)));
    (letter, event)
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_who_sleeps_for_an_event_is_woken() {
    weaken!("stm: event clear");
    model("event against one who waits", 15, || {
        let (letter, event) = event();
        let sender = thread::spawn(move || letter.send(7));
        assert_eq!(atomically(|tx| event.get(tx).copied()), 7);
        sender.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_who_found_nothing_to_poll_is_woken_when_the_poller_goes_away() {
    weaken!("stm: event again");
    model(
        "event against one who waits and one who leaves",
        7_000,
        || {
            let (letter, event) = event();
            let sender = thread::spawn(move || letter.send(7));
            let leaves = thread::spawn({
                let event = event.clone();
                move || {
                    let mut wait = pin!(atomically_async(|tx| event.get(tx).copied()));
                    let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
            });
            assert_eq!(atomically(|tx| event.get(tx).copied()), 7);
            sender.join().unwrap();
            leaves.join().unwrap();
        },
    );
}

//! Futures of a channel in every interleaving: dropped, or polled by another task, while somebody
//! hands over.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use weftwork_core::sync::thread;
use weftwork_csp::{Select, bounded, unbounded};
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

fn poll<F: Future>(future: &mut Pin<Box<F>>, calls: &Arc<Calls>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(calls));
    future.as_mut().poll(&mut Context::from_waker(&waker))
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the news were lost"))]
fn canary_news_of_a_receive_that_is_dropped_go_to_the_next() {
    weaken!("receiving: pass on");
    for capacity in [Some(1), None] {
        model(
            "futures: send against the drop of a receive",
            2,
            move || {
                let (s, r) = capacity.map_or_else(unbounded, bounded);
                let calls = Arc::new(Calls::default());
                let mut first = Box::pin(r.recv_async());
                let mut next = Box::pin(r.recv_async());
                assert!(poll(&mut first, &Arc::new(Calls::default())).is_pending());
                assert!(poll(&mut next, &calls).is_pending());
                let other = thread::spawn(move || s.send(7).map(|()| s));
                drop(first);
                let _s = other.join().unwrap().unwrap();
                assert_eq!(calls.get(), 1, "the news were lost");
                assert_eq!(poll(&mut next, &calls), Poll::Ready(Ok(7)));
            },
        );
    }
}

#[test]
fn a_message_handed_to_a_receive_that_is_dropped_is_in_the_channel() {
    model("futures: try_send against the drop of a receive", 2, || {
        let (s, r) = bounded(0);
        let mut receive = Box::pin(r.recv_async());
        assert!(poll(&mut receive, &Arc::new(Calls::default())).is_pending());
        let other = thread::spawn(move || (s.try_send(7).is_ok(), s));
        drop(receive);
        let (sent, _s) = other.join().unwrap();
        assert_eq!(r.try_recv().is_ok(), sent);
        assert!(r.try_recv().is_err());
    });
}

#[test]
fn a_message_handed_to_a_receive_that_is_dropped_goes_to_the_next() {
    model("futures: hand-over, a drop, and a recv", 45, || {
        let (s, r) = bounded(0);
        let mut receive = Box::pin(r.recv_async());
        assert!(poll(&mut receive, &Arc::new(Calls::default())).is_pending());
        let next = thread::spawn({
            let r = r.clone();
            move || r.recv()
        });
        let sender = thread::spawn(move || s.send(7));
        drop(receive);
        assert_eq!(next.join().unwrap(), Ok(7));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_send_that_is_dropped_was_received_or_keeps_its_message() {
    for capacity in [0, 1] {
        model("futures: recv against the drop of a send", 2, move || {
            let drops = DropCounter::new();
            let (s, r) = bounded(capacity);
            for _ in 0..capacity {
                s.send(drops.track(0)).unwrap();
            }
            let mut send = Box::pin(s.send_async(drops.track(7)));
            assert!(poll(&mut send, &Arc::new(Calls::default())).is_pending());
            let other = thread::spawn({
                let r = r.clone();
                move || r.try_recv().is_ok()
            });
            let message = send.as_mut().into_message();
            drop(send);
            let received = other.join().unwrap();
            assert!(received || message.is_some());
            let left = r.try_iter().count();
            let gone = usize::from(received) + usize::from(message.is_some());
            assert_eq!(left + gone, capacity + 1);
            drop(message);
            drops.assert_none_live();
        });
    }
}

#[test]
fn room_of_a_send_that_is_dropped_goes_to_the_next() {
    model(
        "futures: recv against the drop of a send, another behind",
        2,
        || {
            let (s, r) = bounded(1);
            s.send(0).unwrap();
            let calls = Arc::new(Calls::default());
            let mut first = Box::pin(s.send_async(1));
            let mut next = Box::pin(s.send_async(2));
            assert!(poll(&mut first, &Arc::new(Calls::default())).is_pending());
            assert!(poll(&mut next, &calls).is_pending());
            let other = thread::spawn(move || {
                assert_eq!(r.recv(), Ok(0));
                r
            });
            let kept = first.as_mut().into_message().is_some();
            drop(first);
            let r = other.join().unwrap();
            if kept {
                assert_eq!(calls.get(), 1, "the room was lost");
                assert_eq!(poll(&mut next, &calls), Poll::Ready(Ok(())));
            }
            assert_eq!(r.recv(), Ok(if kept { 2 } else { 1 }));
        },
    );
}

#[test]
fn a_receive_that_is_polled_by_another_task_wakes_that() {
    for capacity in [0, 1] {
        model("futures: send against another waker", 6, move || {
            let (s, r) = bounded(capacity);
            let calls = [(); 2].map(|()| Arc::new(Calls::default()));
            let mut receive = Box::pin(r.recv_async());
            assert!(poll(&mut receive, &calls[0]).is_pending());
            let other = thread::spawn(move || s.try_send(7).map(|()| s));
            let polled = poll(&mut receive, &calls[1]);
            let _s = other.join().unwrap().unwrap();
            match polled {
                Poll::Ready(message) => assert_eq!(message, Ok(7)),
                Poll::Pending => {
                    assert_eq!((calls[0].get(), calls[1].get()), (0, 1));
                    assert_eq!(poll(&mut receive, &calls[1]), Poll::Ready(Ok(7)));
                }
            }
            drop(receive);
            let left = [0, 1].map(|n: usize| Arc::strong_count(&calls[n]));
            assert_eq!(left, [1, 1], "a waker was left behind");
        });
    }
}

#[test]
fn a_send_that_is_polled_by_another_task_wakes_that() {
    for capacity in [0, 1] {
        model("futures: recv against another waker", 6, move || {
            let (s, r) = bounded(capacity);
            for _ in 0..capacity {
                s.send(0).unwrap();
            }
            let calls = [(); 2].map(|()| Arc::new(Calls::default()));
            let mut send = Box::pin(s.send_async(7));
            assert!(poll(&mut send, &calls[0]).is_pending());
            let other = thread::spawn(move || r.try_recv().map(|_| r));
            let polled = poll(&mut send, &calls[1]);
            let _r = other.join().unwrap().unwrap();
            if polled.is_pending() {
                assert_eq!((calls[0].get(), calls[1].get()), (0, 1));
                assert_eq!(poll(&mut send, &calls[1]), Poll::Ready(Ok(())));
            }
        });
    }
}

#[test]
fn a_select_that_is_dropped_loses_no_message() {
    for capacity in [0, 1] {
        model(
            "futures: try_send against the drop of a select",
            6,
            move || {
                let (s, r) = bounded(capacity);
                let (_s2, r2) = bounded::<i32>(0);
                let mut select = Select::new();
                select.recv(&r);
                select.recv(&r2);
                let mut chosen = Box::pin(select.select_async());
                assert!(poll(&mut chosen, &Arc::new(Calls::default())).is_pending());
                let other = thread::spawn(move || (s.try_send(7).is_ok(), s));
                drop(chosen);
                let (sent, _s) = other.join().unwrap();
                assert_eq!(r.try_recv().is_ok(), sent);
                assert!(r.try_recv().is_err());
            },
        );
    }
}

#[test]
fn a_select_that_is_polled_by_another_task_wakes_that() {
    model(
        "futures: send against another waker of a select",
        12,
        || {
            let (s, r) = bounded(1);
            let calls = [(); 2].map(|()| Arc::new(Calls::default()));
            let mut select = Select::new();
            select.recv(&r);
            let mut chosen = Box::pin(select.select_async());
            assert!(poll(&mut chosen, &calls[0]).is_pending());
            let other = thread::spawn(move || s.send(7).map(|()| s));
            let polled = poll(&mut chosen, &calls[1]);
            let _s = other.join().unwrap().unwrap();
            let polled = match polled {
                Poll::Pending => {
                    assert_eq!((calls[0].get(), calls[1].get()), (0, 1));
                    poll(&mut chosen, &calls[1])
                }
                ready => ready,
            };
            let Poll::Ready(operation) = polled else {
                panic!("it was woken for nothing");
            };
            assert_eq!(operation.recv(&r), Ok(7));
        },
    );
}

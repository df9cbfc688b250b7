//! Batches: many messages under one lock, and none of them lost.

#![cfg(not(weftwork_loom))]

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use weftwork_csp::{TryRecvError, after, bounded, never, select, unbounded};
use weftwork_sched::Runtime;
use weftwork_testkit::{DropCounter, iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

/// A waker that counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Calls {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, calls: &Arc<Calls>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(calls));
    future.poll(&mut Context::from_waker(&waker))
}

#[test]
fn a_batch_arrives_whole_and_in_order_whatever_the_capacity() {
    let _dog = watchdog(PATIENCE);
    for capacity in [Some(0), Some(1), Some(3), Some(1000), None] {
        let (s, r) = capacity.map_or_else(unbounded, bounded);
        let sender = thread::spawn(move || s.send_many(0..500).unwrap());
        let mut received = Vec::new();
        while r.recv_many(&mut received, 7) > 0 {}
        assert_eq!(sender.join().unwrap(), 500);
        assert_eq!(received, (0..500).collect::<Vec<_>>());
    }
}

#[test]
fn a_batch_of_nothing_is_sent_at_once_even_to_nobody() {
    let (s, r) = bounded::<i32>(0);
    assert_eq!(s.send_many([]).unwrap(), 0);
    drop(r);
    assert_eq!(s.send_many(None).unwrap(), 0);
}

#[test]
fn what_is_left_of_a_batch_after_an_error_comes_back() {
    let _dog = watchdog(PATIENCE);
    for capacity in [0, 1, 5, 70] {
        let drops = DropCounter::new();
        let (s, r) = bounded(capacity);
        let receiver = thread::spawn(move || {
            let received: Vec<_> = r.iter().take(3).collect();
            r.close();
            (received, r.iter().collect::<Vec<_>>())
        });
        let error = s
            .send_many((0..1000).map(|n| (n, drops.track(()))))
            .unwrap_err();
        let sent = error.sent();
        assert!(sent >= 3);
        let unsent: Vec<_> = error.into_unsent().collect();
        let (first, rest) = receiver.join().unwrap();
        assert_eq!(first.len() + rest.len(), sent);
        let all = first.iter().chain(&rest).chain(&unsent).map(|(n, _)| *n);
        assert!(all.eq(0..1000));
        drops.assert_live(1000);
        drop((first, rest, unsent));
        drops.assert_none_live();
    }
}

#[test]
fn an_iterator_that_does_not_know_its_length_has_each_message_sent_before_the_next() {
    let (s, r) = unbounded();
    let mut next = 0;
    let one_by_one = std::iter::from_fn(|| {
        assert_eq!(r.len(), next);
        next += 1;
        (next <= 100).then_some(next)
    });
    assert_eq!(s.send_many(one_by_one).unwrap(), 100);
}

#[test]
fn no_iterator_is_asked_for_more_than_64_messages_ahead() {
    let _dog = watchdog(PATIENCE);
    let given = Cell::new(0_usize);
    let (s, r) = unbounded();
    let messages = (0..1000_usize).inspect(|n| {
        given.set(n + 1);
        assert!(n - r.len() < 64);
    });
    assert_eq!(s.send_many(messages).unwrap(), 1000);
    assert_eq!(given.get(), 1000);
}

#[test]
fn an_iterator_may_use_the_channel_it_is_sent_to() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = unbounded();
    s.send(0).unwrap();
    // Each message but the first is made of the one before.
    let messages = std::iter::from_fn(|| r.recv().ok().map(|n| n + 1)).take(10);
    assert_eq!(s.send_many(messages).unwrap(), 10);
    assert_eq!(r.recv(), Ok(10));
}

#[test]
fn a_panicking_iterator_leaves_the_channel_usable() {
    let (s, r) = unbounded();
    let messages = std::iter::from_fn(|| (r.len() < 2).then_some(7).or_else(|| panic!("spent")));
    let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| s.send_many(messages)));
    assert!(sent.is_err());
    assert_eq!(r.try_iter().collect::<Vec<_>>(), [7, 7]);
    s.send(8).unwrap();
    assert_eq!(r.recv(), Ok(8));
}

#[test]
fn a_limit_of_0_receives_nothing_and_does_not_wait() {
    let (s, r) = unbounded();
    let mut messages = Vec::new();
    assert_eq!(r.recv_many(&mut messages, 0), 0);
    assert_eq!(r.try_recv_many(&mut messages, 0), Ok(0));
    assert_eq!(
        weftwork_core::block_on(r.recv_many_async(&mut messages, 0)),
        0
    );
    s.send(1).unwrap();
    assert_eq!(r.recv_many(&mut messages, 0), 0);
    assert_eq!((messages, r.len()), (vec![], 1));
}

#[test]
fn a_batch_is_put_behind_what_is_there() {
    let (s, r) = unbounded();
    s.send_many([2, 3]).unwrap();
    let mut messages = vec![1];
    assert_eq!(r.recv_many(&mut messages, usize::MAX), 2);
    assert_eq!(messages, [1, 2, 3]);
}

#[test]
fn trying_says_whether_there_is_hope() {
    let (s, r) = bounded(4);
    let mut messages = Vec::new();
    assert_eq!(r.try_recv_many(&mut messages, 9), Err(TryRecvError::Empty));
    s.send_many([1, 2]).unwrap();
    drop(s);
    assert_eq!(r.try_recv_many(&mut messages, 9), Ok(2));
    assert_eq!(
        r.try_recv_many(&mut messages, 9),
        Err(TryRecvError::Disconnected)
    );
    assert_eq!(r.recv_many(&mut messages, 9), 0);
    assert_eq!(r.drain().len(), 0);
    assert_eq!(messages, [1, 2]);
}

#[test]
fn a_batch_takes_from_the_senders_that_wait() {
    for capacity in [0, 1, 2] {
        let (s, r) = bounded(capacity);
        let calls: [Arc<Calls>; 6] = Default::default();
        let mut sends: Vec<_> = (0..6).map(|n| Box::pin(s.send_async(n))).collect();
        for (n, (send, calls)) in sends.iter_mut().zip(&calls).enumerate() {
            assert_eq!(poll(send.as_mut(), calls).is_ready(), n < capacity);
        }
        let mut messages = Vec::new();
        assert_eq!(r.recv_many(&mut messages, 4), 4);
        assert_eq!(messages, [0, 1, 2, 3]);
        let drained: Vec<_> = r.drain().collect();
        assert_eq!(drained, [4, 5]);
        for (send, calls) in sends.iter_mut().zip(&calls).skip(capacity) {
            assert_eq!(calls.get(), 1);
            assert_eq!(poll(send.as_mut(), calls), Poll::Ready(Ok(())));
        }
    }
}

#[test]
fn draining_lets_those_in_who_wait_for_room() {
    let (s, r) = bounded(2);
    s.send_many([1, 2]).unwrap();
    let calls = Arc::<Calls>::default();
    let mut reserve = pin!(s.reserve_async());
    assert!(poll(reserve.as_mut(), &calls).is_pending());
    assert_eq!(r.clear(), 2);
    assert_eq!(calls.get(), 1);
    assert!(poll(reserve.as_mut(), &calls).is_ready());
}

#[test]
fn messages_that_are_cleared_are_dropped_where_they_may_use_the_channel() {
    struct Resend(weftwork_csp::Sender<Resend>, bool);
    impl Drop for Resend {
        fn drop(&mut self) {
            if self.1 {
                self.0.send(Resend(self.0.clone(), false)).unwrap();
            }
        }
    }
    let _dog = watchdog(PATIENCE);
    let (s, r) = unbounded();
    for _ in 0..3 {
        s.send(Resend(s.clone(), true)).unwrap();
    }
    assert_eq!(r.clear(), 3);
    assert_eq!(r.clear(), 3);
    assert_eq!(r.clear(), 0);
}

#[test]
fn a_clock_gives_batches_of_one() {
    let _dog = watchdog(PATIENCE);
    let mut messages = Vec::new();
    let clock = after(Duration::from_millis(1));
    assert_eq!(clock.recv_many(&mut messages, 5), 1);
    assert_eq!(
        clock.try_recv_many(&mut messages, 5),
        Err(TryRecvError::Empty)
    );
    let clock = after(Duration::ZERO);
    assert_eq!(
        weftwork_core::block_on(clock.recv_many_async(&mut messages, 5)),
        1
    );
    assert_eq!(after(Duration::ZERO).clear(), 1);
    assert_eq!(messages.len(), 2);
    let late = never::<i32>().recv_many_timeout(&mut Vec::new(), 5, Duration::ZERO);
    assert!(late.is_err());
}

#[test]
fn a_batch_that_is_awaited_and_given_up_takes_nothing() {
    let (s, r) = unbounded();
    let calls = Arc::<Calls>::default();
    let mut messages = Vec::new();
    let mut batch = Box::pin(r.recv_many_async(&mut messages, 10));
    assert!(poll(batch.as_mut(), &calls).is_pending());
    s.send_many([1, 2, 3]).unwrap();
    assert_eq!(calls.get(), 1);
    drop(batch);
    assert_eq!(messages, []);
    assert_eq!(r.drain().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_batch_that_was_told_and_given_up_tells_the_next() {
    let (s, r) = unbounded();
    let calls: [Arc<Calls>; 2] = Default::default();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let mut first = Box::pin(r.recv_many_async(&mut one, 10));
    let mut second = Box::pin(r.recv_many_async(&mut two, 10));
    assert!(poll(first.as_mut(), &calls[0]).is_pending());
    assert!(poll(second.as_mut(), &calls[1]).is_pending());
    s.send(1).unwrap();
    assert_eq!((calls[0].get(), calls[1].get()), (1, 0));
    drop(first);
    assert_eq!(calls[1].get(), 1);
    assert_eq!(poll(second.as_mut(), &calls[1]), Poll::Ready(1));
    drop(second);
    assert_eq!((one, two), (vec![], vec![1]));
}

#[test]
fn a_select_may_wait_for_a_batch() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(0);
    let sender = thread::spawn(move || s.send_many([1, 2]).unwrap());
    let mut messages = Vec::new();
    while messages.len() < 2 {
        select! {
            event(r.recv_many_async(&mut messages, 10)) -> received => assert!(received > 0),
            recv(never::<i32>()) -> _ => unreachable!("never"),
        }
    }
    assert_eq!(messages, [1, 2]);
    assert_eq!(sender.join().unwrap(), 2);
    let mut late = Vec::new();
    assert_eq!(r.recv_many_deadline(&mut late, 10, Instant::now()), Ok(0));
}

#[test]
fn batches_of_threads_green_threads_and_tokio_lose_no_message() {
    let _dog = watchdog(PATIENCE);
    let count = iters(20_000, 2_000, 100);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for capacity in [Some(0), Some(2), Some(100), None] {
        let drops = DropCounter::new();
        let (s, r) = capacity.map_or_else(unbounded, bounded);
        let send = |s: weftwork_csp::Sender<_>, producer: usize| {
            let drops = drops.clone();
            move || {
                let mut next = 0;
                while next < count {
                    let end = count.min(next + 1 + next % 97);
                    let batch = (next..end).map(|n| (producer, n, drops.track(())));
                    assert_eq!(s.send_many(batch).unwrap(), end - next);
                    next = end;
                }
            }
        };
        let on_thread = thread::spawn(send(s.clone(), 0));
        let green = runtime.spawn(send(s, 1));
        let receive = |r: weftwork_csp::Receiver<_>| {
            move || {
                let mut received = Vec::new();
                let mut limits = (1..50).cycle();
                while r.recv_many(&mut received, limits.next().unwrap()) > 0 {}
                received
            }
        };
        let consumers = (
            thread::spawn(receive(r.clone())),
            runtime.spawn(receive(r.clone())),
            tokio.spawn(async move {
                let mut received = Vec::new();
                while r.recv_many_async(&mut received, 33).await > 0 {}
                received
            }),
        );
        on_thread.join().unwrap();
        green.join().unwrap();
        let received = [
            consumers.0.join().unwrap(),
            consumers.1.join().unwrap(),
            tokio.block_on(consumers.2).unwrap(),
        ];
        for batch in &received {
            for producer in 0..2 {
                let of_one = batch.iter().filter(|(p, ..)| *p == producer);
                assert!(
                    of_one.is_sorted_by_key(|(_, n, _)| *n),
                    "in the order of their sends"
                );
            }
        }
        let mut all: Vec<_> = received
            .iter()
            .flatten()
            .map(|(p, n, _)| (*p, *n))
            .collect();
        all.sort_unstable();
        let expected = (0..2).flat_map(|p| (0..count).map(move |n| (p, n)));
        assert!(all.into_iter().eq(expected));
        drop(received);
        drops.assert_none_live();
    }
}

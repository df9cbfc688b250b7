//! Sets of receivers: turns, ends, and messages that nobody loses.

#![cfg(not(weftwork_loom))]

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use weftwork_csp::set::ReceiverSet;
use weftwork_csp::{RecvError, TrySendError, after, bounded, never, select, unbounded};
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
fn an_empty_set_has_nothing_and_does_not_wait() {
    let mut set = ReceiverSet::<i32>::default();
    assert!(set.is_empty());
    assert_eq!(set.recv(), None);
    assert_eq!(set.try_recv(), None);
    assert_eq!(set.recv_timeout(Duration::MAX), Ok(None));
    assert_eq!(weftwork_core::block_on(set.recv_async()), None);
}

#[test]
fn a_channel_that_has_ended_is_told_of_once_and_after_its_messages() {
    let mut set = ReceiverSet::new();
    let (s, r) = unbounded();
    let key = set.insert(r);
    let (closed, r) = unbounded();
    let other = set.insert(r);
    s.send(1).unwrap();
    drop(s);
    closed.send(2).unwrap();
    closed.close();
    assert_eq!(set.len(), 2);
    assert_eq!(set.recv(), Some((key, Ok(1))));
    assert_eq!(set.recv(), Some((other, Ok(2))));
    assert_eq!(set.recv(), Some((key, Err(RecvError))));
    assert_eq!(set.len(), 1);
    assert!(set.remove(key).is_none());
    assert_eq!(closed.receiver_count(), 1);
    assert_eq!(set.recv(), Some((other, Err(RecvError))));
    assert_eq!(closed.receiver_count(), 0);
    assert_eq!(set.recv(), None);
}

#[test]
fn all_that_are_ready_get_one_message_in_each_round() {
    let mut set = ReceiverSet::new();
    let mut senders = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..10 {
        let (s, r) = unbounded();
        s.send_many(0..100).unwrap();
        senders.push(s);
        keys.push(set.insert(r));
    }
    for round in 0..100 {
        let mut got = Vec::new();
        for _ in 0..10 {
            let (key, message) = set.try_recv().unwrap();
            assert_eq!(message, Ok(round));
            got.push(key);
        }
        got.sort_unstable();
        assert_eq!(got, keys);
    }
    assert_eq!(set.try_recv(), None);
}

#[test]
fn a_set_that_is_dropped_gives_back_what_it_was_left() {
    let (s, r) = bounded(0);
    let mut set = ReceiverSet::new();
    set.insert(r.clone());
    assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(set.try_recv(), None);
    // It waits now.
    assert_eq!(s.try_send(2), Ok(()));
    drop(set);
    assert_eq!(r.recv(), Ok(2));
    assert_eq!(r.receiver_count(), 1);
}

#[test]
fn a_receiver_that_is_removed_when_it_was_told_tells_the_next() {
    let (s, r) = unbounded();
    let mut set = ReceiverSet::new();
    let key = set.insert(r.clone());
    assert_eq!(set.try_recv(), None);
    let calls = Arc::<Calls>::default();
    let mut other = pin!(r.recv_async());
    assert!(poll(other.as_mut(), &calls).is_pending());
    s.send(1).unwrap();
    assert_eq!(calls.get(), 0);
    let removed = set.remove(key).unwrap();
    assert_eq!(calls.get(), 1);
    assert_eq!(poll(other.as_mut(), &calls), Poll::Ready(Ok(1)));
    assert!(removed.same_channel(&r));
    // Its waker is called no more; and if it were, nobody would be there.
    s.send(2).unwrap();
    assert_eq!(set.try_recv(), None);
    assert_eq!(removed.recv(), Ok(2));
}

#[test]
fn a_receive_that_is_given_up_takes_nothing_and_is_not_woken() {
    let (s, r) = unbounded();
    let mut set = ReceiverSet::new();
    let key = set.insert(r);
    let calls = Arc::<Calls>::default();
    {
        let mut next = pin!(set.recv_async());
        assert!(poll(next.as_mut(), &calls).is_pending());
    }
    s.send(1).unwrap();
    assert_eq!(calls.get(), 0);
    let mut next = pin!(set.recv_async());
    assert_eq!(poll(next.as_mut(), &calls), Poll::Ready(Some((key, Ok(1)))));
    assert!(poll(next.as_mut(), &calls).is_pending());
    s.send(2).unwrap();
    assert_eq!(calls.get(), 1);
    s.send(3).unwrap();
    assert_eq!(calls.get(), 1, "once is enough");
    assert_eq!(poll(next.as_mut(), &calls), Poll::Ready(Some((key, Ok(2)))));
    assert_eq!(poll(next, &calls), Poll::Ready(Some((key, Ok(3)))));
}

#[test]
fn the_last_waker_is_the_one_that_is_called() {
    let (s, r) = unbounded();
    let mut set = ReceiverSet::new();
    set.insert(r);
    let calls: [Arc<Calls>; 2] = Default::default();
    let mut next = pin!(set.recv_async());
    for calls in &calls {
        assert!(poll(next.as_mut(), calls).is_pending());
    }
    s.send(1).unwrap();
    assert_eq!((calls[0].get(), calls[1].get()), (0, 1));
}

#[test]
fn a_time_limit_ends_the_wait_and_not_the_set() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(1);
    let mut set = ReceiverSet::new();
    let key = set.insert(r);
    let start = Instant::now();
    assert!(set.recv_timeout(Duration::from_millis(2)).is_err());
    assert!(start.elapsed() >= Duration::from_millis(2));
    assert!(set.recv_deadline(start).is_err());
    s.send(1).unwrap();
    // A message that is there is received even if the time is over.
    assert_eq!(set.recv_deadline(start), Ok(Some((key, Ok(1)))));
}

#[test]
fn senders_of_every_kind_meet_a_set_at_capacity_0() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(0);
    let (_keep, full) = bounded::<i32>(0);
    let senders = [
        thread::spawn({
            let s = s.clone();
            move || s.send(1).unwrap()
        }),
        thread::spawn({
            let s = s.clone();
            move || weftwork_core::block_on(s.send_async(2)).unwrap()
        }),
        thread::spawn({
            let s = s.clone();
            move || {
                select! {
                    send(s, 4) -> sent => sent.unwrap(),
                    recv(full) -> _ => unreachable!("nobody sends"),
                }
            }
        }),
        thread::spawn(move || s.reserve().unwrap().send(8).unwrap()),
    ];
    let mut set = ReceiverSet::new();
    set.insert(never());
    let key = set.insert(r);
    let mut sum = 0;
    while let Some((at, Ok(n))) = set.recv() {
        assert_eq!(at, key);
        sum += n;
    }
    assert_eq!(sum, 15);
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn a_clock_may_be_in_a_set() {
    let _dog = watchdog(PATIENCE);
    let start = Instant::now();
    let mut set = ReceiverSet::new();
    set.insert(never());
    let key = set.insert(after(Duration::from_millis(2)));
    let (at, due) = set.recv().unwrap();
    assert_eq!(at, key);
    assert!(start.elapsed() >= Duration::from_millis(2) && due.unwrap() > start);
}

#[test]
fn a_select_may_wait_for_a_set() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = unbounded();
    let (quit, told) = bounded::<()>(0);
    let mut set = ReceiverSet::new();
    let key = set.insert(r);
    let sender = thread::spawn(move || {
        s.send_many([1, 2, 3]).unwrap();
        quit.send(()).unwrap();
        s
    });
    let mut received = Vec::new();
    loop {
        select! {
            event(set.recv_async()) -> next => received.push(next.unwrap()),
            recv(told) -> _ => break,
        }
    }
    received.extend(std::iter::from_fn(|| set.try_recv()));
    assert!(received.into_iter().eq([1, 2, 3].map(|n| (key, Ok(n)))));
    drop(sender.join().unwrap());
}

#[test]
fn two_thousand_channels_of_threads_green_threads_and_tokio_lose_no_message() {
    let _dog = watchdog(PATIENCE);
    let rounds = iters(20, 5, 1);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for capacity in [Some(0), Some(2), None] {
        let drops = DropCounter::new();
        let make = || capacity.map_or_else(unbounded, bounded);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2_000).map(|_| make()).unzip();
        let mut parts = senders
            .chunks(500)
            .map(<[_]>::to_vec)
            .collect::<Vec<_>>()
            .into_iter();
        drop(senders);
        let mut part = || {
            let (part, drops) = (parts.next().unwrap(), drops.clone());
            (part, drops)
        };
        let blocking = |(part, drops): (Vec<weftwork_csp::Sender<_>>, DropCounter)| {
            move || {
                for n in 0..rounds {
                    for s in &part {
                        s.send((n, drops.track(()))).unwrap();
                    }
                }
            }
        };
        let threads = [
            thread::spawn(blocking(part())),
            thread::spawn(blocking(part())),
        ];
        let green = runtime.spawn(blocking(part()));
        let future = tokio.spawn({
            let (part, drops) = part();
            async move {
                for n in 0..rounds {
                    for s in &part {
                        s.send_async((n, drops.track(()))).await.unwrap();
                    }
                }
            }
        });
        let mut set = ReceiverSet::new();
        let keys: Vec<_> = receivers.into_iter().map(|r| set.insert(r)).collect();
        let mut next = vec![0; keys.len()];
        let mut ended = 0;
        let mut asynchronous = false;
        loop {
            asynchronous = !asynchronous;
            let received = if asynchronous {
                weftwork_core::block_on(set.recv_async())
            } else {
                set.recv()
            };
            let Some((key, message)) = received else {
                break;
            };
            let at = keys.binary_search(&key).unwrap();
            match message {
                Ok((n, _)) => {
                    assert_eq!(n, next[at]);
                    next[at] += 1;
                }
                Err(RecvError) => ended += 1,
            }
        }
        assert_eq!(ended, 2_000);
        assert!(next.iter().all(|n| *n == rounds));
        for thread in threads {
            thread.join().unwrap();
        }
        green.join().unwrap();
        tokio.block_on(future).unwrap();
        drops.assert_none_live();
    }
}

#[test]
fn two_sets_that_share_channels_receive_each_message_once() {
    let _dog = watchdog(PATIENCE);
    let count = iters(5_000, 500, 50);
    for capacity in [Some(0), Some(3), None] {
        let make = || capacity.map_or_else(unbounded, bounded);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..5).map(|_| make()).unzip();
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let receivers = receivers.clone();
                thread::spawn(move || {
                    let mut set = ReceiverSet::new();
                    for r in receivers {
                        set.insert(r);
                    }
                    let mut sum = 0;
                    while let Some((_, received)) = set.recv() {
                        sum += received.unwrap_or(0);
                    }
                    sum
                })
            })
            .collect();
        drop(receivers);
        let producers: Vec<_> = senders
            .into_iter()
            .map(|s| thread::spawn(move || (1..=count).for_each(|n| s.send(n).unwrap())))
            .collect();
        producers.into_iter().for_each(|p| p.join().unwrap());
        let sum: usize = consumers.into_iter().map(|c| c.join().unwrap()).sum();
        assert_eq!(sum, 5 * count * (count + 1) / 2);
    }
}

//! Channels in futures: dropped, moved between wakers, left unpolled, and under wakers that misbehave.
//!
//! Comments give the number of the bug, in a survey of issue trackers, that the claim is about.

mod support;

use weftwork_csp as channel;

use channel::{Receiver, RecvError, SendError, Sender, TryRecvError, bounded, unbounded};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use support::{AMPLE, Dice, for_each_capacity, open, watched};
use weftwork_testkit::{DropCounter, iters};

/// Counts how often it is woken.
#[derive(Debug, Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn quietly<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

/// Room for one message at least, so that sending needs no partner.
const BUFFERED: [Option<usize>; 3] = [Some(1), Some(7), None];

#[test]
fn a_receiving_future_that_was_woken_and_dropped_loses_no_message() {
    // D26: the message was moved into the future, and went with it.
    for capacity in BUFFERED {
        let (s, r) = open(capacity);
        {
            let mut receiving = pin!(r.recv_async());
            assert!(quietly(receiving.as_mut()).is_pending());
            s.try_send(5).unwrap();
        }
        assert_eq!(r.try_recv(), Ok(5));
    }
}

#[test]
fn at_a_rendezvous_the_message_stays_with_its_sender_until_a_poll_takes_it() {
    // D26: with room for none, the hand-over to a future that is never polled again lost it.
    let drops = DropCounter::new();
    let (s, r) = bounded(0);
    let mut sending = pin!(s.send_async(drops.track(5)));
    {
        let mut receiving = pin!(r.recv_async());
        assert!(quietly(receiving.as_mut()).is_pending());
        assert!(
            quietly(sending.as_mut()).is_pending(),
            "nobody has taken it"
        );
    }
    drops.assert_live(1);
    let received = r.try_recv().expect("the sender still offers it");
    assert_eq!(*received, 5);
    assert_eq!(
        quietly(sending.as_mut()).map(|r| r.is_ok()),
        Poll::Ready(true)
    );
}

#[test]
fn a_sending_future_that_is_dropped_has_sent_nothing() {
    // It could still be sent, or was dropped twice, or leaked.
    for capacity in [Some(0), Some(1), Some(7)] {
        let drops = DropCounter::new();
        let (s, r) = open(capacity);
        let fits = capacity.unwrap_or(0);
        (0..fits).for_each(|n| s.try_send(drops.track(n)).unwrap());
        {
            let mut sending = pin!(s.send_async(drops.track(99)));
            assert!(quietly(sending.as_mut()).is_pending());
            drops.assert_live(fits + 1);
        }
        drops.assert_live(fits);
        let unpolled = s.send_async(drops.track(98));
        drop(unpolled);
        drops.assert_live(fits);
        assert!(r.try_iter().map(|m| *m).eq(0..fits));
        drops.assert_live(0);
    }
}

#[test]
fn two_futures_meet_at_a_rendezvous() {
    let (s, r) = bounded(0);
    for n in 0..100 {
        let (wakes, waker) = Wakes::new();
        let mut sending = pin!(s.send_async(n));
        let mut receiving = pin!(r.recv_async());
        let first_sends = n % 2 == 0;
        if first_sends {
            assert!(poll(sending.as_mut(), &waker).is_pending());
            assert_eq!(quietly(receiving.as_mut()), Poll::Ready(Ok(n)));
            assert!(wakes.count() > 0, "the sender is told");
            assert_eq!(quietly(sending.as_mut()), Poll::Ready(Ok(())));
        } else {
            assert!(poll(receiving.as_mut(), &waker).is_pending());
            let sent = quietly(sending.as_mut());
            assert!(wakes.count() > 0, "the receiver is told");
            assert_eq!(quietly(receiving.as_mut()), Poll::Ready(Ok(n)));
            if sent.is_pending() {
                assert_eq!(quietly(sending.as_mut()), Poll::Ready(Ok(())));
            }
        }
    }
}

#[test]
fn a_receiver_that_is_dropped_after_its_wake_passes_it_on() {
    // D16: its wake was spent, and the other slept beside a message.
    for capacity in BUFFERED {
        let (s, r) = open(capacity);
        let (_, first_waker) = Wakes::new();
        let (second_wakes, second_waker) = Wakes::new();
        let mut second = pin!(r.recv_async());
        {
            let mut first = pin!(r.recv_async());
            assert!(poll(first.as_mut(), &first_waker).is_pending());
            assert!(poll(second.as_mut(), &second_waker).is_pending());
            s.try_send(5).unwrap();
        }
        assert!(second_wakes.count() > 0, "nobody told the second");
        assert_eq!(quietly(second.as_mut()), Poll::Ready(Ok(5)));
    }
}

#[test]
fn a_sender_that_is_dropped_after_its_wake_passes_it_on() {
    // D16, for the place that became free.
    let (s, r) = bounded(1);
    s.try_send(0).unwrap();
    let (second_wakes, second_waker) = Wakes::new();
    let mut second = pin!(s.send_async(2));
    {
        let mut first = pin!(s.send_async(1));
        assert!(quietly(first.as_mut()).is_pending());
        assert!(poll(second.as_mut(), &second_waker).is_pending());
        assert_eq!(r.try_recv(), Ok(0));
    }
    // Either the first was sent before it was dropped, or its place went to the second.
    match r.try_recv() {
        Ok(1) => {}
        taken => {
            assert!(second_wakes.count() > 0, "nobody told the second");
            let sent = quietly(second.as_mut());
            match taken {
                Ok(n) => assert_eq!(n, 2),
                Err(_) => assert!(sent.is_ready() && r.try_recv() == Ok(2)),
            }
        }
    }
}

#[test]
fn a_receiver_that_is_alive_and_not_polled_keeps_no_message_from_others() {
    // D17: the wake went to a future whose task does something else, and all waited for that one.
    for capacity in [Some(7), None] {
        let (s, r) = open(capacity);
        let (idle_wakes, idle_waker) = Wakes::new();
        let (busy_wakes, busy_waker) = Wakes::new();
        let mut idle = pin!(r.recv_async());
        let mut busy = pin!(r.recv_async());
        assert!(poll(idle.as_mut(), &idle_waker).is_pending());
        assert!(poll(busy.as_mut(), &busy_waker).is_pending());
        s.try_send(1).unwrap();
        s.try_send(2).unwrap();
        assert!(idle_wakes.count() > 0 && busy_wakes.count() > 0);
        assert_eq!(quietly(busy.as_mut()), Poll::Ready(Ok(1)));
        assert_eq!(r.try_recv(), Ok(2), "nor from one that does not wait");
        assert!(poll(idle.as_mut(), &idle_waker).is_pending());
        s.try_send(3).unwrap();
        assert_eq!(quietly(idle.as_mut()), Poll::Ready(Ok(3)));
    }
}

#[test]
fn whoever_comes_may_take_what_a_future_was_woken_for_and_is_not_polled() {
    // D17: the message, or the place, was reserved for it.
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let mut idle = pin!(r.recv_async());
        assert!(quietly(idle.as_mut()).is_pending());
        let mut sending = pin!(s.send_async(1));
        let sent = quietly(sending.as_mut());
        assert_eq!(r.recv_timeout(AMPLE), Ok(1));
        assert!(sent.is_ready() || quietly(sending.as_mut()).is_ready());
        assert!(quietly(idle.as_mut()).is_pending());
    });
}

#[test]
fn threads_that_wait_behind_a_future_that_is_not_polled_get_further_messages() {
    // D17: each message must wake one more of those who wait.
    for capacity in [Some(7), None] {
        watched(|| {
            let (s, r) = open(capacity);
            let mut idle = pin!(r.recv_async());
            assert!(quietly(idle.as_mut()).is_pending());
            std::thread::scope(|scope| {
                let receiver = scope.spawn(|| [r.recv().unwrap(), r.recv().unwrap()]);
                (1..=3).for_each(|n| s.send(n).unwrap());
                assert_eq!(receiver.join().unwrap(), [1, 2]);
            });
            assert_eq!(quietly(idle.as_mut()), Poll::Ready(Ok(3)));
        });
    }
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_woken() {
    // D20: the first one was kept, or the wake that came between two polls was lost.
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let (_, old_waker) = Wakes::new();
        let (wakes, waker) = Wakes::new();
        let mut receiving = pin!(r.recv_async());
        assert!(poll(receiving.as_mut(), &old_waker).is_pending());
        assert!(poll(receiving.as_mut(), &waker).is_pending());
        let mut sending = pin!(s.send_async(5));
        let _ = quietly(sending.as_mut());
        assert!(wakes.count() > 0);
        assert_eq!(quietly(receiving.as_mut()), Poll::Ready(Ok(5)));
    });
}

#[test]
fn a_future_holds_one_waker_however_often_it_is_polled_and_none_when_it_is_gone() {
    // D11, D14: one more entry at each poll; entries of futures that were gone.
    for_each_capacity(|capacity| {
        let (s, r) = open::<u8>(capacity);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let held = || Arc::strong_count(&wakes) - 2;
        {
            let mut receiving = pin!(r.recv_async());
            for _ in 0..100 {
                assert!(poll(receiving.as_mut(), &waker).is_pending());
                assert!(held() <= 1, "{} wakers", held());
            }
        }
        assert_eq!(held(), 0);
        if let Some(capacity) = capacity {
            (0..capacity).for_each(|_| s.try_send(0).unwrap());
            {
                let mut sending = pin!(s.send_async(1));
                for _ in 0..100 {
                    assert!(poll(sending.as_mut(), &waker).is_pending());
                    assert!(held() <= 1, "{} wakers", held());
                }
            }
            assert_eq!(held(), 0);
        }
    });
}

#[test]
fn a_future_whose_peers_go_is_woken_and_told() {
    for_each_capacity(|capacity| {
        let (s, r) = open::<u8>(capacity);
        let (wakes, waker) = Wakes::new();
        let mut receiving = pin!(r.recv_async());
        assert!(poll(receiving.as_mut(), &waker).is_pending());
        drop(s);
        assert!(wakes.count() > 0);
        assert_eq!(quietly(receiving.as_mut()), Poll::Ready(Err(RecvError)));

        let Some(capacity) = capacity else { return };
        let (s, r) = bounded(capacity);
        (0..capacity).for_each(|_| s.try_send(0).unwrap());
        let (wakes, waker) = Wakes::new();
        let mut sending = pin!(s.send_async(7));
        assert!(poll(sending.as_mut(), &waker).is_pending());
        drop(r);
        assert!(wakes.count() > 0);
        let back = quietly(sending.as_mut());
        assert_eq!(back, Poll::Ready(Err(SendError(7))), "with its message");
    });
}

#[test]
fn one_sender_keeps_its_order_whether_it_blocks_or_awaits() {
    // D29: the two kinds of sending had a line of waiters each.
    for_each_capacity(|capacity| {
        let count = iters(1_000, 200, 10);
        let (s, r) = open(capacity);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..count {
                    match n % 3 {
                        0 => s.send(n).unwrap(),
                        1 => weftwork_core::block_on(s.send_async(n)).unwrap(),
                        _ => {
                            while s.try_send(n).is_err() {
                                std::thread::yield_now()
                            }
                        }
                    }
                }
            });
            for n in 0..count {
                let received = match n % 2 {
                    0 => r.recv(),
                    _ => weftwork_core::block_on(r.recv_async()),
                };
                assert_eq!(received, Ok(n));
            }
        });
    });
}

/// Uses the channel from inside its wakers: when woken, and when dropped by the channel.
struct Meddler(Sender<u8>, Receiver<u8>);

impl Meddler {
    fn meddle(&self) {
        let _ = self.0.try_send(9);
        let _ = self.1.try_recv();
        let _ = (self.0.len(), self.1.is_empty());
        let mut receiving = pin!(self.1.recv_async());
        let _ = quietly(receiving.as_mut());
        drop((self.0.clone(), self.1.clone()));
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.meddle();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.meddle();
    }
}

#[test]
fn wakers_may_use_the_channel_that_wakes_and_drops_them() {
    // D42: they were called under the lock, and waited for it for ever.
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let meddler = || Waker::from(Arc::new(Meddler(s.clone(), r.clone())));
        let mut receiving = pin!(r.recv_async());
        // Replaced, and so dropped, by the second poll.
        let _ = poll(receiving.as_mut(), &meddler());
        let _ = poll(receiving.as_mut(), &meddler());
        let _ = s.try_send(1);
        let mut sending = pin!(s.send_async(2));
        if quietly(sending.as_mut()).is_pending() {
            let _ = poll(sending.as_mut(), &meddler());
            let _ = r.try_recv();
        }
    });
}

#[test]
fn the_last_handle_may_wake_wakers_that_use_the_channel() {
    watched(|| {
        let (s, r) = unbounded();
        let (other_s, other_r) = unbounded();
        let meddler = Waker::from(Arc::new(Meddler(other_s, other_r)));
        let mut receiving = pin!(r.recv_async());
        assert!(poll::<_>(receiving.as_mut(), &meddler).is_pending());
        drop::<Sender<u8>>(s);
        assert_eq!(quietly(receiving.as_mut()), Poll::Ready(Err(RecvError)));
    });
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new("woken"));
    }
}

#[test]
fn a_waker_that_panics_leaves_the_channel_in_order() {
    // D42: the lock stayed locked, or the message half way.
    for capacity in BUFFERED {
        watched(|| {
            let (s, r) = open(capacity);
            let mut receiving = pin!(r.recv_async());
            assert!(poll(receiving.as_mut(), &Waker::from(Arc::new(Panics))).is_pending());
            let woken = catch_unwind(AssertUnwindSafe(|| s.try_send(1)));
            assert!(woken.is_err() || woken.is_ok_and(|sent| sent.is_ok()));
            assert_eq!(quietly(receiving.as_mut()), Poll::Ready(Ok(1)));
            s.try_send(2).unwrap();
            assert_eq!(r.try_recv(), Ok(2));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        });
    }
}

#[test]
fn the_capacity_holds_while_futures_come_and_go() {
    // D33: a message that nobody took was pushed back in front of a full queue.
    watched(|| {
        for capacity in [1, 2, 3] {
            let (s, r) = bounded(capacity);
            let mut dice = Dice::new(capacity as u64);
            for n in 0..iters(3_000, 600, 50) {
                {
                    let mut receiving = pin!(r.recv_async());
                    let mut sending = pin!(s.send_async(n));
                    for _ in 0..dice.below(4) {
                        match dice.below(3) {
                            0 if quietly(receiving.as_mut()).is_ready() => break,
                            1 if quietly(sending.as_mut()).is_ready() => break,
                            2 => drop(s.try_send(n)),
                            _ => {}
                        }
                        assert!(r.len() <= capacity, "{} of {capacity}", r.len());
                    }
                }
                assert!(r.len() <= capacity, "{} of {capacity}", r.len());
            }
        }
    });
}

#[test]
fn futures_that_are_dropped_at_any_time_lose_and_repeat_nothing() {
    // D26, D16: both sides give up after a few polls, again and again, on several threads.
    for_each_capacity(|capacity| {
        let drops = DropCounter::new();
        let count = iters(1_000, 200, 10);
        let (s, r) = open(capacity);
        let executor = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let (sent, received) = executor.block_on(async {
            let mut senders = Vec::new();
            let mut receivers = Vec::new();
            for sender in 0..3 {
                let (s, drops) = (s.clone(), drops.clone());
                senders.push(tokio::spawn(async move {
                    let mut sent = Vec::new();
                    for n in 0..count {
                        let message = (sender, n);
                        tokio::select! {
                            biased;
                            result = s.send_async(drops.track(message)) => {
                                assert!(result.is_ok(), "there are receivers");
                                sent.push(message);
                            }
                            () = tokio::task::yield_now() => {}
                        }
                    }
                    sent
                }));
                let r = r.clone();
                receivers.push(tokio::spawn(async move {
                    let mut received = Vec::new();
                    loop {
                        tokio::select! {
                            biased;
                            message = r.recv_async() => match message {
                                Ok(message) => received.push(*message),
                                Err(RecvError) => break received,
                            },
                            () = tokio::task::yield_now() => {}
                        }
                    }
                }));
            }
            drop((s, r));
            let (mut sent, mut received) = (Vec::new(), Vec::new());
            for sender in senders {
                sent.extend(sender.await.unwrap());
            }
            for receiver in receivers {
                received.extend(receiver.await.unwrap());
            }
            (sent, received)
        });
        // A send may be dropped when its message was taken already, before it has heard of that: so more may
        // arrive than the senders know of.
        let distinct: HashSet<(i32, usize)> = received.iter().copied().collect();
        assert_eq!(distinct.len(), received.len(), "a message came twice");
        let lost = sent.iter().find(|message| !distinct.contains(message));
        assert_eq!(lost, None, "a message that was sent did not come");
        drops.assert_none_live();
    });
}

#[test]
fn futures_of_channels_cross_threads() {
    fn sendable<F: Future + Send>(_: &F) {}
    let (s, r) = unbounded::<std::cell::Cell<u8>>();
    sendable(&s.send_async(std::cell::Cell::new(1)));
    sendable(&r.recv_async());
}

#[test]
fn a_send_that_is_polled_after_its_end_panics_and_sends_nothing() {
    for taken_back in [false, true] {
        let (s, r) = channel::bounded(2);
        let mut send = Box::pin(s.send_async(String::from("x")));
        let mut context = Context::from_waker(Waker::noop());
        if taken_back {
            assert_eq!(send.as_mut().into_message().as_deref(), Some("x"));
        } else {
            assert!(send.as_mut().poll(&mut context).is_ready());
            assert_eq!(r.recv().as_deref(), Ok("x"));
        }
        let again = catch_unwind(AssertUnwindSafe(|| send.as_mut().poll(&mut context)));
        assert!(again.is_err());
        assert!(r.is_empty());
    }
}

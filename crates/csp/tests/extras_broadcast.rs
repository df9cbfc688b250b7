//! The broadcast channel: who sees what, lagging, back-pressure, closing, drops; on threads, green
//! threads and futures.

#![cfg(not(weftwork_loom))]

use proptest::prelude::*;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_csp::broadcast::{
    Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError, bounded, lagging,
};
use weftwork_csp::{SendTimeoutError, TrySendError};
use weftwork_sched::Runtime;
use weftwork_testkit::{DropCounter, iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

/// A waker that counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Calls {
    fn new() -> (Arc<Calls>, Waker) {
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        (calls, waker)
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn every_receiver_sees_what_was_sent_since_it_was_made() {
    let (sender, mut first) = lagging(8);
    sender.send(1).unwrap();
    let mut second = sender.subscribe();
    let mut like_first = first.clone();
    let mut from_now = first.resubscribe();
    sender.send(2).unwrap();
    assert_eq!((first.recv(), first.recv()), (Ok(1), Ok(2)));
    assert_eq!((like_first.recv(), like_first.recv()), (Ok(1), Ok(2)));
    assert_eq!((second.recv(), from_now.recv()), (Ok(2), Ok(2)));
    for receiver in [&mut first, &mut second, &mut like_first, &mut from_now] {
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
    assert!(sender.is_empty());
}

#[test]
fn a_slow_receiver_of_a_lagging_channel_is_told_what_it_missed() {
    let (sender, mut slow) = lagging(2);
    let mut quick = sender.subscribe();
    for n in 0..5 {
        sender.send(n).unwrap();
        assert_eq!(quick.recv(), Ok(n));
    }
    let late = slow.clone();
    assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(3)));
    assert_eq!((slow.recv(), slow.recv()), (Ok(3), Ok(4)));
    assert_eq!(late.len(), 2);
    drop(late);
    assert_eq!(slow.try_recv(), Err(TryRecvError::Empty));
    assert!(sender.is_empty());
}

#[test]
fn a_lag_is_told_after_the_end_too() {
    let (sender, mut receiver) = lagging(1);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    drop(sender);
    assert_eq!(receiver.recv(), Err(RecvError::Lagged(1)));
    assert_eq!(receiver.recv(), Ok(2));
    assert_eq!(receiver.recv(), Err(RecvError::Disconnected));
}

#[test]
fn the_slowest_receiver_of_a_bounded_channel_holds_up_the_senders() {
    let (sender, mut quick) = bounded(2);
    let mut slow = sender.subscribe();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((quick.recv(), quick.recv()), (Ok(1), Ok(2)));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    let late = sender.send_timeout(3, Duration::from_millis(1));
    assert_eq!(late, Err(SendTimeoutError::Timeout(3)));
    assert_eq!(slow.recv(), Ok(1));
    assert_eq!(sender.try_send(3), Ok(()));
    // The end of the slow one makes room as well.
    assert_eq!(sender.try_send(4), Err(TrySendError::Full(4)));
    drop(slow);
    assert_eq!(sender.send_deadline(4, Instant::now()), Ok(()));
    assert_eq!((quick.recv(), quick.recv()), (Ok(3), Ok(4)));
}

#[test]
fn senders_get_room_in_the_order_they_came() {
    let (sender, mut receiver) = bounded(1);
    let (_, waker) = Calls::new();
    let mut context = Context::from_waker(&waker);
    sender.send(0).unwrap();
    let mut first = pin!(sender.send_async(1));
    let mut second = pin!(sender.send_async(2));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_eq!(receiver.recv(), Ok(0));
    // The place is the first one's: nobody overtakes it.
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(first.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    assert_eq!(receiver.recv(), Ok(2));
}

#[test]
fn room_of_a_send_that_is_dropped_goes_to_the_next_and_its_message_with_it() {
    // Class: a permit or a notification is lost with the future that got it.
    let drops = DropCounter::new();
    let (sender, mut receiver) = bounded(1);
    let (next_calls, next_waker) = Calls::new();
    sender.send(drops.track(0)).unwrap();
    let mut next = pin!(sender.send_async(drops.track(2)));
    {
        let mut first = pin!(sender.send_async(drops.track(1)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        let mut context = Context::from_waker(&next_waker);
        assert!(next.as_mut().poll(&mut context).is_pending());
        drop(receiver.recv());
        assert_eq!(next_calls.get(), 0);
        drops.assert_live(2);
    }
    drops.assert_live(1);
    assert_eq!(next_calls.get(), 1);
    let mut context = Context::from_waker(&next_waker);
    assert!(matches!(
        next.as_mut().poll(&mut context),
        Poll::Ready(Ok(()))
    ));
    drop(receiver);
    drops.assert_none_live();
}

#[test]
fn the_message_of_a_send_that_waits_can_be_taken_back() {
    let (sender, mut receiver) = bounded(1);
    sender.send(1).unwrap();
    let mut sending = pin!(sender.send_async(2));
    let mut context = Context::from_waker(Waker::noop());
    assert!(sending.as_mut().poll(&mut context).is_pending());
    assert_eq!(sending.as_mut().take_message(), Some(2));
    assert_eq!(receiver.recv(), Ok(1));
}

#[test]
fn a_send_to_nobody_hands_the_message_back_until_somebody_subscribes() {
    let _dog = watchdog(PATIENCE);
    let (sender, receiver) = bounded(1);
    sender.send(1).unwrap();
    let waiting = std::thread::spawn({
        let sender = sender.clone();
        move || sender.send(2)
    });
    drop(receiver);
    assert_eq!(waiting.join().unwrap().unwrap_err().into_inner(), 2);
    assert!(sender.is_closed());
    let mut late = sender.subscribe();
    sender.send(3).unwrap();
    assert_eq!(late.recv(), Ok(3));
}

#[test]
fn a_close_ends_sends_that_wait_and_receives_that_wait() {
    let _dog = watchdog(PATIENCE);
    let (sender, mut receiver) = bounded(1);
    sender.send(1).unwrap();
    let sending = std::thread::spawn({
        let sender = sender.clone();
        move || sender.send(2)
    });
    let receiving = std::thread::spawn({
        let mut receiver = receiver.resubscribe();
        move || receiver.recv()
    });
    assert!(sender.close());
    assert!(!sender.close());
    assert!(sending.join().unwrap().is_err());
    assert_eq!(receiving.join().unwrap(), Err(RecvError::Disconnected));
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(receiver.recv(), Err(RecvError::Disconnected));
    assert_eq!(
        receiver.recv_timeout(Duration::MAX),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_capacity_of_zero_is_refused() {
    let _ = bounded::<i32>(0);
}

/// A message that counts how often it was cloned, and may use its channel in a clone and a drop.
struct Message {
    clones: Arc<AtomicUsize>,
    sender: Option<Sender<Message>>,
}

impl Clone for Message {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        if let Some(sender) = &self.sender {
            assert!(sender.receiver_count() < 10);
        }
        Message {
            clones: Arc::clone(&self.clones),
            sender: None,
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            assert!(sender.receiver_count() < 10);
        }
    }
}

#[test]
fn a_message_is_cloned_and_dropped_unlocked_and_the_last_receiver_gets_itself() {
    // Class: clone or drop of a message under the lock.
    let _dog = watchdog(PATIENCE);
    let clones = Arc::new(AtomicUsize::new(0));
    let message = |sender: &Sender<Message>| Message {
        clones: Arc::clone(&clones),
        sender: Some(sender.clone()),
    };
    let (sender, mut first) = lagging(1);
    let mut second = sender.subscribe();
    sender.send(message(&sender)).unwrap();
    assert!(first.recv().is_ok_and(|m| m.sender.is_none()));
    assert_eq!(clones.load(Ordering::SeqCst), 1);
    assert!(second.recv().is_ok_and(|m| m.sender.is_some()));
    assert_eq!(clones.load(Ordering::SeqCst), 1);
    // Displaced, and left to a receiver that is dropped.
    sender.send(message(&sender)).unwrap();
    sender.send(message(&sender)).unwrap();
    drop((first, second));
    assert!(sender.is_empty());
}

#[test]
fn messages_are_dropped_when_all_have_seen_them_or_are_gone() {
    let drops = DropCounter::new();
    let (sender, mut first) = bounded(4);
    let second = sender.subscribe();
    for n in 0..3 {
        sender.send(drops.track(n)).unwrap();
    }
    drop(first.recv());
    drops.assert_live(3);
    drop(second);
    drops.assert_live(2);
    drop(first);
    drops.assert_none_live();
    drop(sender.send(drops.track(3)).err().unwrap());
    drops.assert_none_live();
}

#[test]
fn a_message_whose_clone_panics_counts_as_seen() {
    #[derive(Debug)]
    struct Bomb;
    impl Clone for Bomb {
        fn clone(&self) -> Self {
            panic!("the clone of the message panics");
        }
    }
    let (sender, mut first) = bounded(1);
    let mut second = sender.subscribe();
    sender.send(Bomb).unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| first.recv().is_ok()));
    assert!(caught.is_err());
    assert!(second.recv().is_ok());
    assert!(sender.is_empty());
}

#[test]
fn a_receive_that_is_dropped_has_taken_nothing() {
    let (sender, mut receiver) = bounded(2);
    {
        let mut waiting = pin!(receiver.recv_async());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        sender.send(1).unwrap();
    }
    assert_eq!(receiver.recv(), Ok(1));
}

#[test]
fn receivers_that_wait_are_woken_once_each() {
    let (sender, receiver) = lagging(1);
    let (calls, waker) = Calls::new();
    let mut context = Context::from_waker(&waker);
    let mut receivers: Vec<_> = (0..100).map(|_| receiver.clone()).collect();
    let mut waiting: Vec<_> = receivers
        .iter_mut()
        .map(|r| Box::pin(r.recv_async()))
        .collect();
    for future in &mut waiting {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    sender.send(1).unwrap();
    assert_eq!(calls.get(), 100);
    sender.send(2).unwrap();
    assert_eq!(calls.get(), 100);
}

proptest! {
    #[test]
    fn receivers_see_what_a_list_says(
        capacity in 1_usize..4,
        lags: bool,
        steps in prop::collection::vec((0_usize..4, 0_usize..4), 0..80),
    ) {
        let (sender, first) = if lags { lagging(capacity) } else { bounded(capacity) };
        // All that was sent, and for each receiver the position of what it sees next.
        let mut sent: usize = 0;
        let mut receivers: Vec<(Receiver<usize>, usize)> = vec![(first, 0)];
        for (step, which) in steps {
            let which = which.min(receivers.len().saturating_sub(1));
            match step {
                0 => {
                    let slowest = receivers.iter().map(|r| r.1).min();
                    let full = slowest.is_some_and(|slowest| sent - slowest >= capacity);
                    let result = sender.try_send(sent);
                    if receivers.is_empty() {
                        prop_assert_eq!(result, Err(TrySendError::Disconnected(sent)));
                    } else if full && !lags {
                        prop_assert_eq!(result, Err(TrySendError::Full(sent)));
                    } else {
                        prop_assert_eq!(result, Ok(()));
                        sent += 1;
                    }
                }
                1 if !receivers.is_empty() => {
                    let (receiver, next) = &mut receivers[which];
                    let oldest = sent.saturating_sub(capacity);
                    let expected = if *next < oldest {
                        let missed = (oldest - *next) as u64;
                        *next = oldest;
                        Err(TryRecvError::Lagged(missed))
                    } else if *next == sent {
                        Err(TryRecvError::Empty)
                    } else {
                        *next += 1;
                        Ok(*next - 1)
                    };
                    prop_assert_eq!(receiver.try_recv(), expected);
                }
                2 if receivers.len() < 4 => {
                    let fresh = match receivers.get(which) {
                        Some((receiver, next)) if which % 2 == 0 => (receiver.clone(), *next),
                        _ => (sender.subscribe(), sent),
                    };
                    receivers.push(fresh);
                }
                3 if !receivers.is_empty() => drop(receivers.swap_remove(which)),
                _ => {}
            }
            let slowest = receivers.iter().map(|r| r.1).min().unwrap_or(sent);
            prop_assert_eq!(sender.len(), (sent - slowest).min(capacity));
        }
    }
}

#[test]
fn threads_green_threads_and_futures_all_see_all() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let each = iters(5_000, 1_000, 50) as u64;
    let (sender, receiver) = bounded(3);
    let sum = |mut receiver: Receiver<u64>| {
        move || {
            let mut sum = 0;
            while let Ok(n) = receiver.recv() {
                sum += n;
            }
            sum
        }
    };
    let thread = std::thread::spawn(sum(receiver.clone()));
    let green = [(); 2].map(|()| runtime.spawn(sum(receiver.clone())));
    let future = tokio.spawn({
        let mut receiver = receiver;
        async move {
            let mut sum = 0;
            while let Ok(n) = receiver.recv_async().await {
                sum += n;
            }
            sum
        }
    });
    let send = |sender: Sender<u64>| move || (0..each).for_each(|n| sender.send(n).unwrap());
    let sending = std::thread::spawn(send(sender.clone()));
    let green_sending = runtime.spawn(send(sender.clone()));
    tokio.block_on(async {
        for n in 0..each {
            sender.send_async(n).await.unwrap();
        }
    });
    drop(sender);
    sending.join().unwrap();
    green_sending.join().unwrap();
    let expected = 3 * (0..each).sum::<u64>();
    assert_eq!(thread.join().unwrap(), expected);
    for green in green {
        assert_eq!(green.join().unwrap(), expected);
    }
    assert_eq!(tokio.block_on(future).unwrap(), expected);
}

#[test]
fn a_cancelled_green_thread_leaves_its_place_in_line() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let (sender, mut receiver) = bounded(1);
    sender.send(1).unwrap();
    let first = runtime.spawn({
        let sender = sender.clone();
        move || sender.send(2)
    });
    first.cancel();
    assert!(first.join().unwrap_err().is_cancelled());
    let second = runtime.spawn(move || sender.send(3));
    assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Ok(3)));
    second.join().unwrap().unwrap();
}

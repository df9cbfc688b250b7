//! The lossy channels: what is displaced, who is told, closing, drops; on threads, green threads and
//! futures.

#![cfg(not(weftwork_loom))]

use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_csp::lossy::{self, Receiver, Sender, dropping, sliding};
use weftwork_csp::oneshot::{RecvError, RecvTimeoutError, TryRecvError};
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
fn a_receiver_gets_what_is_there_in_order_and_then_the_end() {
    let (sender, receiver) = sliding(8);
    for n in 0..3 {
        assert_eq!(sender.send(n), Ok(None));
    }
    drop(sender);
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.recv_deadline(Instant::now()), Ok(2));
    assert_eq!(receiver.recv(), Err(RecvError));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(
        receiver.recv_timeout(Duration::MAX),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn an_empty_channel_is_empty_and_a_timeout_is_never_early() {
    let (_sender, receiver) = dropping::<i32>(1);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    let start = Instant::now();
    let early = receiver.recv_timeout(Duration::from_millis(3));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    assert!(start.elapsed() >= Duration::from_millis(3));
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_capacity_of_zero_is_refused() {
    let _ = sliding::<i32>(0);
}

#[test]
fn a_huge_capacity_takes_no_memory_before_it_is_used() {
    let (sender, receiver) = sliding(usize::MAX);
    assert_eq!(sender.send(1), Ok(None));
    assert_eq!((receiver.capacity(), receiver.len()), (usize::MAX, 1));
}

proptest! {
    #[test]
    fn what_is_displaced_and_received_is_what_a_list_says(
        capacity in 1_usize..5,
        slides: bool,
        steps in prop::collection::vec(prop::option::of(0_u8..100), 0..60),
    ) {
        let (sender, receiver) = if slides { sliding(capacity) } else { dropping(capacity) };
        let mut model = VecDeque::new();
        for step in steps {
            match step {
                Some(message) => {
                    let displaced = match (model.len() == capacity, slides) {
                        (false, _) => None,
                        (true, true) => model.pop_front(),
                        (true, false) => Some(message),
                    };
                    if displaced.is_none() || slides {
                        model.push_back(message);
                    }
                    prop_assert_eq!(sender.send(message), Ok(displaced));
                }
                None => prop_assert_eq!(receiver.try_recv().ok(), model.pop_front()),
            }
            prop_assert_eq!(receiver.len(), model.len());
            prop_assert_eq!(sender.is_full(), model.len() == capacity);
        }
    }
}

#[test]
fn messages_are_dropped_once_and_with_the_last_receiver() {
    // Class: messages that stay in the channel until the senders are gone, too.
    let drops = DropCounter::new();
    let (sender, receiver) = sliding(2);
    for n in 0..3 {
        drop(sender.send(drops.track(n)).unwrap());
    }
    drops.assert_live(2);
    let second = receiver.clone();
    drop(receiver);
    drops.assert_live(2);
    drop(second);
    drops.assert_none_live();
    assert!(sender.is_closed());
    drop(sender.send(drops.track(3)).unwrap_err());
    drops.assert_none_live();
}

#[test]
fn a_message_whose_drop_uses_the_channel_finds_it_unlocked() {
    struct Sends(Option<Sender<Sends>>);
    impl Drop for Sends {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                drop(sender.send(Sends(None)));
            }
        }
    }
    let _dog = watchdog(PATIENCE);
    let (sender, receiver) = sliding(4);
    assert!(sender.send(Sends(Some(sender.clone()))).is_ok());
    drop(receiver);
    assert!(sender.is_closed());
}

#[test]
fn a_close_ends_the_sends_keeps_the_messages_and_wakes_those_that_wait() {
    let _dog = watchdog(PATIENCE);
    let (sender, receiver) = sliding(2);
    sender.send(1).unwrap();
    assert!(receiver.close());
    assert!(!sender.close());
    assert_eq!(sender.send(2).unwrap_err().into_inner(), 2);
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(receiver.recv(), Err(RecvError));

    let (sender, receiver) = sliding::<i32>(2);
    let waiting = std::thread::spawn({
        let receiver = receiver.clone();
        move || receiver.recv()
    });
    sender.close();
    assert_eq!(waiting.join().unwrap(), Err(RecvError));
}

#[test]
fn news_of_a_future_that_is_dropped_go_to_the_next() {
    // Class: a notification is lost with the future that got it.
    let (sender, receiver) = sliding(2);
    let (first_calls, first_waker) = Calls::new();
    let (next_calls, next_waker) = Calls::new();
    let mut next = pin!(receiver.recv_async());
    {
        let mut first = pin!(receiver.recv_async());
        let mut context = Context::from_waker(&first_waker);
        assert!(first.as_mut().poll(&mut context).is_pending());
        let mut context = Context::from_waker(&next_waker);
        assert!(next.as_mut().poll(&mut context).is_pending());
        sender.send(7).unwrap();
        assert_eq!((first_calls.get(), next_calls.get()), (1, 0));
    }
    assert_eq!(next_calls.get(), 1);
    let mut context = Context::from_waker(&next_waker);
    assert_eq!(next.as_mut().poll(&mut context), Poll::Ready(Ok(7)));
}

#[test]
fn a_future_that_was_told_and_is_not_polled_holds_nobody_up() {
    // Class: a message that was handed to a future which nobody polls.
    let (sender, receiver) = sliding(2);
    let (_, waker) = Calls::new();
    let mut idle = pin!(receiver.recv_async());
    assert!(
        idle.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    sender.send(7).unwrap();
    assert_eq!(receiver.try_recv(), Ok(7));
    assert!(
        idle.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    sender.send(8).unwrap();
    assert_eq!(
        idle.as_mut().poll(&mut Context::from_waker(&waker)),
        Poll::Ready(Ok(8))
    );
}

#[test]
fn polls_again_and_again_leave_one_waker() {
    // Class: a hook per poll, without bound.
    let (sender, receiver) = sliding::<i32>(1);
    let (calls, waker) = Calls::new();
    {
        let mut future = pin!(receiver.recv_async());
        for _ in 0..100 {
            assert!(
                future
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        assert_eq!(Arc::strong_count(&calls), 3);
        sender.send(1).unwrap();
        assert_eq!(calls.get(), 1);
    }
    assert_eq!(Arc::strong_count(&calls), 2);
}

#[test]
fn every_message_of_a_channel_with_room_is_received_once_by_somebody() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let each = iters(20_000, 5_000, 100) as u64;
    let (sender, receiver): (_, Receiver<u64>) = lossy::dropping(usize::MAX);

    let sum = |receiver: Receiver<u64>| move || receiver.into_iter().sum::<u64>();
    let thread = std::thread::spawn(sum(receiver.clone()));
    let green = [(); 2].map(|()| runtime.spawn(sum(receiver.clone())));
    let future = tokio.spawn(async move {
        let mut sum = 0;
        while let Ok(n) = receiver.recv_async().await {
            sum += n;
        }
        sum
    });

    let send = |sender: Sender<u64>, from: u64| {
        move || {
            for n in from..from + each {
                assert_eq!(sender.send(n), Ok(None));
            }
        }
    };
    let sending = [
        std::thread::spawn(send(sender.clone(), 0)),
        std::thread::spawn(send(sender.clone(), each)),
    ];
    let green_sending = runtime.spawn(send(sender.clone(), 2 * each));
    tokio.block_on(async {
        tokio::task::spawn_blocking(send(sender, 3 * each))
            .await
            .unwrap()
    });
    sending
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    green_sending.join().unwrap();

    let mut received = thread.join().unwrap() + tokio.block_on(future).unwrap();
    received += green
        .into_iter()
        .map(|green| green.join().unwrap())
        .sum::<u64>();
    assert_eq!(received, (0..4 * each).sum());
}

#[test]
fn a_cancelled_green_thread_leaves_its_wait_and_the_message_to_others() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (sender, receiver) = sliding(1);
    let waiting = runtime.spawn({
        let receiver = receiver.clone();
        move || receiver.recv()
    });
    waiting.cancel();
    assert!(waiting.join().unwrap_err().is_cancelled());
    sender.send(7).unwrap();
    assert_eq!(receiver.recv(), Ok(7));
}

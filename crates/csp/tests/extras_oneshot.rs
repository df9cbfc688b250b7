//! The oneshot channel between OS threads, green threads and futures: delivery, closing, drops.

#![cfg(not(weftwork_loom))]

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_core::sync::Mutex;
use weftwork_csp::oneshot::{
    self, Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError, channel,
};
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

fn poll<F: Future + Unpin>(future: &mut F, calls: &Arc<Calls>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(calls));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

#[test]
fn a_message_that_is_there_is_received_by_every_form() {
    let sent = || {
        let (sender, receiver) = channel();
        sender.send(7).unwrap();
        receiver
    };
    assert_eq!(sent().recv(), Ok(7));
    assert_eq!(sent().try_recv(), Ok(7));
    assert_eq!(sent().recv_timeout(Duration::ZERO), Ok(7));
    // A deadline that has passed does not hide what is there.
    assert_eq!(sent().recv_deadline(Instant::now()), Ok(7));
    assert_eq!(weftwork_core::block_on(sent()), Ok(7));
}

#[test]
fn a_sender_that_is_dropped_without_a_message_ends_every_form() {
    let dropped = || channel::<i32>().1;
    assert_eq!(dropped().recv(), Err(RecvError));
    assert_eq!(dropped().try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(
        dropped().recv_timeout(Duration::MAX),
        Err(RecvTimeoutError::Disconnected)
    );
    assert_eq!(weftwork_core::block_on(dropped()), Err(RecvError));
}

#[test]
fn a_second_receive_finds_the_channel_at_its_end() {
    let (sender, mut receiver) = channel();
    sender.send(7).unwrap();
    assert_eq!(weftwork_core::block_on(&mut receiver), Ok(7));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(weftwork_core::block_on(&mut receiver), Err(RecvError));
}

#[test]
fn a_timeout_is_never_early_and_leaves_the_receiver_usable() {
    let _dog = watchdog(PATIENCE);
    let (sender, mut receiver) = channel();
    let start = Instant::now();
    let early = receiver.recv_timeout(Duration::from_millis(5));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    assert!(start.elapsed() >= Duration::from_millis(5));
    sender.send(7).unwrap();
    assert_eq!(receiver.recv(), Ok(7));
}

#[test]
fn a_time_that_no_clock_can_tell_is_for_ever() {
    // Class: overflowing deadlines panic.
    let _dog = watchdog(PATIENCE);
    let (sender, mut receiver) = channel();
    let other = std::thread::spawn(move || receiver.recv_timeout(Duration::MAX));
    sender.send(7).unwrap();
    assert_eq!(other.join().unwrap(), Ok(7));
}

#[test]
fn a_message_is_dropped_once_wherever_it_ends() {
    // Class: the message is leaked with the channel, or dropped twice.
    let drops = DropCounter::new();

    let (sender, receiver) = channel();
    assert!(sender.send(drops.track(())).is_ok());
    drop(receiver);
    drops.assert_none_live();

    let (sender, receiver) = channel();
    drop(receiver);
    let back = sender.send(drops.track(())).unwrap_err();
    drops.assert_live(1);
    drop(back);
    drops.assert_none_live();

    let (sender, receiver) = channel();
    assert!(sender.send(drops.track(())).is_ok());
    drop(receiver.recv().unwrap());
    drops.assert_none_live();
}

#[test]
fn messages_without_size_and_of_great_alignment_arrive() {
    #[derive(Debug, PartialEq)]
    #[repr(align(256))]
    struct Aligned(u8);

    let (sender, receiver) = channel();
    sender.send(()).unwrap();
    assert_eq!(receiver.recv(), Ok(()));
    let (sender, receiver) = channel();
    sender.send(Aligned(3)).unwrap();
    assert_eq!(receiver.recv(), Ok(Aligned(3)));
}

#[test]
fn a_dropped_receiver_drops_the_waker_it_left() {
    // Class: the waker stays in the channel and keeps its task alive, in a cycle perhaps.
    let calls = Arc::new(Calls::default());
    let (sender, mut receiver) = channel::<i32>();
    assert!(poll(&mut receiver, &calls).is_pending());
    assert_eq!(Arc::strong_count(&calls), 2);
    drop(receiver);
    assert_eq!(Arc::strong_count(&calls), 1);
    drop(sender);
    assert_eq!(calls.get(), 0);
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_called() {
    // Class: a poll with another waker, and the old one is called.
    let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
    let (sender, mut receiver) = channel();
    assert!(poll(&mut receiver, &first).is_pending());
    assert!(poll(&mut receiver, &second).is_pending());
    assert_eq!(Arc::strong_count(&first), 1);
    sender.send(7).unwrap();
    assert_eq!((first.get(), second.get()), (0, 1));
    assert_eq!(poll(&mut receiver, &second), Poll::Ready(Ok(7)));
}

#[test]
fn a_poll_that_is_dropped_loses_nothing() {
    let calls = Arc::new(Calls::default());
    let (sender, mut receiver) = channel();
    {
        // An arm of a select that did not win.
        let mut arm = &mut receiver;
        assert!(poll(&mut arm, &calls).is_pending());
    }
    sender.send(7).unwrap();
    assert_eq!(receiver.recv(), Ok(7));
}

#[test]
fn a_close_refuses_what_comes_later_and_keeps_what_came_before() {
    let (sender, mut receiver) = channel();
    assert!(!sender.is_closed());
    receiver.close();
    assert!(sender.is_closed());
    assert_eq!(sender.send(7).unwrap_err().into_inner(), 7);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));

    let (sender, mut receiver) = channel();
    sender.send(7).unwrap();
    receiver.close();
    receiver.close();
    assert_eq!(receiver.recv(), Ok(7));
}

#[test]
fn the_end_of_the_receiver_wakes_a_sender_that_waits_for_it() {
    let _dog = watchdog(PATIENCE);
    let calls = Arc::new(Calls::default());
    for close in [true, false] {
        let (mut sender, mut receiver) = channel::<i32>();
        let mut closed = sender.closed();
        assert!(poll(&mut closed, &calls).is_pending());
        let before = calls.get();
        if close {
            receiver.close();
        } else {
            drop(receiver);
        }
        assert_eq!(calls.get(), before + 1);
        assert_eq!(poll(&mut closed, &calls), Poll::Ready(()));
        drop(closed);
        sender.wait_closed();
    }
}

#[test]
fn a_dropped_wait_for_the_end_leaves_no_waker() {
    let calls = Arc::new(Calls::default());
    let (mut sender, receiver) = channel::<i32>();
    let mut closed = sender.closed();
    assert!(poll(&mut closed, &calls).is_pending());
    drop(closed);
    assert_eq!(Arc::strong_count(&calls), 1);
    drop(receiver);
    assert_eq!(calls.get(), 0);
}

#[test]
fn a_waker_may_use_the_channel() {
    // Class: a waker that is called under a lock.
    struct Peeks(Mutex<Option<Receiver<i32>>>, AtomicUsize);
    impl Wake for Peeks {
        fn wake(self: Arc<Self>) {
            let receiver = self.0.lock().take();
            let got = receiver.unwrap().try_recv().unwrap();
            self.1
                .store(usize::try_from(got).unwrap(), Ordering::SeqCst);
        }
    }
    let (sender, mut receiver) = channel();
    let peeks = Arc::new(Peeks(Mutex::new(None), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&peeks));
    let polled = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(waker);
    *peeks.0.lock() = Some(receiver);
    sender.send(7).unwrap();
    assert_eq!(peeks.1.load(Ordering::SeqCst), 7);
    assert_eq!(Arc::strong_count(&peeks), 1);
}

#[test]
fn a_message_whose_drop_panics_leaves_the_channel_whole() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the drop of the message panics");
        }
    }
    let (sender, receiver) = channel();
    sender.send(Bomb).unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(receiver)));
    assert!(caught.is_err());
}

/// One exchange of two channels: `ask` on this side, `answer` on the other.
fn ask(peer: Sender<Sender<u32>>) -> u32 {
    let (sender, receiver) = channel();
    peer.send(sender).unwrap();
    receiver.recv().unwrap()
}

fn answer(asked: Receiver<Sender<u32>>, n: u32) {
    asked.recv().unwrap().send(n).unwrap();
}

#[test]
fn threads_green_threads_and_futures_send_to_one_another() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for n in 0..iters(300, 100, 5) {
        let n = u32::try_from(n).unwrap();
        // A thread asks a green thread, which asks a future of tokio's, and back.
        let (to_green, green) = channel();
        let (to_future, future) = channel::<Sender<u32>>();
        let asker = std::thread::spawn(move || ask(to_green));
        let middle = runtime.spawn(move || {
            let from_future = ask(to_future);
            answer(green, from_future + 1);
        });
        let end = tokio.spawn(async move { future.await.unwrap().send(n).unwrap() });
        assert_eq!(asker.join().unwrap(), n + 1);
        middle.join().unwrap();
        tokio.block_on(end).unwrap();
    }
    // Two green threads, one worker: nobody but they may wake the other.
    let one = Runtime::builder().workers(1).build().unwrap();
    let sum = one.run(|| {
        let mut sum = 0;
        for n in 0..100 {
            let (sender, receiver) = channel();
            let other = weftwork_sched::spawn(move || answer(receiver, n));
            sum += ask(sender);
            other.join().unwrap();
        }
        sum
    });
    assert_eq!(sum, 4950);
}

#[test]
fn a_cancelled_green_thread_leaves_its_wait_and_its_sender_hears_of_it() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let (mut sender, receiver) = channel::<i32>();
    let waiting = runtime.spawn(move || receiver.recv());
    waiting.cancel();
    sender.wait_closed();
    assert!(waiting.join().unwrap_err().is_cancelled());
    assert!(sender.send(7).is_err());
}

#[test]
fn ends_that_race_deliver_or_hand_back_each_message() {
    // Class: use after free, loss or double drop where send, receive, poll and drop meet.
    let _dog = watchdog(PATIENCE);
    let drops = DropCounter::new();
    let rounds = iters(20_000, 5_000, 50);
    let barrier = Arc::new(Barrier::new(2));
    let (to_sender, senders) = std::sync::mpsc::channel::<Sender<_>>();
    let sending = std::thread::spawn({
        let (drops, barrier) = (drops.clone(), Arc::clone(&barrier));
        move || {
            let mut delivered = 0;
            for (n, mut sender) in senders.into_iter().enumerate() {
                let calls = Arc::new(Calls::default());
                if n % 4 == 1 {
                    let _ = poll(&mut sender.closed(), &calls);
                }
                barrier.wait();
                if n % 5 == 4 {
                    drop(sender);
                } else if sender.send(drops.track(n)).is_ok() {
                    delivered += 1;
                }
                assert_eq!(Arc::strong_count(&calls), 1);
            }
            delivered
        }
    });
    let mut received = 0;
    for n in 0..rounds {
        let calls = Arc::new(Calls::default());
        let (sender, mut receiver) = channel();
        to_sender.send(sender).unwrap();
        let polled = n % 2 == 0 && poll(&mut receiver, &calls).is_ready();
        assert!(!polled);
        barrier.wait();
        match n % 7 {
            0 => drop(receiver),
            1 => {
                receiver.close();
                received += usize::from(receiver.try_recv().is_ok());
            }
            2 => {
                let polled = poll(&mut receiver, &calls);
                received += usize::from(matches!(polled, Poll::Ready(Ok(_))));
            }
            _ => received += usize::from(receiver.recv().is_ok()),
        }
    }
    drop(to_sender);
    let delivered = sending.join().unwrap();
    assert!(
        received <= delivered,
        "{received} received of {delivered} sent"
    );
    drops.assert_none_live();
}

#[test]
fn errors_say_what_happened_without_asking_anything_of_the_message() {
    struct Opaque;
    let (sender, receiver) = channel();
    drop(receiver);
    let error = sender.send(Opaque).unwrap_err();
    let text = format!(
        "{error:?} / {error} / {} / {}",
        RecvError,
        TryRecvError::Empty
    );
    assert!(text.starts_with("SendError"), "{text}");
    assert_eq!(
        oneshot::TryRecvError::from(RecvError),
        TryRecvError::Disconnected
    );
}

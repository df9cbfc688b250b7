//! The watch channel: what is seen, snapshots, changes in place, the ends; on threads, green threads and
//! futures.

#![cfg(not(weftwork_loom))]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_csp::watch::{Receiver, Sender, channel};
use weftwork_csp::{RecvError, RecvTimeoutError};
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
fn a_value_counts_as_seen_when_it_was_waited_for_or_updated_to() {
    let (sender, mut receiver) = channel(0);
    assert_eq!(receiver.has_changed(), Ok(false));
    sender.send(1).unwrap();
    assert_eq!(*receiver.borrow(), 1);
    assert_eq!(receiver.has_changed(), Ok(true));
    let late = receiver.clone();
    assert_eq!(receiver.changed(), Ok(()));
    assert_eq!(receiver.has_changed(), Ok(false));
    assert_eq!(late.has_changed(), Ok(true));
    assert_eq!(sender.subscribe().has_changed(), Ok(false));
    sender.send(2).unwrap();
    assert_eq!(*receiver.borrow_and_update(), 2);
    assert_eq!(receiver.has_changed(), Ok(false));
    receiver.mark_changed();
    assert_eq!(receiver.has_changed(), Ok(true));
    receiver.mark_unchanged();
    assert_eq!(
        receiver.changed_timeout(Duration::ZERO),
        Err(RecvTimeoutError::Timeout)
    );
}

#[test]
fn values_in_between_are_skipped_and_the_last_is_seen_after_the_end() {
    let (sender, mut receiver) = channel(0);
    for n in 1..=3 {
        sender.send(n).unwrap();
    }
    drop(sender);
    assert_eq!(receiver.changed(), Ok(()));
    assert_eq!(*receiver.borrow(), 3);
    assert_eq!(receiver.changed(), Err(RecvError));
    assert_eq!(receiver.has_changed(), Err(RecvError));
    assert_eq!(
        receiver.changed_deadline(Instant::now()),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_snapshot_stays_what_it_was_and_holds_up_nobody() {
    let drops = DropCounter::new();
    let (sender, receiver) = channel(drops.track(1));
    let kept = receiver.borrow();
    assert!(sender.send(drops.track(2)).is_ok());
    drops.assert_live(2);
    assert_eq!(**kept, 1);
    drop(kept);
    drops.assert_live(1);
    let before = sender.send_replace(drops.track(3));
    assert_eq!(**before, 2);
    drop((before, sender, receiver));
    drops.assert_none_live();
}

#[test]
fn a_send_to_nobody_leaves_the_value_and_a_replacement_changes_it() {
    let (sender, receiver) = channel(1);
    drop(receiver);
    assert_eq!(sender.send(2).unwrap_err().into_inner(), 2);
    assert_eq!(*sender.borrow(), 1);
    assert_eq!(*sender.send_replace(3), 1);
    assert_eq!(*sender.subscribe().borrow(), 3);
}

#[test]
fn a_change_that_panics_or_says_no_changes_nothing() {
    let (sender, mut receiver) = channel(vec![1]);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sender.send_modify(|list| {
            list.push(2);
            panic!("the change panics");
        });
    }));
    assert!(caught.is_err());
    assert!(!sender.send_if_modified(|list| {
        list.push(3);
        false
    }));
    assert_eq!(receiver.has_changed(), Ok(false));
    assert_eq!(*receiver.borrow(), [1]);
    assert!(sender.send_if_modified(|list| {
        list.push(4);
        true
    }));
    assert_eq!(*receiver.borrow_and_update(), [1, 4]);
}

#[test]
fn a_change_may_use_the_channel() {
    // Class: user code under a lock.
    let _dog = watchdog(PATIENCE);
    let (sender, receiver) = channel(1);
    let mut rounds = 0;
    sender.send_modify(|n| {
        rounds += 1;
        if rounds == 1 {
            sender.send(10).unwrap();
        }
        *n += *receiver.borrow();
    });
    // The first round was overtaken by the send in it.
    assert_eq!((rounds, *receiver.borrow()), (2, 20));
}

#[test]
fn a_wait_for_a_value_looks_at_the_present_one_first() {
    let _dog = watchdog(PATIENCE);
    let (sender, mut receiver) = channel(1);
    assert_eq!(*receiver.wait_for(|n| *n == 1).unwrap(), 1);
    let early = receiver.wait_for_timeout(|n| *n == 2, Duration::from_millis(1));
    assert_eq!(early.map(|n| *n), Err(RecvTimeoutError::Timeout));
    sender.send(2).unwrap();
    assert_eq!(receiver.wait_for(|n| *n == 2).map(|n| *n), Ok(2));
    // What was asked about counts as seen.
    assert_eq!(receiver.has_changed(), Ok(false));
    drop(sender);
    assert_eq!(receiver.wait_for(|n| *n == 3).map(|n| *n), Err(RecvError));
}

#[test]
fn all_that_wait_are_woken_once_and_a_dropped_wait_leaves_no_waker() {
    let (sender, mut first) = channel(0);
    let mut second = first.clone();
    let (calls, waker) = Calls::new();
    let mut context = Context::from_waker(&waker);
    {
        let mut one = pin!(first.changed_async());
        let mut other = pin!(second.changed_async());
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(other.as_mut().poll(&mut context).is_pending());
        sender.send(1).unwrap();
        assert_eq!(calls.get(), 2);
        assert_eq!(one.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    }
    // The one that was woken and dropped has seen nothing.
    assert_eq!(second.has_changed(), Ok(true));
    second.mark_unchanged();
    {
        let mut waiting = pin!(second.changed_async());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert_eq!(Arc::strong_count(&calls), 3);
    }
    assert_eq!(Arc::strong_count(&calls), 2);
}

#[test]
fn the_end_of_the_last_receiver_ends_the_waits_for_it() {
    let _dog = watchdog(PATIENCE);
    let (sender, receiver) = channel(0);
    let (calls, waker) = Calls::new();
    let mut context = Context::from_waker(&waker);
    let mut closed = pin!(sender.closed());
    assert!(closed.as_mut().poll(&mut context).is_pending());
    assert!(
        sender
            .wait_closed_timeout(Duration::from_millis(1))
            .is_err()
    );
    let second = receiver.clone();
    drop(receiver);
    assert_eq!(calls.get(), 0);
    let waiting = std::thread::spawn({
        let sender = sender.clone();
        move || sender.wait_closed()
    });
    drop(second);
    waiting.join().unwrap();
    assert_eq!(calls.get(), 1);
    assert_eq!(closed.as_mut().poll(&mut context), Poll::Ready(()));
    assert!(sender.is_closed());
}

#[test]
fn threads_green_threads_and_futures_see_values_in_order_and_the_last() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let each = iters(10_000, 2_000, 50) as u64;
    let (sender, receiver) = channel(0);
    let last = |mut receiver: Receiver<u64>| {
        move || {
            let mut last = 0;
            while receiver.changed() == Ok(()) {
                let value = *receiver.borrow_and_update();
                assert!(value >= last);
                last = value;
            }
            last
        }
    };
    let thread = std::thread::spawn(last(receiver.clone()));
    let green = runtime.spawn(last(receiver.clone()));
    let future = tokio.spawn({
        let mut receiver = receiver;
        async move {
            let mut last = 0;
            while receiver.changed_async().await == Ok(()) {
                last = *receiver.borrow_and_update();
            }
            last
        }
    });
    let count =
        |sender: Sender<u64>| move || (0..each).for_each(|_| sender.send_modify(|n| *n += 1));
    let counting = std::thread::spawn(count(sender.clone()));
    let green_counting = runtime.spawn(count(sender));
    counting.join().unwrap();
    green_counting.join().unwrap();
    assert_eq!(thread.join().unwrap(), 2 * each);
    assert_eq!(green.join().unwrap(), 2 * each);
    assert_eq!(tokio.block_on(future).unwrap(), 2 * each);
}

#[test]
fn a_cancelled_green_thread_leaves_its_wait() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (sender, mut receiver) = channel(0);
    let waiting = runtime.spawn(move || receiver.changed());
    waiting.cancel();
    assert!(waiting.join().unwrap_err().is_cancelled());
    sender.wait_closed();
}

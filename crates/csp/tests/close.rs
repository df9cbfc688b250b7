//! The end of a channel by `close`: who is told, what is still received, and the reason.

#![cfg(not(weftwork_loom))]

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use weftwork_csp::{
    Receiver, RecvError, SendError, SendTimeoutError, Sender, TryRecvError, TrySendError, after,
    bounded, never, select, unbounded,
};
use weftwork_sched::Runtime;
use weftwork_testkit::{DropCounter, iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

/// Capacities of every kind.
const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(8), None];

fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

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
fn the_first_close_from_either_end_is_the_one() {
    for capacity in CAPACITIES {
        let (s, r) = channel::<i32>(capacity);
        assert!(!s.is_closed() && !r.is_closed());
        assert!(s.close());
        assert!(!r.close() && !s.close());
        assert!(s.is_closed() && r.is_closed());

        let (s, r) = channel::<i32>(capacity);
        assert!(r.close());
        assert!(!s.close());

        let (s, r) = channel::<i32>(capacity);
        drop(r);
        assert!(s.is_closed());
        assert!(!s.close());

        let (s, r) = channel::<i32>(capacity);
        drop(s);
        assert!(r.is_closed());
        assert!(!r.close());
    }
}

#[test]
fn what_was_sent_before_a_close_is_received_and_nothing_is_sent_after_it() {
    for capacity in [Some(3), None] {
        let (s, r) = channel(capacity);
        s.send_many([1, 2, 3]).unwrap();
        s.close();
        assert_eq!(s.try_send(4), Err(TrySendError::Disconnected(4)));
        assert_eq!(s.send(5), Err(SendError(5)));
        let late = s.send_timeout(6, Duration::MAX);
        assert_eq!(late, Err(SendTimeoutError::Disconnected(6)));
        assert_eq!(weftwork_core::block_on(s.send_async(7)), Err(SendError(7)));
        assert_eq!(r.len(), 3);
        assert_eq!(r.iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(weftwork_core::block_on(r.recv_async()), Err(RecvError));
    }
}

#[test]
fn a_close_wakes_all_who_wait_to_receive() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    for capacity in CAPACITIES {
        let (s, r) = channel::<i32>(capacity);
        let calls = Arc::<Calls>::default();
        let mut future = pin!(r.recv_async());
        assert!(poll(future.as_mut(), &calls).is_pending());
        let on_thread = thread::spawn({
            let r = r.clone();
            move || r.recv()
        });
        let green = runtime.spawn({
            let r = r.clone();
            move || r.recv()
        });
        let selecting = thread::spawn({
            let r = r.clone();
            move || {
                select! {
                    recv(r) -> n => n,
                    recv(never::<i32>()) -> _ => unreachable!("never"),
                }
            }
        });
        s.close();
        assert_eq!(calls.get(), 1);
        assert_eq!(poll(future, &calls), Poll::Ready(Err(RecvError)));
        assert_eq!(on_thread.join().unwrap(), Err(RecvError));
        assert_eq!(green.join().unwrap(), Err(RecvError));
        assert_eq!(selecting.join().unwrap(), Err(RecvError));
    }
}

#[test]
fn a_close_gives_all_who_wait_to_send_their_message_back() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    for capacity in [0, 1] {
        let (s, r) = bounded(capacity);
        if capacity == 1 {
            s.send(0).unwrap();
        }
        let calls = Arc::<Calls>::default();
        let mut future = pin!(s.send_async(1));
        assert!(poll(future.as_mut(), &calls).is_pending());
        let on_thread = thread::spawn({
            let s = s.clone();
            move || s.send(2)
        });
        let green = runtime.spawn({
            let s = s.clone();
            move || s.send(3)
        });
        let selecting = thread::spawn({
            let s = s.clone();
            move || {
                select! {
                    send(s, 4) -> sent => sent,
                    recv(never::<i32>()) -> _ => unreachable!("never"),
                }
            }
        });
        r.close();
        assert_eq!(calls.get(), 1);
        assert_eq!(poll(future, &calls), Poll::Ready(Err(SendError(1))));
        assert_eq!(on_thread.join().unwrap(), Err(SendError(2)));
        assert_eq!(green.join().unwrap(), Err(SendError(3)));
        assert_eq!(selecting.join().unwrap(), Err(SendError(4)));
        assert_eq!(r.try_iter().count(), capacity);
    }
}

#[test]
fn the_reason_of_the_first_close_is_told_at_both_ends() {
    #[derive(Debug, PartialEq)]
    struct Overheated(u32);
    impl fmt::Display for Overheated {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "overheated to {}", self.0)
        }
    }
    impl std::error::Error for Overheated {}

    let (s, r) = unbounded::<i32>();
    assert!(s.close_reason().is_none());
    assert!(r.close_with(Overheated(451)));
    assert!(!s.close_with("too late"));
    for reason in [s.close_reason(), r.close_reason()] {
        let reason = reason.unwrap();
        assert_eq!(reason.to_string(), "overheated to 451");
        assert_eq!(reason.get_ref().downcast_ref(), Some(&Overheated(451)));
    }
    let told = s.closed().wait().unwrap();
    assert_eq!(told.to_string(), "overheated to 451");
}

#[test]
fn an_end_without_a_reason_has_none() {
    let (s, r) = bounded::<i32>(1);
    s.close();
    assert!(r.close_reason().is_none());
    assert!(r.closed().unwrap().wait().is_none());
    let (s, r) = bounded::<i32>(1);
    drop(r);
    assert!(s.close_reason().is_none() && s.closed().wait().is_none());
}

#[test]
fn waiting_for_the_end_ends_with_a_close_and_with_the_last_handle_of_either_end() {
    type End = fn(Sender<i32>, Receiver<i32>) -> (Option<Sender<i32>>, Option<Receiver<i32>>);
    let ends: [End; 4] = [
        |s, r| {
            s.close();
            (Some(s), Some(r))
        },
        |s, r| {
            r.close_with("enough");
            (Some(s), Some(r))
        },
        |s, _| (Some(s), None),
        |_, r| (None, Some(r)),
    ];
    for capacity in CAPACITIES {
        for (n, end) in ends.iter().enumerate() {
            let (s, r) = channel::<i32>(capacity);
            // Those that wait are held by handles of the end that stays.
            let (s2, r2) = ((n != 3).then(|| s.clone()), (n != 2).then(|| r.clone()));
            let calls: [Arc<Calls>; 2] = Default::default();
            let mut sender_side = s2.as_ref().map(|s| Box::pin(s.closed()));
            let mut receiver_side = r2.as_ref().map(|r| Box::pin(r.closed().unwrap()));
            let mut waiting: Vec<_> = [sender_side.as_mut(), receiver_side.as_mut()]
                .into_iter()
                .flatten()
                .zip(&calls)
                .collect();
            for (future, calls) in &mut waiting {
                assert!(poll(future.as_mut(), calls).is_pending());
            }
            let _rest = end(s, r);
            for (future, calls) in &mut waiting {
                assert_eq!(calls.get(), 1);
                let Poll::Ready(reason) = poll(future.as_mut(), calls) else {
                    panic!("it has ended");
                };
                assert_eq!(reason.is_some(), n == 1);
            }
        }
    }
}

#[test]
fn waiting_for_the_end_is_not_disturbed_by_messages_or_other_handles() {
    let (s, r) = bounded(2);
    let calls = Arc::<Calls>::default();
    let mut closed = pin!(s.closed());
    assert!(poll(closed.as_mut(), &calls).is_pending());
    s.send(1).unwrap();
    assert_eq!(r.recv(), Ok(1));
    drop((s.clone(), r.clone()));
    assert_eq!(calls.get(), 0);
    assert!(poll(closed.as_mut(), &calls).is_pending());
    drop(r);
    assert_eq!(calls.get(), 1);
    assert!(poll(closed, &calls).is_ready());
}

#[test]
fn a_wait_for_the_end_calls_its_last_waker_and_none_after_it_was_dropped() {
    let (s, r) = bounded::<i32>(1);
    let calls: [Arc<Calls>; 3] = Default::default();
    let mut closed = pin!(s.closed());
    for calls in &calls[..2] {
        assert!(poll(closed.as_mut(), calls).is_pending());
    }
    {
        let mut dropped = pin!(r.closed().unwrap());
        assert!(poll(dropped.as_mut(), &calls[2]).is_pending());
    }
    s.close();
    assert_eq!(calls.each_ref().map(|calls| calls.get()), [0, 1, 0]);
}

#[test]
fn a_wait_for_the_end_has_a_time_limit() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded::<i32>(1);
    let start = Instant::now();
    assert!(s.closed().wait_timeout(Duration::from_millis(2)).is_err());
    assert!(start.elapsed() >= Duration::from_millis(2));
    assert!(r.closed().unwrap().wait_deadline(start).is_err());
    let waiter = thread::spawn(move || s.closed().wait_timeout(Duration::MAX).is_ok());
    r.close();
    assert!(waiter.join().unwrap());
}

#[test]
fn a_select_learns_of_the_end_while_it_waits_for_room() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(0);
    let (_keep, work) = bounded::<i32>(0);
    let closer = thread::spawn(move || r.close_with("enough"));
    let reason = select! {
        recv(work) -> _ => unreachable!("there is no work"),
        closed(s) -> reason => reason,
    };
    assert!(closer.join().unwrap());
    assert_eq!(reason.unwrap().to_string(), "enough");
    assert!(s.send(1).is_err());
}

#[test]
fn a_clock_is_never_closed() {
    let clock = after(Duration::MAX);
    assert!(!clock.close() && !clock.close_with("no") && !clock.is_closed());
    assert!(clock.closed().is_none() && clock.close_reason().is_none());
}

#[test]
fn a_closed_channel_keeps_counting_its_handles() {
    let (s, r) = bounded::<i32>(1);
    s.close();
    let (s2, r2) = (s.clone(), r.clone());
    assert_eq!((s.sender_count(), s.receiver_count()), (2, 2));
    assert_eq!((r.sender_count(), r.receiver_count()), (2, 2));
    drop((s2, r2));
    assert_eq!((r.sender_count(), s.receiver_count()), (1, 1));
}

#[test]
fn the_messages_of_a_closed_channel_are_dropped_with_its_last_receiver() {
    let drops = DropCounter::new();
    let (s, r) = unbounded();
    s.send_many((0..10).map(|n| drops.track(n))).unwrap();
    s.close();
    drops.assert_live(10);
    drop(r);
    drops.assert_none_live();
    drop(s);
}

#[test]
fn a_close_against_everything_loses_and_invents_no_message() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for round in 0..iters(300, 40, 4) {
        let drops = DropCounter::new();
        let (s, r) = channel(CAPACITIES[round % CAPACITIES.len()]);
        let send = |s: Sender<_>| {
            let drops = drops.clone();
            move || {
                (0..)
                    .take_while(|n| s.send(drops.track(*n)).is_ok())
                    .count()
            }
        };
        let by_permit = |s: Sender<_>| {
            let drops = drops.clone();
            move || {
                let mut sent = 0;
                while let Ok(permit) = s.reserve() {
                    permit.send(drops.track(sent)).unwrap();
                    sent += 1;
                }
                sent
            }
        };
        let receive = |r: Receiver<_>| move || r.iter().count();
        let senders = [
            thread::spawn(send(s.clone())),
            thread::spawn(by_permit(s.clone())),
        ];
        let green = (
            runtime.spawn(send(s.clone())),
            runtime.spawn(receive(r.clone())),
        );
        let receivers = [
            thread::spawn(receive(r.clone())),
            thread::spawn({
                let r = r.clone();
                move || {
                    let mut received = 0;
                    loop {
                        select! {
                            recv(r) -> message => match message {
                                Ok(_) => received += 1,
                                Err(RecvError) => return received,
                            },
                            recv(never::<()>()) -> _ => unreachable!("never"),
                        }
                    }
                }
            }),
        ];
        let future = (
            tokio.spawn({
                let (s, drops) = (s.clone(), drops.clone());
                async move {
                    let mut sent = 0;
                    while s.send_async(drops.track(sent)).await.is_ok() {
                        sent += 1;
                    }
                    sent
                }
            }),
            tokio.spawn({
                let r = r.clone();
                async move {
                    let mut received = 0;
                    while r.recv_async().await.is_ok() {
                        received += 1;
                    }
                    received
                }
            }),
        );
        // Some messages pass first.
        let mut received = (&r).into_iter().take(50).count();
        assert!(if round % 2 == 0 { s.close() } else { r.close() });
        received += r.iter().count();
        received += receivers.map(|r| r.join().unwrap()).iter().sum::<usize>();
        received += green.1.join().unwrap() + tokio.block_on(future.1).unwrap();
        let mut sent: usize = senders.map(|s| s.join().unwrap()).iter().sum();
        sent += green.0.join().unwrap() + tokio.block_on(future.0).unwrap();
        // A permit, or a partner of a select, may send after a receiver was told of the end.
        received += r.drain().count();
        assert_eq!(sent, received);
        drops.assert_none_live();
    }
}

//! Permits: room that is promised before there is a message.

#![cfg(not(weftwork_loom))]

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use weftwork_csp::{
    OwnedPermit, Permit, RecvError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    bounded, select, unbounded,
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

fn poll<F: Future>(future: Pin<&mut F>, calls: &Arc<Calls>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(calls));
    future.poll(&mut Context::from_waker(&waker))
}

fn pending<F: Future>(future: Pin<&mut F>) -> bool {
    poll(future, &Arc::default()).is_pending()
}

#[test]
fn a_permit_holds_room_until_it_is_used_or_dropped() {
    let (s, r) = bounded(2);
    let one = s.try_reserve().unwrap();
    let two = s.try_reserve().unwrap();
    assert!(s.is_full());
    assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(s.try_reserve().unwrap_err(), TrySendError::Full(()));
    drop(one);
    assert_eq!(s.try_send(2), Ok(()));
    assert_eq!(s.try_send(3), Err(TrySendError::Full(3)));
    two.send(4).unwrap();
    assert_eq!(r.try_iter().collect::<Vec<_>>(), [2, 4]);
    assert_eq!(s.try_send(5), Ok(()));
    assert_eq!(s.try_send(6), Ok(()));
    assert!(s.is_full());
}

#[test]
fn a_permit_of_an_unbounded_channel_is_given_at_once() {
    let (s, r) = unbounded();
    let permits: Vec<Permit<'_, i32>> = (0..100).map(|_| s.reserve().unwrap()).collect();
    assert!(r.is_empty());
    for (n, permit) in (0..).zip(permits) {
        permit.send(n).unwrap();
    }
    assert_eq!(
        r.try_iter().collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
}

#[test]
fn a_closed_channel_is_empty_while_permits_are_out_and_disconnected_afterwards() {
    for capacity in [Some(2), None] {
        let (s, r) = capacity.map_or_else(unbounded, bounded);
        let used = s.reserve().unwrap();
        let unused = s.reserve().unwrap();
        assert!(s.close());
        assert!(s.is_closed());
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        used.send(1).unwrap();
        assert_eq!(r.try_recv(), Ok(1));
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        drop(unused);
        assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
    }
}

#[test]
fn reserving_on_a_closed_channel_says_disconnected_even_if_it_is_full() {
    let (s, r) = bounded(1);
    s.send(1).unwrap();
    r.close();
    assert_eq!(s.try_reserve().unwrap_err(), TrySendError::Disconnected(()));
    assert_eq!(s.reserve().unwrap_err(), SendError(()));
    let late = s.reserve_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(late, SendTimeoutError::Disconnected(()));
    let s = s.try_reserve_owned().unwrap_err();
    assert!(s.is_disconnected());
    assert_eq!(
        s.into_inner()
            .reserve_owned()
            .unwrap_err()
            .into_inner()
            .len(),
        1
    );
}

#[test]
fn a_permit_whose_receivers_are_gone_gives_the_message_back() {
    for capacity in [Some(0), Some(1), None] {
        let (s, r) = capacity.map_or_else(unbounded, bounded);
        let mut waits = Box::pin(r.recv_async());
        assert!(pending(waits.as_mut()));
        let permit = s.reserve().unwrap();
        drop(waits);
        drop(r);
        assert_eq!(permit.send("letter"), Err(SendError("letter")));
        assert_eq!(s.try_reserve().unwrap_err(), TrySendError::Disconnected(()));
    }
}

#[test]
fn a_permit_that_comes_back_wakes_those_who_wait_for_the_end_of_a_closed_channel() {
    let _dog = watchdog(PATIENCE);
    for _ in 0..iters(100, 20, 5) {
        let (s, r) = bounded::<i32>(1);
        let permit = s.reserve().unwrap();
        s.close();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let r = r.clone();
                thread::spawn(move || r.recv())
            })
            .collect();
        let calls: [Arc<Calls>; 2] = Default::default();
        let mut futures = [r.recv_async(), r.recv_async()].map(Box::pin);
        for (future, calls) in futures.iter_mut().zip(&calls) {
            assert!(poll(future.as_mut(), calls).is_pending());
        }
        drop(permit);
        for (future, calls) in futures.iter_mut().zip(&calls) {
            assert_eq!(calls.get(), 1);
            assert_eq!(poll(future.as_mut(), calls), Poll::Ready(Err(RecvError)));
        }
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(RecvError));
        }
    }
}

#[test]
fn the_last_permit_wakes_all_even_if_one_of_them_is_to_take_a_message() {
    let (s, r) = bounded(2);
    let (used, unused) = (s.reserve().unwrap(), s.reserve().unwrap());
    s.close();
    let calls: [Arc<Calls>; 3] = Default::default();
    let mut futures = [r.recv_async(), r.recv_async(), r.recv_async()].map(Box::pin);
    for (future, calls) in futures.iter_mut().zip(&calls) {
        assert!(poll(future.as_mut(), calls).is_pending());
    }
    used.send(1).unwrap();
    drop(unused);
    let received: Vec<_> = futures
        .iter_mut()
        .zip(&calls)
        .map(|(future, calls)| {
            assert_eq!(calls.get(), 1);
            poll(future.as_mut(), calls)
        })
        .collect();
    let end = Poll::Ready(Err(RecvError));
    assert_eq!(received, [Poll::Ready(Ok(1)), end, end]);
}

#[test]
fn a_permit_that_is_used_after_a_close_tells_the_other_receivers_of_the_end() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(1);
    let permit = s.reserve().unwrap();
    s.close();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let r = r.clone();
            thread::spawn(move || r.recv())
        })
        .collect();
    permit.send(7).unwrap();
    let mut received: Vec<_> = waiters.into_iter().map(|w| w.join().unwrap()).collect();
    received.sort_by_key(Result::is_err);
    assert_eq!(received, [Ok(7), Err(RecvError), Err(RecvError)]);
}

#[test]
fn a_forgotten_permit_keeps_no_receiver_from_learning_that_the_senders_are_gone() {
    let (s, r) = bounded::<i32>(2);
    std::mem::forget(s.reserve().unwrap());
    s.send(1).unwrap();
    drop(s);
    assert_eq!(r.recv(), Ok(1));
    assert_eq!(r.recv(), Err(RecvError));
}

#[test]
fn a_dropped_permit_lets_the_next_sender_in() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(1);
    let permit = s.reserve().unwrap();
    let calls: [Arc<Calls>; 2] = Default::default();
    let mut send = pin!(s.send_async(1));
    assert!(poll(send.as_mut(), &calls[0]).is_pending());
    drop(permit);
    assert_eq!(calls[0].get(), 1);
    assert_eq!(poll(send.as_mut(), &calls[0]), Poll::Ready(Ok(())));
    let mut reserve = pin!(s.reserve_async());
    assert!(poll(reserve.as_mut(), &calls[1]).is_pending());
    assert_eq!(r.recv(), Ok(1));
    assert_eq!(calls[1].get(), 1);
    assert!(poll(reserve.as_mut(), &calls[1]).is_ready());
}

#[test]
fn the_room_of_a_permit_is_never_taken_by_a_sender_that_waits_long() {
    let (s, r) = bounded(1);
    let permit = s.reserve().unwrap();
    // Longer than a selection that was forgotten is waited for.
    let late = s.send_timeout(1, Duration::from_millis(50));
    assert_eq!(late, Err(SendTimeoutError::Timeout(1)));
    permit.send(2).unwrap();
    assert_eq!(r.len(), 1);
    assert_eq!(r.recv(), Ok(2));
}

#[test]
fn at_capacity_0_a_permit_sets_a_receiver_aside_and_gives_it_back() {
    let (s, r) = bounded(0);
    assert_eq!(s.try_reserve().unwrap_err(), TrySendError::Full(()));
    let calls = Arc::<Calls>::default();
    let mut receive = pin!(r.recv_async());
    assert!(poll(receive.as_mut(), &calls).is_pending());
    let permit = s.try_reserve().unwrap();
    assert_eq!(s.try_reserve().unwrap_err(), TrySendError::Full(()));
    assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
    drop(permit);
    assert!(poll(receive.as_mut(), &calls).is_pending());
    let permit = s.try_reserve().unwrap();
    let woken = calls.get();
    permit.send(2).unwrap();
    assert_eq!(calls.get(), woken + 1);
    assert_eq!(poll(receive.as_mut(), &calls), Poll::Ready(Ok(2)));
}

#[test]
fn at_capacity_0_reserving_waits_for_a_receiver_of_any_kind() {
    let _dog = watchdog(PATIENCE);
    for _ in 0..iters(500, 100, 10) {
        let (s, r) = bounded(0);
        let (_keep, never) = bounded::<i32>(1);
        let received = [
            {
                let r = r.clone();
                thread::spawn(move || r.recv().unwrap())
            },
            {
                let r = r.clone();
                thread::spawn(move || weftwork_core::block_on(r.recv_async()).unwrap())
            },
            {
                let r = r.clone();
                thread::spawn(move || {
                    select! {
                        recv(r) -> n => n.unwrap(),
                        recv(never) -> _ => unreachable!("nobody sends"),
                    }
                })
            },
        ];
        s.reserve().unwrap().send(1).unwrap();
        weftwork_core::block_on(s.reserve_async())
            .unwrap()
            .send(2)
            .unwrap();
        let s = s.reserve_owned().unwrap().send(4).unwrap();
        assert_eq!(received.map(|r| r.join().unwrap()).iter().sum::<i32>(), 7);
        drop(s);
    }
}

#[test]
fn at_capacity_0_a_permit_stays_good_when_its_receiver_leaves_or_the_channel_closes() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(0);
    let permit = {
        let mut receive = pin!(r.recv_async());
        assert!(pending(receive.as_mut()));
        s.try_reserve().unwrap()
    };
    permit.send(1).unwrap();
    assert_eq!(r.try_recv(), Ok(1));

    let calls = Arc::<Calls>::default();
    let mut receive = pin!(r.recv_async());
    assert!(poll(receive.as_mut(), &calls).is_pending());
    let permit = s.try_reserve().unwrap();
    s.close();
    // It may not say that this is the end: the permit is out.
    assert!(poll(receive.as_mut(), &calls).is_pending());
    assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    permit.send(2).unwrap();
    assert_eq!(poll(receive.as_mut(), &calls), Poll::Ready(Ok(2)));
    assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_reserve_that_is_dropped_when_it_was_told_tells_the_next() {
    for rendezvous in [false, true] {
        let (s, r) = bounded(usize::from(!rendezvous));
        if !rendezvous {
            s.send(0).unwrap();
        }
        let calls: [Arc<Calls>; 2] = Default::default();
        let mut first = Box::pin(s.reserve_async());
        let mut second = pin!(s.reserve_async());
        assert!(poll(first.as_mut(), &calls[0]).is_pending());
        assert!(poll(second.as_mut(), &calls[1]).is_pending());
        let receiver = Arc::<Calls>::default();
        let mut receive = pin!(r.recv_async());
        assert_eq!(poll(receive.as_mut(), &receiver).is_pending(), rendezvous);
        assert_eq!((calls[0].get(), calls[1].get()), (1, 0));
        drop(first);
        if rendezvous {
            // It was set aside and is sent back into the line, from where it tells the next.
            assert_eq!(receiver.get(), 1);
            assert!(poll(receive.as_mut(), &receiver).is_pending());
        }
        assert_eq!(calls[1].get(), 1, "capacity {:?}", s.capacity());
        assert!(poll(second.as_mut(), &calls[1]).is_ready());
    }
}

#[test]
fn a_reserve_that_is_dropped_early_takes_nothing() {
    let (s, r) = bounded(1);
    s.send(1).unwrap();
    {
        let mut reserve = pin!(s.reserve_async());
        assert!(pending(reserve.as_mut()));
    }
    assert_eq!(r.recv(), Ok(1));
    assert_eq!(s.try_send(2), Ok(()));
    assert_eq!(
        s.reserve_deadline(Instant::now()).unwrap_err(),
        SendTimeoutError::Timeout(())
    );
    assert_eq!(r.recv(), Ok(2));
    assert_eq!(s.try_send(3), Ok(()));
}

#[test]
fn those_who_wait_for_a_permit_learn_of_a_close() {
    let _dog = watchdog(PATIENCE);
    for capacity in [0, 1] {
        let (s, r) = bounded::<i32>(capacity);
        let _held = (capacity == 1).then(|| s.reserve().unwrap());
        let waiter = thread::spawn({
            let s = s.clone();
            move || s.reserve().is_err()
        });
        let calls = Arc::<Calls>::default();
        let mut reserve = pin!(s.reserve_async());
        assert!(poll(reserve.as_mut(), &calls).is_pending());
        r.close();
        assert_eq!(calls.get(), 1);
        assert!(matches!(
            poll(reserve.as_mut(), &calls),
            Poll::Ready(Err(SendError(())))
        ));
        assert!(waiter.join().unwrap());
    }
}

#[test]
fn an_owned_permit_moves_to_where_the_message_is_made() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(1);
    let permit: OwnedPermit<i32> = s.reserve().unwrap().into_owned();
    drop(s);
    let maker = thread::spawn(move || drop(permit.send(3).unwrap()));
    assert_eq!(r.recv(), Ok(3));
    assert_eq!(r.recv(), Err(RecvError));
    maker.join().unwrap();

    let (s, r) = bounded::<i32>(1);
    let permit = s.try_reserve_owned().unwrap();
    assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    drop(permit);
    assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_select_may_wait_for_a_permit() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(1);
    let (_other, never) = bounded::<i32>(1);
    s.send(1).unwrap();
    let receiver = thread::spawn(move || (r.recv(), r.recv()));
    select! {
        event(s.reserve_async()) -> permit => permit.unwrap().send(2).unwrap(),
        recv(never) -> _ => unreachable!("nobody sends"),
    }
    assert_eq!(receiver.join().unwrap(), (Ok(1), Ok(2)));
}

#[test]
fn permits_of_threads_green_threads_and_tokio_lose_no_message_and_keep_the_capacity() {
    let _dog = watchdog(PATIENCE);
    let count = iters(20_000, 2_000, 100);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for capacity in [0, 1, 3] {
        let drops = DropCounter::new();
        let (s, r) = bounded(capacity);
        let blocking = |s: weftwork_csp::Sender<_>| {
            let drops = drops.clone();
            move || {
                for n in 0..count {
                    let permit = s.reserve().unwrap();
                    if n % 7 == 0 {
                        drop(permit);
                        s.send(drops.track(n)).unwrap();
                    } else {
                        permit.send(drops.track(n)).unwrap();
                    }
                }
            }
        };
        let on_thread = thread::spawn(blocking(s.clone()));
        let green = runtime.spawn(blocking(s.clone()));
        let future = tokio.spawn({
            let (s, drops) = (s.clone(), drops.clone());
            async move {
                for n in 0..count {
                    // One that is given up now and then.
                    tokio::select! {
                        biased;
                        permit = s.reserve_async() => drop(permit),
                        () = std::future::ready(()) => {}
                    }
                    s.reserve_async()
                        .await
                        .unwrap()
                        .send(drops.track(n))
                        .unwrap();
                }
            }
        });
        drop(s);
        let consumer = thread::spawn({
            let r = r.clone();
            move || {
                let mut received = 0;
                while r.recv().is_ok() {
                    received += 1;
                    assert!(capacity == 0 || r.len() <= capacity);
                }
                received
            }
        });
        let mut received = 0;
        weftwork_core::block_on(async {
            while r.recv_async().await.is_ok() {
                received += 1;
            }
        });
        assert_eq!(received + consumer.join().unwrap(), 3 * count);
        on_thread.join().unwrap();
        green.join().unwrap();
        tokio.block_on(future).unwrap();
        drops.assert_none_live();
    }
}

//! Handles that do not count, and the counts of those that do.

#![cfg(not(weftwork_loom))]

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use weftwork_csp::{RecvError, SendError, TryRecvError, after, bounded, never, unbounded};
use weftwork_testkit::{DropCounter, iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_weak_sender_does_not_keep_the_channel_connected() {
    let (s, r) = unbounded();
    let weak = s.downgrade();
    assert_eq!(s.sender_count(), 1);
    let other = weak.clone().upgrade().unwrap();
    assert_eq!(s.sender_count(), 2);
    assert!(other.same_channel(&s));
    drop(s);
    other.send(1).unwrap();
    assert!(weak.upgrade().is_some());
    drop(other);
    assert!(weak.upgrade().is_none());
    assert_eq!(r.try_recv(), Ok(1));
    assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_weak_receiver_does_not_keep_the_channel_connected() {
    let (s, r) = bounded(1);
    let weak = r.downgrade().unwrap();
    assert_eq!(s.receiver_count(), 1);
    let other = weak.clone().upgrade().unwrap();
    assert_eq!(s.receiver_count(), 2);
    assert!(other.same_channel(&r));
    drop((r, other));
    assert!(weak.upgrade().is_none());
    assert_eq!(s.send(1), Err(SendError(1)));
}

#[test]
fn a_weak_handle_keeps_no_message_alive() {
    let drops = DropCounter::new();
    let (s, r) = unbounded();
    let (weak_sender, weak_receiver) = (s.downgrade(), r.downgrade().unwrap());
    s.send_many((0..5).map(|n| drops.track(n))).unwrap();
    drop(r);
    drops.assert_none_live();
    drop(s);
    assert!(weak_sender.upgrade().is_none() && weak_receiver.upgrade().is_none());
}

#[test]
fn a_closed_channel_may_be_upgraded_to_and_stays_closed() {
    let (s, r) = unbounded();
    let (weak_sender, weak_receiver) = (s.downgrade(), r.downgrade().unwrap());
    s.send(1).unwrap();
    s.close();
    assert_eq!(weak_sender.upgrade().unwrap().send(2), Err(SendError(2)));
    let other = weak_receiver.upgrade().unwrap();
    assert_eq!(other.recv(), Ok(1));
    assert_eq!(other.recv(), Err(RecvError));
}

#[test]
fn a_dropped_last_sender_ends_the_wait_of_all_receivers() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded::<i32>(0);
    let weak = s.downgrade();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let r = r.clone();
            thread::spawn(move || r.recv())
        })
        .collect();
    drop(s);
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Err(RecvError));
    }
    assert!(weak.upgrade().is_none());
}

#[test]
fn clocks_have_no_weak_handles_and_count_their_clones() {
    let clock = after(Duration::MAX);
    assert!(clock.downgrade().is_none());
    let other = clock.clone();
    assert_eq!((clock.sender_count(), clock.receiver_count()), (0, 2));
    assert!(clock.same_channel(&other));
    assert!(never::<i32>().downgrade().is_none());
}

#[test]
fn upgrading_a_sender_against_the_drop_of_the_last_has_one_winner() {
    let _dog = watchdog(PATIENCE);
    for _ in 0..iters(3_000, 500, 20) {
        let (s, r) = unbounded();
        let weak = s.downgrade();
        let start = Arc::new(Barrier::new(3));
        let upgraders = [0, 1].map(|n| {
            let (weak, start) = (weak.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                weak.upgrade().is_some_and(|s| s.send(n).is_ok())
            })
        });
        start.wait();
        drop(s);
        let sent = upgraders.map(|u| u.join().unwrap());
        let mut received: Vec<_> = r.iter().collect();
        received.sort_unstable();
        let expected: Vec<_> = (0..2).filter(|n| sent[*n]).collect();
        assert_eq!(received, expected);
        assert!(weak.upgrade().is_none());
        assert_eq!(r.sender_count(), 0);
    }
}

#[test]
fn upgrading_a_receiver_against_the_drop_of_the_last_loses_no_message() {
    let _dog = watchdog(PATIENCE);
    let drops = DropCounter::new();
    for n in 0..iters(3_000, 500, 20) {
        let (s, r) = bounded(1);
        s.send(drops.track(n)).unwrap();
        let weak = r.downgrade().unwrap();
        let start = Arc::new(Barrier::new(2));
        let upgrader = thread::spawn({
            let start = Arc::clone(&start);
            move || {
                start.wait();
                // Whoever gets a receiver gets the message: there is no other.
                weak.upgrade().map(|r| r.try_recv().unwrap().into_inner())
            }
        });
        start.wait();
        drop(r);
        assert!(upgrader.join().unwrap().is_none_or(|got| got == n));
        assert!(s.is_closed());
        drops.assert_none_live();
    }
}

#[test]
fn the_counts_follow_clones_and_drops_on_any_thread() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded::<i32>(0);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (s, r) = (s.clone(), r.clone());
            thread::spawn(move || {
                for _ in 0..iters(2_000, 200, 20) {
                    assert!(s.clone().sender_count() >= 3);
                    assert!(r.clone().receiver_count() >= 3);
                }
            })
        })
        .collect();
    assert!(s.sender_count() >= 1);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((r.sender_count(), s.receiver_count()), (1, 1));
}

//! Channels of capacity zero: a message is handed over, never kept.

mod support;

use weftwork_csp as channel;

use channel::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError, bounded};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::{AMPLE, let_others_run, watched};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn it_is_empty_and_full_at_once() {
    let (s, r) = bounded::<u8>(0);
    assert_eq!((s.capacity(), r.capacity()), (Some(0), Some(0)));
    assert_eq!((s.len(), r.len()), (0, 0));
    assert!(s.is_empty() && r.is_empty());
    assert!(s.is_full() && r.is_full());
}

#[test]
fn its_length_stays_zero_while_a_sender_waits() {
    watched(|| {
        let (s, r) = bounded(0);
        let looked = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                looked.wait();
                s.send(1).unwrap();
            });
            looked.wait();
            for _ in 0..100 {
                assert_eq!((r.len(), r.is_empty(), r.is_full()), (0, true, true));
                thread::yield_now();
            }
            assert_eq!(r.recv(), Ok(1));
        });
    });
}

#[test]
fn the_forms_that_never_wait_need_a_partner_that_waits_already() {
    let (s, r) = bounded(0);
    assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(
        s.send_timeout(2, Duration::ZERO),
        Err(SendTimeoutError::Timeout(2))
    );
    assert_eq!(
        r.recv_timeout(Duration::ZERO),
        Err(RecvTimeoutError::Timeout)
    );
    assert_eq!(r.try_iter().next(), None);
}

#[test]
fn try_send_meets_a_receiver_that_waits() {
    watched(|| {
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(r.recv(), Ok(7)));
            while s.try_send(7).is_err() {
                thread::yield_now();
            }
        });
    });
}

#[test]
fn try_recv_meets_a_sender_that_waits() {
    watched(|| {
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| s.send(7).unwrap());
            let received = loop {
                match r.try_recv() {
                    Ok(n) => break n,
                    Err(e) => assert!(e.is_empty()),
                }
                thread::yield_now();
            };
            assert_eq!(received, 7);
        });
    });
}

#[test]
fn send_does_not_return_before_its_message_is_taken() {
    watched(|| {
        for _ in 0..iters(300, 50, 5) {
            let (s, r) = bounded(0);
            let returned = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    s.send(()).unwrap();
                    returned.store(true, Ordering::SeqCst);
                });
                let_others_run();
                assert!(!returned.load(Ordering::SeqCst), "nobody has received yet");
                r.recv().unwrap();
            });
        }
    });
}

#[test]
fn both_sides_leave_their_operation_after_both_have_entered_it() {
    watched(|| {
        // Each side counts up before and after; a meeting means that after it both have counted.
        let rounds = iters(5_000, 1_000, 50);
        let (s, r) = bounded(0);
        let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=rounds {
                    sent.store(round, Ordering::Relaxed);
                    s.send(()).unwrap();
                    assert!(received.load(Ordering::Relaxed) >= round);
                }
            });
            for round in 1..=rounds {
                received.store(round, Ordering::Relaxed);
                r.recv().unwrap();
                assert!(sent.load(Ordering::Relaxed) >= round);
            }
        });
    });
}

#[test]
fn ping_pong_alternates() {
    watched(|| {
        let rounds = iters(5_000, 1_000, 50);
        let (ping_s, ping_r) = bounded(0);
        let (pong_s, pong_r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(move || {
                for n in &ping_r {
                    pong_s.send(n + 1).unwrap();
                }
            });
            for n in 0..rounds {
                ping_s.send(n).unwrap();
                assert_eq!(pong_r.recv(), Ok(n + 1));
            }
            drop(ping_s);
        });
    });
}

#[test]
fn a_sender_that_times_out_keeps_its_message() {
    watched(|| {
        let drops = DropCounter::new();
        let (s, r) = bounded(0);
        let error = s
            .send_timeout(drops.track(1), Duration::from_millis(1))
            .expect_err("nobody receives");
        drops.assert_live(1);
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(*error.into_inner(), 1);
        drops.assert_none_live();
    });
}

#[test]
fn a_message_is_in_one_place_only_through_races_of_timeouts() {
    watched(|| {
        let drops = DropCounter::new();
        let rounds = iters(3_000, 500, 20);
        let (s, r) = bounded(0);
        let (delivered, kept) = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let mut kept = 0;
                for n in 0..rounds {
                    let patience = Duration::from_micros(n as u64 % 30);
                    kept += usize::from(s.send_timeout(drops.track(n), patience).is_err());
                }
                drop(s);
                kept
            });
            let mut delivered = 0;
            loop {
                match r.recv_timeout(Duration::from_micros(10)) {
                    Ok(_) => delivered += 1,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            (delivered, sender.join().unwrap())
        });
        assert_eq!(delivered + kept, rounds);
        drops.assert_none_live();
    });
}

#[test]
fn every_waiting_sender_is_served_to_its_end() {
    watched(|| {
        let (s, r) = bounded(0);
        let rounds = iters(500, 100, 5);
        thread::scope(|scope| {
            for sender in 0..3 {
                let s = s.clone();
                scope.spawn(move || (0..rounds).for_each(|n| s.send((sender, n)).unwrap()));
            }
            drop(s);
            let mut counts = [0; 3];
            for (sender, n) in &r {
                assert_eq!(n, counts[sender], "messages of one sender are in order");
                counts[sender] += 1;
            }
            assert_eq!(counts, [rounds; 3]);
        });
    });
}

#[test]
fn a_receiver_may_send_while_a_sender_waits_for_it() {
    watched(|| {
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(r.recv(), Ok(1));
                s.send(2).unwrap();
            });
            s.send(1).unwrap();
            assert_eq!(r.recv_timeout(AMPLE), Ok(2));
        });
    });
}

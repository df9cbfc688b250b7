//! Bugs that other channels have had, one test for each: none of them is here.
//!
//! The numbers are those of a survey of issue trackers; each comment says what went wrong elsewhere.
//! Of the same survey, the tests of futures stand in `futures.rs`, those of queues that leaked or
//! miscounted in `ownership.rs` and `unbounded.rs`.

mod support;

use weftwork_csp as channel;

use channel::{
    Receiver, RecvTimeoutError, Select, TryRecvError, TrySendError, bounded, never, select,
};
use std::mem;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::{AMPLE, CAPACITIES, Dice, for_each_capacity, open, past, watched};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn the_first_send_may_race_with_the_drop_of_the_receiver() {
    // D1, D2, D3: an unbounded queue made its first block while the receiver went: a crash; its
    // repair leaked the block; the repair of that freed it twice.
    for_each_capacity(|capacity| {
        for round in 0..iters(3_000, 500, 20) {
            let drops = DropCounter::new();
            let (s, r) = open(capacity);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                let (start, drops) = (&start, &drops);
                scope.spawn(move || {
                    start.wait();
                    let first = s.try_send(drops.track(round));
                    let second = s.clone().try_send(drops.track(round));
                    drop((first, second));
                });
                start.wait();
                if round % 2 == 0 {
                    drop(r.clone());
                }
                drop(r);
            });
            drops.assert_none_live();
        }
    });
}

#[test]
fn both_sides_may_go_at_the_same_time() {
    // D4: the last sender and the last receiver, going at once, freed the channel twice or never.
    for_each_capacity(|capacity| {
        for round in 0..iters(2_000, 400, 20) {
            let drops = DropCounter::new();
            let (s, r) = open(capacity);
            if capacity != Some(0) {
                s.send(drops.track(round)).unwrap();
            }
            let start = Barrier::new(4);
            thread::scope(|scope| {
                for handles in [
                    (Some(s.clone()), None),
                    (Some(s), None),
                    (None, Some(r.clone())),
                    (None, Some(r)),
                ] {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        drop(handles);
                    });
                }
            });
            drop(drops.track(0));
            drops.assert_none_live();
        }
    });
}

#[test]
fn an_operation_that_was_selected_and_forgotten_holds_up_nobody() {
    // D6: its slot stayed reserved for ever: peers hung, and its drop read what was never written.
    for_each_capacity(|capacity| {
        if capacity == Some(0) {
            return;
        }
        let drops = DropCounter::new();
        let (s, r) = open(capacity);
        s.send(drops.track(1)).unwrap();
        let mut select = Select::new();
        select.recv(&r);
        mem::forget(select.select());
        // The message was not taken, or was lost with the operation; the channel goes on.
        while r.try_recv().is_ok() {}
        let mut select = Select::new();
        select.send(&s);
        mem::forget(select.select());
        s.send_timeout(drops.track(2), AMPLE).unwrap();
        assert_eq!(r.recv_timeout(AMPLE).as_deref().copied(), Ok(2));
        drop((s, r));
        assert_eq!(drops.created(), 2);
    });
}

#[test]
fn a_rendezvous_that_was_selected_and_forgotten_releases_its_peer() {
    // D6: the peer waited for ever for the message to be read or written.
    watched(|| {
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            // The message was handed over; it is lost with the operation, not the sender with it.
            scope.spawn(|| s.send_timeout(1, AMPLE).unwrap());
            let mut select = Select::new();
            select.recv(&r);
            mem::forget(select.select());
        });
        thread::scope(|scope| {
            let receiver = scope.spawn(|| r.recv_timeout(AMPLE));
            let mut select = Select::new();
            select.send(&s);
            mem::forget(select.select());
            // It may have been set free already and wait for another.
            while !receiver.is_finished() && s.send_timeout(2, AMPLE / 10).is_err() {}
            assert_eq!(receiver.join().unwrap(), Ok(2));
        });
        thread::scope(|scope| {
            scope.spawn(|| s.send(3).unwrap());
            assert_eq!(r.recv_timeout(AMPLE), Ok(3));
        });
    });
}

#[test]
#[cfg(panic = "unwind")]
fn a_rendezvous_that_was_selected_and_dropped_loses_no_message() {
    // D6: as above; and what the operation had in hand was gone.
    watched(|| {
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| s.send_timeout(1, AMPLE).unwrap());
            let dropped = std::panic::catch_unwind(|| {
                let mut select = Select::new();
                select.recv(&r);
                select.select().index()
            });
            assert!(dropped.is_err());
            assert_eq!(r.recv_timeout(AMPLE), Ok(1));
        });
    });
}

#[test]
fn every_message_to_a_receiver_that_parks_wakes_it() {
    // D15: "register, look again" against "put in, look for a waiter", each without the ordering
    // that lets one of them see the other: both go to sleep.
    for_each_capacity(|capacity| {
        let rounds = iters(20_000, 4_000, 100);
        let (to_s, to_r) = open(capacity);
        let (back_s, back_r) = open(capacity);
        thread::scope(|scope| {
            scope.spawn(move || to_r.iter().for_each(|n: usize| back_s.send(n).unwrap()));
            for n in 0..rounds {
                to_s.send(n).unwrap();
                assert_eq!(back_r.recv(), Ok(n));
            }
            drop(to_s);
        });
    });
}

#[test]
fn a_wake_that_meets_a_receiver_giving_up_goes_to_another() {
    // D16, D18: of several receivers one is woken; if that one has just timed out, or was a select
    // that chose something else, the message lay there and the others slept on.
    for_each_capacity(|capacity| {
        let count = iters(3_000, 600, 20);
        let (s, r) = open(capacity);
        let (other_s, other_r) = open(capacity);
        let received = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        match r.recv_timeout(Duration::from_micros(5)) {
                            Ok(()) => received.fetch_add(1, Ordering::SeqCst),
                            Err(RecvTimeoutError::Timeout) => 0,
                            Err(RecvTimeoutError::Disconnected) => break,
                        };
                    }
                });
                scope.spawn(|| {
                    let mut open = 2;
                    let (mut a, mut b) = (r.clone(), other_r.clone());
                    while open > 0 {
                        let gone: bool = select! {
                            recv(a) -> m => { let gone = m.is_err(); if gone { a = never() } gone },
                            recv(b) -> m => { let gone = m.is_err(); if gone { b = never() } gone },
                        };
                        match gone {
                            true => open -= 1,
                            false => _ = received.fetch_add(1, Ordering::SeqCst),
                        }
                    }
                });
                scope.spawn(|| received.fetch_add(r.iter().count(), Ordering::SeqCst));
            }
            scope.spawn(move || (0..count).for_each(|_| s.send(()).unwrap()));
            scope.spawn(move || (0..count).for_each(|_| other_s.send(()).unwrap()));
        });
        assert_eq!(received.into_inner(), 2 * count);
    });
}

#[test]
fn a_place_that_meets_a_sender_giving_up_goes_to_another() {
    // D16, D24: the same for senders: "there is room" was told to one that had just left.
    watched(|| {
        for capacity in [0, 1, 3] {
            let count = iters(3_000, 600, 20);
            let (s, r) = bounded(capacity);
            let sent = AtomicUsize::new(0);
            thread::scope(|scope| {
                for patience in [Some(5), Some(10), None, None] {
                    let (s, sent) = (s.clone(), &sent);
                    scope.spawn(move || {
                        for _ in 0..count {
                            let result = match patience {
                                Some(us) => s.send_timeout((), Duration::from_micros(us)).is_ok(),
                                None => s.send(()).is_ok(),
                            };
                            sent.fetch_add(usize::from(result), Ordering::SeqCst);
                        }
                    });
                }
                drop(s);
                let received = r.iter().count();
                assert!(received >= 2 * count);
                assert_eq!(received, sent.load(Ordering::SeqCst));
            });
        }
    });
}

#[test]
fn offers_to_a_full_channel_with_waiting_senders_end_at_once() {
    // D23: try_send on a full ring kept waking the parked senders, who found it full, for ever.
    watched(|| {
        let (s, r) = bounded(1);
        s.send(0).unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| s.send(1).unwrap());
            }
            for _ in 0..10_000 {
                assert_eq!(s.try_send(2), Err(TrySendError::Full(2)));
            }
            assert_eq!(r.iter().take(4).sum::<i32>(), 3);
        });
    });
}

#[test]
fn selects_that_keep_meeting_each_other_get_on() {
    // D25, D51: selects that met while registering sent each other back to the start, for hours.
    watched(|| {
        let rounds = iters(1_000, 200, 10);
        let channels: Vec<_> = (0..3).map(|_| bounded::<usize>(0)).collect();
        let parties = Barrier::new(2);
        thread::scope(|scope| {
            for me in 0..2 {
                let (channels, parties) = (&channels, &parties);
                scope.spawn(move || {
                    for n in 0..rounds {
                        parties.wait();
                        let [(s0, r0), (s1, r1), (s2, r2)] = &channels[..] else {
                            unreachable!("three channels");
                        };
                        let got = select! {
                            send(s0, n) -> sent => sent.map(|()| n).unwrap(),
                            recv(r1) -> got => got.unwrap(),
                            send(s2, n) -> sent => sent.map(|()| n).unwrap(),
                            recv(r0) -> got => got.unwrap(),
                            send(s1, n) -> sent => sent.map(|()| n).unwrap(),
                            recv(r2) -> got => got.unwrap(),
                        };
                        assert_eq!(got, n, "party {me} met one of another round");
                    }
                });
            }
        });
    });
}

/// Receives everything by one of the forms, until the senders are gone; gives the last message.
type Drain = fn(&Receiver<usize>) -> Option<usize>;

const DRAINS: [Drain; 5] = [
    |r| r.iter().last(),
    |r| {
        let mut last = None;
        loop {
            match r.try_recv() {
                Ok(n) => last = Some(n),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => return last,
            }
        }
    },
    |r| {
        let mut last = None;
        loop {
            match r.recv_timeout(Duration::from_micros(3)) {
                Ok(n) => last = Some(n),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return last,
            }
        }
    },
    |r| {
        let mut last = None;
        loop {
            select! {
                recv(r) -> message => match message {
                    Ok(n) => last = Some(n),
                    Err(_) => return last,
                },
                recv(never::<u8>()) -> _ => unreachable!("never"),
            }
        }
    },
    |r| {
        let mut last = None;
        loop {
            let mut select = Select::new();
            select.recv(r);
            select.ready();
            match r.try_recv() {
                Ok(n) => last = Some(n),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return last,
            }
        }
    },
];

#[test]
fn the_last_message_before_the_sender_goes_is_received() {
    // D27: empty, said the first look; gone, said the second; and the message sent between the two
    // was lost. Looking the other way round finds it.
    for_each_capacity(|capacity| {
        for drain in DRAINS {
            for round in 0..iters(500, 100, 5) {
                let (s, r) = open(capacity);
                thread::scope(|scope| {
                    scope.spawn(move || (0..=round % 3).for_each(|n| s.send(n).unwrap()));
                    assert_eq!(drain(&r), Some(round % 3));
                });
            }
        }
    });
}

#[test]
fn receivers_that_select_on_one_channel_lose_no_message_between_them() {
    // D28: a selector took a message for an arm and then chose another.
    for_each_capacity(|capacity| {
        let count = iters(2_000, 400, 20);
        let (a_s, a_r) = open(capacity);
        let (b_s, b_r) = open(capacity);
        let total: usize = thread::scope(|scope| {
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    let (mut a, mut b) = (a_r.clone(), b_r.clone());
                    scope.spawn(move || {
                        let (mut open, mut received) = (2, 0);
                        while open > 0 {
                            let (message, source) = select! {
                                recv(a) -> m => (m, &mut a),
                                recv(b) -> m => (m, &mut b),
                            };
                            match message {
                                Ok(()) => received += 1,
                                Err(_) => {
                                    *source = never();
                                    open -= 1;
                                }
                            }
                        }
                        received
                    })
                })
                .collect();
            for s in [a_s, b_s] {
                scope.spawn(move || (0..count).for_each(|_| s.send(()).unwrap()));
            }
            receivers.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(total, 2 * count);
    });
}

#[test]
fn a_message_accepted_while_the_receiver_goes_is_dropped() {
    // D31: accepted by the sender's look at the channel, and left in it for ever.
    for_each_capacity(|capacity| {
        for round in 0..iters(2_000, 400, 20) {
            let drops = DropCounter::new();
            let (s, r) = open(capacity);
            thread::scope(|scope| {
                let (s, drops) = (&s, &drops);
                scope.spawn(move || {
                    for n in 0..40 {
                        if let Err(TrySendError::Disconnected(_)) = s.try_send(drops.track(n)) {
                            break;
                        }
                    }
                });
                if round % 2 == 0 {
                    let _ = r.try_recv();
                }
                drop(r);
            });
            // The sender is still there: what is alive now nobody will ever drop.
            drop(drops.track(0));
            drops.assert_none_live();
        }
    });
}

#[test]
fn a_message_that_is_sent_is_seen_behind_one_that_is_being_sent() {
    // D32: the first place was claimed and not yet filled; the finished message behind it was not
    // found, though its sender had returned.
    for capacity in [Some(8), None] {
        watched(|| {
            let (s, r) = open(capacity);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..iters(3_000, 600, 20) {
                            s.send(()).unwrap();
                            assert_eq!(r.try_recv(), Ok(()));
                        }
                    });
                }
            });
        });
    }
}

#[test]
fn what_is_there_is_received_though_the_deadline_is_long_past() {
    // D34: an expired deadline was looked at before the queue.
    let (s, r) = bounded(3);
    (0..3).for_each(|n| s.send(n).unwrap());
    assert_eq!(r.recv_deadline(past()), Ok(0));
    let mut select = Select::new();
    select.recv(&r);
    assert_eq!(select.select_deadline(past()).unwrap().recv(&r), Ok(1));
    select! {
        recv(r) -> message => assert_eq!(message, Ok(2)),
        default(Duration::ZERO) => unreachable!("it was there"),
    }
}

#[test]
fn a_receiver_that_is_gone_as_soon_as_it_is_served_is_not_touched_again() {
    // D41: the waker of a waiter was used after its state had said "done"; by then its frame, and
    // its thread, could be gone.
    watched(|| {
        for round in 0..iters(2_000, 300, 20) {
            let (s, r) = bounded(0);
            let receiver = thread::spawn(move || {
                let message = if round % 2 == 0 {
                    r.recv()
                } else {
                    select! {
                        recv(r) -> message => message,
                        recv(never::<usize>()) -> message => message,
                    }
                };
                message.unwrap()
            });
            s.send(round).unwrap();
            drop(s);
            assert_eq!(receiver.join().unwrap(), round);
        }
    });
}

#[test]
fn thousands_of_waiters_on_one_channel_come_and_go() {
    // D53: each waiter that left searched the list of all.
    watched(|| {
        let (done_s, done) = bounded::<()>(0);
        let waiters = iters(1_000, 300, 20);
        thread::scope(|scope| {
            for n in 0..waiters {
                let done = done.clone();
                let thread = thread::Builder::new().stack_size(128 << 10);
                let wait = move || {
                    let own = never::<()>();
                    // Most leave by themselves some times before the end comes.
                    for _ in 0..n % 4 {
                        select! {
                            recv(done) -> _ => return,
                            recv(own) -> _ => unreachable!("never"),
                            default(Duration::from_millis(1)) => {}
                        }
                    }
                    select! {
                        recv(done) -> message => assert!(message.is_err()),
                        recv(own) -> _ => unreachable!("never"),
                    }
                };
                thread.spawn_scoped(scope, wait).unwrap();
            }
            drop(done_s);
        });
    });
}

#[test]
fn a_mixture_of_everything_loses_nothing() {
    for capacity in CAPACITIES {
        watched(|| {
            let drops = DropCounter::new();
            let (s, r) = open(capacity);
            let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for me in 0..3 {
                    let (s, drops, sent) = (s.clone(), &drops, &sent);
                    scope.spawn(move || {
                        let mut dice = Dice::new(me);
                        for n in 0..iters(3_000, 600, 20) {
                            let message = drops.track(n);
                            let done = match dice.below(4) {
                                0 => s.send(message).is_ok(),
                                1 => s.try_send(message).is_ok(),
                                2 => s.send_timeout(message, Duration::from_micros(8)).is_ok(),
                                _ => select! {
                                    send(s, message) -> sent => sent.is_ok(),
                                    default => false,
                                },
                            };
                            sent.fetch_add(usize::from(done), Ordering::Relaxed);
                        }
                    });
                    let (r, received) = (r.clone(), &received);
                    scope.spawn(move || {
                        let mut dice = Dice::new(me + 10);
                        loop {
                            let message = match dice.below(4) {
                                0 => r.recv().map_err(|_| true),
                                1 => r.try_recv().map_err(|e| e.is_disconnected()),
                                2 => r
                                    .recv_timeout(Duration::from_micros(8))
                                    .map_err(|e| e.is_disconnected()),
                                _ => select! {
                                    recv(r) -> message => message.map_err(|_| true),
                                    recv(never()) -> message => message.map_err(|_| true),
                                    default(Duration::from_micros(8)) => Err(false),
                                },
                            };
                            match message {
                                Ok(_) => received.fetch_add(1, Ordering::Relaxed),
                                Err(true) => break,
                                Err(false) => 0,
                            };
                        }
                    });
                }
                drop((s, r));
            });
            assert_eq!(sent.into_inner(), received.into_inner());
            drops.assert_none_live();
        });
    }
}

//! `default`, and every other "not now", is said only if it was so at some time during the call.
//!
//! Each test keeps an operation possible throughout, by whatever the other threads do at the same
//! time: as many messages are put in first as are ever taken out, or as many places made free.

mod support;

use weftwork_csp as channel;

use channel::{Receiver, Select, Sender, bounded, never, select, select_biased, unbounded};
use std::thread;
use std::time::Duration;
use support::{open, watched};
use weftwork_testkit::iters;

const THREADS: usize = 4;

/// Each of the threads puts one message in, then must find one: there is always one for each.
fn finds_one(
    capacity: Option<usize>,
    receive: impl Fn(&Receiver<usize>, usize) -> Option<usize> + Sync,
) {
    watched(|| {
        let (s, r) = open(capacity);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for n in 0..iters(5_000, 1_000, 30) {
                        s.send(n).unwrap();
                        assert!(receive(&r, n).is_some(), "round {n}: a message was there");
                    }
                });
            }
        });
    });
}

/// Each of the threads makes one place free, then must find one.
fn finds_room(offer: impl Fn(&Sender<usize>, usize) -> bool + Sync) {
    watched(|| {
        let (s, r) = bounded(THREADS);
        (0..THREADS).for_each(|n| s.send(n).unwrap());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for n in 0..iters(5_000, 1_000, 30) {
                        r.recv().unwrap();
                        assert!(offer(&s, n), "round {n}: there was room");
                    }
                });
            }
        });
    });
}

#[test]
fn try_recv_does_not_say_empty_while_a_message_is_there() {
    for capacity in [Some(THREADS), Some(100), None] {
        finds_one(capacity, |r, _| r.try_recv().ok());
    }
}

#[test]
fn recv_without_patience_does_not_give_up_while_a_message_is_there() {
    for capacity in [Some(THREADS), None] {
        finds_one(capacity, |r, _| r.recv_timeout(Duration::ZERO).ok());
    }
}

#[test]
fn select_does_not_take_default_while_a_message_is_there() {
    for capacity in [Some(THREADS), None] {
        let idle = never::<usize>();
        finds_one(capacity, |r, n| match n % 4 {
            0 => select! {
                recv(r) -> message => message.ok(),
                default => None,
            },
            1 => select! {
                recv(idle) -> message => message.ok(),
                recv(r) -> message => message.ok(),
                default => None,
            },
            2 => select! {
                recv(r) -> message => message.ok(),
                recv(r) -> message => message.ok(),
                default(Duration::ZERO) => None,
            },
            _ => select_biased! {
                recv(idle) -> message => message.ok(),
                recv(r) -> message => message.ok(),
                default => None,
            },
        });
    }
}

#[test]
fn a_dynamic_select_does_not_give_up_while_a_message_is_there() {
    for capacity in [Some(THREADS), None] {
        let idle = never::<usize>();
        finds_one(capacity, |r, n| {
            let mut select = Select::new();
            select.recv(&idle);
            select.recv(r);
            let operation = if n % 2 == 0 {
                select.try_select().ok()?
            } else {
                select.select_timeout(Duration::ZERO).ok()?
            };
            operation.recv(r).ok()
        });
    }
}

#[test]
fn try_send_does_not_say_full_while_there_is_room() {
    finds_room(|s, n| s.try_send(n).is_ok());
}

#[test]
fn send_without_patience_does_not_give_up_while_there_is_room() {
    finds_room(|s, n| s.send_timeout(n, Duration::ZERO).is_ok());
}

#[test]
fn select_does_not_take_default_while_there_is_room() {
    let (idle, _r) = bounded(0);
    finds_room(|s, n| match n % 3 {
        0 => select! {
            send(s, n) -> sent => sent.is_ok(),
            default => false,
        },
        1 => select! {
            send(idle, n) -> _ => false,
            send(s, n) -> sent => sent.is_ok(),
            default => false,
        },
        _ => select! {
            send(s, n) -> sent => sent.is_ok(),
            send(idle, n) -> _ => false,
            default(Duration::ZERO) => false,
        },
    });
}

#[test]
fn select_does_not_take_default_while_a_peer_waits_at_a_rendezvous() {
    watched(|| {
        // The peer waits in one operation until it is met, so once it was seen to wait it waits.
        for _ in 0..iters(300, 50, 5) {
            let (s, r) = bounded(0);
            thread::scope(|scope| {
                scope.spawn(|| s.send(1).unwrap());
                let mut select = Select::new();
                select.recv(&r);
                select.ready();
                select! {
                    recv(r) -> message => assert_eq!(message, Ok(1)),
                    recv(never::<u8>()) -> _ => unreachable!("never"),
                    default => panic!("a sender was waiting"),
                }
            });
        }
    });
}

#[test]
fn select_does_not_take_default_when_an_arm_is_disconnected() {
    watched(|| {
        let (s, r) = unbounded::<u8>();
        drop(s);
        for _ in 0..1_000 {
            select! {
                recv(never::<u8>()) -> _ => unreachable!("never"),
                recv(r) -> message => assert!(message.is_err()),
                default => panic!("an error is an answer, too"),
            }
        }
    });
}

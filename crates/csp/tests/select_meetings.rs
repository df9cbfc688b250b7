//! Selects that meet selects: in either direction, on several channels, against a limit.

mod support;

use weftwork_csp as channel;

use channel::{Receiver, RecvError, Select, SelectedOperation, Sender, bounded};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;
use support::{SHORT, never_early, watched};
use weftwork_testkit::iters;

#[test]
fn the_two_ends_of_one_channel_in_one_select_never_meet_each_other() {
    watched(|| {
        let (s, r) = bounded::<u8>(0);
        let mut select = Select::new();
        select.send(&s);
        select.recv(&r);
        assert!(select.try_select().is_err());
        assert!(select.try_ready().is_err());
        assert!(never_early(|d| select.select_timeout(d).map(drop_never)).is_err());
        assert!(select.ready_timeout(SHORT).is_err());
    });
}

fn drop_never(operation: SelectedOperation<'_>) {
    unreachable!("chose {} with itself", operation.index());
}

/// Chooses between sending and receiving on one channel; gives what was received.
fn exchange(s: &Sender<usize>, r: &Receiver<usize>, me: usize) -> Option<usize> {
    let mut select = Select::new();
    let (send, recv) = (select.send(s), select.recv(r));
    let operation = select.select();
    if operation.index() == send {
        operation.send(s, me).unwrap();
        None
    } else {
        assert_eq!(operation.index(), recv);
        Some(operation.recv(r).unwrap())
    }
}

#[test]
fn selects_that_offer_both_ends_of_one_channel_pair_off() {
    watched(|| {
        const THREADS: usize = 6;
        let rounds = iters(300, 50, 5);
        let (s, r) = bounded(0);
        let round_over = Barrier::new(THREADS);
        let met: Vec<Vec<Option<usize>>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|me| {
                    let (s, r, round_over) = (&s, &r, &round_over);
                    scope.spawn(move || {
                        (0..rounds)
                            .map(|_| {
                                let partner = exchange(s, r, me);
                                assert_ne!(partner, Some(me), "met itself");
                                round_over.wait();
                                partner
                            })
                            .collect()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for round in 0..rounds {
            let mut partners: Vec<_> = met.iter().filter_map(|m| m[round]).collect();
            partners.sort_unstable();
            partners.dedup();
            assert_eq!(
                partners.len(),
                THREADS / 2,
                "half send, to one receiver each"
            );
        }
    });
}

#[test]
fn two_selects_meet_on_rendezvous_channels_in_either_direction() {
    watched(|| {
        let rounds = iters(5_000, 1_000, 50);
        let (a_s, a_r) = bounded(0);
        let (b_s, b_r) = bounded(0);
        let party = |out: Sender<usize>, into: Receiver<usize>| {
            move || {
                let (mut sent, mut received) = (0, 0);
                for n in 0..rounds {
                    let mut select = Select::new();
                    let send = select.send(&out);
                    select.recv(&into);
                    let operation = select.select();
                    if operation.index() == send {
                        operation.send(&out, n).unwrap();
                        sent += 1;
                    } else {
                        assert_eq!(operation.recv(&into), Ok(n), "both are in the same round");
                        received += 1;
                    }
                }
                (sent, received)
            }
        };
        let (one, two) = thread::scope(|scope| {
            let one = scope.spawn(party(a_s, b_r));
            let two = scope.spawn(party(b_s, a_r));
            (one.join().unwrap(), two.join().unwrap())
        });
        assert_eq!(one, (two.1, two.0), "what one sent the other received");
    });
}

#[test]
fn a_ring_of_selects_makes_progress() {
    // Each offers to send to the right and to receive from the left, all on capacity zero: whoever
    // locked its channels one after the other, or aborted at each encounter, would stand still.
    watched(|| {
        const PARTIES: usize = 5;
        let transfers = iters(2_000, 400, 20);
        let channels: Vec<_> = (0..PARTIES).map(|_| bounded::<usize>(0)).collect();
        thread::scope(|scope| {
            for me in 0..PARTIES {
                let out = &channels[me].0;
                let into = &channels[(me + 1) % PARTIES].1;
                scope.spawn(move || {
                    let (mut to_send, mut to_receive) = (transfers, transfers);
                    while to_send + to_receive > 0 {
                        let mut select = Select::new();
                        let send = (to_send > 0).then(|| select.send(out));
                        if to_receive > 0 {
                            select.recv(into);
                        }
                        let operation = select.select();
                        if Some(operation.index()) == send {
                            operation.send(out, to_send).unwrap();
                            to_send -= 1;
                        } else {
                            assert_eq!(operation.recv(into), Ok(to_receive));
                            to_receive -= 1;
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn selects_with_limits_that_race_with_their_peers_lose_nothing() {
    watched(|| {
        let count = iters(2_000, 400, 20);
        let (zero_s, zero_r) = bounded(0);
        let (one_s, one_r) = bounded(1);
        thread::scope(|scope| {
            for s in [zero_s, one_s] {
                scope.spawn(move || {
                    let mut select = Select::new();
                    select.send(&s);
                    for n in 0..count {
                        let operation = loop {
                            let patience = Duration::from_micros(n as u64 % 25);
                            if let Ok(operation) = select.select_timeout(patience) {
                                break operation;
                            }
                        };
                        operation.send(&s, n).unwrap();
                    }
                });
            }
            let mut select = Select::new();
            let zero = select.recv(&zero_r);
            let one = select.recv(&one_r);
            let mut next = [0, 0];
            let mut open = 2;
            while open > 0 {
                let Ok(operation) = select.select_timeout(Duration::from_micros(10)) else {
                    continue;
                };
                let index = operation.index();
                match operation.recv(if index == zero { &zero_r } else { &one_r }) {
                    Ok(n) => {
                        assert_eq!(n, next[index]);
                        next[index] += 1;
                    }
                    Err(RecvError) => {
                        select.remove(index);
                        open -= 1;
                    }
                }
            }
            assert_eq!((next, one), ([count; 2], 1));
        });
    });
}

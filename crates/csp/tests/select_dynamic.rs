//! `Select`: a choice between channel operations that is put together at run time.

mod support;

use weftwork_csp as channel;

use channel::{
    ReadyTimeoutError, RecvError, Select, SelectTimeoutError, SendError, TryReadyError,
    TrySelectError, bounded, never, unbounded,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use support::{AMPLE, let_others_run, never_early, past, watched};
use weftwork_testkit::iters;

/// The message with which `misuse` panics.
#[track_caller]
fn panic_of<R>(misuse: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(misuse()))).expect_err("it should panic");
    match panic.downcast_ref::<&str>() {
        Some(message) => (*message).to_owned(),
        None => panic.downcast_ref::<String>().unwrap().clone(),
    }
}

#[test]
fn operations_are_numbered_as_they_are_added() {
    let (s, r) = bounded::<u8>(1);
    let mut select = Select::new();
    assert_eq!(select.recv(&r), 0);
    assert_eq!(select.send(&s), 1);
    assert_eq!(select.recv(&r), 2);
}

#[test]
fn the_operation_that_need_not_wait_is_chosen() {
    watched(|| {
        let (s1, r1) = bounded(1);
        let (_s2, r2) = bounded::<u8>(1);
        s1.send(1).unwrap();
        // The buffer of the first is full, that of the second empty: one arm in three is ready.
        let mut select = Select::new();
        let (send1, recv1, recv2) = (select.send(&s1), select.recv(&r1), select.recv(&r2));
        for n in 2..50 {
            let operation = select.select();
            assert_eq!(operation.index(), recv1);
            assert_eq!(operation.recv(&r1), Ok(n - 1));
            let operation = select.try_select().unwrap();
            assert_eq!(operation.index(), send1);
            assert_eq!(operation.send(&s1, n), Ok(()));
        }
        assert_ne!(recv2, send1);
    });
}

#[test]
fn nothing_ready_is_an_error_at_once_or_when_the_time_is_over() {
    watched(|| {
        let (s, r) = bounded(1);
        s.send(1).unwrap();
        let empty = never::<u8>();
        let mut select = Select::new();
        select.send(&s);
        select.recv(&empty);
        assert_eq!(select.try_select().unwrap_err(), TrySelectError);
        assert_eq!(select.try_ready(), Err(TryReadyError));
        let timeout = SelectTimeoutError;
        assert_eq!(
            never_early(|d| select.select_timeout(d).unwrap_err()),
            timeout
        );
        assert_eq!(
            never_early(|d| select.select_deadline(Instant::now() + d).unwrap_err()),
            timeout
        );
        assert_eq!(select.select_timeout(Duration::ZERO).unwrap_err(), timeout);
        assert_eq!(select.select_deadline(past()).unwrap_err(), timeout);
        assert_eq!(
            never_early(|d| select.ready_timeout(d)),
            Err(ReadyTimeoutError)
        );
        assert_eq!(
            never_early(|d| select.ready_deadline(Instant::now() + d)),
            Err(ReadyTimeoutError)
        );
        assert_eq!(select.ready_deadline(past()), Err(ReadyTimeoutError));
        assert!(r.try_iter().eq([1]), "nothing has moved");
    });
}

#[test]
fn an_operation_that_is_ready_is_chosen_though_the_time_is_over() {
    let (s, r) = unbounded();
    let mut select = Select::new();
    let recv = select.recv(&r);
    s.send(1).unwrap();
    assert_eq!(select.ready_deadline(past()), Ok(recv));
    assert_eq!(select.ready_timeout(Duration::ZERO), Ok(recv));
    assert_eq!(select.select_deadline(past()).unwrap().recv(&r), Ok(1));
    s.send(2).unwrap();
    let operation = select.select_timeout(Duration::ZERO).unwrap();
    assert_eq!(operation.recv(&r), Ok(2));
}

#[test]
fn a_waiting_select_is_woken_by_any_of_its_arms() {
    watched(|| {
        for (arm, round) in (0..4).cycle().zip(0..iters(200, 40, 4)) {
            let (s0, r0) = bounded(0);
            let (s1, r1) = bounded(1);
            let (s2, r2) = bounded(1);
            let (s3, r3) = unbounded();
            s2.send(0).unwrap();
            let meet = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    meet.wait();
                    if round % 8 < 4 {
                        let_others_run();
                    }
                    match arm {
                        0 => s0.send(10).unwrap(),
                        1 => s1.send(11).unwrap(),
                        2 => assert_eq!(r2.recv(), Ok(0)),
                        _ => s3.send(13).unwrap(),
                    }
                });
                let mut select = Select::new();
                select.recv(&r0);
                select.recv(&r1);
                select.send(&s2);
                select.recv(&r3);
                meet.wait();
                let operation = match round % 3 {
                    0 => select.select(),
                    1 => select.select_timeout(Duration::MAX).unwrap(),
                    _ => select.select_deadline(Instant::now() + AMPLE).unwrap(),
                };
                assert_eq!(operation.index(), arm);
                match arm {
                    0 => assert_eq!(operation.recv(&r0), Ok(10)),
                    1 => assert_eq!(operation.recv(&r1), Ok(11)),
                    2 => assert_eq!(operation.send(&s2, 12), Ok(())),
                    _ => assert_eq!(operation.recv(&r3), Ok(13)),
                }
            });
            assert_eq!((s1.len(), r2.len(), s3.len()), (0, 1, 0));
        }
    });
}

#[test]
fn an_arm_whose_peers_are_gone_is_ready_with_an_error() {
    watched(|| {
        let (s, r) = bounded::<u8>(0);
        let (dead_s, dead_r) = bounded::<u8>(0);
        let (gone_s, gone_r) = bounded::<u8>(0);
        drop((dead_r, gone_s));
        let mut select = Select::new();
        select.recv(&r);
        let send = select.send(&dead_s);
        let operation = select.select();
        assert_eq!(operation.index(), send);
        assert_eq!(operation.send(&dead_s, 7), Err(SendError(7)));

        let mut select = Select::new();
        select.send(&s);
        let recv = select.recv(&gone_r);
        assert_eq!(select.ready(), recv);
        assert_eq!(select.try_ready(), Ok(recv));
        let operation = select.select_timeout(AMPLE).unwrap();
        assert_eq!(operation.recv(&gone_r), Err(RecvError));
    });
}

#[test]
fn a_waiting_select_is_woken_when_the_peers_of_an_arm_go() {
    watched(|| {
        for round in 0..iters(200, 40, 4) {
            let (s, r) = bounded::<u8>(0);
            let (other_s, other_r) = bounded::<u8>(0);
            let meet = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    meet.wait();
                    if round % 4 < 2 {
                        let_others_run();
                    }
                    drop(other_s);
                });
                let mut select = Select::new();
                select.send(&s);
                let recv = select.recv(&other_r);
                meet.wait();
                if round % 2 == 0 {
                    assert_eq!(select.ready(), recv);
                }
                let operation = select.select();
                assert_eq!(operation.index(), recv);
                assert_eq!(operation.recv(&other_r), Err(RecvError));
            });
            assert!(r.is_empty());
        }
    });
}

#[test]
fn a_select_can_be_used_again_and_again_and_cloned() {
    watched(|| {
        let (s1, r1) = unbounded();
        let (s2, r2) = unbounded();
        let mut select = Select::new();
        let (one, two) = (select.recv(&r1), select.recv(&r2));
        let mut other = select.clone();
        for n in 0..100 {
            let (s, r, index) = if n % 3 == 0 {
                (&s1, &r1, one)
            } else {
                (&s2, &r2, two)
            };
            s.send(n).unwrap();
            let which = if n % 2 == 0 { &mut select } else { &mut other };
            let operation = which.select();
            assert_eq!(operation.index(), index);
            assert_eq!(operation.recv(r), Ok(n));
        }
    });
}

#[test]
fn an_arm_that_is_removed_is_not_chosen_and_the_others_keep_their_numbers() {
    watched(|| {
        let channels: Vec<_> = (0..4).map(|_| unbounded()).collect();
        let mut select = Select::new();
        for (s, r) in &channels {
            s.send(s.len()).unwrap();
            select.recv(r);
        }
        select.remove(1);
        let mut seen = Vec::new();
        while let Ok(operation) = select.try_select() {
            let index = operation.index();
            operation.recv(&channels[index].1).unwrap();
            seen.push(index);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 2, 3]);
        assert_eq!(channels[1].1.len(), 1);
        // A number is not given out twice.
        assert_eq!(select.recv(&channels[1].1), 4);
        assert_eq!(select.ready(), 4);
        for index in [0, 2, 3, 4] {
            select.remove(index);
        }
        assert_eq!(select.try_ready(), Err(TryReadyError));
    });
}

#[test]
fn removing_an_arm_that_is_not_there_panics() {
    let (_s, r) = unbounded::<u8>();
    let mut select = Select::new();
    select.recv(&r);
    select.recv(&r);
    assert!(panic_of(|| select.remove(2)).contains("out of bounds"));
    select.remove(0);
    assert!(panic_of(|| select.remove(0)).contains("no operation with this index"));
    select.remove(1);
}

#[test]
fn a_select_without_arms_has_nothing_to_wait_for() {
    watched(|| {
        let mut select = Select::new();
        assert_eq!(select.try_select().unwrap_err(), TrySelectError);
        assert_eq!(select.try_ready(), Err(TryReadyError));
        assert_eq!(
            never_early(|d| select.select_timeout(d).unwrap_err()),
            SelectTimeoutError
        );
        assert_eq!(
            never_early(|d| select.ready_timeout(d)),
            Err(ReadyTimeoutError)
        );
        // Without a limit it would wait for ever: that is a mistake, not a wait.
        assert!(panic_of(|| select.ready()).contains("no operations"));
        assert!(panic_of(|| select.select().index()).contains("no operations"));
    });
}

#[test]
fn completing_with_a_handle_of_another_channel_panics() {
    let (s, r) = unbounded::<u8>();
    let (other_s, other_r) = unbounded::<u8>();
    s.send(1).unwrap();
    other_s.send(2).unwrap();
    let mut select = Select::new();
    select.recv(&r);
    let message = panic_of(|| select.select().recv(&other_r));
    assert!(
        message.contains("receiver that wasn't selected"),
        "{message}"
    );
    let mut select = Select::new();
    select.send(&s);
    let message = panic_of(|| select.select().send(&other_s, 3));
    assert!(message.contains("sender that wasn't selected"), "{message}");
    assert_eq!(other_r.len(), 1);
}

#[test]
fn a_select_over_a_handle_is_completed_by_its_clone() {
    // D47: a clone is a handle of the same channel, and completing with it panicked.
    let (s, r) = bounded(1);
    let (s2, r2): (channel::Sender<u8>, channel::Receiver<u8>) = (s.clone(), r.clone());
    let mut select = Select::new();
    select.send(&s);
    select.select().send(&s2, 1).unwrap();
    let mut select = Select::new();
    select.recv(&r);
    assert_eq!(select.select().recv(&r2), Ok(1));
}

#[test]
fn dropping_a_selected_operation_without_completing_it_panics() {
    let (s, r) = unbounded::<u8>();
    s.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&r);
    let message = panic_of(|| select.select());
    assert!(message.contains("without completing"), "{message}");
    let mut select = Select::new();
    select.send(&s);
    let message = panic_of(|| select.select());
    assert!(message.contains("without completing"), "{message}");
}

/// How often each of `arms` that are all ready is chosen in 10,000 rounds.
fn shares(
    arms: usize,
    mut select: Select<'_>,
    mut complete: impl FnMut(channel::SelectedOperation<'_>),
) -> Vec<usize> {
    let mut shares = vec![0; arms];
    for round in 0..10_000 {
        let operation = match round % 3 {
            0 => select.select(),
            1 => select.try_select().unwrap(),
            _ => select.select_timeout(AMPLE).unwrap(),
        };
        shares[operation.index()] += 1;
        complete(operation);
    }
    shares
}

#[test]
fn each_of_four_arms_that_are_ready_gets_its_share() {
    watched(|| {
        let (a_s, a_r) = unbounded();
        let (b_s, b_r) = bounded(20_000);
        for _ in 0..10_000 {
            a_s.send(()).unwrap();
            b_s.send(()).unwrap();
        }
        let (gone_s, gone) = bounded::<()>(0);
        drop(gone_s);
        let mut select = Select::new();
        select.recv(&a_r);
        select.recv(&b_r);
        select.send(&b_s);
        select.recv(&gone);
        let shares = shares(4, select, |operation| match operation.index() {
            0 => operation.recv(&a_r).unwrap(),
            1 => operation.recv(&b_r).unwrap(),
            2 => operation.send(&b_s, ()).unwrap(),
            _ => assert_eq!(operation.recv(&gone), Err(RecvError)),
        });
        // Fair dice stay within 2,300..2,700 except once in some thousand runs.
        assert!(
            shares.iter().all(|n| (2_000..3_000).contains(n)),
            "{shares:?}"
        );
    });
}

#[test]
fn readiness_is_reported_fairly_too() {
    watched(|| {
        let channels: Vec<_> = (0..4).map(|_| bounded::<u8>(1)).collect();
        let mut select = Select::new();
        for (s, _) in &channels {
            select.send(s);
        }
        let mut shares = [0; 4];
        for round in 0..10_000 {
            let ready = if round % 2 == 0 {
                select.ready()
            } else {
                select.try_ready().unwrap()
            };
            shares[ready] += 1;
        }
        assert!(
            shares.iter().all(|n| (2_000..3_000).contains(n)),
            "{shares:?}"
        );
    });
}

#[test]
fn a_biased_select_takes_the_first_arm_that_is_ready() {
    watched(|| {
        let channels: Vec<_> = (0..3).map(|_| unbounded()).collect();
        let mut select = Select::new_biased();
        for (s, r) in &channels {
            (0..100).for_each(|n| s.send(n).unwrap());
            select.recv(r);
        }
        assert_eq!(select.ready(), 0);
        for round in 0..300 {
            let operation = match round % 3 {
                0 => select.select(),
                1 => select.try_select().unwrap(),
                _ => select.select_timeout(AMPLE).unwrap(),
            };
            assert_eq!(operation.index(), round / 100);
            assert_eq!(operation.recv(&channels[round / 100].1), Ok(round % 100));
        }
    });
}

#[test]
fn the_same_arm_twice_is_two_chances() {
    watched(|| {
        let (s, r) = unbounded();
        (0..10_000).for_each(|_| s.send(()).unwrap());
        let mut select = Select::new();
        select.recv(&r);
        select.recv(&r);
        let shares = shares(2, select, |operation| operation.recv(&r).unwrap());
        assert!(shares.iter().all(|n| *n > 4_000), "{shares:?}");
        // And when it waits, one message wakes it once.
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| (0..100).for_each(|n| s.send(n).unwrap()));
            let mut select = Select::new();
            select.recv(&r);
            select.recv(&r);
            for n in 0..100 {
                assert_eq!(select.select().recv(&r), Ok(n));
            }
        });
    });
}

#[test]
fn ready_promises_that_the_operation_need_not_wait() {
    watched(|| {
        let count = iters(2_000, 400, 20);
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(move || (0..count).for_each(|n| s.send(n).unwrap()));
            let idle = never::<usize>();
            let mut select = Select::new();
            select.recv(&idle);
            let recv = select.recv(&r);
            for n in 0..count {
                // Alone on its end, nobody takes the message between the two calls.
                assert_eq!(select.ready(), recv);
                assert_eq!(r.try_recv(), Ok(n));
            }
        });
    });
}

#[test]
fn a_select_may_move_to_another_thread() {
    watched(|| {
        let (s, r) = unbounded();
        s.send(1).unwrap();
        let mut select = Select::new();
        select.recv(&r);
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(select.select().recv(&r), Ok(1)));
        });
    });
}

#[test]
fn hundreds_of_arms_are_served() {
    watched(|| {
        let channels: Vec<_> = (0..500).map(|_| bounded(1)).collect();
        let mut select = Select::new();
        for (_, r) in &channels {
            select.recv(r);
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                for (n, (s, _)) in channels.iter().enumerate().rev() {
                    s.send(n).unwrap();
                }
            });
            let mut seen = vec![false; channels.len()];
            for _ in 0..channels.len() {
                let operation = select.select();
                let index = operation.index();
                assert_eq!(operation.recv(&channels[index].1), Ok(index));
                assert!(!std::mem::replace(&mut seen[index], true));
            }
        });
    });
}

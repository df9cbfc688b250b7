//! Channels with room for some messages.

mod support;

use weftwork_csp as channel;

use channel::{SendTimeoutError, TryRecvError, TrySendError, bounded};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::{let_others_run, watched};
use weftwork_testkit::iters;

#[test]
fn capacity_is_what_was_asked_for() {
    for capacity in [1, 2, 3, 5, 7, 31, 32, 33, 1_000] {
        let (s, r) = bounded::<u8>(capacity);
        assert_eq!(
            (s.capacity(), r.capacity()),
            (Some(capacity), Some(capacity))
        );
    }
}

#[test]
fn exactly_as_many_messages_fit_as_it_has_capacity_lap_after_lap() {
    for capacity in [1, 2, 3, 5, 32, 33] {
        let (s, r) = bounded(capacity);
        for _ in 0..5 {
            for n in 0..capacity {
                assert_eq!(s.try_send(n), Ok(()));
            }
            assert_eq!(s.try_send(99), Err(TrySendError::Full(99)));
            for n in 0..capacity {
                assert_eq!(r.try_recv(), Ok(n));
            }
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

#[test]
fn len_counts_what_is_in_it_through_every_wrap_of_the_ring() {
    for capacity in [1, 2, 3, 7] {
        let (s, r) = bounded(capacity);
        for lap in 0..4 * capacity {
            // Moves the ring on by one place a lap.
            s.send(lap).unwrap();
            assert_eq!(r.recv(), Ok(lap));
            for n in 0..capacity {
                assert_eq!((s.len(), r.len()), (n, n));
                assert_eq!((s.is_empty(), r.is_empty()), (n == 0, n == 0));
                assert_eq!((s.is_full(), r.is_full()), (false, false));
                s.send(n).unwrap();
            }
            for n in 0..capacity {
                let left = capacity - n;
                assert_eq!((s.len(), r.len()), (left, left));
                assert_eq!((s.is_empty(), r.is_empty()), (false, false));
                assert_eq!((s.is_full(), r.is_full()), (n == 0, n == 0));
                assert_eq!(r.recv(), Ok(n));
            }
        }
    }
}

#[test]
fn len_stays_within_the_capacity_while_others_send_and_receive() {
    watched(|| {
        for capacity in [1, 3, 1_000] {
            let count = iters(20_000, 5_000, 200);
            let (s, r) = bounded(capacity);
            thread::scope(|scope| {
                let sender = s.clone();
                scope.spawn(move || (0..count).for_each(|n| sender.send(n).unwrap()));
                let receiver = r.clone();
                scope.spawn(move || {
                    for n in 0..count {
                        assert_eq!(receiver.recv(), Ok(n));
                        assert!(receiver.len() <= capacity);
                    }
                });
                for _ in 0..count / 10 {
                    assert!(s.len() <= capacity && r.len() <= capacity);
                }
            });
            assert_eq!((s.len(), r.len()), (0, 0));
        }
    });
}

#[test]
fn send_waits_on_a_full_channel_until_a_message_is_taken() {
    watched(|| {
        for capacity in [1, 2, 5] {
            for _ in 0..iters(100, 20, 2) {
                let (s, r) = bounded(capacity);
                let sent = AtomicUsize::new(0);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        for n in 0..3 * capacity {
                            s.send(n).unwrap();
                            sent.store(n + 1, Ordering::SeqCst);
                        }
                    });
                    for n in 0..3 * capacity {
                        let_others_run();
                        let sent = sent.load(Ordering::SeqCst);
                        assert!(sent <= n + capacity, "{sent} sent, {n} taken of {capacity}");
                        assert_eq!(r.recv(), Ok(n));
                    }
                });
            }
        }
    });
}

#[test]
fn a_place_that_becomes_free_goes_to_a_sender_that_waits() {
    watched(|| {
        let (s, r) = bounded(1);
        s.send(0).unwrap();
        thread::scope(|scope| {
            for n in 1..=8 {
                let s = s.clone();
                scope.spawn(move || s.send(n).unwrap());
            }
            let mut all: Vec<_> = (0..9).map(|_| r.recv().unwrap()).collect();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        });
    });
}

#[test]
fn messages_that_no_longer_fit_stay_with_their_sender() {
    watched(|| {
        let (s, r) = bounded(2);
        s.send(String::from("a")).unwrap();
        s.send(String::from("b")).unwrap();
        let refused = s.try_send(String::from("c")).unwrap_err();
        assert!(refused.is_full());
        assert_eq!(refused.into_inner(), "c");
        assert_eq!(
            s.send_timeout(String::from("d"), Duration::from_millis(1)),
            Err(SendTimeoutError::Timeout(String::from("d")))
        );
        drop(s);
        assert!(r.iter().eq(["a", "b"]));
    });
}

#[test]
fn a_capacity_beyond_memory_panics_and_says_why_or_takes_memory_as_it_goes() {
    // Refused before anything is asked of the allocator, whose refusal would abort the program.
    for capacity in [
        usize::MAX,
        usize::MAX / 2,
        usize::MAX / 16,
        isize::MAX as usize,
    ] {
        let made = catch_unwind(|| bounded::<[u64; 4]>(capacity));
        if let Err(panic) = made {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let message = message.expect("a panic with a message");
            assert!(message.contains("capacity"), "{message}");
        } else {
            let (s, r) = made.unwrap();
            s.send([1; 4]).unwrap();
            assert_eq!(r.recv(), Ok([1; 4]));
        }
    }
}

#[test]
fn a_channel_of_nothing_may_have_a_large_capacity() {
    let (s, r) = bounded::<()>(100_000);
    for _ in 0..100_000 {
        s.try_send(()).unwrap();
    }
    assert_eq!(s.try_send(()), Err(TrySendError::Full(())));
    assert_eq!(r.try_iter().count(), 100_000);
}

#[test]
fn a_buffer_of_one_alternates_between_two_threads() {
    watched(|| {
        let rounds = iters(5_000, 1_000, 50);
        let (s1, r1) = bounded(1);
        let (s2, r2) = bounded(1);
        thread::scope(|scope| {
            scope.spawn(move || r1.iter().for_each(|n: usize| s2.send(n + 1).unwrap()));
            for n in 0..rounds {
                s1.send(n).unwrap();
                assert_eq!(r2.recv(), Ok(n + 1));
                assert!(r2.is_empty() && s1.is_empty());
            }
            drop(s1);
        });
    });
}

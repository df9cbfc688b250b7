//! Channels with room for any number of messages.

mod support;

use weftwork_csp as channel;

use channel::{TryRecvError, unbounded};
use std::collections::VecDeque;
use std::thread;
use std::time::Duration;
use support::{Dice, past, watched};
use weftwork_testkit::iters;

#[test]
fn it_has_no_capacity_and_is_never_full() {
    let (s, r) = unbounded();
    assert_eq!((s.capacity(), r.capacity()), (None, None));
    for n in 0..10_000 {
        assert!(!s.is_full() && !r.is_full());
        s.try_send(n).unwrap();
    }
    assert!(!s.is_full() && !r.is_full());
}

#[test]
fn no_form_of_sending_waits() {
    watched(|| {
        let (s, r) = unbounded();
        for n in (0..10_000).step_by(4) {
            s.send(n).unwrap();
            s.try_send(n + 1).unwrap();
            s.send_timeout(n + 2, Duration::ZERO).unwrap();
            s.send_deadline(n + 3, past()).unwrap();
        }
        assert!(r.try_iter().eq(0..10_000));
    });
}

#[test]
fn len_is_exact_at_every_length_on_the_way_up_and_down() {
    // Whatever the size of its blocks, the lengths around their ends are among these.
    let (s, r) = unbounded();
    for n in 0..300 {
        assert_eq!((s.len(), r.len()), (n, n));
        assert_eq!((s.is_empty(), r.is_empty()), (n == 0, n == 0));
        s.send(n).unwrap();
    }
    for n in 0..300 {
        assert_eq!((s.len(), r.len()), (300 - n, 300 - n));
        assert!(!s.is_empty() && !r.is_empty());
        assert_eq!(r.try_recv(), Ok(n));
    }
    assert_eq!((s.len(), r.len()), (0, 0));
    assert!(s.is_empty() && r.is_empty());
    assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn it_is_empty_after_every_single_message_for_many_in_a_row() {
    let (s, r) = unbounded();
    for n in 0..1_000 {
        s.send(n).unwrap();
        assert_eq!((r.len(), r.is_empty()), (1, false));
        assert_eq!(r.recv(), Ok(n));
        assert_eq!((r.len(), r.is_empty()), (0, true));
    }
}

#[test]
fn it_is_a_queue_for_any_mixture_of_sends_and_receives() {
    for seed in 0..iters(50, 10, 2) as u64 {
        let (s, r) = unbounded();
        let mut dice = Dice::new(seed);
        let mut model = VecDeque::new();
        for n in 0..2_000 {
            // Runs of either kind, so that it grows over several blocks and shrinks to nothing.
            for _ in 0..dice.below(40) {
                if (n / 7) % 2 == 0 {
                    s.send(n).unwrap();
                    model.push_back(n);
                } else {
                    assert_eq!(r.try_recv().ok(), model.pop_front());
                }
            }
            assert_eq!(r.len(), model.len());
        }
        assert!(r.try_iter().eq(model));
    }
}

#[test]
fn len_never_exceeds_what_was_sent_and_never_underflows() {
    watched(|| {
        let count = iters(50_000, 10_000, 300);
        let (s, r) = unbounded();
        thread::scope(|scope| {
            let sender = s.clone();
            scope.spawn(move || (0..count).for_each(|n| sender.send(n).unwrap()));
            let receiver = r.clone();
            scope.spawn(move || {
                for n in 0..count {
                    assert_eq!(receiver.recv(), Ok(n));
                    let left = receiver.len();
                    assert!(left < count - n, "{left} left after {n} of {count}");
                }
            });
            for _ in 0..count / 10 {
                assert!(s.len() <= count);
            }
        });
        assert_eq!(s.len(), 0);
    });
}

#[test]
fn a_backlog_of_a_million_is_kept_and_given_back_in_order() {
    watched(|| {
        let count = iters(1_000_000, 200_000, 5_000);
        let (s, r) = unbounded();
        (0..count).for_each(|n| s.send(n).unwrap());
        assert_eq!(r.len(), count);
        drop(s);
        assert!(r.into_iter().eq(0..count));
    });
}

#[test]
fn producers_that_outrun_the_consumer_do_not_disturb_the_order() {
    watched(|| {
        let count = iters(50_000, 10_000, 300);
        let (s, r) = unbounded();
        thread::scope(|scope| {
            for sender in 0..3 {
                let s = s.clone();
                scope.spawn(move || (0..count).for_each(|n| s.send((sender, n)).unwrap()));
            }
            drop(s);
            let mut next = [0; 3];
            for (sender, n) in &r {
                assert_eq!(n, next[sender]);
                next[sender] += 1;
            }
            assert_eq!(next, [count; 3]);
        });
    });
}

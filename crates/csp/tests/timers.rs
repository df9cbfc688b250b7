//! Receivers that time feeds: `after`, `at`, `tick`; and `never`, which nothing feeds.

mod support;

use weftwork_csp as channel;

use channel::{
    Receiver, RecvTimeoutError, Select, TryRecvError, after, at, never, select, tick, unbounded,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{SHORT, never_early, past, watched};
use weftwork_testkit::iters;

/// Far beyond the end of any test.
const FAR: Duration = Duration::from_secs(3_600);

fn assert_delivers_nothing(r: &Receiver<Instant>) {
    assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(
        never_early(|d| r.recv_timeout(d)),
        Err(RecvTimeoutError::Timeout)
    );
    assert_eq!(r.recv_deadline(past()), Err(RecvTimeoutError::Timeout));
    assert_eq!((r.len(), r.is_empty()), (0, true));
    assert_eq!(r.try_iter().next(), None);
}

#[test]
fn after_delivers_one_message_not_early_with_the_time_it_was_due() {
    watched(|| {
        let start = Instant::now();
        let r = after(SHORT);
        let made = Instant::now();
        let due = r.recv().unwrap();
        assert!(Instant::now() >= due);
        assert!((start + SHORT..=made + SHORT).contains(&due));
        assert_delivers_nothing(&r);
    });
}

#[test]
fn at_delivers_the_time_it_was_given() {
    watched(|| {
        let due = Instant::now() + SHORT;
        let r = at(due);
        assert_eq!(r.recv(), Ok(due));
        assert!(Instant::now() >= due);
        assert_delivers_nothing(&r);
    });
}

#[test]
fn at_a_time_that_has_passed_delivers_at_once() {
    let due = past();
    assert_eq!(at(due).try_recv(), Ok(due));
    assert_eq!(at(due).recv(), Ok(due));
    assert_eq!(at(due).recv_timeout(Duration::ZERO), Ok(due));
    assert_eq!(at(due).recv_deadline(due), Ok(due));
    assert!(after(Duration::ZERO).recv().is_ok());
}

#[test]
fn the_single_message_makes_a_timer_full_until_it_is_taken() {
    watched(|| {
        let r = after(FAR);
        assert_eq!(r.capacity(), Some(1));
        assert_eq!((r.len(), r.is_empty(), r.is_full()), (0, true, false));
        let r = after(Duration::ZERO);
        while r.is_empty() {
            thread::yield_now();
        }
        assert_eq!((r.len(), r.is_full()), (1, true));
        r.try_recv().unwrap();
        assert_eq!((r.len(), r.is_empty(), r.is_full()), (0, true, false));
    });
}

#[test]
fn a_timer_does_not_hold_up_a_wait_with_an_earlier_end() {
    watched(|| {
        let r = after(FAR);
        assert_delivers_nothing(&r);
        select! {
            recv(r) -> _ => unreachable!("an hour has not passed"),
            default => {}
        }
        select! {
            recv(r) -> _ => unreachable!("an hour has not passed"),
            default(Duration::from_millis(1)) => {}
        }
    });
}

#[test]
fn clones_of_a_timer_share_its_single_message() {
    watched(|| {
        for _ in 0..iters(100, 20, 3) {
            let received = AtomicUsize::new(0);
            let r = after(Duration::from_micros(200));
            thread::scope(|scope| {
                for waiter in 0..4 {
                    let (r, received) = (r.clone(), &received);
                    scope.spawn(move || {
                        let got = match waiter % 2 {
                            0 => r.recv_timeout(Duration::from_millis(3)).is_ok(),
                            _ => select! {
                                recv(r) -> due => due.is_ok(),
                                default(Duration::from_millis(3)) => false,
                            },
                        };
                        received.fetch_add(usize::from(got), Ordering::SeqCst);
                    });
                }
            });
            // On a slow machine nobody may have come in time; then it is still there.
            received.fetch_add(r.try_iter().count(), Ordering::SeqCst);
            assert_eq!(received.load(Ordering::SeqCst), 1);
        }
    });
}

#[test]
fn two_timers_of_one_select_fire_in_the_order_of_their_times() {
    watched(|| {
        let start = Instant::now();
        let (early, late) = (at(start + SHORT / 2), at(start + 4 * SHORT));
        let mut fired = Vec::new();
        for _ in 0..2 {
            select! {
                recv(late) -> due => fired.push(due.unwrap()),
                recv(early) -> due => fired.push(due.unwrap()),
            }
        }
        // Both may be due when a slow machine looks: then either may come first.
        if Instant::now() < start + 4 * SHORT {
            assert_eq!(fired, [start + SHORT / 2, start + 4 * SHORT]);
        }
        fired.sort_unstable();
        assert_eq!(fired, [start + SHORT / 2, start + 4 * SHORT]);
    });
}

#[test]
fn a_message_is_chosen_before_a_timer_that_is_not_due() {
    watched(|| {
        let (s, r) = unbounded();
        s.send(1).unwrap();
        select! {
            recv(r) -> n => assert_eq!(n, Ok(1)),
            recv(after(FAR)) -> _ => unreachable!("an hour has not passed"),
        }
        select! {
            recv(r) -> _ => unreachable!("it is empty"),
            recv(after(Duration::from_millis(1))) -> due => assert!(due.is_ok()),
        }
    });
}

#[test]
fn a_timer_wakes_a_dynamic_select_and_is_ready_until_it_is_taken() {
    watched(|| {
        let start = Instant::now();
        let (r, idle) = (after(SHORT), never::<()>());
        let mut select = Select::new();
        select.recv(&idle);
        let timer = select.recv(&r);
        assert!(select.try_ready().is_err());
        assert_eq!(select.ready(), timer);
        assert!(start.elapsed() >= SHORT);
        assert_eq!(select.try_ready(), Ok(timer), "asking takes nothing");
        let chosen = select.select();
        assert_eq!(chosen.index(), timer);
        assert!(chosen.recv(&r).is_ok());
        assert!(select.try_ready().is_err());
    });
}

#[test]
fn ticks_are_at_least_their_period_apart_and_never_early() {
    watched(|| {
        let period = Duration::from_millis(3);
        let start = Instant::now();
        let r = tick(period);
        assert_eq!(r.capacity(), Some(1));
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty), "none at the start");
        let mut before = start;
        for due in r.iter().take(10) {
            assert!(Instant::now() >= due);
            assert!(due - before >= period, "{:?}", due - before);
            before = due;
        }
        assert!(start.elapsed() >= 10 * period);
    });
}

#[test]
fn ticks_that_were_missed_become_one() {
    watched(|| {
        let period = Duration::from_millis(2);
        let r = tick(period);
        after(10 * period).recv().unwrap();
        assert_eq!((r.len(), r.is_full(), r.is_empty()), (1, true, false));
        let before = Instant::now();
        assert!(r.try_recv().unwrap() <= before, "this one was due");
        // The next is a whole period after the moment at which the late one was taken.
        let next = r.recv().unwrap();
        assert!(next >= before + period, "a second late one");
    });
}

#[test]
fn clones_of_a_ticker_share_its_ticks() {
    watched(|| {
        let period = Duration::from_millis(1);
        let start = Instant::now();
        let r = tick(period);
        let mut all: Vec<Instant> = thread::scope(|scope| {
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    let r = r.clone();
                    scope.spawn(move || r.iter().take(8).collect::<Vec<_>>())
                })
                .collect();
            receivers
                .into_iter()
                .flat_map(|t| t.join().unwrap())
                .collect()
        });
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= period));
        assert!(start.elapsed() >= 24 * period);
    });
}

#[test]
fn a_ticker_can_be_waited_for_with_a_limit_and_in_a_select() {
    watched(|| {
        let r = tick(FAR);
        assert_delivers_nothing(&r);
        let r = tick(SHORT);
        let start = Instant::now();
        select! {
            recv(r) -> due => assert!(due.unwrap() >= start),
            recv(never::<()>()) -> _ => unreachable!("never"),
        }
        assert!(r.recv_timeout(FAR).is_ok());
        let r = tick(Duration::ZERO);
        for _ in 0..100 {
            assert!(r.try_recv().is_ok(), "without a period it is always time");
        }
    });
}

#[test]
fn times_beyond_the_clock_never_come() {
    watched(|| {
        for r in [after(Duration::MAX), tick(Duration::MAX)] {
            assert_delivers_nothing(&r);
        }
    });
}

#[test]
fn never_delivers_nothing_and_has_no_room() {
    watched(|| {
        const NEVER: Receiver<Instant> = never();
        let r = NEVER;
        assert_eq!(r.capacity(), Some(0));
        assert_eq!((r.len(), r.is_empty(), r.is_full()), (0, true, true));
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(
            never_early(|d| r.clone().recv_timeout(d)),
            Err(RecvTimeoutError::Timeout)
        );
        let (s, ready) = unbounded();
        s.send(1).unwrap();
        for _ in 0..10 {
            select! {
                recv(r) -> _ => unreachable!("never"),
                recv(ready) -> n => { n.unwrap(); s.send(1).unwrap() }
            }
        }
    });
}

#[test]
fn never_stands_in_for_an_arm_that_is_switched_off() {
    watched(|| {
        let (s, r) = unbounded();
        for n in 0..10 {
            s.send(n).unwrap();
        }
        let mut budget = 5;
        let mut received = Vec::new();
        loop {
            let source = if budget > 0 { &r } else { &never() };
            select! {
                recv(source) -> n => { received.push(n.unwrap()); budget -= 1 }
                default => break,
            }
        }
        assert_eq!(received, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_timer_may_be_waited_for_from_a_different_thread_than_made_it() {
    watched(|| {
        let r = after(SHORT);
        let start = Instant::now();
        let due = thread::spawn(move || r.recv()).join().unwrap().unwrap();
        assert!(due >= start && Instant::now() >= due);
    });
}

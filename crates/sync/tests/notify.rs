//! The notification: one permit, calls for all, order, passing on.

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;
use std::time::{Duration, Instant};
use support::{Count, poll, runtime};
use weftwork_sync::Notify;
use weftwork_testkit::{iters, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_permit_is_stored_once() {
    let news = Notify::new();
    news.notify_one();
    news.notify_one();
    news.wait();
    assert!(poll(pin!(news.notified())).is_pending());
}

#[test]
fn waiters_are_notified_in_the_order_of_their_first_poll() {
    let news = Notify::new();
    let (mut a, mut b) = (pin!(news.notified()), pin!(news.notified()));
    assert!(poll(b.as_mut()).is_pending());
    assert!(poll(a.as_mut()).is_pending());
    news.notify_one();
    assert!(poll(a.as_mut()).is_pending());
    assert!(poll(b.as_mut()).is_ready());
}

#[test]
fn a_call_for_all_reaches_those_made_before_it_and_stores_nothing() {
    let news = Notify::new();
    let (mut polled, made) = (pin!(news.notified()), pin!(news.notified()));
    assert!(poll(polled.as_mut()).is_pending());
    news.notify_waiters();
    let after = pin!(news.notified());
    assert!(poll(polled).is_ready() && poll(made).is_ready());
    assert!(poll(after).is_pending());
}

#[test]
fn a_call_for_all_is_not_paid_for_with_a_permit() {
    let news = Notify::new();
    let made = pin!(news.notified());
    news.notify_waiters();
    news.notify_one();
    assert!(poll(made).is_ready());
    assert!(
        poll(pin!(news.notified())).is_ready(),
        "the permit is there"
    );
}

/// D16, also between two that were both notified: the dropped one's goes to a third.
#[test]
fn a_notification_of_a_dropped_future_goes_to_the_next_or_is_stored() {
    let news = Notify::new();
    let mut first = Box::pin(news.notified());
    assert!(poll(first.as_mut()).is_pending());
    let (count, waker) = Count::waker();
    let mut second = Box::pin(news.notified());
    let mut context = Context::from_waker(&waker);
    assert!(second.as_mut().poll(&mut context).is_pending());
    news.notify_one();
    drop(first);
    assert_eq!(count.get(), 1);
    drop(second);
    assert!(
        poll(pin!(news.notified())).is_ready(),
        "nobody was left: stored"
    );
}

#[test]
fn a_call_for_all_given_to_a_dropped_future_goes_to_nobody() {
    let news = Notify::new();
    let mut first = Box::pin(news.notified());
    assert!(poll(first.as_mut()).is_pending());
    news.notify_waiters();
    let mut late = pin!(news.notified());
    assert!(poll(late.as_mut()).is_pending());
    drop(first);
    assert!(poll(late).is_pending());
}

#[test]
fn enabling_joins_the_line_and_keeps_what_it_finds() {
    let news = Notify::new();
    let mut early = pin!(news.notified());
    assert!(!early.as_mut().enable());
    news.notify_one();
    let mut late = Box::pin(news.notified());
    assert!(
        poll(late.as_mut()).is_pending(),
        "it was for the one in line"
    );
    drop(late);
    assert!(early.as_mut().enable() && poll(early).is_ready());
    news.notify_one();
    let mut stored = pin!(news.notified());
    assert!(stored.as_mut().enable());
    assert!(poll(stored).is_ready());
}

#[test]
fn a_timeout_is_never_early_and_takes_no_notification() {
    let _dog = watchdog(LIMIT);
    let news = Notify::new();
    let start = Instant::now();
    assert!(news.wait_timeout(Duration::from_millis(20)).is_err());
    assert!(start.elapsed() >= Duration::from_millis(20));
    news.notify_one();
    assert!(news.wait_timeout(Duration::MAX).is_ok());
    assert!(news.wait_deadline(Instant::now()).is_err());
}

#[test]
fn ping_pong_between_kinds_loses_nothing() {
    let _dog = watchdog(LIMIT);
    let rounds = iters(5_000, 500, 50);
    let pair = Arc::new((Notify::new(), Notify::new()));
    let theirs = Arc::clone(&pair);
    let thread = std::thread::spawn(move || {
        for _ in 0..rounds {
            theirs.0.wait();
            theirs.1.notify_one();
        }
    });
    runtime().run({
        let pair = Arc::clone(&pair);
        move || {
            for _ in 0..rounds {
                pair.0.notify_one();
                pair.1.wait();
            }
        }
    });
    thread.join().unwrap();
}

#[test]
fn cancelled_green_threads_leave_the_line() {
    let _dog = watchdog(LIMIT);
    runtime().run(|| {
        let news = Arc::new((Notify::new(), AtomicUsize::new(0)));
        let parties = [(); 2].map(|()| {
            let news = Arc::clone(&news);
            weftwork_sched::spawn(move || {
                news.1.fetch_add(1, Ordering::SeqCst);
                news.0.wait();
            })
        });
        while news.1.load(Ordering::SeqCst) < 2 {
            weftwork_sched::yield_now();
        }
        let [first, second] = parties;
        first.task_ref().cancel();
        assert!(first.join().unwrap_err().is_cancelled());
        news.0.notify_one();
        second.join().unwrap();
    });
}

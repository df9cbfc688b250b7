//! The notification in every interleaving: not lost, not doubled, passed on.
#![cfg(weftwork_loom)]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Waker};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::thread;
use weftwork_sync::Notify;
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_a_notification_during_the_wait_is_not_lost() {
    weaken!("notify_announce");
    model("notify_one against wait", 16, || {
        let news = Arc::new((Notify::new(), AtomicUsize::new(0)));
        let other = thread::spawn({
            let news = Arc::clone(&news);
            move || {
                // Relaxed: the notification orders it.
                news.1.store(7, Ordering::Relaxed);
                news.0.notify_one();
            }
        });
        news.0.wait();
        // Relaxed: as above.
        assert_eq!(news.1.load(Ordering::Relaxed), 7);
        other.join().unwrap();
    });
}

#[test]
fn two_notifications_wake_two_waiters() {
    model("two notify_one against two waits", 70, || {
        let news = Arc::new(Notify::new());
        let mut first = ManuallyDrop::new(Box::pin(news.notified()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        let other = thread::spawn({
            let news = Arc::clone(&news);
            move || news.wait()
        });
        // The first is in line: so one is for it, and one is kept for the other.
        news.notify_one();
        news.notify_one();
        other.join().unwrap();
        assert!(first.as_mut().poll(&mut context).is_ready());
        drop(ManuallyDrop::into_inner(first));
    });
}

#[test]
fn a_notification_of_a_dropped_future_goes_to_the_next() {
    model("notify_one against drop, another behind", 600, || {
        let news = Arc::new(Notify::new());
        let mut first = ManuallyDrop::new(Box::pin(news.notified()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        let behind = thread::spawn({
            let news = Arc::clone(&news);
            move || news.wait()
        });
        let notifier = thread::spawn({
            let news = Arc::clone(&news);
            move || news.notify_one()
        });
        drop(ManuallyDrop::into_inner(first));
        notifier.join().unwrap();
        behind.join().unwrap();
    });
}

#[test]
fn a_call_for_all_reaches_whoever_was_made_before_it() {
    model("notify_waiters against a first poll", 90, || {
        let news = Arc::new(Notify::new());
        let notified = news.notified();
        let other = thread::spawn({
            let news = Arc::clone(&news);
            move || news.notify_waiters()
        });
        weftwork_core::block_on(notified);
        other.join().unwrap();
    });
}

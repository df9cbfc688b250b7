//! Timers outside of any runtime: never early, in order, called off by a drop, and quiet when idle.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_core::block_on;
use weftwork_core::timer::{SleepUntil, call_at, sleep, sleep_until};
use weftwork_testkit::watchdog;

/// Sends its number when it is woken.
struct Send(mpsc::Sender<usize>, usize);

impl Wake for Send {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(self.1);
    }
}

fn after(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines_and_never_early() {
    let _dog = watchdog(Duration::from_secs(60));
    let (tx, rx) = mpsc::channel();
    let deadlines = [30, 10, 20, 10].map(after);
    let _timers: Vec<_> = (0..)
        .zip(deadlines)
        .map(|(n, at)| call_at(at, Waker::from(Arc::new(Send(tx.clone(), n)))))
        .collect();
    let mut order = Vec::new();
    for _ in deadlines {
        let n = rx.recv().unwrap();
        assert!(Instant::now() >= deadlines[n], "early");
        order.push(n);
    }
    assert_eq!(order, [1, 3, 2, 0]);
}

#[test]
fn a_timer_earlier_than_the_one_slept_for_is_in_time() {
    let _dog = watchdog(Duration::from_secs(60));
    let (tx, rx) = mpsc::channel();
    let _hour = call_at(after(3_600_000), Waker::from(Arc::new(Send(tx.clone(), 0))));
    let _soon = call_at(after(5), Waker::from(Arc::new(Send(tx, 1))));
    assert_eq!(rx.recv(), Ok(1));
}

#[test]
fn a_dropped_timer_does_not_fire() {
    let _dog = watchdog(Duration::from_secs(60));
    let (tx, rx) = mpsc::channel();
    drop(call_at(
        after(5),
        Waker::from(Arc::new(Send(tx.clone(), 0))),
    ));
    let _later = call_at(after(20), Waker::from(Arc::new(Send(tx, 1))));
    assert_eq!(rx.recv(), Ok(1));
}

#[test]
fn a_waker_that_panics_does_not_stop_the_others() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker of the user's"));
        }
    }
    let _dog = watchdog(Duration::from_secs(60));
    let _bad = call_at(after(1), Waker::from(Arc::new(Panics)));
    block_on(sleep(Duration::from_millis(5)));
}

#[test]
fn a_waker_may_use_timers() {
    struct Again(mpsc::Sender<usize>);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let next = Waker::from(Arc::new(Send(self.0.clone(), 7)));
            // Kept for good: it fires.
            std::mem::forget(call_at(after(1), next));
        }
    }
    let _dog = watchdog(Duration::from_secs(60));
    let (tx, rx) = mpsc::channel();
    let _first = call_at(after(1), Waker::from(Arc::new(Again(tx))));
    assert_eq!(rx.recv(), Ok(7));
}

#[test]
fn a_sleep_polled_with_another_waker_wakes_that_one() {
    let _dog = watchdog(Duration::from_secs(60));
    let (tx, rx) = mpsc::channel();
    let wakers = [0, 1].map(|n| Waker::from(Arc::new(Send(tx.clone(), n))));
    let deadline = after(20);
    let mut sleep = pin!(sleep_until(deadline));
    for waker in &wakers {
        let polled = sleep.as_mut().poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending() || Instant::now() >= deadline);
    }
    assert_eq!(rx.recv(), Ok(1));
    let polled = sleep.as_mut().poll(&mut Context::from_waker(&wakers[1]));
    assert_eq!(polled, Poll::Ready(()));
    assert!(Instant::now() >= deadline);
}

#[test]
fn polling_again_and_again_makes_one_timer() {
    /// Counts how often it is cloned, by its number of owners.
    struct Owned;
    impl Wake for Owned {
        fn wake(self: Arc<Self>) {}
    }
    let owned = Arc::new(Owned);
    let waker = Waker::from(Arc::clone(&owned));
    let mut sleep = pin!(sleep_until(after(3_600_000)));
    for _ in 0..10 {
        let mut context = Context::from_waker(&waker);
        assert!(sleep.as_mut().poll(&mut context).is_pending());
    }
    // Ours, the waker's, the timer's and the one that the future compares with.
    assert_eq!(Arc::strong_count(&owned), 4);
}

#[test]
fn a_past_deadline_is_ready_at_once_and_one_that_cannot_be_told_never() {
    let mut context = Context::from_waker(Waker::noop());
    let past = pin!(sleep_until(Instant::now()));
    assert!(past.poll(&mut context).is_ready());
    let endless = pin!(sleep(Duration::MAX));
    assert!(endless.poll(&mut context).is_pending());
    assert_eq!(SleepUntil::new(None).deadline(), None);
}

#[test]
fn many_sleepers_on_a_foreign_executor_all_end() {
    let _dog = watchdog(Duration::from_secs(60));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let sleepers: Vec<_> = (0..100)
            .map(|n| {
                let ended = Arc::clone(&ended);
                tokio::spawn(async move {
                    let deadline = after(n % 10);
                    sleep_until(deadline).await;
                    assert!(Instant::now() >= deadline, "early");
                    ended.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
    });
    assert_eq!(ended.load(Ordering::Relaxed), 100);
}

//! A task that wakes a future and lets it run at once, before it goes on.

#![cfg(not(weftwork_loom))]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::time::Duration;
use weftwork_core::sync::Mutex;
use weftwork_core::wait::hand_over;
use weftwork_sched::{JoinHandle, Runtime, park, spawn, spawn_async, yield_now};
use weftwork_testkit::with_watchdog;

const LIMIT: Duration = Duration::from_secs(60);

/// A future that counts its polls, calls `work` in each but the first, and ends after `last`.
struct Served {
    polls: Arc<AtomicUsize>,
    waker: Waker,
    handle: JoinHandle<()>,
}

impl Served {
    /// Called by a task of one worker. Returns when the future sleeps.
    fn start(last: usize, work: impl Fn(usize) + Send + 'static) -> Served {
        let polls = Arc::new(AtomicUsize::new(0));
        let waker = Arc::new(Mutex::new(None));
        let handle = spawn_async({
            let (polls, waker) = (Arc::clone(&polls), Arc::clone(&waker));
            poll_fn(move |context| {
                let poll = polls.fetch_add(1, SeqCst);
                if poll == 0 {
                    *waker.lock() = Some(context.waker().clone());
                } else {
                    work(poll);
                }
                if poll == last {
                    return Poll::Ready(());
                }
                Poll::Pending
            })
        });
        while polls.load(SeqCst) == 0 {
            yield_now();
        }
        let waker = waker.lock().take().unwrap();
        Served {
            polls,
            waker,
            handle,
        }
    }

    fn hand_over(&self) -> bool {
        hand_over(|| self.waker.wake_by_ref())
    }

    fn polls(&self) -> usize {
        self.polls.load(SeqCst)
    }
}

fn on_workers(workers: usize, task: impl FnOnce() + Send + 'static) {
    with_watchdog(LIMIT, move || {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(task);
    });
}

#[test]
fn the_future_has_run_when_the_hand_over_returns() {
    on_workers(1, || {
        let served = Served::start(2, |_| {});
        assert!(served.hand_over());
        assert_eq!(served.polls(), 2);
        assert!(served.hand_over());
        assert_eq!(served.polls(), 3);
        assert!(served.handle.is_finished());
        assert!(!served.hand_over(), "it has ended");
        served.handle.join().unwrap();
    });
}

#[test]
fn a_future_that_parks_lets_go_on_who_handed_over() {
    on_workers(1, || {
        let me = Arc::new(Mutex::new(None));
        let served = Served::start(1, {
            let me = Arc::clone(&me);
            move |_| {
                *me.lock() = Some(weftwork_sched::current());
                park();
                me.lock().take();
            }
        });
        assert!(served.hand_over());
        let parked = me.lock().clone().expect("it was polled");
        assert!(!served.handle.is_finished());
        parked.unpark();
        served.handle.join().unwrap();
        assert!(me.lock().is_none());
    });
}

#[test]
fn a_future_that_is_polled_by_a_hand_over_may_hand_over_in_turn() {
    on_workers(1, || {
        let inner = Arc::new(Served::start(usize::MAX, |_| {}));
        let middle = Arc::new(Served::start(usize::MAX, {
            let inner = Arc::clone(&inner);
            move |_| assert!(inner.hand_over())
        }));
        for round in 2..5 {
            assert!(middle.hand_over());
            assert_eq!((middle.polls(), inner.polls()), (round, round));
        }
        middle.handle.cancel();
        inner.handle.cancel();
    });
}

#[test]
fn others_have_their_turns_while_two_hand_over_to_each_other() {
    on_workers(1, || {
        let served = Served::start(usize::MAX, |_| {});
        let (queued, ready) = (Arc::default(), Arc::<AtomicUsize>::default());
        spawn({
            let queued: Arc<AtomicBool> = Arc::clone(&queued);
            move || queued.store(true, SeqCst)
        });
        spawn({
            let ready = Arc::clone(&ready);
            move || {
                while ready.fetch_add(1, SeqCst) < 100 {
                    yield_now();
                }
            }
        });
        while !queued.load(SeqCst) || ready.load(SeqCst) < 100 {
            if !served.hand_over() {
                // As who has to wait: for one turn.
                yield_now();
            }
        }
        served.handle.cancel();
    });
}

#[test]
fn a_time_slice_ends_also_if_it_is_spent_on_hand_overs_alone() {
    on_workers(1, || {
        let served = Served::start(usize::MAX, |_| {});
        let handed_over = (0..1000).take_while(|_| served.hand_over()).count();
        assert!(handed_over < 1000);
        served.handle.cancel();
    });
}

#[test]
fn a_task_that_was_asked_to_end_hands_nothing_over() {
    on_workers(1, || {
        let served = Arc::new(Served::start(usize::MAX, |_| {}));
        let task = spawn({
            let served = Arc::clone(&served);
            move || {
                let caught = std::panic::catch_unwind(park);
                assert!(caught.is_err());
                assert!(!served.hand_over());
            }
        });
        yield_now();
        task.cancel();
        assert!(task.join().is_ok());
        // It was woken all the same.
        while served.polls() < 2 {
            yield_now();
        }
        served.handle.cancel();
    });
}

#[test]
fn a_future_of_another_runtime_is_woken_there() {
    with_watchdog(LIMIT, || {
        let (here, there) = (
            Runtime::builder().workers(1).build().unwrap(),
            Runtime::builder().workers(1).build().unwrap(),
        );
        let served = there.run(|| Served::start(1, |_| {}));
        let served = here.run(move || {
            assert!(!served.hand_over());
            served
        });
        served.handle.join().unwrap();
    });
}

//! Waits on threads that no scheduler hosts.

#![cfg(not(weftwork_loom))]

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_core::wait::{
    Interrupt, Parker, Reason, deadline_after, wait, wait_deadline, wait_interruptible,
};
use weftwork_core::{Cancelled, TimedOut, block_on, task, wait as waits};
use weftwork_testkit::{iters, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// Something to wait for: a flag and whoever waits for it.
#[derive(Clone, Default)]
struct Event(Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Event {
    fn set(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        let waker = self.0.1.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        *self.0.1.lock().unwrap() = Some(context.waker().clone());
        if self.0.0.load(Ordering::SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn wait(&self) {
        wait(Reason::PARK, |context| self.poll(context));
    }
}

#[test]
fn a_wait_that_is_ready_does_not_wait() {
    with_watchdog(LIMIT, || {
        assert_eq!(wait(Reason::PARK, |_| Poll::Ready(3)), 3);
        let past = Instant::now();
        assert_eq!(
            wait_deadline(Reason::PARK, Some(past), |_| Poll::Ready(3)),
            Ok(3)
        );
        assert_eq!(
            wait_interruptible(Reason::PARK, None, |_| Poll::Ready(3)),
            Ok(3)
        );
    });
}

#[test]
fn a_wait_ends_with_the_wake_of_another_thread() {
    with_watchdog(LIMIT, || {
        for _ in 0..iters(2_000, 500, 50) {
            let event = Event::default();
            let other = std::thread::spawn({
                let event = event.clone();
                move || event.set()
            });
            event.wait();
            other.join().unwrap();
        }
    });
}

#[test]
fn a_wake_for_nothing_polls_again() {
    with_watchdog(LIMIT, || {
        let mut polls = 0;
        wait(Reason::PARK, |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 10 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        assert_eq!(polls, 10);
    });
}

#[test]
fn a_deadline_is_never_early() {
    with_watchdog(LIMIT, || {
        for micros in [0, 1, 50, 900, 1_000, 2_500] {
            let deadline = Instant::now() + Duration::from_micros(micros);
            let out = wait_deadline(Reason::SLEEP, Some(deadline), |_| Poll::<()>::Pending);
            assert_eq!(out, Err(TimedOut));
            assert!(Instant::now() >= deadline);

            // Also while it is woken for nothing all the time.
            let deadline = Instant::now() + Duration::from_micros(micros);
            let out = wait_interruptible(Reason::SLEEP, Some(deadline), |context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            });
            assert_eq!(out, Err(Interrupt::TimedOut));
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn an_event_at_the_deadline_is_not_missed() {
    with_watchdog(LIMIT, || {
        // The event comes during a poll that does not see it, and the deadline passes as well.
        let deadline = Instant::now() + Duration::from_millis(1);
        let mut polls = 0;
        let out = wait_deadline(Reason::PARK, Some(deadline), |_| {
            polls += 1;
            while polls == 2 && Instant::now() < deadline {
                std::thread::yield_now();
            }
            if polls == 3 {
                Poll::Ready(1)
            } else {
                Poll::Pending
            }
        });
        assert_eq!(out, Ok(1));
    });
}

#[test]
fn a_deadline_beyond_all_time_is_none() {
    with_watchdog(LIMIT, || {
        assert_eq!(deadline_after(Duration::MAX), None);
        assert!(deadline_after(Duration::ZERO).unwrap() <= Instant::now());
        let event = Event::default();
        let other = std::thread::spawn({
            let event = event.clone();
            move || event.set()
        });
        let deadline = deadline_after(Duration::MAX);
        wait_deadline(Reason::PARK, deadline, |context| event.poll(context)).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_wait_inside_an_operation_does_not_eat_its_wake() {
    with_watchdog(LIMIT, || {
        for _ in 0..iters(500, 200, 20) {
            let (outer, inner) = (Event::default(), Event::default());
            let registered = Event::default();
            let other = std::thread::spawn({
                let (outer, inner, registered) = (outer.clone(), inner.clone(), registered.clone());
                move || {
                    registered.wait();
                    // The wake for the outer wait comes while the inner one sleeps.
                    outer.set();
                    inner.set();
                }
            });
            let mut polls = 0;
            wait(Reason::PARK, |context| {
                polls += 1;
                let out = outer.poll(context);
                if polls == 2 {
                    registered.set();
                    inner.wait();
                }
                out
            });
            other.join().unwrap();
        }
    });
}

#[test]
fn a_waker_may_wait() {
    struct Waits(Event, AtomicUsize);
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            self.0.wait();
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    with_watchdog(LIMIT, || {
        let event = Event::default();
        let (task, mut handle) = task::closure(|| 1);
        let waits = Arc::new(Waits(event.clone(), AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&waits));
        let joined = std::pin::Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        assert!(joined.is_pending());
        let other = std::thread::spawn(move || event.set());
        let mut task = Some(task);
        wait(Reason::PARK, |context| match task.take() {
            Some(task) => {
                task.run();
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(()),
        });
        assert_eq!(waits.1.load(Ordering::SeqCst), 1);
        assert_eq!(handle.join().unwrap(), 1);
        other.join().unwrap();
    });
}

#[test]
fn block_on_drives_a_future_on_each_of_many_threads() {
    with_watchdog(LIMIT, || {
        let threads: Vec<_> = (0..4_u32)
            .map(|n| {
                std::thread::spawn(move || {
                    let mut yields = n;
                    block_on(async {
                        poll_fn(|context| {
                            if yields == 0 {
                                return Poll::Ready(());
                            }
                            yields -= 1;
                            context.waker().wake_by_ref();
                            Poll::Pending
                        })
                        .await;
                        block_on(async { n * 2 })
                    })
                })
            })
            .collect();
        for (n, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap() as usize, n * 2);
        }
    });
}

#[test]
fn a_thread_may_wait_while_it_exits() {
    struct WaitsAtExit(Event);
    impl Drop for WaitsAtExit {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    thread_local! {
        static AT_EXIT: RefCell<Option<WaitsAtExit>> = const { RefCell::new(None) };
    }
    with_watchdog(LIMIT, || {
        for waits_first in [false, true] {
            let event = Event::default();
            let thread = std::thread::spawn({
                let event = event.clone();
                move || {
                    // Either may be destroyed first: the thread's own parker or this.
                    let waits = |flag: bool| {
                        if flag {
                            let mut polls = 0;
                            wait(Reason::PARK, |context| {
                                polls += 1;
                                context.waker().wake_by_ref();
                                if polls > 3 {
                                    Poll::Ready(())
                                } else {
                                    Poll::Pending
                                }
                            });
                        }
                    };
                    waits(waits_first);
                    AT_EXIT.set(Some(WaitsAtExit(event)));
                    waits(!waits_first);
                }
            });
            event.set();
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_checkpoint_without_a_scheduler_does_nothing() {
    with_watchdog(LIMIT, || {
        waits::checkpoint();
        assert_eq!(waits::try_checkpoint(), Ok(()));
        assert!(!weftwork_core::host::is_hosted());
    });
}

#[test]
fn a_parker_holds_one_token() {
    with_watchdog(LIMIT, || {
        let parker = Arc::new(Parker::new());
        parker.unpark();
        parker.unpark();
        assert!(parker.park(None));
        let deadline = Instant::now() + Duration::from_millis(1);
        assert!(!parker.park(Some(deadline)), "two unparks are one token");
        assert!(Instant::now() >= deadline);

        // A token beats a deadline that has passed.
        parker.unpark();
        assert!(parker.park(Some(deadline)));
    });
}

#[test]
fn a_parker_does_not_take_the_threads_own_token_for_its_own() {
    with_watchdog(LIMIT, || {
        let parker = Arc::new(Parker::new());
        std::thread::current().unpark();
        let deadline = Instant::now() + Duration::from_millis(1);
        assert!(!parker.park(Some(deadline)));
        assert!(Instant::now() >= deadline);
    });
}

#[test]
fn a_parkers_waker_outlives_it() {
    with_watchdog(LIMIT, || {
        let parker = Arc::new(Parker::default());
        let waker = parker.waker();
        assert!(waker.will_wake(&waker.clone()));
        waker.wake_by_ref();
        assert!(parker.park(None));
        std::thread::spawn(move || {
            drop(parker);
            waker.wake_by_ref();
            waker.wake();
        })
        .join()
        .unwrap();
    });
}

#[test]
fn a_storm_of_unparks_passes_every_token() {
    with_watchdog(LIMIT, || {
        let rounds = iters(20_000, 5_000, 200);
        let here = Arc::new(Parker::new());
        let turn = Arc::new(AtomicUsize::new(0));
        let (send, receive) = std::sync::mpsc::channel();
        let other = std::thread::spawn({
            let (there, turn) = (here.waker(), Arc::clone(&turn));
            move || {
                let parker = Arc::new(Parker::new());
                send.send(parker.waker()).unwrap();
                for n in 0..rounds {
                    while turn.load(Ordering::SeqCst) != 2 * n + 1 {
                        parker.park(None);
                    }
                    turn.store(2 * n + 2, Ordering::SeqCst);
                    there.wake_by_ref();
                }
            }
        });
        let there = receive.recv().unwrap();
        for n in 0..rounds {
            turn.store(2 * n + 1, Ordering::SeqCst);
            there.wake_by_ref();
            while turn.load(Ordering::SeqCst) != 2 * n + 2 {
                here.park(None);
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn the_errors_read_as_sentences_do() {
    assert_eq!(TimedOut.to_string(), "timed out");
    assert_eq!(Cancelled.to_string(), "task was cancelled");
    assert_eq!(Interrupt::TimedOut.to_string(), "timed out");
    assert_eq!(Interrupt::Cancelled.to_string(), "task was cancelled");
    assert_eq!(Reason::new("rendezvous").as_str(), "rendezvous");
    assert_eq!(Reason::FORK_JOIN.to_string(), "fork_join");
}

thread_local! {
    static SLEEPS: AtomicUsize = const { AtomicUsize::new(0) };
}

fn sleeps() -> usize {
    SLEEPS.with(|sleeps| sleeps.load(Ordering::SeqCst))
}

fn announce(sleep: &mut dyn FnMut()) {
    SLEEPS.with(|sleeps| sleeps.fetch_add(1, Ordering::SeqCst));
    sleep();
}

#[test]
fn a_sleep_on_a_lent_thread_is_announced_and_a_wait_that_is_ready_is_not() {
    with_watchdog(LIMIT, || {
        let event = Event::default();
        waits::on_lent_thread(announce, || wait(Reason::PARK, |_| Poll::Ready(())));
        assert_eq!(sleeps(), 0);
        let setter = {
            let event = event.clone();
            std::thread::spawn(move || {
                while event.0.1.lock().unwrap().is_none() {
                    std::thread::yield_now();
                }
                event.set();
            })
        };
        waits::on_lent_thread(announce, || {
            wait(Reason::PARK, |context| event.poll(context))
        });
        setter.join().unwrap();
        // The event may have come between the look and the sleep, which then returns at once.
        assert!(sleeps() >= 1);
    });
}

#[test]
fn a_thread_is_lent_no_longer_than_the_closure_runs_also_if_that_unwinds() {
    with_watchdog(LIMIT, || {
        let soon = || deadline_after(Duration::from_millis(1));
        let never = |_: &mut Context<'_>| Poll::<()>::Pending;
        let unwound = std::panic::catch_unwind(|| {
            waits::on_lent_thread(announce, || panic!("on purpose"));
        });
        assert!(unwound.is_err());
        assert_eq!(wait_deadline(Reason::SLEEP, soon(), never), Err(TimedOut));
        assert_eq!(sleeps(), 0);
        // An executor that does not sleep lets the wait look again, until its time is over.
        waits::on_lent_thread(
            |_| std::thread::yield_now(),
            || assert_eq!(wait_deadline(Reason::SLEEP, soon(), never), Err(TimedOut)),
        );
    });
}

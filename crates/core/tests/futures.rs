//! Tasks made of futures: wakes, cancellation, reachability, panics.

#![cfg(not(weftwork_loom))]

mod queue;

use queue::Queue;
use std::future::{pending, poll_fn};
use std::marker::PhantomPinned;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use weftwork_core::Task;
use weftwork_core::block_on;
use weftwork_core::task::{self, Cause, Schedule};
use weftwork_testkit::{DropCounter, iters, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// Wakes by value, which gives a reference up.
fn wake_by_value(waker: &Waker) {
    let waker = waker.clone();
    waker.wake();
}

type Slot = Arc<Mutex<Option<Waker>>>;

/// Stores the waker at every poll, and is ready once `done` is set.
fn until(done: &Arc<AtomicBool>, slot: &Slot) -> impl Future<Output = ()> + Send + use<> {
    let (done, slot) = (Arc::clone(done), Arc::clone(slot));
    poll_fn(move |context| {
        *slot.lock().unwrap() = Some(context.waker().clone());
        if done.load(Ordering::SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

#[test]
fn a_ready_future_is_done_with_one_poll() {
    with_watchdog(LIMIT, || {
        let queue = Queue::default();
        let (task, handle) = task::future(async { 4 }, queue.clone());
        task.run();
        assert_eq!(queue.drain(), 0);
        assert_eq!(handle.join().unwrap(), 4);
    });
}

#[test]
fn a_wake_of_a_sleeping_future_queues_it_once() {
    with_watchdog(LIMIT, || {
        let (queue, done, slot) = (Queue::default(), Arc::default(), Slot::default());
        let (task, handle) = task::future(until(&done, &slot), queue.clone());
        task.run();
        assert!(queue.pop().is_none());
        let waker = slot.lock().unwrap().clone().unwrap();
        waker.wake_by_ref();
        waker.wake_by_ref();
        wake_by_value(&waker);
        let (task, cause) = queue.pop().unwrap();
        assert_eq!(cause, Cause::Woken);
        assert!(queue.pop().is_none());
        done.store(true, Ordering::SeqCst);
        task.run();
        handle.join().unwrap();
    });
}

#[test]
fn a_wake_during_the_poll_yields() {
    with_watchdog(LIMIT, || {
        let queue = Queue::default();
        let mut polls = 0;
        let (task, handle) = task::future(
            poll_fn(move |context| {
                polls += 1;
                if polls == 2 {
                    return Poll::Ready(polls);
                }
                context.waker().wake_by_ref();
                wake_by_value(context.waker());
                Poll::Pending
            }),
            queue.clone(),
        );
        task.run();
        let (task, cause) = queue.pop().unwrap();
        assert_eq!(cause, Cause::Yielded);
        assert!(queue.pop().is_none(), "two wakes are one yield");
        task.run();
        assert!(queue.pop().is_none());
        assert_eq!(handle.join().unwrap(), 2);
    });
}

#[test]
fn a_waker_called_or_dropped_after_the_end_is_harmless() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        struct Tracked(Queue, #[allow(dead_code)] weftwork_testkit::Counted<()>);
        impl Schedule for Tracked {
            fn schedule(&self, task: Task, cause: Cause) {
                self.0.schedule(task, cause);
            }
        }
        let queue = Queue::default();
        let (done, slot) = (Arc::new(AtomicBool::new(true)), Slot::default());
        // The schedule lives as long as the cell does.
        let schedule = Tracked(queue.clone(), drops.track(()));
        let (task, handle) = task::future(until(&done, &slot), schedule);
        task.run();
        handle.join().unwrap();
        let waker = slot.lock().unwrap().take().unwrap();
        waker.wake_by_ref();
        wake_by_value(&waker);
        assert!(queue.pop().is_none());
        drops.assert_live(1);
        std::thread::spawn(move || drop(waker)).join().unwrap();
        drops.assert_none_live();
    });
}

#[test]
fn a_foreign_thread_may_wake() {
    with_watchdog(LIMIT, || {
        let (queue, done, slot) = (Queue::default(), Arc::default(), Slot::default());
        let (task, handle) = task::future(until(&done, &slot), queue.clone());
        task.run();
        let waker = slot.lock().unwrap().take().unwrap();
        std::thread::spawn(move || {
            done.store(true, Ordering::SeqCst);
            waker.wake();
        })
        .join()
        .unwrap();
        assert_eq!(queue.drain(), 1);
        handle.join().unwrap();
    });
}

#[test]
fn a_cancelled_sleeper_is_queued_and_dropped_by_its_executor() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let (queue, slot) = (Queue::default(), Slot::default());
        let held = drops.track(());
        let (task, handle) = task::future(
            {
                let slot = Arc::clone(&slot);
                async move {
                    let _held = held;
                    until(&Arc::default(), &slot).await;
                }
            },
            queue.clone(),
        );
        task.run();
        handle.cancel();
        handle.cancel();
        drops.assert_live(1);
        let (task, cause) = queue.pop().unwrap();
        assert_eq!(cause, Cause::Woken);
        assert!(queue.pop().is_none());
        task.run();
        drops.assert_none_live();
        assert!(handle.join().unwrap_err().is_cancelled());
        slot.lock().unwrap().take().unwrap().wake();
        assert!(queue.pop().is_none());
    });
}

#[test]
fn a_future_cancelled_in_the_queue_is_never_polled() {
    with_watchdog(LIMIT, || {
        let polled = Arc::new(AtomicBool::new(false));
        let (task, handle) = task::future(
            {
                let polled = Arc::clone(&polled);
                async move { polled.store(true, Ordering::SeqCst) }
            },
            Queue::default(),
        );
        handle.cancel();
        task.run();
        assert!(handle.join().unwrap_err().is_cancelled());
        assert!(!polled.load(Ordering::SeqCst));
    });
}

#[test]
fn a_future_cancelled_during_its_poll_is_dropped_at_the_end_of_it() {
    with_watchdog(LIMIT, || {
        let queue = Queue::default();
        let own = Arc::new(Mutex::new(None::<task::TaskRef>));
        let (task, handle) = task::future(
            {
                let own = Arc::clone(&own);
                poll_fn(move |context| {
                    let own = own.lock().unwrap().take().unwrap();
                    assert!(own.is_polling());
                    own.cancel();
                    context.waker().wake_by_ref();
                    Poll::<()>::Pending
                })
            },
            queue.clone(),
        );
        *own.lock().unwrap() = Some(handle.task_ref());
        task.run();
        assert!(queue.pop().is_none());
        assert!(handle.join().unwrap_err().is_cancelled());

        // A poll that is ready all the same gives its output.
        let own = Arc::new(Mutex::new(None::<task::TaskRef>));
        let (task, handle) = task::future(
            {
                let own = Arc::clone(&own);
                async move { own.lock().unwrap().take().unwrap().cancel() }
            },
            queue.clone(),
        );
        *own.lock().unwrap() = Some(handle.task_ref());
        task.run();
        handle.join().unwrap();
    });
}

#[test]
fn a_dropped_task_cancels_the_future_between_two_polls() {
    with_watchdog(LIMIT, || {
        let (queue, slot) = (Queue::default(), Slot::default());
        let (task, handle) = task::future(until(&Arc::default(), &slot), queue.clone());
        task.run();
        slot.lock().unwrap().clone().unwrap().wake();
        drop(queue.pop().unwrap());
        assert!(handle.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn an_unreachable_future_is_dropped_at_once() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        // At the end of the poll that leaves no waker anywhere.
        let held = drops.track(());
        let (task, handle) = task::future(
            async move {
                let _held = held;
                pending::<()>().await;
            },
            Queue::default(),
        );
        drop(handle);
        task.run();
        drops.assert_none_live();

        // When the last waker goes, by drop.
        let slot = Slot::default();
        let held = drops.track(());
        let (task, handle) = task::future(
            {
                let slot = Arc::clone(&slot);
                async move {
                    let _held = held;
                    until(&Arc::default(), &slot).await;
                }
            },
            Queue::default(),
        );
        drop(handle);
        task.run();
        drops.assert_live(1);
        let waker = slot.lock().unwrap().take();
        drop(waker);
        drops.assert_none_live();
    });
}

#[test]
fn a_future_that_can_be_joined_or_cancelled_is_not_unreachable() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let queue = Queue::default();
        let held = drops.track(());
        let (task, handle) = task::future(
            async move {
                let _held = held;
                pending::<()>().await;
            },
            queue.clone(),
        );
        task.run();
        let watcher = handle.task_ref();
        drop(handle);
        drops.assert_live(1);
        watcher.cancel();
        assert_eq!(queue.drain(), 1);
        drops.assert_none_live();
        assert!(watcher.is_finished());
    });
}

/// Panics when it is dropped.
struct Grenade(&'static str);

impl Drop for Grenade {
    fn drop(&mut self) {
        resume_unwind(Box::new(self.0));
    }
}

#[test]
fn a_future_that_panics_in_poll_and_in_drop_reports_the_first_panic() {
    struct Bad(#[allow(dead_code)] Grenade);
    impl Future for Bad {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            resume_unwind(Box::new("in poll"));
        }
    }
    with_watchdog(LIMIT, || {
        let (task, handle) = task::future(Bad(Grenade("in drop")), Queue::default());
        task.run();
        let payload = handle.join().unwrap_err().into_panic();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "in poll");
    });
}

#[test]
fn a_ready_future_whose_drop_panics_has_panicked_and_its_output_is_dropped() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let output = drops.track(());
        let grenade = Grenade("in drop");
        let mut output = Some(output);
        let (task, handle) = task::future(
            poll_fn(move |_| {
                let _ = &grenade;
                Poll::Ready(output.take().unwrap())
            }),
            Queue::default(),
        );
        task.run();
        let payload = handle.join().unwrap_err().into_panic();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "in drop");
        drops.assert_none_live();
    });
}

#[test]
fn a_panic_in_the_drop_of_a_cancelled_or_unreachable_future_stays_inside() {
    with_watchdog(LIMIT, || {
        let bad = |slot: &Slot| {
            let grenade = Grenade("in drop");
            let slot = Arc::clone(slot);
            poll_fn(move |context| {
                let _ = &grenade;
                *slot.lock().unwrap() = Some(context.waker().clone());
                Poll::<()>::Pending
            })
        };
        let slot = Slot::default();
        let (task, handle) = task::future(bad(&slot), Queue::default());
        drop(task);
        let payload = handle.join().unwrap_err().into_panic();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "in drop");

        let (task, handle) = task::future(bad(&slot), Queue::default());
        drop(handle);
        task.run();
        let waker = slot.lock().unwrap().take();
        drop(waker);
    });
}

#[test]
fn a_future_is_not_moved_between_its_polls_and_its_drop() {
    struct Fixed {
        place: Option<usize>,
        polls: usize,
        _pin: PhantomPinned,
    }
    impl Future for Fixed {
        type Output = ();
        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            // SAFETY: nothing is moved out.
            let this = unsafe { self.get_unchecked_mut() };
            let here = std::ptr::from_ref(this).addr();
            assert_eq!(*this.place.get_or_insert(here), here);
            this.polls += 1;
            context.waker().wake_by_ref();
            if this.polls == 3 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }
    impl Drop for Fixed {
        fn drop(&mut self) {
            if let Some(place) = self.place {
                assert_eq!(place, std::ptr::from_ref(self).addr());
            }
        }
    }
    with_watchdog(LIMIT, || {
        let fixed = || Fixed {
            place: None,
            polls: 0,
            _pin: PhantomPinned,
        };
        let queue = Queue::default();
        let (task, handle) = task::future(fixed(), queue.clone());
        task.run();
        assert_eq!(queue.drain(), 2);
        handle.join().unwrap();

        let (task, handle) = task::future(fixed(), queue.clone());
        task.run();
        handle.cancel();
        queue.drain();
        assert!(
            handle.join().unwrap_err().is_cancelled(),
            "no panic in the drop"
        );
    });
}

#[test]
fn block_on_inside_a_poll_waits_there() {
    with_watchdog(LIMIT, || {
        let queue = Queue::default();
        let (inner, inner_handle) = task::closure(|| 20);
        let other = std::thread::spawn(move || inner.run());
        let (task, handle) =
            task::future(async { block_on(inner_handle).unwrap() + 1 }, queue.clone());
        task.run();
        assert_eq!(handle.join().unwrap(), 21);
        assert!(queue.pop().is_none());
        other.join().unwrap();
    });
}

#[test]
fn a_schedule_stays_valid_until_its_call_returns() {
    struct RunsElsewhere(Arc<AtomicBool>);
    impl Schedule for RunsElsewhere {
        fn schedule(&self, task: Task, _: Cause) {
            let gone = Arc::clone(&self.0);
            // The other thread runs the task to its end and frees what it can.
            std::thread::spawn(move || task.run()).join().unwrap();
            assert!(!gone.load(Ordering::SeqCst), "freed during its own call");
        }
    }
    impl Drop for RunsElsewhere {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    with_watchdog(LIMIT, || {
        let gone = Arc::new(AtomicBool::new(false));
        let yielding = || {
            let mut polls = 0;
            poll_fn(move |context| {
                polls += 1;
                context.waker().wake_by_ref();
                if polls == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        };
        // Queued again by the poll's end.
        let (task, handle) = task::future(yielding(), RunsElsewhere(Arc::clone(&gone)));
        drop(handle);
        task.run();
        assert!(gone.swap(false, Ordering::SeqCst), "freed after the call");

        // Queued by a waker.
        let (done, slot) = (Arc::new(AtomicBool::new(false)), Slot::default());
        let (task, handle) = task::future(until(&done, &slot), RunsElsewhere(Arc::clone(&gone)));
        drop(handle);
        task.run();
        done.store(true, Ordering::SeqCst);
        let waker = slot.lock().unwrap().take().unwrap();
        waker.wake();
        slot.lock().unwrap().take();
        assert!(gone.load(Ordering::SeqCst), "freed after the call");
    });
}

#[test]
fn a_schedule_that_panics_loses_neither_memory_nor_the_joiner() {
    struct Refuses(#[allow(dead_code)] weftwork_testkit::Counted<()>);
    impl Schedule for Refuses {
        fn schedule(&self, _: Task, _: Cause) {
            resume_unwind(Box::new("refused"));
        }
    }
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let slot = Slot::default();
        let schedule = Refuses(drops.track(()));
        let (task, handle) = task::future(until(&Arc::default(), &slot), schedule);
        task.run();
        let waker = slot.lock().unwrap().take().unwrap();
        let woken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waker.wake()));
        assert!(woken.is_err());
        assert!(handle.join().unwrap_err().is_cancelled());
        drops.assert_none_live();
    });
}

#[test]
fn no_wake_of_a_storm_is_lost() {
    with_watchdog(LIMIT, || {
        const WAKERS: usize = 3;
        let rounds = iters(20_000, 5_000, 200);
        let (queue, slot) = (Queue::default(), Slot::default());
        let count = Arc::new(AtomicUsize::new(0));
        let (task, mut handle) = task::future(
            {
                let (count, slot) = (Arc::clone(&count), Arc::clone(&slot));
                poll_fn(move |context| {
                    slot.lock()
                        .unwrap()
                        .get_or_insert_with(|| context.waker().clone());
                    // Relaxed: the wake orders it.
                    if count.load(Ordering::Relaxed) == WAKERS * rounds {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
            },
            queue.clone(),
        );
        task.run();
        let waker = slot.lock().unwrap().clone().unwrap();
        let runs = std::thread::scope(|scope| {
            for n in 0..WAKERS {
                let (waker, count) = (waker.clone(), &count);
                scope.spawn(move || {
                    for round in 0..rounds {
                        // Relaxed: the wake orders it.
                        count.fetch_add(1, Ordering::Relaxed);
                        if (round + n) % 2 == 0 {
                            waker.wake_by_ref();
                        } else {
                            wake_by_value(&waker);
                        }
                    }
                });
            }
            let mut runs = 0;
            loop {
                match handle.try_join() {
                    Ok(output) => {
                        output.unwrap();
                        break runs;
                    }
                    Err(unfinished) => handle = unfinished.into_inner(),
                }
                runs += queue.drain();
                std::thread::yield_now();
            }
        });
        assert!((1..=WAKERS * rounds).contains(&runs));
    });
}

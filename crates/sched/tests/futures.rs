//! Futures as tasks: wakes from anywhere, blocking inside a poll, other executors.

mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use support::{Count, with_runtime, with_runtimes};
use weftwork_sched::{block_on, sleep, sleep_async, spawn, spawn_async, yield_now};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn a_foreign_thread_wakes_a_future() {
    with_runtimes(|rt| {
        let (tell, told) = mpsc::channel::<Waker>();
        let foreign = std::thread::spawn(move || {
            let mut woken = 0;
            for waker in told {
                waker.wake();
                woken += 1;
            }
            woken
        });
        let rounds = iters(2_000, 500, 50);
        let polls = rt.block_on(async move {
            let mut polls = 0;
            for _ in 0..rounds {
                let mut sent = false;
                poll_fn(|context| {
                    polls += 1;
                    if std::mem::replace(&mut sent, true) {
                        return Poll::Ready(());
                    }
                    tell.send(context.waker().clone()).unwrap();
                    Poll::Pending
                })
                .await;
            }
            polls
        });
        assert_eq!(polls, 2 * rounds);
        assert_eq!(foreign.join().unwrap(), rounds);
    });
}

#[test]
fn a_spawned_future_is_woken_by_tasks_threads_and_itself() {
    with_runtimes(|rt| {
        let count = Arc::new(Count::new());
        let waiting: Vec<_> = (1..=30)
            .map(|n| {
                let count = Arc::clone(&count);
                rt.spawn_async(async move { count.reached(n).await })
            })
            .collect();
        for n in 0..10 {
            let there = Arc::clone(&count);
            match n % 3 {
                0 => drop(rt.spawn(move || there.add())),
                1 => drop(rt.spawn_async(async move { there.add() })),
                _ => drop(std::thread::spawn(move || there.add())),
            }
        }
        for _ in 0..20 {
            count.add();
        }
        waiting.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// Wakes itself at every poll until it is told to stop.
fn storm(stop: &Arc<AtomicBool>, polls: &Arc<AtomicUsize>) -> impl Future<Output = ()> + use<> {
    let (stop, polls) = (Arc::clone(stop), Arc::clone(polls));
    poll_fn(move |context| {
        polls.fetch_add(1, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

#[test]
fn futures_that_wake_themselves_let_others_run() {
    with_runtimes(|rt| {
        let (stop, polls) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let storms: Vec<_> = (0..5)
            .map(|_| rt.spawn_async(storm(&stop, &polls)))
            .collect();
        // All kinds of others come to their turn, again and again.
        for _ in 0..20 {
            rt.spawn(|| yield_now()).join().unwrap();
            rt.spawn_async(async {}).join().unwrap();
            rt.run(|| {
                spawn(|| ()).join().unwrap();
                sleep(Duration::from_micros(10));
            });
            rt.block_on(sleep_async(Duration::from_micros(10)));
        }
        stop.store(true, Ordering::Relaxed);
        storms.into_iter().for_each(|task| task.join().unwrap());
        assert!(polls.load(Ordering::Relaxed) >= 5);
    });
}

#[test]
fn two_futures_that_wake_each_other_let_others_run() {
    with_runtimes(|rt| {
        let stop = Arc::new(AtomicBool::new(false));
        let wakers: Arc<[weftwork_core::sync::Mutex<Option<Waker>>; 2]> = Arc::default();
        let pair: Vec<_> = (0..2)
            .map(|me| {
                let (stop, wakers) = (Arc::clone(&stop), Arc::clone(&wakers));
                rt.spawn_async(poll_fn(move |context| {
                    *wakers[me].lock() = Some(context.waker().clone());
                    let other = wakers[1 - me].lock().take();
                    if let Some(other) = other {
                        other.wake();
                    }
                    if stop.load(Ordering::Relaxed) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                }))
            })
            .collect();
        for _ in 0..20 {
            rt.spawn(|| yield_now()).join().unwrap();
            rt.spawn_async(async {}).join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for waker in wakers.iter() {
            let waker = waker.lock().take();
            waker.into_iter().for_each(Waker::wake);
        }
        // The one that was not woken by these is woken by the other's last poll.
        pair.into_iter().for_each(|task| {
            while !task.is_finished() {
                for waker in wakers.iter() {
                    let waker = waker.lock().take();
                    waker.into_iter().for_each(Waker::wake);
                }
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn a_poll_that_blocks_parks_that_task_only() {
    with_runtime(1, |rt| {
        let count = Arc::new(Count::new());
        let there = Arc::clone(&count);
        let blocked = rt.spawn_async(async move {
            // Blocking calls, not awaited ones.
            there.wait_for(1);
            let n = spawn(|| 5).join().unwrap();
            sleep(Duration::from_millis(1));
            there.reached(2).await;
            n
        });
        // On the same single worker another task goes on and ends the wait.
        let there = Arc::clone(&count);
        rt.spawn(move || there.add()).join().unwrap();
        let there = Arc::clone(&count);
        rt.spawn_async(async move { there.add() }).join().unwrap();
        assert_eq!(blocked.join().unwrap(), 5);
    });
}

#[test]
fn a_wake_during_a_poll_that_blocks_is_not_lost() {
    with_runtimes(|rt| {
        for _ in 0..iters(300, 100, 10) {
            let (tell, told) = mpsc::channel::<Waker>();
            let event = Arc::new(AtomicBool::new(false));
            let there = Arc::clone(&event);
            let future = rt.spawn_async(poll_fn(move |context| {
                if there.load(Ordering::SeqCst) {
                    return Poll::Ready(());
                }
                tell.send(context.waker().clone()).unwrap();
                yield_now();
                Poll::Pending
            }));
            let waker = told.recv().unwrap();
            event.store(true, Ordering::SeqCst);
            waker.wake();
            future.join().unwrap();
        }
    });
}

#[test]
fn wakers_are_cloned_called_and_dropped_after_the_end() {
    with_runtimes(|rt| {
        let (tell, told) = mpsc::channel::<Waker>();
        let sender = tell.clone();
        let future = rt.spawn_async(poll_fn(move |context| {
            sender.send(context.waker().clone()).unwrap();
            Poll::Ready(())
        }));
        future.join().unwrap();
        // A green thread's waker too.
        rt.run(|| {
            block_on(poll_fn(|context| {
                tell.send(context.waker().clone()).unwrap();
                Poll::Ready(())
            }));
        });
        for waker in told.try_iter() {
            waker.wake_by_ref();
            let copy = waker.clone();
            waker.wake();
            std::thread::spawn(move || {
                copy.wake_by_ref();
                drop(copy);
            })
            .join()
            .unwrap();
        }
    });
}

#[test]
fn a_future_migrates_and_keeps_what_it_owns() {
    with_runtime(4, |rt| {
        let drops = DropCounter::new();
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let held = drops.track(n);
                rt.spawn_async(async move {
                    for _ in 0..50 {
                        sleep_async(Duration::from_micros(20)).await;
                    }
                    *held
                })
            })
            .collect();
        let sum: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 28);
        while rt.stats().live > 0 {
            std::thread::yield_now();
        }
        drops.assert_none_live();
    });
}

#[test]
fn a_future_that_nothing_can_wake_is_ended_by_the_shutdown() {
    support::watched(|| {
        let rt = support::runtime(1);
        let drops = DropCounter::new();
        let held = drops.track(());
        let task = rt.spawn_async(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        while rt.stats().runs == 0 {
            std::thread::yield_now();
        }
        let report = rt.shutdown(Duration::ZERO);
        assert_eq!(report.abandoned(), 0, "{report}");
        assert!(task.join().unwrap_err().is_cancelled());
        drops.assert_none_live();
    });
}

#[test]
fn block_on_in_a_task_is_woken_from_a_thread() {
    with_runtimes(|rt| {
        let count = Arc::new(Count::new());
        let there = Arc::clone(&count);
        let task = rt.spawn(move || block_on(there.reached(1)));
        let foreign = std::thread::spawn(move || count.add());
        task.join().unwrap();
        foreign.join().unwrap();
    });
}

#[test]
fn block_on_nests_in_polls() {
    with_runtimes(|rt| {
        let n = rt.block_on(async {
            let inner = async {
                block_on(async {
                    sleep_async(Duration::from_millis(1)).await;
                    block_on(spawn_async(async { 3 })).unwrap()
                }) + 1
            };
            inner.await + 1
        });
        assert_eq!(n, 5);
    });
}

#[test]
fn a_join_handle_dropped_in_the_middle_of_a_poll_detaches() {
    with_runtimes(|rt| {
        let count = Arc::new(Count::new());
        let there = Arc::clone(&count);
        let handle = rt.spawn(move || {
            there.wait_for(1);
            there.add();
        });
        {
            let mut handle = pin!(handle);
            let mut context = Context::from_waker(Waker::noop());
            assert!(handle.as_mut().poll(&mut context).is_pending());
        }
        count.add();
        count.wait_for(2);
    });
}

#[test]
fn a_tokio_task_awaits_our_task() {
    with_runtimes(|rt| {
        let foreign = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let count = Arc::new(Count::new());
        let there = Arc::clone(&count);
        let ours = rt.spawn(move || {
            there.wait_for(1);
            6
        });
        let future = rt.spawn_async(async { 7 });
        let theirs = foreign.spawn(async move {
            count.add();
            ours.await.unwrap() * future.await.unwrap()
        });
        assert_eq!(foreign.block_on(theirs).unwrap(), 42);
    });
}

#[test]
fn our_tasks_wait_for_tokio_channels() {
    with_runtimes(|rt| {
        let foreign = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (to_green, from_tokio) = tokio::sync::oneshot::channel();
        let (to_future, also_from_tokio) = tokio::sync::oneshot::channel();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let green = rt.spawn(move || {
            let n: u32 = block_on(from_tokio).unwrap();
            answer.send(n + 1).unwrap();
        });
        let future = rt.spawn_async(async move { also_from_tokio.await.unwrap() });
        let answer = foreign.block_on(async move {
            to_green.send(4).unwrap();
            to_future.send("hello").unwrap();
            answered.await.unwrap()
        });
        assert_eq!(answer, 5);
        green.join().unwrap();
        assert_eq!(future.join().unwrap(), "hello");
    });
}

#[test]
fn a_tokio_mutex_is_shared_between_both() {
    with_runtimes(|rt| {
        let foreign = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let sum = Arc::new(tokio::sync::Mutex::new(0));
        let add = |sum: &Arc<tokio::sync::Mutex<u32>>| {
            let sum = Arc::clone(sum);
            async move {
                for _ in 0..100 {
                    *sum.lock().await += 1;
                }
            }
        };
        let ours = rt.spawn_async(add(&sum));
        let green = add(&sum);
        let green = rt.spawn(move || block_on(green));
        let theirs = foreign.spawn(add(&sum));
        ours.join().unwrap();
        green.join().unwrap();
        foreign.block_on(theirs).unwrap();
        assert_eq!(*block_on(sum.lock()), 300);
    });
}

//! One collection used by OS threads, green threads and the tasks of another executor.

#![cfg(not(weftwork_loom))]

use std::future::Future;
use std::thread;
use std::time::Duration;
use weftwork_sched::Runtime;
use weftwork_stm::{TBQueue, TChan, TMVar, TMap, TQueue, TSem, atomically, atomically_async};
use weftwork_testkit::{iters, with_watchdog};

const LIMIT: Duration = Duration::from_secs(120);

/// Runs `test` with a scheduler of green threads, and an executor that knows nothing of it.
fn with_worlds(test: impl FnOnce(&Runtime, &tokio::runtime::Runtime)) {
    with_watchdog(LIMIT, || {
        let green = Runtime::builder().workers(2).build().unwrap();
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        test(&green, &tokio);
        let report = green.shutdown(LIMIT);
        assert!(report.is_clean(), "{report}");
    });
}

/// Starts one of each kind, and waits for all.
fn on_each<F: Future<Output = ()> + Send + 'static>(
    (green, tokio): (&Runtime, &tokio::runtime::Runtime),
    work: impl Fn(u64) + Clone + Send + 'static,
    work_async: impl Fn(u64) -> F,
) {
    let thread = thread::spawn({
        let work = work.clone();
        move || work(0)
    });
    let green = green.spawn(move || work(1));
    let task = tokio.spawn(work_async(2));
    thread.join().unwrap();
    green.join().unwrap();
    tokio.block_on(task).unwrap();
}

#[test]
fn values_go_from_every_kind_of_thread_to_every_kind() {
    with_worlds(|green, tokio| {
        let each = iters(3_000, 1_000, 50) as u64;
        let (queue, sum) = (TBQueue::new(4), TQueue::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                let queue = queue.clone();
                let push = {
                    let queue = queue.clone();
                    move |n| (0..each).for_each(|_| atomically(|tx| queue.push(tx, n)))
                };
                on_each((green, tokio), push, |n| {
                    let queue = queue.clone();
                    async move {
                        for _ in 0..each {
                            atomically_async(|tx| queue.push(tx, n)).await;
                        }
                    }
                });
            });
            scope.spawn(|| {
                let pop = {
                    let (queue, sum) = (queue.clone(), sum.clone());
                    move |_| {
                        for _ in 0..each {
                            atomically(|tx| sum.push(tx, queue.pop(tx)?));
                        }
                    }
                };
                on_each((green, tokio), pop, |_| {
                    let (queue, sum) = (queue.clone(), sum.clone());
                    async move {
                        for _ in 0..each {
                            atomically_async(|tx| sum.push(tx, queue.pop(tx)?)).await;
                        }
                    }
                });
            });
        });
        let mut seen = atomically(|tx| sum.drain(tx));
        seen.sort_unstable();
        let sent = (0..3).flat_map(|n| std::iter::repeat_n(n, each as usize));
        assert!(seen.into_iter().eq(sent));
        assert!(atomically(|tx| queue.is_empty(tx)));
    });
}

#[test]
fn every_kind_of_thread_holds_permits_in_turn() {
    with_worlds(|green, tokio| {
        let rounds = iters(2_000, 500, 30);
        let (sem, count) = (TSem::new(2), TMVar::new(0_u64));
        let work = {
            let (sem, count) = (sem.clone(), count.clone());
            move |_| {
                for _ in 0..rounds {
                    atomically(|tx| sem.acquire(tx, 2));
                    // Not one transaction: the permits keep others out in between.
                    let n = atomically(|tx| count.take(tx));
                    atomically(|tx| count.put(tx, n + 1));
                    atomically(|tx| sem.release(tx, 2));
                }
            }
        };
        on_each((green, tokio), work, |_| {
            let (sem, count) = (sem.clone(), count.clone());
            async move {
                for _ in 0..rounds {
                    atomically_async(|tx| sem.acquire(tx, 2)).await;
                    let n = atomically_async(|tx| count.take(tx)).await;
                    atomically_async(|tx| count.put(tx, n + 1)).await;
                    atomically_async(|tx| sem.release(tx, 2)).await;
                }
            }
        });
        assert_eq!(count.load(), Some(3 * rounds as u64));
        assert_eq!(sem.available(), 2);
    });
}

#[test]
fn every_kind_of_thread_waits_for_a_key_of_a_map_and_for_news() {
    with_worlds(|green, tokio| {
        let (map, news) = (TMap::new(), TChan::new());
        let listeners = [(); 3].map(|()| atomically(|tx| news.duplicate(tx)));
        let work = {
            let (map, listeners) = (map.clone(), listeners.clone());
            move |n: u64| {
                let key = atomically(|tx| listeners[n as usize].pop(tx));
                assert_eq!(atomically(|tx| map.wait(tx, &key).copied()), "here");
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                on_each((green, tokio), work, |n| {
                    let (map, listeners) = (map.clone(), listeners.clone());
                    async move {
                        let key = atomically_async(|tx| listeners[n as usize].pop(tx)).await;
                        let value = atomically_async(|tx| map.wait(tx, &key).copied()).await;
                        assert_eq!(value, "here");
                    }
                });
            });
            atomically(|tx| news.push(tx, 7));
            atomically(|tx| map.insert(tx, 7, "here"));
        });
    });
}

#[test]
fn a_future_that_is_dropped_while_it_waits_takes_nothing() {
    with_worlds(|_, tokio| {
        let queue = TQueue::new();
        for n in 0..iters(500, 200, 20) {
            tokio.block_on(async {
                let pop = atomically_async(|tx| queue.pop(tx));
                let waited = tokio::time::timeout(Duration::from_micros(1), pop).await;
                assert!(waited.is_err(), "nothing was pushed yet");
            });
            atomically(|tx| queue.push(tx, n));
            assert_eq!(atomically(|tx| queue.try_pop(tx)), Some(n));
        }
    });
}

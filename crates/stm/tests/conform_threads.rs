//! One variable from OS threads, green threads and tasks; what happens when a thread ends, or is
//! cancelled, and where a transaction may not wait.

mod support;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::{AMPLE, HANG, on_threads, panics, watched};
use weftwork_csp::bounded;
use weftwork_sched::Runtime;
use weftwork_stm::{Stm, TVar, Tx, atomically, atomically_async, flush};
use weftwork_testkit::{DropCounter, iters, with_watchdog};

/// Runs `test` with green threads on so many workers; none may be left over.
fn with_green(workers: usize, test: impl FnOnce(&Runtime)) {
    with_watchdog(HANG, || {
        let green = Runtime::builder().workers(workers).build().unwrap();
        test(&green);
        let report = green.shutdown(AMPLE);
        assert!(report.is_clean(), "{report}");
    });
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

fn is_turn_of(tx: &Tx, baton: &TVar<usize>, me: usize) -> Stm<()> {
    let n = *baton.get(tx)?;
    tx.check(n % 3 == me)?;
    baton.set(tx, n + 1)
}

#[test]
fn threads_green_threads_and_tasks_count_and_wait_together() {
    with_green(2, |green| {
        let tokio = tokio();
        let (count, baton) = (TVar::new(0), TVar::new(0));
        let rounds = iters(3_000, 500, 20);
        let add = |tx: &Tx, count: &TVar<usize>| count.update(tx, |n| n + 1);
        let of_green = green.spawn({
            let (count, baton) = (count.clone(), baton.clone());
            move || {
                for _ in 0..rounds {
                    atomically(|tx| add(tx, &count));
                    atomically(|tx| is_turn_of(tx, &baton, 0));
                }
            }
        });
        let of_tokio = tokio.spawn({
            let (count, baton) = (count.clone(), baton.clone());
            async move {
                for _ in 0..rounds {
                    atomically_async(|tx| add(tx, &count)).await;
                    atomically_async(|tx| is_turn_of(tx, &baton, 1)).await;
                }
            }
        });
        for _ in 0..rounds {
            atomically(|tx| add(tx, &count));
            atomically(|tx| is_turn_of(tx, &baton, 2));
        }
        of_green.join().unwrap();
        tokio.block_on(of_tokio).unwrap();
        assert_eq!((count.load(), baton.load()), (rounds * 3, rounds * 3));
    });
}

#[test]
fn a_green_thread_that_waits_leaves_its_worker_to_others() {
    with_green(1, |green| {
        let baton = TVar::new(0);
        let rounds = iters(3_000, 500, 20);
        let threads: Vec<_> = (0..3)
            .map(|me| {
                let baton = baton.clone();
                green.spawn(move || {
                    (0..rounds).for_each(|_| atomically(|tx| is_turn_of(tx, &baton, me)));
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(baton.load(), rounds * 3);
    });
}

#[test]
fn a_green_thread_is_cancelled_while_it_waits_or_is_being_woken() {
    // Item 15136 of the checklist, with threads that are killed.
    with_green(2, |green| {
        for _ in 0..iters(20, 5, 1) {
            let waiters = iters(1_000, 300, 20);
            let vars: Vec<TVar<bool>> = (0..waiters).map(|_| TVar::new(false)).collect();
            let (drops, begun) = (DropCounter::new(), Arc::new(AtomicUsize::new(0)));
            let threads: Vec<_> = vars
                .iter()
                .map(|var| {
                    let (var, held, begun) = (var.clone(), drops.track(()), Arc::clone(&begun));
                    green.spawn(move || {
                        let _held = held;
                        begun.fetch_add(1, Ordering::Relaxed);
                        atomically(|tx| tx.check(*var.get(tx)?));
                    })
                })
                .collect();
            while begun.load(Ordering::Relaxed) < waiters {
                thread::yield_now();
            }
            thread::scope(|scope| {
                scope.spawn(|| vars.iter().rev().for_each(|var| var.store(true)));
                threads.iter().for_each(|t| t.cancel());
            });
            for thread in threads {
                // Either was quicker.
                assert!(thread.join().map_or_else(|e| e.is_cancelled(), |()| true));
            }
            drops.assert_none_live();
            // The variables are as good as before.
            assert!(vars.iter().all(|var| atomically(|tx| var.get(tx).copied())));
        }
    });
}

#[test]
fn a_body_that_would_wait_panics_with_both_places() {
    with_green(1, |green| {
        let waits = || {
            let (_s, r) = bounded::<()>(1);
            let message = panics(|| {
                atomically(|tx| {
                    let _ = tx;
                    r.recv().map_or(Ok(()), Ok)
                });
            });
            assert_eq!(message.matches(file!()).count(), 2, "{message}");
            // What does not wait is fine, and so is waiting afterwards.
            let (s, r) = bounded(1);
            atomically(|_| Ok(s.try_send(1).is_ok()));
            assert_eq!(r.recv(), Ok(1));
        };
        waits();
        green.spawn(waits).join().unwrap();
    });
}

#[test]
fn a_body_is_not_interrupted_by_other_green_threads_of_its_worker() {
    with_green(1, |green| {
        let (var, inside) = (TVar::new(0), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (var, inside) = (var.clone(), Arc::clone(&inside));
                green.spawn(move || {
                    for _ in 0..iters(500, 100, 10) {
                        atomically(|tx| {
                            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                            // Where a green thread would give way to others outside of a body.
                            (0..20).for_each(|_| weftwork_core::wait::checkpoint());
                            inside.fetch_sub(1, Ordering::Relaxed);
                            var.update(tx, |n| n + 1)
                        });
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(var.load(), 4 * iters(500, 100, 10));
    });
}

/// Runs transactions when its thread ends.
struct AtExit(RefCell<Option<TVar<usize>>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(var) = self.0.take() {
            atomically(|tx| var.update(tx, |n| n + 1));
            atomically(|tx| {
                tx.on_commit(|| ());
                var.update(tx, |n| n + 1)
            });
            var.store(var.load() + 1);
            weftwork_stm::snapshot(|s| assert!(*var.view(s) >= 3));
        }
    }
}

#[test]
fn a_thread_that_ends_may_run_transactions_until_the_last_moment() {
    thread_local! {
        static AT_EXIT: AtExit = const { AtExit(RefCell::new(None)) };
    }
    watched(|| {
        let var = TVar::new(0);
        for is_first in [true, false] {
            for _ in 0..20 {
                let inner = var.clone();
                thread::spawn(move || {
                    // Thread-locals are destroyed one after the other: the transactions' own before or after
                    // this one, by what was used first.
                    if is_first {
                        AT_EXIT.with(|exit| exit.0.replace(Some(inner.clone())));
                        atomically(|tx| inner.get(tx).map(drop));
                    } else {
                        atomically(|tx| inner.get(tx).map(drop));
                        AT_EXIT.with(|exit| exit.0.replace(Some(inner)));
                    }
                })
                .join()
                .unwrap();
            }
        }
        assert_eq!(var.load(), 2 * 20 * 3);
    });
}

#[test]
fn a_value_whose_drop_runs_a_transaction_may_be_replaced_taken_back_and_abandoned() {
    struct Counting(TVar<usize>);
    impl Drop for Counting {
        fn drop(&mut self) {
            atomically(|tx| self.0.update(tx, |n| n + 1));
        }
    }
    watched(|| {
        let dropped = TVar::new(0);
        let made = Cell::new(0);
        let value = || {
            made.set(made.get() + 1);
            Counting(dropped.clone())
        };
        let var = TVar::new(value());
        for n in 0..iters(300, 100, 10) {
            atomically(|tx| {
                var.set(tx, value())?;
                tx.optionally(|tx| {
                    var.set(tx, value())?;
                    tx.check(n % 2 == 0)
                })
                .map(drop)
            });
            let _: Result<(), ()> = weftwork_stm::try_atomically(|tx| {
                var.set(tx, value())?;
                weftwork_stm::abort(())
            });
            panics(|| {
                atomically(|tx| -> Stm<()> {
                    var.set(tx, value())?;
                    panic!("with a value")
                });
            });
            var.store(value());
        }
        drop(var);
        while dropped.load() < made.get() {
            flush();
            thread::yield_now();
        }
        flush();
        assert_eq!(dropped.load(), made.get());
    });
}

#[test]
fn a_static_is_there_once_however_many_use_it_first() {
    static COUNT: TVar<usize> = TVar::new(0);
    static NAMES: [TVar<Vec<String>>; 8] = [const { TVar::new(Vec::new()) }; 8];
    watched(|| {
        on_threads(8, |me| {
            atomically(|tx| {
                COUNT.update(tx, |n| n + 1)?;
                NAMES[me % 2].update(tx, |names| [&names[..], &[me.to_string()]].concat())
            });
        });
        assert_eq!(COUNT.load(), 8);
        assert_eq!(NAMES[0].load().len() + NAMES[1].load().len(), 8);
    });
}

#[test]
fn the_first_use_of_a_variable_may_be_by_many_at_once() {
    watched(|| {
        let drops = DropCounter::new();
        for round in 0..iters(5_000, 1_000, 20) {
            let var = TVar::new(drops.track(0));
            on_threads(2, |me| match (round + me) % 3 {
                0 => atomically(|tx| var.update(tx, |n| drops.track(**n + 1))),
                1 => drop(var.clone()),
                _ => var.with(|n| assert!(**n < 3)),
            });
        }
        while drops.live() > 0 {
            flush();
            thread::yield_now();
        }
    });
}

#[test]
fn the_last_handle_of_a_variable_may_go_while_others_look_at_it() {
    watched(|| {
        // Variables in variables: who replaces one drops its last handle in the middle of others' bodies.
        let drops = DropCounter::new();
        let outer = TVar::new(TVar::new(drops.track(0)));
        on_threads(3, |me| {
            for n in 0..iters(5_000, 1_000, 30) {
                atomically(|tx| {
                    let inner = outer.get(tx)?;
                    let seen = **inner.get(tx)?;
                    match (n + me) % 3 {
                        0 => outer.set(tx, TVar::new(drops.track(seen + 1))),
                        1 => inner.set(tx, drops.track(seen + 1)),
                        _ => {
                            let own = TVar::new(drops.track(seen));
                            own.set(tx, drops.track(seen + 1))?;
                            outer.set(tx, own.clone())
                        }
                    }
                });
            }
        });
        drop(outer);
        while drops.live() > 0 {
            flush();
            thread::yield_now();
        }
    });
}

//! Transactions as futures: they commit in the poll that is ready and in no other, leave nothing
//! behind when they are dropped, and work on every executor.

mod support;

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use support::{AMPLE, Bell, SHORT, TO_RUN_ALONE, conflict, elsewhere, panics, poll, watched};
use weftwork_core::block_on;
use weftwork_csp::{bounded, select};
use weftwork_stm::{
    Stm, TVar, Tx, TxFailed, abort, atomically, atomically_async, named, try_atomically_async,
};
use weftwork_testkit::{DropCounter, iters};

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}

/// Takes one, or waits for it.
fn take(tx: &Tx, count: &TVar<u32>) -> Stm<u32> {
    let n = *count.get(tx)?;
    tx.check(n > 0)?;
    count.set(tx, n - 1)?;
    Ok(n)
}

/// Polls until it is ready; the gate may be closed for a while, by a test beside this one.
fn finish<F: Future + Unpin>(future: &mut F) -> F::Output {
    block_on(future)
}

#[test]
fn a_future_that_is_not_polled_has_done_nothing() {
    watched(|| {
        let (var, runs) = (TVar::new(0), Cell::new(0));
        drop(atomically_async(|tx| {
            runs.set(runs.get() + 1);
            var.set(tx, 1)
        }));
        assert_eq!((var.load(), runs.get()), (0, 0));
    });
}

#[test]
fn a_poll_that_is_pending_has_changed_nothing() {
    watched(|| {
        let (count, tries) = (TVar::new(0), TVar::new(0));
        let (_, waker) = Bell::new();
        let mut taking = atomically_async(|tx| {
            tries.update(tx, |n| n + 1)?;
            take(tx, &count)
        });
        for _ in 0..3 {
            assert!(poll(&mut taking, &waker).is_pending());
            assert_eq!((count.load(), tries.load()), (0, 0));
            tries.store(0);
        }
        count.store(5);
        assert_eq!(
            (count.load(), tries.load()),
            (5, 0),
            "a change alone commits nothing"
        );
        assert_eq!(finish(&mut taking), 5);
        assert_eq!((count.load(), tries.load()), (4, 1));
    });
}

#[test]
fn a_future_dropped_after_its_wake_has_taken_nothing() {
    watched(|| {
        let count = TVar::new(0);
        let (bell, waker) = Bell::new();
        let mut taking = atomically_async(|tx| take(tx, &count));
        assert!(poll(&mut taking, &waker).is_pending());
        count.store(1);
        assert_eq!(bell.rings(), 1);
        drop(taking);
        assert_eq!((count.load(), bell.left_behind()), (1, 0));
    });
}

#[test]
fn the_waker_of_the_last_poll_is_called() {
    watched(|| {
        let count = TVar::new(0);
        let ((first, first_waker), (last, last_waker)) = (Bell::new(), Bell::new());
        let mut taking = atomically_async(|tx| take(tx, &count));
        assert!(poll(&mut taking, &first_waker).is_pending());
        assert!(poll(&mut taking, &last_waker).is_pending());
        assert_eq!(first.left_behind(), 0);
        count.store(1);
        assert_eq!((first.rings(), last.rings()), (0, 1));
        assert_eq!(finish(&mut taking), 1);
    });
}

#[test]
fn a_poll_for_nothing_does_not_run_the_body() {
    watched(|| {
        let (count, runs) = (TVar::new(0), Cell::new(0));
        let mut taking = atomically_async(|tx| {
            runs.set(runs.get() + 1);
            take(tx, &count)
        });
        for _ in 0..5 {
            assert!(poll(&mut taking, Waker::noop()).is_pending());
        }
        assert_eq!(runs.get(), 1);
    });
}

#[test]
fn an_abort_is_the_output() {
    watched(|| {
        let var = TVar::new(0);
        let ended = block_on(try_atomically_async::<(), _, _>(|tx| {
            var.set(tx, 1)?;
            abort("no")
        }));
        assert_eq!((ended, var.load()), (Err("no"), 0));
        let ended = block_on(try_atomically_async::<_, &str, _>(|tx| Ok(var.set(tx, 1)?)));
        assert_eq!((ended, var.load()), (Ok(()), 1));
    });
}

#[test]
fn a_panic_of_the_body_comes_out_of_the_poll_and_leaves_nothing_behind() {
    watched(|| {
        let var = TVar::new(0);
        let (bell, waker) = Bell::new();
        let mut failing = atomically_async(|tx| -> Stm<()> {
            let n = *var.get(tx)?;
            tx.check(n > 0)?;
            panic!("at {n}")
        });
        assert!(poll(&mut failing, &waker).is_pending());
        var.store(7);
        assert_eq!(panics(|| poll(&mut failing, &waker)), "at 7");
        assert_eq!(bell.left_behind(), 0);
        // The thread, and the others, go on before the future is dropped.
        atomically(|tx| var.set(tx, 1));
        elsewhere(|| atomically(|tx| var.update(tx, |n| n + 1)));
        assert_eq!(var.load(), 2);
        drop(failing);
    });
}

#[test]
fn a_future_whose_body_panicked_alone_keeps_nobody_waiting() {
    watched(|| {
        let (var, conflicts) = (TVar::new(0), Cell::new(0));
        let mut failing = atomically_async(|tx| -> Stm<()> {
            if conflicts.get() < TO_RUN_ALONE {
                conflicts.set(conflicts.get() + 1);
                return conflict(tx);
            }
            panic!("alone")
        });
        assert_eq!(panics(|| finish(&mut failing)), "alone");
        elsewhere(|| atomically(|tx| var.set(tx, 1)));
        assert_eq!(var.load(), 1);
        drop(failing);
    });
}

#[test]
fn a_future_in_the_line_for_the_turn_holds_up_nobody_while_it_is_not_polled() {
    watched(|| {
        for is_dropped in [true, false] {
            let var = TVar::new(0);
            let alone = || {
                atomically_async(|tx| {
                    tx.irrevocable()?;
                    var.update(tx, |n| n + 1)
                })
            };
            let mut queued = alone();
            atomically(|tx| {
                tx.irrevocable()?;
                // The turn is ours, so the future queues up for it.
                assert!(elsewhere(|| poll(&mut queued, Waker::noop()).is_pending()));
                Ok(())
            });
            if is_dropped {
                queued = alone();
            }
            for n in 0..20 {
                atomically(|tx| {
                    tx.irrevocable()?;
                    var.update(tx, |n| n + 1)
                });
                var.store(var.load() + 1);
                assert_eq!(var.load(), 2 * (n + 1));
            }
            finish(&mut queued);
            assert_eq!(var.load(), 41);
        }
    });
}

#[test]
fn a_future_may_move_to_another_thread_between_polls() {
    watched(|| {
        let count = TVar::new(0);
        let (bell, waker) = Bell::new();
        let mut taking = atomically_async(|tx| take(tx, &count));
        assert!(elsewhere(|| poll(&mut taking, &waker).is_pending()));
        elsewhere(|| count.store(3));
        assert_eq!(bell.rings(), 1);
        assert_eq!(elsewhere(|| poll_until_ready(&mut taking)), 3);
    });
}

fn poll_until_ready<F: Future + Unpin>(future: &mut F) -> F::Output {
    loop {
        if let Poll::Ready(output) = poll(future, Waker::noop()) {
            return output;
        }
        thread::yield_now();
    }
}

#[test]
fn tasks_that_collide_and_wait_for_each_other_all_finish() {
    watched(|| {
        let tokio = tokio();
        let (baton, count) = (Arc::new(TVar::new(0)), Arc::new(TVar::new(0)));
        let rounds = iters(200, 50, 3);
        let tasks: Vec<_> = (0..20)
            .map(|me| {
                let (baton, count) = (Arc::clone(&baton), Arc::clone(&count));
                tokio.spawn(async move {
                    for round in 0..rounds {
                        atomically_async(|tx| count.update(tx, |n| n + 1)).await;
                        atomically_async(|tx| {
                            tx.check(*baton.get(tx)? == round * 20 + me)?;
                            baton.update(tx, |n| n + 1)
                        })
                        .await;
                    }
                })
            })
            .collect();
        tokio.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!((baton.load(), count.load()), (rounds * 20, rounds * 20));
    });
}

#[test]
fn a_hundred_tasks_that_wait_can_be_cancelled_and_have_taken_nothing() {
    watched(|| {
        let tokio = tokio();
        let count = Arc::new(TVar::new(0));
        for _ in 0..iters(20, 5, 1) {
            let drops = DropCounter::new();
            let waiting = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let (count, waiting) = (Arc::clone(&count), Arc::clone(&waiting));
                    let held = drops.track(());
                    tokio.spawn(async move {
                        atomically_async(|tx| {
                            let _ = &held;
                            if tx.attempt() == 0 {
                                waiting.fetch_add(1, Ordering::Relaxed);
                            }
                            take(tx, &count)
                        })
                        .await
                    })
                })
                .collect();
            while waiting.load(Ordering::Relaxed) < 100 {
                thread::yield_now();
            }
            // While they are woken for one item, all are cancelled; one may have taken it.
            thread::scope(|scope| {
                scope.spawn(|| count.store(1));
                tasks.iter().for_each(tokio::task::JoinHandle::abort);
            });
            let ended = tasks.into_iter().map(|task| tokio.block_on(task));
            let taken = ended.filter(Result::is_ok).count();
            assert_eq!(taken, usize::from(count.load() == 0));
            drops.assert_none_live();
            count.store(0);
        }
    });
}

#[test]
fn a_timeout_of_the_executor_cancels_it() {
    watched(|| {
        let tokio = tokio();
        let count = TVar::new(0);
        tokio.block_on(async {
            let waiting = atomically_async(|tx| take(tx, &count));
            assert!(tokio::time::timeout(SHORT, waiting).await.is_err());
            count.store(2);
            let taken = tokio::time::timeout(AMPLE, atomically_async(|tx| take(tx, &count)));
            assert_eq!(taken.await.unwrap(), 2);
        });
        assert_eq!(count.load(), 1);
    });
}

#[test]
fn a_task_that_panics_leaves_its_worker_as_good_as_before() {
    watched(|| {
        // One thread: the next task runs where the first one panicked.
        let tokio = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let var = Arc::new(TVar::new(0));
        for n in 1..20 {
            let inner = Arc::clone(&var);
            let failing = tokio.spawn(async move {
                atomically_async(|tx| -> Stm<()> {
                    inner.set(tx, 1_000)?;
                    panic!("in a task")
                })
                .await;
            });
            assert!(tokio.block_on(failing).unwrap_err().is_panic());
            tokio.block_on(atomically_async(|tx| var.update(tx, |n| n + 1)));
            assert_eq!(var.load(), n);
        }
    });
}

#[test]
fn as_an_arm_of_a_select_it_commits_only_if_it_wins() {
    watched(|| {
        let count = TVar::new(0);
        let (s, r) = bounded(1);
        let (mut received, mut taken) = (0, 0);
        let rounds = iters(2_000, 500, 20);
        for _ in 0..rounds {
            thread::scope(|scope| {
                scope.spawn(|| s.try_send(()).map_or((), drop));
                scope.spawn(|| atomically(|tx| count.update(tx, |n| n + 1)));
                let mut wants = pin!(atomically_async(|tx| take(tx, &count)));
                select! {
                    recv(r) -> message => { message.unwrap(); received += 1 }
                    event(wants.as_mut()) -> n => { assert!(n > 0); taken += 1 }
                }
            });
        }
        assert_eq!(taken + count.load() as usize, rounds);
        assert_eq!(received + taken, rounds);
    });
}

#[test]
fn as_an_arm_of_the_executors_select_it_commits_only_if_it_wins() {
    watched(|| {
        let tokio = tokio();
        let (left, right) = (Arc::new(TVar::new(0)), Arc::new(TVar::new(0)));
        let rounds = iters(2_000, 500, 20) as u32;
        let takes = tokio.block_on(async {
            let giver = tokio.spawn({
                let (left, right) = (Arc::clone(&left), Arc::clone(&right));
                async move {
                    for _ in 0..rounds {
                        atomically_async(|tx| left.update(tx, |n| n + 1)).await;
                        atomically_async(|tx| right.update(tx, |n| n + 1)).await;
                    }
                }
            });
            let mut takes = [0, 0];
            for _ in 0..rounds {
                tokio::select! {
                    n = atomically_async(|tx| take(tx, &left)) => { assert!(n > 0); takes[0] += 1 }
                    n = atomically_async(|tx| take(tx, &right)) => { assert!(n > 0); takes[1] += 1 }
                }
            }
            giver.await.unwrap();
            takes
        });
        assert_eq!(
            [left.load() + takes[0], right.load() + takes[1]],
            [rounds, rounds]
        );
    });
}

#[test]
fn a_future_polled_after_its_end_panics() {
    watched(|| {
        let var = TVar::new(0);
        let mut once = atomically_async(|tx| var.update(tx, |n| n + 1));
        finish(&mut once);
        assert!(panics(|| poll(&mut once, Waker::noop())).contains("after its end"));
        assert_eq!(var.load(), 1);
        let mut limited = named("once").max_attempts(1).run_async(conflict::<()>);
        assert_eq!(finish(&mut limited), Err(TxFailed::TooManyAttempts));
        panics(|| poll(&mut limited, Waker::noop()));
    });
}

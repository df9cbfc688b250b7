//! What the engine claims of itself: one state per body, no value lost or dropped early, nothing left behind by a
//! panic, nobody starves.

#![allow(
    clippy::disallowed_types,
    reason = "tests wait with std's means, outside of what they test"
)]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use weftwork_stm::{
    TVar, TxFailed, abort, atomically, flush, named, snapshot, stats, try_atomically,
};
use weftwork_testkit::{DropCounter, Watchdog, iters, watchdog};

fn dog() -> Watchdog {
    watchdog(Duration::from_secs(60))
}

#[test]
fn a_body_sees_one_state_also_when_it_is_doomed() {
    let _dog = dog();
    let pair = [TVar::new(0_u64), TVar::new(0)];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=iters(100_000, 20_000, 500) as u64 {
                atomically(|tx| {
                    pair[0].set(tx, n)?;
                    pair[1].set(tx, n)
                });
            }
            is_over.store(true, Ordering::Release);
        });
        while !is_over.load(Ordering::Acquire) {
            atomically(|tx| {
                let a = *pair[0].get(tx)?;
                let b = *pair[1].get(tx)?;
                assert_eq!(a, b, "two states were mixed");
                Ok(())
            });
            snapshot(|s| assert_eq!(pair[0].view(s), pair[1].view(s)));
        }
    });
}

#[test]
fn a_variable_may_be_made_and_dropped_inside_a_transaction() {
    let _dog = dog();
    let drops = DropCounter::new();
    for _ in 0..100 {
        let n = atomically(|tx| {
            let var = TVar::new(drops.track(1));
            let seen = **var.get(tx)?;
            var.set(tx, drops.track(2))?;
            let value = var.get(tx)?;
            drop(var);
            Ok(seen + **value)
        });
        assert_eq!(n, 3);
    }
    settle(&drops);
}

/// Waits until other threads' pins let the last values go.
fn settle(drops: &DropCounter) {
    while drops.live() > 0 {
        flush();
        thread::yield_now();
    }
}

#[test]
fn each_value_is_dropped_once_and_none_is_left() {
    let _dog = dog();
    let drops = DropCounter::new();
    {
        let var = TVar::new(drops.track(0_usize));
        let n = iters(10_000, 2_000, 100);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..n {
                        atomically(|tx| var.update(tx, |value| drops.track(**value + 1)));
                    }
                });
            }
        });
        assert_eq!(var.with(|value| **value), 2 * n);
    }
    settle(&drops);
}

/// A value whose drop runs a transaction.
struct Counts(TVar<usize>);

impl Drop for Counts {
    fn drop(&mut self) {
        atomically(|tx| self.0.update(tx, |n| n + 1));
    }
}

#[test]
fn the_drop_of_a_value_may_run_a_transaction() {
    let _dog = dog();
    let dropped = TVar::new(0);
    // A body may run more often than once.
    let made = Cell::new(0);
    let make = || {
        made.set(made.get() + 1);
        Some(Counts(dropped.clone()))
    };
    {
        let var = TVar::new(make());
        // Replaced by a commit.
        atomically(|tx| var.set(tx, make()));
        // Thrown away with an attempt.
        let aborted: Result<(), ()> = try_atomically(|tx| {
            var.set(tx, make())?;
            abort(())
        });
        assert_eq!(aborted, Err(()));
    }
    while dropped.load() < made.get() {
        flush();
        thread::yield_now();
    }
    assert_eq!(dropped.load(), made.get());
}

#[test]
fn after_a_panic_nothing_has_changed_and_the_thread_transacts_on() {
    let _dog = dog();
    let var = TVar::new(1);
    let payload = catch_unwind(AssertUnwindSafe(|| {
        atomically(|tx| -> weftwork_stm::Stm<()> {
            var.set(tx, 2)?;
            panic!("body");
        });
    }))
    .unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"body"));
    assert_eq!(var.load(), 1);
    assert_eq!(atomically(|tx| var.modify(tx, |n| (n + 1, *n))), 1);
}

#[test]
fn a_panic_in_a_commuting_closure_leaves_nothing_locked() {
    let _dog = dog();
    let vars = [TVar::new(1), TVar::new(1)];
    let payload = catch_unwind(AssertUnwindSafe(|| {
        atomically(|tx| {
            vars[0].set(tx, 5)?;
            vars[1].commute(tx, |_| panic!("closure"))
        });
    }))
    .unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"closure"));
    assert_eq!((vars[0].load(), vars[1].load()), (1, 1));
    atomically(|tx| vars[1].update(tx, |n| n + 1));
    assert_eq!(vars[1].load(), 2);
}

#[test]
fn commuting_changes_do_not_conflict_and_none_is_lost() {
    let _dog = dog();
    let hits = TVar::new(0);
    let n = iters(50_000, 10_000, 200);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..n {
                    atomically(|tx| hits.commute(tx, |n| n + 1));
                }
            });
        }
    });
    assert_eq!(hits.load(), 2 * n);
}

#[test]
fn a_read_after_a_commuting_change_sees_it_also_in_a_branch() {
    let _dog = dog();
    let n = TVar::new(1);
    let seen = atomically(|tx| {
        n.commute(tx, |n| n + 1)?;
        n.commute(tx, |n| n * 10)?;
        let inside = tx.or_else(
            |tx| {
                n.set(tx, 99)?;
                tx.retry()
            },
            |tx| n.get(tx).copied(),
        )?;
        n.commute(tx, |n| n + 1)?;
        Ok((inside, *n.get(tx)?))
    });
    assert_eq!(seen, (20, 21));
    assert_eq!(n.load(), 21);
}

#[test]
fn a_long_reader_finishes_against_a_hot_writer() {
    let _dog = dog();
    let vars: Vec<TVar<u64>> = (0..5_000).map(|_| TVar::new(0)).collect();
    let is_over = AtomicBool::new(false);
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) {
                n += 1;
                atomically(|tx| {
                    vars[0].set(tx, n)?;
                    vars[4_999].set(tx, n)
                });
            }
        });
        start.wait();
        for _ in 0..iters(50, 10, 2) {
            let read = named("long reader").run(|tx| {
                let mut sum = 0;
                for var in &vars {
                    sum += var.get(tx)?;
                }
                // Makes it a commit that must be validated.
                vars[2_500].update(tx, |n| *n)?;
                Ok(sum)
            });
            assert!(read.is_ok_and(|sum| sum % 2 == 0));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let counts = stats()
        .named
        .into_iter()
        .find(|(name, _)| *name == "long reader");
    let most = counts.expect("it has run").1.most_attempts;
    assert!(most <= 10, "one transaction took {most} attempts");
}

#[test]
fn an_irrevocable_body_goes_past_that_point_once() {
    let _dog = dog();
    let n = TVar::new(0_usize);
    let passed = AtomicUsize::new(0);
    let each = iters(2_000, 300, 20);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..each {
                    atomically(|tx| {
                        tx.irrevocable()?;
                        passed.fetch_add(1, Ordering::Relaxed);
                        n.update(tx, |n| n + 1)
                    });
                    atomically(|tx| n.update(tx, |n| n + 1));
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 2 * each);
    assert_eq!(n.load(), 4 * each);
}

#[test]
fn nested_transactions_are_refused_with_both_places() {
    let _dog = dog();
    let payload = catch_unwind(|| atomically(|_| Ok(atomically(|_| Ok(1))))).unwrap_err();
    let message = payload.downcast::<String>().expect("a message");
    assert_eq!(message.matches("engine.rs").count(), 2, "{message}");
    atomically(|_| Ok(()));
}

#[test]
fn a_retry_that_has_read_nothing_is_refused_with_its_place() {
    let _dog = dog();
    let payload = catch_unwind(|| atomically(|tx| tx.retry::<()>())).unwrap_err();
    let message = payload.downcast::<String>().expect("a message");
    assert!(message.contains("without having read"), "{message}");
    assert_eq!(message.matches("engine.rs").count(), 2, "{message}");
}

#[test]
fn a_stop_that_is_swallowed_does_not_commit() {
    let _dog = dog();
    let gate = TVar::new(false);
    let effect = TVar::new(0);
    let ran = named("swallows")
        .timeout(Duration::from_millis(20))
        .run(|tx| {
            let _ = tx.check(*gate.get(tx)?);
            effect.set(tx, 1)
        });
    assert_eq!(ran, Err(TxFailed::TimedOut));
    assert_eq!(effect.load(), 0);
}

#[test]
fn a_write_set_of_any_size_commits_whole() {
    let _dog = dog();
    for size in [1, 7, 8, 9, 10, 63, 64, 65, 1_000] {
        let vars: Vec<TVar<usize>> = (0..size).map(TVar::new).collect();
        atomically(|tx| {
            for round in 1..3 {
                for var in &vars {
                    var.update(tx, |n| n + round)?;
                }
            }
            tx.optionally(|tx| {
                for var in vars.iter().rev() {
                    var.set(tx, 0)?;
                }
                TVar::new(0).set(tx, 1)?;
                tx.check(false)
            })?;
            vars.iter().try_for_each(|var| var.update(tx, |n| n * 2))
        });
        for (n, var) in vars.iter().enumerate() {
            assert_eq!(var.load(), (n + 3) * 2, "variable {n} of {size}");
        }
    }
}

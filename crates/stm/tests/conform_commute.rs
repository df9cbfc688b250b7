//! Commuting changes: they are made of the newest value at the commit, conflict with nothing, and
//! turn into updates where the transaction looks.

mod support;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{elsewhere, on_threads, panics, watched};
use weftwork_stm::{Stm, TVar, Tx, abort, atomically, snapshot, try_atomically};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn a_change_is_made_of_the_value_at_the_commit_and_runs_into_nobody() {
    watched(|| {
        let (count, runs) = (TVar::new(1), Cell::new(0));
        atomically(|tx| {
            runs.set(runs.get() + 1);
            count.commute(tx, |n| n * 10)?;
            elsewhere(|| count.store(7));
            count.commute(tx, |n| n + 5)
        });
        assert_eq!(
            (count.load(), runs.get()),
            (75, 1),
            "in the order of their making"
        );
    });
}

#[test]
fn a_change_is_seen_by_nobody_before_the_commit() {
    watched(|| {
        let count = TVar::new(1);
        atomically(|tx| {
            count.commute(tx, |n| n + 1)?;
            assert_eq!(
                elsewhere(|| (count.load(), snapshot(|s| *count.view(s)))),
                (1, 1)
            );
            Ok(())
        });
        assert_eq!(count.load(), 2);
    });
}

#[test]
fn whoever_looks_makes_it_an_update() {
    watched(|| {
        let (count, runs) = (TVar::new(1), Cell::new(0));
        let seen = atomically(|tx| {
            runs.set(runs.get() + 1);
            count.commute(tx, |n| n + 1)?;
            let seen = *count.get(tx)?;
            if runs.get() == 1 {
                elsewhere(|| count.store(50));
            }
            count.commute(tx, |n| n * 2)?;
            Ok((seen, *count.get(tx)?))
        });
        assert_eq!((seen, count.load(), runs.get()), ((51, 102), 102, 2));
    });
}

#[test]
fn a_read_before_it_is_validated_as_ever() {
    watched(|| {
        let (count, runs) = (TVar::new(1), Cell::new(0));
        let seen = atomically(|tx| {
            runs.set(runs.get() + 1);
            let seen = *count.get(tx)?;
            count.commute(tx, |n| n + 1)?;
            if runs.get() == 1 {
                elsewhere(|| count.store(50));
            }
            Ok(seen)
        });
        assert_eq!((seen, count.load(), runs.get()), (50, 51, 2));
    });
}

#[test]
fn a_write_before_it_is_what_it_changes_and_a_write_after_it_replaces_it() {
    watched(|| {
        let (before, after) = (TVar::new(1), TVar::new(1));
        atomically(|tx| {
            before.set(tx, 10)?;
            before.commute(tx, |n| n + 1)?;
            after.commute(tx, |_| unreachable!("nobody needs its result"))?;
            after.set(tx, 20)?;
            after.commute(tx, |n| n + 1)
        });
        assert_eq!((before.load(), after.load()), (11, 21));
    });
}

#[test]
fn a_change_goes_with_its_branch_and_a_look_in_a_branch_does_not_fix_it() {
    watched(|| {
        let count = TVar::new(1);
        let left = |tx: &Tx| -> Stm<()> {
            count.commute(tx, |n| n * 100)?;
            tx.retry()
        };
        atomically(|tx| {
            count.commute(tx, |n| n + 1)?;
            tx.optionally(left)?;
            count.commute(tx, |n| n * 3)?;
            let _: Result<(), ()> = tx.catch(|tx| {
                count.commute(tx, |n| n * 100)?;
                abort(())
            })?;
            Ok(())
        });
        assert_eq!(count.load(), 6);
        // The branch looks at what was changed outside of it, changes it, and is left.
        let seen = Cell::new(0);
        atomically(|tx| {
            count.commute(tx, |n| n + 1)?;
            tx.optionally(|tx| -> Stm<()> {
                seen.set(*count.get(tx)?);
                count.set(tx, 1_000)?;
                tx.retry()
            })?;
            count.commute(tx, |n| n + 1)
        });
        assert_eq!((seen.get(), count.load()), (7, 8));
    });
}

#[test]
fn a_change_of_an_attempt_that_does_not_commit_is_never_made() {
    watched(|| {
        let drops = DropCounter::new();
        let count = TVar::new(1);
        let _: Result<(), ()> = try_atomically(|tx| {
            let held = drops.track(());
            count.commute(tx, move |_| {
                let _held = &held;
                unreachable!("it was aborted")
            })?;
            abort(())
        });
        drops.assert_none_live();
        assert_eq!(count.load(), 1);
    });
}

#[test]
fn a_change_that_panics_at_the_commit_changes_nothing_and_locks_nobody_out() {
    watched(|| {
        let vars: [TVar<u32>; 3] = std::array::from_fn(|_| TVar::new(1));
        for _ in 0..10 {
            let message = panics(|| {
                atomically(|tx| {
                    vars[0].set(tx, 5)?;
                    vars[1].commute(tx, |n| n + 1)?;
                    vars[2].commute(tx, |n| panic!("at {n}"))
                });
            });
            assert_eq!(message, "at 1");
            assert_eq!(vars.each_ref().map(TVar::load), [1, 1, 1]);
        }
        elsewhere(|| atomically(|tx| vars.iter().try_for_each(|v| v.update(tx, |n| n + 1))));
        assert_eq!(vars.map(|v| v.load()), [2, 2, 2]);
    });
}

#[test]
fn a_change_wakes_whoever_waits() {
    watched(|| {
        let count = TVar::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| atomically(|tx| tx.check(*count.get(tx)? == 100)));
            on_threads(2, |_| {
                (0..50).for_each(|_| atomically(|tx| count.commute(tx, |n| n + 1)))
            });
        });
        assert_eq!(count.load(), 100);
    });
}

#[test]
fn no_change_of_many_threads_is_lost_and_each_is_made_once() {
    watched(|| {
        let (count, total) = (TVar::new(0_usize), TVar::new(0_usize));
        let made = Arc::new(AtomicUsize::new(0));
        let rounds = iters(10_000, 2_000, 50);
        on_threads(3, |me| {
            for n in 0..rounds {
                atomically(|tx| {
                    let made = Arc::clone(&made);
                    count.commute(tx, move |n| {
                        made.fetch_add(1, Ordering::Relaxed);
                        n + 1
                    })?;
                    // Others read one of the two variables, so that some attempts fail.
                    if (me + n) % 4 == 0 {
                        let seen = *total.get(tx)?;
                        total.set(tx, seen + 1)
                    } else {
                        total.commute(tx, |n| n + 1)
                    }
                });
            }
        });
        assert_eq!((count.load(), total.load()), (rounds * 3, rounds * 3));
        assert_eq!(made.load(Ordering::Relaxed), rounds * 3);
    });
}

#[test]
fn transactions_that_only_commute_never_run_twice() {
    watched(|| {
        let count = TVar::new(0);
        let rounds = iters(300, 100, 10);
        for n in 0..rounds {
            let runs = Cell::new(0);
            atomically(|tx| {
                runs.set(runs.get() + 1);
                count.commute(tx, |n| n + 1)?;
                elsewhere(|| atomically(|tx| count.commute(tx, |n| n + 1)));
                Ok(())
            });
            assert_eq!((runs.get(), count.load()), (1, 2 * (n + 1)));
        }
    });
}

#[test]
fn a_change_that_uses_a_variable_of_its_own_commit_panics() {
    watched(|| {
        let (a, b) = (TVar::new(1), TVar::new(2));
        let other = b.clone();
        let message = panics(|| {
            atomically(|tx| {
                let other = other.clone();
                b.set(tx, 3)?;
                a.commute(tx, move |n| n + other.load())
            });
        });
        assert!(message.contains("commute"), "{message}");
        assert_eq!((a.load(), b.load()), (1, 2));
    });
}

//! Running alone: a transaction that others keep from committing gets its turn, and one that says it
//! is irrevocable does what it does once.

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::{beside, elsewhere, on_threads, panics, watched};
use weftwork_stm::{Stm, TVar, abort, atomically, named, snapshot, stats, try_atomically};
use weftwork_testkit::iters;

#[test]
fn what_is_irrevocable_happens_once_whatever_others_do() {
    watched(|| {
        let (a, b) = (TVar::new(0_u64), TVar::new(0_u64));
        let interfere = |_| {
            atomically(|tx| {
                let n = *b.get(tx)?;
                a.update(tx, |n| n + 1)?;
                b.set(tx, n + 1)
            });
            b.store(a.load());
        };
        beside(2, interfere, || {
            let effects = Cell::new(0);
            for n in 1..=iters(2_000, 500, 20) {
                atomically(|tx| {
                    let before = *a.get(tx)?;
                    tx.irrevocable()?;
                    effects.set(effects.get() + 1);
                    thread::yield_now();
                    a.set(tx, before.max(*b.get(tx)?))
                });
                assert_eq!(effects.get(), n);
            }
        });
    });
}

#[test]
fn an_irrevocable_body_does_not_start_again_for_changes_that_commute() {
    watched(|| {
        // A change that waits for the commit, read in a branch that could be rolled back.
        let (count, effects) = (TVar::new(5), Cell::new(0));
        let seen = atomically(|tx| {
            count.commute(tx, |n| n + 1)?;
            tx.irrevocable()?;
            effects.set(effects.get() + 1);
            tx.or_else(
                |tx| count.get(tx).copied(),
                |_| unreachable!("nothing retries"),
            )
        });
        assert_eq!((seen, count.load(), effects.get()), (6, 6, 1));
    });
}

#[test]
fn nobody_commits_while_another_is_irrevocable() {
    watched(|| {
        let (var, finished) = (TVar::new(0), &AtomicUsize::new(0));
        thread::scope(|scope| {
            atomically(|tx| {
                tx.irrevocable()?;
                let seen = *var.get(tx)?;
                for kind in 0..2 {
                    let var = &var;
                    scope.spawn(move || {
                        match kind {
                            0 => var.store(5),
                            _ => atomically(|tx| var.set(tx, 5)),
                        }
                        finished.fetch_add(1, Ordering::SeqCst);
                    });
                }
                support::let_others_run();
                assert_eq!((*var.get(tx)?, finished.load(Ordering::SeqCst)), (seen, 0));
                // Whoever only looks goes on.
                elsewhere(|| {
                    assert_eq!(var.load(), 0);
                    assert_eq!(snapshot(|s| *var.view(s)), 0);
                    assert_eq!(atomically(|tx| var.get(tx).copied()), 0);
                });
                var.set(tx, 1)
            });
        });
        assert_eq!((var.load(), finished.load(Ordering::SeqCst)), (5, 2));
    });
}

#[test]
fn irrevocable_in_a_branch_makes_the_whole_transaction_so() {
    watched(|| {
        let (var, runs) = (TVar::new(0), Cell::new(0));
        atomically(|tx| {
            runs.set(runs.get() + 1);
            var.update(tx, |n| n + 1)?;
            tx.or_else(
                |tx| {
                    tx.irrevocable()?;
                    tx.irrevocable()?;
                    var.update(tx, |n| n + 1)
                },
                |_| unreachable!("to start again is no retry"),
            )
        });
        assert_eq!((var.load(), runs.get()), (2, 2));
    });
}

#[test]
fn a_retry_or_an_abort_after_irrevocable_panics_and_ends_the_turn() {
    watched(|| {
        let var = TVar::new(0);
        let retries = panics(|| {
            atomically(|tx| {
                tx.irrevocable()?;
                var.set(tx, 1)?;
                tx.check(*var.get(tx)? == 2)
            });
        });
        let aborts = panics(|| {
            let _: Result<(), ()> = try_atomically(|tx| {
                tx.irrevocable()?;
                var.set(tx, 1)?;
                abort(())
            });
        });
        for message in [retries, aborts] {
            assert!(message.contains("irrevocable"), "{message}");
            assert!(message.contains(file!()), "{message}");
        }
        elsewhere(|| atomically(|tx| var.update(tx, |n| n + 5)));
        assert_eq!(var.load(), 5);
    });
}

#[test]
fn an_abort_that_is_caught_breaks_no_promise() {
    watched(|| {
        let var = TVar::new(0);
        let caught: Result<(), &str> = atomically(|tx| {
            tx.irrevocable()?;
            var.set(tx, 1)?;
            tx.catch(|tx| {
                var.set(tx, 2)?;
                abort("taken back")
            })
        });
        assert_eq!((caught, var.load()), (Err("taken back"), 1));
    });
}

#[test]
fn many_that_want_to_run_alone_all_do() {
    watched(|| {
        let var = TVar::new(0_usize);
        let rounds = iters(1_000, 200, 5);
        let inside = AtomicUsize::new(0);
        on_threads(4, |me| {
            for _ in 0..rounds {
                atomically(|tx| {
                    if me < 3 {
                        tx.irrevocable()?;
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two run alone");
                        var.update(tx, |n| n + 1)?;
                        inside.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    } else {
                        var.update(tx, |n| n + 1)
                    }
                });
            }
        });
        assert_eq!(var.load(), rounds * 4);
    });
}

#[test]
fn a_turn_alone_is_counted_by_name() {
    watched(|| {
        named("by request")
            .run(|tx| -> Stm<()> { tx.irrevocable() })
            .unwrap();
        let counts = stats()
            .named
            .into_iter()
            .find(|(name, _)| *name == "by request");
        let (_, counts) = counts.expect("it has run");
        assert_eq!((counts.serial_turns, counts.most_attempts), (1, 2));
        assert!(stats().total.serial_turns >= 1);
    });
}

#[test]
fn a_value_dropped_by_who_ran_alone_may_run_transactions() {
    /// Counts its drop in a transaction.
    struct Counting(TVar<usize>);
    impl Drop for Counting {
        fn drop(&mut self) {
            atomically(|tx| self.0.update(tx, |n| n + 1));
        }
    }
    watched(|| {
        let dropped = TVar::new(0);
        let var = TVar::new(Counting(dropped.clone()));
        for _ in 0..20 {
            atomically(|tx| {
                tx.irrevocable()?;
                // The first is dropped with the attempt, the one that was there when nobody looks any more.
                var.set(tx, Counting(dropped.clone()))?;
                var.set(tx, Counting(dropped.clone()))
            });
        }
        drop(var);
        while dropped.load() < 41 {
            weftwork_stm::flush();
            thread::yield_now();
        }
        assert_eq!(dropped.load(), 41);
    });
}

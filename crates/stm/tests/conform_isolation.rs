//! Isolation: each transaction is as if it ran alone, and sees one state from beginning to end, even
//! if it will not commit.

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::{Dice, beside, elsewhere, on_threads, watched};
use weftwork_stm::{Stm, TVar, Tx, atomically};
use weftwork_testkit::iters;

#[test]
fn a_transaction_reads_what_it_wrote() {
    watched(|| {
        let var = TVar::new(1);
        let seen = atomically(|tx| {
            let before = *var.get(tx)?;
            var.set(tx, 2)?;
            let old = var.replace(tx, 3)?;
            var.update(tx, |n| n * 10)?;
            let part = var.modify(tx, |n| (n + 1, n / 2))?;
            Ok((before, old, part, *var.get(tx)?))
        });
        assert_eq!(seen, (1, 2, 15, 31));
        assert_eq!(var.load(), 31);
    });
}

#[test]
fn nobody_sees_a_write_before_the_commit() {
    watched(|| {
        let var = TVar::new(0);
        atomically(|tx| {
            var.set(tx, 1)?;
            assert_eq!(
                elsewhere(|| (var.load(), atomically(|tx| var.get(tx).copied()))),
                (0, 0)
            );
            Ok(())
        });
        assert_eq!(elsewhere(|| var.load()), 1);
    });
}

/// How often a body runs that reads, is interfered with once, and goes on.
fn runs(mut body: impl FnMut(&Tx, bool) -> Stm<()>) -> u32 {
    let runs = Cell::new(0);
    atomically(|tx| {
        runs.set(runs.get() + 1);
        body(tx, runs.get() == 1)
    });
    runs.get()
}

#[test]
fn a_read_that_is_overtaken_before_a_write_starts_again() {
    watched(|| {
        let (read, written) = (TVar::new(0), TVar::new(0));
        let n = runs(|tx, is_first| {
            let seen = *read.get(tx)?;
            if is_first {
                elsewhere(|| read.store(7));
            }
            written.set(tx, seen)
        });
        assert_eq!((n, written.load()), (2, 7));
    });
}

#[test]
fn a_change_before_the_first_read_is_no_conflict() {
    watched(|| {
        let (read, written) = (TVar::new(0), TVar::new(0));
        let n = runs(|tx, is_first| {
            if is_first {
                elsewhere(|| read.store(7));
            }
            written.set(tx, *read.get(tx)?)
        });
        assert_eq!(
            (n, written.load()),
            (1, 7),
            "the state that is read moves forward"
        );
    });
}

#[test]
fn a_change_of_something_else_is_no_conflict() {
    watched(|| {
        let (read, other) = (TVar::new(0), TVar::new(0));
        let n = runs(|tx, is_first| {
            let seen = *read.get(tx)?;
            if is_first {
                elsewhere(|| other.store(1));
            }
            // Newer than the first read, which has not changed since.
            read.set(tx, seen + *other.get(tx)?)
        });
        assert_eq!((n, read.load()), (1, 1));
    });
}

#[test]
fn a_blind_write_runs_into_nobody() {
    watched(|| {
        let var = TVar::new(0);
        let n = runs(|tx, is_first| {
            var.set(tx, 1)?;
            if is_first {
                elsewhere(|| var.store(2));
            }
            Ok(())
        });
        assert_eq!((n, var.load()), (1, 1), "the later commit wins");
    });
}

#[test]
fn a_transaction_that_only_reads_commits_in_the_past() {
    watched(|| {
        let (a, b) = (TVar::new(0), TVar::new(0));
        let seen = Cell::new((9, 9));
        let n = runs(|tx, is_first| {
            seen.set((*a.get(tx)?, *b.get(tx)?));
            if is_first {
                elsewhere(|| a.store(1));
            }
            Ok(())
        });
        assert_eq!(
            (n, seen.get()),
            (1, (0, 0)),
            "it saw the state before the change"
        );
    });
}

#[test]
fn a_doomed_attempt_never_sees_halves_of_a_commit() {
    watched(|| {
        let (a, b) = (TVar::new(0), TVar::new(0));
        let n = runs(|tx, is_first| {
            let seen = *a.get(tx)?;
            if is_first {
                elsewhere(|| {
                    atomically(|tx| {
                        a.set(tx, 1)?;
                        b.set(tx, 1)
                    });
                });
            }
            // The second read must stop the attempt before the body can see 0 and 1.
            assert_eq!(seen, *b.get(tx)?);
            Ok(())
        });
        assert_eq!(n, 2);
    });
}

#[test]
fn two_that_read_each_others_writes_never_both_keep_the_old() {
    watched(|| {
        let (a, b) = (TVar::new(false), TVar::new(false));
        for round in 0..iters(20_000, 5_000, 50) {
            // By a plain read, and by the read of a branch that is left.
            let set_if_alone = |mine: &TVar<bool>, other: &TVar<bool>| {
                atomically(|tx| {
                    let is_alone = if round % 2 == 0 {
                        !*other.get(tx)?
                    } else {
                        tx.optionally(|tx| tx.check(*other.get(tx)?))?.is_none()
                    };
                    if is_alone {
                        mine.set(tx, true)?;
                    }
                    Ok(is_alone)
                })
            };
            let won = thread::scope(|scope| {
                let other = scope.spawn(|| set_if_alone(&a, &b));
                u32::from(set_if_alone(&b, &a)) + u32::from(other.join().unwrap())
            });
            assert_eq!(won, 1, "round {round}");
            a.store(false);
            b.store(false);
        }
    });
}

#[test]
fn withdrawals_from_two_accounts_with_one_limit_never_exceed_it() {
    watched(|| {
        // Each withdrawal reads both and writes one.
        let accounts = [TVar::new(500_i64), TVar::new(500)];
        on_threads(2, |me| {
            for _ in 0..iters(20_000, 5_000, 100) {
                atomically(|tx| {
                    let total = *accounts[0].get(tx)? + *accounts[1].get(tx)?;
                    assert!(total >= 0);
                    if total >= 10 {
                        accounts[me].update(tx, |n| n - 10)
                    } else {
                        accounts[me].update(tx, |n| n + 50)
                    }
                });
            }
        });
        assert!(accounts[0].load() + accounts[1].load() >= 0);
    });
}

#[test]
fn every_flip_sees_all_others_before_or_after_it() {
    watched(|| {
        // Each transaction reads all and flips all: one that mixed two states would make them differ.
        let vars: [TVar<bool>; 16] = std::array::from_fn(|_| TVar::new(false));
        let flips = iters(4_000, 1_000, 20);
        on_threads(3, |me| {
            let mut dice = Dice::new(me as u64);
            for _ in 0..flips {
                let first = dice.below(16) as usize;
                atomically(|tx| {
                    let was = *vars[first].get(tx)?;
                    for n in 0..16 {
                        let var = &vars[(first + n * 7) % 16];
                        assert_eq!(*var.get(tx)?, was);
                        var.set(tx, !was)?;
                    }
                    Ok(())
                });
            }
        });
        assert_eq!(vars.map(|var| var.load()), [flips * 3 % 2 == 1; 16]);
    });
}

#[test]
fn variables_of_one_thread_are_changed_by_nobody_else() {
    watched(|| {
        let rounds = iters(20_000, 5_000, 100);
        on_threads(3, |me| {
            let mine = TVar::new(0);
            for n in 0..rounds {
                atomically(|tx| {
                    assert_eq!(*mine.get(tx)?, n, "thread {me}");
                    mine.update(tx, |n| n + 1)
                });
            }
            assert_eq!(mine.load(), rounds);
        });
    });
}

#[test]
fn swaps_of_twenty_elements_leave_a_permutation() {
    watched(|| {
        let vars: Vec<TVar<usize>> = (0..20).map(TVar::new).collect();
        on_threads(3, |me| {
            let mut dice = Dice::new(me as u64 + 7);
            for _ in 0..iters(20_000, 5_000, 100) {
                let (i, j) = (dice.below(20) as usize, dice.below(20) as usize);
                atomically(|tx| {
                    let (a, b) = (*vars[i].get(tx)?, *vars[j].get(tx)?);
                    vars[i].set(tx, b)?;
                    vars[j].set(tx, a)
                });
            }
        });
        let mut values: Vec<usize> = vars.iter().map(TVar::load).collect();
        values.sort_unstable();
        assert_eq!(values, (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn readers_in_opposite_orders_finish_beside_a_writer() {
    watched(|| {
        let vars: Vec<TVar<usize>> = (0..100).map(|_| TVar::new(0)).collect();
        let write = |_| atomically(|tx| vars.iter().try_for_each(|v| v.update(tx, |n| n + 1)));
        beside(1, write, || {
            let read = |order: &[usize]| {
                let seen = atomically(|tx| {
                    let mut seen = Vec::new();
                    for &n in order {
                        seen.push(*vars[n].get(tx)?);
                        assert_eq!(seen.first(), seen.last());
                    }
                    Ok(seen)
                });
                assert!(seen.iter().all(|&n| n == seen[0]));
            };
            let forwards: Vec<usize> = (0..100).collect();
            let backwards: Vec<usize> = (0..100).rev().collect();
            on_threads(2, |me| {
                let order = [&forwards, &backwards][me];
                (0..iters(500, 100, 5)).for_each(|_| read(order));
            });
        });
    });
}

#[test]
fn a_reader_of_many_variables_finishes_beside_a_hot_writer() {
    watched(|| {
        let vars: Vec<TVar<u64>> = (0..iters(20_000, 5_000, 500))
            .map(|_| TVar::new(0))
            .collect();
        let seed = AtomicUsize::new(0);
        let shift = |_| {
            // Always two that are far apart, by the same amount in opposite directions.
            let mut dice = Dice::new(seed.fetch_add(1, Ordering::Relaxed) as u64);
            let n = dice.below(vars.len() as u64 / 2) as usize;
            atomically(|tx| {
                vars[n].update(tx, |v| v.wrapping_add(1))?;
                vars[vars.len() - 1 - n].update(tx, |v| v.wrapping_sub(1))
            });
        };
        beside(1, shift, || {
            for _ in 0..5 {
                let sum = atomically(|tx| {
                    vars.iter()
                        .try_fold(0, |sum: u64, v| Ok(sum.wrapping_add(*v.get(tx)?)))
                });
                assert_eq!(sum, 0);
            }
        });
    });
}

#[test]
fn an_elder_that_is_always_overtaken_commits_after_all() {
    watched(|| {
        // Whatever the elder reads is changed before it commits, for as long as others may commit at all.
        let vars: [TVar<u64>; 8] = std::array::from_fn(|_| TVar::new(0));
        let (asked, answered) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let answer = |_| {
            if answered.load(Ordering::Acquire) < asked.load(Ordering::Acquire) {
                atomically(|tx| vars.iter().try_for_each(|v| v.update(tx, |n| n + 1)));
                answered.fetch_add(1, Ordering::AcqRel);
            }
            thread::yield_now();
        };
        beside(1, answer, || {
            let attempts = atomically(|tx| {
                let mut sum = 0;
                for var in &vars {
                    sum += *var.get(tx)?;
                }
                let mine = asked.fetch_add(1, Ordering::AcqRel) + 1;
                // An answer comes as long as the elder is no different from others, as it surely is at first;
                // once it is different, none can.
                let mut looks = 0;
                let is_first = tx.attempt() == 0;
                while answered.load(Ordering::Acquire) < mine && (is_first || looks < 10_000) {
                    looks += 1;
                    thread::yield_now();
                }
                vars[0].set(tx, sum)?;
                Ok(tx.attempt() + 1)
            });
            assert!(attempts > 1, "it was overtaken");
            assert!(attempts < 100, "{attempts} attempts");
        });
    });
}

#[test]
fn two_that_always_collide_both_go_on() {
    watched(|| {
        // All threads write all variables, in different orders.
        let vars: [TVar<u64>; 8] = std::array::from_fn(|_| TVar::new(0));
        let rounds = iters(5_000, 1_000, 20) as u64;
        on_threads(4, |me| {
            for _ in 0..rounds {
                atomically(|tx| {
                    for n in 0..8 {
                        vars[(n * 3 + me * 5) % 8].update(tx, |v| v + 1)?;
                    }
                    Ok(())
                });
            }
        });
        assert_eq!(vars.map(|var| var.load()), [rounds * 4; 8]);
    });
}

#[test]
fn a_transaction_may_read_and_write_tens_of_thousands() {
    watched(|| {
        // Where a log is searched from end to end, this does not end.
        let vars: Vec<TVar<usize>> = (0..iters(50_000, 20_000, 1_000)).map(TVar::new).collect();
        let other = TVar::new(0);
        atomically(|tx| {
            for var in &vars {
                var.update(tx, |n| n + 1)?;
            }
            if tx.attempt() == 0 {
                // Somebody else's commit, so that all is validated.
                elsewhere(|| other.store(1));
            }
            for var in vars.iter().rev() {
                var.update(tx, |n| n * 2)?;
            }
            tx.optionally(|tx| {
                vars.iter().try_for_each(|v| v.set(tx, 0))?;
                tx.retry::<()>()
            })
            .map(drop)
        });
        assert!(
            vars.iter()
                .enumerate()
                .all(|(n, v)| v.load() == (n + 1) * 2)
        );
    });
}

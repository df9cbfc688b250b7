//! Alternatives: which branch runs, what a branch that retries leaves behind, and what it has read.

mod support;

use std::cell::Cell;
use support::{conflict, elsewhere, panics, watched};
use weftwork_stm::{Stm, TVar, Tx, abort, atomically};

/// Takes one from `count`, or retries.
fn take(tx: &Tx, count: &TVar<u32>) -> Stm<()> {
    let n = *count.get(tx)?;
    tx.check(n > 0)?;
    count.set(tx, n - 1)
}

/// Writes `value` and retries.
fn set_then_retry<R>(tx: &Tx, var: &TVar<u32>, value: u32) -> Stm<R> {
    var.set(tx, value)?;
    tx.retry()
}

#[test]
fn the_second_branch_does_not_run_if_the_first_one_succeeds() {
    watched(|| {
        let result = atomically(|tx| tx.or_else(|_| Ok(1), |_| unreachable!("the first succeeds")));
        assert_eq!(result, 1);
    });
}

#[test]
fn retry_is_the_unit_of_alternatives_on_both_sides() {
    watched(|| {
        assert_eq!(atomically(|tx| tx.or_else(Tx::retry, |_| Ok(2))), 2);
        assert_eq!(atomically(|tx| tx.or_else(|_| Ok(2), Tx::retry)), 2);
    });
}

#[test]
fn alternatives_are_associative_in_result_and_in_effect() {
    watched(|| {
        for succeeds in 0..8_u32 {
            let var = TVar::new(0);
            // Branch n adds to what it finds, which shows the writes of a branch before it.
            let branch = |n: u32| {
                let var = &var;
                move |tx: &Tx| -> Stm<u32> {
                    var.update(tx, |v| v + 10_u32.pow(n))?;
                    tx.check(succeeds & (1 << n) != 0)?;
                    Ok(n)
                }
            };
            let left = atomically(|tx| {
                tx.optionally(|tx| tx.or_else(|tx| tx.or_else(branch(0), branch(1)), branch(2)))
            });
            let after_left = var.load();
            var.store(0);
            let right = atomically(|tx| {
                tx.optionally(|tx| tx.or_else(branch(0), |tx| tx.or_else(branch(1), branch(2))))
            });
            let first = (0..3).find(|n| succeeds & (1 << n) != 0);
            assert_eq!((left, right), (first, first));
            let effect = first.map_or(0, |n| 10_u32.pow(n));
            assert_eq!((after_left, var.load()), (effect, effect));
        }
    });
}

#[test]
fn what_a_branch_wrote_is_gone_when_it_retries() {
    watched(|| {
        let (fresh, written) = (TVar::new(0), TVar::new(0));
        let seen = atomically(|tx| {
            written.set(tx, 1)?;
            let seen = tx.or_else(
                |tx| {
                    fresh.set(tx, 10)?;
                    written.set(tx, 20)?;
                    written.set(tx, 30)?;
                    tx.retry()
                },
                |tx| Ok((*fresh.get(tx)?, *written.get(tx)?)),
            )?;
            Ok((seen, *fresh.get(tx)?, *written.get(tx)?))
        });
        assert_eq!(seen, ((0, 1), 0, 1));
        assert_eq!((fresh.load(), written.load()), (0, 1));
    });
}

#[test]
fn a_write_around_survives_a_branch_that_reads_it() {
    // Item 64 of the checklist: the outer write was lost to the nested log.
    watched(|| {
        let var = TVar::new(0);
        atomically(|tx| {
            var.set(tx, 1)?;
            tx.or_else(
                |tx| {
                    tx.or_else(
                        |tx| tx.check(*var.get(tx)? == 7),
                        |tx| tx.check(*var.get(tx)? == 1),
                    )
                },
                |_| unreachable!("the inner second branch sees the 1"),
            )
        });
        assert_eq!(var.load(), 1);
    });
}

#[test]
fn writing_the_committed_value_back_is_a_write() {
    // Item 65 of the checklist: a write of the old value was taken for none.
    watched(|| {
        let var = TVar::new(0);
        let seen = atomically(|tx| {
            var.set(tx, 1)?;
            tx.or_else(|tx| set_then_retry(tx, &var, 0), |_| Ok(()))?;
            let between = *var.get(tx)?;
            tx.or_else(|tx| var.set(tx, 0), |_| unreachable!("the first succeeds"))?;
            Ok((between, *var.get(tx)?))
        });
        assert_eq!(seen, (1, 0));
        assert_eq!(var.load(), 0);
    });
}

#[test]
fn a_nested_alternative_keeps_what_is_around_it_and_goes_with_it() {
    watched(|| {
        let vars: [TVar<u32>; 4] = std::array::from_fn(|_| TVar::new(0));
        let state = || vars.each_ref().map(TVar::load);
        let nest = |tx: &Tx, goes_on: bool| -> Stm<()> {
            vars[0].set(tx, 1)?;
            tx.or_else(
                |tx| set_then_retry(tx, &vars[1], 1),
                |tx| vars[2].set(tx, 1),
            )?;
            tx.check(goes_on)
        };
        atomically(|tx| tx.or_else(|tx| nest(tx, false), |tx| vars[3].set(tx, 1)));
        assert_eq!(state(), [0, 0, 0, 1]);
        atomically(|tx| tx.or_else(|tx| nest(tx, true), |_| unreachable!("the first succeeds")));
        assert_eq!(state(), [1, 0, 1, 1]);
    });
}

#[test]
fn three_hundred_nested_alternatives_roll_back_one_by_one() {
    fn nest(tx: &Tx, var: &TVar<u32>, depth: u32) -> Stm<()> {
        if depth == 0 {
            return tx.retry();
        }
        var.update(tx, |n| n + 1)?;
        tx.or_else(
            |tx| nest(tx, var, depth - 1),
            |tx| {
                // Of the writes further in, nothing is left.
                assert_eq!(*var.get(tx)?, 301 - depth);
                tx.retry()
            },
        )
    }
    watched(|| {
        let var = TVar::new(0);
        assert_eq!(
            atomically(|tx| tx.optionally(|tx| nest(tx, &var, 300))),
            None
        );
        assert_eq!(var.load(), 0);
    });
}

#[test]
fn or_any_takes_the_first_of_many_that_does_not_retry() {
    watched(|| {
        let counts: Vec<TVar<u32>> = (0..100).map(|_| TVar::new(0)).collect();
        let trace = TVar::new(0);
        for ready in [99, 50, 0] {
            counts[ready].store(1);
            let taken = atomically(|tx| {
                tx.or_any(counts.iter().enumerate().map(|(n, count)| {
                    let trace = &trace;
                    move |tx: &Tx| {
                        trace.update(tx, |t| t + 1)?;
                        take(tx, count).map(|()| n)
                    }
                }))
            });
            assert_eq!(taken, ready);
            assert_eq!(counts[ready].load(), 0);
        }
        assert_eq!(
            trace.load(),
            3,
            "only the branch that succeeded has left a trace"
        );
    });
}

#[test]
fn an_alternative_of_no_branches_waits_for_nothing() {
    watched(|| {
        let none: [fn(&Tx) -> Stm<()>; 0] = [];
        let message = panics(|| atomically(|tx| tx.or_any(none)));
        assert!(message.contains(file!()), "{message}");
        assert_eq!(
            atomically(|tx| tx.or_else(|tx| tx.or_any(none), |_| Ok(()))),
            ()
        );
    });
}

#[test]
fn a_branch_that_was_left_is_validated_by_the_commit() {
    watched(|| {
        // Both "set mine if the other is not set": the one that commits second must have seen the first.
        let (mine, other) = (TVar::new(false), TVar::new(false));
        let runs = Cell::new(0);
        atomically(|tx| {
            runs.set(runs.get() + 1);
            let is_set = tx.optionally(|tx| tx.check(*other.get(tx)?))?;
            if runs.get() == 1 {
                elsewhere(|| other.store(true));
            }
            mine.set(tx, is_set.is_none())
        });
        assert_eq!((mine.load(), other.load()), (false, true));
        assert_eq!(runs.get(), 2);
    });
}

#[test]
fn a_branch_that_read_and_wrote_before_it_was_left_is_validated_too() {
    watched(|| {
        let (from, marks) = (TVar::new(0), TVar::new(0));
        let runs = Cell::new(0);
        let taken = atomically(|tx| {
            runs.set(runs.get() + 1);
            let taken = tx.optionally(|tx| {
                from.update(tx, |n| n + 1)?;
                tx.check(*from.get(tx)? > 1)
            })?;
            if runs.get() == 1 {
                elsewhere(|| from.store(5));
            }
            marks.update(tx, |n| n + 1)?;
            Ok(taken.is_some())
        });
        assert!(taken, "the second attempt finds 5");
        assert_eq!((from.load(), marks.load(), runs.get()), (6, 1, 2));
    });
}

#[test]
fn both_branches_see_one_state() {
    watched(|| {
        let (a, b) = (TVar::new(0), TVar::new(0));
        let runs = Cell::new(0);
        let seen = atomically(|tx| {
            runs.set(runs.get() + 1);
            let left = Cell::new(0);
            let right = tx.or_else(
                |tx| {
                    left.set(*a.get(tx)?);
                    tx.retry()
                },
                |tx| {
                    if runs.get() == 1 {
                        elsewhere(|| {
                            atomically(|tx| {
                                a.set(tx, 1)?;
                                b.set(tx, 1)
                            });
                        });
                    }
                    Ok((*a.get(tx)?, *b.get(tx)?))
                },
            )?;
            assert_eq!(right, (left.get(), left.get()));
            Ok(right)
        });
        assert_eq!((seen, runs.get()), ((1, 1), 2));
    });
}

#[test]
fn a_conflict_in_a_branch_is_no_retry() {
    watched(|| {
        // What runs into others starts again; the second branch is for what cannot go on for good.
        let runs = Cell::new(0);
        let result = atomically(|tx| {
            tx.or_else(
                |tx| {
                    runs.set(runs.get() + 1);
                    if runs.get() < 3 {
                        conflict(tx)
                    } else {
                        Ok("first")
                    }
                },
                |_| Ok("second"),
            )
        });
        assert_eq!((result, runs.get()), ("first", 3));
    });
}

#[test]
fn a_retry_that_a_branch_swallows_still_retries_the_branch() {
    watched(|| {
        let var = TVar::new(0);
        let result = atomically(|tx| {
            tx.or_else(
                |tx| {
                    var.set(tx, 1)?;
                    let _: Result<(), _> = tx.retry();
                    Ok("first")
                },
                |_| Ok("second"),
            )
        });
        assert_eq!((result, var.load()), ("second", 0));
    });
}

#[test]
fn a_conflict_that_a_body_swallows_never_commits() {
    watched(|| {
        let (var, runs) = (TVar::new(0), Cell::new(0));
        atomically(|tx| {
            runs.set(runs.get() + 1);
            if runs.get() == 1 {
                let _: Result<(), _> = conflict(tx);
            }
            let _ = tx.optionally(|_| Ok(()));
            var.update(tx, |n| n + 1).ok();
            Ok(())
        });
        assert_eq!((var.load(), runs.get()), (1, 2));
    });
}

#[test]
fn a_stop_that_was_kept_from_an_earlier_branch_is_refused() {
    watched(|| {
        let message = panics(|| {
            atomically(|tx| {
                let kept = Cell::new(None);
                tx.or_else::<()>(
                    |tx| {
                        kept.set(tx.retry::<()>().err());
                        tx.retry()
                    },
                    |_| Err(kept.take().expect("the first branch ran")),
                )
            })
        });
        assert!(message.contains("Stop"), "{message}");
    });
}

#[test]
fn a_reference_into_a_branch_outlives_its_rollback() {
    watched(|| {
        let text = TVar::new(String::from("committed"));
        atomically(|tx| {
            let kept = Cell::new(None);
            tx.or_else(
                |_| {
                    text.set(tx, String::from("of the branch"))?;
                    kept.set(Some(text.get(tx)?));
                    text.set(tx, String::from("replaced in the branch"))?;
                    tx.retry()
                },
                |_| text.set(tx, String::from("of the other")),
            )?;
            assert_eq!(kept.take().unwrap(), "of the branch");
            Ok(())
        });
        assert_eq!(text.load(), "of the other");
    });
}

#[test]
fn an_abort_inside_a_branch_takes_back_no_more_than_its_catch() {
    watched(|| {
        let vars: [TVar<u32>; 3] = std::array::from_fn(|_| TVar::new(0));
        let caught = atomically(|tx| {
            tx.or_else(
                |tx| {
                    vars[0].set(tx, 1)?;
                    let caught: Result<(), &str> = tx.catch(|tx| {
                        vars[1].set(tx, 1)?;
                        abort("given up")
                    })?;
                    vars[2].set(tx, 1)?;
                    Ok(caught)
                },
                |_| unreachable!("an abort that was caught is no retry"),
            )
        });
        assert_eq!(caught, Err("given up"));
        assert_eq!(vars.each_ref().map(TVar::load), [1, 0, 1]);
    });
}

#[test]
fn variables_of_a_branch_may_go_with_it() {
    watched(|| {
        // Made, read, written and dropped inside: the log knows them longer than their handles live.
        let kept = atomically(|tx| {
            tx.or_else(
                |tx| {
                    let inner = TVar::new(vec![1, 2, 3]);
                    inner.update(tx, |v| v.iter().map(|n| n * 2).collect())?;
                    inner.get(tx)?;
                    drop(inner);
                    tx.retry()
                },
                |tx| {
                    let inner = TVar::new(vec![1]);
                    inner.get(tx)?;
                    inner.set(tx, vec![2])?;
                    Ok(inner)
                },
            )
        });
        assert_eq!(kept.load(), [2]);
    });
}

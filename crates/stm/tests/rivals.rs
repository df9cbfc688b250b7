//! What other transactional memories get wrong, each by the shortest program that shows it there.
//!
//! The interleavings are forced: the first attempt of a body meets the other thread at a barrier. The table
//! in `docs/guide-stm.md` names these tests.
#![cfg(not(weftwork_loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use weftwork_stm::{Stm, TVar, Tx, abort, atomically, flush, try_atomically};
use weftwork_testkit::{DropCounter, Watchdog, iters, watchdog};

fn dog() -> Watchdog {
    watchdog(Duration::from_secs(60))
}

/// Reclaims until nothing of `drops` is left. Other tests may be pinned, and threads that have ended may just
/// be handing over what they leave.
fn flush_all_of(drops: &DropCounter) {
    while drops.live() > 0 {
        flush();
        thread::yield_now();
    }
}

/// Runs `decide` on two threads, crosswise. Both have looked before either goes on.
fn cross(decide: impl Fn(&Tx, &TVar<bool>) -> Stm<bool> + Sync) -> (bool, bool) {
    let (x, y) = (TVar::new(false), TVar::new(false));
    let both_have_looked = Barrier::new(2);
    let set_unless = |mine: &TVar<bool>, other: &TVar<bool>| {
        atomically(|tx| {
            let is_set = decide(tx, other)?;
            if tx.attempt() == 0 {
                both_have_looked.wait();
            }
            if !is_set {
                mine.set(tx, true)?;
            }
            Ok(())
        });
    };
    thread::scope(|s| {
        s.spawn(|| set_unless(&x, &y));
        s.spawn(|| set_unless(&y, &x));
    });
    (x.load(), y.load())
}

#[test]
fn a_branch_that_was_left_is_validated_so_no_write_skew_passes_through_or_else() {
    let _dog = dog();
    for _ in 0..iters(200, 50, 5) {
        let (x, y) = cross(|tx, other| {
            tx.or_else(
                |tx| {
                    tx.check(*other.get(tx)?)?;
                    Ok(true)
                },
                |_| Ok(false),
            )
        });
        assert!(x ^ y, "x = {x}, y = {y}");
    }
}

#[test]
fn a_branch_that_was_left_is_validated_so_no_write_skew_passes_through_optionally() {
    let _dog = dog();
    for _ in 0..iters(200, 50, 5) {
        let (x, y) = cross(|tx, other| {
            let set = tx.optionally(|tx| tx.check(*other.get(tx)?))?;
            Ok(set.is_some())
        });
        assert!(x ^ y, "x = {x}, y = {y}");
    }
}

#[test]
fn no_write_skew_passes_through_plain_reads() {
    let _dog = dog();
    for _ in 0..iters(200, 50, 5) {
        let (x, y) = cross(|tx, other| other.get(tx).copied());
        assert!(x ^ y, "x = {x}, y = {y}");
    }
}

#[test]
fn a_doomed_attempt_sees_no_torn_pair() {
    let _dog = dog();
    let (left, right) = (TVar::new(0), TVar::new(0));
    let (has_read_left, both_are_written) = (Barrier::new(2), Barrier::new(2));
    let mut was_stopped = false;
    thread::scope(|s| {
        s.spawn(|| {
            has_read_left.wait();
            atomically(|tx| {
                left.set(tx, 1)?;
                right.set(tx, 1)
            });
            both_are_written.wait();
        });
        let pair = atomically(|tx| {
            let l = *left.get(tx)?;
            if tx.attempt() == 0 {
                has_read_left.wait();
                both_are_written.wait();
            }
            let r = right.get(tx);
            was_stopped |= r.is_err();
            let r = *r?;
            assert_eq!(l, r, "of a pair that is always written together");
            Ok((l, r))
        });
        assert_eq!(pair, (1, 1));
    });
    assert!(was_stopped, "the first attempt is told at its read");
}

#[test]
fn no_attempt_ever_sees_a_torn_pair_under_load() {
    let _dog = dog();
    let count = iters(100_000, 20_000, 200);
    let (left, right) = (TVar::new(0_usize), TVar::new(0_usize));
    thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..count {
                atomically(|tx| {
                    left.update(tx, |n| n + 1)?;
                    right.update(tx, |n| n + 1)
                });
            }
        });
        while left.load() < count {
            atomically(|tx| {
                let distance = *right.get(tx)? - *left.get(tx)?;
                // An index made of it would be out of bounds in a zombie.
                assert_eq!(distance, 0);
                Ok(())
            });
        }
    });
}

#[test]
fn a_store_outside_of_transactions_wakes_those_who_retry() {
    let _dog = dog();
    for _ in 0..iters(2_000, 500, 20) {
        let flag = TVar::new(false);
        let has_looked = Barrier::new(2);
        thread::scope(|s| {
            s.spawn(|| {
                atomically(|tx| {
                    let is_set = *flag.get(tx)?;
                    if tx.attempt() == 0 {
                        has_looked.wait();
                    }
                    tx.check(is_set)
                });
            });
            has_looked.wait();
            flag.store(true);
        });
    }
}

#[test]
fn a_variable_that_is_made_read_and_dropped_in_the_body_does_no_harm() {
    let _dog = dog();
    let drops = DropCounter::new();
    for n in 0..iters(10_000, 2_000, 100) {
        let text = atomically(|tx| {
            let var = TVar::new(drops.track(format!("{n}")));
            let read = var.get(tx)?;
            drop(var);
            // The value is as good as before: it lives as long as the attempt.
            Ok(read.len())
        });
        assert_eq!(text, format!("{n}").len());
        atomically(|tx| {
            let var = TVar::new(drops.track(String::new()));
            var.set(tx, drops.track("written".into()))?;
            let read = var.get(tx)?;
            drop(var);
            assert_eq!(read.as_str(), "written");
            Ok(())
        });
    }
    flush_all_of(&drops);
}

#[test]
fn a_variable_that_is_gone_when_its_reader_sleeps_does_no_harm() {
    let _dog = dog();
    let drops = DropCounter::new();
    for _ in 0..iters(500, 100, 5) {
        let (go, has_looked) = (TVar::new(false), Barrier::new(2));
        thread::scope(|s| {
            s.spawn(|| {
                atomically(|tx| {
                    let var = TVar::new(drops.track(()));
                    var.get(tx)?;
                    drop(var);
                    let go = *go.get(tx)?;
                    if tx.attempt() == 0 {
                        has_looked.wait();
                    }
                    tx.check(go)
                });
            });
            has_looked.wait();
            atomically(|tx| go.set(tx, true));
        });
    }
    flush_all_of(&drops);
}

#[test]
fn after_a_panic_nothing_has_changed_and_the_thread_runs_transactions() {
    let count = TVar::new(0);
    for n in 0..3 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            atomically(|tx| -> Stm<()> {
                count.set(tx, 100)?;
                panic!("in the body");
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(count.load(), n);
        atomically(|tx| count.update(tx, |n| n + 1));
    }
}

#[test]
fn after_a_panic_a_worker_of_tokio_runs_transactions() {
    let _dog = dog();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let count = TVar::new(0);
    for _ in 0..3 {
        let panics = tokio.spawn(async { atomically(|_| -> Stm<()> { panic!("in the body") }) });
        assert!(tokio.block_on(panics).unwrap_err().is_panic());
        let count = count.clone();
        let counts = tokio.spawn(async move { atomically(|tx| count.update(tx, |n| n + 1)) });
        tokio.block_on(counts).unwrap();
    }
    assert_eq!(count.load(), 3);
}

#[test]
fn an_abort_returns_at_once_and_waits_for_nothing() {
    let _dog = dog();
    let stock = TVar::new(0);
    // Nobody will ever change the stock.
    let sold = try_atomically(|tx| match *stock.get(tx)? {
        0 => abort("sold out"),
        n => Ok(stock.set(tx, n - 1)?),
    });
    assert_eq!(sold, Err("sold out"));
}

#[test]
fn a_change_of_what_a_left_branch_has_read_and_written_wakes() {
    let _dog = dog();
    for _ in 0..iters(500, 100, 5) {
        let (x, y) = (TVar::new(0), TVar::new(false));
        let has_looked = Barrier::new(2);
        let attempts = AtomicU32::new(0);
        thread::scope(|s| {
            s.spawn(|| {
                let n = atomically(|tx| {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    tx.or_else(
                        |tx| {
                            let n = *x.get(tx)?;
                            x.set(tx, n + 10)?;
                            if tx.attempt() == 0 {
                                has_looked.wait();
                            }
                            tx.check(n == 1)?;
                            Ok(n)
                        },
                        |tx| {
                            tx.check(*y.get(tx)?)?;
                            Ok(100)
                        },
                    )
                });
                assert_eq!(n, 1);
            });
            has_looked.wait();
            x.store(1);
        });
        assert_eq!(x.load(), 11);
        assert!(attempts.into_inner() >= 2);
    }
}

#[test]
fn a_left_branch_leaves_no_write_behind() {
    let (x, y) = (TVar::new(0), TVar::new(0));
    atomically(|tx| {
        x.set(tx, 1)?;
        tx.or_else(
            |tx| {
                x.set(tx, 2)?;
                y.set(tx, 2)?;
                tx.retry()
            },
            |tx| {
                assert_eq!((*x.get(tx)?, *y.get(tx)?), (1, 0));
                Ok(())
            },
        )
    });
    assert_eq!((x.load(), y.load()), (1, 0));
}

#[test]
fn writes_that_nobody_has_read_do_not_conflict() {
    let _dog = dog();
    let var = TVar::new(0);
    let (has_written, other_has_committed) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|s| {
        s.spawn(|| {
            has_written.wait();
            atomically(|tx| var.set(tx, 1));
            other_has_committed.wait();
        });
        let attempt = atomically(|tx| {
            var.set(tx, 2)?;
            if tx.attempt() == 0 {
                has_written.wait();
                other_has_committed.wait();
            }
            Ok(tx.attempt())
        });
        assert_eq!(attempt, 0);
    });
    assert_eq!(var.load(), 2);
}

#[test]
fn a_commit_elsewhere_does_not_disturb_a_reader() {
    let _dog = dog();
    let (mine, others) = (TVar::new(1), TVar::new(1));
    let (has_read, other_has_committed) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|s| {
        s.spawn(|| {
            has_read.wait();
            others.store(2);
            other_has_committed.wait();
        });
        let (sum, attempt) = atomically(|tx| {
            let n = *mine.get(tx)?;
            if tx.attempt() == 0 {
                has_read.wait();
                other_has_committed.wait();
            }
            // Newer than the attempt, which moves its time forward instead of failing.
            Ok((n + *others.get(tx)?, tx.attempt()))
        });
        assert_eq!((sum, attempt), (3, 0));
    });
}

#[test]
#[should_panic(expected = "without having read anything")]
fn a_retry_that_nobody_could_end_panics_instead_of_hanging() {
    let _dog = dog();
    atomically(|tx| tx.retry::<()>());
}

#[test]
fn a_transaction_inside_a_transaction_panics_and_names_both() {
    let panicked = catch_unwind(|| atomically(|_| Ok(atomically(|_| Ok(2)))));
    let payload = panicked.unwrap_err();
    let text = payload.downcast_ref::<String>().expect("a message");
    assert_eq!(text.matches("rivals.rs").count(), 2, "{text}");
    assert_eq!(atomically(|_| Ok(1)), 1);
}

#[test]
fn an_attempt_whose_stop_is_swallowed_does_not_commit() {
    let _dog = dog();
    let (x, y) = (TVar::new(0), TVar::new(0));
    let (has_read, other_has_committed) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|s| {
        s.spawn(|| {
            has_read.wait();
            atomically(|tx| {
                x.set(tx, 1)?;
                y.set(tx, 1)
            });
            other_has_committed.wait();
        });
        let copy = TVar::new(0);
        atomically(|tx| {
            let n = *x.get(tx)?;
            if tx.attempt() == 0 {
                has_read.wait();
                other_has_committed.wait();
            }
            // Against the advice, the error of the second read is thrown away.
            let m = y.get(tx).map_or(7, |m| *m);
            copy.set(tx, 10 * n + m)
        });
        assert_eq!(copy.load(), 11);
    });
}

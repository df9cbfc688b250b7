//! Limits: a time or a number of attempts after which a transaction gives up, having changed nothing.

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{AMPLE, SHORT, beside, conflict, watched};
use weftwork_stm::{Stm, TVar, Tx, TxFailed, named, on_storm, transaction};
use weftwork_testkit::iters;

/// Waits until `var` is at least `n`.
fn at_least(tx: &Tx, var: &TVar<usize>, n: usize) -> Stm<()> {
    tx.check(*var.get(tx)? >= n)
}

#[test]
fn a_timeout_ends_the_wait_never_early_and_changes_nothing() {
    watched(|| {
        let (var, other) = (TVar::new(0), TVar::new(0));
        for timeout in [Duration::ZERO, Duration::from_micros(300), SHORT] {
            let (start, runs) = (Instant::now(), Cell::new(0));
            let ended = transaction().timeout(timeout).run(|tx| {
                runs.set(runs.get() + 1);
                other.set(tx, 1)?;
                at_least(tx, &var, 1)
            });
            assert_eq!(ended, Err(TxFailed::TimedOut));
            assert!(start.elapsed() >= timeout);
            assert_eq!(
                (runs.get(), other.load()),
                (1, 0),
                "it looks once, and no more"
            );
        }
        let past = Instant::now();
        let ended = transaction().deadline(past).run(|tx| at_least(tx, &var, 0));
        assert_eq!(ended, Ok(()), "what need not wait does not time out");
    });
}

#[test]
fn a_change_in_time_beats_the_timeout() {
    watched(|| {
        let var = TVar::new(0);
        for n in 1..iters(2_000, 500, 20) {
            thread::scope(|scope| {
                scope.spawn(|| var.store(n));
                let ended = named("in time")
                    .timeout(AMPLE)
                    .run(|tx| at_least(tx, &var, n));
                assert_eq!(ended, Ok(()));
            });
        }
        let forever = Duration::MAX;
        assert_eq!(
            transaction()
                .timeout(forever)
                .run(|tx| at_least(tx, &var, 1)),
            Ok(())
        );
    });
}

#[test]
fn wakes_in_vain_do_not_put_the_timeout_off() {
    watched(|| {
        let var = TVar::new(0);
        let wake = |_| {
            var.store(0);
            thread::yield_now();
        };
        let ended = beside(1, wake, || {
            transaction().timeout(SHORT).run(|tx| at_least(tx, &var, 1))
        });
        assert_eq!(ended, Err(TxFailed::TimedOut));
    });
}

#[test]
fn a_limit_of_attempts_counts_conflicts_and_wakes() {
    watched(|| {
        let var = TVar::new(0);
        for (limit, runs_at_most) in [(0, 1), (1, 1), (5, 5), (15, 15)] {
            let runs = Cell::new(0);
            let ended = transaction().max_attempts(limit).run(|tx| {
                runs.set(runs.get() + 1);
                assert_eq!(tx.attempt() + 1, runs.get());
                // One that runs alone has no conflicts: from then on it retries, and is woken.
                if runs.get() <= 7 {
                    return conflict(tx);
                }
                let seen = *var.get(tx)?;
                let changed = var.clone();
                tx.on_abort(move || changed.store(seen + 1));
                tx.retry::<()>()
            });
            assert_eq!(
                (ended, runs.get()),
                (Err(TxFailed::TooManyAttempts), runs_at_most)
            );
        }
        let ended = transaction().max_attempts(3).run(|tx| {
            if tx.attempt() < 2 {
                conflict(tx)
            } else {
                Ok(7)
            }
        });
        assert_eq!(ended, Ok(7));
    });
}

#[test]
fn a_future_that_times_out_leaves_nothing_behind() {
    watched(|| {
        let var = TVar::new(0);
        let start = Instant::now();
        let ended = weftwork_core::block_on(
            transaction()
                .timeout(SHORT)
                .run_async(|tx| at_least(tx, &var, 1)),
        );
        assert_eq!(ended, Err(TxFailed::TimedOut));
        assert!(start.elapsed() >= SHORT);
        let in_time = transaction()
            .timeout(AMPLE)
            .run_async(|tx| at_least(tx, &var, 0));
        assert_eq!(weftwork_core::block_on(in_time), Ok(()));
    });
}

#[test]
fn a_transaction_that_keeps_running_in_vain_is_reported_once_by_name() {
    static REPORTS: AtomicUsize = AtomicUsize::new(0);
    on_storm(|storm| {
        if storm.name == Some("in vain") {
            assert_eq!(storm.location.file(), file!());
            assert!(storm.attempts >= 1_000);
            assert_eq!((storm.conflicts.locked, storm.conflicts.validation), (0, 0));
            assert!(storm.to_string().contains("in vain"));
            REPORTS.fetch_add(1, Ordering::Relaxed);
        }
    });
    watched(|| {
        let var = TVar::new(0);
        let run = |attempts| {
            let ended = named("in vain").max_attempts(attempts).run(|tx| {
                let seen = *var.get(tx)?;
                let changed = var.clone();
                // Whatever it waits for changes at once, and is never what it wants.
                tx.on_abort(move || changed.store(seen + 1));
                tx.retry::<()>()
            });
            assert_eq!(ended, Err(TxFailed::TooManyAttempts));
            REPORTS.load(Ordering::Relaxed)
        };
        assert_eq!(run(900), 0);
        assert_eq!(run(3_000), 1);
        assert_eq!(run(3_000), 2);
    });
}

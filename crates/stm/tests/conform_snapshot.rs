//! Snapshots: one state of all variables, as it was when the snapshot began, for as long as it lasts.

mod support;

use std::cell::Cell;
use std::thread;
use support::{Dice, beside, elsewhere, on_threads, watched};
use weftwork_stm::{TVar, atomically, flush, snapshot};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn a_snapshot_shows_the_state_at_its_beginning_whatever_is_written_since() {
    watched(|| {
        let vars: [TVar<usize>; 4] = std::array::from_fn(TVar::new);
        snapshot(|s| {
            for round in 1..200 {
                elsewhere(|| {
                    atomically(|tx| vars.iter().try_for_each(|v| v.set(tx, round * 1_000)));
                    vars[round % 4].store(round * 1_000 + 1);
                });
                assert_eq!(vars.each_ref().map(|v| *v.view(s)), [0, 1, 2, 3]);
                assert!(
                    vars[0].load() >= 1_000,
                    "a plain read shows what is there now"
                );
            }
        });
        snapshot(|s| assert_eq!(*vars[0].view(s), 199_000));
    });
}

#[test]
fn a_snapshot_begins_after_what_its_thread_has_committed() {
    watched(|| {
        let var = TVar::new(0);
        on_threads(2, |_| {
            let mine = TVar::new(0);
            for n in 1..iters(20_000, 5_000, 100) {
                atomically(|tx| {
                    var.update(tx, |n| n + 1)?;
                    mine.set(tx, n)
                });
                let before = var.load();
                let (shared, own) = snapshot(|s| (*var.view(s), *mine.view(s)));
                assert_eq!(own, n);
                assert!(shared >= before, "a later snapshot is of an earlier state");
            }
        });
    });
}

#[test]
fn a_snapshot_never_shows_halves_of_commits() {
    watched(|| {
        let accounts: Vec<TVar<i64>> = (0..64).map(|_| TVar::new(100)).collect();
        let transfer = |seed: usize| {
            let mut dice = Dice::new(seed as u64);
            for _ in 0..1_000 {
                let (from, to) = (dice.below(64) as usize, dice.below(64) as usize);
                atomically(|tx| {
                    accounts[from].update(tx, |n| n - 1)?;
                    accounts[to].update(tx, |n| n + 1)
                });
            }
        };
        beside(2, transfer, || {
            for _ in 0..iters(5_000, 1_000, 20) {
                let runs = Cell::new(0);
                let total: i64 = snapshot(|s| {
                    runs.set(runs.get() + 1);
                    accounts.iter().map(|a| a.view(s)).sum()
                });
                // Two looks at one variable agree, too, with others at work in between.
                snapshot(|s| {
                    let first: Vec<i64> = accounts.iter().map(|a| *a.view(s)).collect();
                    thread::yield_now();
                    assert!(accounts.iter().zip(first).all(|(a, n)| *a.view(s) == n));
                });
                assert_eq!((total, runs.get()), (6_400, 1));
            }
        });
    });
}

#[test]
fn snapshots_of_several_threads_agree_on_the_order_of_commits() {
    watched(|| {
        // One thread counts `a`, another `b`. Snapshots form a row, of whichever thread they are.
        let (a, b) = (TVar::new(0), TVar::new(0));
        let rounds = iters(3_000, 1_000, 20);
        let seen = on_threads(4, |me| {
            let mut seen = Vec::new();
            for _ in 0..rounds {
                match me {
                    0 => atomically(|tx| a.update(tx, |n| n + 1)),
                    1 => b.store(b.load() + 1),
                    _ => seen.push(snapshot(|s| (*a.view(s), *b.view(s)))),
                }
            }
            seen
        });
        let mut all: Vec<(usize, usize)> = seen.into_iter().flatten().collect();
        all.sort_unstable();
        assert!(
            all.is_sorted_by_key(|(_, b)| *b),
            "two snapshots saw two commits in different orders"
        );
    });
}

#[test]
fn a_value_lives_as_long_as_a_snapshot_may_show_it() {
    watched(|| {
        let drops = DropCounter::new();
        let var = TVar::new(drops.track(0));
        let first = drops.live();
        snapshot(|s| {
            let seen = var.view(s);
            for n in 1..300 {
                elsewhere(|| {
                    var.store(drops.track(n));
                    flush();
                });
            }
            assert_eq!(**seen, 0);
            assert_eq!(**var.view(s), 0);
        });
        drop(var);
        while drops.live() > 0 {
            flush();
            thread::yield_now();
        }
        assert_eq!((first, drops.created()), (1, 300));
    });
}

#[test]
fn a_variable_whose_last_handle_is_dropped_during_a_snapshot_can_still_be_seen() {
    watched(|| {
        let shared = TVar::new(Some(TVar::new(String::from("kept"))));
        snapshot(|s| {
            let inner = shared.view(s).as_ref().expect("it is there");
            elsewhere(|| {
                shared.store(None);
                flush();
            });
            assert_eq!(inner.view(s), "kept");
        });
        assert!(shared.with(Option::is_none));
    });
}

#[test]
fn a_snapshot_holds_up_no_writer_and_no_writer_a_snapshot() {
    watched(|| {
        let var = TVar::new(0);
        // A writer finishes while the snapshot goes on; also one that runs alone.
        let seen = snapshot(|s| {
            elsewhere(|| {
                atomically(|tx| {
                    tx.irrevocable()?;
                    var.set(tx, 1)
                });
            });
            *var.view(s)
        });
        assert_eq!((seen, var.load()), (0, 1));
        // A snapshot finishes while a writer is about to commit; also beside one that runs alone.
        let seen = atomically(|tx| {
            tx.irrevocable()?;
            var.set(tx, 2)?;
            Ok(elsewhere(|| snapshot(|s| *var.view(s))))
        });
        assert_eq!((seen, var.load()), (1, 2));
    });
}

#[test]
fn a_variable_made_after_a_snapshot_shows_its_first_value_in_it() {
    watched(|| {
        snapshot(|s| {
            let var = elsewhere(|| {
                let var = TVar::new(1);
                var.store(2);
                var
            });
            assert_eq!(*var.view(s), 1);
        });
    });
}

#[test]
fn the_first_use_of_a_static_may_be_in_a_snapshot() {
    static VAR: TVar<u32> = TVar::new(7);
    watched(|| {
        let seen = on_threads(4, |_| snapshot(|s| *VAR.view(s)));
        assert_eq!(seen, [7; 4]);
    });
}

#[test]
fn a_panic_in_a_snapshot_ends_it() {
    watched(|| {
        let var = TVar::new(0);
        support::panics(|| snapshot(|s| assert_eq!(*var.view(s), 1)));
        atomically(|tx| var.set(tx, 1));
        snapshot(|s| assert_eq!(*var.view(s), 1));
    });
}

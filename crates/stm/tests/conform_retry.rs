//! Retry: what a transaction waits for, that each change of it wakes, and that nothing is left
//! behind. Whether something waits is asked of futures, whose polls say so.

mod support;

use std::cell::Cell;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;
use support::{Bell, Dice, TO_RUN_ALONE, conflict, elsewhere, on_threads, panics, poll, watched};
use weftwork_stm::{Stm, TVar, Tx, TxError, abort, atomically, atomically_async};
use weftwork_testkit::iters;

/// Waits until `var` is at least `n`.
fn at_least(tx: &Tx, var: &TVar<usize>, n: usize) -> Stm<()> {
    tx.check(*var.get(tx)? >= n)
}

#[test]
fn a_change_wakes_the_thread_that_waits_for_it_at_whatever_time_it_comes() {
    watched(|| {
        let (there, back) = (TVar::new(0), TVar::new(0));
        let rounds = iters(20_000, 5_000, 100);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..rounds {
                    atomically(|tx| at_least(tx, &there, n));
                    back.store(n);
                }
            });
            for n in 1..rounds {
                there.store(n);
                atomically(|tx| at_least(tx, &back, n));
            }
        });
    });
}

/// Reads six variables, each in another way, and says which one is set.
fn find_set(tx: &Tx, vars: &[TVar<bool>; 6]) -> Stm<usize> {
    let is_set = |tx: &Tx, n: usize| -> Stm<bool> { vars[n].get(tx).copied() };
    let if_set = |tx: &Tx, n: usize| -> Stm<usize> {
        tx.check(is_set(tx, n)?)?;
        Ok(n)
    };
    if is_set(tx, 0)? {
        return Ok(0);
    }
    if let Some(n) = tx.optionally(|tx| if_set(tx, 1))? {
        return Ok(n);
    }
    // An abort in place of a retry: the read is one all the same.
    let caught = tx.catch(|tx| if is_set(tx, 2)? { Ok(2) } else { abort(()) })?;
    if let Ok(n) = caught {
        return Ok(n);
    }
    tx.or_else(
        |tx| tx.or_else(|tx| if_set(tx, 3), |tx| if_set(tx, 4)),
        |tx| {
            // Read, then written, then left.
            tx.optionally(|tx| {
                vars[5].update(tx, |is_set| !is_set)?;
                tx.retry::<()>()
            })?;
            if_set(tx, 5)
        },
    )
}

#[test]
fn a_change_of_anything_that_was_read_in_any_branch_wakes() {
    watched(|| {
        for n in 0..6 {
            let vars: [TVar<bool>; 6] = std::array::from_fn(|_| TVar::new(false));
            let (bell, waker) = Bell::new();
            let mut waiting = atomically_async(|tx| find_set(tx, &vars));
            assert_eq!(poll(&mut waiting, &waker), Poll::Pending);
            vars[n].store(true);
            assert_eq!(bell.rings(), 1, "variable {n}");
            assert_eq!(poll(&mut waiting, &waker), Poll::Ready(n));
        }
    });
}

#[test]
fn a_change_of_what_was_not_read_wakes_nobody() {
    watched(|| {
        let (read, written, other) = (TVar::new(0), TVar::new(0), TVar::new(0));
        let (bell, waker) = Bell::new();
        let mut waiting = atomically_async(|tx| {
            tx.optionally(|tx| {
                written.set(tx, 1)?;
                tx.retry::<()>()
            })?;
            written.set(tx, 2)?;
            // Its own write, which nobody else can change.
            written.get(tx)?;
            at_least(tx, &read, 1)
        });
        assert!(poll(&mut waiting, &waker).is_pending());
        written.store(5);
        other.store(5);
        atomically(|tx| other.update(tx, |n| n + *read.get(tx).unwrap_or(&0)));
        assert_eq!(bell.rings(), 0);
        read.store(1);
        assert_eq!(bell.rings(), 1);
    });
}

#[test]
fn every_kind_of_commit_wakes() {
    watched(|| {
        let var = TVar::new(0);
        let commits: [&dyn Fn(); 5] = [
            &|| var.store(1),
            &|| atomically(|tx| var.set(tx, 1)),
            &|| atomically(|tx| var.commute(tx, |n| n + 1)),
            &|| atomically(|tx| tx.or_else(|tx| var.set(tx, 1), |_| Ok(()))),
            &|| {
                atomically(|tx| {
                    tx.irrevocable()?;
                    var.set(tx, 1)
                });
            },
        ];
        for (n, commit) in commits.iter().enumerate() {
            var.store(0);
            let (bell, waker) = Bell::new();
            let mut waiting = atomically_async(|tx| at_least(tx, &var, 1));
            assert!(poll(&mut waiting, &waker).is_pending());
            commit();
            assert_eq!(bell.rings(), 1, "commit {n}");
            assert!(poll(&mut waiting, &waker).is_ready());
        }
    });
}

#[test]
fn an_attempt_that_does_not_commit_wakes_nobody() {
    watched(|| {
        let var = TVar::new(0);
        let (bell, waker) = Bell::new();
        let mut waiting = atomically_async(|tx| at_least(tx, &var, 1));
        assert!(poll(&mut waiting, &waker).is_pending());
        let _: Result<(), ()> = weftwork_stm::try_atomically(|tx| {
            var.set(tx, 1)?;
            abort(())
        });
        panics(|| atomically(|tx| -> Stm<()> { var.set(tx, 1).map(|()| panic!("no")) }));
        atomically(|tx| {
            tx.optionally(|tx| {
                var.set(tx, 1)?;
                tx.retry::<()>()
            })
        });
        assert_eq!(bell.rings(), 0);
    });
}

#[test]
fn a_wake_in_vain_waits_again_and_leaves_no_more_behind_than_before() {
    watched(|| {
        let var = TVar::new(0);
        let (bell, waker) = Bell::new();
        let mut waiting = atomically_async(|tx| at_least(tx, &var, 1_000));
        assert!(poll(&mut waiting, &waker).is_pending());
        let at_first = bell.left_behind();
        for n in 1..1_000 {
            var.store(n);
            assert_eq!(bell.rings(), n);
            assert!(poll(&mut waiting, &waker).is_pending());
            assert_eq!(bell.left_behind(), at_first);
        }
        var.store(1_000);
        assert!(poll(&mut waiting, &waker).is_ready());
        assert_eq!(bell.left_behind(), 0);
    });
}

#[test]
fn whoever_does_not_wait_any_more_is_forgotten() {
    watched(|| {
        let vars: [TVar<usize>; 8] = std::array::from_fn(|_| TVar::new(0));
        let (bell, waker) = Bell::new();
        let wait = || {
            let mut waiting = atomically_async(|tx| {
                tx.or_any(vars.iter().map(|v| move |tx: &Tx| at_least(tx, v, 1)))
            });
            assert!(poll(&mut waiting, &waker).is_pending());
            assert!(bell.left_behind() > 0);
            waiting
        };
        // Cancelled before it is woken.
        drop(wait());
        assert_eq!(bell.left_behind(), 0);
        // Woken, and polled to its end.
        let mut waiting = wait();
        vars[3].store(1);
        assert!(poll(&mut waiting, &waker).is_ready());
        assert_eq!(bell.left_behind(), 0);
        vars[3].store(0);
        // Woken, and dropped before it is polled.
        let waiting = wait();
        vars[7].store(1);
        drop(waiting);
        assert_eq!(bell.left_behind(), 0);
        assert_eq!(bell.rings(), 2);
    });
}

#[test]
fn a_wake_and_an_end_of_the_wait_may_meet() {
    // Item 15136 of the checklist: whoever kills and whoever wakes took two locks in different orders.
    watched(|| {
        let vars: [TVar<usize>; 4] = std::array::from_fn(|_| TVar::new(0));
        let (bell, waker) = Bell::new();
        let rounds = iters(20_000, 5_000, 50);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..rounds {
                    start.wait();
                    vars[n % 4].store(n);
                }
            });
            for n in 1..rounds {
                let mut waiting = atomically_async(|tx| {
                    vars.iter().try_for_each(|v| v.get(tx).map(drop))?;
                    tx.retry::<()>()
                });
                assert!(poll(&mut waiting, &waker).is_pending());
                start.wait();
                if n % 2 == 0 {
                    let _ = poll(&mut waiting, &waker);
                }
                drop(waiting);
            }
        });
        assert_eq!(bell.left_behind(), 0);
    });
}

#[test]
fn of_a_thousand_that_wait_only_the_one_concerned_is_woken() {
    watched(|| {
        let count = iters(1_000, 1_000, 100);
        let vars: Vec<TVar<usize>> = (0..count).map(|_| TVar::new(0)).collect();
        let mut waiting: Vec<_> = vars
            .iter()
            .map(|var| {
                let (bell, waker) = Bell::new();
                let mut wait = atomically_async(move |tx| at_least(tx, var, 1));
                assert!(poll(&mut wait, &waker).is_pending());
                (wait, bell, waker)
            })
            .collect();
        let mut dice = Dice::new(1);
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).for_each(|n| order.swap(n, dice.below(n as u64 + 1) as usize));
        for (done, &n) in order.iter().enumerate() {
            vars[n].store(1);
            let (wait, _, waker) = &mut waiting[n];
            assert!(poll(wait, waker).is_ready());
            let rings: usize = waiting.iter().map(|(_, bell, _)| bell.rings()).sum();
            assert_eq!(rings, done + 1);
        }
    });
}

#[test]
fn a_retry_that_nothing_can_wake_panics_with_both_places() {
    watched(|| {
        let var = TVar::new(0);
        type Body<'a> = &'a dyn Fn(&Tx) -> Stm<()>;
        let futile: [Body<'_>; 5] = [
            &|tx| tx.retry(),
            &|tx| tx.check(false),
            &|tx| {
                var.set(tx, 1)?;
                at_least(tx, &var, 2)
            },
            &|tx| tx.or_else(|tx| tx.retry(), |tx| tx.retry()),
            &|tx| {
                tx.catch(|tx| -> Result<(), TxError<()>> { Ok(tx.retry()?) })?
                    .unwrap();
                Ok(())
            },
        ];
        for body in futile {
            let message = panics(|| atomically(body));
            assert_eq!(message.matches(file!()).count(), 2, "{message}");
            assert_eq!(
                atomically(|tx| var.get(tx).copied()),
                0,
                "the thread goes on"
            );
        }
    });
}

#[test]
fn a_write_or_nothing_loses_neither_an_update_nor_a_wake() {
    // Item 16707 of the checklist: a read, a commit of another, a write in an alternative.
    watched(|| {
        let count = TVar::new(0);
        let each = iters(5_000, 1_000, 30);
        on_threads(4, |me| {
            if me == 0 {
                for n in 1..=each * 3 {
                    atomically(|tx| at_least(tx, &count, n));
                }
            } else {
                for _ in 0..each {
                    atomically(|tx| {
                        let n = *count.get(tx)?;
                        tx.or_else(|tx| count.set(tx, n + 1), |_| Ok(()))
                    });
                }
            }
        });
        assert_eq!(count.load(), each * 3);
    });
}

/// Threads in a row, each of which waits for its number and hands on the next one.
fn pass_around(threads: usize, rounds: usize) {
    let token = TVar::new(0);
    on_threads(threads, |me| {
        for round in 0..rounds {
            let mine = round * threads + me;
            atomically(|tx| {
                tx.check(*token.get(tx)? == mine)?;
                token.set(tx, mine + 1)
            });
        }
    });
    assert_eq!(token.load(), threads * rounds);
}

#[test]
fn a_baton_passes_through_the_hands_of_twenty() {
    watched(|| pass_around(20, iters(100, 30, 2)));
}

#[test]
fn a_token_goes_round_rings_of_three_and_of_thirty_two() {
    watched(|| {
        for (size, laps) in [(3, iters(3_000, 1_000, 20)), (32, iters(100, 30, 2))] {
            // Each has a place of its own, so a hand-over concerns one neighbour.
            let places: Vec<TVar<bool>> = (0..size).map(|n| TVar::new(n == 0)).collect();
            on_threads(size, |me| {
                for _ in 0..laps {
                    atomically(|tx| {
                        tx.check(*places[me].get(tx)?)?;
                        places[me].set(tx, false)?;
                        places[(me + 1) % size].set(tx, true)
                    });
                }
            });
            let places: Vec<bool> = places.iter().map(TVar::load).collect();
            assert!(places.iter().enumerate().all(|(n, has)| *has == (n == 0)));
        }
    });
}

#[test]
fn of_many_that_wait_for_one_item_each_time_one_gets_it() {
    watched(|| {
        let (items, taken) = (TVar::new(0_usize), TVar::new(0_usize));
        let each = iters(500, 100, 5);
        on_threads(5, |me| {
            for n in 1..=each * if me == 0 { 4 } else { 1 } {
                if me == 0 {
                    atomically(|tx| items.update(tx, |n| n + 1));
                    atomically(|tx| at_least(tx, &taken, n));
                } else {
                    atomically(|tx| {
                        at_least(tx, &items, 1)?;
                        items.update(tx, |n| n - 1)?;
                        taken.update(tx, |n| n + 1)
                    });
                }
            }
        });
        assert_eq!((items.load(), taken.load()), (0, each * 4));
    });
}

#[test]
fn a_transaction_that_retries_in_its_turn_alone_lets_others_run() {
    watched(|| {
        let var = TVar::new(0);
        let (conflicts, has_looked) = (Cell::new(0), Cell::new(false));
        let (bell, waker) = Bell::new();
        let mut waiting = atomically_async(|tx| {
            if conflicts.get() < TO_RUN_ALONE {
                conflicts.set(conflicts.get() + 1);
                return conflict(tx);
            }
            has_looked.set(true);
            at_least(tx, &var, 1)
        });
        // The turn may have to be waited for, too.
        while !has_looked.get() {
            assert!(poll(&mut waiting, &waker).is_pending());
        }
        let before = bell.rings();
        // Would wait for ever if the turn were kept.
        elsewhere(|| atomically(|tx| var.set(tx, 1)));
        assert_eq!(bell.rings(), before + 1);
        assert!(poll(&mut waiting, &waker).is_ready());
    });
}

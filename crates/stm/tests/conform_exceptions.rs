//! Panics and aborts: what they take back, what they carry, and that everything goes on afterwards.

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use support::{conflict, elsewhere, message, panics, watched};
use weftwork_stm::{Stm, TVar, Tx, TxError, abort, atomically, snapshot, try_atomically};
use weftwork_testkit::{DropCounter, iters};

/// A payload that is no text.
#[derive(Debug, PartialEq)]
struct Payload(i32);

#[test]
fn a_panic_takes_everything_back_and_carries_its_payload() {
    watched(|| {
        let (a, b) = (TVar::new(1), TVar::new(2));
        // Without an assertion that it is safe to go on: that is what is claimed.
        let payload = catch_unwind(|| {
            atomically(|tx| -> Stm<()> {
                a.set(tx, 10)?;
                b.update(tx, |n| n + a.get(tx).copied().unwrap_or(0))?;
                resume_unwind(Box::new(Payload(*b.get(tx)?)));
            });
        });
        let payload = payload.unwrap_err().downcast::<Payload>().unwrap();
        assert_eq!(*payload, Payload(12));
        assert_eq!((a.load(), b.load()), (1, 2));
    });
}

#[test]
fn a_transaction_after_a_panic_starts_with_nothing_of_it() {
    watched(|| {
        let (a, b) = (TVar::new(0), TVar::new(0));
        for round in 1..100 {
            panics(|| {
                atomically(|tx| -> Stm<()> {
                    a.set(tx, 7)?;
                    tx.optionally(|tx| -> Stm<()> {
                        b.set(tx, 7)?;
                        if round % 2 == 0 {
                            tx.retry()
                        } else {
                            panic!("in a branch")
                        }
                    })?;
                    panic!("behind the branch");
                });
            });
            let seen = atomically(|tx| {
                b.update(tx, |n| n + 1)?;
                Ok((*a.get(tx)?, *b.get(tx)?))
            });
            assert_eq!(seen, (0, round));
        }
        assert_eq!((a.load(), b.load()), (0, 99));
    });
}

#[test]
fn a_panic_locks_nobody_out() {
    watched(|| {
        let var = TVar::new(0);
        panics(|| atomically(|tx| -> Stm<()> { var.set(tx, 1).map(|()| panic!("locked?")) }));
        elsewhere(|| atomically(|tx| var.update(tx, |n| n + 5)));
        assert_eq!(var.load(), 5);
        // Also by one that ran alone.
        panics(|| {
            atomically(|tx| -> Stm<()> {
                tx.irrevocable()?;
                var.set(tx, 1).map(|()| panic!("alone"))
            });
        });
        elsewhere(|| atomically(|tx| var.update(tx, |n| n + 5)));
        assert_eq!(var.load(), 10);
    });
}

#[test]
fn a_panic_in_the_first_branch_does_not_run_the_second() {
    watched(|| {
        let message = panics(|| {
            atomically(|tx| tx.or_else(|_| panic!("first"), |_| -> Stm<()> { panic!("second") }));
        });
        assert_eq!(message, "first");
    });
}

#[test]
fn a_panic_is_no_abort_and_passes_a_catch() {
    watched(|| {
        let message = panics(|| {
            atomically(|tx| {
                tx.catch(|_| -> Result<(), TxError<()>> { panic!("through the catch") })
            })
        });
        assert_eq!(message, "through the catch");
    });
}

#[test]
fn a_body_that_catches_a_panic_itself_goes_on() {
    watched(|| {
        let (a, b) = (TVar::new(1), TVar::new(1));
        atomically(|tx| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                a.set(tx, 2)?;
                // The closure panics while the operation is half done.
                a.update(tx, |n| panic!("with {n}"))
            }));
            assert_eq!(message(&*caught.unwrap_err()), "with 2");
            let seen = *a.get(tx)?;
            b.set(tx, seen * 10)
        });
        assert_eq!(
            (a.load(), b.load()),
            (2, 20),
            "what was written before stays written"
        );
    });
}

#[test]
fn a_panic_in_a_clone_takes_everything_back() {
    struct Fragile;
    impl Clone for Fragile {
        fn clone(&self) -> Fragile {
            panic!("do not copy");
        }
    }
    watched(|| {
        let (fragile, count) = (TVar::new(Fragile), TVar::new(0));
        let message = panics(|| {
            atomically(|tx| {
                count.set(tx, 1)?;
                fragile.replace(tx, Fragile).map(drop)
            });
        });
        assert_eq!((message.as_str(), count.load()), ("do not copy", 0));
        assert_eq!(panics(|| fragile.load()), "do not copy");
        fragile.with(|_| ());
        fragile.store(Fragile);
    });
}

#[test]
fn values_of_an_attempt_that_panicked_are_dropped_once() {
    watched(|| {
        let drops = DropCounter::new();
        let var = TVar::new(drops.track(0));
        let body = |tx: &Tx, ends: &dyn Fn(&Tx) -> Stm<()>| -> Stm<()> {
            var.set(tx, drops.track(1))?;
            var.set(tx, drops.track(2))?;
            tx.optionally(|tx| {
                var.set(tx, drops.track(3))?;
                tx.retry::<()>()
            })?;
            let inner = TVar::new(drops.track(4));
            inner.set(tx, drops.track(5))?;
            ends(tx)
        };
        panics(|| atomically(|tx| body(tx, &|_| panic!("now"))));
        atomically(|tx| {
            body(tx, &|tx| {
                if tx.attempt() < 3 {
                    conflict(tx)
                } else {
                    Ok(())
                }
            })
        });
        drop(var);
        // What others have seen is dropped when nobody can be looking.
        while drops.live() > 0 {
            weftwork_stm::flush();
            thread::yield_now();
        }
        assert_eq!(drops.created(), 1 + 5 * 5);
    });
}

#[test]
fn an_abort_takes_everything_back_and_carries_its_reason() {
    watched(|| {
        let (a, b) = (TVar::new(1), TVar::new(2));
        let result: Result<(), String> = try_atomically(|tx| {
            a.set(tx, 10)?;
            b.set(tx, 20)?;
            abort(format!("{} {}", a.get(tx)?, b.get(tx)?))
        });
        assert_eq!(result, Err("10 20".into()));
        assert_eq!((a.load(), b.load()), (1, 2));
    });
}

#[test]
fn an_abort_by_the_question_mark_on_a_reason_of_ones_own_works() {
    fn parse(text: &str) -> Result<u32, TxError<std::num::ParseIntError>> {
        text.parse().map_err(TxError::Abort)
    }
    watched(|| {
        let sum = TVar::new(0);
        let add = |texts: &[&str]| {
            try_atomically(|tx| {
                for text in texts {
                    let n = parse(text)?;
                    sum.update(tx, |sum| sum + n)?;
                }
                Ok(())
            })
        };
        assert!(add(&["1", "2"]).is_ok());
        assert!(add(&["4", "x", "8"]).is_err());
        assert_eq!(sum.load(), 3);
    });
}

/// One cell of the matrix of item 61 of the checklist: writes outside, before, inside, and what is left
/// of them.
fn matrix(
    inner: Option<&'static str>,
    outer: Option<&'static str>,
) -> (Result<bool, &'static str>, [u32; 3]) {
    let vars: [TVar<u32>; 3] = std::array::from_fn(|_| TVar::new(0));
    let result = try_atomically(|tx| {
        vars[0].set(tx, 1)?;
        let caught = tx.catch(|tx| {
            vars[1].set(tx, 1)?;
            vars[0].update(tx, |n| n + 1)?;
            inner.map_or(Ok(()), abort)
        })?;
        vars[2].set(tx, 1)?;
        outer.map_or(Ok(caught.is_err()), abort)
    });
    (result, vars.map(|var| var.load()))
}

#[test]
fn a_catch_takes_back_the_inside_and_an_abort_everything() {
    watched(|| {
        assert_eq!(matrix(None, None), (Ok(false), [2, 1, 1]));
        assert_eq!(matrix(Some("in"), None), (Ok(true), [1, 0, 1]));
        assert_eq!(matrix(None, Some("out")), (Err("out"), [0, 0, 0]));
        assert_eq!(matrix(Some("in"), Some("out")), (Err("out"), [0, 0, 0]));
    });
}

#[test]
fn a_reason_that_is_caught_and_passed_on_aborts_as_if_not_caught() {
    watched(|| {
        let var = TVar::new(0);
        let result: Result<(), u8> = try_atomically(|tx| {
            let caught = tx.catch(|tx| {
                var.set(tx, 1)?;
                abort(1_u8)
            })?;
            var.set(tx, 2)?;
            caught.map_err(TxError::Abort)
        });
        assert_eq!((result, var.load()), (Err(1), 0));
    });
}

#[test]
fn the_handler_of_a_reason_writes_on_top_of_the_state_before() {
    watched(|| {
        let var = TVar::new(1);
        let caught = atomically(|tx| {
            var.update(tx, |n| n * 10)?;
            match tx.catch(|tx| {
                var.update(tx, |n| n * 10)?;
                abort(*var.get(tx)?)
            })? {
                Ok(()) => unreachable!("it aborts"),
                Err(reason) => {
                    var.update(tx, |n| n + reason)?;
                    Ok(reason)
                }
            }
        });
        assert_eq!((caught, var.load()), (100, 110));
    });
}

#[test]
fn catches_in_catches_take_back_what_is_inside_of_them() {
    watched(|| {
        let vars: [TVar<u32>; 3] = std::array::from_fn(|_| TVar::new(0));
        let result: Result<(), &str> = atomically(|tx| {
            tx.catch(|tx| {
                vars[0].set(tx, 1)?;
                let inner: Result<(), u8> = tx.catch(|tx| {
                    vars[1].set(tx, 1)?;
                    abort(5_u8)
                })?;
                assert_eq!(inner, Err(5));
                vars[2].set(tx, 1)?;
                match tx.optionally(|tx| tx.check(*vars[0].get(tx)? == 1))? {
                    Some(()) => abort("outer"),
                    None => Ok(()),
                }
            })
        });
        assert_eq!(result, Err("outer"));
        assert_eq!(vars.map(|var| var.load()), [0, 0, 0]);
    });
}

#[test]
fn a_retry_passes_a_catch() {
    watched(|| {
        let var = TVar::new(0);
        let result: Result<&str, ()> = atomically(|tx| {
            tx.or_else(
                |tx| {
                    tx.catch(|tx| {
                        var.set(tx, 1)?;
                        Ok(tx.retry()?)
                    })
                },
                |_| Ok(Ok("after the retry")),
            )
        });
        assert_eq!((result, var.load()), (Ok("after the retry"), 0));
    });
}

#[test]
fn what_a_caught_part_has_read_is_validated_by_the_commit() {
    watched(|| {
        let (limit, other) = (TVar::new(1), TVar::new(0));
        let runs = Cell::new(0);
        let caught: Result<(), i32> = atomically(|tx| {
            runs.set(runs.get() + 1);
            let caught = tx.catch(|tx| abort(*limit.get(tx)?))?;
            if runs.get() == 1 {
                elsewhere(|| limit.store(2));
            }
            other.set(tx, 1)?;
            Ok(caught)
        });
        assert_eq!((caught, runs.get()), (Err(2), 2));
    });
}

#[test]
fn a_transaction_inside_a_transaction_panics_with_both_places() {
    watched(|| {
        let var = TVar::new(0);
        let nested: [(&str, &dyn Fn()); 3] = [
            ("transaction", &|| atomically(|_| Ok(()))),
            ("transaction", &|| {
                try_atomically(|_| Ok::<_, TxError<()>>(())).unwrap()
            }),
            ("snapshot", &|| snapshot(|_| ())),
        ];
        for (what, begin) in nested {
            let from_transaction = panics(|| {
                atomically(|tx| {
                    var.set(tx, 1)?;
                    begin();
                    Ok(())
                });
            });
            let from_snapshot = panics(|| snapshot(|_| begin()));
            for message in [from_transaction, from_snapshot] {
                assert!(message.contains(what), "{message}");
                assert_eq!(message.matches(file!()).count(), 2, "{message}");
            }
            // Afterwards, the thread is as good as before.
            assert_eq!((var.load(), atomically(|tx| var.get(tx).copied())), (0, 0));
            begin();
        }
    });
}

#[test]
fn many_that_abort_and_panic_beside_each_other_change_nothing() {
    watched(|| {
        let var = TVar::new(0_u32);
        let commits: u32 = support::on_threads(3, |me| {
            let mut commits = 0;
            for n in 0..iters(3_000, 1_000, 30) {
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    try_atomically(|tx| {
                        var.update(tx, |n| n + 1)?;
                        match (n + me) % 3 {
                            0 => abort("no"),
                            // Not through the hook: it would print thousands of messages.
                            1 => resume_unwind(Box::new(Payload(1))),
                            _ => Ok(()),
                        }
                    })
                }));
                commits += u32::from(matches!(ended, Ok(Ok(()))));
            }
            commits
        })
        .into_iter()
        .sum();
        assert_eq!(var.load(), commits);
    });
}

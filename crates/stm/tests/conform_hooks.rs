//! Hooks: when they run, in which order, what they may do, and with which branches they go.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use support::{TO_RUN_ALONE, conflict, elsewhere, panics, watched};
use weftwork_stm::{Stm, TVar, Tx, abort, atomically, try_atomically};
use weftwork_testkit::DropCounter;

/// What hooks have written down, in order.
#[derive(Clone, Default)]
struct Diary(Rc<RefCell<Vec<&'static str>>>);

impl Diary {
    fn note(&self, what: &'static str) {
        self.0.borrow_mut().push(what);
    }

    fn on_commit(&self, tx: &Tx, what: &'static str) {
        let diary = self.clone();
        tx.on_commit(move || diary.note(what));
    }

    fn on_abort(&self, tx: &Tx, what: &'static str) {
        let diary = self.clone();
        tx.on_abort(move || diary.note(what));
    }

    /// Both, one entry each.
    fn on_both(&self, tx: &Tx, commit: &'static str, abort: &'static str) {
        self.on_commit(tx, commit);
        self.on_abort(tx, abort);
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

#[test]
fn commit_hooks_run_after_the_commit_in_the_order_of_their_making() {
    watched(|| {
        let (var, diary) = (TVar::new(0), Diary::default());
        atomically(|tx| {
            diary.on_both(tx, "first", "undo");
            var.set(tx, 1)?;
            let (seen, inner) = (var.clone(), diary.clone());
            tx.on_commit(move || {
                assert_eq!((seen.load(), elsewhere(|| seen.load())), (1, 1));
                inner.note("second");
            });
            diary.on_both(tx, "third", "undo");
            diary.note("body");
            Ok(())
        });
        assert_eq!(diary.take(), ["body", "first", "second", "third"]);
    });
}

#[test]
fn hooks_of_a_transaction_that_only_reads_run_too() {
    watched(|| {
        let (var, diary) = (TVar::new(3), Diary::default());
        let seen = atomically(|tx| {
            diary.on_both(tx, "read", "undo");
            var.get(tx).copied()
        });
        assert_eq!((seen, diary.take()), (3, vec!["read"]));
    });
}

#[test]
fn an_attempt_that_runs_into_others_leaves_its_abort_hooks_alone() {
    watched(|| {
        let diary = Diary::default();
        let runs = Cell::new(0);
        atomically(|tx| {
            runs.set(runs.get() + 1);
            diary.on_both(tx, "done", "undo");
            if runs.get() < 3 { conflict(tx) } else { Ok(()) }
        });
        assert_eq!(diary.take(), ["undo", "undo", "done"]);
    });
}

#[test]
fn an_attempt_overtaken_at_its_commit_leaves_its_abort_hooks_alone() {
    watched(|| {
        let (read, written, diary) = (TVar::new(0), TVar::new(0), Diary::default());
        let runs = Cell::new(0);
        atomically(|tx| {
            runs.set(runs.get() + 1);
            diary.on_both(tx, "done", "undo");
            written.set(tx, *read.get(tx)?)?;
            if runs.get() == 1 {
                elsewhere(|| read.store(1));
            }
            Ok(())
        });
        assert_eq!(diary.take(), ["undo", "done"]);
    });
}

#[test]
fn an_abort_runs_the_abort_hooks_in_order() {
    watched(|| {
        let diary = Diary::default();
        let result: Result<(), i32> = try_atomically(|tx| {
            diary.on_both(tx, "done", "first");
            diary.on_both(tx, "done", "second");
            diary.note("body");
            abort(5)
        });
        assert_eq!(result, Err(5));
        assert_eq!(diary.take(), ["body", "first", "second"]);
    });
}

#[test]
fn a_panic_of_the_body_runs_the_abort_hooks_and_goes_on() {
    watched(|| {
        let diary = Diary::default();
        let message = panics(|| {
            atomically(|tx| -> Stm<()> {
                diary.on_both(tx, "done", "undo");
                panic!("of the body");
            });
        });
        assert_eq!(
            (message.as_str(), diary.take()),
            ("of the body", vec!["undo"])
        );
    });
}

#[test]
fn a_retry_runs_the_abort_hooks_before_it_waits() {
    watched(|| {
        let (gate, diary) = (TVar::new(false), Diary::default());
        atomically(|tx| {
            diary.on_both(tx, "done", "undo");
            // The hook itself opens the gate: it would be closed for ever if the wait came first.
            let opener = gate.clone();
            tx.on_abort(move || opener.store(true));
            tx.check(*gate.get(tx)?)
        });
        assert_eq!(diary.take(), ["undo", "done"]);
    });
}

#[test]
fn hooks_go_with_the_branch_that_made_them() {
    watched(|| {
        let diary = Diary::default();
        let branch = |tx: &Tx| -> Stm<()> {
            diary.on_both(tx, "left", "left undone");
            tx.or_else(
                |tx| {
                    diary.on_both(tx, "inner", "inner undone");
                    tx.retry()
                },
                |tx| {
                    diary.on_both(tx, "other", "other undone");
                    Ok(())
                },
            )?;
            tx.retry()
        };
        let caught: Result<(), &str> = atomically(|tx| {
            diary.on_both(tx, "around", "around undone");
            tx.or_else(branch, |tx| {
                diary.on_both(tx, "right", "right undone");
                Ok(())
            })?;
            let caught = tx.catch(|tx| {
                diary.on_both(tx, "caught", "caught undone");
                abort("no")
            });
            diary.note("body");
            caught
        });
        assert_eq!(caught, Err("no"));
        let (undone, done) = (
            [
                "inner undone",
                "left undone",
                "other undone",
                "caught undone",
            ],
            ["around", "right"],
        );
        let expected: Vec<_> = ["body"].into_iter().chain(undone).chain(done).collect();
        assert_eq!(diary.take(), expected);
    });
}

#[test]
fn hooks_that_do_not_run_are_dropped() {
    watched(|| {
        let drops = DropCounter::new();
        let keep = |tx: &Tx| {
            let (a, b) = (drops.track(()), drops.track(()));
            tx.on_commit(move || drop(a));
            tx.on_abort(move || drop(b));
        };
        let runs = Cell::new(0);
        atomically(|tx| {
            runs.set(runs.get() + 1);
            keep(tx);
            tx.optionally(|tx| {
                keep(tx);
                tx.retry::<()>()
            })?;
            keep(tx);
            if runs.get() == 1 {
                conflict(tx)
            } else {
                Ok(())
            }
        });
        assert_eq!(drops.created(), 12);
        drops.assert_none_live();
    });
}

#[test]
fn a_hook_may_run_transactions_with_hooks_of_their_own() {
    watched(|| {
        let (var, diary) = (TVar::new(0), Diary::default());
        let (again, inner) = (var.clone(), diary.clone());
        let again = &Rc::new(again);
        atomically(|tx| {
            var.update(tx, |n| n + 1)?;
            let (again, inner) = (Rc::clone(again), inner.clone());
            tx.on_commit(move || {
                atomically(|tx| {
                    inner.on_commit(tx, "inner");
                    again.update(tx, |n| n * 10)
                });
                inner.note("outer");
            });
            diary.on_commit(tx, "last");
            Ok(())
        });
        assert_eq!(var.load(), 10);
        assert_eq!(diary.take(), ["inner", "outer", "last"]);
    });
}

#[test]
fn a_hook_may_wait_for_another_transaction() {
    watched(|| {
        let (asked, answered) = (TVar::new(0), TVar::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                atomically(|tx| {
                    tx.check(*asked.get(tx)? == 1)?;
                    answered.set(tx, 1)
                });
            });
            atomically(|tx| {
                asked.set(tx, 1)?;
                let answered = answered.clone();
                tx.on_commit(move || atomically(|tx| tx.check(*answered.get(tx)? == 1)));
                Ok(())
            });
        });
        assert_eq!(answered.load(), 1);
    });
}

#[test]
fn a_hook_that_panics_neither_undoes_the_commit_nor_stops_the_others() {
    watched(|| {
        let (var, diary) = (TVar::new(0), Diary::default());
        let message = panics(|| {
            atomically(|tx| {
                var.set(tx, 1)?;
                diary.on_commit(tx, "before");
                tx.on_commit(|| panic!("of the first"));
                tx.on_commit(|| panic!("of the second"));
                diary.on_commit(tx, "after");
                Ok(())
            });
        });
        assert_eq!(message, "of the first");
        assert_eq!((var.load(), diary.take()), (1, vec!["before", "after"]));
        // The thread is as good as before.
        atomically(|tx| {
            diary.on_commit(tx, "later");
            var.set(tx, 2)
        });
        assert_eq!((var.load(), diary.take()), (2, vec!["later"]));
    });
}

#[test]
fn an_abort_hook_that_panics_is_heard_after_the_others() {
    watched(|| {
        let diary = Diary::default();
        let message = panics(|| {
            let _: Result<(), ()> = try_atomically(|tx| {
                tx.on_abort(|| panic!("of the hook"));
                diary.on_abort(tx, "undone");
                abort(())
            });
        });
        assert_eq!(
            (message.as_str(), diary.take()),
            ("of the hook", vec!["undone"])
        );
    });
}

#[test]
fn the_panic_of_a_body_is_heard_before_that_of_its_hooks() {
    watched(|| {
        let diary = Diary::default();
        let message = panics(|| {
            atomically(|tx| -> Stm<()> {
                tx.on_abort(|| panic!("of the hook"));
                diary.on_abort(tx, "undone");
                panic!("of the body");
            });
        });
        assert_eq!(
            (message.as_str(), diary.take()),
            ("of the body", vec!["undone"])
        );
    });
}

#[test]
fn hooks_of_a_transaction_that_ran_alone_may_run_transactions() {
    watched(|| {
        // The hook comes after the turn: it would wait for its own end otherwise.
        let (var, diary) = (TVar::new(0), Diary::default());
        atomically(|tx| {
            tx.irrevocable()?;
            let inner = var.clone();
            tx.on_commit(move || atomically(|tx| inner.update(tx, |n| n + 1)));
            let inner = var.clone();
            tx.on_commit(move || inner.store(elsewhere(|| inner.load() + 10)));
            diary.on_commit(tx, "done");
            Ok(())
        });
        assert_eq!((var.load(), diary.take()), (11, vec!["done"]));
    });
}

#[test]
fn abort_hooks_of_a_transaction_that_ran_alone_may_run_transactions() {
    watched(|| {
        let var = TVar::new(0);
        let runs = Cell::new(0);
        let result: Result<(), i32> = try_atomically(|tx| {
            runs.set(runs.get() + 1);
            if runs.get() <= TO_RUN_ALONE {
                conflict::<()>(tx)?;
            }
            let inner = var.clone();
            tx.on_abort(move || atomically(|tx| inner.update(tx, |n| n + 1)));
            abort(1)
        });
        assert_eq!((result, var.load()), (Err(1), 1));
        // The same by a panic.
        let message = panics(|| {
            atomically(|tx| -> Stm<()> {
                tx.irrevocable()?;
                let inner = var.clone();
                tx.on_abort(move || atomically(|tx| inner.update(tx, |n| n + 1)));
                panic!("alone");
            });
        });
        assert_eq!((message.as_str(), var.load()), ("alone", 2));
    });
}

//! Transaction-locals: a value for each attempt, which goes with the attempt, or with its branch.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{conflict, on_threads, panics, watched};
use weftwork_stm::{
    Stm, TVar, TxLocal, abort, atomically, atomically_async, stats, try_atomically,
};
use weftwork_testkit::iters;

#[test]
fn each_transaction_starts_with_the_initial_value() {
    static LOCAL: TxLocal<u32> = TxLocal::new(|| 5);
    watched(|| {
        for _ in 0..3 {
            let seen = atomically(|tx| {
                let first = *LOCAL.get(tx);
                LOCAL.set(tx, 6);
                LOCAL.with(tx, |n| *n += 1);
                Ok((first, *LOCAL.get(tx)))
            });
            assert_eq!(seen, (5, 7));
        }
    });
}

#[test]
fn each_attempt_starts_with_the_initial_value() {
    static LOCAL: TxLocal<u32> = TxLocal::new(|| 0);
    watched(|| {
        let runs = Cell::new(0);
        atomically(|tx| {
            runs.set(runs.get() + 1);
            LOCAL.with(tx, |n| *n += 1);
            assert_eq!(*LOCAL.get(tx), 1);
            if runs.get() < 4 { conflict(tx) } else { Ok(()) }
        });
        assert_eq!(runs.get(), 4);
    });
}

#[test]
fn what_is_set_first_is_never_initialized() {
    static LOCAL: TxLocal<u32> = TxLocal::new(|| panic!("nobody asked"));
    watched(|| {
        let seen = atomically(|tx| {
            LOCAL.set(tx, 3);
            Ok(*LOCAL.get(tx))
        });
        assert_eq!(seen, 3);
    });
}

#[test]
fn the_initial_value_is_made_once_for_each_attempt_that_asks() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static LOCAL: TxLocal<u32> = TxLocal::new(|| {
        MADE.fetch_add(1, Ordering::Relaxed);
        1
    });
    watched(|| {
        atomically(|_| Ok(()));
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        atomically(|tx| {
            (0..10).for_each(|_| assert_eq!(*LOCAL.get(tx), 1));
            Ok(())
        });
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_panic_while_the_initial_value_is_made_leaves_it_unmade() {
    static FAILS: AtomicUsize = AtomicUsize::new(1);
    static LOCAL: TxLocal<u32> = TxLocal::new(|| {
        assert_eq!(FAILS.swap(0, Ordering::Relaxed), 0, "not yet");
        9
    });
    watched(|| {
        assert!(panics(|| atomically(|tx| Ok(*LOCAL.get(tx)))).contains("not yet"));
        assert_eq!(atomically(|tx| Ok(*LOCAL.get(tx))), 9);
        // Also one that the body catches itself.
        FAILS.store(1, Ordering::Relaxed);
        let seen = atomically(|tx| {
            panics(|| *LOCAL.get(tx));
            Ok(*LOCAL.get(tx))
        });
        assert_eq!(seen, 9);
    });
}

#[test]
fn a_change_goes_with_the_branch_that_made_it() {
    static LOCAL: TxLocal<Vec<&str>> = TxLocal::new(Vec::new);
    let add = |tx: &_, what| LOCAL.with(tx, |all| all.push(what));
    watched(|| {
        let seen = atomically(|tx| {
            add(tx, "around");
            tx.or_else(
                |tx| -> Stm<()> {
                    add(tx, "left");
                    tx.optionally(|tx| -> Stm<()> {
                        add(tx, "inner");
                        tx.retry()
                    })?;
                    assert_eq!(*LOCAL.get(tx), ["around", "left"]);
                    tx.retry()
                },
                |tx| {
                    add(tx, "right");
                    Ok(())
                },
            )?;
            let _: Result<(), ()> = tx.catch(|tx| {
                add(tx, "given up");
                abort(())
            })?;
            let _: Result<(), ()> = tx.catch(|tx| {
                add(tx, "kept");
                Ok(())
            })?;
            Ok(LOCAL.get(tx).clone())
        });
        assert_eq!(seen, ["around", "right", "kept"]);
    });
}

#[test]
fn a_value_first_asked_for_in_a_branch_is_initial_again_behind_it() {
    static LOCAL: TxLocal<u32> = TxLocal::new(|| 1);
    watched(|| {
        let seen = atomically(|tx| {
            tx.optionally(|tx| -> Stm<()> {
                LOCAL.with(tx, |n| *n += 1);
                assert_eq!(*LOCAL.get(tx), 2);
                tx.retry()
            })?;
            Ok(*LOCAL.get(tx))
        });
        assert_eq!(seen, 1);
    });
}

#[test]
fn a_reference_shows_what_was_there_whatever_is_set_or_rolled_back_since() {
    static LOCAL: TxLocal<String> = TxLocal::new(|| "first".into());
    watched(|| {
        atomically(|tx| {
            let first = LOCAL.get(tx);
            let of_branch = Cell::new(None);
            tx.optionally(|_| -> Stm<()> {
                LOCAL.set(tx, "of the branch".into());
                of_branch.set(Some(LOCAL.get(tx)));
                LOCAL.set(tx, "later in the branch".into());
                tx.retry()
            })?;
            LOCAL.set(tx, "last".into());
            assert_eq!(first, "first");
            assert_eq!(of_branch.get().unwrap(), "of the branch");
            assert_eq!(LOCAL.get(tx), "last");
            Ok(())
        });
    });
}

#[test]
fn locals_are_told_apart_however_many_there_are() {
    watched(|| {
        let locals: [TxLocal<u32>; 64] = std::array::from_fn(|_| TxLocal::new(|| 0));
        let other: TxLocal<String> = TxLocal::new(String::new);
        let vars: [TVar<u32>; 64] = std::array::from_fn(|_| TVar::new(0));
        atomically(|tx| {
            other.with(tx, |text| text.push('x'));
            for (n, (local, var)) in (0..).zip(locals.iter().zip(&vars)) {
                local.set(tx, n);
                var.set(tx, n + 100)?;
            }
            other.with(tx, |text| text.push('y'));
            for (n, (local, var)) in (0..).zip(locals.iter().zip(&vars)) {
                assert_eq!((*local.get(tx), *var.get(tx)?), (n, n + 100));
            }
            assert_eq!(other.get(tx), "xy");
            Ok(())
        });
    });
}

#[test]
fn the_initial_value_of_one_may_need_another() {
    thread_local! {
        // An init has no way to its transaction but one like this.
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }
    static LOCAL: TxLocal<u32> = TxLocal::new(|| DEPTH.replace(7));
    watched(|| {
        assert_eq!(atomically(|tx| Ok(*LOCAL.get(tx))), 0);
        assert_eq!(atomically(|tx| Ok(*LOCAL.get(tx))), 7);
    });
}

#[test]
fn threads_see_their_own_values() {
    static LOCAL: TxLocal<usize> = TxLocal::new(|| 0);
    watched(|| {
        let hot = TVar::new(0);
        on_threads(3, |me| {
            for n in 0..iters(5_000, 1_000, 50) {
                atomically(|tx| {
                    assert_eq!(*LOCAL.get(tx), 0);
                    LOCAL.set(tx, me * 1_000_000 + n);
                    hot.update(tx, |n| n + 1)?;
                    assert_eq!(*LOCAL.get(tx), me * 1_000_000 + n);
                    Ok(())
                });
            }
        });
    });
}

#[test]
fn a_value_need_not_be_shareable() {
    static LOCAL: TxLocal<Rc<RefCell<Vec<u32>>>> = TxLocal::new(Rc::default);
    watched(|| {
        let kept = RefCell::new(Vec::new());
        let runs = Cell::new(0);
        atomically(|tx| {
            runs.set(runs.get() + 1);
            LOCAL.get(tx).borrow_mut().push(runs.get());
            kept.borrow_mut().push(Rc::clone(LOCAL.get(tx)));
            if runs.get() < 3 { conflict(tx) } else { Ok(()) }
        });
        let kept = kept.into_inner();
        assert_eq!(
            kept.iter().map(|v| v.borrow().clone()).collect::<Vec<_>>(),
            [[1], [2], [3]]
        );
        // The attempts have let go of theirs.
        assert!(kept.iter().all(|value| Rc::strong_count(value) == 1));
    });
}

#[test]
fn values_go_with_the_attempt_however_it_ends() {
    static LOCAL: TxLocal<Option<Rc<()>>> = TxLocal::new(|| None);
    watched(|| {
        let value = Rc::new(());
        let set = |tx: &_| {
            LOCAL.set(tx, Some(Rc::clone(&value)));
            // Replaced values are kept for references to them, but no longer than the attempt.
            LOCAL.with(tx, |_| ());
        };
        atomically(|tx| {
            set(tx);
            Ok(())
        });
        let _: Result<(), ()> = try_atomically(|tx| {
            set(tx);
            abort(())
        });
        panics(|| {
            atomically(|tx| -> Stm<()> {
                set(tx);
                panic!("with a value")
            });
        });
        assert_eq!(Rc::strong_count(&value), 1);
    });
}

#[test]
fn a_change_of_a_local_is_no_write() {
    static LOCAL: TxLocal<u32> = TxLocal::new(|| 0);
    watched(|| {
        let var = TVar::new(0);
        let of_name = || {
            let named = stats().named.into_iter();
            let mut counts = named.filter(|(name, _)| *name == "a local");
            counts
                .next()
                .map_or((0, 0), |(_, c)| (c.commits, c.read_only_commits))
        };
        weftwork_stm::named("a local")
            .run(|tx| {
                LOCAL.set(tx, 1);
                var.get(tx).copied()
            })
            .unwrap();
        assert_eq!(of_name(), (0, 1));
    });
}

#[test]
fn a_hook_is_handed_what_the_local_has_gathered() {
    // What locals are for: one hook at the end, however many parts of the body have something to say.
    static LOG: TxLocal<Vec<u32>> = TxLocal::new(Vec::new);
    watched(|| {
        let heard = Rc::new(RefCell::new(Vec::new()));
        atomically(|tx| {
            for n in 0..3 {
                LOG.with(tx, |log| log.push(n));
            }
            let (log, heard) = (LOG.get(tx).clone(), Rc::clone(&heard));
            tx.on_commit(move || heard.borrow_mut().extend(log));
            Ok(())
        });
        assert_eq!(*heard.borrow(), [0, 1, 2]);
    });
}

#[test]
fn each_poll_of_a_future_starts_with_the_initial_value() {
    static LOCAL: TxLocal<u32> = TxLocal::new(|| 0);
    watched(|| {
        let var = TVar::new(0);
        let (bell, waker) = support::Bell::new();
        let mut waiting = atomically_async(|tx| {
            LOCAL.with(tx, |n| *n += 1);
            assert_eq!(*LOCAL.get(tx), 1);
            tx.check(*var.get(tx)? == 3)
        });
        for n in 1..4 {
            assert!(support::poll(&mut waiting, &waker).is_pending());
            var.store(n);
        }
        assert!(support::poll(&mut waiting, &waker).is_ready());
        assert_eq!(bell.rings(), 3);
    });
}

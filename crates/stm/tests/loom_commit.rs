//! Commits against commits and against readers, in every interleaving: what is read belongs to one state, and
//! what is committed has one order.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::sync::Arc;
use weftwork_core::sync::thread;
use weftwork_stm::{TVar, atomically, snapshot};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// Lets commits share their stamps, until it is dropped.
struct Sharing;

impl Sharing {
    fn begin() -> Sharing {
        weftwork_stm::share_stamps(true);
        Sharing
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        weftwork_stm::share_stamps(false);
    }
}

/// Two variables that exist already: what materializing them does is another model's concern.
fn pair() -> Arc<[TVar<u32>; 2]> {
    let pair = [TVar::new(0), TVar::new(0)];
    pair.iter().for_each(|var| drop(var.clone()));
    Arc::new(pair)
}

#[test]
fn no_increment_is_lost() {
    model("increment against increment", 220, || {
        let vars = pair();
        let other = thread::spawn({
            let vars = Arc::clone(&vars);
            move || atomically(|tx| vars[0].update(tx, |n| n + 1))
        });
        atomically(|tx| vars[0].update(tx, |n| n + 1));
        other.join().unwrap();
        assert_eq!(vars[0].load(), 2, "an increment is lost");
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "both saw the other unset"))]
fn canary_of_two_that_each_need_the_other_unset_one_is_second() {
    weaken!("stm: locks in validation");
    model("write skew", 200, || {
        let vars = pair();
        let set = |mine: usize, vars: &[TVar<u32>; 2]| {
            atomically(|tx| {
                if *vars[1 - mine].get(tx)? == 0 {
                    vars[mine].set(tx, 1)?;
                }
                Ok(())
            });
        };
        let other = thread::spawn({
            let vars = Arc::clone(&vars);
            move || set(1, &vars)
        });
        set(0, &vars);
        other.join().unwrap();
        assert!(
            vars[0].load() + vars[1].load() == 1,
            "both saw the other unset"
        );
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "both saw the other unset"))]
fn canary_the_tick_orders_the_locks() {
    weaken!("stm: tick");
    model("write skew, by the tick", 200, || {
        let vars = pair();
        let set = |mine: usize, vars: &[TVar<u32>; 2]| {
            atomically(|tx| {
                if *vars[1 - mine].get(tx)? == 0 {
                    vars[mine].set(tx, 1)?;
                }
                Ok(())
            });
        };
        let other = thread::spawn({
            let vars = Arc::clone(&vars);
            move || set(1, &vars)
        });
        set(0, &vars);
        other.join().unwrap();
        assert!(
            vars[0].load() + vars[1].load() == 1,
            "both saw the other unset"
        );
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "a torn state"))]
fn canary_a_body_sees_one_state_even_if_it_is_doomed() {
    weaken!("stm: extension");
    model("opacity", 40, || {
        let vars = pair();
        let third = Arc::new(TVar::new(0));
        drop(TVar::clone(&third));
        third.store(1);
        let writer = thread::spawn({
            let vars = Arc::clone(&vars);
            move || {
                atomically(|tx| {
                    vars[0].set(tx, 1)?;
                    vars[1].set(tx, 1)
                });
            }
        });
        atomically(|tx| {
            let a = *vars[0].get(tx)?;
            // Newer than the time this thread knows, which moves forward here.
            third.get(tx)?;
            let b = *vars[1].get(tx)?;
            assert_eq!(a, b, "a torn state");
            Ok(())
        });
        writer.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_value_is_seen_whole() {
    weaken!("stm: publication");
    model("publication", 65, || {
        let vars = pair();
        let writer = thread::spawn({
            let vars = Arc::clone(&vars);
            move || vars[0].store(7)
        });
        let n = atomically(|tx| vars[0].get(tx).copied());
        assert!(n == 0 || n == 7);
        writer.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "no order explains this"))]
fn canary_a_snapshot_and_two_commits_have_one_order() {
    weaken!("stm: tick before validation");
    model("two commits and a snapshot", 20_000, || {
        let vars = pair();
        // Reads 0, writes 1: it must come before the other if it has not seen the other's write.
        let first = thread::spawn({
            let vars = Arc::clone(&vars);
            move || {
                atomically(|tx| {
                    let x = *vars[0].get(tx)?;
                    vars[1].set(tx, x + 10)
                });
            }
        });
        let second = thread::spawn({
            let vars = Arc::clone(&vars);
            move || vars[0].store(1)
        });
        let (x, y) = snapshot(|s| (*vars[0].view(s), *vars[1].view(s)));
        first.join().unwrap();
        second.join().unwrap();
        let end = vars[1].load();
        // If `first` read 0 it precedes `second`: who sees `second` sees it.
        assert!(
            !(x == 1 && y == 0 && end == 10),
            "no order explains this: {x} {y} {end}"
        );
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "both saw the other unset"))]
fn canary_shared_stamps_are_in_one_order_with_the_locks() {
    weaken!("stm: order of the clock");
    let _sharing = Sharing::begin();
    model("write skew, shared stamps", 60, || {
        let vars = pair();
        // A stamp is ahead: the two only look at the clock.
        atomically(|tx| TVar::new(0).set(tx, 1));
        let set = |mine: usize, vars: &[TVar<u32>; 2]| {
            atomically(|tx| {
                if *vars[1 - mine].get(tx)? == 0 {
                    vars[mine].set(tx, 1)?;
                }
                Ok(())
            });
        };
        let other = thread::spawn({
            let vars = Arc::clone(&vars);
            move || set(1, &vars)
        });
        set(0, &vars);
        other.join().unwrap();
        assert!(
            vars[0].load() + vars[1].load() == 1,
            "both saw the other unset"
        );
    });
}

#[test]
fn no_increment_is_lost_with_shared_stamps() {
    let _sharing = Sharing::begin();
    model("increments, shared stamps", 220, || {
        let vars = pair();
        let other = thread::spawn({
            let vars = Arc::clone(&vars);
            move || atomically(|tx| vars[0].update(tx, |n| n + 1))
        });
        atomically(|tx| vars[0].update(tx, |n| n + 1));
        other.join().unwrap();
        assert_eq!(vars[0].load(), 2, "an increment is lost");
    });
}

#[test]
fn a_body_sees_one_state_of_shared_stamps() {
    let _sharing = Sharing::begin();
    model("opacity, shared stamps", 15, || {
        let vars = pair();
        let third = Arc::new(TVar::new(0));
        drop(TVar::clone(&third));
        third.store(1);
        let writer = thread::spawn({
            let vars = Arc::clone(&vars);
            move || {
                atomically(|tx| {
                    vars[0].set(tx, 1)?;
                    vars[1].set(tx, 1)
                });
            }
        });
        atomically(|tx| {
            let a = *vars[0].get(tx)?;
            // Newer than the time this thread knows, which moves forward here.
            third.get(tx)?;
            let b = *vars[1].get(tx)?;
            assert_eq!(a, b, "a torn state");
            Ok(())
        });
        writer.join().unwrap();
    });
}

#[test]
fn a_snapshot_and_two_commits_with_shared_stamps_have_one_order() {
    let _sharing = Sharing::begin();
    model("two shared stamps and a snapshot", 10_000, || {
        let vars = pair();
        let first = thread::spawn({
            let vars = Arc::clone(&vars);
            move || {
                atomically(|tx| {
                    let x = *vars[0].get(tx)?;
                    vars[1].set(tx, x + 10)
                });
            }
        });
        let second = thread::spawn({
            let vars = Arc::clone(&vars);
            move || atomically(|tx| vars[0].set(tx, 1))
        });
        let (x, y) = snapshot(|s| (*vars[0].view(s), *vars[1].view(s)));
        first.join().unwrap();
        second.join().unwrap();
        let end = vars[1].load();
        assert!(
            !(x == 1 && y == 0 && end == 10),
            "no order explains this: {x} {y} {end}"
        );
    });
}

//! Snapshots, and the first use of a variable, in every interleaving.
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

/// Two variables that exist already.
fn pair() -> Arc<[TVar<u32>; 2]> {
    let pair = [TVar::new(0), TVar::new(0)];
    pair.iter().for_each(|var| drop(var.clone()));
    Arc::new(pair)
}

fn set_both(vars: &[TVar<u32>; 2], n: u32) {
    atomically(|tx| {
        vars[0].set(tx, n)?;
        vars[1].set(tx, n)
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "a torn state"))]
fn canary_a_snapshot_waits_for_a_commit_that_may_have_ticked_before_it() {
    weaken!("stm: snapshot behind a lock");
    model("snapshot against commit", 70, || {
        let vars = pair();
        let writer = thread::spawn({
            let vars = Arc::clone(&vars);
            move || set_both(&vars, 1)
        });
        let (a, b) = snapshot(|s| (*vars[0].view(s), *vars[1].view(s)));
        assert_eq!(a, b, "a torn state");
        writer.join().unwrap();
    });
}

#[test]
fn a_snapshot_goes_back_past_two_commits() {
    model("snapshot against two commits", 90, || {
        let vars = pair();
        let writer = thread::spawn({
            let vars = Arc::clone(&vars);
            move || {
                set_both(&vars, 1);
                set_both(&vars, 2);
            }
        });
        let (a, b) = snapshot(|s| (*vars[0].view(s), *vars[1].view(s)));
        assert_eq!(a, b, "a torn state");
        writer.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_the_seed_is_seen_whole() {
    weaken!("stm: seed");
    model("seed", 110, || {
        let var = Arc::new(TVar::new(7));
        let other = thread::spawn({
            let var = Arc::clone(&var);
            move || var.load()
        });
        assert_eq!(var.load(), 7);
        assert_eq!(other.join().unwrap(), 7);
    });
}

#[test]
fn a_variable_that_two_use_first_is_one() {
    model("two first uses", 170, || {
        let var = Arc::new(TVar::new(0));
        let other = thread::spawn({
            let var = Arc::clone(&var);
            move || var.store(1)
        });
        let n = var.load();
        other.join().unwrap();
        assert!(n <= 1);
        assert_eq!(var.load(), 1);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "a torn state"))]
fn canary_a_snapshot_waits_for_a_commit_that_may_have_its_shared_stamp() {
    weaken!("stm: snapshot behind a lock");
    let _sharing = Sharing::begin();
    model("snapshot against shared stamp", 65, || {
        let vars = pair();
        let writer = thread::spawn({
            let vars = Arc::clone(&vars);
            move || set_both(&vars, 1)
        });
        let (a, b) = snapshot(|s| (*vars[0].view(s), *vars[1].view(s)));
        assert_eq!(a, b, "a torn state");
        writer.join().unwrap();
    });
}

#[test]
fn a_snapshot_sees_what_was_committed_with_a_shared_stamp() {
    let _sharing = Sharing::begin();
    model("snapshot after shared stamp", 20, || {
        let vars = pair();
        let other = thread::spawn({
            let vars = Arc::clone(&vars);
            move || vars[1].store(7)
        });
        set_both(&vars, 1);
        let a = snapshot(|s| *vars[0].view(s));
        assert_eq!(a, 1, "a commit that had ended is not seen");
        other.join().unwrap();
    });
}

//! The serial turn against commits, in every interleaving. Under loom a transaction asks for the turn after its
//! first conflict, so the models of commits go through it, too.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::sync::Arc;
use weftwork_core::sync::thread;
use weftwork_stm::{TVar, atomically};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A variable that exists already.
fn var() -> Arc<TVar<u32>> {
    let var = TVar::new(0);
    drop(var.clone());
    Arc::new(var)
}

fn alone(n: &TVar<u32>) {
    atomically(|tx| {
        tx.irrevocable()?;
        n.update(tx, |n| n + 1)
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "an increment is lost"))]
fn canary_a_committer_that_ticks_behind_the_gate_steps_back() {
    weaken!("stm: gate");
    model("irrevocable against commit", 850, || {
        let n = var();
        let other = thread::spawn({
            let n = Arc::clone(&n);
            move || atomically(|tx| n.update(tx, |n| n + 1))
        });
        alone(&n);
        other.join().unwrap();
        assert_eq!(n.load(), 2, "an increment is lost");
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_the_end_of_a_turn_wakes_the_next() {
    weaken!("stm: end of a turn");
    model("irrevocable against irrevocable", 170, || {
        let n = var();
        let other = thread::spawn({
            let n = Arc::clone(&n);
            move || alone(&n)
        });
        alone(&n);
        other.join().unwrap();
        assert_eq!(n.load(), 2, "an increment is lost");
    });
}

#[test]
fn a_store_waits_for_the_end_of_the_turn() {
    model("irrevocable against store", 550, || {
        let n = var();
        let other = thread::spawn({
            let n = Arc::clone(&n);
            move || n.store(10)
        });
        alone(&n);
        other.join().unwrap();
        let n = n.load();
        assert!(n == 10 || n == 11, "{n}");
    });
}

#[test]
fn a_body_runs_once_after_it_has_become_irrevocable() {
    model("once", 850, || {
        let n = var();
        let other = thread::spawn({
            let n = Arc::clone(&n);
            move || atomically(|tx| n.update(tx, |n| n + 1))
        });
        let mut runs = 0;
        atomically(|tx| {
            tx.irrevocable()?;
            runs += 1;
            n.update(tx, |n| n + 1)
        });
        assert_eq!(runs, 1);
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "an increment is lost"))]
fn canary_a_committer_that_shares_its_stamp_behind_the_gate_steps_back() {
    weaken!("stm: gate");
    weftwork_stm::share_stamps(true);
    let _end = End;
    model("irrevocable against shared stamp", 1100, || {
        let n = var();
        let other = thread::spawn({
            let n = Arc::clone(&n);
            move || atomically(|tx| n.update(tx, |n| n + 1))
        });
        alone(&n);
        other.join().unwrap();
        assert_eq!(n.load(), 2, "an increment is lost");
    });
}

/// Ends the sharing of stamps.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        weftwork_stm::share_stamps(false);
    }
}

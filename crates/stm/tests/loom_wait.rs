//! Transactions that go to sleep against commits that should wake them, in every interleaving.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use weftwork_core::sync::thread;
use weftwork_stm::{TVar, atomically, atomically_async};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A variable that exists already.
fn var(n: u32) -> TVar<u32> {
    let var = TVar::new(n);
    drop(var.clone());
    var
}

fn wait_until(var: &TVar<u32>, enough: u32) -> u32 {
    atomically(|tx| {
        let n = *var.get(tx)?;
        tx.check(n >= enough)?;
        Ok(n)
    })
}

/// One sleeps until another has committed.
fn sleeper_against_commit(name: &'static str) {
    model(name, 250, || {
        let flag = Arc::new(var(0));
        let writer = thread::spawn({
            let flag = Arc::clone(&flag);
            move || atomically(|tx| flag.set(tx, 1))
        });
        assert_eq!(wait_until(&flag, 1), 1);
        writer.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_sleeper_looks_once_more_after_it_has_entered_itself() {
    weaken!("stm: second look of the sleeper");
    sleeper_against_commit("sleep against commit: second look");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_mark_is_not_set_on_a_locked_word() {
    weaken!("stm: mark on a locked word");
    sleeper_against_commit("sleep against commit: locked word");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_the_entry_comes_before_the_mark() {
    weaken!("stm: entry before mark");
    sleeper_against_commit("sleep against commit: entry");
}

#[test]
fn one_commit_wakes_a_future_and_a_thread() {
    model("two sleepers", 40, || {
        let flag = Arc::new(var(0));
        let mut context = Context::from_waker(Waker::noop());
        let mut future = pin!(atomically_async(|tx| tx.check(*flag.get(tx)? == 1)));
        assert!(future.as_mut().poll(&mut context).is_pending());
        let other = thread::spawn({
            let flag = Arc::clone(&flag);
            move || wait_until(&flag, 1)
        });
        flag.store(1);
        assert_eq!(other.join().unwrap(), 1);
        assert!(future.as_mut().poll(&mut context).is_ready());
    });
}

#[test]
fn a_change_in_a_branch_that_was_rolled_back_wakes() {
    model("both branches", 390, || {
        let vars = Arc::new([var(0), var(0)]);
        let writer = thread::spawn({
            let vars = Arc::clone(&vars);
            move || vars[0].store(1)
        });
        let n = atomically(|tx| {
            tx.or_else(
                |tx| {
                    let n = *vars[0].get(tx)?;
                    vars[1].set(tx, 5)?;
                    tx.check(n == 1)?;
                    Ok(n)
                },
                |tx| {
                    let n = *vars[1].get(tx)?;
                    tx.check(n == 1)?;
                    Ok(n + 10)
                },
            )
        });
        assert_eq!(n, 1);
        writer.join().unwrap();
    });
}

#[test]
fn two_threads_wake_each_other_in_turn() {
    model("ping-pong", 900, || {
        let turn = Arc::new(var(0));
        let other = thread::spawn({
            let turn = Arc::clone(&turn);
            move || {
                wait_until(&turn, 1);
                turn.store(2);
            }
        });
        turn.store(1);
        assert_eq!(wait_until(&turn, 2), 2);
        other.join().unwrap();
    });
}

#[test]
fn a_watch_sees_the_write_that_comes_while_it_goes_to_sleep() {
    model("watch against store", 65, || {
        let flag = Arc::new(var(0));
        let mut watch = flag.watch();
        let writer = thread::spawn({
            let flag = Arc::clone(&flag);
            move || flag.store(1)
        });
        watch.changed();
        assert_eq!(watch.load(), 1);
        writer.join().unwrap();
    });
}

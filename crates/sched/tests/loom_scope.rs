//! The end of a scope in every interleaving: it waits for every child, and sees what each did.

#![cfg(weftwork_loom)]
#![allow(
    clippy::arc_with_non_send_sync,
    reason = "the threads of a model share what the protocol under test lets them share"
)]

mod models;

use models::{run, weaken};
use std::sync::Arc;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::wait::{Reason, wait};
use weftwork_sched::protocol::Running;
use weftwork_testkit::model;

struct World {
    running: Running,
    /// What each child borrows.
    borrowed: [UnsafeCell<u32>; 2],
}

impl World {
    fn new(children: usize) -> Arc<Self> {
        let running = Running::new();
        (0..children).for_each(|_| running.begin());
        Arc::new(World {
            running,
            borrowed: [UnsafeCell::new(0), UnsafeCell::new(0)],
        })
    }

    fn child(&self, index: usize) {
        // SAFETY: this child's until it has ended.
        self.borrowed[index].with_mut(|n| unsafe { *n += 1 });
        self.running.end();
    }

    /// The wait at the end of the scope; then the borrowed is the caller's again.
    fn end(&self, children: usize) {
        wait(Reason::SCOPE, |context| self.running.poll_none(context));
        for borrowed in &self.borrowed[..children] {
            // SAFETY: the children have ended, loom checks that.
            assert_eq!(borrowed.with_mut(|n| unsafe { *n }), 1);
        }
    }
}

fn one_child(name: &str) {
    model(name, 10, || {
        let world = World::new(1);
        let child = run(&world, |world| world.child(0));
        world.end(1);
        child.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_the_last_child_wakes_a_scope_on_its_way_to_sleep() {
    weaken!("running: look again");
    one_child("the wait against the last child");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_what_a_child_did_is_before_the_end_of_the_scope() {
    weaken!("running: end");
    one_child("what the child did against the end");
}

#[test]
fn two_children_end_and_the_scope_once() {
    model("two children against the wait", 100, || {
        let world = World::new(2);
        let children = [0, 1].map(|index| run(&world, move |world| world.child(index)));
        world.end(2);
        for child in children {
            child.join().unwrap();
        }
    });
}

#[test]
fn a_child_that_spawns_is_outlived_by_its_child() {
    model("a child of a child against the wait", 20, || {
        let world = World::new(1);
        let first = run(&world, |world| {
            world.running.begin();
            world.child(0);
            world.child(1);
        });
        world.end(2);
        first.join().unwrap();
    });
}

//! The inbox in every interleaving: every node is taken once, and an owner asleep is woken.
//!
//! The owner's poller is played by a sleep.

#![cfg(weftwork_loom)]

mod models;

use models::{Sleeper, run, weaken};
use std::ptr::NonNull;
use std::sync::Arc;
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_sched::protocol::{Inbox, Link, Pushed};
use weftwork_testkit::model;

struct World {
    inbox: Inbox,
    nodes: [Link; 2],
    poller: Sleeper,
    /// What a kick points at.
    elsewhere: AtomicBool,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(World {
            inbox: Inbox::new(),
            nodes: [Link::new(), Link::new()],
            poller: Sleeper::new(),
            elsewhere: AtomicBool::new(false),
        })
    }

    fn wake(&self) {
        assert!(self.poller.wake(), "woken twice");
    }

    fn push(&self, node: usize) {
        // SAFETY: the nodes live as long as the world, and each is pushed once.
        match unsafe { self.inbox.push(NonNull::from(&self.nodes[node])) } {
            Pushed::Taken => {}
            Pushed::WakeOwner => self.wake(),
            Pushed::Closed => panic!("nobody closed it"),
        }
    }

    fn kick(&self) {
        // Relaxed: the inbox orders it.
        self.elsewhere.store(true, Ordering::Relaxed);
        if self.inbox.kick() {
            self.wake();
        }
    }

    /// As the owner: what was in the inbox, as a set of bits.
    fn take(&self) -> u32 {
        let mut taken = 0;
        let mut next = self.inbox.take();
        while let Some(link) = next {
            let index = self.nodes.iter().position(|n| NonNull::from(n) == link);
            let bit = 1 << index.expect("a node that nobody pushed");
            assert_eq!(taken & bit, 0, "taken twice");
            taken |= bit;
            // SAFETY: the nodes live as long as the world.
            next = NonNull::new(unsafe { link.as_ref() }.next());
        }
        taken
    }

    /// As the owner: sleeps until woken, if there is nothing to take.
    fn sleep(&self) {
        if self.inbox.announce_sleep() {
            self.poller.sleep();
        }
    }

    /// As the owner: until all of `nodes` are there.
    fn collect(&self, nodes: u32) {
        let mut taken = self.take();
        while taken != nodes {
            self.sleep();
            let more = self.take();
            assert_eq!(taken & more, 0, "taken twice");
            taken |= more;
        }
        assert!(!self.inbox.has_mail());
    }
}

fn one_push(name: &str) {
    model(name, 10, || {
        let world = World::new();
        let pusher = run(&world, |world| world.push(0));
        world.collect(0b01);
        pusher.join().unwrap();
    });
}

fn two_pushes(name: &str) {
    model(name, 100, || {
        let world = World::new();
        let pushers = [0, 1].map(|node| run(&world, move |world| world.push(node)));
        world.collect(0b11);
        for pusher in pushers {
            pusher.join().unwrap();
        }
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_push_wakes_an_owner_that_announces_sleep_meanwhile() {
    weaken!("inbox: push");
    one_push("push against announce_sleep");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_an_announcement_does_not_hide_mail() {
    weaken!("inbox: announce_sleep");
    one_push("announce_sleep against push");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_what_two_push_is_all_taken() {
    weaken!("inbox: take");
    two_pushes("two pushes against take");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_of_two_pushes_none_overwrites_the_other() {
    weaken!("inbox: push");
    two_pushes("push against push");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_kick_makes_the_owner_look_again() {
    weaken!("inbox: kick");
    model("kick against announce_sleep", 10, || {
        let world = World::new();
        let kicker = run(&world, World::kick);
        // Relaxed: the inbox orders it.
        while !world.elsewhere.load(Ordering::Relaxed) {
            world.sleep();
            world.take();
        }
        kicker.join().unwrap();
    });
}

#[test]
fn a_kick_and_a_push_wake_once_and_hide_nothing() {
    model("kick against push against the owner", 100, || {
        let world = World::new();
        let kicker = run(&world, World::kick);
        let pusher = run(&world, |world| world.push(0));
        let mut taken = 0;
        // Relaxed: the inbox orders it.
        while taken == 0 || !world.elsewhere.load(Ordering::Relaxed) {
            world.sleep();
            taken |= world.take();
        }
        kicker.join().unwrap();
        pusher.join().unwrap();
    });
}

#[test]
fn a_node_pushed_while_the_owner_leaves_is_taken_or_refused() {
    model("push against close", 5, || {
        let world = World::new();
        let pusher = run(&world, |world| {
            // SAFETY: the nodes live as long as the world, and each is pushed once.
            unsafe { world.inbox.push(NonNull::from(&world.nodes[0])) }
        });
        let taken = world.inbox.close().is_some();
        let pushed = pusher.join().unwrap();
        assert_eq!(taken, pushed == Pushed::Taken);
        assert!(!world.inbox.kick(), "wakes somebody who has left");
    });
}

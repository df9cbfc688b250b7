//! Waking a carrier from other threads in every interleaving: through its mail word and the inbox.
//!
//! The worker's part is that of `open_mail` and `wake_here`, its poller is played by a sleep. A test
//! whose name starts with `canary_` is run a second time under `--cfg weftwork_canary`, with the step
//! it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod models;

use models::{Sleeper, run, weaken};
use std::ptr::NonNull;
use std::sync::Arc;
use weftwork_core::sync::atomic::{AtomicU32, Ordering};
use weftwork_sched::protocol::{Inbox, Link, Mail, Pushed};
use weftwork_testkit::model;

struct World {
    inbox: Inbox,
    poller: Sleeper,
    link: Link,
    mail: Mail,
    /// How often the carrier's node is in the inbox.
    in_inbox: AtomicU32,
    message: AtomicU32,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(World {
            inbox: Inbox::new(),
            poller: Sleeper::new(),
            link: Link::new(),
            mail: Mail::new(),
            in_inbox: AtomicU32::new(0),
            message: AtomicU32::new(0),
        })
    }

    /// `wake_from_afar`, after a message.
    fn wake(&self, token: bool) {
        // Relaxed: the wake orders it.
        self.message.fetch_add(1, Ordering::Relaxed);
        if !self.mail.leave(token) {
            return;
        }
        // Relaxed: a check.
        let before = self.in_inbox.fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, 0, "in the inbox twice");
        // SAFETY: the link lives as long as the world, and is in no list, as was just checked.
        match unsafe { self.inbox.push(NonNull::from(&self.link)) } {
            Pushed::Taken => {}
            Pushed::WakeOwner => drop(self.poller.wake()),
            Pushed::Closed => panic!("nobody closed it"),
        }
    }

    /// As the worker, for a carrier that is parked until there are so many messages and tokens.
    fn run_until(&self, messages: u32, expected: u32) {
        let mut tokens = 0;
        loop {
            if self.inbox.has_mail() && self.inbox.take().is_some() {
                // Relaxed: a check.
                self.in_inbox.fetch_sub(1, Ordering::Relaxed);
                tokens += u32::from(self.mail.collect());
                // The carrier is resumed, and looks for what it waits for.
                // Relaxed: the wake orders it.
                if self.message.load(Ordering::Relaxed) == messages && tokens == expected {
                    return;
                }
            }
            if self.inbox.announce_sleep() {
                self.poller.sleep();
            }
        }
    }
}

fn one_wake(name: &str) {
    model(name, 15, || {
        let world = World::new();
        let waker = run(&world, |world| world.wake(true));
        world.run_until(1, 1);
        waker.join().unwrap();
    });
}

fn two_wakes(name: &str) {
    model(name, 500, || {
        let world = World::new();
        let wakers = [(); 2].map(|()| run(&world, |world| world.wake(false)));
        world.run_until(2, 0);
        for waker in wakers {
            waker.join().unwrap();
        }
    });
}

#[test]
fn a_wake_reaches_a_worker_on_its_way_to_sleep() {
    one_wake("wake against the worker");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_of_two_wakes_one_posts_the_carrier() {
    weaken!("mail: leave");
    two_wakes("leave against leave");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_mark_left_during_the_collection_is_not_lost() {
    weaken!("mail: collect");
    two_wakes("leave against collect");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_what_was_done_before_a_mark_is_seen_by_its_collector() {
    weaken!("mail: collect, order");
    two_wakes("a message before a mark");
}

#[test]
fn a_token_survives_a_wake_that_came_first() {
    model("unpark against wake", 500, || {
        let world = World::new();
        let unparker = run(&world, |world| world.wake(true));
        let waker = run(&world, |world| world.wake(false));
        world.run_until(2, 1);
        unparker.join().unwrap();
        waker.join().unwrap();
    });
}

//! A worker's whole sleep in every interleaving: idle protocol, inbox and the poller's wake word.
//!
//! The steps are those of `worker/sleep.rs` and `shared.rs`, in their order; the kernel's wait is
//! played by a sleep. Work comes from outside, as an injected task, and by mail, as a woken carrier.

#![cfg(weftwork_loom)]

mod models;

use models::{Sleeper, run, weaken};
use std::ptr::NonNull;
use std::sync::Arc;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_reactor::protocol::WakeWord;
use weftwork_sched::protocol::{Idle, Inbox, Link, Pushed, Woken};
use weftwork_testkit::model;

struct World {
    idle: Idle,
    inbox: Inbox,
    word: WakeWord,
    kernel: Sleeper,
    injector: AtomicUsize,
    carrier: Link,
    /// Looks into the inbox between the last look at the queues and the announcement.
    lingers: usize,
}

impl World {
    fn new() -> Arc<Self> {
        World::with_lingering(0)
    }

    fn with_lingering(lingers: usize) -> Arc<Self> {
        Arc::new(World {
            idle: Idle::new(2),
            inbox: Inbox::new(),
            word: WakeWord::new(),
            kernel: Sleeper::new(),
            injector: AtomicUsize::new(0),
            carrier: Link::new(),
            lingers,
        })
    }

    /// `Poller::wake`.
    fn wake_poller(&self) {
        if self.word.notify() {
            self.kernel.wake();
        }
    }

    /// `Shared::inject`.
    fn inject(&self) {
        // Release: what a push does.
        self.injector.fetch_add(1, Ordering::Release);
        if self.idle.wake_one().is_some() && self.inbox.kick() {
            self.wake_poller();
        }
    }

    /// `make_ready`, from another thread.
    fn mail(&self) {
        // SAFETY: the link lives as long as the world and is pushed once.
        match unsafe { self.inbox.push(NonNull::from(&self.carrier)) } {
            Pushed::Taken => {}
            Pushed::WakeOwner => self.wake_poller(),
            Pushed::Closed => panic!("nobody closed it"),
        }
    }

    fn take_injected(&self) -> bool {
        // Acquire: what a steal does.
        self.injector.load(Ordering::Acquire) != 0 && self.injector.swap(0, Ordering::Acquire) != 0
    }

    /// `Worker::next_work`, until it has had `tasks` and `mails`.
    fn work(&self, mut tasks: usize, mut mails: usize) {
        let mut searching = false;
        loop {
            let mut found = false;
            if self.inbox.has_mail() && self.inbox.take().is_some() {
                mails -= 1;
                found = true;
            }
            if tasks > 0 && self.take_injected() {
                tasks -= 1;
                found = true;
            }
            if found && std::mem::take(&mut searching) {
                // Nobody else could be woken.
                let _ = self.idle.found();
            }
            if tasks + mails == 0 {
                break;
            }
            if found {
                continue;
            }
            searching = searching || self.idle.start_search();
            self.sleep(&mut searching, &mut mails);
        }
    }

    /// `Worker::sleep`.
    fn sleep(&self, searching: &mut bool, mails: &mut usize) {
        self.idle.sleep(0, std::mem::take(searching));
        // Acquire: what `is_empty` does.
        let seen = self.injector.load(Ordering::Acquire) != 0;
        let mail = |_| self.inbox.has_mail();
        if !seen && !(0..self.lingers).any(mail) && self.inbox.announce_sleep() {
            if self.word.enter_sleep() {
                self.kernel.sleep();
                self.word.leave_sleep();
            }
            if self.inbox.take().is_some() {
                *mails -= 1;
            }
        }
        *searching = self.idle.wake_up(0) == Woken::ForWork;
    }
}

fn inject_against_sleep(name: &str) {
    model(name, 50, || {
        let world = World::new();
        let outside = run(&world, World::inject);
        world.work(1, 0);
        outside.join().unwrap();
        assert_eq!(world.idle.sleepers(), 0);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_an_injected_task_ends_a_sleep_that_is_only_announced() {
    weaken!("inbox: kick");
    inject_against_sleep("inject against the whole sleep");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_an_injected_task_is_seen_by_the_last_look() {
    weaken!("idle: fence of the sleeper");
    inject_against_sleep("the last look against inject");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_worker_that_lingers_is_kicked_for_an_injected_task() {
    weaken!("inbox: kick");
    model("inject against lingering and sleep", 50, || {
        let world = World::with_lingering(2);
        let outside = run(&world, World::inject);
        world.work(1, 0);
        outside.join().unwrap();
        assert_eq!(world.idle.sleepers(), 0);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_mail_that_comes_after_lingering_ends_the_sleep() {
    weaken!("inbox: announce_sleep");
    model("mail against lingering and sleep", 30, || {
        let world = World::with_lingering(2);
        let waker = run(&world, World::mail);
        world.work(0, 1);
        waker.join().unwrap();
        assert_eq!(world.idle.sleepers(), 0);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_mail_ends_a_sleep_that_is_only_announced() {
    weaken!("inbox: push");
    model("mail against the whole sleep", 30, || {
        let world = World::new();
        let waker = run(&world, World::mail);
        world.work(0, 1);
        waker.join().unwrap();
        assert_eq!(world.idle.sleepers(), 0);
    });
}

#[test]
fn a_task_and_mail_are_both_had() {
    model("inject and mail against the whole sleep", 1000, || {
        let world = World::new();
        let outside = run(&world, World::inject);
        let waker = run(&world, World::mail);
        world.work(1, 1);
        outside.join().unwrap();
        waker.join().unwrap();
        assert_eq!(world.idle.sleepers(), 0);
    });
}

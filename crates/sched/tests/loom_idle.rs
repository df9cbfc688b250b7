//! The idle protocol in every interleaving: no work is queued while everybody sleeps unwoken.
//!
//! The queue is played by a count, which is read as weakly as a deque's length: without the fences
//! a look may miss a push. The last item that is done ends the model; if it is never done, all
//! threads sleep and loom says so.

#![cfg(weftwork_loom)]

mod models;

use models::{Sleeper, run, weaken};
use std::sync::Arc;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::thread;
use weftwork_sched::protocol::{Idle, Woken};
use weftwork_testkit::model;

struct World {
    idle: Idle,
    queue: AtomicUsize,
    /// Items not done yet.
    left: AtomicUsize,
    /// Where each worker sleeps when it finds nothing.
    pollers: Box<[Sleeper]>,
    /// Where each worker waits, in an item, for the end of the others.
    meetings: Box<[Sleeper]>,
    /// Whether an item is done only when all others are being done, too: it needs a worker for each.
    meet: bool,
}

impl World {
    /// `counted` workers, as the protocol sees it, of which the first `driven` are in the model.
    fn new(counted: usize, driven: usize, items: usize, meet: bool) -> Arc<Self> {
        Arc::new(World {
            idle: Idle::new(counted),
            queue: AtomicUsize::new(0),
            left: AtomicUsize::new(items),
            pollers: (0..driven).map(|_| Sleeper::new()).collect(),
            meetings: (0..driven).map(|_| Sleeper::new()).collect(),
            meet,
        })
    }

    /// As a producer: `Shared::inject`.
    fn produce(&self) {
        // Release: what a deque's push does.
        self.queue.fetch_add(1, Ordering::Release);
        self.work_published();
    }

    fn work_published(&self) {
        if let Some(index) = self.idle.wake_one() {
            self.pollers[index].wake();
        }
    }

    fn in_sight(&self) -> bool {
        // Acquire: what a deque's `is_empty` does.
        self.queue.load(Ordering::Acquire) != 0
    }

    fn take(&self) -> bool {
        let mut now = self.queue.load(Ordering::Acquire);
        while now != 0 {
            // Acquire: what a steal does.
            match self
                .queue
                .compare_exchange(now, now - 1, Ordering::Acquire, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    fn do_item(&self, index: usize) {
        // Relaxed: the end of the model is no part of it.
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            for sleeper in self.pollers.iter().chain(&self.meetings) {
                sleeper.wake();
            }
        }
        if self.meet {
            self.meetings[index].sleep();
        }
    }

    fn ended(&self) -> bool {
        // Relaxed: as above. A read-modify-write, which reads the latest value.
        self.left.fetch_add(0, Ordering::Relaxed) == 0
    }

    /// As a worker: `next_work` and `sleep`, until all is done. `asleep`: it is counted as asleep
    /// already, and has looked.
    fn work(&self, index: usize, asleep: bool) {
        let mut searching = false;
        if asleep {
            self.pollers[index].sleep();
            searching = self.idle.wake_up(index) == Woken::ForWork;
        }
        while !self.ended() {
            searching = searching || self.idle.start_search();
            if searching && self.take() {
                searching = false;
                if self.idle.found() {
                    self.work_published();
                }
                self.do_item(index);
                continue;
            }
            self.idle.sleep(index, searching);
            if self.in_sight() {
                // Others search for it: let them.
                thread::yield_now();
            } else {
                self.pollers[index].sleep();
            }
            searching = self.idle.wake_up(index) == Woken::ForWork;
        }
        if searching {
            // Nobody is left who could have more.
            let _ = self.idle.found();
        }
    }

    fn assert_at_rest(&self) {
        assert_eq!(self.idle.sleepers(), 0, "a sleeper is left over");
        assert_eq!(self.idle.searchers(), 0, "a searcher is left over");
    }
}

fn publish_against_sleep(name: &str) {
    model(name, 20, || {
        let world = World::new(2, 1, 1, false);
        let producer = run(&world, World::produce);
        world.work(0, false);
        producer.join().unwrap();
        world.assert_at_rest();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_publisher_sees_the_sleeper_or_the_sleeper_the_work() {
    weaken!("idle: fence of the publisher");
    publish_against_sleep("publish against sleep");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_sleeper_sees_the_work_or_the_publisher_the_sleeper() {
    weaken!("idle: fence of the sleeper");
    publish_against_sleep("sleep against publish");
}

#[test]
fn two_workers_on_their_way_to_sleep_do_not_leave_work_behind() {
    model("publish against two that go to sleep", 500, || {
        let world = World::new(2, 2, 1, false);
        let producer = run(&world, World::produce);
        let other = run(&world, |world| world.work(1, false));
        world.work(0, false);
        producer.join().unwrap();
        other.join().unwrap();
        world.assert_at_rest();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_the_last_searcher_that_finds_work_wakes_the_next() {
    weaken!("idle: found");
    model("two items for two sleepers", 100, || {
        let world = World::new(2, 2, 2, true);
        world.idle.sleep(0, false);
        world.idle.sleep(1, false);
        let producer = run(&world, |world| {
            world.produce();
            // Defers to the one that the first woke, as long as it searches.
            world.produce();
        });
        let other = run(&world, |world| world.work(1, true));
        world.work(0, true);
        producer.join().unwrap();
        other.join().unwrap();
        world.assert_at_rest();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_waker_that_finds_nobody_looks_again_for_those_who_deferred_to_it() {
    weaken!("idle: give up");
    model(
        "two publishers and a sleeper that wakes by itself",
        500,
        || {
            let world = World::new(4, 1, 2, false);
            world.idle.sleep(0, false);
            let producers = [(); 2].map(|()| run(&world, World::produce));
            // An event of its own, some time during the first's look for somebody to wake. To yield
            // costs no preemption, of which there are few.
            thread::yield_now();
            let searching = world.idle.wake_up(0) == Woken::ForWork;
            thread::yield_now();
            if searching && world.idle.found() {
                world.work_published();
            }
            world.work(0, false);
            for producer in producers {
                producer.join().unwrap();
            }
            world.assert_at_rest();
        },
    );
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "counted"))]
fn canary_a_sleeper_that_wakes_by_itself_is_uncounted_once() {
    weaken!("idle: wake_up");
    model("wake_up against wake_one", 10, || {
        let idle = Arc::new(Idle::new(2));
        idle.sleep(0, false);
        let waker = thread::spawn({
            let idle = Arc::clone(&idle);
            move || idle.wake_one()
        });
        let woken = idle.wake_up(0);
        let claimed = waker.join().unwrap();
        assert_eq!(claimed.is_some(), woken == Woken::ForWork, "counted twice");
        assert_eq!(idle.sleepers(), 0, "counted wrongly");
        assert_eq!(
            idle.searchers(),
            usize::from(claimed.is_some()),
            "counted wrongly"
        );
    });
}

#[test]
fn two_wakers_wake_one_sleeper_for_one_search() {
    model("wake_one against wake_one", 10, || {
        let idle = Arc::new(Idle::new(4));
        idle.sleep(0, false);
        idle.sleep(1, false);
        let waker = thread::spawn({
            let idle = Arc::clone(&idle);
            move || idle.wake_one()
        });
        let claimed = [idle.wake_one(), waker.join().unwrap()];
        let woken = claimed.iter().flatten().count();
        assert_eq!(woken, 1, "one searches, so one is woken");
        assert_eq!(idle.sleepers(), 1);
        assert_eq!(idle.searchers(), 1);
    });
}

//! The readiness slot in every interleaving: events against clearing, queueing, leaving, closing.
#![cfg(weftwork_loom)]

use std::task::{Poll, Wake, Waker};

use weftwork_core::sync::atomic::{AtomicU32, Ordering};
use weftwork_core::sync::{Arc, Condvar, Mutex, thread};
use weftwork_reactor::protocol::{Change, Slot, Ticket};
use weftwork_reactor::{Direction, Interest};
use weftwork_testkit::model;

const READ: Direction = Direction::Read;

/// Where a thread sleeps until its waker is called.
struct Bell {
    /// Whether it rang, and how many threads may still ring it.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Bell {
    fn new(ringers: usize) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Bell {
            state: Mutex::new((false, ringers)),
            changed: Condvar::new(),
        })
    }

    fn wait(&self) {
        let mut state = self.state.lock();
        while !state.0 {
            assert!(state.1 > 0, "asleep for good");
            self.changed.wait(&mut state);
        }
        state.0 = false;
    }

    /// The calling thread will not ring any more.
    fn end(&self) {
        self.state.lock().1 -= 1;
        self.changed.notify_all();
    }
}

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.state.lock().0 = true;
        self.changed.notify_all();
    }
}

/// A descriptor with items to read.
struct World {
    slot: Slot,
    generation: u32,
    items: AtomicU32,
}

impl World {
    fn new() -> Arc<Self> {
        let slot = Slot::new();
        let generation = slot.open(3, Interest::READABLE);
        let items = AtomicU32::new(0);
        Arc::new(World {
            slot,
            generation,
            items,
        })
    }

    /// Data arrives, then the poller reports it.
    fn deliver(&self, items: u32) {
        self.items.fetch_add(items, Ordering::Relaxed); // Relaxed: the slot makes it visible.
        let mut wakers = Vec::new();
        let change = Change::READABLE;
        assert!(self.slot.apply(self.generation, change, &mut wakers));
        wakers.into_iter().for_each(Waker::wake);
    }

    fn try_take(&self) -> bool {
        // Relaxed: as above.
        let take = |n: u32| n.checked_sub(1);
        self.items
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// The recipe of a read.
    fn take(&self, bell: &std::sync::Arc<Bell>) {
        let waker = Waker::from(bell.clone());
        let mut ticket = Ticket::default();
        loop {
            let seen = self.slot.ready(READ);
            if self.try_take() {
                return;
            }
            self.slot.clear(READ, seen);
            while self.slot.poll(READ, &mut ticket, &waker).is_pending() {
                bell.wait();
            }
        }
    }
}

fn run<R: 'static>(
    world: &Arc<World>,
    body: impl FnOnce(&World) -> R + 'static,
) -> thread::JoinHandle<R> {
    let world = Arc::clone(world);
    thread::spawn(move || body(&world))
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "asleep for good"))]
fn canary_an_event_between_the_attempt_and_the_clear_is_not_forgotten() {
    model("event against clear and queue", 100, || {
        let world = World::new();
        let bell = Bell::new(1);
        let driver = {
            let bell = bell.clone();
            run(&world, move |world| {
                world.deliver(1);
                world.deliver(1);
                bell.end();
            })
        };
        world.take(&bell);
        world.take(&bell);
        driver.join().unwrap();
    });
}

#[test]
fn one_event_serves_two_waiters_if_it_brought_enough_for_both() {
    model("two readers of one event", 1_000, || {
        let world = World::new();
        // Each may be woken by the driver or by the other; a hang shows as loom's deadlock.
        let reader = run(&world, |world| world.take(&Bell::new(2)));
        let driver = run(&world, |world| world.deliver(2));
        world.take(&Bell::new(2));
        reader.join().unwrap();
        driver.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "asleep for good"))]
fn canary_a_waiter_that_leaves_after_it_was_woken_wakes_the_next() {
    model("cancel against event", 100, || {
        let world = World::new();
        let bell = Bell::new(2);
        // First in the queue, and on its way out.
        let mut ticket = Ticket::default();
        let first = world.slot.poll(READ, &mut ticket, Waker::noop());
        assert!(first.is_pending());
        let canceller = {
            let bell = bell.clone();
            run(&world, move |world| {
                world.slot.cancel(READ, &mut ticket);
                bell.end();
            })
        };
        let driver = {
            let bell = bell.clone();
            run(&world, move |world| {
                world.deliver(1);
                bell.end();
            })
        };
        world.take(&bell);
        canceller.join().unwrap();
        driver.join().unwrap();
    });
}

#[test]
fn a_late_event_of_a_former_tenant_changes_nothing() {
    model("event against close and reuse", 5, || {
        let world = World::new();
        let driver = run(&world, |world| {
            let mut wakers = Vec::new();
            world
                .slot
                .apply(world.generation, Change::READABLE, &mut wakers)
        });
        assert!(world.slot.close(world.generation, &mut Vec::new()));
        assert!(!world.slot.close(world.generation, &mut Vec::new()));
        let next = world.slot.open(4, Interest::READABLE);
        assert_ne!(next, world.generation);
        driver.join().unwrap();
        assert!(!world.slot.ready(READ).is_ready());
    });
}

#[test]
fn closing_wakes_whoever_waits() {
    model("close against queue", 10, || {
        let world = World::new();
        let bell = Bell::new(1);
        let closer = {
            let bell = bell.clone();
            run(&world, move |world| {
                let mut wakers = Vec::new();
                assert!(world.slot.close(world.generation, &mut wakers));
                wakers.into_iter().for_each(Waker::wake);
                bell.end();
            })
        };
        let waker = Waker::from(bell.clone());
        let mut ticket = Ticket::default();
        let ready = loop {
            match world.slot.poll(READ, &mut ticket, &waker) {
                Poll::Ready(ready) => break ready,
                Poll::Pending => bell.wait(),
            }
        };
        assert!(ready.is_shut_down());
        closer.join().unwrap();
    });
}

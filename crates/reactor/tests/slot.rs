//! The queue of a readiness slot against a model: who is woken by what, step by step.

mod support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use proptest::prelude::*;
use support::Bell;
use weftwork_reactor::protocol::{Change, Slot, Ticket};
use weftwork_reactor::{Direction, Interest};

const READ: Direction = Direction::Read;

#[derive(Clone, Debug)]
enum Step {
    Arrive,
    Poll(usize),
    Leave(usize),
    Event,
    EventOfTheOtherDirection,
    Clear,
    ClearWithAnOldSnapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Arrive),
        6 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => Just(Step::Event),
        1 => Just(Step::EventOfTheOtherDirection),
        3 => Just(Step::Clear),
        1 => Just(Step::ClearWithAnOldSnapshot),
    ]
}

struct Waiter {
    bell: Arc<Bell>,
    waker: Waker,
    ticket: Ticket,
    /// How often the model says it was woken.
    woken: usize,
    /// Woken since it was last polled: it holds a baton.
    holds_baton: bool,
}

/// The slot, and what is known of it.
struct World {
    slot: Slot,
    generation: u32,
    ready: bool,
    waiters: Vec<Waiter>,
    /// Who sleeps, as indices into `waiters`, first come first.
    queue: VecDeque<usize>,
}

impl World {
    fn new() -> World {
        let slot = Slot::new();
        let generation = slot.open(3, Interest::READABLE);
        World {
            slot,
            generation,
            ready: false,
            waiters: Vec::new(),
            queue: VecDeque::new(),
        }
    }

    fn pass_baton(&mut self) {
        if let Some(next) = self.queue.pop_front() {
            self.waiters[next].woken += 1;
            self.waiters[next].holds_baton = true;
        }
    }

    fn renumber(&mut self, gone: usize) {
        self.queue.retain(|&n| n != gone);
        for n in &mut self.queue {
            *n -= usize::from(*n > gone);
        }
    }

    fn poll(&mut self, n: usize) {
        let waiter = &mut self.waiters[n];
        let polled = self.slot.poll(READ, &mut waiter.ticket, &waiter.waker);
        assert_eq!(polled.is_ready(), self.ready);
        let held = std::mem::take(&mut waiter.holds_baton);
        if self.ready {
            self.waiters.remove(n);
            self.renumber(n);
            if held {
                self.pass_baton();
            }
        } else if held {
            self.queue.push_front(n);
        } else if !self.queue.contains(&n) {
            self.queue.push_back(n);
        }
    }

    fn leave(&mut self, n: usize) {
        let mut waiter = self.waiters.remove(n);
        self.slot.cancel(READ, &mut waiter.ticket);
        self.renumber(n);
        if waiter.holds_baton && self.ready {
            self.pass_baton();
        }
        drop(waiter.waker);
        assert_eq!(Arc::strong_count(&waiter.bell), 1, "its waker is kept");
    }

    fn event(&mut self, change: Change) {
        let mut wakers = Vec::new();
        assert!(self.slot.apply(self.generation, change, &mut wakers));
        wakers.into_iter().for_each(Waker::wake);
    }

    fn run(&mut self, step: Step) {
        let among = |n: usize, world: &World| n % world.waiters.len().max(1);
        match step {
            Step::Arrive => {
                let (bell, waker) = Bell::new();
                self.waiters.push(Waiter {
                    bell,
                    waker,
                    ticket: Ticket::default(),
                    woken: 0,
                    holds_baton: false,
                });
                self.poll(self.waiters.len() - 1);
            }
            Step::Poll(n) if !self.waiters.is_empty() => self.poll(among(n, self)),
            Step::Leave(n) if !self.waiters.is_empty() => self.leave(among(n, self)),
            Step::Event => {
                self.ready = true;
                self.event(Change::READABLE);
                self.pass_baton();
            }
            Step::EventOfTheOtherDirection => {
                let before = self.slot.ready(READ);
                self.event(Change::WRITABLE);
                assert_eq!(self.slot.ready(READ), before);
            }
            Step::Clear => {
                self.slot.clear(READ, self.slot.ready(READ));
                self.ready = false;
            }
            Step::ClearWithAnOldSnapshot => {
                let old = self.slot.ready(READ);
                self.run(Step::Event);
                self.slot.clear(READ, old);
            }
            _ => {}
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.slot.ready(READ).is_ready(), self.ready);
        for waiter in &self.waiters {
            assert_eq!(waiter.bell.rings(), waiter.woken);
        }
        let baton = self.waiters.iter().any(|w| w.holds_baton);
        assert!(
            !self.ready || self.queue.is_empty() || baton,
            "ready, somebody sleeps, and nobody is awake to hand it on"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn waiters_are_woken_as_the_model_says(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        // One event, and everybody who polls when woken gets through.
        world.run(Step::Event);
        while let Some(n) = world.waiters.iter().position(|w| w.holds_baton) {
            world.run(Step::Poll(n));
        }
        prop_assert!(world.waiters.is_empty());
    }
}

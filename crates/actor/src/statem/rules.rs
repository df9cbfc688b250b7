//! In which order events are handled: plain data, without an actor and without a clock.
//!
//! 1. Inserted events come first, in the order of insertion; then, after a change of state, what was
//!    postponed, in the order of postponing; then what was queued.
//! 2. A time-out of no time comes when the queue is empty, before anything else is taken in.
//! 3. Any event ends the event time-out; a change of state ends the state's.

use std::collections::VecDeque;

/// Names a time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    State,
    Event,
    Named(&'static str),
}

pub(crate) struct Rules<E> {
    queue: VecDeque<E>,
    postponed: Vec<E>,
    /// Time-outs of no time, in the order in which they were set.
    zero: VecDeque<(Slot, E)>,
}

impl<E> Rules<E> {
    pub(crate) fn new() -> Self {
        Rules {
            queue: VecDeque::new(),
            postponed: Vec::new(),
            zero: VecDeque::new(),
        }
    }

    /// An event comes in from outside.
    pub(crate) fn queue(&mut self, event: E) {
        self.queue.push_back(event);
    }

    /// Sets a time-out of no time.
    pub(crate) fn at_once(&mut self, slot: Slot, event: E) {
        // There is something queued already, and any event ends this one.
        if slot != Slot::Event || self.is_empty() {
            self.zero.push_back((slot, event));
        }
    }

    /// Ends a time-out that has not come yet.
    pub(crate) fn cancel(&mut self, slot: Slot) {
        self.zero.retain(|(one, _)| *one != slot);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.zero.is_empty()
    }

    /// Takes the next event to be handled, which ends the event time-out.
    pub(crate) fn next(&mut self) -> Option<E> {
        let next = match self.queue.pop_front() {
            Some(event) => Some(event),
            None => self.zero.pop_front().map(|(_, event)| event),
        };
        if next.is_some() {
            self.cancel(Slot::Event);
        }
        next
    }

    /// An event was handled: takes up what it has left.
    pub(crate) fn settle(&mut self, postponed: Option<E>, has_changed: bool, inserted: Vec<E>) {
        self.postponed.extend(postponed);
        if has_changed {
            self.cancel(Slot::State);
            for event in self.postponed.drain(..).rev() {
                self.queue.push_front(event);
            }
        }
        for event in inserted.into_iter().rev() {
            self.queue.push_front(event);
        }
    }
}

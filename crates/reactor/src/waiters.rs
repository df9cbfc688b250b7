//! The queue of one direction: who waits, first come first served, one waker without allocation.
//!
//! Invariants (the caller holds the slot's lock throughout):
//! 1. `rest` is empty if `first` is.
//! 2. Ids in the queue differ. [`POLLED`] is the one entry that stands for every caller of
//!    `poll_ready`.
//!
//! No waker is called, cloned or dropped here: what leaves the queue is returned, for the caller to
//! deal with after it released the lock.

use std::collections::VecDeque;
use std::task::Waker;

/// The id of the waiter that nobody cancels: the last caller of `poll_ready`.
pub(crate) const POLLED: u64 = 0;

#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) id: u64,
    pub(crate) waker: Waker,
}

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    first: Option<Waiter>,
    /// Boxed because almost no descriptor ever has a second waiter in one direction.
    #[expect(
        clippy::box_collection,
        reason = "a bare VecDeque would add 24 bytes to every slot"
    )]
    rest: Option<Box<VecDeque<Waiter>>>,
}

impl Waiters {
    pub(crate) const fn new() -> Self {
        Waiters {
            first: None,
            rest: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push_back(&mut self, waiter: Waiter) {
        if self.first.is_none() {
            self.first = Some(waiter);
        } else {
            self.rest.get_or_insert_default().push_back(waiter);
        }
    }

    /// Puts a waiter that was woken and found nothing back to its place.
    pub(crate) fn push_front(&mut self, waiter: Waiter) {
        if let Some(second) = self.first.replace(waiter) {
            self.rest.get_or_insert_default().push_front(second);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Waiter> {
        let waiter = self.first.take();
        if let Some(rest) = &mut self.rest {
            self.first = rest.pop_front();
        }
        waiter
    }

    pub(crate) fn find(&mut self, id: u64) -> Option<&mut Waiter> {
        let rest = self.rest.iter_mut().flat_map(|rest| rest.iter_mut());
        self.first.iter_mut().chain(rest).find(|w| w.id == id)
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Waiter> {
        if self.first.as_ref()?.id == id {
            return self.pop();
        }
        let rest = self.rest.as_mut()?;
        let at = rest.iter().position(|w| w.id == id)?;
        rest.remove(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(id: u64) -> Waiter {
        Waiter {
            id,
            waker: Waker::noop().clone(),
        }
    }

    #[test]
    fn waiters_leave_in_order_and_a_returned_one_is_first() {
        let mut queue = Waiters::new();
        for id in 1..=3 {
            queue.push_back(waiter(id));
        }
        let first = queue.pop().expect("three wait");
        assert_eq!(first.id, 1);
        queue.push_front(first);
        assert_eq!(queue.remove(2).map(|w| w.id), Some(2));
        assert!(queue.remove(2).is_none());
        assert_eq!(
            [queue.pop(), queue.pop(), queue.pop()].map(|w| w.map(|w| w.id)),
            [Some(1), Some(3), None]
        );
        assert!(queue.is_empty());
    }
}

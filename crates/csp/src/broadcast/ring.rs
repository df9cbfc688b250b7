//! The messages of a broadcast channel, and who has yet to see which.
//!
//! Invariants
//! 1. Positions count the messages from the first that was ever sent. `head` is the position of the
//!    oldest that is kept; a receiver's cursor is the position of the one it sees next.
//! 2. Each receiver is counted once: in the slot at its cursor, in the oldest slot if it lags behind
//!    that, or in `at_tail` if it has seen all. So a receive, a subscription and the end of a receiver
//!    touch two counts, however many messages there are.
//! 3. The oldest slot has a receiver, or there is none: what all have seen is taken out at once.
//! 4. Bounded: messages and `reserved` places together are never more than the capacity, and if they
//!    are fewer, no sender waits. A place is reserved for a sender that was told so; if it goes away,
//!    the place goes to the next. So senders get room in the order they came.
//! 5. A receiver waits only at the tail; every message, and the end, tells all that wait.

use super::RecvError;
use crate::attempt::News;
use std::collections::VecDeque;
use std::sync::Arc;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::wait::queue::{Lane, Line, Locked};

/// Where receivers wait for messages.
pub(super) const RECEIVERS: Lane = Lane::First;
/// Where senders wait for room.
pub(super) const SENDERS: Lane = Lane::Second;

/// What happens when the slowest receiver is the capacity behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It misses the oldest message.
    Lagging,
    /// A sender waits.
    Bounded,
}

struct Slot<T> {
    message: Arc<T>,
    /// How many receivers see this next.
    receivers: usize,
}

pub(super) struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    head: u64,
    at_tail: usize,
    reserved: usize,
    capacity: usize,
    mode: Mode,
    pub(super) senders: usize,
    pub(super) receivers: usize,
    pub(super) closed: bool,
}

impl<T> Line for Ring<T> {
    type Shared = ();
    type Ask = ();
    type Token = News;

    fn left(_: &mut Locked<'_, Self>, _: Lane) {}

    fn returned(ring: &mut Locked<'_, Self>, news: News) {
        if news == News::Granted {
            ring.reserved -= 1;
            // Canary: the place of a sender that went away is given to nobody.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("broadcast_pass_on")) {
                return;
            }
            grant(ring);
        }
    }
}

/// Reserves the places that are free for the senders that wait (invariant 4).
pub(super) fn grant<T>(ring: &mut Locked<'_, Ring<T>>) {
    while ring.has_room() && ring.notify(SENDERS, News::Granted).is_ok() {
        ring.reserved += 1;
    }
}

impl<T> Ring<T> {
    /// A ring with one sender and one receiver.
    pub(super) fn new(capacity: usize, mode: Mode) -> Self {
        Ring {
            slots: VecDeque::new(),
            head: 0,
            at_tail: 1,
            reserved: 0,
            capacity,
            mode,
            senders: 1,
            receivers: 1,
            closed: false,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many messages are kept.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many messages are kept that a receiver at `cursor` has not seen.
    pub(super) fn unseen(&self, cursor: u64) -> usize {
        self.slots.len() - self.index(cursor)
    }

    /// Whether a send would find nobody.
    pub(super) fn is_closed(&self) -> bool {
        self.closed || self.receivers == 0
    }

    fn has_room(&self) -> bool {
        self.slots.len() + self.reserved < self.capacity
    }

    /// The slot in which a receiver at `cursor` is counted; that after the last is the tail.
    fn index(&self, cursor: u64) -> usize {
        // Not more than the number of slots, so it fits.
        usize::try_from(cursor.saturating_sub(self.head)).expect("a cursor beyond the tail")
    }

    /// Where a receiver is counted that is at slot `index`.
    fn count(&mut self, index: usize) -> &mut usize {
        match self.slots.get_mut(index) {
            Some(slot) => &mut slot.receivers,
            None => &mut self.at_tail,
        }
    }

    /// Counts one more receiver, at `cursor`.
    pub(super) fn add_receiver(&mut self, cursor: u64) {
        self.receivers += 1;
        *self.count(self.index(cursor)) += 1;
    }

    /// Counts a receiver no more. Gives the messages that all others have seen.
    #[must_use]
    pub(super) fn remove_receiver(&mut self, cursor: u64) -> Vec<Arc<T>> {
        self.receivers -= 1;
        *self.count(self.index(cursor)) -= 1;
        let seen = self.slots.iter().take_while(|slot| slot.receivers == 0);
        let seen = seen.count();
        self.head += seen as u64;
        self.slots.drain(..seen).map(|slot| slot.message).collect()
    }

    /// The cursor of a receiver that sees what comes from now on.
    pub(super) fn tail(&self) -> u64 {
        self.head + self.slots.len() as u64
    }

    /// Takes back the place that was reserved for a sender.
    pub(super) fn unreserve(&mut self) {
        self.reserved -= 1;
    }

    /// Adds a message that somebody will see. Gives the one that it displaced, if receivers may lag.
    ///
    /// # Errors
    /// There is no room: here is the message back.
    pub(super) fn push(&mut self, message: Arc<T>) -> Result<Option<Arc<T>>, Arc<T>> {
        let mut displaced = None;
        if !self.has_room() {
            if self.mode == Mode::Bounded {
                return Err(message);
            }
            let oldest = self.slots.pop_front().expect("a capacity of one at least");
            self.head += 1;
            // Those that had it before them lag, and go on with the next (invariant 2).
            *self.count(0) += oldest.receivers;
            displaced = Some(oldest.message);
        }
        let receivers = std::mem::take(&mut self.at_tail);
        self.slots.push_back(Slot { message, receivers });
        Ok(displaced)
    }

    /// Takes what a receiver at `cursor` sees next, and moves the cursor on. `None`: it has seen all.
    pub(super) fn pull(&mut self, cursor: &mut u64) -> Option<Result<Arc<T>, RecvError>> {
        if *cursor < self.head {
            let missed = self.head - *cursor;
            *cursor = self.head;
            return Some(Err(RecvError::Lagged(missed)));
        }
        let index = self.index(*cursor);
        if index == self.slots.len() {
            return (self.closed || self.senders == 0).then_some(Err(RecvError::Disconnected));
        }
        *cursor += 1;
        *self.count(index) -= 1;
        *self.count(index + 1) += 1;
        if index == 0 && self.slots[0].receivers == 0 {
            // The last to see the oldest: the next one has a receiver, or is the tail (invariant 3).
            self.head += 1;
            return self.slots.pop_front().map(|slot| Ok(slot.message));
        }
        Some(Ok(Arc::clone(&self.slots[index].message)))
    }
}

//! What a channel's lock guards: the buffer, the queues, and the moves between them.
//!
//! One algorithm serves every capacity, 0 and unbounded included, as in Go's `chan.go`: a value goes
//! straight to a receiver that waits, else into the buffer if there is room, else its sender waits.
//!
//! Invariants, whenever the lock is free
//! 1. If the buffer holds a value, then nobody in `Receivers` could take it.
//! 2. If there is room, then nobody in `Senders` has a value for it.
//! 3. With capacity 0, `Receivers` and values in `Senders` are not there at the same time.
//! 4. Somebody in a queue of watchers was told, and unlinked, for each change that may be of interest
//!    to them, until one that can use it was found. Whoever is told and does not use it tells the next.
//! 5. `buffer.len() + permits` exceeds the capacity only by values that had nowhere else to go: given
//!    back by a receiver that was dropped, or sent by a selection whose partner has left.
//!
//! No method calls a waker, and none drops a message; both are left to the caller, for when the lock
//! is free.

use crate::reason::CloseReason;
use crate::waiting::signal::Outcome;
use crate::waiting::{List, Node, Packet, Queues, Role, Signal, Wakes};
use std::collections::VecDeque;
use std::ptr;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

/// Set by the drop of the last sender. The queue stays readable.
pub(crate) const SENDERS_GONE: u8 = 1 << 0;
/// Set by the drop of the last receiver. Excludes values in the buffer.
pub(crate) const RECEIVERS_GONE: u8 = 1 << 1;
/// Set by `close`. The queue stays readable, and permits stay good.
pub(crate) const CLOSED: u8 = 1 << 2;

/// Stands for "no limit".
pub(crate) const UNBOUNDED: usize = usize::MAX;

pub(crate) struct State<T> {
    pub(crate) buffer: VecDeque<T>,
    pub(crate) capacity: usize,
    /// Room that was promised: to permits, and to selections between their choice and their value.
    pub(crate) permits: usize,
    /// How many of the permits are selections'.
    pub(crate) selections: usize,
    pub(crate) queues: Queues,
    pub(crate) ends: u8,
    pub(crate) reason: Option<CloseReason>,
}

/// Why a value could not be placed; here it is back.
pub(crate) enum Unplaced<T> {
    Full(T),
    Ended(T),
}

/// What a receiver finds.
pub(crate) enum Found<T> {
    Value(T),
    Ended,
    Empty,
}

impl<T> State<T> {
    pub(crate) const fn new(capacity: usize) -> Self {
        State {
            buffer: VecDeque::new(),
            capacity,
            permits: 0,
            selections: 0,
            queues: Queues::new(),
            ends: 0,
            reason: None,
        }
    }

    #[inline]
    pub(crate) fn is_rendezvous(&self) -> bool {
        self.capacity == 0
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.buffer.len() + self.permits < self.capacity
    }

    /// Whether nothing can be sent any more, but by permits.
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        self.ends & (RECEIVERS_GONE | CLOSED) != 0
    }

    /// Whether nothing will come any more: what is in the buffer is the last. No permit is out when the
    /// last sender goes, unless it was forgotten: each has a sender, or borrows one.
    #[inline]
    fn is_final(&self) -> bool {
        self.ends & SENDERS_GONE != 0
            || (self.ends & CLOSED != 0 && self.permits == self.selections)
    }

    /// Whether nothing will ever be received any more.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.ends != 0 && self.buffer.is_empty() && self.is_final()
    }

    /// Gives `value`, which is older than what is in the buffer, to a receiver that waits.
    pub(crate) fn hand_over(&mut self, value: T, wakes: &mut Wakes) -> Result<(), T> {
        while let Some(node) = self.queues.pop_front(List::Receivers) {
            if node.role() == Role::Receive {
                // SAFETY: unlinked just now, under the lock; it waits here only.
                wakes.add(unsafe { self.write_and_settle(node, value) });
                return Ok(());
            }
            // SAFETY: unlinked just now, under the lock.
            if let Some(claim) = unsafe { node.signal() }.try_claim() {
                // SAFETY: the packet of a select that is claimed by us, and empty while it waits.
                unsafe { (*node.place().cast::<Packet>()).put(value) };
                wakes.add(claim.finish(Outcome::done(node.arm())));
                return Ok(());
            }
        }
        Err(value)
    }

    /// Writes a receiver's value, and says so.
    ///
    /// # Safety
    /// The node was unlinked under this hold of the lock, and is a `Receive` or `ReceiveFuture`.
    pub(crate) unsafe fn write_and_settle(
        &self,
        node: &Node,
        value: T,
    ) -> Option<std::task::Waker> {
        // SAFETY: `place` is the slot of the receiving operation, which is empty, of this type, and
        // ours until the outcome is stated.
        unsafe {
            node.place().cast::<T>().write(value);
            node.settle(Outcome::done(0))
        }
    }

    /// Gives `value` to a future that receives, which keeps it until it is polled, or gives it back
    /// if it is dropped before. Only for those who cannot wait: others keep their value until then.
    fn hand_to_future(&mut self, value: T, wakes: &mut Wakes) -> Result<(), T> {
        let mut cursor = self.queues.first(List::ReceiveWatchers);
        while let Some(node) = cursor {
            cursor = self.queues.after(node);
            match node.role() {
                Role::ReceiveFuture => {
                    self.queues.remove(node);
                    // SAFETY: unlinked just now, under the lock; it waits here only.
                    wakes.add(unsafe { self.write_and_settle(node, value) });
                    return Ok(());
                }
                Role::SelectReceiveFuture => {
                    self.queues.remove(node);
                    // SAFETY: unlinked just now, under the lock.
                    if let Some(claim) = unsafe { node.signal() }.try_claim() {
                        // SAFETY: as in `hand_over`.
                        unsafe { (*node.place().cast::<Packet>()).put(value) };
                        wakes.add(claim.finish(Outcome::done(node.arm())));
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Err(value)
    }

    /// Places a value: with a receiver that waits, or into the buffer.
    #[inline]
    pub(crate) fn place(&mut self, value: T, wakes: &mut Wakes) -> Result<(), Unplaced<T>> {
        if self.refuses() {
            return Err(Unplaced::Ended(value));
        }
        let mut value = value;
        if !self.queues.is_empty(List::Receivers) && self.buffer.is_empty() {
            match self.hand_over(value, wakes) {
                Ok(()) => return Ok(()),
                Err(back) => value = back,
            }
        }
        if self.has_room() {
            self.push(value, wakes);
            return Ok(());
        }
        Err(Unplaced::Full(value))
    }

    /// As [`place`](Self::place), for an operation that cannot wait: it may leave the value with a
    /// future.
    pub(crate) fn place_now(&mut self, value: T, wakes: &mut Wakes) -> Result<(), Unplaced<T>> {
        match self.place(value, wakes) {
            Err(Unplaced::Full(value)) if self.is_rendezvous() && self.buffer.is_empty() => {
                self.hand_to_future(value, wakes).map_err(Unplaced::Full)
            }
            other => other,
        }
    }

    /// Places a value that was promised a place.
    pub(crate) fn place_promised(&mut self, value: T, wakes: &mut Wakes) {
        let mut value = value;
        if self.buffer.is_empty() {
            match self.hand_over(value, wakes) {
                Ok(()) => return,
                Err(back) => value = back,
            }
        }
        self.push(value, wakes);
    }

    #[inline]
    fn push(&mut self, value: T, wakes: &mut Wakes) {
        self.buffer.push_back(value);
        if !self.queues.is_empty(List::ReceiveWatchers) {
            self.notify(List::ReceiveWatchers, wakes);
        }
    }

    /// Takes a value, oldest first: from the buffer, or with none there from a sender that waits.
    #[inline]
    pub(crate) fn take(&mut self, wakes: &mut Wakes) -> Found<T> {
        if let Some(value) = self.buffer.pop_front() {
            if !self.queues.is_empty(List::Senders) || !self.queues.is_empty(List::SendWatchers) {
                self.refill(wakes);
            }
            return Found::Value(value);
        }
        if !self.queues.is_empty(List::Senders)
            && let Some(value) = self.take_from_sender(wakes)
        {
            return Found::Value(value);
        }
        if self.is_exhausted() {
            Found::Ended
        } else {
            Found::Empty
        }
    }

    /// Whether a sender waits with a value.
    pub(crate) fn has_sender(&self) -> bool {
        let mut cursor = self.queues.first(List::Senders);
        while let Some(node) = cursor {
            if node.role() == Role::Send {
                return true;
            }
            cursor = self.queues.after(node);
        }
        false
    }

    /// Whether a future waits to receive.
    pub(crate) fn has_receiving_future(&self) -> bool {
        let mut cursor = self.queues.first(List::ReceiveWatchers);
        while let Some(node) = cursor {
            if node.role() != Role::Observe {
                return true;
            }
            cursor = self.queues.after(node);
        }
        false
    }

    /// Takes the value of the first sender that has one, past selects, which have none yet.
    fn take_from_sender(&mut self, wakes: &mut Wakes) -> Option<T> {
        let mut cursor = self.queues.first(List::Senders);
        while let Some(node) = cursor {
            if node.role() == Role::Send {
                self.queues.remove(node);
                // SAFETY: unlinked just now, under the lock.
                return Some(unsafe { self.read_and_settle(node, wakes) });
            }
            cursor = self.queues.after(node);
        }
        None
    }

    /// Reads a sender's value, and says so.
    ///
    /// # Safety
    /// The node was unlinked under this hold of the lock, and is a `Send`.
    pub(crate) unsafe fn read_and_settle(&self, node: &Node, wakes: &mut Wakes) -> T {
        // SAFETY: `place` is the slot of the sending operation, which holds a value of this type; the
        // owner does not use it again once the outcome is stated.
        unsafe {
            let value = node.place().cast::<T>().read();
            wakes.add(node.settle(Outcome::done(0)));
            value
        }
    }

    /// Fills the room there is from the senders that wait, and tells selects of what is left of it.
    pub(crate) fn refill(&mut self, wakes: &mut Wakes) {
        let mut room = self
            .capacity
            .saturating_sub(self.buffer.len() + self.permits);
        while room > 0 {
            let Some(node) = self.queues.pop_front(List::Senders) else {
                if !self.queues.is_empty(List::SendWatchers) {
                    self.notify(List::SendWatchers, wakes);
                }
                return;
            };
            if node.role() == Role::Send {
                // SAFETY: unlinked just now, under the lock.
                let value = unsafe { self.read_and_settle(node, wakes) };
                self.buffer.push_back(value);
                room -= 1;
            // SAFETY: unlinked just now, under the lock.
            } else if let Some(claim) = unsafe { node.signal() }.try_claim() {
                wakes.add(claim.finish(Outcome::fired(node.arm())));
                // It will come for its room.
                room -= 1;
            }
        }
    }

    /// Tells the watchers of a queue to look, up to the first that may use what there is.
    pub(crate) fn notify(&mut self, list: List, wakes: &mut Wakes) {
        self.notify_others(list, ptr::null(), wakes);
    }

    /// As [`notify`](Self::notify), past those whose word is `me`.
    pub(crate) fn notify_others(&mut self, list: List, me: *const Signal, wakes: &mut Wakes) {
        let mut cursor = self.queues.first(list);
        while let Some(node) = cursor {
            cursor = self.queues.after(node);
            if ptr::eq(node.signal_address(), me) {
                continue;
            }
            self.queues.remove(node);
            // SAFETY: unlinked just now, under the lock.
            if let Some(claim) = unsafe { node.signal() }.try_claim() {
                let role = node.role();
                wakes.add(claim.finish(Outcome::fired(node.arm())));
                if role != Role::Observe {
                    return;
                }
            }
        }
    }

    /// Tells everybody in a queue to look again.
    pub(crate) fn notify_all(&mut self, list: List, wakes: &mut Wakes) {
        while let Some(node) = self.queues.pop_front(list) {
            if list == List::Matched {
                // SAFETY: unlinked just now, under the lock, from that queue.
                let signal = unsafe { node.signal() };
                match node.role() {
                    // It waits for us, or for another arm of its.
                    Role::SelectReceiveFuture => {
                        if let Some(claim) = signal.try_claim() {
                            wakes.add(claim.finish(Outcome::fired(node.arm())));
                        }
                    }
                    // SAFETY: matched, and unlinked just now, under the lock.
                    _ => wakes.add(unsafe { node.settle(Outcome::fired(node.arm())) }),
                }
                continue;
            }
            // SAFETY: unlinked just now, under the lock.
            if let Some(claim) = unsafe { node.signal() }.try_claim() {
                wakes.add(claim.finish(Outcome::fired(node.arm())));
            }
        }
    }

    /// Tells somebody who may use what there is to receive: after a value has come back, or when
    /// somebody who was told has left without it.
    pub(crate) fn offer_again(&mut self, wakes: &mut Wakes) {
        while let Some(value) = self.buffer.pop_front() {
            if self.queues.is_empty(List::Receivers) {
                self.buffer.push_front(value);
                break;
            }
            if let Err(value) = self.hand_over(value, wakes) {
                self.buffer.push_front(value);
                break;
            }
        }
        let sent = !self.buffer.is_empty() || !self.queues.is_empty(List::Senders);
        if sent && !self.queues.is_empty(List::ReceiveWatchers) {
            self.notify(List::ReceiveWatchers, wakes);
        } else if !self.buffer.is_empty() {
            // Older than what a receiver in `Matched` was promised.
            self.release_matched(wakes);
        }
        self.refill(wakes);
    }

    /// Tells somebody who may use it that there is a receiver, or room: when somebody who was told has
    /// left without it.
    pub(crate) fn want_again(&mut self, wakes: &mut Wakes) {
        self.refill(wakes);
        if self.is_rendezvous()
            && (!self.queues.is_empty(List::Receivers)
                || !self.queues.is_empty(List::ReceiveWatchers))
        {
            self.notify_selects_that_send(ptr::null(), wakes);
        }
    }

    /// Tells a select that sends to look: there is a receiver. With capacity 0. `me` is the word of
    /// whoever tells, which is not told.
    pub(crate) fn notify_selects_that_send(&mut self, me: *const Signal, wakes: &mut Wakes) {
        let mut cursor = self.queues.first(List::Senders);
        while let Some(node) = cursor {
            cursor = self.queues.after(node);
            if node.role() == Role::SelectSend {
                self.queues.remove(node);
                // SAFETY: unlinked just now, under the lock.
                if let Some(claim) = unsafe { node.signal() }.try_claim() {
                    wakes.add(claim.finish(Outcome::fired(node.arm())));
                    return;
                }
            }
        }
        self.notify_others(List::SendWatchers, me, wakes);
    }

    /// Gives the room of a permit back.
    pub(crate) fn give_back_permit(&mut self, of_selection: bool, wakes: &mut Wakes) {
        if of_selection {
            if self.selections == 0 {
                return; // Somebody who needed it has taken it.
            }
            self.selections -= 1;
        }
        self.permits -= 1;
        self.refill(wakes);
        if self.is_final() {
            // Those who waited for what the permit might bring; also if there is something left, which
            // one of them takes: nobody will tell the others.
            self.notify_all(List::Receivers, wakes);
            self.notify_all(List::ReceiveWatchers, wakes);
        }
    }

    /// Ends one direction, or both. The messages that nobody can receive any more are the caller's to
    /// drop.
    pub(crate) fn end(&mut self, how: u8, wakes: &mut Wakes) -> VecDeque<T> {
        self.ends |= how;
        let mut dropped = VecDeque::new();
        if self.ends & RECEIVERS_GONE != 0 {
            dropped = std::mem::take(&mut self.buffer);
        }
        self.notify_all(List::Matched, wakes);
        self.notify_all(List::CloseWatchers, wakes);
        // Canary: those who wait to send do not hear of it.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("state: end")) {
            return dropped;
        }
        if self.refuses() {
            self.notify_all(List::Senders, wakes);
            self.notify_all(List::SendWatchers, wakes);
        }
        if self.is_exhausted() {
            self.notify_all(List::Receivers, wakes);
        }
        self.notify_all(List::ReceiveWatchers, wakes);
        dropped
    }
}

//! One receive operation, of a thread or of a future, from its first look to its value.
//!
//! Invariants
//! 1. `slot` holds a value if and only if the word is `DONE`. Whoever leaves without having read it
//!    gives it back to the front of the buffer.
//! 2. While the word is neither `IDLE` nor an outcome the node is linked, or somebody who holds the
//!    lock is about to state an outcome.

use super::state::{Found, State};
use super::{Channel, GRACE};
use crate::error::RecvError;
use crate::lock;
use crate::lock::LockGuard;
use crate::waiting::{List, Node, Role, Signal, Status, Wakes};
use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::host;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::wait::{
    Reason, TimedOut, checkpoint, deadline_after, is_first_look, wait_deadline, wait_registered,
};

/// The word in reports for what receives wait for.
pub(crate) const RECV: Reason = Reason::new("recv");

/// See the module's page.
pub(crate) struct Receiving<'a, T> {
    channel: &'a Channel<T>,
    role: Role,
    /// Whether it is, or was last, in one of the channel's queues.
    waits: Cell<bool>,
    signal: Signal,
    node: Node,
    slot: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the cells keep the automatic one away: `waits` is the owner's alone, `slot` is written by
// others under the channel's lock and read by the owner after the outcome.
unsafe impl<T: Send> Send for Receiving<'_, T> {}
// SAFETY: shared references do nothing but through the lock; `waits` is reached by `Pin<&mut Self>`
// of the owner alone.
unsafe impl<T: Send> Sync for Receiving<'_, T> {}

impl<'a, T> Receiving<'a, T> {
    #[inline]
    pub(crate) fn new(channel: &'a Channel<T>, role: Role) -> Self {
        Receiving {
            channel,
            role,
            waits: Cell::new(false),
            signal: Signal::new(),
            node: Node::new(),
            slot: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Looks for a value, and leaves the waker if there is none. The waker is cloned under the lock:
    /// only for those of the scheduler and of threads.
    #[inline]
    pub(crate) fn poll_blocking(
        self: Pin<&Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        let this = self.get_ref();
        if this.waits.get() {
            match this.signal.status() {
                // The blocking wait's waker is the same at every poll.
                Status::Waiting | Status::Matched(_) => return Poll::Pending,
                Status::Done(_) => return Poll::Ready(Ok(this.read())),
                Status::Fired(_) | Status::Idle => this.stop_waiting(),
            }
        }
        this.look(
            Some(context.waker()).filter(|waker| !is_first_look(waker)),
            false,
        )
    }

    /// As `poll_blocking`, under any waker.
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        let this = self.into_ref().get_ref();
        let mut first = false;
        while this.waits.get() {
            match this.signal.status() {
                Status::Waiting | Status::Matched(_) => {
                    if this.keep_waiting(context.waker()) {
                        return Poll::Pending;
                    }
                }
                Status::Done(_) => return Poll::Ready(Ok(this.read())),
                Status::Fired(_) | Status::Idle => {
                    // It was first in line when it was told.
                    first = true;
                    this.stop_waiting();
                }
            }
        }
        // A rendezvous has to be waited for more often than not: then one look is enough.
        if this.channel.capacity != 0
            && let ready @ Poll::Ready(_) = this.look(None, false)
        {
            return ready;
        }
        // Cloning is the executor's code: not under the lock.
        let waker = context.waker().clone();
        this.look_with(waker, first)
    }

    /// Looks once; queues with a clone of `waker`, if there is one.
    #[inline]
    fn look(&self, waker: Option<&Waker>, first: bool) -> Poll<Result<T, RecvError>> {
        let mut wakes = Wakes::new();
        let mut state = self.channel.lock();
        let found = state.take(&mut wakes);
        // Canary: what comes between the look and the node is seen by neither.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("receiving: look")) {
            drop(state);
            state = self.channel.lock();
        }
        if let (Found::Empty, Some(waker)) = (&found, waker) {
            self.enlist(&mut state, waker.clone(), first, &mut wakes);
        }
        drop(state);
        wakes.wake();
        settled(found)
    }

    fn look_with(&self, waker: Waker, first: bool) -> Poll<Result<T, RecvError>> {
        let mut wakes = Wakes::new();
        let mut unused = None;
        let mut state = self.channel.lock();
        let found = state.take(&mut wakes);
        if matches!(found, Found::Empty) {
            self.enlist(&mut state, waker, first, &mut wakes);
        } else {
            unused = Some(waker);
        }
        drop(state);
        wakes.wake();
        drop(unused);
        settled(found)
    }

    fn enlist(&self, state: &mut State<T>, waker: Waker, first: bool, wakes: &mut Wakes) {
        self.signal.publish(waker);
        self.link(state, first, wakes);
    }

    /// Links the node. The word is published.
    fn link(&self, state: &mut State<T>, first: bool, wakes: &mut Wakes) {
        self.waits.set(true);
        let place = self.slot.with_mut(|slot| slot.cast::<()>());
        self.node.prepare(self.role, 0, &self.signal, place);
        if state.is_rendezvous() && state.match_select_that_sends(wakes) {
            // SAFETY: pinned, not linked, prepared; `leave` unlinks it at the latest in the drop.
            unsafe {
                state.queues.push_back(List::Matched, &self.node);
                self.signal.promise();
            }
            return;
        }
        let list = if self.role == Role::Receive {
            List::Receivers
        } else {
            List::ReceiveWatchers
        };
        // SAFETY: as above.
        unsafe {
            if first {
                state.queues.push_front(list, &self.node);
            } else {
                state.queues.push_back(list, &self.node);
            }
        }
        if state.is_rendezvous() {
            // A receiver is what selects that send, and observers, wait for.
            state.notify_selects_that_send(&raw const self.signal, wakes);
        }
    }

    /// Sees to it that `waker` is the one that is called. False: there is an outcome.
    fn keep_waiting(&self, waker: &Waker) -> bool {
        {
            let _state = self.channel.lock();
            if self.node.list().is_none() {
                return false;
            }
            // SAFETY: the owner, under the lock, and the node is linked.
            if unsafe { self.signal.wakes_same(waker) } {
                return true;
            }
        }
        let waker = waker.clone();
        let state = self.channel.lock();
        if self.node.list().is_none() {
            drop(state);
            drop(waker);
            return false;
        }
        // SAFETY: as above.
        let before = unsafe { self.signal.leave_waker(waker) };
        drop(state);
        drop(before);
        true
    }

    fn stop_waiting(&self) {
        self.waits.set(false);
        self.signal.reset();
    }

    /// Reads the value. Only when the word is `DONE`.
    fn read(&self) -> T {
        self.stop_waiting();
        // SAFETY: DONE, so the slot holds a value (invariant 1), which is not read again: the word is
        // IDLE now.
        self.slot.with(|slot| unsafe { (*slot).assume_init_read() })
    }

    /// Stops waiting. Returns the value if it came first.
    pub(crate) fn leave(self: Pin<&mut Self>) -> Option<T> {
        self.into_ref().get_ref().leave_queue()
    }

    fn leave_queue(&self) -> Option<T> {
        if !self.waits.get() {
            return None;
        }
        let mut wakes = Wakes::new();
        let mut state = self.channel.lock();
        let was_linked = state.queues.remove(&self.node);
        let status = self.signal.status();
        // Canary: whoever was told keeps it to itself.
        #[cfg(weftwork_canary)]
        let was_linked = was_linked || canary::is(Step::Of("receiving: pass on"));
        if !was_linked && matches!(status, Status::Fired(_)) {
            // We were told, and leave: tell the next.
            state.offer_again(&mut wakes);
        }
        drop(state);
        wakes.wake();
        if !was_linked && matches!(status, Status::Done(_)) {
            return Some(self.read());
        }
        self.stop_waiting();
        None
    }

    /// Spins for a moment, in which somebody on another processor may bring the value.
    fn spin(&self) -> bool {
        crate::spin::until(|| self.signal.has_moved())
    }
}

#[inline]
fn settled<T>(found: Found<T>) -> Poll<Result<T, RecvError>> {
    match found {
        Found::Value(value) => Poll::Ready(Ok(value)),
        Found::Ended => Poll::Ready(Err(RecvError)),
        Found::Empty => Poll::Pending,
    }
}

impl<T> Drop for Receiving<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.waits.get()
            && !lock::is_gone()
            && let Some(value) = self.leave_queue()
        {
            self.channel.give_back(value);
        }
    }
}

impl<T> fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").finish_non_exhaustive()
    }
}

impl<T> Channel<T> {
    /// Takes a value without waiting.
    #[inline]
    pub(crate) fn try_take(&self) -> Found<T> {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let mut found = state.take(&mut wakes);
        let promised = matches!(found, Found::Empty)
            && state.is_rendezvous()
            && !state.queues.is_empty(List::Senders);
        drop(state);
        wakes.wake();
        if promised {
            found = self.take_from_select();
        }
        found
    }

    /// Takes the value of a blocked select, which must first be chosen, and then say what it sends.
    #[cold]
    #[track_caller]
    fn take_from_select(&self) -> Found<T> {
        let mut receiving = std::pin::pin!(Receiving::new(self, Role::Receive));
        let mut looked = false;
        let waited = wait_deadline(RECV, deadline_after(GRACE), |context| {
            if is_first_look(context.waker()) {
                return Poll::Pending;
            }
            if !looked {
                looked = true;
                let this = receiving.as_ref().get_ref();
                if let Some(found) = this.match_or_find(context.waker()) {
                    return Poll::Ready(found);
                }
            }
            match receiving.as_ref().poll_blocking(context) {
                Poll::Ready(Ok(value)) => Poll::Ready(Found::Value(value)),
                Poll::Ready(Err(RecvError)) => Poll::Ready(Found::Ended),
                Poll::Pending => Poll::Pending,
            }
        });
        match waited {
            Ok(found) => found,
            Err(TimedOut) => receiving
                .as_mut()
                .leave()
                .map_or(Found::Empty, Found::Value),
        }
    }

    /// Receives, and waits for it until `deadline`.
    #[inline]
    #[track_caller]
    pub(crate) fn receive(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Result<T, RecvError>, TimedOut> {
        checkpoint();
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let found = state.take(&mut wakes);
        if matches!(found, Found::Empty) {
            return self.receive_later(state, wakes, deadline);
        }
        drop(state);
        wakes.wake();
        match found {
            Found::Value(value) => Ok(Ok(value)),
            Found::Ended | Found::Empty => Ok(Err(RecvError)),
        }
    }

    /// Waits for a value. The lock is still held under which there was none.
    #[inline(never)]
    #[track_caller]
    fn receive_later(
        &self,
        mut state: LockGuard<'_, State<T>>,
        mut wakes: Wakes,
        deadline: Option<Instant>,
    ) -> Result<Result<T, RecvError>, TimedOut> {
        let receiving = std::pin::pin!(Receiving::new(self, Role::Receive));
        let receiving = receiving.into_ref();
        let waited = wait_registered(
            RECV,
            deadline,
            |host| {
                if let Some(host) = host {
                    receiving.signal.publish_hosted(host);
                    receiving.link(&mut state, false, &mut wakes);
                }
                drop(state);
                wakes.wake();
            },
            |context| {
                let polled = receiving.poll_blocking(context);
                if polled.is_pending()
                    && receiving.waits.get()
                    && !host::is_hosted()
                    && receiving.spin()
                {
                    return receiving.poll_blocking(context);
                }
                polled
            },
        );
        match waited {
            Ok(result) => Ok(result),
            Err(TimedOut) => receiving.get_ref().leave_queue().map(Ok).ok_or(TimedOut),
        }
    }

    /// Puts a value back that was received and cannot be kept.
    #[cold]
    pub(crate) fn give_back(&self, value: T) {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        state.buffer.push_front(value);
        state.offer_again(&mut wakes);
        drop(state);
        wakes.wake();
    }
}

impl<T> Receiving<'_, T> {
    /// Takes a value if there is one, or has a blocked select promise its. `None` if that was done:
    /// then the operation waits.
    fn match_or_find(&self, waker: &Waker) -> Option<Found<T>> {
        let mut wakes = Wakes::new();
        let mut state = self.channel.lock();
        let mut found = Some(state.take(&mut wakes));
        if matches!(found, Some(Found::Empty)) && state.match_select_that_sends(&mut wakes) {
            found = None;
            self.waits.set(true);
            let place = self.slot.with_mut(|slot| slot.cast::<()>());
            self.node.prepare(self.role, 0, &self.signal, place);
            self.signal.publish(waker.clone());
            // SAFETY: pinned, not linked, prepared; unlinked at the latest in the drop.
            unsafe {
                state.queues.push_back(List::Matched, &self.node);
                self.signal.promise();
            }
        }
        drop(state);
        wakes.wake();
        found
    }
}

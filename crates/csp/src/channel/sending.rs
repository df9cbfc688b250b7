//! One send operation, of a thread or of a future, from its first try until its value is taken.
//!
//! Invariants
//! 1. `slot` holds the value until the word is `DONE`: the value is its owner's until somebody takes
//!    it. The owner reads it back only while the node is not linked, or under the lock.
//! 2. As in `receiving.rs`.

use super::state::{State, Unplaced};
use super::{Channel, GRACE};
use crate::lock;
use crate::lock::LockGuard;
use crate::waiting::{List, Node, Role, Signal, Status, Wakes};
use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use weftwork_core::host;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::wait::{
    Reason, TimedOut, checkpoint, deadline_after, is_first_look, wait_deadline, wait_registered,
};

/// The word in reports for what sends wait for.
pub(crate) const SEND: Reason = Reason::new("send");

/// The channel takes no values any more. The value is still in the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

/// See the module's page.
pub(crate) struct Sending<'a, T> {
    channel: &'a Channel<T>,
    /// Whether it is, or was last, in one of the channel's queues.
    waits: Cell<bool>,
    /// Whether the value is here, as far as the owner knows.
    holds: Cell<bool>,
    /// Whether a selection has promised the place that this one needs, and may have forgotten it.
    behind_selection: Cell<bool>,
    signal: Signal,
    node: Node,
    slot: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the cells keep the automatic one away: the flags are the owner's alone, `slot` is read by
// others under the channel's lock.
unsafe impl<T: Send> Send for Sending<'_, T> {}
// SAFETY: shared references do nothing but through the lock; the flags are reached by `Pin<&mut
// Self>` of the owner alone.
unsafe impl<T: Send> Sync for Sending<'_, T> {}

impl<'a, T> Sending<'a, T> {
    #[inline]
    pub(crate) fn new(channel: &'a Channel<T>, value: T) -> Self {
        Sending {
            channel,
            waits: Cell::new(false),
            holds: Cell::new(true),
            behind_selection: Cell::new(false),
            signal: Signal::new(),
            node: Node::new(),
            slot: UnsafeCell::new(MaybeUninit::new(value)),
        }
    }

    /// Tries to place the value, and leaves the waker if there is no place. The waker is cloned under
    /// the lock: only for those of the scheduler and of threads.
    #[inline]
    fn poll_blocking(self: Pin<&Self>, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let this = self.get_ref();
        if this.waits.get() {
            match this.signal.status() {
                Status::Waiting | Status::Matched(_) => return Poll::Pending,
                Status::Done(_) => return Poll::Ready(this.sent()),
                Status::Fired(_) | Status::Idle => this.stop_waiting(),
            }
        }
        this.try_place(Some(context.waker()).filter(|waker| !is_first_look(waker)))
    }

    /// As `poll_blocking`, under any waker.
    pub(crate) fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let this = self.into_ref().get_ref();
        while this.waits.get() {
            match this.signal.status() {
                Status::Waiting | Status::Matched(_) => {
                    if this.keep_waiting(context.waker()) {
                        return Poll::Pending;
                    }
                }
                Status::Done(_) => return Poll::Ready(this.sent()),
                Status::Fired(_) | Status::Idle => this.stop_waiting(),
            }
        }
        assert!(
            this.holds.get(),
            "a send was polled after it was ready, or after its message was taken back"
        );
        // A rendezvous has to be waited for more often than not: then one try is enough.
        if this.channel.capacity != 0
            && let ready @ Poll::Ready(_) = this.try_place(None)
        {
            return ready;
        }
        // Cloning is the executor's code: not under the lock.
        let waker = context.waker().clone();
        let mut wakes = Wakes::new();
        let mut unused = None;
        let mut state = this.channel.lock();
        let placed = this.place(&mut state, &mut wakes);
        if placed.is_pending() {
            this.enlist(&mut state, waker, &mut wakes);
        } else {
            unused = Some(waker);
        }
        drop(state);
        wakes.wake();
        drop(unused);
        placed
    }

    #[inline]
    fn try_place(&self, waker: Option<&Waker>) -> Poll<Result<(), Ended>> {
        let mut wakes = Wakes::new();
        let mut state = self.channel.lock();
        let placed = self.place(&mut state, &mut wakes);
        if let (Poll::Pending, Some(waker)) = (&placed, waker) {
            self.enlist(&mut state, waker.clone(), &mut wakes);
        }
        drop(state);
        wakes.wake();
        placed
    }

    #[inline]
    fn place(&self, state: &mut State<T>, wakes: &mut Wakes) -> Poll<Result<(), Ended>> {
        let (value, placed) = match state.place(self.take_value(), wakes) {
            Ok(()) => return Poll::Ready(Ok(())),
            Err(Unplaced::Full(value)) => (value, Poll::Pending),
            Err(Unplaced::Ended(value)) => (value, Poll::Ready(Err(Ended))),
        };
        self.put_value(value);
        placed
    }

    fn enlist(&self, state: &mut State<T>, waker: Waker, wakes: &mut Wakes) {
        self.signal.publish(waker);
        self.link(state, wakes);
    }

    /// Links the node. The word is published.
    fn link(&self, state: &mut State<T>, wakes: &mut Wakes) {
        self.waits.set(true);
        self.behind_selection.set(
            !state.queues.is_empty(List::Matched)
                || (state.selections > 0 && state.buffer.len() < state.capacity),
        );
        let place = self.slot.with_mut(|slot| slot.cast::<()>());
        self.node.prepare(Role::Send, 0, &self.signal, place);
        // SAFETY: pinned, not linked, prepared; unlinked at the latest in the drop.
        unsafe { state.queues.push_back(List::Senders, &self.node) };
        if !state.queues.is_empty(List::ReceiveWatchers) {
            state.notify(List::ReceiveWatchers, wakes);
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

    fn sent(&self) -> Result<(), Ended> {
        self.holds.set(false);
        self.stop_waiting();
        Ok(())
    }

    /// Takes the value, which is there.
    #[inline]
    fn take_value(&self) -> T {
        debug_assert!(self.holds.get());
        self.holds.set(false);
        // SAFETY: `holds`, and the node is not linked: nobody else reads the slot (invariant 1).
        self.slot.with(|slot| unsafe { (*slot).assume_init_read() })
    }

    #[inline]
    fn put_value(&self, value: T) {
        self.holds.set(true);
        // SAFETY: the node is not linked, so the slot is ours, and it is empty.
        self.slot.with_mut(|slot| unsafe {
            (*slot).write(value);
        });
    }

    /// Stops waiting. Returns the value if nobody has taken it.
    pub(crate) fn leave(self: Pin<&mut Self>) -> Option<T> {
        let this = self.into_ref().get_ref();
        this.leave_queue();
        this.holds.get().then(|| this.take_value())
    }

    fn leave_queue(&self) {
        if !self.waits.get() {
            return;
        }
        let was_linked = {
            let mut state = self.channel.lock();
            state.queues.remove(&self.node)
        };
        if !was_linked && matches!(self.signal.status(), Status::Done(_)) {
            self.holds.set(false);
        }
        self.stop_waiting();
    }

    /// Takes the place that a selection was promised and has, it seems, forgotten. True: sent.
    #[cold]
    fn overtake_selection(&self) -> bool {
        self.behind_selection.set(false);
        let mut wakes = Wakes::new();
        let mut state = self.channel.lock();
        let free = state.selections > 0 && state.buffer.len() < state.capacity;
        let may = self.node.list().is_some() && (free || !state.queues.is_empty(List::Matched));
        if may {
            state.queues.remove(&self.node);
            let value = self.take_value();
            if free {
                state.selections -= 1;
                state.permits -= 1;
                state.place_promised(value, &mut wakes);
            } else if let Err(value) = state.hand_to_matched(value, &mut wakes) {
                self.put_value(value);
                // SAFETY: pinned, just unlinked, still prepared; unlinked at the latest in the drop.
                unsafe { state.queues.push_front(List::Senders, &self.node) };
            }
        }
        drop(state);
        wakes.wake();
        let sent = !self.holds.get();
        if sent {
            self.stop_waiting();
        }
        sent
    }
}

impl<T> Drop for Sending<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if lock::is_gone() {
            return;
        }
        self.leave_queue();
        if self.holds.get() {
            drop(self.take_value());
        }
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

/// Why a send that may wait came back with its value.
pub(crate) enum Unsent<T> {
    TimedOut(T),
    Ended(T),
}

impl<T> Channel<T> {
    /// Sends without waiting.
    #[inline]
    pub(crate) fn try_place(&self, value: T) -> Result<(), Unplaced<T>> {
        let mut wakes = Wakes::new();
        let placed = self.lock().place_now(value, &mut wakes);
        wakes.wake();
        placed
    }

    /// Sends, and waits for a place until `deadline`.
    #[inline]
    #[track_caller]
    pub(crate) fn send(&self, value: T, deadline: Option<Instant>) -> Result<(), Unsent<T>> {
        checkpoint();
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        match state.place(value, &mut wakes) {
            Ok(()) => {
                drop(state);
                wakes.wake();
                Ok(())
            }
            Err(Unplaced::Ended(value)) => {
                drop(state);
                wakes.wake();
                Err(Unsent::Ended(value))
            }
            Err(Unplaced::Full(value)) => self.send_later(state, wakes, value, deadline),
        }
    }

    /// Waits for a place. The lock is still held under which there was none.
    #[inline(never)]
    #[track_caller]
    fn send_later(
        &self,
        mut state: LockGuard<'_, State<T>>,
        mut wakes: Wakes,
        value: T,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent<T>> {
        let mut sending = std::pin::pin!(Sending::new(self, value));
        let this = sending.as_ref();
        let waited = wait_registered(
            SEND,
            deadline,
            |host| {
                if let Some(host) = host {
                    this.signal.publish_hosted(host);
                    this.link(&mut state, &mut wakes);
                }
                drop(state);
                wakes.wake();
            },
            |context| {
                let polled = this.poll_blocking(context);
                if polled.is_ready() || !this.waits.get() {
                    return polled.map(Some);
                }
                if this.behind_selection.get() {
                    return Poll::Ready(None);
                }
                if !host::is_hosted() && crate::spin::until(|| this.signal.has_moved()) {
                    return this.poll_blocking(context).map(Some);
                }
                Poll::Pending
            },
        );
        match waited {
            Ok(Some(sent)) => finish(sending.as_mut(), sent),
            Ok(None) => send_behind_selection(sending, deadline),
            Err(TimedOut) => give_up(sending),
        }
    }
}

/// Waits for a place that was promised to a selection, which may have been forgotten: after a grace
/// period it is taken from there.
#[cold]
#[track_caller]
fn send_behind_selection<T>(
    mut sending: Pin<&mut Sending<'_, T>>,
    deadline: Option<Instant>,
) -> Result<(), Unsent<T>> {
    let grace = deadline_after(GRACE);
    for until in [grace, deadline] {
        let until = until.into_iter().chain(deadline).min();
        let waited = wait_deadline(SEND, until, |context| {
            if is_first_look(context.waker()) {
                return Poll::Pending;
            }
            // A thread may wait under another waker now.
            sending.as_mut().poll(context)
        });
        if let Ok(sent) = waited {
            return finish(sending, sent);
        }
        if sending.overtake_selection() {
            return Ok(());
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            break;
        }
    }
    give_up(sending)
}

fn finish<T>(sending: Pin<&mut Sending<'_, T>>, sent: Result<(), Ended>) -> Result<(), Unsent<T>> {
    sent.map_err(|Ended| Unsent::Ended(sending.leave().expect("an end leaves the value")))
}

/// The time is over, unless somebody has taken the value in it.
fn give_up<T>(sending: Pin<&mut Sending<'_, T>>) -> Result<(), Unsent<T>> {
    match sending.leave() {
        Some(value) => Err(Unsent::TimedOut(value)),
        None => Ok(()),
    }
}

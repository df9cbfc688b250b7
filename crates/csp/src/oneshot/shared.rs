//! The memory that the two ends of a oneshot channel share, and the steps of each end on it.
//!
//! All of the channel's unsafe code is here. The word says who may touch what: invariants 1 to 4 of
//! [`state`](super::state). This file adds one:
//!
//! 5. The memory is a box that was leaked into two pointers, one in [`Tx`] and one in [`Rx`]. Each
//!    sets its `gone` bit when it is dropped or sends, which consumes it; so both pointers are valid
//!    while they exist.
//!
//! Wakers are called and dropped, and messages dropped, after the end has left: that is foreign code,
//! and it may do what it likes, to the channel's other end, too.

use super::state::{End, Exit, Last, Snapshot, State};
use crate::error::{RecvError, TryRecvError};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};
use weftwork_core::sync::cell::UnsafeCell;

struct Shared<T> {
    state: State,
    message: UnsafeCell<Option<T>>,
    sender: UnsafeCell<Option<Waker>>,
    receiver: UnsafeCell<Option<Waker>>,
}

/// The sending end.
pub(super) struct Tx<T>(NonNull<Shared<T>>);

/// The receiving end.
pub(super) struct Rx<T>(NonNull<Shared<T>>);

// SAFETY: the pointer takes the automatic implementation away. What is reached through it is the word,
// which is atomic, and cells that the word gives to one end at a time; an end on another thread may
// move or drop a `T` there, hence `T: Send`. Wakers are `Send`.
unsafe impl<T: Send> Send for Tx<T> {}
// SAFETY: as above; a shared `Tx` only loads the word.
unsafe impl<T: Send> Sync for Tx<T> {}
// SAFETY: as for `Tx`.
unsafe impl<T: Send> Send for Rx<T> {}
// SAFETY: as above; a shared `Rx` only loads the word.
unsafe impl<T: Send> Sync for Rx<T> {}

/// Makes the memory and its two ends.
pub(super) fn shared<T>() -> (Tx<T>, Rx<T>) {
    let shared = NonNull::from(Box::leak(Box::new(Shared {
        state: State::new(),
        message: UnsafeCell::new(None),
        sender: UnsafeCell::new(None),
        receiver: UnsafeCell::new(None),
    })));
    (Tx(shared), Rx(shared))
}

/// The wakers that an end took when it got done.
#[must_use]
struct Wakers {
    own: Option<Waker>,
    peer: Option<Waker>,
}

impl Wakers {
    const NONE: Wakers = Wakers {
        own: None,
        peer: None,
    };

    /// Wakes the other end and forgets about this one.
    fn call(self) {
        if let Some(peer) = self.peer {
            peer.wake();
        }
        drop(self.own);
    }
}

impl<T> Shared<T> {
    fn waker(&self, end: End) -> &UnsafeCell<Option<Waker>> {
        match end {
            End::Sender => &self.sender,
            End::Receiver => &self.receiver,
        }
    }

    /// Whether the cells are empty. Wants all of them, so that models see who else is still in one.
    fn is_empty(&mut self) -> bool {
        fn is_none<V>(cell: &mut UnsafeCell<Option<V>>) -> bool {
            // SAFETY: the cell is borrowed for us alone.
            cell.with_mut(|value| unsafe { &*value }.is_none())
        }
        let wakers = is_none(&mut self.sender) & is_none(&mut self.receiver);
        is_none(&mut self.message) & wakers
    }

    /// # Safety
    /// The cell is the caller's (invariant 2).
    unsafe fn take_message(&self) -> Option<T> {
        // SAFETY: as the caller says.
        self.message.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// # Safety
    /// The cell is the caller's (invariant 3).
    unsafe fn take_waker(&self, end: End) -> Option<Waker> {
        // SAFETY: as the caller says.
        self.waker(end).with_mut(|cell| unsafe { (*cell).take() })
    }

    /// Takes the wakers that `end` saw in the step in which it got done.
    ///
    /// # Safety
    /// The caller is `end`; `seen` is from that step, and this is called once.
    unsafe fn take_wakers(&self, end: End, seen: Snapshot) -> Wakers {
        let take = |of: End| {
            if seen.has_waker(of) {
                // SAFETY: `end` cleared the bit (invariant 3).
                unsafe { self.take_waker(of) }
            } else {
                None
            }
        };
        Wakers {
            own: take(end),
            peer: take(end.other()),
        }
    }

    /// Leaves the context's waker for the other end. False: that end is done and will not call it.
    ///
    /// # Safety
    /// The caller is `end`, and does nothing else on its behalf meanwhile.
    unsafe fn register(&self, end: End, context: &Context<'_>) -> bool {
        if self.state.withdraw(end).is_err() {
            return false;
        }
        let cell = self.waker(end);
        let same = cell.with(|waker| {
            // SAFETY: the bit is clear, and only `end` sets it: the cell is ours (invariant 3).
            let waker = unsafe { &*waker };
            waker.as_ref().is_some_and(|w| w.will_wake(context.waker()))
        });
        let before = if same {
            None
        } else {
            let fresh = context.waker().clone();
            // SAFETY: as above.
            cell.with_mut(|waker| unsafe { (*waker).replace(fresh) })
        };
        let announced = self.state.announce(end).is_ok();
        let late = if announced {
            None
        } else {
            // SAFETY: the bit was still clear when the other end got done, so that end has not taken
            // the cell, and never will (invariant 3).
            unsafe { self.take_waker(end) }
        };
        // Foreign code, now that the state is whole.
        drop((before, late));
        announced
    }

    /// Takes the waker of `end` back, if the other end has not taken it.
    ///
    /// # Safety
    /// As for [`register`](Self::register).
    unsafe fn unregister(&self, end: End) -> Option<Waker> {
        self.state.withdraw(end).ok()?;
        // SAFETY: the bit is clear, and only `end` sets it: the cell is ours (invariant 3).
        unsafe { self.take_waker(end) }
    }
}

/// Does what is left to do for an end that got done, and frees the memory if it was the second one.
/// Returns what is to be called and dropped now, and a message that the receiver had not seen.
///
/// # Safety
/// The caller is `end`, gives it up, and got `exit` from the step in which it got done.
unsafe fn leave<T>(pointer: NonNull<Shared<T>>, end: End, exit: Exit) -> (Wakers, Option<T>) {
    let mut wakers = Wakers::NONE;
    let mut message = None;
    let last = match exit {
        Exit::Left(last) => last,
        Exit::Clear(seen) => {
            // SAFETY: `end` has not set its `gone` bit (invariant 4).
            let shared = unsafe { pointer.as_ref() };
            // SAFETY: as the caller says.
            wakers = unsafe { shared.take_wakers(end, seen) };
            if end == End::Receiver && seen.is_sent() {
                // SAFETY: `SENT` is set, and the caller is the receiver (invariant 2).
                message = unsafe { shared.take_message() };
            }
            shared.state.leave(end)
        }
    };
    if last == Last::Yes {
        // SAFETY: the pointer came from a leaked box, both ends are gone, and only the second one of
        // them comes here (invariants 4 and 5).
        let mut shared = unsafe { Box::from_raw(pointer.as_ptr()) };
        debug_assert!(shared.is_empty(), "an end has left something behind");
    }
    (wakers, message)
}

impl<T> Tx<T> {
    fn shared(&self) -> &Shared<T> {
        // SAFETY: invariant 5.
        unsafe { self.0.as_ref() }
    }

    /// Sends, wakes the receiver and leaves.
    pub(super) fn send(self, message: T) -> Result<(), T> {
        let shared = self.shared();
        shared.message.with_mut(|cell| {
            // SAFETY: `SENT` is not set, since setting it consumes the end: the cell is ours
            // (invariant 2).
            unsafe { *cell = Some(message) }
        });
        let Ok(exit) = shared.state.send() else {
            // SAFETY: as above: it was not set.
            let message = unsafe { shared.take_message() };
            // Dropping the end does the rest.
            return Err(message.expect("put there above"));
        };
        let pointer = ManuallyDrop::new(self).0;
        // SAFETY: the end is consumed, and `exit` comes from the step that made it done.
        let (wakers, _) = unsafe { leave(pointer, End::Sender, exit) };
        wakers.call();
        Ok(())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared().state.load().is_done(End::Receiver)
    }

    /// Waits until the receiver is done.
    pub(super) fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: this is the sender, borrowed for itself alone.
        if self.is_closed() || !unsafe { self.shared().register(End::Sender, context) } {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Takes the waker back that a poll has left.
    pub(super) fn forget_waker(&mut self) {
        // SAFETY: this is the sender, borrowed for itself alone.
        drop(unsafe { self.shared().unregister(End::Sender) });
    }
}

impl<T> Drop for Tx<T> {
    fn drop(&mut self) {
        let exit = self.shared().state.drop_sender();
        // SAFETY: this is the end of the end, and `exit` comes from the step that made it done.
        let (wakers, _) = unsafe { leave(self.0, End::Sender, exit) };
        wakers.call();
    }
}

impl<T> Rx<T> {
    fn shared(&self) -> &Shared<T> {
        // SAFETY: invariant 5.
        unsafe { self.0.as_ref() }
    }

    /// Whether a receive would be ready.
    pub(super) fn is_ready(&self) -> bool {
        let seen = self.shared().state.load();
        seen.is_done(End::Sender) || seen.is_done(End::Receiver)
    }

    /// Takes the message if it is there.
    pub(super) fn try_take(&mut self) -> Result<T, TryRecvError> {
        let seen = self.shared().state.load();
        if seen.is_sent() {
            // SAFETY: `SENT` is set, and this is the receiver (invariant 2).
            let message = unsafe { self.shared().take_message() };
            // None: it was taken before.
            return message.ok_or(TryRecvError::Disconnected);
        }
        if seen.is_done(End::Sender) || seen.is_done(End::Receiver) {
            return Err(TryRecvError::Disconnected);
        }
        Err(TryRecvError::Empty)
    }

    /// Waits for the message.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        for registered in [false, true] {
            match self.try_take() {
                Ok(message) => return Poll::Ready(Ok(message)),
                Err(TryRecvError::Disconnected) => return Poll::Ready(Err(RecvError)),
                Err(TryRecvError::Empty) if registered => break,
                Err(TryRecvError::Empty) => {
                    // SAFETY: this is the receiver, borrowed for itself alone.
                    if unsafe { self.shared().register(End::Receiver, context) } {
                        return Poll::Pending;
                    }
                    // The sender got done meanwhile: look again.
                }
            }
        }
        unreachable!("a sender that is done has sent or is gone")
    }

    /// Takes the waker back that a poll has left.
    pub(super) fn forget_waker(&mut self) {
        // SAFETY: this is the receiver, borrowed for itself alone.
        drop(unsafe { self.shared().unregister(End::Receiver) });
    }

    /// Lets the sender send no more.
    pub(super) fn close(&mut self) {
        if self.is_ready() {
            return;
        }
        let shared = self.shared();
        // The end stays, so it never leaves here.
        let Exit::Clear(seen) = shared.state.close(|_| false) else {
            unreachable!("an end that may not leave has left");
        };
        // SAFETY: `seen` was there when this end got done. If the receiver was done before, or the
        // sender, no waker bit is set: they took both (invariant 3).
        let wakers = unsafe { shared.take_wakers(End::Receiver, seen) };
        wakers.call();
    }
}

impl<T> Drop for Rx<T> {
    fn drop(&mut self) {
        let shared = self.shared();
        let sent = shared.state.load().is_sent();
        let message = if sent {
            // SAFETY: `SENT` is set, and this is the receiver (invariant 2).
            unsafe { shared.take_message() }
        } else {
            None
        };
        // The end may not leave a message behind that was sent since.
        let exit = shared.state.close(|seen| sent || !seen.is_sent());
        // SAFETY: this is the end of the end, and `exit` comes from the step that made it done.
        let (wakers, late) = unsafe { leave(self.0, End::Receiver, exit) };
        wakers.call();
        drop((message, late));
    }
}

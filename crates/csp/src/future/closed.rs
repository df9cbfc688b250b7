//! The end of a channel as a future.

use crate::channel::Channel;
use crate::lock;
use crate::reason::CloseReason;
use crate::waiting::{List, Node, Role, Signal, Status};
use std::cell::Cell;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::wait::{Reason, TimedOut, deadline_after, wait, wait_deadline};

const CLOSED: Reason = Reason::new("closed");

/// Waits for the end of a channel: a close, or the drop of the last handle of one end.
///
/// Made by [`Sender::closed`](crate::Sender::closed) and [`Receiver::closed`](crate::Receiver::closed).
/// Gives the reason, if one was told.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ClosedFuture<'a, T> {
    channel: &'a Channel<T>,
    waits: Cell<bool>,
    signal: Signal,
    node: Node,
}

// SAFETY: `waits` keeps the automatic one away, and is the owner's alone; no message is touched, but
// the reason is told to whoever polls.
unsafe impl<T: Send> Send for ClosedFuture<'_, T> {}
// SAFETY: shared references do nothing.
unsafe impl<T: Send> Sync for ClosedFuture<'_, T> {}

impl<'a, T> ClosedFuture<'a, T> {
    pub(crate) fn new(channel: &'a Channel<T>) -> Self {
        ClosedFuture {
            channel,
            waits: Cell::new(false),
            signal: Signal::new(),
            node: Node::new(),
        }
    }

    /// Waits: the green thread, or the OS thread, that calls.
    #[track_caller]
    pub fn wait(self) -> Option<CloseReason> {
        let mut this = pin!(self);
        wait(CLOSED, |context| this.as_mut().poll(context))
    }

    /// Waits at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time is over.
    #[track_caller]
    pub fn wait_timeout(self, timeout: Duration) -> Result<Option<CloseReason>, TimedOut> {
        self.wait_until(deadline_after(timeout))
    }

    /// Waits at most until `deadline`.
    ///
    /// # Errors
    /// The time is over.
    #[track_caller]
    pub fn wait_deadline(self, deadline: Instant) -> Result<Option<CloseReason>, TimedOut> {
        self.wait_until(Some(deadline))
    }

    #[track_caller]
    fn wait_until(self, deadline: Option<Instant>) -> Result<Option<CloseReason>, TimedOut> {
        let mut this = pin!(self);
        wait_deadline(CLOSED, deadline, |context| this.as_mut().poll(context))
    }

    fn stop_waiting(&self) {
        if self.waits.replace(false) {
            self.channel.lock().queues.remove(&self.node);
            // Nobody claims it now: it is not linked. If somebody was about to, it is told.
            self.signal.status();
            self.signal.reset();
        }
    }
}

impl<T> Future for ClosedFuture<'_, T> {
    type Output = Option<CloseReason>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.into_ref().get_ref();
        if this.waits.get()
            && this.signal.status() == Status::Waiting
            && this.signal.will_wake(context.waker())
        {
            return Poll::Pending;
        }
        this.stop_waiting();
        let waker = context.waker().clone();
        let mut state = this.channel.lock();
        if state.ends != 0 {
            let reason = state.reason.clone();
            drop(state);
            drop(waker);
            return Poll::Ready(reason);
        }
        this.waits.set(true);
        this.node
            .prepare(Role::Observe, 0, &this.signal, std::ptr::null_mut());
        this.signal.publish(waker);
        // SAFETY: pinned, not linked, prepared; unlinked at the latest in the drop.
        unsafe { state.queues.push_back(List::CloseWatchers, &this.node) };
        Poll::Pending
    }
}

impl<T> Drop for ClosedFuture<'_, T> {
    fn drop(&mut self) {
        if !lock::is_gone() {
            self.stop_waiting();
        }
    }
}

impl<T> Event for ClosedFuture<'_, T> {}

impl<T> fmt::Debug for ClosedFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("ClosedFuture { .. }")
    }
}

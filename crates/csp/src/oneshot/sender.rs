//! The end that sends the message.

use super::shared::Tx;
use crate::error::SendError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::wait::{self, Reason};
use weftwork_core::{Event, TimedOut};

const CLOSED: Reason = Reason::new("oneshot_closed");

/// Sends the one message of a [`channel`](super::channel).
///
/// Dropping it without sending wakes the receiver, which gets an error.
pub struct Sender<T> {
    pub(super) tx: Tx<T>,
}

impl<T> Sender<T> {
    /// Sends the message and wakes the receiver. Never waits.
    ///
    /// `Ok` says that the message is the receiver's, not that it was looked at: the receiver may be
    /// dropped with it.
    ///
    /// # Errors
    /// The receiver is gone or [closed](super::Receiver::close); the message is in the error.
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send(1).unwrap_err().into_inner(), 1);
    /// ```
    pub fn send(self, message: T) -> Result<(), SendError<T>> {
        self.tx.send(message).map_err(SendError)
    }

    /// Whether the receiver is gone or closed: a send would fail. Never waits.
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel::<i32>();
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// Makes an event: the receiver is gone or closed. For whoever computes the message and wants to
    /// stop when nobody wants it any more.
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (mut sender, receiver) = oneshot::channel::<i32>();
    /// drop(receiver);
    /// weftwork_core::block_on(async move { sender.closed().await });
    /// ```
    pub fn closed(&mut self) -> Closed<'_, T> {
        Closed { sender: self }
    }

    /// Waits until the receiver is gone or closed.
    ///
    /// A cancelled task unwinds from here.
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (mut sender, receiver) = oneshot::channel::<i32>();
    /// let other = std::thread::spawn(move || drop(receiver));
    /// sender.wait_closed();
    /// other.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait_closed(&mut self) {
        let closed = self.closed();
        wait::wait(CLOSED, |context| closed.sender.tx.poll_closed(context));
    }

    /// Waits until the receiver is gone or closed, at most for `timeout`; one that no clock can tell
    /// is for ever.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_csp::oneshot;
    ///
    /// let (mut sender, _receiver) = oneshot::channel::<i32>();
    /// assert!(sender.wait_closed_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn wait_closed_timeout(&mut self, timeout: Duration) -> Result<(), TimedOut> {
        self.wait_closed_until(wait::deadline_after(timeout))
    }

    /// Waits until the receiver is gone or closed, at most until `deadline`.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_csp::oneshot;
    ///
    /// let (mut sender, _receiver) = oneshot::channel::<i32>();
    /// assert!(sender.wait_closed_deadline(Instant::now()).is_err());
    /// ```
    #[track_caller]
    pub fn wait_closed_deadline(&mut self, deadline: Instant) -> Result<(), TimedOut> {
        self.wait_closed_until(Some(deadline))
    }

    #[track_caller]
    fn wait_closed_until(&mut self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let closed = self.closed();
        wait::wait_deadline(CLOSED, deadline, |context| {
            closed.sender.tx.poll_closed(context)
        })
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// Waits until the receiver is gone or closed. Made by [`Sender::closed`].
///
/// Dropping it before leaves nothing behind.
#[must_use = "an event does nothing unless it is waited for"]
pub struct Closed<'a, T> {
    sender: &'a mut Sender<T>,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.sender.tx.poll_closed(context)
    }
}

impl<T> Event for Closed<'_, T> {}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        self.sender.tx.forget_waker();
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}

//! A send as a future.

use crate::channel::Channel;
use crate::channel::sending::{Ended, Sending};
use crate::error::SendError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use weftwork_core::Event;

/// A send, as a future. Made by [`Sender::send_async`](crate::Sender::send_async).
///
/// The message is in the future until somebody takes it or there is room for it. A future that is
/// dropped before drops the message.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SendFuture<'a, T>(Sending<'a, T>);

impl<'a, T> SendFuture<'a, T> {
    pub(crate) fn new(channel: &'a Channel<T>, message: T) -> Self {
        SendFuture(Sending::new(channel, message))
    }

    fn sending(self: Pin<&mut Self>) -> Pin<&mut Sending<'a, T>> {
        // SAFETY: a part of `self`, pinned as that is.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }
    }

    /// Gives up, and takes the message back; `None`: it is sent.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// let (s, _r) = weftwork_csp::bounded(0);
    /// let mut send = pin!(s.send_async("letter"));
    /// assert_eq!(send.as_mut().into_message(), Some("letter"));
    /// ```
    pub fn into_message(self: Pin<&mut Self>) -> Option<T> {
        self.sending().leave()
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    /// When it is polled after it was ready, or after its message was taken back.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut sending = self.sending();
        sending.as_mut().poll(context).map(|sent| {
            sent.map_err(|Ended| SendError(sending.leave().expect("an end leaves the message")))
        })
    }
}

impl<T> Event for SendFuture<'_, T> {}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendFuture { .. }")
    }
}

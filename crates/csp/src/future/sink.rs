//! A channel as a sink.

use crate::channel::state::Unplaced;
use crate::error::SendError;
use crate::{SendFuture, Sender};
use futures_sink::Sink;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A channel, as a sink of messages. Made by [`Sender::sink`](crate::Sender::sink).
///
/// It holds back at most one message, which waits in the queue of the channel like a
/// [`send_async`](crate::Sender::send_async); `poll_flush` waits until it is sent.
pub struct SendSink<T: 'static> {
    // Before the sender it borrows from: fields are dropped in this order.
    pending: Option<Pin<Box<SendFuture<'static, T>>>>,
    sender: Box<Sender<T>>,
}

impl<T: 'static> SendSink<T> {
    pub(crate) fn new(sender: Sender<T>) -> Self {
        SendSink {
            pending: None,
            sender: Box::new(sender),
        }
    }

    /// The sender it sends by.
    #[must_use]
    pub fn sender(&self) -> &Sender<T> {
        &self.sender
    }

    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        if let Some(pending) = &mut self.pending {
            let sent = ready!(pending.as_mut().poll(context));
            self.pending = None;
            return Poll::Ready(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: 'static> Sink<T> for SendSink<T> {
    type Error = SendError<T>;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        self.poll_pending(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), SendError<T>> {
        match self.sender.channel().try_place(message) {
            Ok(()) => Ok(()),
            Err(Unplaced::Ended(message)) => Err(SendError(message)),
            Err(Unplaced::Full(message)) => {
                // SAFETY: the sender is boxed, so it stays where it is; it is never replaced, and
                // dropped after the future that borrows it, which is never handed out.
                let sender: &'static Sender<T> = unsafe { &*std::ptr::from_ref(&*self.sender) };
                self.pending = Some(Box::pin(sender.send_async(message)));
                Ok(())
            }
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        self.poll_pending(context)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        self.poll_pending(context)
    }
}

impl<T: 'static> Unpin for SendSink<T> {}

impl<T: 'static> fmt::Debug for SendSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendSink { .. }")
    }
}

//! The messages of a channel as a stream.

use crate::{Receiver, RecvFuture};
use futures_core::{FusedStream, Stream};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The messages of a channel, as a stream. Made by [`Receiver::stream`].
///
/// It waits in the queue of the channel from one poll to the next, and loses no message when dropped.
pub struct RecvStream<T: 'static> {
    // Before the receiver it borrows from: fields are dropped in this order.
    next: Option<Pin<Box<RecvFuture<'static, T>>>>,
    receiver: Box<Receiver<T>>,
    ended: bool,
}

impl<T: 'static> RecvStream<T> {
    pub(crate) fn new(receiver: Receiver<T>) -> Self {
        RecvStream {
            next: None,
            receiver: Box::new(receiver),
            ended: false,
        }
    }

    /// The receiver it takes from.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }
}

impl<T: 'static> Stream for RecvStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let next = match &mut this.next {
            Some(next) => next,
            None => {
                // SAFETY: the receiver is boxed, so it stays where it is; it is never replaced, and
                // dropped after the future that borrows it, which is never handed out.
                let receiver: &'static Receiver<T> =
                    unsafe { &*std::ptr::from_ref(&*this.receiver) };
                this.next.insert(Box::pin(receiver.recv_async()))
            }
        };
        let received = ready!(next.as_mut().poll(context));
        self.ended = received.is_err();
        if self.ended {
            self.next = None;
        }
        Poll::Ready(received.ok())
    }
}

impl<T: 'static> FusedStream for RecvStream<T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<T: 'static> Unpin for RecvStream<T> {}

impl<T: 'static> fmt::Debug for RecvStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvStream { .. }")
    }
}

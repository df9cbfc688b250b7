//! Receiving all that is there, up to a limit.

use crate::channel::Channel;
use crate::channel::state::Found;
use crate::error::{RecvTimeoutError, TryRecvError};
use crate::waiting::Wakes;
use crate::{Receiver, RecvFuture};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::wait::{TimedOut, checkpoint, deadline_after};

/// Receives a batch, as a future. Made by [`Receiver::recv_many_async`].
///
/// It takes all messages in the poll that ends it: dropping it before loses none.
#[must_use = "a future does nothing unless it is awaited"]
pub struct RecvManyFuture<'a, T> {
    receiver: &'a Receiver<T>,
    first: RecvFuture<'a, T>,
    messages: &'a mut Vec<T>,
    limit: usize,
}

impl<T> Future for RecvManyFuture<'_, T> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        // SAFETY: `first` is pinned with `self`: it is not moved, and there is no `Drop` that could.
        let this = unsafe { self.get_unchecked_mut() };
        if this.limit == 0 {
            return Poll::Ready(0);
        }
        // SAFETY: as above.
        let first = unsafe { Pin::new_unchecked(&mut this.first) };
        let Ok(message) = ready!(first.poll(context)) else {
            return Poll::Ready(0);
        };
        this.messages.push(message);
        Poll::Ready(1 + this.receiver.take_rest(this.messages, this.limit - 1))
    }
}

impl<T> Event for RecvManyFuture<'_, T> {}

impl<T> fmt::Debug for RecvManyFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvManyFuture { .. }")
    }
}

/// Batches.
impl<T> Receiver<T> {
    /// Receives up to `limit` messages into `messages`, behind what is in there, and returns how many:
    /// waits until there is one, and then takes those that are there, those of senders that wait included,
    /// under one lock.
    ///
    /// Returns 0 only if the channel is empty and disconnected or closed, or `limit` is 0. A green thread
    /// that is cancelled while it waits unwinds; no message is lost.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::unbounded();
    /// s.send_many(1..=5).unwrap();
    /// drop(s);
    /// let mut messages = Vec::new();
    /// assert_eq!(r.recv_many(&mut messages, 3), 3);
    /// assert_eq!(r.recv_many(&mut messages, 3), 2);
    /// assert_eq!(messages, [1, 2, 3, 4, 5]);
    /// assert_eq!(r.recv_many(&mut messages, 3), 0);
    /// ```
    #[track_caller]
    pub fn recv_many(&self, messages: &mut Vec<T>, limit: usize) -> usize {
        match self.recv_many_until(messages, limit, None) {
            Ok(received) => received,
            Err(TimedOut) => unreachable!("a receive without deadline timed out"),
        }
    }

    /// As [`recv_many`](Self::recv_many), but waits at most for `timeout`; one that no clock can tell is
    /// for ever.
    ///
    /// # Errors
    /// The time was over before there was a message.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (s, r) = weftwork_csp::unbounded::<i32>();
    /// let mut messages = Vec::new();
    /// let wait = Duration::from_millis(1);
    /// assert!(r.recv_many_timeout(&mut messages, 10, wait).is_err());
    /// drop(s);
    /// assert_eq!(r.recv_many_timeout(&mut messages, 10, wait), Ok(0));
    /// ```
    #[track_caller]
    pub fn recv_many_timeout(
        &self,
        messages: &mut Vec<T>,
        limit: usize,
        timeout: Duration,
    ) -> Result<usize, TimedOut> {
        self.recv_many_until(messages, limit, deadline_after(timeout))
    }

    /// As [`recv_many`](Self::recv_many), but waits at most until `deadline`.
    ///
    /// # Errors
    /// The time was over before there was a message.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (s, r) = weftwork_csp::unbounded();
    /// s.send_many(["a", "b"]).unwrap();
    /// let mut messages = Vec::new();
    /// assert_eq!(r.recv_many_deadline(&mut messages, 10, Instant::now()), Ok(2));
    /// ```
    #[track_caller]
    pub fn recv_many_deadline(
        &self,
        messages: &mut Vec<T>,
        limit: usize,
        deadline: Instant,
    ) -> Result<usize, TimedOut> {
        self.recv_many_until(messages, limit, Some(deadline))
    }

    /// Receives up to `limit` messages that are there into `messages`, and returns how many. Never
    /// waits.
    ///
    /// # Errors
    /// There is none, or none will ever be. Not if `limit` is 0: that is 0 messages.
    ///
    /// ```
    /// use weftwork_csp::{TryRecvError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// s.send_many([1, 2, 3]).unwrap();
    /// let mut messages = Vec::new();
    /// assert_eq!(r.try_recv_many(&mut messages, 2), Ok(2));
    /// assert_eq!(r.try_recv_many(&mut messages, 2), Ok(1));
    /// assert_eq!(r.try_recv_many(&mut messages, 2), Err(TryRecvError::Empty));
    /// assert_eq!(messages, [1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn try_recv_many(
        &self,
        messages: &mut Vec<T>,
        limit: usize,
    ) -> Result<usize, TryRecvError> {
        if limit == 0 {
            return Ok(0);
        }
        let received = self.take_rest(messages, limit);
        if received > 0 {
            return Ok(received);
        }
        messages.push(self.try_recv()?);
        Ok(1 + self.take_rest(messages, limit - 1))
    }

    /// Receives a batch as [`recv_many`](Self::recv_many) does, as a future, under any executor.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::unbounded();
    /// s.send_many([1, 2, 3]).unwrap();
    /// let mut messages = Vec::new();
    /// let received = weftwork_core::block_on(r.recv_many_async(&mut messages, 10));
    /// assert_eq!((received, messages), (3, vec![1, 2, 3]));
    /// ```
    pub fn recv_many_async<'a>(
        &'a self,
        messages: &'a mut Vec<T>,
        limit: usize,
    ) -> RecvManyFuture<'a, T> {
        RecvManyFuture {
            receiver: self,
            first: self.recv_async(),
            messages,
            limit,
        }
    }

    #[track_caller]
    fn recv_many_until(
        &self,
        messages: &mut Vec<T>,
        limit: usize,
        deadline: Option<Instant>,
    ) -> Result<usize, TimedOut> {
        // It counts against the time slice, and a cancelled task ends here.
        checkpoint();
        if limit == 0 {
            return Ok(0);
        }
        let received = self.take_rest(messages, limit);
        if received > 0 {
            return Ok(received);
        }
        let first = match deadline {
            None => self.recv().map_err(RecvTimeoutError::from),
            Some(deadline) => self.recv_deadline(deadline),
        };
        match first {
            Ok(message) => messages.push(message),
            Err(RecvTimeoutError::Disconnected) => return Ok(0),
            Err(RecvTimeoutError::Timeout) => return Err(TimedOut),
        }
        Ok(1 + self.take_rest(messages, limit - 1))
    }

    /// Takes what is there, at most `limit`. A clock's message is left to the single operations.
    fn take_rest(&self, messages: &mut Vec<T>, limit: usize) -> usize {
        match self.channel() {
            Some(channel) if limit > 0 => channel.take_many(messages, limit),
            _ => 0,
        }
    }
}

impl<T> Channel<T> {
    /// Takes what is there, at most `limit`, under one lock.
    fn take_many(&self, messages: &mut Vec<T>, limit: usize) -> usize {
        let before = messages.len();
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        messages.reserve(limit.min(state.buffer.len()));
        while messages.len() - before < limit {
            match state.take(&mut wakes) {
                Found::Value(message) => messages.push(message),
                Found::Empty | Found::Ended => break,
            }
        }
        drop(state);
        wakes.wake();
        messages.len() - before
    }
}

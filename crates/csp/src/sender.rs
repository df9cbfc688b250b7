//! The sending end.

use crate::channel::Channel;
use crate::channel::sending::Unsent;
use crate::channel::state::Unplaced;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::future::{ClosedFuture, SendFuture, SendSink};
use crate::reason::CloseReason;
use crate::weak::WeakSender;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;

/// The sending end of a channel; clones send to the same one.
///
/// The channel is disconnected when the last one is dropped: receivers get what was sent before, then
/// an error.
///
/// ```
/// use weftwork_csp::unbounded;
///
/// let (s1, r) = unbounded();
/// let s2 = s1.clone();
/// std::thread::spawn(move || s1.send(1).unwrap());
/// assert_eq!(r.recv(), Ok(1));
/// s2.send(2).unwrap();
/// drop(s2);
/// assert_eq!(r.recv(), Ok(2));
/// assert!(r.recv().is_err());
/// ```
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    /// The caller has counted it.
    pub(crate) fn from_channel(channel: Arc<Channel<T>>) -> Self {
        Sender { channel }
    }

    #[inline]
    pub(crate) fn channel(&self) -> &Arc<Channel<T>> {
        &self.channel
    }

    /// Sends a message if that needs no wait: there is room, or a receiver waits.
    ///
    /// # Errors
    /// The channel is full, or disconnected or closed; here is the message back. A channel of capacity
    /// 0 is full unless a receiver waits, be it a thread, a green thread or a future.
    ///
    /// ```
    /// use weftwork_csp::{TrySendError, bounded};
    ///
    /// let (s, r) = bounded(1);
    /// assert_eq!(s.try_send(1), Ok(()));
    /// assert_eq!(s.try_send(2), Err(TrySendError::Full(2)));
    /// drop(r);
    /// assert_eq!(s.try_send(3), Err(TrySendError::Disconnected(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        self.channel
            .try_place(msg)
            .map_err(|unplaced| match unplaced {
                Unplaced::Full(msg) => TrySendError::Full(msg),
                Unplaced::Ended(msg) => TrySendError::Disconnected(msg),
            })
    }

    /// Sends a message, and waits while the channel is full: the green thread, or the OS thread, that
    /// calls. Senders that wait are served in the order in which they came. With capacity 0 it returns
    /// when a receiver has the message.
    ///
    /// A green thread that is cancelled while it waits unwinds; the message is dropped then.
    ///
    /// # Errors
    /// The channel is disconnected or closed; here is the message back.
    ///
    /// ```
    /// use weftwork_csp::{SendError, bounded};
    ///
    /// let (s, r) = bounded(1);
    /// assert_eq!(s.send(1), Ok(()));
    /// drop(r);
    /// assert_eq!(s.send(2), Err(SendError(2)));
    /// ```
    #[inline]
    #[track_caller]
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        match self.channel.send(msg, None) {
            Ok(()) => Ok(()),
            Err(Unsent::Ended(msg) | Unsent::TimedOut(msg)) => Err(SendError(msg)),
        }
    }

    /// Sends a message, and waits while the channel is full, at most for `timeout`; one that no clock
    /// can tell is for ever.
    ///
    /// # Errors
    /// The time is over, or the channel is disconnected or closed; here is the message back.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_csp::{SendTimeoutError, bounded};
    ///
    /// let (s, _r) = bounded(0);
    /// let late = s.send_timeout(1, Duration::from_millis(1));
    /// assert_eq!(late, Err(SendTimeoutError::Timeout(1)));
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, deadline_after(timeout))
    }

    /// Sends a message, and waits while the channel is full, at most until `deadline`.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    #[track_caller]
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, Some(deadline))
    }

    #[track_caller]
    fn send_until(&self, msg: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        self.channel
            .send(msg, deadline)
            .map_err(|unsent| match unsent {
                Unsent::TimedOut(msg) => SendTimeoutError::Timeout(msg),
                Unsent::Ended(msg) => SendTimeoutError::Disconnected(msg),
            })
    }

    /// Sends a message, and waits for it as a future, under any executor.
    ///
    /// The message stays in the future until somebody takes it or there is room for it. A future that
    /// is dropped before has sent nothing; [`SendFuture::into_message`] gets the message back.
    ///
    /// # Errors
    /// The output is that of [`send`](Self::send).
    ///
    /// ```
    /// use weftwork_csp::bounded;
    ///
    /// let (s, r) = bounded(0);
    /// let receiver = std::thread::spawn(move || r.recv());
    /// weftwork_core::block_on(s.send_async(1)).unwrap();
    /// assert_eq!(receiver.join().unwrap(), Ok(1));
    /// ```
    pub fn send_async(&self, msg: T) -> SendFuture<'_, T> {
        SendFuture::new(&self.channel, msg)
    }

    /// Makes a sink that sends to the channel.
    pub fn sink(&self) -> SendSink<T>
    where
        T: 'static,
    {
        SendSink::new(self.clone())
    }

    /// Closes the channel: nothing can be sent any more, and what was sent can still be received. Those
    /// who wait to send get their message back. False: it was closed, or disconnected, before.
    ///
    /// ```
    /// use weftwork_csp::unbounded;
    ///
    /// let (s, r) = unbounded();
    /// s.send(1).unwrap();
    /// assert!(s.close());
    /// assert!(!s.close());
    /// assert!(s.send(2).is_err());
    /// assert_eq!(r.recv(), Ok(1));
    /// assert!(r.recv().is_err());
    /// ```
    pub fn close(&self) -> bool {
        self.channel.close(None)
    }

    /// As [`close`](Self::close), with a reason for those who ask.
    pub fn close_with(&self, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> bool {
        self.channel.close(Some(CloseReason::new(reason)))
    }

    /// Whether nothing can be sent any more: the channel was closed, or the last receiver dropped.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded::<i32>(1);
    /// assert!(!s.is_closed());
    /// drop(r);
    /// assert!(s.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// Why the channel was closed, if [`close_with`](Self::close_with) said so.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.channel.close_reason()
    }

    /// Waits, as a future or by [`wait`](ClosedFuture::wait), until the channel is closed or the last
    /// receiver is gone. Also an arm of `select!`: `closed(s) -> reason`.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded::<i32>(1);
    /// let waiter = std::thread::spawn(move || s.closed().wait().is_none());
    /// drop(r);
    /// assert!(waiter.join().unwrap());
    /// ```
    pub fn closed(&self) -> ClosedFuture<'_, T> {
        ClosedFuture::new(&self.channel)
    }

    /// Whether no message is in the channel. Always, with capacity 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Always, with capacity 0.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.channel.is_full()
    }

    /// How many messages are in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// How many messages the channel holds at most; `None` if there is no limit.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }

    /// How many senders the channel has.
    #[must_use]
    pub fn sender_count(&self) -> usize {
        self.channel.sender_count()
    }

    /// How many receivers the channel has.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.channel.receiver_count()
    }

    /// Whether both send to the same channel.
    ///
    /// ```
    /// let (s, _r) = weftwork_csp::unbounded::<i32>();
    /// assert!(s.same_channel(&s.clone()));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }

    /// Makes a handle that does not keep the channel connected.
    #[must_use]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(&self.channel)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Sender {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.drop_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

//! The receiving end: of a channel, of a clock, or of nothing.

use crate::channel::Channel;
use crate::channel::state::Found;
use crate::clock::Clock;
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::future::{ClosedFuture, RecvFuture, RecvStream};
use crate::iter::{Iter, TryIter};
use crate::reason::CloseReason;
use crate::weak::WeakReceiver;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use weftwork_core::wait::{Reason, TimedOut, deadline_after, wait_deadline};

/// The receiving end of a channel; clones receive from the same one, each message once.
///
/// The channel is disconnected when the last one is dropped, and what is in it is dropped then.
///
/// ```
/// use weftwork_csp::bounded;
///
/// let (s, r1) = bounded(10);
/// let r2 = r1.clone();
/// s.send(1).unwrap();
/// s.send(2).unwrap();
/// assert_eq!(r1.recv(), Ok(1));
/// assert_eq!(r2.recv(), Ok(2));
/// ```
pub struct Receiver<T> {
    flavor: Flavor<T>,
}

pub(crate) enum Flavor<T> {
    Channel(Arc<Channel<T>>),
    Clock(Arc<Clock<T>>),
    Never,
}

impl<T> Receiver<T> {
    /// The caller has counted it.
    pub(crate) fn from_channel(channel: Arc<Channel<T>>) -> Self {
        Receiver {
            flavor: Flavor::Channel(channel),
        }
    }

    pub(crate) fn from_clock(clock: Clock<T>) -> Self {
        Receiver {
            flavor: Flavor::Clock(Arc::new(clock)),
        }
    }

    pub(crate) const fn never() -> Self {
        Receiver {
            flavor: Flavor::Never,
        }
    }

    #[inline]
    pub(crate) fn flavor(&self) -> &Flavor<T> {
        &self.flavor
    }

    /// The channel, if it is one that has senders.
    #[inline]
    pub(crate) fn channel(&self) -> Option<&Arc<Channel<T>>> {
        match &self.flavor {
            Flavor::Channel(channel) => Some(channel),
            Flavor::Clock(_) | Flavor::Never => None,
        }
    }

    /// Receives a message if one is there, or a sender waits with one.
    ///
    /// At capacity 0 a blocked `select!` may be the only sender. Its value is made when it is chosen,
    /// so that takes a moment: a few milliseconds at most are waited for it.
    ///
    /// # Errors
    /// There is none, or none will ever be.
    ///
    /// ```
    /// use weftwork_csp::{TryRecvError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    /// s.send(5).unwrap();
    /// drop(s);
    /// assert_eq!(r.try_recv(), Ok(5));
    /// assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match &self.flavor {
            Flavor::Channel(channel) => match channel.try_take() {
                Found::Value(value) => Ok(value),
                Found::Ended => Err(TryRecvError::Disconnected),
                Found::Empty => Err(TryRecvError::Empty),
            },
            Flavor::Clock(clock) => clock.try_take().ok_or(TryRecvError::Empty),
            Flavor::Never => Err(TryRecvError::Empty),
        }
    }

    /// Receives a message, and waits until there is one: the green thread, or the OS thread, that calls.
    /// Receivers that wait are served in the order in which they came, threads before futures.
    ///
    /// A green thread that is cancelled while it waits unwinds; no message is lost.
    ///
    /// # Errors
    /// The channel is empty and disconnected or closed.
    ///
    /// ```
    /// use weftwork_csp::{RecvError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// let sender = std::thread::spawn(move || s.send(5).unwrap());
    /// assert_eq!(r.recv(), Ok(5));
    /// sender.join().unwrap();
    /// assert_eq!(r.recv(), Err(RecvError));
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self.receive(None) {
            Ok(result) => result,
            Err(TimedOut) => unreachable!("a receive without deadline timed out"),
        }
    }

    /// Receives a message, and waits until there is one, at most for `timeout`; one that no clock can
    /// tell is for ever. A message that is there is received even if the time is over.
    ///
    /// # Errors
    /// The time is over, or the channel is empty and disconnected or closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_csp::{RecvTimeoutError, unbounded};
    ///
    /// let (_s, r) = unbounded::<i32>();
    /// let late = r.recv_timeout(Duration::from_millis(1));
    /// assert_eq!(late, Err(RecvTimeoutError::Timeout));
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(deadline_after(timeout))
    }

    /// Receives a message, and waits until there is one, at most until `deadline`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline))
    }

    #[track_caller]
    fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        match self.receive(deadline) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(RecvError)) => Err(RecvTimeoutError::Disconnected),
            Err(TimedOut) => Err(RecvTimeoutError::Timeout),
        }
    }

    #[inline]
    #[track_caller]
    fn receive(&self, deadline: Option<Instant>) -> Result<Result<T, RecvError>, TimedOut> {
        match &self.flavor {
            Flavor::Channel(channel) => channel.receive(deadline),
            Flavor::Clock(clock) => clock.receive(deadline).map(Ok),
            Flavor::Never => wait_deadline(Reason::new("never"), deadline, |_| Poll::Pending),
        }
    }

    /// Receives a message, and waits for it as a future, under any executor.
    ///
    /// A future that is dropped loses no message: until it is polled the message is in the channel, or
    /// with its sender.
    ///
    /// # Errors
    /// The output is that of [`recv`](Self::recv).
    ///
    /// ```
    /// use weftwork_csp::bounded;
    ///
    /// let (s, r) = bounded(0);
    /// let sender = std::thread::spawn(move || s.send(1));
    /// assert_eq!(weftwork_core::block_on(r.recv_async()), Ok(1));
    /// sender.join().unwrap().unwrap();
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture::new(self)
    }

    /// Makes a stream of the messages. It ends when the channel is empty and disconnected or closed.
    pub fn stream(&self) -> RecvStream<T>
    where
        T: 'static,
    {
        RecvStream::new(self.clone())
    }

    /// Closes the channel: nothing can be sent any more, and what was sent can still be received. Those
    /// who wait to send get their message back. False: it was closed, or disconnected, before; or it is
    /// a clock.
    ///
    /// ```
    /// use weftwork_csp::unbounded;
    ///
    /// let (s, r) = unbounded();
    /// s.send(1).unwrap();
    /// assert!(r.close());
    /// assert!(s.send(2).is_err());
    /// assert_eq!(r.iter().collect::<Vec<_>>(), [1]);
    /// ```
    pub fn close(&self) -> bool {
        self.channel().is_some_and(|channel| channel.close(None))
    }

    /// As [`close`](Self::close), with a reason for those who ask.
    pub fn close_with(&self, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> bool {
        self.channel()
            .is_some_and(|channel| channel.close(Some(CloseReason::new(reason))))
    }

    /// Whether nothing will be sent any more: the channel was closed, or the last sender dropped.
    /// Messages may still be in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.channel().is_some_and(|channel| channel.is_closed())
    }

    /// Why the channel was closed, if `close_with` said so.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.channel().and_then(|channel| channel.close_reason())
    }

    /// Waits, as a future or by [`wait`](ClosedFuture::wait), until the channel is closed or the last
    /// sender is gone. `None` for a clock, which never is.
    pub fn closed(&self) -> Option<ClosedFuture<'_, T>> {
        self.channel().map(|channel| ClosedFuture::new(channel))
    }

    /// Whether no message is there. Always, with capacity 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Always, with capacity 0.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match &self.flavor {
            Flavor::Channel(channel) => channel.is_full(),
            Flavor::Clock(clock) => clock.is_due(),
            Flavor::Never => true,
        }
    }

    /// How many messages are there.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Channel(channel) => channel.len(),
            Flavor::Clock(clock) => usize::from(clock.is_due()),
            Flavor::Never => 0,
        }
    }

    /// How many messages the channel holds at most; `None` if there is no limit.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Channel(channel) => channel.capacity(),
            Flavor::Clock(_) => Some(1),
            Flavor::Never => Some(0),
        }
    }

    /// How many senders the channel has; none, of a clock.
    #[must_use]
    pub fn sender_count(&self) -> usize {
        self.channel().map_or(0, |channel| channel.sender_count())
    }

    /// How many receivers the channel has.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        match &self.flavor {
            Flavor::Channel(channel) => channel.receiver_count(),
            Flavor::Clock(clock) => Arc::strong_count(clock),
            Flavor::Never => 1,
        }
    }

    /// Iterates over messages; waits for each, until the channel is empty and disconnected or closed.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// Iterates over the messages that are there, without waiting.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter::new(self)
    }

    /// Whether both receive from the same channel, or the same clock.
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.flavor, &other.flavor) {
            (Flavor::Channel(this), Flavor::Channel(other)) => Arc::ptr_eq(this, other),
            (Flavor::Clock(this), Flavor::Clock(other)) => Arc::ptr_eq(this, other),
            (Flavor::Never, Flavor::Never) => true,
            _ => false,
        }
    }

    /// Makes a handle that does not keep the channel connected; `None` for a clock.
    #[must_use]
    pub fn downgrade(&self) -> Option<WeakReceiver<T>> {
        self.channel().map(WeakReceiver::new)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let flavor = match &self.flavor {
            Flavor::Channel(channel) => {
                channel.add_receiver();
                Flavor::Channel(Arc::clone(channel))
            }
            Flavor::Clock(clock) => Flavor::Clock(Arc::clone(clock)),
            Flavor::Never => Flavor::Never,
        };
        Receiver { flavor }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Flavor::Channel(channel) = &self.flavor {
            channel.drop_receiver();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

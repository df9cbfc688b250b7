//! The receiving end of a lossy channel: blocking, as a future, or as an iterator.

use super::buffer::{self, Buffer, Queue, Recv};
use super::iter::{Iter, TryIter};
use crate::attempt::{self, Attempt, attempt_future};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use std::fmt;
use std::time::{Duration, Instant};
use weftwork_core::sync::Arc;
use weftwork_core::wait::queue::Waiter;
use weftwork_core::wait::{self, Reason};

const RECV: Reason = Reason::new("lossy_recv");

/// Receives from a [`sliding`](super::sliding) or [`dropping`](super::dropping) channel.
///
/// Clones share the messages: each goes to one of them. Those that wait are told in the order they
/// came, though one that comes at the right moment may be faster. The messages that are there when the
/// last clone is dropped are dropped with it.
pub struct Receiver<T> {
    pub(super) queue: Arc<Queue<T>>,
}

/// Waits for a message. Made by [`Receiver::recv_async`].
///
/// A message is taken by the poll that is ready: dropping the future before loses nothing.
#[must_use = "an event does nothing unless it is waited for"]
pub struct RecvFuture<'a, T>(Attempt<'a, Buffer<T>, Recv>);

attempt_future!(RecvFuture<'a, T>, Result<T, RecvError>);

impl<T> Receiver<T> {
    fn attempt(&self) -> Attempt<'_, Buffer<T>, Recv> {
        Attempt::new(Waiter::new(&self.queue, ()), Recv)
    }

    /// Waits for a message.
    ///
    /// A cancelled task unwinds from here, and has taken nothing.
    ///
    /// # Errors
    /// Nothing is there, and nothing comes: all senders are gone, or the channel was closed.
    ///
    /// ```
    /// use weftwork_csp::lossy;
    ///
    /// let (sender, receiver) = lossy::sliding(1);
    /// let other = std::thread::spawn(move || sender.send(7));
    /// assert_eq!(receiver.recv(), Ok(7));
    /// assert!(receiver.recv().is_err());
    /// other.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        attempt::wait(RECV, self.attempt())
    }

    /// Takes a message if one is there. Never waits.
    ///
    /// # Errors
    /// None is there, or as for [`recv`](Self::recv).
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::sliding(1);
    /// assert!(receiver.try_recv().is_err());
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match attempt::once(&*self.queue, Recv) {
            Ok(received) => Ok(received?),
            Err(Recv) => Err(TryRecvError::Empty),
        }
    }

    /// Waits for a message, at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first, or as for [`recv`](Self::recv).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = weftwork_csp::lossy::sliding::<i32>(1);
    /// assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(wait::deadline_after(timeout))
    }

    /// Waits for a message, at most until `deadline`. What is there by then is received.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Self::recv_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, receiver) = weftwork_csp::lossy::sliding(1);
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.recv_deadline(Instant::now()), Ok(7));
    /// ```
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline))
    }

    #[track_caller]
    fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let timeout = |_: &mut Recv| RecvTimeoutError::Timeout;
        Ok(attempt::wait_deadline(
            RECV,
            deadline,
            self.attempt(),
            timeout,
        )??)
    }

    /// Makes a future that waits for a message.
    ///
    /// ```
    /// use weftwork_csp::lossy;
    ///
    /// let (sender, receiver) = lossy::sliding(1);
    /// sender.send(7).unwrap();
    /// assert_eq!(weftwork_core::block_on(receiver.recv_async()), Ok(7));
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture(self.attempt())
    }

    /// Iterates over the messages, waiting for each; ends where [`recv`](Self::recv) fails.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::sliding(2);
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.iter().sum::<i32>(), 3);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Iterates over the messages that are there. Never waits.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::sliding(2);
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_iter().count(), 1);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Lets no message in any more: what is there can still be received. False if the channel was
    /// closed before. Never waits.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::sliding(1);
    /// assert!(receiver.close());
    /// assert!(sender.send(1).is_err());
    /// ```
    pub fn close(&self) -> bool {
        buffer::close(&self.queue)
    }

    /// Whether no message comes in any more: all senders are gone, or the channel was closed. There may
    /// be some to receive yet.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::sliding::<i32>(1);
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.lock().is_closed()
    }

    /// How many messages wait to be received.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::sliding(2);
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.lock().len()
    }

    /// Whether no message waits to be received.
    ///
    /// ```
    /// assert!(weftwork_csp::lossy::sliding::<i32>(1).1.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the next send displaces a message.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::sliding(1);
    /// sender.send(1).unwrap();
    /// assert!(receiver.is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many messages there is room for.
    ///
    /// ```
    /// assert_eq!(weftwork_csp::lossy::sliding::<i32>(3).1.capacity(), 3);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.lock().capacity()
    }

    /// Whether both receive from the same channel.
    ///
    /// ```
    /// let (_sender, receiver) = weftwork_csp::lossy::sliding::<i32>(1);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        buffer::add_receiver(&self.queue);
        Receiver {
            queue: Arc::clone(&self.queue),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        buffer::remove_receiver(&self.queue);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

//! The receiving end of a broadcast channel.

use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::handles::{self, Queue, Recv};
use super::ring::{RECEIVERS, Ring};
use crate::attempt::{self, Attempt, attempt_future};
use std::fmt;
use std::time::{Duration, Instant};
use weftwork_core::sync::Arc;
use weftwork_core::wait::queue::Waiter;
use weftwork_core::wait::{self, Reason};

const RECV: Reason = Reason::new("broadcast_recv");

/// Sees every message that is sent while it exists.
///
/// A clone sees what this one has yet to see; [`resubscribe`](Self::resubscribe) makes one that starts
/// with what comes next.
pub struct Receiver<T> {
    pub(super) queue: Arc<Queue<T>>,
    /// Which message is next: invariant 1 of the ring.
    pub(super) cursor: u64,
}

/// Waits for the next message. Made by [`Receiver::recv_async`].
///
/// A message is taken by the poll that is ready: dropping the future before loses nothing.
#[must_use = "an event does nothing unless it is waited for"]
pub struct RecvFuture<'a, T>(Attempt<'a, Ring<T>, Recv<'a>>);

attempt_future!(RecvFuture<'a, T: Clone>, Result<T, RecvError>);

impl<T> Receiver<T> {
    fn attempt(&mut self) -> Attempt<'_, Ring<T>, Recv<'_>> {
        let waiter = Waiter::in_lane(&self.queue, RECEIVERS, ());
        Attempt::new(waiter, Recv(&mut self.cursor))
    }

    /// Waits for the next message.
    ///
    /// A cancelled task unwinds from here, and has taken nothing.
    ///
    /// # Errors
    /// It has missed messages; or it has seen all and nothing comes any more.
    ///
    /// ```
    /// use weftwork_csp::broadcast::{self, RecvError};
    ///
    /// let (sender, mut receiver) = broadcast::bounded(1);
    /// let other = std::thread::spawn(move || sender.send(7));
    /// assert_eq!(receiver.recv(), Ok(7));
    /// assert_eq!(receiver.recv(), Err(RecvError::Disconnected));
    /// other.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> Result<T, RecvError>
    where
        T: Clone,
    {
        attempt::wait(RECV, self.attempt())
    }

    /// Takes the next message if it is there. Never waits.
    ///
    /// # Errors
    /// It has seen all so far, or as for [`recv`](Self::recv).
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::broadcast::bounded(1);
    /// assert!(receiver.try_recv().is_err());
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        match attempt::once(&*self.queue, Recv(&mut self.cursor)) {
            Ok(received) => Ok(received?),
            Err(_) => Err(TryRecvError::Empty),
        }
    }

    /// Waits for the next message, at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first, or as for [`recv`](Self::recv).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_sender, mut receiver) = weftwork_csp::broadcast::bounded::<i32>(1);
    /// assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(wait::deadline_after(timeout))
    }

    /// Waits for the next message, at most until `deadline`. What is there by then is received.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Self::recv_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, mut receiver) = weftwork_csp::broadcast::bounded(1);
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.recv_deadline(Instant::now()), Ok(7));
    /// ```
    #[track_caller]
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        self.recv_until(Some(deadline))
    }

    #[track_caller]
    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        let timeout = |_: &mut Recv<'_>| RecvTimeoutError::Timeout;
        Ok(attempt::wait_deadline(
            RECV,
            deadline,
            self.attempt(),
            timeout,
        )??)
    }

    /// Makes a future that waits for the next message.
    ///
    /// ```
    /// use weftwork_csp::broadcast;
    ///
    /// let (sender, mut receiver) = broadcast::lagging(1);
    /// sender.send(7).unwrap();
    /// assert_eq!(weftwork_core::block_on(receiver.recv_async()), Ok(7));
    /// ```
    pub fn recv_async(&mut self) -> RecvFuture<'_, T>
    where
        T: Clone,
    {
        RecvFuture(self.attempt())
    }

    /// Makes a receiver that sees what is sent from now on. Never waits.
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::broadcast::lagging(4);
    /// sender.send(1).unwrap();
    /// let mut late = receiver.resubscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!((receiver.recv(), late.recv()), (Ok(1), Ok(2)));
    /// ```
    #[must_use]
    pub fn resubscribe(&self) -> Receiver<T> {
        Receiver {
            cursor: handles::subscribe(&self.queue),
            queue: Arc::clone(&self.queue),
        }
    }

    /// How many messages are there that it has not seen; those it has missed do not count.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::broadcast::lagging(4);
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.lock().unseen(self.cursor)
    }

    /// Whether it has seen all messages.
    ///
    /// ```
    /// assert!(weftwork_csp::broadcast::lagging::<i32>(4).1.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no message comes any more: all senders are gone, or the channel was closed. There may be
    /// some to receive yet.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::broadcast::lagging::<i32>(4);
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let ring = self.queue.lock();
        ring.closed || ring.senders == 0
    }

    /// Whether both receive from the same channel.
    ///
    /// ```
    /// let (_sender, receiver) = weftwork_csp::broadcast::lagging::<i32>(4);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        handles::clone_receiver(&self.queue, self.cursor);
        Receiver {
            queue: Arc::clone(&self.queue),
            cursor: self.cursor,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        handles::remove_receiver(&self.queue, self.cursor);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

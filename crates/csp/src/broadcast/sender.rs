//! The sending end of a broadcast channel.

use super::Receiver;
use super::handles::{self, Queue, Send};
use super::ring::Ring;
use crate::attempt::{self, Attempt, attempt_future};
use crate::error::{SendError, SendTimeoutError, TrySendError};
use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};
use weftwork_core::sync::Arc;
use weftwork_core::wait::queue::Waiter;
use weftwork_core::wait::{self, Reason};

const SEND: Reason = Reason::new("broadcast_send");

/// Sends to all receivers of a [`lagging`](super::lagging) or [`bounded`](super::bounded) channel.
///
/// When the last clone is dropped, the receivers get what is there and then hear that nothing comes.
pub struct Sender<T> {
    pub(super) queue: Arc<Queue<T>>,
}

/// Waits for room and sends a message. Made by [`Sender::send_async`].
///
/// The message is sent by the poll that is ready; until then [`take_message`](Self::take_message) gives
/// it back. A future that has waited keeps its place: room that was made for it goes to the next only
/// when it is dropped.
#[must_use = "an event does nothing unless it is waited for"]
pub struct SendFuture<'a, T>(Attempt<'a, Ring<T>, Send<T>>);

attempt_future!(SendFuture<'a, T>, Result<(), SendError<T>>);

impl<T> SendFuture<'_, T> {
    /// Takes the message out of a future that was not ready yet; it must not be polled again.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::{Context, Waker};
    /// use weftwork_csp::broadcast;
    ///
    /// let (sender, _receiver) = broadcast::bounded(1);
    /// sender.send(1).unwrap();
    /// let mut sending = pin!(sender.send_async(2));
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(sending.as_mut().poll(&mut context).is_pending());
    /// assert_eq!(sending.take_message(), Some(2));
    /// ```
    pub fn take_message(self: Pin<&mut Self>) -> Option<T> {
        // SAFETY: the field is pinned with the structure, and `Attempt` gives what is not.
        let attempt = unsafe { self.map_unchecked_mut(|future| &mut future.0) };
        attempt.operation().take()
    }
}

impl<T> Sender<T> {
    fn attempt(&self, message: T) -> Attempt<'_, Ring<T>, Send<T>> {
        Attempt::new(
            Waiter::in_lane(&self.queue, super::ring::SENDERS, ()),
            Send::new(message),
        )
    }

    /// Sends a message to all receivers there are, and wakes those that wait. In a bounded channel it
    /// waits until all have made room, in the order the senders came; in a lagging one it never waits.
    ///
    /// A cancelled task unwinds from here, and has sent nothing.
    ///
    /// # Errors
    /// There is no receiver, or the channel was closed; the message is in the error. A receiver may
    /// [subscribe](Self::subscribe) later.
    ///
    /// ```
    /// use weftwork_csp::broadcast;
    ///
    /// let (sender, receiver) = broadcast::bounded(1);
    /// drop(receiver);
    /// assert_eq!(sender.send(1).unwrap_err().into_inner(), 1);
    /// let mut receiver = sender.subscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.recv(), Ok(2));
    /// ```
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        attempt::wait(SEND, self.attempt(message))
    }

    /// Sends a message if there is room. Never waits.
    ///
    /// # Errors
    /// There is no room, or as for [`send`](Self::send); the message is in the error.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::broadcast::bounded(1);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(sender.try_send(2).unwrap_err().into_inner(), 2);
    /// ```
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match attempt::once(&*self.queue, Send::new(message)) {
            Ok(sent) => Ok(sent?),
            Err(mut send) => Err(TrySendError::Full(send.take().expect("not sent"))),
        }
    }

    /// Sends a message, waiting for room for `timeout` at most; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first, or as for [`send`](Self::send); the message is in the error.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = weftwork_csp::broadcast::bounded(1);
    /// sender.send(1).unwrap();
    /// let late = sender.send_timeout(2, Duration::from_millis(1));
    /// assert!(late.unwrap_err().is_timeout());
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(message, wait::deadline_after(timeout))
    }

    /// Sends a message, waiting for room until `deadline` at most.
    ///
    /// # Errors
    /// As for [`send_timeout`](Self::send_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, _receiver) = weftwork_csp::broadcast::bounded(1);
    /// assert!(sender.send_deadline(1, Instant::now()).is_ok());
    /// assert!(sender.send_deadline(2, Instant::now()).is_err());
    /// ```
    #[track_caller]
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(message, Some(deadline))
    }

    #[track_caller]
    fn send_until(&self, message: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        let timeout =
            |send: &mut Send<T>| SendTimeoutError::Timeout(send.take().expect("not sent"));
        Ok(attempt::wait_deadline(
            SEND,
            deadline,
            self.attempt(message),
            timeout,
        )??)
    }

    /// Makes a future that waits for room and sends the message.
    ///
    /// ```
    /// use weftwork_csp::broadcast;
    ///
    /// let (sender, mut receiver) = broadcast::bounded(1);
    /// weftwork_core::block_on(sender.send_async(1)).unwrap();
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    pub fn send_async(&self, message: T) -> SendFuture<'_, T> {
        SendFuture(self.attempt(message))
    }

    /// Makes a receiver that sees what is sent from now on. Never waits.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::broadcast::lagging(4);
    /// sender.send(1).unwrap();
    /// let mut late = sender.subscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(late.recv(), Ok(2));
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver {
            cursor: handles::subscribe(&self.queue),
            queue: Arc::clone(&self.queue),
        }
    }

    /// Lets no message in any more: receivers get what is there, and then an error; sends that wait
    /// fail. False if the channel was closed before. Never waits.
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::broadcast::lagging(4);
    /// sender.send(1).unwrap();
    /// assert!(sender.close());
    /// assert!(sender.send(2).is_err());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert!(receiver.recv().is_err());
    /// ```
    pub fn close(&self) -> bool {
        handles::close(&self.queue)
    }

    /// Whether a send would fail: there is no receiver, or the channel was closed.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::broadcast::lagging::<i32>(4);
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.lock().is_closed()
    }

    /// How many receivers there are.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::broadcast::lagging::<i32>(4);
    /// let _second = sender.subscribe();
    /// assert_eq!(sender.receiver_count(), 2);
    /// ```
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.queue.lock().receivers
    }

    /// How many messages are kept: those that the slowest receiver has not seen.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::broadcast::lagging(4);
    /// sender.send(1).unwrap();
    /// assert_eq!(sender.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.lock().len()
    }

    /// Whether all receivers have seen all messages.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::broadcast::lagging::<i32>(4);
    /// assert!(sender.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages are kept at most.
    ///
    /// ```
    /// assert_eq!(weftwork_csp::broadcast::lagging::<i32>(4).0.capacity(), 4);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.lock().capacity()
    }

    /// Whether both send into the same channel.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::broadcast::lagging::<i32>(4);
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        handles::add_sender(&self.queue);
        Sender {
            queue: Arc::clone(&self.queue),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        handles::remove_sender(&self.queue);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

//! The sending end of a lossy channel.

use super::buffer::{self, Queue};
use crate::error::SendError;
use std::fmt;
use weftwork_core::sync::Arc;

/// Sends into a [`sliding`](super::sliding) or [`dropping`](super::dropping) channel.
///
/// When the last clone is dropped, the receivers get what is there and then hear that nothing comes.
pub struct Sender<T> {
    pub(super) queue: Arc<Queue<T>>,
}

impl<T> Sender<T> {
    /// Sends a message, and gives back the one that had to make room for it: the oldest one, or this
    /// very one. Tells the receiver that waits longest. Never waits.
    ///
    /// # Errors
    /// All receivers are gone, or the channel was closed; the message is in the error.
    ///
    /// ```
    /// use weftwork_csp::lossy;
    ///
    /// let (sender, receiver) = lossy::sliding(1);
    /// assert_eq!(sender.send(1), Ok(None));
    /// assert_eq!(sender.send(2), Ok(Some(1)));
    /// drop(receiver);
    /// assert_eq!(sender.send(3).unwrap_err().into_inner(), 3);
    /// ```
    pub fn send(&self, message: T) -> Result<Option<T>, SendError<T>> {
        buffer::send(&self.queue, message)
    }

    /// Lets no message in any more: receivers get what is there, and then an error. False if the
    /// channel was closed before. Never waits.
    ///
    /// ```
    /// use weftwork_csp::lossy;
    ///
    /// let (sender, receiver) = lossy::sliding(2);
    /// sender.send(1).unwrap();
    /// assert!(sender.close());
    /// assert!(sender.send(2).is_err());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert!(receiver.recv().is_err());
    /// ```
    pub fn close(&self) -> bool {
        buffer::close(&self.queue)
    }

    /// Whether a send would fail: all receivers are gone, or the channel was closed.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::lossy::dropping::<i32>(2);
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.lock().is_closed()
    }

    /// How many messages wait to be received.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::lossy::dropping(2);
    /// sender.send(1).unwrap();
    /// assert_eq!(sender.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.lock().len()
    }

    /// Whether no message waits to be received.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::lossy::dropping::<i32>(2);
    /// assert!(sender.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the next send displaces a message.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::lossy::dropping(1);
    /// sender.send(1).unwrap();
    /// assert!(sender.is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many messages there is room for.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::lossy::dropping::<i32>(2);
    /// assert_eq!(sender.capacity(), 2);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.lock().capacity()
    }

    /// Whether both send into the same channel.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::lossy::dropping::<i32>(2);
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        buffer::add_sender(&self.queue);
        Sender {
            queue: Arc::clone(&self.queue),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        buffer::remove_sender(&self.queue);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

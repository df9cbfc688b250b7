//! The end of a watch channel that changes the value.

use super::Receiver;
use super::value::{self, NoReceiver, Queue, Ref, SENDERS, Value};
use crate::attempt::{self, Attempt, attempt_future};
use crate::error::SendError;
use std::fmt;
use std::time::{Duration, Instant};
use weftwork_core::TimedOut;
use weftwork_core::sync::Arc;
use weftwork_core::wait::queue::Waiter;
use weftwork_core::wait::{self, Reason};

const CLOSED: Reason = Reason::new("watch_closed");

/// Changes the value of a [`channel`](super::channel).
///
/// When the last clone is dropped, receivers that wait for a change hear that none comes.
pub struct Sender<T> {
    pub(super) queue: Arc<Queue<T>>,
}

/// Waits until there is no receiver. Made by [`Sender::closed`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct Closed<'a, T>(Attempt<'a, Value<T>, NoReceiver>);

attempt_future!(Closed<'a, T>, ());

impl<T> Sender<T> {
    /// Changes the value and wakes the receivers that wait. Never waits.
    ///
    /// # Errors
    /// There is no receiver: the value stays as it was, and this one is in the error. To change it
    /// nevertheless, for receivers to come, use [`send_replace`](Self::send_replace).
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// drop(receiver);
    /// assert_eq!(sender.send(3).unwrap_err().into_inner(), 3);
    /// assert_eq!(*sender.borrow(), 2);
    /// ```
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        value::send(&self.queue, value).map_err(SendError)
    }

    /// Changes the value, whether there are receivers or not, and gives the one before. Never waits.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(1);
    /// assert_eq!(*sender.send_replace(2), 1);
    /// assert_eq!(*receiver.borrow(), 2);
    /// ```
    pub fn send_replace(&self, value: T) -> Ref<T> {
        value::send_replace(&self.queue, value)
    }

    /// Changes a clone of the value with `modify` and puts it in place. Never waits.
    ///
    /// If another sender was faster, `modify` is called again, with a clone of what that one has put
    /// there: no change is lost, and nothing is locked while `modify` runs. If it panics, the value
    /// stays as it was.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    pub fn send_modify(&self, mut modify: impl FnMut(&mut T))
    where
        T: Clone,
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// As [`send_modify`](Self::send_modify), unless `modify` returns false: then the value stays as it
    /// was, and nobody is woken. Gives what `modify` returned last. Never waits.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(5);
    /// let raise = |to: i32| {
    ///     sender.send_if_modified(|level| {
    ///         let higher = to > *level;
    ///         *level = to;
    ///         higher
    ///     })
    /// };
    /// assert!(!raise(3));
    /// assert!(raise(8));
    /// assert_eq!(*receiver.borrow(), 8);
    /// ```
    pub fn send_if_modified(&self, mut modify: impl FnMut(&mut T) -> bool) -> bool
    where
        T: Clone,
    {
        loop {
            let (before, version) = value::snapshot(&self.queue);
            let mut value = T::clone(&before);
            drop(before);
            if !modify(&mut value) {
                return false;
            }
            if value::send_if_same(&self.queue, version, value) {
                return true;
            }
        }
    }

    /// Takes a snapshot of the value. Never waits.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::watch::channel(1);
    /// assert_eq!(*sender.borrow(), 1);
    /// ```
    #[must_use]
    pub fn borrow(&self) -> Ref<T> {
        value::snapshot(&self.queue).0
    }

    /// Makes a receiver that has seen the value there is. Never waits.
    ///
    /// ```
    /// let (sender, _) = weftwork_csp::watch::channel(1);
    /// let receiver = sender.subscribe();
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver {
            seen: value::add_receiver(&self.queue),
            queue: Arc::clone(&self.queue),
        }
    }

    /// How many receivers there are.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::watch::channel(1);
    /// assert_eq!(sender.receiver_count(), 1);
    /// ```
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        value::receivers(&self.queue)
    }

    /// Whether there is no receiver. One may [subscribe](Self::subscribe) later.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(1);
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    fn no_receiver(&self) -> Attempt<'_, Value<T>, NoReceiver> {
        Attempt::new(Waiter::in_lane(&self.queue, SENDERS, ()), NoReceiver)
    }

    /// Makes an event: there is no receiver.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(1);
    /// drop(receiver);
    /// weftwork_core::block_on(sender.closed());
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed(self.no_receiver())
    }

    /// Waits until there is no receiver.
    ///
    /// A cancelled task unwinds from here.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(1);
    /// let other = std::thread::spawn(move || drop(receiver));
    /// sender.wait_closed();
    /// other.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait_closed(&self) {
        attempt::wait(CLOSED, self.no_receiver());
    }

    /// Waits until there is no receiver, at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = weftwork_csp::watch::channel(1);
    /// assert!(sender.wait_closed_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn wait_closed_timeout(&self, timeout: Duration) -> Result<(), TimedOut> {
        self.wait_closed_until(wait::deadline_after(timeout))
    }

    /// Waits until there is no receiver, at most until `deadline`.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, _receiver) = weftwork_csp::watch::channel(1);
    /// assert!(sender.wait_closed_deadline(Instant::now()).is_err());
    /// ```
    #[track_caller]
    pub fn wait_closed_deadline(&self, deadline: Instant) -> Result<(), TimedOut> {
        self.wait_closed_until(Some(deadline))
    }

    #[track_caller]
    fn wait_closed_until(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        attempt::wait_deadline(CLOSED, deadline, self.no_receiver(), |_| TimedOut)
    }

    /// Whether both change the same value.
    ///
    /// ```
    /// let (sender, _receiver) = weftwork_csp::watch::channel(1);
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        value::add_sender(&self.queue);
        Sender {
            queue: Arc::clone(&self.queue),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        value::remove_sender(&self.queue);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

//! The end of a watch channel that looks at the value and waits for changes.

use super::value::{self, Changed, Queue, RECEIVERS, Ref, Value, WaitFor};
use crate::attempt::{self, Attempt, attempt_future};
use crate::error::{RecvError, RecvTimeoutError};
use std::fmt;
use std::time::{Duration, Instant};
use weftwork_core::sync::Arc;
use weftwork_core::wait::queue::Waiter;
use weftwork_core::wait::{self, Reason};

const CHANGED: Reason = Reason::new("watch_changed");

/// Looks at the value of a [`channel`](super::channel), and waits for it to change.
///
/// It remembers which value it has *seen*: the one there was when it was made, and later what it
/// [changed](Self::changed) to, [waited for](Self::wait_for) or
/// [updated to](Self::borrow_and_update). A clone has seen the same.
pub struct Receiver<T> {
    pub(super) queue: Arc<Queue<T>>,
    /// The version of the value that it has seen.
    pub(super) seen: u64,
}

/// Waits for a value that was not seen. Made by [`Receiver::changed_async`].
///
/// The value counts as seen from the poll on that is ready: dropping the future before changes nothing.
#[must_use = "an event does nothing unless it is waited for"]
pub struct ChangedFuture<'a, T>(Attempt<'a, Value<T>, Changed<'a>>);

attempt_future!(ChangedFuture<'a, T>, Result<(), RecvError>);

/// Waits for a value that is as wanted. Made by [`Receiver::wait_for_async`].
///
/// The values that it asked about count as seen.
#[must_use = "an event does nothing unless it is waited for"]
pub struct WaitForFuture<'a, T, F>(Attempt<'a, Value<T>, WaitFor<'a, F>>);

attempt_future!(WaitForFuture<'a, T, F>, Result<Ref<T>, RecvError>, bool);

impl<T> Receiver<T> {
    /// Takes a snapshot of the value, which does not count as seen. Never waits.
    ///
    /// ```
    /// let (sender, receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    #[must_use]
    pub fn borrow(&self) -> Ref<T> {
        value::snapshot(&self.queue).0
    }

    /// Takes a snapshot of the value, which counts as seen. Never waits.
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow_and_update(), 2);
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// ```
    pub fn borrow_and_update(&mut self) -> Ref<T> {
        let (value, version) = value::snapshot(&self.queue);
        self.seen = version;
        value
    }

    /// Whether there is a value that it has not seen. Never waits.
    ///
    /// # Errors
    /// It has seen the last: all senders are gone.
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// receiver.borrow_and_update();
    /// assert!(receiver.has_changed().is_err());
    /// ```
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        value::has_changed(&self.queue, self.seen)
    }

    /// Counts the value there is as not seen. Never waits.
    ///
    /// ```
    /// let (_sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// receiver.mark_changed();
    /// receiver.changed().unwrap();
    /// ```
    pub fn mark_changed(&mut self) {
        // No version that was or will be: there are not so many.
        self.seen = u64::MAX;
    }

    /// Counts the value there is as seen. Never waits.
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// receiver.mark_unchanged();
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// ```
    pub fn mark_unchanged(&mut self) {
        self.borrow_and_update();
    }

    fn change(&mut self) -> Attempt<'_, Value<T>, Changed<'_>> {
        let waiter = Waiter::in_lane(&self.queue, RECEIVERS, ());
        Attempt::new(waiter, Changed(&mut self.seen))
    }

    /// Waits until there is a value that it has not seen, and counts it as seen.
    ///
    /// A cancelled task unwinds from here, and has seen nothing.
    ///
    /// # Errors
    /// It has seen the last: all senders are gone.
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// let other = std::thread::spawn(move || sender.send(2));
    /// receiver.changed().unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// other.join().unwrap().unwrap();
    /// assert!(receiver.changed().is_err());
    /// ```
    #[track_caller]
    pub fn changed(&mut self) -> Result<(), RecvError> {
        attempt::wait(CHANGED, self.change())
    }

    /// As [`changed`](Self::changed), at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first, or as for [`changed`](Self::changed).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// assert!(receiver.changed_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.changed_until(wait::deadline_after(timeout))
    }

    /// As [`changed`](Self::changed), at most until `deadline`.
    ///
    /// # Errors
    /// As for [`changed_timeout`](Self::changed_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.changed_deadline(Instant::now()), Ok(()));
    /// ```
    #[track_caller]
    pub fn changed_deadline(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        self.changed_until(Some(deadline))
    }

    #[track_caller]
    fn changed_until(&mut self, deadline: Option<Instant>) -> Result<(), RecvTimeoutError> {
        let timeout = |_: &mut Changed<'_>| RecvTimeoutError::Timeout;
        Ok(attempt::wait_deadline(
            CHANGED,
            deadline,
            self.change(),
            timeout,
        )??)
    }

    /// Makes a future that does as [`changed`](Self::changed).
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(weftwork_core::block_on(receiver.changed_async()), Ok(()));
    /// ```
    pub fn changed_async(&mut self) -> ChangedFuture<'_, T> {
        ChangedFuture(self.change())
    }

    fn waits_for<F>(&mut self, wanted: F) -> Attempt<'_, Value<T>, WaitFor<'_, F>>
    where
        F: FnMut(&T) -> bool,
    {
        let waiter = Waiter::in_lane(&self.queue, RECEIVERS, ());
        Attempt::new(waiter, WaitFor::new(&mut self.seen, wanted))
    }

    /// Waits until the value is as `wanted`, be it the one there is. The values that `wanted` was asked
    /// about count as seen. It is asked while nothing is locked, not about every value that there was
    /// in between.
    ///
    /// A cancelled task unwinds from here.
    ///
    /// # Errors
    /// The last value is not as wanted: all senders are gone.
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// assert_eq!(*receiver.wait_for(|n| *n == 1).unwrap(), 1);
    /// drop(sender);
    /// assert!(receiver.wait_for(|n| *n == 2).is_err());
    /// ```
    #[track_caller]
    pub fn wait_for(&mut self, wanted: impl FnMut(&T) -> bool) -> Result<Ref<T>, RecvError> {
        attempt::wait(CHANGED, self.waits_for(wanted))
    }

    /// As [`wait_for`](Self::wait_for), at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first, or as for [`wait_for`](Self::wait_for).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// assert!(receiver.wait_for_timeout(|n| *n == 2, Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn wait_for_timeout(
        &mut self,
        wanted: impl FnMut(&T) -> bool,
        timeout: Duration,
    ) -> Result<Ref<T>, RecvTimeoutError> {
        self.wait_for_until(wanted, wait::deadline_after(timeout))
    }

    /// As [`wait_for`](Self::wait_for), at most until `deadline`.
    ///
    /// # Errors
    /// As for [`wait_for_timeout`](Self::wait_for_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (_sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// assert!(receiver.wait_for_deadline(|n| *n == 1, Instant::now()).is_ok());
    /// ```
    #[track_caller]
    pub fn wait_for_deadline(
        &mut self,
        wanted: impl FnMut(&T) -> bool,
        deadline: Instant,
    ) -> Result<Ref<T>, RecvTimeoutError> {
        self.wait_for_until(wanted, Some(deadline))
    }

    #[track_caller]
    fn wait_for_until<F: FnMut(&T) -> bool>(
        &mut self,
        wanted: F,
        deadline: Option<Instant>,
    ) -> Result<Ref<T>, RecvTimeoutError> {
        let timeout = |_: &mut WaitFor<'_, F>| RecvTimeoutError::Timeout;
        let attempt = self.waits_for(wanted);
        Ok(attempt::wait_deadline(
            CHANGED, deadline, attempt, timeout,
        )??)
    }

    /// Makes a future that does as [`wait_for`](Self::wait_for).
    ///
    /// ```
    /// let (sender, mut receiver) = weftwork_csp::watch::channel(1);
    /// sender.send(2).unwrap();
    /// let two = weftwork_core::block_on(receiver.wait_for_async(|n| *n == 2));
    /// assert_eq!(*two.unwrap(), 2);
    /// ```
    pub fn wait_for_async<F>(&mut self, wanted: F) -> WaitForFuture<'_, T, F>
    where
        F: FnMut(&T) -> bool,
    {
        WaitForFuture(self.waits_for(wanted))
    }

    /// Whether both look at the same value.
    ///
    /// ```
    /// let (_sender, receiver) = weftwork_csp::watch::channel(1);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        value::add_receiver(&self.queue);
        Receiver {
            queue: Arc::clone(&self.queue),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        value::remove_receiver(&self.queue);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

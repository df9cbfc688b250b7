//! The end that receives the message: blocking, or as a future.

use super::shared::Rx;
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::wait::{self, Reason};

const RECV: Reason = Reason::new("oneshot_recv");

/// Receives the one message of a [`channel`](super::channel).
///
/// As a future it gives what [`recv`](Self::recv) gives. It may be polled on after it was ready: then
/// it is ready at once, with an error. Dropping it drops a message that was sent and makes the sender
/// find the channel closed.
pub struct Receiver<T> {
    pub(super) rx: Rx<T>,
}

impl<T> Receiver<T> {
    /// Waits for the message.
    ///
    /// A cancelled task unwinds from here, which drops the receiver.
    ///
    /// # Errors
    /// The sender is gone without a message, or the channel was closed before there was one, or the
    /// message was taken already.
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel::<i32>();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Err(oneshot::RecvError));
    /// ```
    #[track_caller]
    pub fn recv(mut self) -> Result<T, RecvError> {
        wait::wait(RECV, |context| self.rx.poll(context))
    }

    /// Waits for the message, at most for `timeout`; one that no clock can tell is for ever. A message
    /// that came by the end of the time is received.
    ///
    /// # Errors
    /// The time was over first, or as for [`recv`](Self::recv). The receiver can be used on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// let early = receiver.recv_timeout(Duration::from_millis(1));
    /// assert_eq!(early, Err(oneshot::RecvTimeoutError::Timeout));
    /// sender.send(3).unwrap();
    /// assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(3));
    /// ```
    #[track_caller]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(wait::deadline_after(timeout))
    }

    /// Waits for the message, at most until `deadline`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Self::recv_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// sender.send(3).unwrap();
    /// assert_eq!(receiver.recv_deadline(Instant::now()), Ok(3));
    /// ```
    #[track_caller]
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline))
    }

    #[track_caller]
    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let waits = ForgetWaker(self);
        match wait::wait_deadline(RECV, deadline, |context| waits.0.rx.poll(context)) {
            Ok(received) => Ok(received?),
            Err(wait::TimedOut) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Takes the message if it is there. Never waits.
    ///
    /// # Errors
    /// It is not there yet, or as for [`recv`](Self::recv).
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Empty));
    /// sender.send(3).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(3));
    /// assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.rx.try_take()
    }

    /// Lets the sender send no more, and wakes it if it waits for that. Never waits. A message that was
    /// sent before can still be received.
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// receiver.close();
    /// assert!(sender.send(3).is_err());
    /// assert_eq!(receiver.recv(), Err(oneshot::RecvError));
    /// ```
    pub fn close(&mut self) {
        self.rx.close();
    }

    /// Whether a receive would return at once, be it with the message or with an error. Never waits.
    ///
    /// ```
    /// use weftwork_csp::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel();
    /// assert!(!receiver.is_ready());
    /// sender.send(3).unwrap();
    /// assert!(receiver.is_ready());
    /// ```
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.rx.is_ready()
    }
}

/// Takes the waker back at the end of a wait, however it ends.
struct ForgetWaker<'a, T>(&'a mut Receiver<T>);

impl<T> Drop for ForgetWaker<'_, T> {
    fn drop(&mut self) {
        self.0.rx.forget_waker();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.rx.poll(context)
    }
}

/// The message, or the news that there will be none.
impl<T> Event for Receiver<T> {}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("is_ready", &self.is_ready())
            .finish()
    }
}

//! The output of a stage: a receiver that knows of the stage's failure.

use super::stage::Fault;
use crate::{Receiver, RecvError, RecvTimeoutError, TryRecvError};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The output of a stage of a pipeline, and the input of the next one.
///
/// It is a [`Receiver`] that panics where it would tell of an end that a failure has caused. Any receiver
/// can be made one, by `Flow::from`. Clones share the messages: each goes to one of them.
pub struct Flow<T> {
    pub(super) receiver: Receiver<T>,
    pub(super) fault: Option<Arc<Fault>>,
}

impl<T> Flow<T> {
    pub(super) fn new(receiver: Receiver<T>, fault: &Arc<Fault>) -> Self {
        Flow {
            receiver,
            fault: Some(Arc::clone(fault)),
        }
    }

    /// Panics if the stage, or one before it, has failed.
    #[track_caller]
    fn raise(&self) {
        if let Some(fault) = &self.fault {
            fault.raise();
        }
    }

    /// Waits for a message.
    ///
    /// A cancelled task unwinds from here, and has taken nothing.
    ///
    /// # Errors
    /// All input was worked on.
    ///
    /// # Panics
    /// The stage, or one before it, has panicked: with the payload, the first time. Or it was cancelled.
    ///
    /// ```
    /// use weftwork_csp::group::ThreadPerTask;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::bounded(1);
    /// let output = Flow::from(input).map(&ThreadPerTask, 1, |n| n + 1)?;
    /// sender.send(1).unwrap();
    /// assert_eq!(output.recv(), Ok(2));
    /// drop(sender);
    /// assert!(output.recv().is_err());
    /// # Ok::<(), weftwork_core::Refused>(())
    /// ```
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.receiver.recv().inspect_err(|RecvError| self.raise())
    }

    /// Takes a message if one is there. Never waits.
    ///
    /// # Errors
    /// None is there, or all input was worked on.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::bounded(1);
    /// sender.send(1).unwrap();
    /// assert_eq!(Flow::from(input).try_recv(), Ok(1));
    /// ```
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.receiver.try_recv().inspect_err(|error| {
            if error.is_disconnected() {
                self.raise();
            }
        })
    }

    /// Waits for a message, at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first, or all input was worked on.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (_sender, input) = weftwork_csp::bounded::<i32>(1);
    /// assert!(Flow::from(input).recv_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.checked(self.receiver.recv_timeout(timeout))
    }

    /// Waits for a message, at most until `deadline`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (_sender, input) = weftwork_csp::bounded::<i32>(1);
    /// assert!(Flow::from(input).recv_deadline(Instant::now()).is_err());
    /// ```
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.checked(self.receiver.recv_deadline(deadline))
    }

    #[track_caller]
    fn checked(&self, received: Result<T, RecvTimeoutError>) -> Result<T, RecvTimeoutError> {
        received.inspect_err(|error| {
            if error.is_disconnected() {
                self.raise();
            }
        })
    }

    /// Waits for a message, as a future. Dropping it before it is ready loses nothing.
    ///
    /// # Errors
    /// All input was worked on.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::bounded(1);
    /// sender.send(1).unwrap();
    /// assert_eq!(weftwork_core::block_on(Flow::from(input).recv_async()), Ok(1));
    /// ```
    pub async fn recv_async(&self) -> Result<T, RecvError> {
        let received = self.receiver.recv_async().await;
        received.inspect_err(|RecvError| self.raise())
    }

    /// Iterates over the messages, waiting for each; ends when all input was worked on, and panics as
    /// [`recv`](Self::recv).
    ///
    /// ```
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::bounded(1);
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(Flow::from(input).iter().count(), 1);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { flow: self }
    }
}

impl<T> From<Receiver<T>> for Flow<T> {
    fn from(receiver: Receiver<T>) -> Self {
        Flow {
            receiver,
            fault: None,
        }
    }
}

impl<T> Clone for Flow<T> {
    fn clone(&self) -> Self {
        Flow {
            receiver: self.receiver.clone(),
            fault: self.fault.clone(),
        }
    }
}

impl<T> fmt::Debug for Flow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").finish_non_exhaustive()
    }
}

/// Iterates over the messages of a flow, waiting for each. Made by [`Flow::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    flow: &'a Flow<T>,
}

/// Iterates over the messages of a flow, waiting for each. Made by `into_iter` of a [`Flow`].
#[derive(Debug)]
pub struct IntoIter<T> {
    flow: Flow<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;
    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.flow.recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;
    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.flow.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Flow<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Flow<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;
    fn into_iter(self) -> IntoIter<T> {
        IntoIter { flow: self }
    }
}

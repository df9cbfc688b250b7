//! Why a receiver of a broadcast channel gets no message.

use std::error::Error;
use std::fmt;

/// Why there is no message for this receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// It was too slow and has missed so many messages. The next receive gives the oldest that is left.
    Lagged(u64),
    /// It has seen all, and nothing comes any more: all senders are gone, or the channel was closed.
    Disconnected,
}

/// Why there is no message for this receiver now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// It has seen all that was sent.
    Empty,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
    /// As [`RecvError::Disconnected`].
    Disconnected,
}

/// Why no message came for this receiver in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The time was over first.
    Timeout,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
    /// As [`RecvError::Disconnected`].
    Disconnected,
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
            RecvError::Disconnected => TryRecvError::Disconnected,
        }
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(missed) => RecvTimeoutError::Lagged(missed),
            RecvError::Disconnected => RecvTimeoutError::Disconnected,
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Lagged(missed) => {
                write!(f, "receiver was too slow and missed {missed} messages")
            }
            RecvError::Disconnected => f.pad("receiving on an empty and disconnected channel"),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            TryRecvError::Empty => f.pad("receiving on an empty channel"),
            TryRecvError::Lagged(missed) => RecvError::Lagged(missed).fmt(f),
            TryRecvError::Disconnected => RecvError::Disconnected.fmt(f),
        }
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RecvTimeoutError::Timeout => f.pad("timed out waiting on receive operation"),
            RecvTimeoutError::Lagged(missed) => RecvError::Lagged(missed).fmt(f),
            RecvTimeoutError::Disconnected => RecvError::Disconnected.fmt(f),
        }
    }
}

impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}

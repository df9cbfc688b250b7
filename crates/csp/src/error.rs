//! The errors of channels and selects.
//!
//! One type per operation; names, variants and messages that programs of crossbeam-channel know.
//!
//! 1. An operation that takes a message hands it back inside its error.
//! 2. `Debug` and `Display` say nothing of the message, so they ask nothing of its type.
//! 3. *Disconnected* covers both ways in which the other side can be gone: all its handles were
//!    dropped, or the channel was closed. Messages that were in the channel are received first.

use std::error::Error;
use std::fmt;

/// Returns the message of a [`send`](crate::Sender::send): nobody will receive it.
///
/// ```
/// use weftwork_csp::{SendError, bounded};
///
/// let (s, r) = bounded(1);
/// drop(r);
/// assert_eq!(s.send("letter"), Err(SendError("letter")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(
    /// The message.
    pub T,
);

impl<T> SendError<T> {
    /// Returns the message.
    ///
    /// ```
    /// use weftwork_csp::SendError;
    ///
    /// assert_eq!(SendError("letter").into_inner(), "letter");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("sending on a disconnected channel")
    }
}

impl<T> Error for SendError<T> {}

/// Returns the message of a [`try_send`](crate::Sender::try_send), and says why it was not sent.
///
/// ```
/// use weftwork_csp::{TrySendError, bounded};
///
/// let (s, r) = bounded(1);
/// assert_eq!(s.try_send(1), Ok(()));
/// assert_eq!(s.try_send(2), Err(TrySendError::Full(2)));
/// drop(r);
/// assert_eq!(s.try_send(3), Err(TrySendError::Disconnected(3)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There was no room; with capacity zero, no receiver that waits.
    Full(T),

    /// Nobody will receive the message.
    Disconnected(T),
}

impl<T> TrySendError<T> {
    /// Returns the message.
    ///
    /// ```
    /// use weftwork_csp::TrySendError;
    ///
    /// assert_eq!(TrySendError::Full("letter").into_inner(), "letter");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        }
    }

    /// Tells whether there was no room.
    ///
    /// ```
    /// assert!(weftwork_csp::TrySendError::Full(1).is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Tells whether nobody will receive the message.
    ///
    /// ```
    /// assert!(weftwork_csp::TrySendError::Disconnected(1).is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(message): SendError<T>) -> Self {
        TrySendError::Disconnected(message)
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TrySendError::Full(_) => "sending on a full channel",
            TrySendError::Disconnected(_) => "sending on a disconnected channel",
        })
    }
}

impl<T> Error for TrySendError<T> {}

/// Returns the message of a [`send_timeout`](crate::Sender::send_timeout) or
/// [`send_deadline`](crate::Sender::send_deadline), and says why it was not sent.
///
/// ```
/// use std::time::Duration;
/// use weftwork_csp::{SendTimeoutError, bounded};
///
/// let (s, r) = bounded(0);
/// assert_eq!(
///     s.send_timeout(1, Duration::from_millis(1)),
///     Err(SendTimeoutError::Timeout(1)),
/// );
/// drop(r);
/// assert_eq!(
///     s.send_timeout(2, Duration::MAX),
///     Err(SendTimeoutError::Disconnected(2)),
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// There was no room before the time was over; with capacity zero, no receiver.
    Timeout(T),

    /// Nobody will receive the message.
    Disconnected(T),
}

impl<T> SendTimeoutError<T> {
    /// Returns the message.
    ///
    /// ```
    /// use weftwork_csp::SendTimeoutError;
    ///
    /// assert_eq!(SendTimeoutError::Timeout("letter").into_inner(), "letter");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(message) | SendTimeoutError::Disconnected(message) => message,
        }
    }

    /// Tells whether the time was over.
    ///
    /// ```
    /// assert!(weftwork_csp::SendTimeoutError::Timeout(1).is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Tells whether nobody will receive the message.
    ///
    /// ```
    /// assert!(weftwork_csp::SendTimeoutError::Disconnected(1).is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(SendError(message): SendError<T>) -> Self {
        SendTimeoutError::Disconnected(message)
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SendTimeoutError::Timeout(_) => "Timeout(..)",
            SendTimeoutError::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SendTimeoutError::Timeout(_) => "timed out waiting on send operation",
            SendTimeoutError::Disconnected(_) => "sending on a disconnected channel",
        })
    }
}

impl<T> Error for SendTimeoutError<T> {}

/// Says that a [`recv`](crate::Receiver::recv) will never have a message: the channel is empty and
/// disconnected.
///
/// ```
/// use weftwork_csp::{RecvError, unbounded};
///
/// let (s, r) = unbounded();
/// s.send(1).unwrap();
/// drop(s);
/// assert_eq!(r.recv(), Ok(1));
/// assert_eq!(r.recv(), Err(RecvError));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("receiving on an empty and disconnected channel")
    }
}

impl Error for RecvError {}

/// Says why a [`try_recv`](crate::Receiver::try_recv) has no message.
///
/// ```
/// use weftwork_csp::{TryRecvError, unbounded};
///
/// let (s, r) = unbounded::<u32>();
/// assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
/// drop(s);
/// assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// The channel is empty; with capacity zero, there is no sender that waits.
    Empty,

    /// The channel is empty, and nobody will send any more.
    Disconnected,
}

impl TryRecvError {
    /// Tells whether the channel was empty, but may get messages.
    ///
    /// ```
    /// assert!(weftwork_csp::TryRecvError::Empty.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Tells whether the channel is empty for good.
    ///
    /// ```
    /// assert!(weftwork_csp::TryRecvError::Disconnected.is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TryRecvError::Disconnected)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(RecvError: RecvError) -> Self {
        TryRecvError::Disconnected
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TryRecvError::Empty => "receiving on an empty channel",
            TryRecvError::Disconnected => "receiving on an empty and disconnected channel",
        })
    }
}

impl Error for TryRecvError {}

/// Says why a [`recv_timeout`](crate::Receiver::recv_timeout) or
/// [`recv_deadline`](crate::Receiver::recv_deadline) has no message.
///
/// ```
/// use std::time::Duration;
/// use weftwork_csp::{RecvTimeoutError, unbounded};
///
/// let (s, r) = unbounded::<u32>();
/// assert_eq!(
///     r.recv_timeout(Duration::from_millis(1)),
///     Err(RecvTimeoutError::Timeout),
/// );
/// drop(s);
/// assert_eq!(
///     r.recv_timeout(Duration::MAX),
///     Err(RecvTimeoutError::Disconnected),
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// No message came before the time was over.
    Timeout,

    /// The channel is empty, and nobody will send any more.
    Disconnected,
}

impl RecvTimeoutError {
    /// Tells whether the time was over.
    ///
    /// ```
    /// assert!(weftwork_csp::RecvTimeoutError::Timeout.is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, RecvTimeoutError::Timeout)
    }

    /// Tells whether the channel is empty for good.
    ///
    /// ```
    /// assert!(weftwork_csp::RecvTimeoutError::Disconnected.is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvTimeoutError::Disconnected)
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(RecvError: RecvError) -> Self {
        RecvTimeoutError::Disconnected
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RecvTimeoutError::Timeout => "timed out waiting on receive operation",
            RecvTimeoutError::Disconnected => "channel is empty and disconnected",
        })
    }
}

impl Error for RecvTimeoutError {}

/// Says that a [`try_select`](crate::Select::try_select) found no operation ready.
///
/// ```
/// use weftwork_csp::{Select, TrySelectError, unbounded};
///
/// let (_s, r) = unbounded::<u32>();
/// let mut select = Select::new();
/// select.recv(&r);
/// assert_eq!(select.try_select().err(), Some(TrySelectError));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrySelectError;

impl fmt::Display for TrySelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("all operations in select would block")
    }
}

impl Error for TrySelectError {}

/// Says that no operation was ready before a [`select_timeout`](crate::Select::select_timeout) or
/// [`select_deadline`](crate::Select::select_deadline) was over.
///
/// ```
/// use std::time::Duration;
/// use weftwork_csp::{Select, SelectTimeoutError, unbounded};
///
/// let (_s, r) = unbounded::<u32>();
/// let mut select = Select::new();
/// select.recv(&r);
/// let selected = select.select_timeout(Duration::from_millis(1));
/// assert_eq!(selected.err(), Some(SelectTimeoutError));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectTimeoutError;

impl fmt::Display for SelectTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("timed out waiting on select")
    }
}

impl Error for SelectTimeoutError {}

/// Says that a [`try_ready`](crate::Select::try_ready) found no operation ready.
///
/// ```
/// use weftwork_csp::{Select, TryReadyError, unbounded};
///
/// let (_s, r) = unbounded::<u32>();
/// let mut select = Select::new();
/// select.recv(&r);
/// assert_eq!(select.try_ready(), Err(TryReadyError));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TryReadyError;

impl fmt::Display for TryReadyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("no operation in select is ready")
    }
}

impl Error for TryReadyError {}

/// Says that no operation was ready before a [`ready_timeout`](crate::Select::ready_timeout) or
/// [`ready_deadline`](crate::Select::ready_deadline) was over.
///
/// ```
/// use std::time::Duration;
/// use weftwork_csp::{ReadyTimeoutError, Select, unbounded};
///
/// let (_s, r) = unbounded::<u32>();
/// let mut select = Select::new();
/// select.recv(&r);
/// assert_eq!(
///     select.ready_timeout(Duration::from_millis(1)),
///     Err(ReadyTimeoutError),
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyTimeoutError;

impl fmt::Display for ReadyTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("timed out waiting for an operation to be ready")
    }
}

impl Error for ReadyTimeoutError {}

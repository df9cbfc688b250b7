//! Why a task has no output.

use super::id::TaskId;
use std::any::Any;
use std::fmt;
use std::panic::Location;

/// How a task ended that did not return: it panicked, or it was cancelled.
///
/// The message names the task and where it was spawned.
pub struct JoinError {
    id: TaskId,
    location: &'static Location<'static>,
    repr: Repr,
}

pub(super) enum Repr {
    Cancelled,
    Panic(Payload),
}

/// A panic payload, shared only to read the text of it.
pub(super) struct Payload(pub(super) Box<dyn Any + Send>);

// SAFETY: through a shared reference the box is only ever downcast to `&'static str` or `String`,
// which are `Sync`; any other type behind it is not touched.
unsafe impl Sync for Payload {}

impl JoinError {
    pub(super) fn new(id: TaskId, location: &'static Location<'static>, repr: Repr) -> Self {
        JoinError { id, location, repr }
    }

    /// The number of the task.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Where the task was spawned.
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.location
    }

    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.repr, Repr::Panic(_))
    }

    /// Whether the task was cancelled, or dropped by its executor before it could run.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.repr, Repr::Cancelled)
    }

    /// Unwraps the payload the task panicked with.
    ///
    /// # Panics
    /// If the task did not panic: ask [`is_panic`](Self::is_panic), or use
    /// [`try_into_panic`](Self::try_into_panic).
    #[must_use]
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(e) => panic!("into_panic called on a task that did not panic: {e}"),
        }
    }

    /// Unwraps the payload the task panicked with.
    ///
    /// # Errors
    /// The error itself, if the task was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.repr {
            Repr::Panic(payload) => Ok(payload.0),
            Repr::Cancelled => Err(self),
        }
    }

    fn message(&self) -> Option<&str> {
        let Repr::Panic(payload) = &self.repr else {
            return None;
        };
        payload
            .0
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.0.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("JoinError");
        s.field("id", &self.id.get())
            .field("spawned_at", &format_args!("{}", self.location));
        match &self.repr {
            Repr::Cancelled => s.field("kind", &"cancelled"),
            Repr::Panic(_) => s.field("kind", &"panic").field("message", &self.message()),
        };
        s.finish()
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} spawned at {} ", self.id, self.location)?;
        match (&self.repr, self.message()) {
            (Repr::Cancelled, _) => f.write_str("was cancelled"),
            (Repr::Panic(_), Some(message)) => write!(f, "panicked: {message}"),
            (Repr::Panic(_), None) => f.write_str("panicked"),
        }
    }
}

impl std::error::Error for JoinError {}

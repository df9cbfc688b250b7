//! What can go wrong with a group.

use std::error::Error;
use std::fmt;

/// Why the work of a group is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupError<E> {
    /// A task failed with this error, before all others that did.
    Failed(E),
    /// No task failed, but some did not get to their end: the group was cancelled, or an executor
    /// dropped them.
    Cancelled,
}

/// Why a group did not take a task; here is its work back, if the executor did not have it already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NotSpawned<W> {
    /// As many tasks run as the limit allows.
    Full(W),
    /// The group is at its end: a task failed, or it was cancelled.
    Cancelled(W),
    /// The executor takes no more tasks. The work is dropped.
    Refused,
}

impl<W> NotSpawned<W> {
    /// Whether the limit is why.
    ///
    /// ```
    /// assert!(weftwork_csp::group::NotSpawned::Full(1).is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, NotSpawned::Full(_))
    }

    /// Whether the end of the group is why.
    ///
    /// ```
    /// assert!(weftwork_csp::group::NotSpawned::Cancelled(1).is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, NotSpawned::Cancelled(_))
    }

    /// Takes the work back.
    ///
    /// ```
    /// assert_eq!(weftwork_csp::group::NotSpawned::Full(1).into_work(), Some(1));
    /// ```
    pub fn into_work(self) -> Option<W> {
        match self {
            NotSpawned::Full(work) | NotSpawned::Cancelled(work) => Some(work),
            NotSpawned::Refused => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupError::Failed(error) => write!(f, "a task of the group failed: {error}"),
            GroupError::Cancelled => {
                f.write_str("the group was cancelled before its work was done")
            }
        }
    }
}

impl<E: Error + 'static> Error for GroupError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            GroupError::Failed(error) => Some(error),
            GroupError::Cancelled => None,
        }
    }
}

impl<W> fmt::Debug for NotSpawned<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotSpawned::Full(_) => "Full(..)",
            NotSpawned::Cancelled(_) => "Cancelled(..)",
            NotSpawned::Refused => "Refused",
        })
    }
}

impl<W> fmt::Display for NotSpawned<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotSpawned::Full(_) => "the group runs as many tasks as it may",
            NotSpawned::Cancelled(_) => "the group takes no task any more",
            NotSpawned::Refused => "the executor takes no more tasks",
        })
    }
}

impl<W> Error for NotSpawned<W> {}

//! What a supervisor has to tell.

use super::id::ChildId;
use crate::pid::Pid;
use crate::reason::Reason;
use std::fmt;
use std::time::Duration;

/// Something that a supervisor did or saw, for a log.
///
/// Children of a dynamic supervisor have no id.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Report<P = Pid> {
    /// A child was started.
    Started {
        /// Which place it has.
        id: Option<ChildId>,
        /// Who it is.
        pid: P,
    },
    /// A child ended although nobody stopped it, and not in good order, or although it is permanent.
    Ended {
        /// Which.
        id: Option<ChildId>,
        /// Who it was.
        pid: P,
        /// Why.
        reason: Reason,
    },
    /// A child could not be started, at first or again.
    StartFailed {
        /// Which.
        id: Option<ChildId>,
        /// Why.
        reason: Reason,
    },
    /// A child that was stopped ended in another way than it should.
    StopFailed {
        /// Which.
        id: Option<ChildId>,
        /// Who it was.
        pid: P,
        /// How it ended.
        reason: Reason,
    },
    /// There were more restarts in the period than the supervisor allows: it stops.
    GaveUp {
        /// The child whose restart was one too many.
        id: Option<ChildId>,
    },
    /// There were more restarts of a child than its own limit allows.
    LimitReached {
        /// Which.
        id: Option<ChildId>,
    },
    /// The time in which the supervisor was to stop is over, and it still waits. Whoever has not ended is
    /// killed.
    StopOverdue {
        /// The child that it waits for.
        id: Option<ChildId>,
        /// Who that is.
        pid: P,
        /// How long it has been waiting for that one.
        waited: Duration,
    },
}

impl<P: fmt::Display> fmt::Display for Report<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |id: &Option<ChildId>| match id {
            Some(id) => id.to_string(),
            None => "without id".into(),
        };
        match self {
            Report::Started { id, pid } => write!(f, "child {} started as {pid}", name(id)),
            Report::Ended { id, pid, reason } => {
                write!(f, "child {} ended, {pid}: {reason}", name(id))
            }
            Report::StartFailed { id, reason } => {
                write!(f, "child {} did not start: {reason}", name(id))
            }
            Report::StopFailed { id, pid, reason } => {
                write!(
                    f,
                    "child {} was stopped and ended, {pid}: {reason}",
                    name(id)
                )
            }
            Report::GaveUp { id } => {
                write!(f, "too many restarts, the last one of child {}", name(id))
            }
            Report::LimitReached { id } => write!(f, "too many restarts of child {}", name(id)),
            Report::StopOverdue { id, pid, waited } => write!(
                f,
                "stop is overdue: child {}, {pid}, has not ended for {waited:?}",
                name(id)
            ),
        }
    }
}

//! How a cancelled task leaves a wait: by unwinding with a private payload, or with an error.
//!
//! The payload is thrown with `resume_unwind`, so no panic hook runs and nothing is printed. Code
//! that catches it and goes on meets it again at its next wait: the request is never cleared.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;

/// The current task was asked to end.
///
/// What the `try_` forms of the waiting calls return where the plain forms unwind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task was cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// What unwinds a cancelled task.
struct CancelUnwind;

/// Whether this program unwinds at all. Where it does not, a cancelled green thread learns of it
/// from the `try_` forms alone.
pub(crate) const UNWINDS: bool = cfg!(panic = "unwind");

/// Whether a plain wait may unwind here: not while panicking already (that would abort the
/// process), and only if this program unwinds at all.
#[must_use]
pub fn may_unwind() -> bool {
    UNWINDS && !std::thread::panicking()
}

/// Unwinds the current task to its root, where it ends as cancelled.
///
/// Destructors on the way run; no panic hook does. For schedulers and waiting operations; a caller
/// asks [`may_unwind`] first.
pub fn unwind() -> ! {
    resume_unwind(Box::new(CancelUnwind))
}

/// Whether a panic payload is that of a cancellation, for code that catches panics and wants to
/// pass cancellations on.
#[must_use]
pub fn is_cancel_unwind(payload: &(dyn Any + Send)) -> bool {
    payload.is::<CancelUnwind>()
}

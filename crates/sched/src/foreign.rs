//! Calls into code that is not ours and that nobody joins: hooks, and wakers of whatever executor.
//!
//! A panic there has been reported by the panic hook when it gets here, and ends here: it must take
//! neither a worker nor the monitor with it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`; `None` if it panicked.
#[inline]
pub(crate) fn call<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(payload) => {
            // A payload whose own drop panics is leaked.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(again);
            }
            None
        }
    }
}

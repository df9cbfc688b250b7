//! Where blocking code runs: on green threads, or on threads of the operating system.
//!
//! The workloads over channels and locks that block are written once for both.

use std::time::Duration;

use crate::cli::Run;

/// A kind of thread.
pub(crate) trait Place: 'static {
    /// A started thread.
    type Handle<T: Send + 'static>: Send;

    /// Runs `driver`, which may spawn threads, with `--workers` workers. It runs in a thread of
    /// this kind itself.
    fn drive<T, F>(run: &Run, driver: F) -> T
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static;

    /// Starts a thread.
    fn spawn<T, F>(body: F) -> Self::Handle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static;

    /// Lets other threads run for this long.
    fn sleep(duration: Duration);

    /// Waits for a thread and returns what it did.
    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> T;
}

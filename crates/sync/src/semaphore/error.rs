//! Why permits were not given.

use std::fmt;

/// The semaphore is closed: no permit is given any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcquireError(pub(super) ());

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore is closed")
    }
}

impl std::error::Error for AcquireError {}

/// Why no permits were to be had at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryAcquireError {
    /// There are too few, or others wait for them.
    NoPermits,
    /// The semaphore is closed.
    Closed,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::NoPermits => "no permits available",
            TryAcquireError::Closed => "semaphore is closed",
        })
    }
}

impl std::error::Error for TryAcquireError {}

/// Why no permits came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcquireTimeoutError {
    /// The time was over first.
    TimedOut,
    /// The semaphore is closed.
    Closed,
}

impl fmt::Display for AcquireTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AcquireTimeoutError::TimedOut => "timed out waiting for permits",
            AcquireTimeoutError::Closed => "semaphore is closed",
        })
    }
}

impl std::error::Error for AcquireTimeoutError {}

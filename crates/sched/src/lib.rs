//! An M:N work-stealing runtime of green threads and futures.

use std::sync::Arc;
use weftwork_reactor::Driver;

/// Returns the driver with which the calling task or thread registers file descriptors.
#[must_use]
pub fn current_driver() -> Option<Arc<Driver>> {
    None
}

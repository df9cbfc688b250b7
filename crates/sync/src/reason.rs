//! What the waits of this crate are called in dumps and reports. Stable, all in this file.

use weftwork_core::Reason;

/// A mutex to be unlocked.
pub(crate) const MUTEX: Reason = Reason::new("mutex");
/// A lock to be free of writers.
pub(crate) const READ_LOCK: Reason = Reason::new("read_lock");
/// A lock to be free of readers and writers.
pub(crate) const WRITE_LOCK: Reason = Reason::new("write_lock");
/// A notification of a condition variable.
pub(crate) const CONDVAR: Reason = Reason::new("condvar");
/// Permits of a semaphore.
pub(crate) const SEMAPHORE: Reason = Reason::new("semaphore");
/// The others at a barrier.
pub(crate) const BARRIER: Reason = Reason::new("barrier");
/// A group to be done.
pub(crate) const WAIT_GROUP: Reason = Reason::new("wait_group");
/// An initialization that another runs.
pub(crate) const ONCE: Reason = Reason::new("once");
/// A notification.
pub(crate) const NOTIFY: Reason = Reason::new("notify");
/// The end of a context.
#[cfg(not(weftwork_loom))]
pub(crate) const CONTEXT: Reason = Reason::new("context");

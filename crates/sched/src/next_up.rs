//! The place for the task that a worker runs next: a future that was woken just now, whose data is
//! hot. The owner puts and takes; the monitor takes it away from a worker that is stuck, because no
//! thief looks here.
//!
//! Invariant: the pointer is null, or a `Task` given up by `Task::into_raw`, taken back by whoever
//! exchanges it for something else.

use std::ptr::{NonNull, null_mut};
use weftwork_core::sync::atomic::{AtomicPtr, Ordering};
use weftwork_core::task::Task;

/// See the module's page.
#[derive(Debug)]
pub(crate) struct NextUp(AtomicPtr<()>);

impl NextUp {
    pub(crate) fn new() -> Self {
        NextUp(AtomicPtr::new(null_mut()))
    }

    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        // Relaxed: the owner sees its own puts; a theft it misses shows at the exchange.
        !self.0.load(Ordering::Relaxed).is_null()
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Task> {
        if self.is_some() {
            self.exchange(null_mut())
        } else {
            None
        }
    }

    /// Puts a task here; the one that was here is the caller's. For the owner.
    #[inline]
    pub(crate) fn replace(&self, task: Task) -> Option<Task> {
        let task = task.into_raw().as_ptr();
        if self.is_some() {
            return self.exchange(task);
        }
        // Empty, and only the owner puts. Release: hands the task to the monitor.
        self.0.store(task, Ordering::Release);
        None
    }

    #[inline]
    fn exchange(&self, with: *mut ()) -> Option<Task> {
        // AcqRel: hands the task from the owner to the monitor.
        let before = self.0.swap(with, Ordering::AcqRel);
        // SAFETY: by the invariant it is a task, and ours now.
        NonNull::new(before).map(|task| unsafe { Task::from_raw(task) })
    }
}

impl Drop for NextUp {
    fn drop(&mut self) {
        drop(self.take());
    }
}

//! Tasks: one allocation that holds a unit of work, its state, its output and its joiner.
//!
//! [`closure`] and [`future`] make a task and the handle that joins it. Whoever executes it holds
//! the [`Task`], the right to run it once, and calls [`Task::run`]: a closure runs to its end, a
//! future is polled once. A future that is woken comes back as a new `Task` through the [`Schedule`]
//! it was made with. A `Task` that is dropped instead of run ends as cancelled, so no executor can
//! lose one: its joiner is always told.
//!
//! Nothing here knows how tasks are queued or on which stack they run.

mod block;
mod caught;
mod cell;
mod error;
mod ext;
mod header;
mod id;
mod join;
mod raw;
mod run;
mod state;
mod waker;

pub use cell::{closure, closure_at, closure_unchecked, future, future_at, future_unchecked};
pub use error::JoinError;
pub use ext::{Locals, Meta};
pub use id::TaskId;
pub use join::{JoinHandle, NotFinished};
pub use raw::{RawTask, TaskRef};

use header::Header;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

/// The right to run a task once: what queues hold.
///
/// Dropping it without running cancels the task: the closure or future is dropped on this thread
/// and the joiner gets [`JoinError::is_cancelled`].
#[must_use = "a task that is dropped instead of run is cancelled"]
pub struct Task(NonNull<Header>);

// SAFETY: the safe constructors require the closure or future, its output and its schedule to be
// `Send`; the unchecked ones make their caller promise to keep the task on one thread.
unsafe impl Send for Task {}
// SAFETY: a shared reference gives access to the header's atomics and immutable fields alone.
unsafe impl Sync for Task {}
// A panic of the task does not leave `run`, and the state word is never left half changed.
impl UnwindSafe for Task {}
impl RefUnwindSafe for Task {}

/// Takes a future's task back when it has been woken, to run it once more.
pub trait Schedule {
    /// Queues `task`. Called by wakers, on any thread: it must not block, and must not run `task`
    /// on this stack. Another thread may run it before this returns; `self` stays valid until then.
    ///
    /// The schedule itself is dropped with the last reference to the task, which may be in the hand
    /// of a waker: its drop must not wait.
    fn schedule(&self, task: Task, cause: Cause);
}

/// Why a task comes to be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A waker of the task was called while the task slept, or it was cancelled.
    Woken,
    /// A waker of the task was called during its own poll: it yields, others should come first.
    Yielded,
}

impl Task {
    /// Runs the task on the current stack: a closure to its end, a future for one poll.
    ///
    /// A panic of the task does not leave this call; it becomes the join result. What the closure
    /// or the poll waits for with [`wait`](crate::wait) parks the calling context: under a
    /// scheduler that hosts this thread only the task, elsewhere the OS thread.
    #[inline]
    pub fn run(self) {
        let header = self.into_header();
        // SAFETY: `run` wants a header whose Task handle the caller owns and gives up; `self` was
        // that handle and has been taken apart without running its drop.
        unsafe { (header.as_ref().vtable.run)(header) }
    }

    /// Looks at the task while it is queued or being run.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> RawTask {
        RawTask(self.0)
    }

    /// Makes a counted reference to the task.
    #[must_use]
    pub fn task_ref(&self) -> TaskRef {
        // SAFETY: `from_raw` wants a live task; `self` keeps it alive.
        unsafe { TaskRef::new(self.0) }
    }

    /// Gives the handle up for a pointer, for queues that store pointers.
    #[inline]
    #[must_use]
    pub fn into_raw(self) -> NonNull<()> {
        self.into_header().cast()
    }

    /// Takes back what [`into_raw`](Self::into_raw) gave.
    ///
    /// # Safety
    /// `pointer` comes from `into_raw` and has not been taken back since.
    #[inline]
    pub unsafe fn from_raw(pointer: NonNull<()>) -> Task {
        Task(pointer.cast())
    }

    #[inline]
    fn into_header(self) -> NonNull<Header> {
        let header = self.0;
        std::mem::forget(self);
        header
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: `abandon` wants a header whose Task handle the caller owns and gives up, as here.
        unsafe { (self.0.as_ref().vtable.abandon)(self.0) }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task_ref().fmt(f)
    }
}

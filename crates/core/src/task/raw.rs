//! Ways to look at a task besides owning the right to run it: counted and uncounted.

use super::Cause;
use super::ext::Locals;
use super::header::{ENDING, Header, PARKED, UNPARKED};
use super::id::TaskId;
use super::state::Wake;
#[cfg(weftwork_canary)]
use crate::canary::{self, Step};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::task::Waker;

/// A counted reference to a task, for looking at it and cancelling it.
pub struct TaskRef(NonNull<Header>);

// SAFETY: a reference gives access to the header's atomics, its lock and its immutable fields, and
// at the end to freeing the cell: by then the task is complete and its output gone, or it is an
// unreachable future made by a constructor that wants it `Send` (or whose caller promised, see
// `future_unchecked`).
unsafe impl Send for TaskRef {}
// SAFETY: as above; no method gives access to anything thread-bound.
unsafe impl Sync for TaskRef {}
// A panic of the task is a value here, and the state word is never left half changed.
impl UnwindSafe for TaskRef {}
impl RefUnwindSafe for TaskRef {}

impl TaskRef {
    /// # Safety
    /// The task is alive.
    pub(super) unsafe fn new(header: NonNull<Header>) -> TaskRef {
        // SAFETY: alive, says the caller.
        unsafe { header.as_ref() }.state.add_ref();
        TaskRef(header)
    }

    fn header(&self) -> &Header {
        // SAFETY: this reference is counted, so the header is alive; only atomics, the lock and
        // immutable fields are reached through it.
        unsafe { self.0.as_ref() }
    }

    /// The number of the task.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.header().id
    }

    /// The name its spawner gave it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.header().ext.get().and_then(|ext| ext.name.as_deref())
    }

    /// Where it was spawned.
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.header().location
    }

    /// Whether the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.header().state.is_complete()
    }

    /// Whether the task was asked to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.header().state.is_cancelled()
    }

    /// Whether a future's task is inside its poll just now. A closure's task reports false.
    #[must_use]
    pub fn is_polling(&self) -> bool {
        self.header().state.is_running()
    }

    /// Asks the task to end: a task that was not started is dropped, a future is dropped between
    /// polls, a green thread unwinds from its next waiting point. Does not wait for it. After the
    /// task's end it does nothing.
    ///
    /// ```
    /// use weftwork_core::task;
    ///
    /// let (task, handle) = task::closure(|| 1);
    /// handle.task_ref().cancel();
    /// task.run();
    /// assert!(handle.join().unwrap_err().is_cancelled());
    /// ```
    pub fn cancel(&self) {
        cancel(self.0);
    }

    /// Borrows the task uncounted.
    #[must_use]
    pub fn raw(&self) -> RawTask {
        RawTask(self.0)
    }
}

/// See [`TaskRef::cancel`].
pub(super) fn cancel(pointer: NonNull<Header>) {
    // SAFETY: the callers hold a counted reference.
    let header = unsafe { pointer.as_ref() };
    // Canary: a cancellation that looks for the waker first and sets its flag afterwards.
    #[cfg(weftwork_canary)]
    if canary::is(Step::CancelRunner) {
        let runner = header.runner.lock().take();
        let _ = header.state.cancel();
        runner.into_iter().for_each(Waker::wake);
        return;
    }
    if header.state.cancel() == Wake::Schedule {
        // SAFETY: `schedule` wants SCHEDULED set and two references: `cancel` did both.
        unsafe { (header.vtable.schedule)(pointer, Cause::Woken) };
        return;
    }
    // Queued: it finds the flag when it is started. Running: reach the context it waits in, once:
    // from then on it sees the flag.
    let runner = header.runner.lock().take();
    if let Some(waker) = runner {
        waker.wake();
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.header().state.add_ref();
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.header().state.drop_ref() {
            // SAFETY: `free` wants the last reference to be gone, and it is.
            unsafe { (self.0.as_ref().vtable.free)(self.0) }
        }
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for TaskRef {}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id().get())
            .field("name", &self.name())
            .field("spawned_at", &format_args!("{}", self.spawned_at()))
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// A task looked at without a reference, by the executor that is running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawTask(pub(super) NonNull<Header>);

impl RawTask {
    /// The pointer that [`Task::into_raw`](super::Task::into_raw) would give.
    #[inline]
    #[must_use]
    pub fn pointer(self) -> NonNull<()> {
        self.0.cast()
    }

    /// Makes a counted reference.
    ///
    /// # Safety
    /// The task is alive: it is being run, or a counted reference exists.
    #[must_use]
    pub unsafe fn upgrade(self) -> TaskRef {
        // SAFETY: alive, says the caller.
        unsafe { TaskRef::new(self.0) }
    }

    /// Whether the task shall end at its next interruptible wait: it was asked to end, and is not
    /// past that, in the destructors that run when its closure or future is done.
    ///
    /// # Safety
    /// The task is alive.
    #[inline]
    #[must_use]
    pub unsafe fn is_cancelled(self) -> bool {
        // SAFETY: alive, says the caller.
        let header = unsafe { self.0.as_ref() };
        // Relaxed: only the runner changes the phase; to others this is a report.
        header.state.is_cancelled() && header.phase.load(Ordering::Relaxed) != ENDING
    }

    /// Makes `waker` the one that a cancellation of the task calls, until this run of it ends.
    /// Cheap after the first call of a run, which decides; later wakers are ignored.
    ///
    /// A runner calls this first and then asks [`is_cancelled`](Self::is_cancelled), before each
    /// interruptible park: a cancellation sets its flag first and then looks for the waker, so
    /// either it finds the waker or the runner finds the flag.
    ///
    /// # Safety
    /// The caller is running the task.
    #[inline]
    pub unsafe fn set_runner(self, waker: &Waker) {
        // SAFETY: being run, hence alive.
        let header = unsafe { self.0.as_ref() };
        // Relaxed, both: only the runner touches the phase.
        if header.phase.load(Ordering::Relaxed) == UNPARKED {
            header.phase.store(PARKED, Ordering::Relaxed);
            // Cloned before the lock is taken: a clone is foreign code.
            let waker = waker.clone();
            let before = header.runner.lock().replace(waker);
            drop(before);
        }
    }

    /// The task-local values.
    ///
    /// # Safety
    /// The caller is running the task and does not use the reference after this run.
    #[must_use]
    pub unsafe fn locals<'a>(self) -> &'a Locals {
        // SAFETY: being run, hence alive; for the runner alone, and the caller is the runner.
        &unsafe { self.0.as_ref() }.ext.get_or_init().locals
    }

    /// The name, number and origin, for a report from a signal handler: no lock, no allocation.
    ///
    /// # Safety
    /// The task is alive, and the result is not used for longer than it is.
    #[must_use]
    pub unsafe fn describe<'a>(self) -> (TaskId, Option<&'a str>, &'static Location<'static>) {
        // SAFETY: alive, says the caller.
        let header = unsafe { self.0.as_ref() };
        (
            header.id,
            header.ext.get().and_then(|ext| ext.name.as_deref()),
            header.location,
        )
    }
}

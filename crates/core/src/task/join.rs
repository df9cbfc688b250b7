//! The handle that waits for a task and takes its output.

use super::error::JoinError;
use super::header::Header;
use super::id::TaskId;
use super::raw::{RawTask, TaskRef, cancel};
use crate::host;
use crate::wait::{self, Reason};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Waits for a task and takes its output: blocking with [`join`](Self::join), or as a future.
///
/// Dropping the handle detaches the task, which goes on; its output is then dropped. The handle
/// works from anywhere: a green thread, an OS thread, a future under any executor.
pub struct JoinHandle<T> {
    header: NonNull<Header>,
    output: PhantomData<T>,
}

// SAFETY: the handle moves a `T` from the runner's thread to the joiner's, hence `T: Send`; all
// else it reaches is the header, shared by protocol (invariants 3 and 4 of the state word).
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` reaches only the header's atomics, lock and immutable fields.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}
// A panic of the task is a value here, and the state word is never left half changed.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

/// The task was still going on; here is its handle back.
pub struct NotFinished<T>(pub JoinHandle<T>);

impl<T> JoinHandle<T> {
    /// # Safety
    /// The task's output type is `T`, its HANDLE bit is set, and the caller passes on a reference.
    pub(super) unsafe fn new(header: NonNull<Header>) -> Self {
        JoinHandle {
            header,
            output: PhantomData,
        }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the handle owns a reference, so the header is alive.
        unsafe { self.header.as_ref() }
    }

    /// Waits until the task ends and returns its output.
    ///
    /// A task that nobody has started and that the calling worker would run next is run in place, on
    /// the caller's stack. If the caller is cancelled while that lasts, the task is too, because the
    /// caller cannot end before it.
    /// If the calling task is cancelled it unwinds from here, which detaches the joined one.
    ///
    /// # Errors
    /// The task panicked or was cancelled.
    ///
    /// ```
    /// use weftwork_core::task;
    ///
    /// let (task, handle) = task::closure(|| "output");
    /// std::thread::spawn(move || task.run());
    /// assert_eq!(handle.join().unwrap(), "output");
    ///
    /// let (task, handle) = task::closure(|| "output");
    /// drop(task);
    /// assert!(handle.join().unwrap_err().is_cancelled());
    /// ```
    ///
    /// # Panics
    /// If the handle was polled before, as a future, and gave the output then.
    #[track_caller]
    pub fn join(mut self) -> Result<T, JoinError> {
        if !self.header().state.is_complete() {
            let raw = RawTask(self.header);
            // Where waiting is forbidden no other task may run either: this one would wait.
            if wait::may_wait() && host::with(|host| host.is_some_and(|host| host.run_if_next(raw)))
            {
                // That was a wait: a cancellation of the caller ends it here.
                wait::checkpoint();
            }
        }
        if self.header().state.is_complete() {
            // SAFETY: complete, and the handle is given up after this.
            return unsafe { self.take_output() };
        }
        wait::wait(Reason::JOIN, |context| self.poll_join(context))
    }

    /// Waits until the task ends, at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The handle itself, if the time is over first. The inner result is that of [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_core::task;
    ///
    /// let (task, handle) = task::closure(|| 3);
    /// let refused = handle.join_timeout(Duration::from_millis(1)).unwrap_err();
    /// task.run();
    /// assert_eq!(refused.into_inner().join().unwrap(), 3);
    /// ```
    ///
    /// # Panics
    /// As [`join`](Self::join).
    #[track_caller]
    pub fn join_timeout(self, timeout: Duration) -> Result<Result<T, JoinError>, NotFinished<T>> {
        self.join_until(wait::deadline_after(timeout))
    }

    /// Waits until the task ends, at most until `deadline`.
    ///
    /// # Errors
    /// The handle itself, if the time is over first.
    ///
    /// # Panics
    /// As [`join`](Self::join).
    #[track_caller]
    pub fn join_deadline(self, deadline: Instant) -> Result<Result<T, JoinError>, NotFinished<T>> {
        self.join_until(Some(deadline))
    }

    #[track_caller]
    fn join_until(
        mut self,
        deadline: Option<Instant>,
    ) -> Result<Result<T, JoinError>, NotFinished<T>> {
        let joined = wait::wait_deadline(Reason::JOIN, deadline, |context| self.poll_join(context));
        joined.map_err(|_| NotFinished(self))
    }

    /// Takes the output if the task has ended. Never waits.
    ///
    /// # Errors
    /// The handle itself, if the task is still going on.
    ///
    /// # Panics
    /// As [`join`](Self::join).
    pub fn try_join(self) -> Result<Result<T, JoinError>, NotFinished<T>> {
        if self.is_finished() {
            // SAFETY: complete, and the handle is given up after this.
            Ok(unsafe { self.take_output() })
        } else {
            Err(NotFinished(self))
        }
    }

    /// Whether the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.header().state.is_complete()
    }

    /// Asks the task to end: not started, it is dropped; a future is dropped between polls; a green
    /// thread unwinds from its next waiting point. Does not wait: join to do so.
    pub fn cancel(&self) {
        cancel(self.header);
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

    /// Makes a counted reference to the task, which can cancel it after the handle is gone.
    #[must_use]
    pub fn task_ref(&self) -> TaskRef {
        // SAFETY: the handle's reference keeps the task alive.
        unsafe { TaskRef::new(self.header) }
    }

    /// # Safety
    /// The task is complete and the output was not taken before.
    unsafe fn take_output(&self) -> Result<T, JoinError> {
        let mut output = MaybeUninit::<Result<T, JoinError>>::uninit();
        // SAFETY: `read_output` wants a complete task, the join handle, the one call and a place
        // for such a result.
        unsafe {
            (self.header().vtable.read_output)(self.header, output.as_mut_ptr().cast());
            output.assume_init()
        }
    }

    #[inline]
    fn poll_join(&mut self, context: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let header = self.header();
        if header.state.is_complete() || !self.register(context) {
            // SAFETY: complete. That the output is taken once is checked by `read_output`.
            return Poll::Ready(unsafe { self.take_output() });
        }
        Poll::Pending
    }

    /// Leaves the caller's waker with the task. False: the task is complete.
    fn register(&self, context: &mut Context<'_>) -> bool {
        let header = self.header();
        if header.state.has_join_waker() {
            let same = header.joiner.with(|waker| {
                // SAFETY: JOIN_WAKER is set, so the waker is read-only (invariant 4).
                unsafe { &*waker }
                    .as_ref()
                    .is_some_and(|w| w.will_wake(context.waker()))
            });
            if same {
                return !header.state.is_complete();
            }
            if !header.state.unset_join_waker() {
                return false;
            }
        }
        let fresh = context.waker().clone();
        let before = header.joiner.with_mut(|waker| {
            // SAFETY: JOIN_WAKER is clear and the task was not complete when we saw that: until we
            // set the bit the waker is ours (invariant 4).
            unsafe { &mut *waker }.replace(fresh)
        });
        drop(before);
        header.state.set_join_waker()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// Waits for the task.
    ///
    /// # Panics
    /// If polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_join(context)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let header = self.header();
        if header.state.is_last_of_complete() {
            // SAFETY: the last reference is ours and given up; an output that was not taken is
            // dropped with the cell.
            return unsafe { (header.vtable.free)(self.header) };
        }
        // A waker left behind would keep the joiner's task alive and be called for nobody. Dropped
        // at the end of this function: that is foreign code.
        let _waker = if header.state.has_join_waker() && header.state.unset_join_waker() {
            // SAFETY: JOIN_WAKER is clear and the task was not complete when that was done: the
            // waker is ours (invariant 4).
            header.joiner.with_mut(|waker| unsafe { (*waker).take() })
        } else {
            None
        };
        if header.state.drop_handle() {
            // SAFETY: complete, and the handle, who owned the stage, is us. A stage whose output
            // was taken has nothing to drop.
            unsafe { (header.vtable.drop_output)(self.header) };
        }
        if header.state.drop_ref() {
            // SAFETY: the last reference is ours and given up.
            unsafe { (header.vtable.free)(self.header) };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task_ref().fmt(f)
    }
}

impl<T> NotFinished<T> {
    /// Takes the handle back.
    pub fn into_inner(self) -> JoinHandle<T> {
        self.0
    }
}

impl<T> fmt::Debug for NotFinished<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotFinished").field(&self.0).finish()
    }
}

impl<T> fmt::Display for NotFinished<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task is not finished")
    }
}

impl<T> std::error::Error for NotFinished<T> {}

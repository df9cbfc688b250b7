//! The hook by which a scheduler tells this crate "this thread's current task is mine to park".
//!
//! A scheduler enters itself on each of its worker threads. From then on every wait on that thread
//! goes through it. The hook is per thread, not per task: a scheduler that switches between tasks
//! answers for whichever is current.

use crate::task::RawTask;
use crate::wait::{Cancelled, Site};
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Instant;

/// What a scheduler does for the task that is current on the calling thread.
///
/// # Safety
/// [`waker`](Self::waker) returns a pointer that stays valid until the task that is current at the
/// call ends or leaves [`park`](Self::park) by unwinding, whatever else runs meanwhile.
pub unsafe trait Host {
    /// Whether there is a current task that can park. Without one a wait parks the OS thread.
    fn can_park(&self) -> bool;

    /// The waker that unparks the current task.
    fn waker(&self) -> NonNull<Waker>;

    /// Parks the current task until its waker is called or `deadline` passes; returns at once if
    /// the waker was called since the last park. May return for no reason.
    ///
    /// Before an interruptible park the host calls [`RawTask::set_runner`] and then asks
    /// [`RawTask::is_cancelled`], in this order: so no cancellation is missed.
    ///
    /// # Errors
    /// The wait is `interruptible` and the task was asked to end. An uninterruptible wait parks
    /// whatever was asked: it is how a task waits in its destructors while it unwinds.
    fn park(
        &self,
        site: Site,
        deadline: Option<Instant>,
        interruptible: bool,
    ) -> Result<(), Cancelled>;

    /// Counts against the task's time slice, and lets others run when it is over.
    ///
    /// # Errors
    /// The task was asked to end.
    fn checkpoint(&self) -> Result<(), Cancelled>;

    /// Runs `task` on the current stack if it is what this thread would start next anyway and
    /// enough stack is left. The caller is about to join it. True if it ran.
    fn run_if_next(&self, task: RawTask) -> bool;

    /// Calls `wake`, once. If that wakes a future which this thread would poll, polls it at once, on another
    /// stack, before the current task goes on: when the future is pending or ready, or parks in its poll.
    /// Meanwhile the current task is ready, not parked. Counts against its time slice; where that is over,
    /// where the current task was asked to end or others have been waiting, the future is queued as ever.
    /// True if it was polled.
    fn hand_over(&self, wake: &mut dyn FnMut()) -> bool {
        wake();
        false
    }

    /// The task that is current.
    fn current(&self) -> Option<RawTask>;

    /// The time that the deadlines of waits on this thread go by. A host that simulates has one of its own.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

thread_local! {
    static HOST: Cell<Option<NonNull<dyn Host>>> = const { Cell::new(None) };
}

/// Makes `host` answer for the calling thread until the guard is dropped; guards nest.
///
/// # Safety
/// `host` is valid until the guard is dropped, and the guard is dropped on this thread, after all
/// guards that were made later.
pub unsafe fn enter(host: NonNull<dyn Host>) -> Entered {
    Entered {
        before: HOST.replace(Some(host)),
    }
}

/// Ends the scheduler's say over the thread when dropped.
#[must_use = "the host leaves when the guard is dropped"]
pub struct Entered {
    before: Option<NonNull<dyn Host>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        HOST.set(self.before);
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

/// Calls `f` with the host of the calling thread if a task is current that it can park.
#[inline]
pub fn with<R>(f: impl FnOnce(Option<&dyn Host>) -> R) -> R {
    // SAFETY: `enter` promises that the host is valid until it is taken out, and `f` runs on this
    // thread between the two: a task that is switched away inside `f` is resumed on this thread
    // or not at all.
    let host = HOST.get().map(|host| unsafe { host.as_ref() });
    f(host.filter(|host| host.can_park()))
}

/// The task that is current on the calling thread, whether it may park just now or not.
#[inline]
#[must_use]
pub fn current() -> Option<RawTask> {
    // SAFETY: `enter` promises that the host is valid until it is taken out.
    HOST.get()
        .and_then(|host| unsafe { host.as_ref() }.current())
}

/// The time on the calling thread: that of its host, the system's without one.
#[inline]
#[must_use]
pub fn now() -> Instant {
    // SAFETY: `enter` promises that the host is valid until it is taken out.
    HOST.get()
        .map_or_else(Instant::now, |host| unsafe { host.as_ref() }.now())
}

/// The address of the host of the calling thread, which tells it from others; null without one.
///
/// A task that was parked under this host is not running while the address is the same: it runs on this
/// thread, and the caller does.
#[inline]
#[must_use]
pub fn address() -> *const () {
    HOST.get()
        .map_or(std::ptr::null(), |host| host.as_ptr().cast_const().cast())
}

/// Forgets the host of the calling thread while `f` runs, so that waits park the OS thread.
pub fn without<R>(f: impl FnOnce() -> R) -> R {
    let _back = Entered {
        before: HOST.replace(None),
    };
    f()
}

/// Whether a wait on this thread would park a task rather than the OS thread.
#[must_use]
pub fn is_hosted() -> bool {
    with(|host| host.is_some())
}

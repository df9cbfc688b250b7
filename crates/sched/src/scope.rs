//! Scopes: green threads that borrow from their spawner, who does not leave before they have ended.
//!
//! Sound because a green thread cannot be forgotten: the frame that called [`scope`] is left only by
//! returning or unwinding, and both go through the wait for the children. (A future can be forgotten
//! between polls, which is why async scopes of this kind cannot be sound.)
//!
//! Invariants
//! 1. `running` counts children that were spawned and whose closures, with all they borrow, are not
//!    gone. A child counts itself down by the drop of a guard that its closure owns, as the last
//!    thing that is dropped.
//! 2. `scope` returns or unwinds only when `running` is at zero.

use crate::running::Running;
use crate::runtime::with_current_shared;
use crate::shared::Shared;
use crate::spawn;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use weftwork_core::JoinError;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::{Arc, Mutex};
use weftwork_core::task::{self, JoinHandle, Meta, TaskRef};
use weftwork_core::wait::{
    self, Interrupt, Reason, Site, cancel, wait_interruptible, wait_shielded,
};

/// What [`scope`] gives its closure to spawn with.
pub struct Scope<'scope, 'env: 'scope> {
    inner: Arc<Inner>,
    shared: Arc<Shared>,
    /// Invariant in both, as in std: a longer or shorter scope must not pass for this one.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

struct Inner {
    running: Running,
    /// Panics of children that no `join` has taken. A handle that is dropped, or forgotten, leaves
    /// its child's panic here.
    panics: AtomicUsize,
    /// The children, to pass a cancellation on; the ended ones are cleared out now and then.
    children: Mutex<Children>,
}

#[derive(Default)]
struct Children {
    tasks: Vec<TaskRef>,
    clear_at: usize,
    /// Whether the scope's owner was cancelled: children that children still spawn are as well.
    cancelled: bool,
}

impl Children {
    /// True: the caller cancels the child, too late to be found by the owner.
    #[must_use]
    fn add(&mut self, task: TaskRef) -> bool {
        if self.tasks.len() >= self.clear_at {
            self.tasks.retain(|task| !task.is_finished());
            self.clear_at = (2 * self.tasks.len()).max(32);
        }
        self.tasks.push(task);
        self.cancelled
    }
}

/// Counts its child down when dropped (invariant 1).
struct Child {
    inner: Arc<Inner>,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.inner.running.end();
    }
}

/// Runs `work`, which may spawn green threads that borrow from the caller, and waits for them all.
///
/// The wait is there however `work` ends, by return or by panic. If the calling task is cancelled,
/// the children are cancelled too, and waited for. If a child panicked and its handle was not
/// joined, the scope panics after the wait, as [`std::thread::scope`] does.
///
/// # Panics
/// If `work` does, with its payload; if an unjoined child did; outside of a runtime.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(2).build().unwrap();
/// let words = rt.run(|| {
///     let text = String::from("to be or not to be");
///     let (mut long, mut short) = (0, 0);
///     weftwork_sched::scope(|s| {
///         s.spawn(|| long = text.split(' ').filter(|w| w.len() > 2).count());
///         s.spawn(|| short = text.split(' ').filter(|w| w.len() <= 2).count());
///     });
///     (long, short)
/// });
/// assert_eq!(words, (1, 5));
/// ```
#[track_caller]
pub fn scope<'env, F, T>(work: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let Some(shared) = with_current_shared(Arc::clone) else {
        panic!("scope called outside of a runtime: call it from a task, or enter a runtime")
    };
    let site = Site {
        reason: Reason::SCOPE,
        location: Location::caller(),
    };
    wait::assert_may_wait(site);
    let scope = Scope {
        inner: Arc::new(Inner {
            running: Running::new(),
            panics: AtomicUsize::new(0),
            children: Mutex::new(Children::default()),
        }),
        shared,
        scope: PhantomData,
        env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| work(&scope)));
    let inner = &scope.inner;
    let waited = if wait::may_wait() {
        wait_interruptible(Reason::SCOPE, None, |context| {
            inner.running.poll_none(context)
        })
    } else {
        // `work` has forgotten a guard: that is a panic, but the children use frames of the caller's.
        Err(Interrupt::Cancelled)
    };
    if waited == Err(Interrupt::Cancelled) {
        inner.cancel(true);
        wait_shielded(Reason::SCOPE, |context| inner.running.poll_none(context));
    }
    if result.is_ok() {
        wait::assert_may_wait(site);
    }
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(_) if waited.is_err() && cancel::may_unwind() => cancel::unwind(),
        // Relaxed: published by the count of the running, or by the `join` that took one away.
        Ok(_) if inner.panics.load(Ordering::Relaxed) != 0 => {
            panic!("a green thread of the scope panicked and was not joined")
        }
        Ok(value) => value,
    }
}

impl Inner {
    /// Cancels the children there are; with `and_later`, those to come too.
    fn cancel(&self, and_later: bool) {
        let tasks = {
            let mut children = self.children.lock();
            children.cancelled |= and_later;
            std::mem::take(&mut children.tasks)
        };
        for task in tasks {
            task.cancel();
        }
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Spawns a green thread that may borrow what outlives the scope.
    ///
    /// A runtime that is shutting down may cancel it before it starts.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, work: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let inner = Arc::clone(&self.inner);
        inner.running.begin();
        let child = Child { inner };
        let output = Arc::new(Mutex::new(None));
        let place = Arc::clone(&output);
        let work = move || {
            // In the order of their drops: the closure is gone, with what it borrows, and the
            // output is in the scope's hands, before the child counts itself down.
            let result = catch_unwind(AssertUnwindSafe(work));
            match result {
                Ok(value) => *place.lock() = Some(value),
                Err(payload) => {
                    if !cancel::is_cancel_unwind(&*payload) {
                        // Relaxed: published by the count of the running, below.
                        child.inner.panics.fetch_add(1, Ordering::Relaxed);
                    }
                    drop(place);
                    drop(child);
                    resume_unwind(payload)
                }
            }
            drop(place);
            drop(child);
        };
        let meta = Meta::at(Location::caller());
        // SAFETY: closure and output are `Send`. They may borrow for 'scope, and `scope` does not
        // return before the closure is gone: it owns `child` (invariants 1 and 2), which a task
        // that is cancelled drops with the closure. The task's own output is `()`.
        let (task, handle) = unsafe { task::closure_unchecked(meta, work) };
        let late = self.inner.children.lock().add(handle.task_ref());
        if late {
            handle.cancel();
        }
        spawn::queue(&self.shared, task);
        ScopedJoinHandle {
            handle,
            inner: Arc::clone(&self.inner),
            output,
            scope: PhantomData,
        }
    }

    /// Asks all children that were spawned so far to end, as [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.inner.cancel(false);
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("running", &self.inner.running)
            .finish_non_exhaustive()
    }
}

/// Waits for a green thread of a scope and takes its output.
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<()>,
    inner: Arc<Inner>,
    output: Arc<Mutex<Option<T>>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits until the green thread ends and returns its output.
    ///
    /// # Errors
    /// It panicked or was cancelled. A panic that is joined does not panic the scope.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let ScopedJoinHandle {
            handle,
            inner,
            output,
            ..
        } = self;
        handle.join().inspect_err(|error| {
            if error.is_panic() {
                // Relaxed: the child counted it up before it ended, and the scope looks after this.
                inner.panics.fetch_sub(1, Ordering::Relaxed);
            }
        })?;
        let value = output.lock().take();
        Ok(value.expect("a task that returned has left its output"))
    }

    /// Whether the green thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Asks the green thread to end, as [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedJoinHandle")
            .field(&self.handle)
            .finish()
    }
}

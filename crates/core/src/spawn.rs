//! The one thing asked of an executor: to take a task and run it some time.

use crate::task::{self, Cause, JoinHandle, Meta, Schedule, Task};
use std::fmt;

/// An executor that runs tasks: the crates that spawn work take any.
///
/// A scheduler of this workspace, tokio, a thread pool: whatever can call [`Task::run`] once. A
/// closure that waits blocks the context it is run in, so an executor without green threads should
/// run closures where blocking is allowed.
///
/// ```
/// use weftwork_core::{Refused, Spawn, Task};
///
/// #[derive(Clone)]
/// struct ThreadPerTask;
///
/// impl Spawn for ThreadPerTask {
///     fn spawn_task(&self, task: Task) -> Result<(), Refused> {
///         std::thread::spawn(move || task.run());
///         Ok(())
///     }
/// }
///
/// assert_eq!(ThreadPerTask.spawn_fn(|| 3).unwrap().join().unwrap(), 3);
/// assert_eq!(ThreadPerTask.spawn_future(async { 4 }).unwrap().join().unwrap(), 4);
/// ```
pub trait Spawn {
    /// Takes `task` to run it some time. Does not wait and does not run it before returning.
    ///
    /// # Errors
    /// The executor takes no more tasks; here is the task back.
    fn spawn_task(&self, task: Task) -> Result<(), Refused>;

    /// Spawns a closure.
    ///
    /// # Errors
    /// The executor takes no more tasks. The task is in the error; the closure is dropped with it.
    #[track_caller]
    fn spawn_fn<F, T>(&self, work: F) -> Result<JoinHandle<T>, Refused>
    where
        Self: Sized,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (task, handle) = task::closure_at(Meta::new(), work);
        self.spawn_task(task)?;
        Ok(handle)
    }

    /// Spawns a future. Its wakes spawn it again on a clone of the executor; if that refuses, the
    /// future is dropped and its joiner told that it was cancelled.
    ///
    /// # Errors
    /// The executor takes no more tasks. The task is in the error; the future is dropped with it.
    #[track_caller]
    fn spawn_future<W>(&self, work: W) -> Result<JoinHandle<W::Output>, Refused>
    where
        Self: Sized + Clone + Send + Sync + 'static,
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        let (task, handle) = task::future_at(Meta::new(), work, Respawn(self.clone()));
        self.spawn_task(task)?;
        Ok(handle)
    }
}

struct Respawn<S>(S);

impl<S: Spawn> Schedule for Respawn<S> {
    fn schedule(&self, task: Task, _cause: Cause) {
        // A refused task is cancelled by the drop of the error.
        let _ = self.0.spawn_task(task);
    }
}

/// The executor takes no more tasks; here is the task back. Dropping it cancels the task.
pub struct Refused(pub Task);

impl Refused {
    /// Takes the task back.
    pub fn into_inner(self) -> Task {
        self.0
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.0).finish()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("executor takes no more tasks")
    }
}

impl std::error::Error for Refused {}

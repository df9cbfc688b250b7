//! Actors on tokio.
//!
//! Each actor, and each other future spawned here, is a *resident*: one task of tokio's that lives as long as
//! it does. A wake of the actor hands the right to run it to the resident, so it costs no allocation; and when
//! the runtime is shut down tokio drops the resident, and with it the actor, idle or not.
//!
//! A handler may wait in plain blocking style, though a thread waits with it:
//!
//! - On a multi-threaded runtime actors are polled by the workers. Right before one sleeps in a wait, its other
//!   duties go to another thread, by [`block_in_place`](tokio::task::block_in_place).
//! - On a runtime of one thread that would stop everything, so there each run of an actor is done by tokio's
//!   pool for blocking work ([`spawn_blocking`](tokio::task::spawn_blocking)); the resident only watches.
//!
//! Invariants
//! 1. `ready` is filled by [`Schedule::schedule`] alone and emptied by the resident. A task is not scheduled
//!    again before it has run, so it is never filled twice.
//! 2. After `is_gone` nothing is put into `ready`: what is scheduled then is cancelled.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::runtime::{Handle, RuntimeFlavor};
use weftwork_core::sync::Mutex;
use weftwork_core::task::{self, Cause, Meta, Schedule, TaskRef};
use weftwork_core::{JoinHandle, Refused, Spawn, Task, wait};

/// A tokio runtime as an executor of actors.
///
/// Handlers may wait in plain blocking style: `ask`, `tell` to a full mailbox, `recv`, locks. On a
/// multi-threaded runtime the worker hands its other work to a thread of tokio's before it sleeps; on a
/// runtime of one thread every run of an actor is on tokio's pool for blocking work. Either way a waiting
/// handler keeps a thread, of which tokio makes 512 at most unless told otherwise: very many handlers that
/// wait at the same time belong on our scheduler, or are [`AsyncHandler`](crate::AsyncHandler)s.
/// Asynchronous handlers run in the context of the runtime, so tokio's timers and sockets work there.
///
/// Code that is no actor, in a task of tokio's, should await: [`start_async`](crate::start_async),
/// [`Addr::tell_async`](crate::Addr::tell_async), [`Addr::ask_async`](crate::Addr::ask_async). The waiting
/// forms block its worker unannounced, and perhaps the very actor that they wait for with it; wrapped in
/// `tokio::task::block_in_place` they do no harm.
///
/// A kill ends a handler where it awaits. It does not end a handler that waits in blocking style: no thread
/// can be made to leave a wait. When the runtime is shut down its actors end with
/// [`Reason::Killed`](crate::Reason::Killed), those that wait when their wait ends; so dropping the runtime
/// waits for them, as for all blocking work, unless it is done by `shutdown_background`.
///
/// ```
/// use weftwork_actor::tokio::Tokio;
/// use weftwork_actor::{Options, start_async};
/// # use weftwork_actor::{Actor, Context, Handler, InitError};
/// # struct Doubler;
/// # impl Actor for Doubler {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Doubler) }
/// # }
/// # impl Handler<u32> for Doubler {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { 2 * n }
/// # }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let doubler = start_async::<Doubler>(&Tokio::current(), (), Options::new()).await?;
///     assert_eq!(doubler.ask_async(21).await, Ok(42));
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Tokio {
    handle: Handle,
    /// Whether workers can be relieved of their duties; if not, tasks run on the pool.
    has_workers: bool,
}

impl Tokio {
    /// Makes an executor of a runtime.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let has_workers = handle.runtime_flavor() == RuntimeFlavor::MultiThread;
        Tokio {
            handle,
            has_workers,
        }
    }

    /// Makes an executor of the runtime that the caller is on.
    ///
    /// # Panics
    /// The caller is on none.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Tokio::new(Handle::current())
    }

    /// The pool, if tasks run there.
    fn pool(&self) -> Option<Handle> {
        (!self.has_workers).then(|| self.handle.clone())
    }
}

impl fmt::Debug for Tokio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").finish_non_exhaustive()
    }
}

impl Spawn for Tokio {
    /// A runtime that is shut down takes the task and cancels it.
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        if self.has_workers {
            drop(self.handle.spawn(async move { run_on_worker(task) }));
        } else {
            drop(self.handle.spawn_blocking(move || task.run()));
        }
        Ok(())
    }

    fn spawn_future<W>(&self, work: W) -> Result<JoinHandle<W::Output>, Refused>
    where
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        let place = Arc::new(Place {
            state: Mutex::new(State::default()),
            pool: self.pool(),
        });
        let back = Back(Arc::clone(&place));
        let (task, handle) = task::future_at(Meta::new(), work, back);
        drop(self.handle.spawn(Resident {
            place: Arc::clone(&place),
            task: task.task_ref(),
        }));
        // A runtime that is shut down has dropped it.
        if place.state.lock().is_gone {
            return Err(Refused(task));
        }
        place.put(task);
        Ok(handle)
    }
}

/// Runs a task on the calling worker, which is relieved of its other duties if the task waits.
fn run_on_worker(task: Task) {
    wait::on_lent_thread(|sleep| tokio::task::block_in_place(sleep), || task.run());
}

/// Where a task and its resident meet.
struct Place {
    state: Mutex<State>,
    pool: Option<Handle>,
}

#[derive(Default)]
struct State {
    /// The right to run the task, until the resident takes it.
    ready: Option<Task>,
    resident: Option<Waker>,
    /// The resident is no more.
    is_gone: bool,
}

impl Place {
    fn put(self: &Arc<Self>, task: Task) {
        if let Some(pool) = &self.pool {
            let place = Arc::clone(self);
            drop(pool.spawn_blocking(move || place.run_on_pool(task)));
            return;
        }
        let mut state = self.state.lock();
        if state.is_gone {
            drop(state);
            // Cancels it.
            drop(task);
            return;
        }
        state.ready = Some(task);
        let resident = state.resident.take();
        drop(state);
        resident.into_iter().for_each(Waker::wake);
    }

    fn run_on_pool(&self, task: Task) {
        let this = task.task_ref();
        task.run();
        if this.is_finished() {
            let resident = self.state.lock().resident.take();
            resident.into_iter().for_each(Waker::wake);
        }
    }
}

/// A task's way back to its place.
struct Back(Arc<Place>);

impl Schedule for Back {
    fn schedule(&self, task: Task, _: Cause) {
        // `self` may be gone as soon as the task is in its place.
        let place = Arc::clone(&self.0);
        place.put(task);
    }
}

/// What tokio knows of an actor.
struct Resident {
    place: Arc<Place>,
    task: TaskRef,
}

impl Future for Resident {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let ready = self.place.state.lock().ready.take();
        if let Some(task) = ready {
            run_on_worker(task);
        }
        let waker = context.waker().clone();
        let mut state = self.place.state.lock();
        // Whoever finishes the task on the pool does so before he takes the lock.
        if self.task.is_finished() {
            drop(state);
            return Poll::Ready(());
        }
        if state.ready.is_some() {
            // It yields: others come first.
            drop(state);
            waker.wake();
        } else {
            let before = state.resident.replace(waker);
            drop(state);
            drop(before);
        }
        Poll::Pending
    }
}

impl Drop for Resident {
    /// The task has ended, or the runtime shuts down: then the task is cancelled.
    fn drop(&mut self) {
        let mut state = self.place.state.lock();
        state.is_gone = true;
        let (ready, resident) = (state.ready.take(), state.resident.take());
        drop(state);
        drop((ready, resident));
        // If it sleeps it comes back through its place, which drops it.
        self.task.cancel();
    }
}

//! The blocking pool: threads for work that keeps its thread, made on demand, bounded, and gone
//! again when idle for long. Who comes for which task is in [`pool_queue`](crate::pool_queue).

use crate::builder::Config;
use crate::pool_queue::PoolQueue;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::time::Duration;
use weftwork_core::host;
use weftwork_core::sync::{Arc, thread};
use weftwork_core::task::{self, Meta, Task};
use weftwork_core::wait::{Reason, Site, assert_may_wait, cancel, wait_shielded};

/// See the module's page.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    queue: PoolQueue<Task>,
    name: String,
    keep_alive: Duration,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Pool(Arc::new(Inner {
            queue: PoolQueue::new(config.max_blocking),
            name: format!("{}-blocking", config.name),
            keep_alive: config.keep_alive,
        }))
    }

    /// Gives a task to an idle thread, a new one, or the queue.
    ///
    /// # Errors
    /// The pool is closed, or has no thread and cannot make one; the task comes back.
    pub(crate) fn submit(&self, task: Task) -> Result<(), Task> {
        self.0.queue.submit(task, || {
            let pool = self.clone();
            thread::Builder::new()
                .name(self.0.name.clone())
                .spawn(move || pool.serve())
                .is_ok()
        })
    }

    fn serve(&self) {
        let run = |task: Task| task.run();
        self.0.queue.serve(Some(self.0.keep_alive), run);
    }

    /// Lets the threads go. Tasks in the queue are run first; tasks that come later are refused.
    pub(crate) fn close(&self) {
        self.0.queue.close();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pool").field(&self.0.queue).finish()
    }
}

/// Runs `work` where it may keep its thread: in the blocking pool, while the calling task waits.
///
/// For system calls and libraries that block, and for long computations. Other tasks of the worker
/// go on meanwhile. On a thread that is no worker it is an ordinary call, inside a future under a
/// foreign executor too. `work` may borrow: the call returns only when it has ended, so a
/// cancellation of the caller takes effect at its next wait. If the pool cannot have a thread, the
/// call runs in place and keeps the worker.
///
/// # Panics
/// If `work` does, with its payload.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// let text = rt.run(|| {
///     let path = std::path::Path::new("Cargo.toml");
///     weftwork_sched::blocking(|| std::fs::read_to_string(path)).unwrap()
/// });
/// assert!(text.contains("[package]"));
/// ```
#[track_caller]
pub fn blocking<F, T>(work: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if !host::is_hosted() {
        return work();
    }
    let pool = crate::worker::with(|worker| worker.map(|worker| worker.shared.blocking.clone()));
    let Some(pool) = pool else { return work() };
    let location = Location::caller();
    assert_may_wait(Site {
        reason: Reason::BLOCKING,
        location,
    });
    let meta = Meta::at(location);
    // SAFETY: everything is `Send`. What `work` and its output borrow outlives this call, which
    // returns only after the task is complete and its output taken, because the wait is shielded.
    let (task, mut handle) = unsafe { task::closure_unchecked(meta, work) };
    if let Err(task) = pool.submit(task) {
        host::without(|| task.run());
    }
    let joined = wait_shielded(Reason::BLOCKING, |context| {
        Pin::new(&mut handle).poll(context)
    });
    match joined.map_err(weftwork_core::JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(payload)) => resume_unwind(payload),
        // The pool dropped it: the runtime ends, and this task with it.
        Err(Err(_)) => cancel::unwind(),
    }
}

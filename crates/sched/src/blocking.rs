//! The blocking pool: threads for work that keeps its thread, made on demand, bounded, and gone
//! again when idle for long.
//!
//! One queue under one lock: a call here costs a thread switch anyway, and the lock leaves no state
//! between "queued" and "somebody was told" in which a job can be forgotten.

use crate::builder::{Config, Hook};
use std::collections::VecDeque;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::time::{Duration, Instant};
use weftwork_core::host;
use weftwork_core::sync::{Arc, Condvar, Mutex, thread};
use weftwork_core::task::{self, Meta, Task};
use weftwork_core::wait::{Reason, cancel, wait_shielded};

/// See the module's page.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    arrived: Condvar,
    name: String,
    max: usize,
    keep_alive: Duration,
    on_start: Option<Hook>,
}

/// `idle` threads wait for `arrived`; of those `called` were told to come, one per queued task at
/// most, so a task that arrives knows whether one is left for it.
#[derive(Default)]
struct State {
    queue: VecDeque<Task>,
    threads: usize,
    idle: usize,
    called: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Pool(Arc::new(Inner {
            state: Mutex::new(State::default()),
            arrived: Condvar::new(),
            name: format!("{}-blocking", config.name),
            max: config.max_blocking,
            keep_alive: config.keep_alive,
            on_start: None,
        }))
    }

    /// Gives a task to an idle thread, a new one, or the queue.
    ///
    /// # Errors
    /// The pool is closed, or has no thread and cannot make one; the task comes back.
    pub(crate) fn submit(&self, task: Task) -> Result<(), Task> {
        let mut state = self.0.state.lock();
        if state.closed {
            return Err(task);
        }
        state.queue.push_back(task);
        if state.called < state.idle {
            state.called += 1;
            self.0.arrived.notify_one();
            return Ok(());
        }
        if state.threads >= self.0.max {
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let pool = self.clone();
        let made = thread::Builder::new()
            .name(self.0.name.clone())
            .spawn(move || pool.serve());
        if made.is_ok() {
            return Ok(());
        }
        let mut state = self.0.state.lock();
        state.threads -= 1;
        if state.threads > 0 {
            // Those that there are will come to it.
            return Ok(());
        }
        // Nobody will: take a task back, the last, which is ours or one that came meanwhile and
        // trusts in the thread that was not made; then ours takes its place.
        match state.queue.pop_back() {
            Some(task) => Err(task),
            None => Ok(()),
        }
    }

    fn serve(&self) {
        if let Some(hook) = &self.0.on_start {
            hook(0);
        }
        let mut state = self.0.state.lock();
        loop {
            while let Some(task) = state.queue.pop_front() {
                drop(state);
                task.run();
                state = self.0.state.lock();
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let deadline = Instant::now().checked_add(self.0.keep_alive);
            let in_time = loop {
                if state.called > 0 {
                    state.called -= 1;
                    break true;
                }
                if state.closed {
                    break false;
                }
                let late = match deadline {
                    Some(deadline) => self.0.arrived.wait_until(&mut state, deadline).timed_out(),
                    None => {
                        self.0.arrived.wait(&mut state);
                        false
                    }
                };
                if late && state.called == 0 {
                    break false;
                }
            };
            state.idle -= 1;
            if !in_time && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Lets the threads go. Tasks in the queue are run first; tasks that come later are refused.
    pub(crate) fn close(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        drop(state);
        self.0.arrived.notify_all();
    }

    pub(crate) fn threads(&self) -> usize {
        self.0.state.lock().threads
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.threads())
            .finish_non_exhaustive()
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
    let meta = Meta::at(Location::caller());
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

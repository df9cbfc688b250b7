//! The runtime without threads of its own: it runs on the thread that calls [`LocalRuntime::run`].

use crate::builder::Config;
use crate::runtime::{self, Handle, build_shared};
use crate::shared::{Phase, Shared};
use crate::shutdown::{self, ShutdownReport};
use crate::worker::{self, Worker};
use crate::{monitor, spawn};
use std::fmt;
use std::io;
use std::panic::Location;
use std::time::{Duration, Instant};
use weftwork_core::sync::atomic::Ordering;
use weftwork_core::sync::{Arc, thread};
use weftwork_core::task::{self, JoinHandle, Meta};
use weftwork_fiber::overflow;

/// How long at a time a runtime that ends waits for those who use what its tasks have lent.
const LENT_LOOK: Duration = Duration::from_millis(100);

/// A runtime whose one worker is the thread that made it.
///
/// Its tasks make progress while [`run`](Self::run) is executing, and rest in between. It cannot be
/// sent to another thread: the green threads that rest in it belong to this one. Handles to it can,
/// and spawn from anywhere.
///
/// ```
/// let rt = weftwork_sched::Runtime::builder().build_local()?;
/// let sum = rt.run(|| {
///     let (a, b) = (std::rc::Rc::new(1), 2);
///     weftwork_sched::spawn_local(move || *a + b).join().unwrap()
/// });
/// assert_eq!(sum, 3);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LocalRuntime {
    worker: Box<Worker>,
    handle: Handle,
    monitor: Option<thread::JoinHandle<()>>,
    _overflow: io::Result<overflow::ThreadGuard>,
}

impl LocalRuntime {
    pub(crate) fn new(config: Config) -> io::Result<LocalRuntime> {
        let (shared, mut queues) = build_shared(config)?;
        rest(&shared);
        let monitor_shared = Arc::clone(&shared);
        let monitor = thread::Builder::new()
            .name(format!("{}-monitor", shared.config.name))
            .spawn(move || monitor::run(&monitor_shared))?;
        let queues = queues.pop().expect("one worker");
        let worker = Box::new(Worker::new(Arc::clone(&shared), 0, queues));
        Ok(LocalRuntime {
            worker,
            handle: Handle { shared },
            monitor: Some(monitor),
            _overflow: overflow::ThreadGuard::new(),
        })
    }

    /// A handle to the runtime.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `work` as a green thread on this thread, and with it everything else that is ready,
    /// until `work` has returned. What it spawned rests until the next call.
    ///
    /// Neither `work` nor its output need be `Send`.
    ///
    /// # Panics
    /// If `work` does, with its payload; if a runtime is running on this thread already.
    #[track_caller]
    pub fn run<F, T>(&self, work: F) -> T
    where
        F: FnOnce() -> T,
    {
        let inside = worker::with(|worker| worker.is_some());
        assert!(
            !inside,
            "LocalRuntime::run called inside of a runtime: it would keep its worker"
        );
        let worker = &*self.worker;
        let work = || {
            let _leave = LeaveAtEnd(worker);
            work()
        };
        let meta = Meta::at(Location::caller());
        // SAFETY: the task runs on this thread, and is complete when `run_root` returns: the loop
        // goes on until `LeaveAtEnd` is dropped, and the rest of its run follows before the loop
        // looks again. So no borrow is used after this call, whatever is in `work`.
        let (task, handle) = unsafe { task::closure_unchecked(meta, work) };
        // SAFETY: the worker is in a box that this runtime owns; the guard ends in this call.
        let entered = unsafe { worker.enter() };
        let awake = Awake::new(&self.handle.shared);
        worker.push_local(task);
        worker.run_root();
        drop(awake);
        drop(entered);
        runtime::finish(handle)
    }

    /// Runs a future on this thread, as [`run`](Self::run).
    #[track_caller]
    pub fn block_on<W: Future>(&self, work: W) -> W::Output {
        self.run(|| weftwork_core::block_on(work))
    }

    /// Spawns a green thread, which runs during the next [`run`](Self::run).
    #[track_caller]
    pub fn spawn<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn::closure(&self.handle.shared, Meta::at(Location::caller()), work)
    }

    /// Ends the runtime: its tasks go on for at most `grace`, then they are cancelled, as in
    /// [`Runtime::shutdown`](crate::Runtime::shutdown). A task that waits for something it has lent
    /// to (a scope, a fork-join, the blocking pool) is waited for without a limit: this thread cannot
    /// stay behind in its place.
    pub fn shutdown(mut self, grace: Duration) -> ShutdownReport {
        self.end(grace)
    }

    fn end(&mut self, grace: Duration) -> ShutdownReport {
        let Some(monitor) = self.monitor.take() else {
            return ShutdownReport::default();
        };
        let shared = &self.handle.shared;
        shared.set_phase(Phase::Closing);
        self.run_until_quiet(grace);
        if !shutdown::is_quiet(shared) {
            shutdown::cancel_everything(shared);
            self.run_until_quiet(shared.config.unwind_limit);
            // Nobody but this thread can keep its thread-locals alive for those they were lent to.
            while self.worker.has_lent() {
                self.run_until_quiet(LENT_LOOK);
            }
        }
        let abandoned = match shutdown::is_quiet(shared) {
            true => 0,
            false => shared.unended(),
        };
        shared.set_phase(Phase::Exiting);
        shared.blocking.close();
        let _ = monitor.join();
        {
            // SAFETY: as in `run`.
            let _entered = unsafe { self.worker.enter() };
            self.worker.clear();
        }
        shutdown::discard_queue(shared);
        shutdown::close_drivers(shared);
        if abandoned != 0 {
            shared.suspended.leak_all();
        }
        ShutdownReport::new(shared.suspended.take_leftovers(), abandoned)
    }

    /// Runs the loop until no task is left, at most for `limit`.
    fn run_until_quiet(&self, limit: Duration) {
        let deadline = Instant::now().checked_add(limit);
        let _awake = Awake::new(&self.handle.shared);
        // SAFETY: as in `run`.
        let _entered = unsafe { self.worker.enter() };
        self.worker.run_until(deadline);
    }
}

impl Drop for LocalRuntime {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime")
            .field("shared", &self.handle.shared)
            .finish_non_exhaustive()
    }
}

/// While it exists the worker counts as awake. At rest it counts as asleep, so that the monitor
/// sleeps too.
struct Awake<'a>(&'a Shared);

impl<'a> Awake<'a> {
    fn new(shared: &'a Shared) -> Self {
        // Nobody else wakes the only worker for work, so this is not a searcher.
        let _ = shared.idle.wake_up(0);
        // Relaxed: for the monitor's looks.
        shared.homes[0]
            .published
            .asleep
            .store(false, Ordering::Relaxed);
        shared.monitor.note_awake();
        Awake(shared)
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        rest(self.0);
    }
}

fn rest(shared: &Shared) {
    // Relaxed: for the monitor's looks.
    shared.homes[0]
        .published
        .asleep
        .store(true, Ordering::Relaxed);
    shared.idle.sleep(0, false);
}

/// Sends the loop back to the root when the task of a `run` ends, in whatever way.
struct LeaveAtEnd<'a>(&'a Worker);

impl Drop for LeaveAtEnd<'_> {
    fn drop(&mut self) {
        self.0.leave_loop();
    }
}

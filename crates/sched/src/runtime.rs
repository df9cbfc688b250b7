//! The runtime with worker threads, and handles to it.

use crate::blocking::Pool;
use crate::builder::{Builder, Config};
use crate::foreign;
use crate::home::{Home, Published};
use crate::inbox::Inbox;
use crate::next_up::NextUp;
use crate::shared::{Phase, Shared};
use crate::shutdown::{self, ShutdownReport};
use crate::worker::{self, Queues, Worker};
use crate::{monitor, spawn};
use crossbeam_utils::CachePadded;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::{Location, resume_unwind};
use std::time::Duration;
use weftwork_core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weftwork_core::sync::{Arc, Mutex, thread};
use weftwork_core::task::{self, JoinHandle, Meta, Task};
use weftwork_core::wait::{Reason, Site, assert_may_wait, wait_shielded};
use weftwork_core::{Refused, Spawn};
use weftwork_fiber::{PoolConfig, StackPool, overflow};
use weftwork_reactor::{Clock, Driver, Wheel};

/// Stacks that the pool keeps with their pages; an idle runtime gives the pages back.
const MAX_CACHED_STACKS: usize = 1 << 16;

/// A set of worker threads that run green threads and futures.
///
/// There may be several in a process; they share nothing. Dropping a runtime ends it at once:
/// [`shutdown`](Self::shutdown) with no time for its tasks to finish.
///
/// ```
/// let rt = weftwork_sched::Runtime::builder().workers(2).build()?;
/// let sum = rt.run(|| {
///     let parts: Vec<_> = (0..10).map(|n| weftwork_sched::spawn(move || n * n)).collect();
///     parts.into_iter().map(|part| part.join().unwrap()).sum::<i32>()
/// });
/// assert_eq!(sum, 285);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    down: AtomicBool,
}

/// A handle to a [`Runtime`], or to a [`LocalRuntime`](crate::LocalRuntime), from anywhere.
///
/// It spawns; it does not keep the runtime running.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Runtime {
    /// Starts a runtime with the defaults.
    ///
    /// # Errors
    /// The system has no thread, descriptor or memory left.
    pub fn new() -> io::Result<Runtime> {
        Runtime::builder().build()
    }

    /// Sets up a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn start(config: Config) -> io::Result<Runtime> {
        let (shared, queues) = build_shared(config)?;
        let mut threads = Vec::with_capacity(queues.len() + 1);
        let mut failed = None;
        for (index, queues) in queues.into_iter().enumerate() {
            let worker_shared = Arc::clone(&shared);
            let name = format!("{}-{index}", shared.config.name);
            let spawned = thread::Builder::new()
                .name(name)
                .spawn(move || worker_thread(worker_shared, index, queues));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => failed = Some(error),
            }
        }
        let monitor_shared = Arc::clone(&shared);
        let name = format!("{}-monitor", shared.config.name);
        match thread::Builder::new()
            .name(name)
            .spawn(move || monitor::run(&monitor_shared))
        {
            Ok(thread) => threads.push(thread),
            Err(error) => failed = Some(error),
        }
        let runtime = Runtime {
            handle: Handle { shared },
            threads: Mutex::new(threads),
            down: AtomicBool::new(false),
        };
        match failed {
            None => Ok(runtime),
            // The drop of `runtime` ends the threads that did start.
            Some(error) => Err(error),
        }
    }

    /// A handle to the runtime.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `work` as a green thread and waits for it: the way into the runtime from `main`.
    ///
    /// Blocks the calling thread, or parks the calling task if it is one of another runtime.
    /// Tasks that `work` spawned go on when it has returned.
    ///
    /// # Panics
    /// If `work` does, with its payload; or if the runtime was shut down.
    #[track_caller]
    pub fn run<F, T>(&self, work: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let location = Location::caller();
        assert_may_wait(Site {
            reason: Reason::JOIN,
            location,
        });
        let meta = Meta::at(location);
        // SAFETY: everything is `Send`. The borrows of `work` and its output end after this call,
        // which does not return before the task is complete and its output taken: `finish` waits
        // shielded.
        let (task, handle) = unsafe { task::closure_unchecked(meta, work) };
        spawn::queue(&self.handle.shared, task);
        finish(handle)
    }

    /// Runs a future as a task of the runtime and waits for it, as [`run`](Self::run).
    ///
    /// # Panics
    /// If the future does, with its payload; or if the runtime was shut down.
    #[track_caller]
    pub fn block_on<W>(&self, work: W) -> W::Output
    where
        W: Future + Send,
        W::Output: Send,
    {
        self.run(|| weftwork_core::block_on(work))
    }

    /// Spawns a green thread, as [`spawn`](crate::spawn), from anywhere.
    #[track_caller]
    pub fn spawn<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle.spawn(work)
    }

    /// Spawns a future, as [`spawn_async`](crate::spawn_async), from anywhere.
    #[track_caller]
    pub fn spawn_async<W>(&self, work: W) -> JoinHandle<W::Output>
    where
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        self.handle.spawn_async(work)
    }

    /// Makes this the runtime of the calling thread until the guard is dropped, as
    /// [`Handle::enter`].
    pub fn enter(&self) -> EnterGuard {
        self.handle.enter()
    }

    /// Ends the runtime.
    ///
    /// Refuses new spawns from outside at once. Waits until all tasks have ended, at most for
    /// `grace`. Then cancels what is left: tasks that have not started and futures are dropped,
    /// green threads unwind from where they wait, each on its own worker. Waits for that, at most
    /// for the builder's [`unwind_limit`](Builder::unwind_limit), and for the threads.
    ///
    /// The report lists what had to be cancelled, and what would not end even so and was left
    /// behind: its stack is leaked rather than freed under it.
    ///
    /// # Panics
    /// If called by a task of this runtime, which would wait for itself.
    pub fn shutdown(self, grace: Duration) -> ShutdownReport {
        assert!(
            !is_own_worker(&self.handle.shared),
            "shutdown called by a task of the same runtime: it would wait for itself"
        );
        self.end(grace)
    }

    fn end(&self, grace: Duration) -> ShutdownReport {
        // AcqRel: only the first call does it.
        if self.down.swap(true, Ordering::AcqRel) {
            return ShutdownReport::default();
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        shutdown::run(&self.handle.shared, grace, threads)
    }

    /// Counters of the workers, summed.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !is_own_worker(&self.handle.shared) {
            self.end(Duration::ZERO);
            return;
        }
        // A task dropped the runtime that runs it: somebody else must wait for its end.
        // AcqRel: only the first call does it.
        if self.down.swap(true, Ordering::AcqRel) {
            return;
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        let shared = Arc::clone(&self.handle.shared);
        shared.set_phase(Phase::Closing);
        let name = format!("{}-shutdown", shared.config.name);
        let started = thread::Builder::new()
            .name(name)
            .spawn(move || drop(shutdown::run(&shared, Duration::ZERO, threads)));
        if started.is_err() {
            // Without a thread nobody can wait: tell the workers to leave as they are.
            self.handle.shared.set_phase(Phase::Stopping);
        }
    }
}

fn is_own_worker(shared: &Shared) -> bool {
    worker::with(|worker| worker.is_some_and(|worker| worker.belongs_to(shared)))
}

/// Waits for the task of a `run`, which borrows from the caller, and takes its output.
#[track_caller]
pub(crate) fn finish<T>(mut handle: JoinHandle<T>) -> T {
    let joined = wait_shielded(Reason::JOIN, |context| {
        std::pin::Pin::new(&mut handle).poll(context)
    });
    match joined {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(_) => panic!("the runtime was shut down before the task ended"),
        },
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("shared", &self.handle.shared)
            .finish_non_exhaustive()
    }
}

impl Handle {
    /// The runtime of the calling task, or the one that was entered on this thread.
    #[must_use]
    pub fn current() -> Option<Handle> {
        with_current_shared(|shared| Handle {
            shared: Arc::clone(shared),
        })
    }

    /// Spawns a green thread, as [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn::closure(&self.shared, Meta::at(Location::caller()), work)
    }

    /// Spawns a future, as [`spawn_async`](crate::spawn_async).
    #[track_caller]
    pub fn spawn_async<W>(&self, work: W) -> JoinHandle<W::Output>
    where
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        spawn::future(&self.shared, Meta::at(Location::caller()), work)
    }

    /// Runs a closure on a thread where it may block as long as it likes.
    ///
    /// It waits for a free thread of the pool, whose number is bounded; the handle is joined like
    /// any other. If the pool cannot have a single thread, the handle tells of a cancellation.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (task, handle) = task::closure_at(Meta::at(Location::caller()), work);
        drop(self.shared.blocking.submit(task));
        handle
    }

    /// Makes this the runtime of the calling thread until the guard is dropped: `spawn` and the
    /// asynchronous forms of I/O and timers then use it. Guards nest.
    pub fn enter(&self) -> EnterGuard {
        let before = ENTERED.with(|entered| entered.replace(Some(self.clone())));
        EnterGuard {
            before,
            stays: std::marker::PhantomData,
        }
    }

    /// Counters of the workers, summed.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            workers: self.shared.homes.len(),
            ..Stats::default()
        };
        for home in &self.shared.homes {
            let Published {
                queued,
                run,
                steals,
                switches,
                sleeps,
                carriers,
                ..
            } = &home.published;
            // Relaxed: a report.
            let add = |sum: &mut u64, count: &AtomicU64| {
                *sum += count.load(Ordering::Relaxed);
            };
            add(&mut stats.queued, queued);
            add(&mut stats.runs, run);
            add(&mut stats.steals, steals);
            add(&mut stats.switches, switches);
            add(&mut stats.sleeps, sleeps);
            add(&mut stats.carriers_made, carriers);
        }
        stats.sleeping = self.shared.idle.sleepers();
        stats.live = self.shared.live();
        stats.stacks_in_use = self.shared.stacks.stats().in_use;
        stats
    }

    /// The driver of a worker, for I/O that is polled outside of the workers.
    pub(crate) fn any_driver(&self) -> Arc<Driver> {
        Arc::clone(&self.shared.homes[0].driver)
    }
}

impl Spawn for Handle {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        spawn::try_queue(&self.shared, task).map_err(Refused)
    }

    fn spawn_future<W>(&self, work: W) -> Result<JoinHandle<W::Output>, Refused>
    where
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        // As `spawn_async`: its wakes then go to the worker that wakes it.
        Ok(spawn::future(
            &self.shared,
            Meta::at(Location::caller()),
            work,
        ))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("shared", &self.shared)
            .finish()
    }
}

/// What a runtime has done so far. The counts of the workers are read one after the other while
/// they go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Workers.
    pub workers: usize,
    /// Workers that sleep just now.
    pub sleeping: usize,
    /// Tasks that are queued, running, parked or suspended.
    pub live: u64,
    /// Times a worker queued a task: spawns and wakes of futures.
    pub queued: u64,
    /// Times a task was taken from a queue and run: closures once, futures once per poll.
    pub runs: u64,
    /// Successful visits to the queues of other workers.
    pub steals: u64,
    /// Times a green thread left its worker to wait.
    pub switches: u64,
    /// Times a worker went to sleep.
    pub sleeps: u64,
    /// Carriers made.
    pub carriers_made: u64,
    /// Stacks in use just now, idle ones that workers keep included.
    pub stacks_in_use: usize,
}

thread_local! {
    static ENTERED: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// Ends the runtime's being the thread's own, when dropped.
#[must_use = "the runtime is left when the guard is dropped"]
pub struct EnterGuard {
    before: Option<Handle>,
    stays: std::marker::PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        drop(ENTERED.with(|entered| entered.replace(before)));
    }
}

impl fmt::Debug for EnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

/// Calls `f` with the runtime of the calling worker, or the one entered on this thread.
#[inline]
pub(crate) fn with_current_shared<R>(f: impl FnOnce(&Arc<Shared>) -> R) -> Option<R> {
    worker::with(|worker| match worker {
        Some(worker) => Some(f(&worker.shared)),
        None => {
            let entered = ENTERED.with(|entered| entered.borrow().clone());
            entered.map(|handle| f(&handle.shared))
        }
    })
}

/// The driver with which the calling task registers file descriptors: that of its worker. On a
/// thread that has [entered](Handle::enter) a runtime, one of that runtime's.
#[must_use]
pub fn current_driver() -> Option<Arc<Driver>> {
    worker::with(|worker| worker.map(|worker| Arc::clone(&worker.home().driver)))
        .or_else(|| Handle::current().map(|handle| handle.any_driver()))
}

pub(crate) fn build_shared(config: Config) -> io::Result<(Arc<Shared>, Vec<Queues>)> {
    let clock = Clock::new();
    let queues: Vec<Queues> = (0..config.workers).map(|_| Queues::new()).collect();
    let mut homes = Vec::with_capacity(queues.len());
    for (index, queues) in queues.iter().enumerate() {
        homes.push(Home {
            index,
            inbox: CachePadded::new(Inbox::new()),
            driver: Arc::new(Driver::new()?),
            wheel: Mutex::new(Wheel::new(0)),
            fresh: queues.fresh.stealer(),
            woken: queues.woken.stealer(),
            next_up: NextUp::new(),
            local_mail: Mutex::new(Vec::new()),
            has_local_mail: AtomicBool::new(false),
            preempt: AtomicBool::new(false),
            sweep: AtomicBool::new(false),
            published: Published::default(),
        });
    }
    crate::overflow_report::install();
    let blocking = Pool::new(&config);
    let stacks = StackPool::new(PoolConfig::new().max_cached(MAX_CACHED_STACKS));
    Ok((
        Arc::new(Shared::new(config, homes.into(), stacks, clock, blocking)),
        queues,
    ))
}

fn worker_thread(shared: Arc<Shared>, index: usize, queues: Queues) {
    let _overflow = overflow::ThreadGuard::new();
    if let Some(hook) = &shared.config.on_start {
        foreign::call(|| hook(index));
    }
    let worker = Worker::new(Arc::clone(&shared), index, queues);
    {
        // SAFETY: the worker is on this frame, which outlives the guard.
        let _entered = unsafe { worker.enter() };
        worker.run_root();
        worker.clear();
    }
    let left_behind = worker.has_left_behind();
    drop(worker);
    if let Some(hook) = &shared.config.on_stop {
        foreign::call(|| hook(index));
    }
    if left_behind {
        // Relaxed: published by the count below.
        shared.lingering.store(true, Ordering::Relaxed);
    }
    // AcqRel: what the worker did is before what the shutdown does next.
    shared.exited.fetch_add(1, Ordering::AcqRel);
    shared.wake_shutdown();
    drop(shared);
    if left_behind {
        // A stack that is left behind may have lent references to thread-locals of this thread, which
        // must not be destroyed under their users: the thread stays, asleep.
        loop {
            thread::park();
        }
    }
}

//! From a closure or a future to a queue: what every way of spawning shares.

use crate::registry::Key;
use crate::shared::Shared;
use crate::worker;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use weftwork_core::sync::Arc;
use weftwork_core::task::{self, Cause, JoinHandle, Meta, Schedule, Task};

/// Wakes of a future go to the worker that wakes it, or to the injector.
pub(crate) struct Scheduler(pub(crate) Arc<Shared>);

impl Schedule for Scheduler {
    fn schedule(&self, task: Task, cause: Cause) {
        worker::with(|worker| match worker {
            Some(worker) if worker.belongs_to(&self.0) => match cause {
                Cause::Yielded => worker.push_yielded(task),
                _ => worker.push_woken(task),
            },
            _ => self.0.inject(task),
        });
    }
}

/// Wakes of a thread-bound future go to its worker.
pub(crate) struct LocalScheduler(pub(crate) Arc<Shared>, pub(crate) usize);

impl Schedule for LocalScheduler {
    fn schedule(&self, task: Task, _cause: Cause) {
        worker::with(|worker| match worker {
            Some(worker) if worker.belongs_to(&self.0) && worker.index() == self.1 => {
                worker.push_local(task);
            }
            _ => self.0.post_local(self.1, task),
        });
    }
}

/// A future that registers itself at its first suspension (see [`registry`](crate::registry)).
pub(crate) struct Tracked<F> {
    future: F,
    /// The runtime is kept alive by the task's schedule, which lies in the same cell as this.
    key: Option<(NonNull<Shared>, Key)>,
}

// SAFETY: the pointer is to a `Shared`, which is `Sync`; all else is as thread-bound as the future.
unsafe impl<F: Send> Send for Tracked<F> {}

impl<F> Tracked<F> {
    pub(crate) fn new(future: F) -> Self {
        Tracked { future, key: None }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned with the whole and never moved out of it; `key` is not pinned.
        let (future, key) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &mut this.key)
        };
        let polled = future.poll(context);
        if polled.is_pending() && key.is_none() {
            worker::with(|worker| {
                if let Some(worker) = worker
                    && let Some(task) = worker.current_task()
                {
                    // SAFETY: the current task is being run, by us.
                    let task = unsafe { task.upgrade() };
                    let shared = NonNull::from(&*worker.shared);
                    let place = worker.shared.register(worker.index(), task);
                    *key = Some((shared, place));
                }
            });
        }
        polled
    }
}

impl<F> Drop for Tracked<F> {
    fn drop(&mut self) {
        if let Some((shared, key)) = self.key.take() {
            // SAFETY: the schedule of the task holds the runtime until the cell is freed, after this.
            unsafe { shared.as_ref() }.suspended.remove(key);
        }
    }
}

/// Spawns a closure on `shared`, from wherever the caller is. A runtime that has closed cancels it.
#[inline]
pub(crate) fn closure<F, T>(shared: &Arc<Shared>, meta: Meta, work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (task, handle) = task::closure_at(meta, work);
    queue(shared, task);
    handle
}

/// Spawns a future on `shared`, from wherever the caller is. A runtime that has closed cancels it.
pub(crate) fn future<W>(shared: &Arc<Shared>, meta: Meta, work: W) -> JoinHandle<W::Output>
where
    W: Future + Send + 'static,
    W::Output: Send + 'static,
{
    let scheduler = Scheduler(Arc::clone(shared));
    let (task, handle) = task::future_at(meta, Tracked::new(work), scheduler);
    queue(shared, task);
    handle
}

/// Queues a new task; a runtime that has closed drops it, which cancels it.
#[inline]
pub(crate) fn queue(shared: &Arc<Shared>, task: Task) {
    drop(try_queue(shared, task));
}

/// Queues a new task.
///
/// # Errors
/// The runtime has closed; the task comes back. Its own tasks may still spawn.
#[inline]
pub(crate) fn try_queue(shared: &Arc<Shared>, task: Task) -> Result<(), Task> {
    worker::with(|worker| match worker {
        Some(worker) if worker.belongs_to(shared) => {
            worker.push_fresh(task);
            Ok(())
        }
        _ => shared.inject_spawned(task),
    })
}

/// The runtime of the calling worker, or the one that was entered on this thread.
///
/// # Panics
/// Without either.
#[track_caller]
#[inline]
fn with_current<R>(what: &str, f: impl FnOnce(&Arc<Shared>) -> R) -> R {
    match crate::runtime::with_current_shared(f) {
        Some(result) => result,
        None => panic!(
            "{what} called outside of a runtime: call it from a task, \
             or keep the guard of Runtime::enter"
        ),
    }
}

/// Spawns a green thread: a closure that may wait for anything in plain blocking style.
///
/// Costs one small allocation and a queue push; a stack is attached when the closure starts to run,
/// and kept only while it waits. The newest task of a worker runs first and idle workers steal the
/// oldest; no order is promised. Once started, a closure stays on its worker's thread.
///
/// After the runtime has begun to shut down, a spawn from outside is refused: joining the handle
/// tells that the task was cancelled.
///
/// # Panics
/// Outside of a runtime (a task of one, or a thread that [entered](crate::Runtime::enter) one).
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// let answer = rt.run(|| {
///     let handle = weftwork_sched::spawn(|| 6 * 7);
///     handle.join().unwrap()
/// });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
#[inline]
pub fn spawn<F, T>(work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let meta = Meta::at(Location::caller());
    with_current("spawn", |shared| closure(shared, meta, work))
}

/// Spawns a future. It may also call anything that blocks: that parks the task, not the worker.
///
/// Between polls it costs its own size and no stack, and any worker may poll it next.
///
/// # Panics
/// Outside of a runtime, as [`spawn`].
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// let answer = rt.run(|| weftwork_sched::spawn_async(async { 6 * 7 }).join().unwrap());
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn spawn_async<W>(work: W) -> JoinHandle<W::Output>
where
    W: Future + Send + 'static,
    W::Output: Send + 'static,
{
    let meta = Meta::at(Location::caller());
    with_current("spawn_async", |shared| future(shared, meta, work))
}

/// Spawns a green thread on the calling worker, which need not be `Send`: it is never stolen.
///
/// # Panics
/// If the caller is not a task of a runtime.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// rt.run(|| {
///     let shared = std::rc::Rc::new(5);
///     let other = shared.clone();
///     let handle = weftwork_sched::spawn_local(move || *other + 1);
///     assert_eq!(handle.join().unwrap() + *shared, 11);
/// });
/// ```
#[track_caller]
pub fn spawn_local<F, T>(work: F) -> LocalJoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let meta = Meta::at(Location::caller());
    worker::with(|worker| {
        let Some(worker) = worker else {
            panic!("spawn_local called outside of a task: a thread-bound task needs a worker")
        };
        // SAFETY: the worker runs or drops its thread-bound tasks on this thread, and the handle is
        // wrapped in a type that stays on it.
        let (task, handle) = unsafe { task::closure_unchecked(meta, work) };
        worker.push_local(task);
        LocalJoinHandle::new(handle)
    })
}

/// Spawns a future on the calling worker, which need not be `Send`: it is never stolen.
///
/// # Panics
/// If the caller is not a task of a runtime.
#[track_caller]
pub fn spawn_local_async<W>(work: W) -> LocalJoinHandle<W::Output>
where
    W: Future + 'static,
    W::Output: 'static,
{
    let meta = Meta::at(Location::caller());
    worker::with(|worker| {
        let Some(worker) = worker else {
            panic!("spawn_local_async called outside of a task: a thread-bound task needs a worker")
        };
        let scheduler = LocalScheduler(Arc::clone(&worker.shared), worker.index());
        // SAFETY: as in `spawn_local`; while the future is suspended the registry holds a reference,
        // which is given up only on this thread or leaked.
        let (task, handle) = unsafe { task::future_unchecked(meta, Tracked::new(work), scheduler) };
        worker.push_local(task);
        LocalJoinHandle::new(handle)
    })
}

/// The handle of a thread-bound task: as [`JoinHandle`], but it stays on its thread.
#[derive(Debug)]
pub struct LocalJoinHandle<T> {
    handle: JoinHandle<T>,
    stays: std::marker::PhantomData<*const ()>,
}

impl<T> LocalJoinHandle<T> {
    fn new(handle: JoinHandle<T>) -> Self {
        LocalJoinHandle {
            handle,
            stays: std::marker::PhantomData,
        }
    }

    /// Waits until the task ends and returns its output.
    ///
    /// # Errors
    /// The task panicked or was cancelled.
    #[track_caller]
    pub fn join(self) -> Result<T, weftwork_core::JoinError> {
        self.handle.join()
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Asks the task to end, as [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// A counted reference to the task, which may be sent elsewhere to cancel it.
    #[must_use]
    pub fn task_ref(&self) -> weftwork_core::task::TaskRef {
        self.handle.task_ref()
    }
}

impl<T> Future for LocalJoinHandle<T> {
    type Output = Result<T, weftwork_core::JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(context)
    }
}

/// Says more about a green thread or future before it is spawned: a name, a stack size.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// rt.run(|| {
///     let handle = weftwork_sched::TaskBuilder::named("deep")
///         .stack_size(4 << 20)
///         .spawn(|| weftwork_sched::current().name().map(String::from));
///     assert_eq!(handle.join().unwrap().as_deref(), Some("deep"));
/// });
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is spawned until spawn is called"]
pub struct TaskBuilder {
    name: Option<Box<str>>,
    stack_size: Option<usize>,
}

impl TaskBuilder {
    /// A task without a name, with the runtime's stack size.
    pub fn new() -> Self {
        TaskBuilder::default()
    }

    /// A task with a name, for reports.
    pub fn named(name: impl Into<Box<str>>) -> Self {
        TaskBuilder {
            name: Some(name.into()),
            stack_size: None,
        }
    }

    /// Asks for a stack of at least this many bytes. Futures have no use for it.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    #[track_caller]
    fn meta(&mut self) -> Meta {
        let meta = Meta::at(Location::caller());
        match self.name.take() {
            Some(name) => meta.named(name),
            None => meta,
        }
    }

    /// Spawns a green thread, as [`spawn`].
    ///
    /// A stack larger than the runtime's is a segment that the closure runs on from its start. If
    /// there is none to be had, or the size is beyond all bounds, the task panics when it starts.
    ///
    /// # Panics
    /// As [`spawn`].
    #[track_caller]
    pub fn spawn<F, T>(mut self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let meta = self.meta();
        let named = NameEntry::needs(&meta);
        let size = self.stack_size;
        with_current("spawn", |shared| {
            let own = shared.config.stack_class.slot_size();
            let name = named.then(|| Arc::clone(shared));
            let work = move || {
                let _entry = name.and_then(NameEntry::new);
                match size {
                    Some(size) if size > own => weftwork_fiber::grow(usize::MAX, size, work),
                    _ => work(),
                }
            };
            closure(shared, meta, work)
        })
    }

    /// Spawns a future, as [`spawn_async`].
    ///
    /// # Panics
    /// As [`spawn_async`].
    #[track_caller]
    pub fn spawn_async<W>(mut self, work: W) -> JoinHandle<W::Output>
    where
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        let meta = self.meta();
        let named = NameEntry::needs(&meta);
        with_current("spawn_async", |shared| {
            let name = named.then(|| Arc::clone(shared));
            let work = async move {
                let _entry = name.and_then(NameEntry::new);
                work.await
            };
            future(shared, meta, work)
        })
    }
}

/// Keeps a running task's name where the monitor finds it by number.
struct NameEntry {
    shared: Arc<Shared>,
    id: weftwork_core::TaskId,
}

impl NameEntry {
    fn needs(meta: &Meta) -> bool {
        meta.name().is_some()
    }

    fn new(shared: Arc<Shared>) -> Option<Self> {
        let task = worker::with(|worker| {
            // SAFETY: the current task is being run, by us.
            worker
                .and_then(crate::worker::Worker::current_task)
                .map(|task| unsafe { task.upgrade() })
        })?;
        let id = task.id();
        shared.names.lock().insert(id, task.name()?.into());
        Some(NameEntry { shared, id })
    }
}

impl Drop for NameEntry {
    fn drop(&mut self) {
        self.shared.names.lock().remove(&self.id);
    }
}

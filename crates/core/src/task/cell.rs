//! The typed part of a task: the closure or future, then its output, in one allocation.
//!
//! The stage goes from `Pending` through `Consumed` (while a closure runs, or after a drop) to
//! `Done`, and to `Consumed` again when the output is taken. Who may touch it: invariant 3 of the
//! state word.

use super::block;
use super::caught::{Payload, discard};
use super::error::JoinError;
use super::ext::Meta;
use super::header::{Header, VTable};
use super::join::JoinHandle;
use super::run::{abandon, drop_remains, run_closure, run_future};
use super::waker::{schedule_closure, schedule_future};
use super::{Schedule, Task};
use crate::sync::cell::UnsafeCell;
use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

#[repr(C)]
pub(super) struct Cell<W, T, S> {
    pub(super) header: Header,
    pub(super) schedule: S,
    pub(super) stage: UnsafeCell<Stage<W, T>>,
}

pub(super) enum Stage<W, T> {
    Pending(W),
    Done(Result<T, JoinError>),
    Consumed,
}

/// Makes a task of a closure, spawned at the caller's line.
///
/// The closure starts with the first and only [`Task::run`]. Costs one allocation.
///
/// ```
/// use weftwork_core::task;
///
/// let (task, handle) = task::closure(|| 6 * 7);
/// let worker = std::thread::spawn(move || task.run());
/// assert_eq!(handle.join().unwrap(), 42);
/// worker.join().unwrap();
///
/// // A panic stays in the task.
/// let (task, handle) = task::closure(|| -> u32 { "no number".parse().unwrap() });
/// task.run();
/// assert!(handle.join().unwrap_err().is_panic());
/// ```
#[track_caller]
pub fn closure<F, T>(work: F) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    closure_at(Meta::new(), work)
}

/// Makes a task of a closure, with a name or the spawn location of somebody else.
#[inline]
pub fn closure_at<F, T>(meta: Meta, work: F) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: the bounds are what `closure_unchecked` asks its caller to care for.
    unsafe { closure_unchecked(meta, work) }
}

/// Makes a task of a closure that may be neither `Send` nor `'static`: for thread-bound tasks and
/// for scopes.
///
/// # Safety
/// If `F` or `T` is not `Send`, the task is run or dropped on this thread, and the handle is
/// `!Send` through `T` or stays on this thread too. If one is not `'static`, the task is complete
/// and its output taken or dropped before the borrows end.
#[inline]
pub unsafe fn closure_unchecked<F, T>(meta: Meta, work: F) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T,
{
    let header = allocate::<F, T, ()>(const { &closure_vtable::<F, T>() }, meta, (), work);
    // SAFETY: a fresh task has one Task handle and one join handle, of its output type.
    (Task(header), unsafe { JoinHandle::new(header) })
}

/// Makes a task of a future, spawned at the caller's line; its wakes go to `schedule`.
///
/// Each [`Task::run`] polls it once. A future that nobody can wake, join or cancel any more is dropped
/// at once. Costs one allocation, and none per poll.
///
/// ```
/// use std::sync::mpsc::{Sender, channel};
/// use weftwork_core::task::{self, Cause, Schedule, Task};
///
/// struct Queue(Sender<Task>);
///
/// impl Schedule for Queue {
///     fn schedule(&self, task: Task, _cause: Cause) {
///         // A task that does not get into the queue is cancelled by its drop.
///         let _ = self.0.send(task);
///     }
/// }
///
/// let (send, queue) = channel();
/// let (inner, inner_handle) = task::closure(|| 20);
/// let (outer, handle) = task::future(async { inner_handle.await.unwrap() + 1 }, Queue(send));
/// outer.run(); // Polls it: it waits.
/// inner.run(); // Wakes it: it is queued.
/// queue.recv().unwrap().run();
/// assert_eq!(handle.join().unwrap(), 21);
/// ```
#[track_caller]
pub fn future<W, S>(work: W, schedule: S) -> (Task, JoinHandle<W::Output>)
where
    W: Future + Send + 'static,
    W::Output: Send + 'static,
    S: Schedule + Send + Sync + 'static,
{
    future_at(Meta::new(), work, schedule)
}

/// Makes a task of a future, with a name or the spawn location of somebody else.
pub fn future_at<W, S>(meta: Meta, work: W, schedule: S) -> (Task, JoinHandle<W::Output>)
where
    W: Future + Send + 'static,
    W::Output: Send + 'static,
    S: Schedule + Send + Sync + 'static,
{
    // SAFETY: the bounds are what `future_unchecked` asks its caller to care for.
    unsafe { future_unchecked(meta, work, schedule) }
}

/// Makes a task of a future that need not be `Send`: for thread-bound tasks.
///
/// # Safety
/// If the future or its output is not `Send`, the task is run or dropped on this thread, the handle
/// stays on it, and a [`TaskRef`](super::TaskRef) held on this thread outlives every waker until
/// the task is complete (else the last waker's drop, on any thread, would drop the future).
pub unsafe fn future_unchecked<W, S>(
    meta: Meta,
    work: W,
    schedule: S,
) -> (Task, JoinHandle<W::Output>)
where
    W: Future,
    S: Schedule + Send + Sync + 'static,
{
    let vtable = const { &future_vtable::<W, S>() };
    let header = allocate::<W, W::Output, S>(vtable, meta, schedule, work);
    // SAFETY: a fresh task has one Task handle and one join handle, of its output type.
    (Task(header), unsafe { JoinHandle::new(header) })
}

#[inline]
fn allocate<W, T, S>(vtable: &'static VTable, meta: Meta, schedule: S, work: W) -> NonNull<Header> {
    let (ext, location) = meta.into_parts();
    let place = block::take::<Cell<W, T, S>>();
    // SAFETY: the block is for a cell, and ours.
    unsafe {
        place.write(Cell {
            header: Header::new(vtable, location, ext),
            schedule,
            stage: UnsafeCell::new(Stage::Pending(work)),
        });
    }
    place.cast()
}

const fn closure_vtable<F: FnOnce() -> T, T>() -> VTable {
    VTable {
        run: run_closure::<F, T>,
        abandon: abandon::<F, T, ()>,
        schedule: schedule_closure,
        read_output: read_output::<F, T, ()>,
        drop_output: drop_output::<F, T, ()>,
        free: free::<F, T, ()>,
    }
}

const fn future_vtable<W: Future, S: Schedule + Send + Sync + 'static>() -> VTable {
    VTable {
        run: run_future::<W, S>,
        abandon: abandon::<W, W::Output, S>,
        schedule: schedule_future::<W, S>,
        read_output: read_output::<W, W::Output, S>,
        drop_output: drop_output::<W, W::Output, S>,
        free: free::<W, W::Output, S>,
    }
}

/// # Safety
/// `header` starts a live `Cell<W, T, S>`.
#[inline]
pub(super) unsafe fn cell<'a, W, T, S>(header: NonNull<Header>) -> &'a Cell<W, T, S> {
    // SAFETY: live and of this type, says the caller; shared access only, the stage has its own
    // cell.
    unsafe { header.cast().as_ref() }
}

impl<W, T, S> Cell<W, T, S> {
    /// # Safety
    /// The stage is the caller's (invariant 3 of the state word).
    #[inline]
    pub(super) unsafe fn set_stage(&self, stage: Stage<W, T>) -> Stage<W, T> {
        // SAFETY: exclusive, says the caller.
        self.stage
            .with_mut(|place| unsafe { replace(&mut *place, stage) })
    }
}

/// Drops what is in the stage without moving it, which a pinned future needs.
///
/// # Safety
/// The stage is the caller's (invariant 3 of the state word).
pub(super) unsafe fn drop_caught_stage<W, T>(stage: &UnsafeCell<Stage<W, T>>) -> Option<Payload> {
    struct Consume<W, T>(*mut Stage<W, T>);
    impl<W, T> Drop for Consume<W, T> {
        fn drop(&mut self) {
            // SAFETY: the pointer is the stage's, its value was dropped just now (a panicking drop
            // counts), and `Consumed` is written over it without dropping again.
            unsafe { self.0.write(Stage::Consumed) }
        }
    }
    stage.with_mut(|place| {
        catch_unwind(AssertUnwindSafe(|| {
            let _consume = Consume(place);
            // SAFETY: valid, owned by the caller, and overwritten by `_consume` whatever happens.
            unsafe { std::ptr::drop_in_place(place) }
        }))
        .err()
    })
}

/// # Safety
/// The vtable's contract of `read_output`.
unsafe fn read_output<W, T, S>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the vtable's contract.
    let cell = unsafe { cell::<W, T, S>(header) };
    // SAFETY: complete, so the stage is the join handle's, who is the caller.
    let Stage::Done(result) = (unsafe { cell.set_stage(Stage::Consumed) }) else {
        panic!("join handle polled after it gave the output: the caller's mistake")
    };
    // SAFETY: the caller's pointer is for such a result.
    unsafe { to.cast::<Result<T, JoinError>>().write(result) }
}

/// # Safety
/// The vtable's contract of `drop_output`.
pub(super) unsafe fn drop_output<W, T, S>(header: NonNull<Header>) {
    // SAFETY: the vtable's contract.
    let cell = unsafe { cell::<W, T, S>(header) };
    // SAFETY: the vtable's contract.
    if let Some(payload) = unsafe { drop_caught_stage(&cell.stage) } {
        discard(payload);
    }
}

/// # Safety
/// The vtable's contract of `free`.
pub(super) unsafe fn free<W, T, S>(header: NonNull<Header>) {
    let place = header.cast::<Cell<W, T, S>>();
    // SAFETY: the last reference is gone, so this is exclusive.
    let cell = unsafe { place.as_ref() };
    // SAFETY: exclusive.
    let consumed = cell
        .stage
        .with(|stage| matches!(unsafe { &*stage }, Stage::Consumed));
    // An unreachable future or an output that nobody took is still in its stage; its drop may
    // panic.
    // SAFETY: exclusive.
    if !consumed && let Some(payload) = unsafe { drop_caught_stage(&cell.stage) } {
        discard(payload);
    }
    // SAFETY: exclusive, both; the block came from `take` for this type.
    unsafe {
        drop_remains(&cell.header);
        place.drop_in_place();
        block::give_back(place);
    }
}

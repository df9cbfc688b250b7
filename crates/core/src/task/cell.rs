//! The typed part of a task: the closure or future, then its output, in one allocation.
//!
//! The stage goes from `Pending` through `Consumed` (while a closure runs, or after a drop) to
//! `Done`, and to `Consumed` again when the output is taken. Who may touch it: invariant 3 of the
//! state word. Everything that runs user code (the work, a drop of it or of its output) catches
//! panics here, in one place.

use super::error::{self, JoinError, Repr};
use super::ext::Meta;
use super::header::{ENDING, Header, PARKED, UNPARKED, VTable};
use super::join::JoinHandle;
use super::state::{Idle, Start, Wake};
use super::{Cause, Schedule, Task};
#[cfg(weftwork_canary)]
use crate::canary::{self, Step};
use crate::sync::atomic::Ordering;
use crate::sync::cell::UnsafeCell;
use crate::wait::cancel::is_cancel_unwind;
use std::any::Any;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, replace};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

#[repr(C)]
struct Cell<W, T, S> {
    header: Header,
    schedule: S,
    stage: UnsafeCell<Stage<W, T>>,
}

enum Stage<W, T> {
    Pending(W),
    Done(Result<T, JoinError>),
    Consumed,
}

type Payload = Box<dyn Any + Send>;

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
    let cell = Box::new(Cell::<W, T, S> {
        header: Header::new(vtable, location, ext),
        schedule,
        stage: UnsafeCell::new(Stage::Pending(work)),
    });
    NonNull::from(Box::leak(cell)).cast()
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
unsafe fn cell<'a, W, T, S>(header: NonNull<Header>) -> &'a Cell<W, T, S> {
    // SAFETY: live and of this type, says the caller; shared access only, the stage has its own
    // cell.
    unsafe { header.cast().as_ref() }
}

impl<W, T, S> Cell<W, T, S> {
    /// # Safety
    /// The stage is the caller's (invariant 3 of the state word).
    #[inline]
    unsafe fn set_stage(&self, stage: Stage<W, T>) -> Stage<W, T> {
        // SAFETY: exclusive, says the caller.
        self.stage
            .with_mut(|place| unsafe { replace(&mut *place, stage) })
    }
}

/// Drops `value`; a panic of its drop is returned.
fn drop_caught<V>(value: V) -> Option<Payload> {
    catch_unwind(AssertUnwindSafe(|| drop(value))).err()
}

/// Drops a payload that has nobody to be told.
fn discard(mut payload: Payload) {
    /// The drop of a payload may panic with another one, and so on; after some rounds the last is
    /// forgotten.
    const ROUNDS: usize = 8;
    for _ in 0..ROUNDS {
        match drop_caught(payload) {
            None => return,
            Some(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

/// # Safety
/// The vtable's contract of `run`, for a closure's cell.
unsafe fn run_closure<F: FnOnce() -> T, T>(header: NonNull<Header>) {
    // SAFETY: the vtable's contract.
    let cell = unsafe { cell::<F, T, ()>(header) };
    if cell.header.state.is_cancelled() {
        // SAFETY: the same contract.
        return unsafe { abandon::<F, T, ()>(header) };
    }
    // SAFETY: not complete, so the stage is the runner's.
    let Stage::Pending(work) = (unsafe { cell.set_stage(Stage::Consumed) }) else {
        unreachable!("a closure's task is run once")
    };
    let result = catch_unwind(AssertUnwindSafe(work));
    // SAFETY: the caller gave the Task handle's reference to us.
    unsafe { finish(header, cell, result) }
}

/// # Safety
/// The vtable's contract of `run`, for a future's cell.
unsafe fn run_future<W: Future, S: Schedule + Send + Sync + 'static>(header: NonNull<Header>) {
    // SAFETY: the vtable's contract.
    let cell = unsafe { cell::<W, W::Output, S>(header) };
    if cell.header.state.start() == Start::Cancel {
        // SAFETY: RUNNING is set and the Task handle is ours.
        return unsafe { finish_cancelled(header, cell) };
    }
    // The poll borrows the Task handle's reference: a waker that is only looked at costs nothing.
    // SAFETY: the vtable functions below fit a live future's header.
    let waker = ManuallyDrop::new(unsafe {
        Waker::from_raw(RawWaker::new(
            header.as_ptr().cast(),
            waker_vtable::<W, S>(),
        ))
    });
    let mut context = Context::from_waker(&waker);
    let polled = cell.stage.with_mut(|stage| {
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: RUNNING is set by us, so the stage is ours.
            let Stage::Pending(work) = (unsafe { &mut *stage }) else {
                unreachable!("an incomplete future is in its stage")
            };
            // SAFETY: the future is never moved: it lives in the cell until it is dropped there.
            unsafe { Pin::new_unchecked(work) }.poll(&mut context)
        }))
    });
    match polled {
        Ok(Poll::Pending) => {}
        Ok(Poll::Ready(output)) => {
            // SAFETY: as above, the stage is ours. Drops the future in place.
            let dropped = unsafe { drop_caught_stage(&cell.stage) };
            let result = match dropped {
                None => Ok(output),
                Some(payload) => {
                    if let Some(p) = drop_caught(output) {
                        discard(p);
                    }
                    Err(payload)
                }
            };
            // SAFETY: the Task handle's reference is ours.
            return unsafe { finish(header, cell, result) };
        }
        Err(payload) => {
            // SAFETY: as above, the stage is ours.
            if let Some(p) = unsafe { drop_caught_stage(&cell.stage) } {
                discard(p);
            }
            // SAFETY: the Task handle's reference is ours.
            return unsafe { finish(header, cell, Err(payload)) };
        }
    }
    clear_runner(&cell.header);
    match cell.header.state.suspend() {
        Idle::Asleep => {}
        // SAFETY: `suspend` left SCHEDULED set and two references with us.
        Idle::Reschedule => unsafe { schedule_future::<W, S>(header, Cause::Yielded) },
        // SAFETY: RUNNING is still set and the Task handle ours.
        Idle::Cancel | Idle::Unreachable => unsafe { finish_cancelled(header, cell) },
    }
}

/// Drops what is in the stage without moving it, which a pinned future needs.
///
/// # Safety
/// The stage is the caller's (invariant 3 of the state word).
unsafe fn drop_caught_stage<W, T>(stage: &UnsafeCell<Stage<W, T>>) -> Option<Payload> {
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
/// The vtable's contract of `abandon`.
unsafe fn abandon<W, T, S>(header: NonNull<Header>) {
    // SAFETY: the vtable's contract.
    let cell = unsafe { cell::<W, T, S>(header) };
    // SAFETY: the Task handle is ours, so nobody else runs it and the stage is ours.
    unsafe { finish_cancelled(header, cell) }
}

/// # Safety
/// The caller owns the Task handle's reference, gives it up, and owns the stage.
unsafe fn finish_cancelled<W, T, S>(header: NonNull<Header>, cell: &Cell<W, T, S>) {
    begin_ending(&cell.header);
    // SAFETY: the caller's contract.
    let repr = match unsafe { drop_caught_stage(&cell.stage) } {
        None => Repr::Cancelled,
        Some(payload) => repr_of(payload),
    };
    // SAFETY: the caller's contract.
    unsafe { finish_with(header, cell, Err(repr)) }
}

/// # Safety
/// The caller owns the Task handle's reference, gives it up, and owns the stage, which is consumed.
#[inline]
unsafe fn finish<W, T, S>(
    header: NonNull<Header>,
    cell: &Cell<W, T, S>,
    result: Result<T, Payload>,
) {
    // SAFETY: the caller's contract.
    unsafe { finish_with(header, cell, result.map_err(repr_of)) }
}

fn repr_of(payload: Payload) -> Repr {
    if is_cancel_unwind(&*payload) {
        Repr::Cancelled
    } else {
        Repr::Panic(error::Payload(payload))
    }
}

/// # Safety
/// As for [`finish`].
#[inline]
unsafe fn finish_with<W, T, S>(
    header: NonNull<Header>,
    cell: &Cell<W, T, S>,
    result: Result<T, Repr>,
) {
    let head = &cell.header;
    begin_ending(head);
    drop_locals(head);
    let result = result.map_err(|repr| JoinError::new(head.id, head.location, repr));
    // SAFETY: not complete yet, so the stage is ours. What was in it is consumed.
    let consumed = unsafe { cell.set_stage(Stage::Done(result)) };
    debug_assert!(matches!(consumed, Stage::Consumed));
    std::mem::forget(consumed);
    if head.state.complete_and_leave() {
        return;
    }
    let completed = head.state.complete();
    if completed.is_detached() {
        // SAFETY: complete, and without a join handle the stage is ours.
        unsafe { drop_output::<W, T, S>(header) };
    }
    if completed.has_joiner() {
        head.joiner.with(|waker| {
            // SAFETY: JOIN_WAKER was set when COMPLETE was, so the waker is in place and nobody
            // writes it any more (invariant 4).
            if let Some(waker) = unsafe { &*waker }
                && let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake_by_ref()))
            {
                discard(payload);
            }
        });
    }
    if head.state.is_last_of_complete() {
        // Before our reference is gone: the destructors may ask for the current task, this one.
        // SAFETY: complete, and ours is the only reference.
        unsafe { drop_remains(head) };
    }
    if head.state.drop_ref() {
        // SAFETY: ours was the last reference.
        unsafe { free::<W, T, S>(header) };
    }
}

/// Ends the time in which a cancellation may wake the context that runs the task, until the next
/// run.
#[inline]
fn clear_runner(header: &Header) {
    // Relaxed, both: only the runner touches the phase.
    if header.phase.load(Ordering::Relaxed) == PARKED {
        header.phase.store(UNPARKED, Ordering::Relaxed);
        let waker = header.runner.lock().take();
        drop(waker);
    }
}

/// Ends that time for good: what runs from here on are destructors, and their waits shall not be
/// cut short.
#[inline]
fn begin_ending(header: &Header) {
    clear_runner(header);
    // Relaxed: only the runner touches the phase.
    header.phase.store(ENDING, Ordering::Relaxed);
}

/// Drops the task-local values. For the runner, or whoever has exclusive access.
#[inline]
fn drop_locals(header: &Header) {
    /// A destructor may use task-locals and so make new ones. As for pthread's keys, some rounds of
    /// that are served; after them the values are forgotten.
    const ROUNDS: usize = 4;
    let Some(ext) = header.ext.get() else { return };
    for _ in 0..ROUNDS {
        let mut any = false;
        for value in ext.locals.take() {
            any = true;
            if let Some(payload) = drop_caught(value) {
                discard(payload);
            }
        }
        if !any {
            return;
        }
    }
    ext.locals.take().for_each(std::mem::forget);
}

/// Drops what user code may have left in the header of a complete or unreachable task.
///
/// # Safety
/// Nobody else has a reference.
#[inline]
unsafe fn drop_remains(header: &Header) {
    drop_locals(header);
    // SAFETY: exclusive, says the caller.
    let waker = header.joiner.with_mut(|waker| unsafe { (*waker).take() });
    if waker.is_some()
        && let Some(payload) = drop_caught(waker)
    {
        discard(payload);
    }
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
unsafe fn drop_output<W, T, S>(header: NonNull<Header>) {
    // SAFETY: the vtable's contract.
    let cell = unsafe { cell::<W, T, S>(header) };
    // SAFETY: the vtable's contract.
    if let Some(payload) = unsafe { drop_caught_stage(&cell.stage) } {
        discard(payload);
    }
}

/// # Safety
/// The vtable's contract of `free`.
unsafe fn free<W, T, S>(header: NonNull<Header>) {
    // SAFETY: the last reference is gone, so this is exclusive; the cell came from a `Box`.
    let cell = unsafe { Box::from_raw(header.cast::<Cell<W, T, S>>().as_ptr()) };
    // An unreachable future is still in its stage; its drop may panic.
    // SAFETY: exclusive.
    if let Some(payload) = unsafe { drop_caught_stage(&cell.stage) } {
        discard(payload);
    }
    // SAFETY: exclusive.
    unsafe { drop_remains(&cell.header) };
    drop(cell);
}

unsafe fn schedule_closure(_: NonNull<Header>, _: Cause) {
    unreachable!("a closure's task is SCHEDULED until it is complete")
}

/// # Safety
/// The vtable's contract of `schedule`.
unsafe fn schedule_future<W: Future, S: Schedule + Send + Sync + 'static>(
    header: NonNull<Header>,
    cause: Cause,
) {
    // One of the two references goes into the Task, whose run may give it up before `schedule`
    // returns. The other holds the cell, and the schedule in it that is executing, until then.
    struct Hold<W: Future, S: Schedule + Send + Sync + 'static>(
        NonNull<Header>,
        PhantomData<(W, S)>,
    );
    impl<W: Future, S: Schedule + Send + Sync + 'static> Drop for Hold<W, S> {
        fn drop(&mut self) {
            // SAFETY: the header of such a cell, and `drop_waker` wants a reference to give up.
            unsafe { drop_waker::<W, S>(self.0.as_ptr().cast()) }
        }
    }
    let _hold = Hold::<W, S>(header, PhantomData);
    // Canary: the reference is given up before the schedule returns.
    #[cfg(weftwork_canary)]
    let _hold = (!canary::is(Step::ScheduleHold)).then_some(_hold);
    // SAFETY: the vtable's contract.
    let cell = unsafe { cell::<W, W::Output, S>(header) };
    cell.schedule.schedule(Task(header), cause);
}

fn waker_vtable<W: Future, S: Schedule + Send + Sync + 'static>() -> &'static RawWakerVTable {
    const {
        &RawWakerVTable::new(
            clone_waker::<W, S>,
            wake_by_value::<W, S>,
            wake_by_ref::<W, S>,
            drop_waker::<W, S>,
        )
    }
}

unsafe fn clone_waker<W: Future, S: Schedule + Send + Sync + 'static>(data: *const ()) -> RawWaker {
    // SAFETY: a waker's data is a header it holds a reference to, or borrows one of a run.
    unsafe { cell::<W, W::Output, S>(header_of(data)) }
        .header
        .state
        .add_ref();
    RawWaker::new(data, waker_vtable::<W, S>())
}

unsafe fn wake_by_value<W: Future, S: Schedule + Send + Sync + 'static>(data: *const ()) {
    let header = header_of(data);
    // SAFETY: as in `clone_waker`.
    match unsafe { cell::<W, W::Output, S>(header) }
        .header
        .state
        .wake_by_value()
    {
        Wake::Done => {}
        // SAFETY: SCHEDULED was set by us, with two references.
        Wake::Schedule => unsafe { schedule_future::<W, S>(header, Cause::Woken) },
        // SAFETY: the waker's was the last reference.
        Wake::Free => unsafe { free::<W, W::Output, S>(header) },
    }
}

unsafe fn wake_by_ref<W: Future, S: Schedule + Send + Sync + 'static>(data: *const ()) {
    let header = header_of(data);
    // SAFETY: as in `clone_waker`.
    if unsafe { cell::<W, W::Output, S>(header) }
        .header
        .state
        .wake_by_ref()
        == Wake::Schedule
    {
        // SAFETY: SCHEDULED was set by us, with two references.
        unsafe { schedule_future::<W, S>(header, Cause::Woken) }
    }
}

unsafe fn drop_waker<W: Future, S: Schedule + Send + Sync + 'static>(data: *const ()) {
    let header = header_of(data);
    // SAFETY: as in `clone_waker`.
    if unsafe { cell::<W, W::Output, S>(header) }
        .header
        .state
        .drop_ref()
    {
        // SAFETY: the waker's was the last reference.
        unsafe { free::<W, W::Output, S>(header) }
    }
}

fn header_of(data: *const ()) -> NonNull<Header> {
    NonNull::new(data.cast_mut().cast()).expect("a waker's data is a task")
}

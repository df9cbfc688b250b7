//! Running a task, and its end.
//!
//! Everything that runs user code (the work, a drop of it, of the output, of task-locals, the
//! joiner's waker) catches panics here, and runs while the runner's reference keeps the task alive:
//! a destructor may ask its scheduler for the current task.

use super::caught::{Payload, discard, drop_caught};
use super::cell::{Cell, Stage, cell, drop_caught_stage, drop_output, free};
use super::error::{self, JoinError, Repr};
use super::header::{ENDING, Header, PARKED, UNPARKED};
use super::state::{Idle, Start};
use super::waker::{schedule_future, waker_vtable};
use super::{Cause, Schedule};
use crate::sync::atomic::Ordering;
use crate::wait::cancel::is_cancel_unwind;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWaker, Waker};

/// # Safety
/// The vtable's contract of `run`, for a closure's cell.
pub(super) unsafe fn run_closure<F: FnOnce() -> T, T>(header: NonNull<Header>) {
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
pub(super) unsafe fn run_future<W: Future, S: Schedule + Send + Sync + 'static>(
    header: NonNull<Header>,
) {
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

/// # Safety
/// The vtable's contract of `abandon`.
pub(super) unsafe fn abandon<W, T, S>(header: NonNull<Header>) {
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
pub(super) unsafe fn drop_remains(header: &Header) {
    drop_locals(header);
    // SAFETY: exclusive, says the caller.
    let waker = header.joiner.with_mut(|waker| unsafe { (*waker).take() });
    if waker.is_some()
        && let Some(payload) = drop_caught(waker)
    {
        discard(payload);
    }
}

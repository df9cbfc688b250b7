//! The wakers of a future's task, and the one place that queues it.

use super::cell::{cell, free};
use super::header::Header;
use super::state::Wake;
use super::{Cause, Schedule, Task};
#[cfg(weftwork_canary)]
use crate::canary::{self, Step};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable};

pub(super) unsafe fn schedule_closure(_: NonNull<Header>, _: Cause) {
    unreachable!("a closure's task is SCHEDULED until it is complete")
}

/// # Safety
/// The vtable's contract of `schedule`.
pub(super) unsafe fn schedule_future<W: Future, S: Schedule + Send + Sync + 'static>(
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

pub(super) fn waker_vtable<W: Future, S: Schedule + Send + Sync + 'static>()
-> &'static RawWakerVTable {
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
    let cell = unsafe { cell::<W, W::Output, S>(header) };
    if cell.header.state.wake_by_ref() == Wake::Schedule {
        // SCHEDULED was set by us, with a reference for the Task. The waker's holds the cell, and the
        // schedule in it, until this returns: the caller borrows it. (One that borrows the reference of a
        // run finds the task running.)
        cell.schedule.schedule(Task(header), Cause::Woken);
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

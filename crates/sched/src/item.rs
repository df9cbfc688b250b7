//! What lies in the stealable queues: a task, or the second half of a fork-join, told apart by the
//! lowest bit of one pointer.

use crate::fork_join::Job;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use weftwork_core::task::Task;

/// Set in the address of a fork-join half. Pointers to both kinds are aligned to more than two.
const JOB: usize = 1;

/// One entry of a queue. Dropping it cancels the task, or tells the fork that its half will not run.
#[derive(Debug)]
pub(crate) struct Item(NonNull<()>);

// SAFETY: it owns either a `Task`, which is `Send`, or the right to run a `Job`, whose closure and
// result are `Send`.
unsafe impl Send for Item {}

/// An entry, taken apart.
#[derive(Debug)]
pub(crate) enum Unpacked {
    Task(Task),
    Job(NonNull<Job>),
}

impl Item {
    #[inline]
    pub(crate) fn task(task: Task) -> Item {
        Item(task.into_raw())
    }

    /// # Safety
    /// The job stays where it is until it was run or abandoned.
    #[inline]
    pub(crate) unsafe fn job(job: NonNull<Job>) -> Item {
        Item(job.cast().map_addr(|address| address | JOB))
    }

    #[inline]
    pub(crate) fn unpack(self) -> Unpacked {
        let pointer = ManuallyDrop::new(self).0;
        let address = pointer.addr().get();
        if address & JOB == 0 {
            // SAFETY: without the mark the pointer came from `Task::into_raw`, in `task`.
            return Unpacked::Task(unsafe { Task::from_raw(pointer) });
        }
        let job = pointer.as_ptr().map_addr(|address| address & !JOB).cast();
        Unpacked::Job(NonNull::new(job).expect("a job is not at address zero"))
    }

    /// Whether this is the task at `pointer`.
    #[inline]
    pub(crate) fn is(&self, pointer: NonNull<()>) -> bool {
        self.0 == pointer
    }

    /// Whether this is the given job.
    #[inline]
    pub(crate) fn is_job(&self, job: NonNull<Job>) -> bool {
        self.0.addr().get() == job.addr().get() | JOB
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        match Item(self.0).unpack() {
            Unpacked::Task(task) => drop(task),
            // SAFETY: a job in a queue is alive, and leaves the queue once, here.
            Unpacked::Job(job) => unsafe { Job::abandon(job) },
        }
    }
}

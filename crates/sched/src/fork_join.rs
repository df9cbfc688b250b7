//! Fork-join without allocation: the second half waits in the queue, its closure on the forker's
//! stack.
//!
//! [`join`](crate::join) pushes a [`Job`] that lives in its own frame, runs the first half, and
//! takes the job back if nobody has: then it calls the second half like any function. A thief runs
//! it elsewhere and wakes the forker. The scheme is Cilk's (Blumofe & Leiserson 1999), the interface
//! rayon's.
//!
//! Invariants
//! 1. A job in a queue is alive: its forker does not leave the frame before it has taken the job
//!    back or the latch is open.
//! 2. `work` belongs to whoever took the job out of the queue, `result` to the same until the
//!    latch is open, then to the forker.
//! 3. After it opened the latch the thief touches nothing of the job. The wake goes through a
//!    reference to the forker's carrier that the thief took before.
//!
//! A stolen half has no task of its own. It obeys the cancellation of the task that forked: the
//! cancellation wakes the forker, which waits shielded but wakes the thief's carrier in turn. Either
//! the forker finds the thief, or the thief, which says where it runs before it first waits, finds
//! the flag: both under the job's lock.

use crate::carrier::{Carrier, CarrierRef};
use crate::latch::{Latch, Outcome};
use crate::worker::{self, Worker};
use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::task::Poll;
use weftwork_core::sync::Mutex;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::task::RawTask;
use weftwork_core::wait::{self, Reason, cancel};

/// The part of a job that does not depend on its type; starts every [`TypedJob`].
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Job {
    /// Runs `work` and puts its result in place.
    execute: unsafe fn(NonNull<Job>),
    latch: Latch,
    forker: NonNull<Carrier>,
    /// The task whose cancellation the half obeys.
    task: Option<RawTask>,
    /// Where the half runs, if it was stolen.
    thief: Mutex<Option<CarrierRef>>,
    location: &'static Location<'static>,
}

#[repr(C)]
struct TypedJob<F, R> {
    job: Job,
    work: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<Result<R, Box<dyn Any + Send>>>>,
}

impl Job {
    /// Runs a job that was taken out of a queue.
    ///
    /// # Safety
    /// The caller took it out.
    pub(crate) unsafe fn run(job: NonNull<Job>) {
        // SAFETY: alive (invariant 1), and `execute` is that of its type.
        unsafe {
            (job.as_ref().execute)(job);
            Self::leave(job, Outcome::Done);
        }
    }

    /// Tells the forker that a job that was taken out of a queue will not be run.
    ///
    /// # Safety
    /// The caller took it out.
    pub(crate) unsafe fn abandon(job: NonNull<Job>) {
        // SAFETY: alive (invariant 1).
        unsafe { Self::leave(job, Outcome::Abandoned) }
    }

    /// Where the fork is, for reports.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    pub(crate) unsafe fn location(job: NonNull<Job>) -> &'static Location<'static> {
        // SAFETY: alive (invariant 1).
        unsafe { job.as_ref() }.location
    }

    /// Says where the job will be run, and returns the task whose cancellation it obeys.
    ///
    /// # Safety
    /// The caller took the job out of a queue and runs it on `carrier`, which is alive.
    pub(crate) unsafe fn settle(job: NonNull<Job>, carrier: NonNull<Carrier>) -> Option<RawTask> {
        // SAFETY: alive (invariant 1), and so is the carrier, says the caller.
        let (job, carrier) = unsafe { (job.as_ref(), CarrierRef::new(carrier)) };
        *job.thief.lock() = Some(carrier);
        job.task
    }

    /// Wakes the thief if the task was cancelled.
    fn pass_cancellation_on(&self) {
        // SAFETY: the task is being run by the caller, or waits for the half that the caller runs.
        if self.task.is_some_and(|task| unsafe { task.is_cancelled() }) {
            let thief = self.thief.lock().clone();
            if let Some(thief) = thief {
                thief.wake();
            }
        }
    }

    /// # Safety
    /// The caller took the job out of a queue and is done with it.
    unsafe fn leave(job: NonNull<Job>, outcome: Outcome) {
        // SAFETY: alive until the latch is open, and so is the forker's carrier, which waits for it
        // (invariants 1 and 3).
        let forker = unsafe {
            let job = job.as_ref();
            job.latch.open(outcome, || CarrierRef::new(job.forker))
        };
        forker.wake();
    }
}

/// # Safety
/// `job` starts a `TypedJob<F, R>` whose `work` is the caller's (invariant 2).
unsafe fn execute<F: FnOnce() -> R, R>(job: NonNull<Job>) {
    // SAFETY: of this type, says the caller, and alive (invariant 1).
    let typed = unsafe { job.cast::<TypedJob<F, R>>().as_ref() };
    // SAFETY: the caller's, both (invariant 2).
    let work = typed.work.with_mut(|work| unsafe { &mut *work }.take());
    let result = catch_unwind(AssertUnwindSafe(work.expect("a job is run once")));
    // SAFETY: as above.
    typed
        .result
        .with_mut(|place| unsafe { *place = Some(result) });
}

/// The forking half of [`join`](crate::join), on a worker.
pub(crate) fn fork<A, B, RA, RB>(
    worker: &Worker,
    forker: NonNull<Carrier>,
    location: &'static Location<'static>,
    a: A,
    b: B,
) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let typed = TypedJob::<B, RB> {
        job: Job {
            execute: execute::<B, RB>,
            latch: Latch::new(),
            forker,
            // SAFETY: the running carrier is alive.
            task: unsafe { forker.as_ref() }.obeys(),
            thief: Mutex::new(None),
            location,
        },
        work: UnsafeCell::new(Some(b)),
        result: UnsafeCell::new(None),
    };
    let job = NonNull::from(&typed).cast::<Job>();
    // SAFETY: the frame is not left before the job was taken back or its latch is open: below, on
    // every path.
    unsafe { worker.push_job(job) };
    let first = catch_unwind(AssertUnwindSafe(a));
    if worker.take_back(job) {
        // SAFETY: nobody else has taken the job (invariant 2).
        let work = typed.work.with_mut(|work| unsafe { &mut *work }.take());
        return match first {
            Ok(first) => (first, work.expect("nobody ran it")()),
            // The second half is dropped unrun, as rayon does.
            Err(payload) => resume_unwind(payload),
        };
    }
    // Not to be left by a cancellation: the thief uses this frame.
    let outcome = wait::wait_shielded(Reason::FORK_JOIN, |_| match typed.job.latch.outcome() {
        None => {
            typed.job.pass_cancellation_on();
            Poll::Pending
        }
        Some(outcome) => Poll::Ready(outcome),
    });
    let first = first.unwrap_or_else(|payload| resume_unwind(payload));
    if outcome == Outcome::Abandoned {
        // The runtime ends, and this task with it.
        cancel::unwind();
    }
    // SAFETY: the latch is open: the result is ours (invariant 2).
    let result = typed
        .result
        .with_mut(|result| unsafe { &mut *result }.take());
    match result.expect("a done job has a result") {
        Ok(second) => (first, second),
        Err(payload) => resume_unwind(payload),
    }
}

/// Runs both closures, in parallel if a worker is free, and returns both results.
///
/// On a worker, the second is offered to other workers while the first runs; if none takes it, the
/// caller calls it like a function: then a fork costs a few nanoseconds and no allocation. Both may
/// wait for anything. On a thread without a runtime, and where waiting is
/// [forbidden](weftwork_core::wait::forbid()), they run one after the other.
///
/// The closures may borrow. A cancellation of the calling task ends the waits in both; it does not end
/// the wait of `join` itself, because the second half may be using the caller's frame.
///
/// # Panics
/// If one of the closures does, with its payload, after the other has ended or was dropped unrun.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(2).build().unwrap();
/// fn sum(numbers: &[u64]) -> u64 {
///     if numbers.len() < 1000 {
///         return numbers.iter().sum();
///     }
///     let (left, right) = numbers.split_at(numbers.len() / 2);
///     let (a, b) = weftwork_sched::join(|| sum(left), || sum(right));
///     a + b
/// }
///
/// let numbers: Vec<u64> = (0..100_000).collect();
/// assert_eq!(rt.run(move || sum(&numbers)), 4_999_950_000);
/// ```
#[track_caller]
#[inline]
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let location = Location::caller();
    worker::with(
        |worker| match worker.and_then(|w| w.busy_carrier().map(|c| (w, c))) {
            Some((worker, forker)) if wait::may_wait() => fork(worker, forker, location, a, b),
            _ => {
                let first = a();
                (first, b())
            }
        },
    )
}

//! The end of a runtime: wait, cancel, wait again, leave.

use crate::shared::{Phase, Shared};
use crate::worker::Leftover;
use std::fmt;
use std::task::Poll;
use std::time::{Duration, Instant};
use weftwork_core::sync::atomic::Ordering;
use weftwork_core::sync::thread;
use weftwork_core::wait::{Interrupt, Reason, deadline_after, wait_interruptible};

/// How long after the last task the threads may take to leave.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// How often a shutdown looks by itself: workers tell it, but one that is stuck tells nobody.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a shutdown had to do.
#[derive(Debug, Default)]
pub struct ShutdownReport {
    cancelled: Vec<Leftover>,
    abandoned: u64,
    stuck_threads: usize,
}

impl ShutdownReport {
    pub(crate) fn new(cancelled: Vec<Leftover>, abandoned: u64) -> Self {
        ShutdownReport {
            cancelled,
            abandoned,
            stuck_threads: 0,
        }
    }

    /// Whether every task had ended by itself and every thread has left.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cancelled.is_empty() && self.abandoned == 0 && self.stuck_threads == 0
    }

    /// The tasks that were cancelled when the grace was over: not started, suspended or parked.
    #[must_use]
    pub fn cancelled(&self) -> &[Leftover] {
        &self.cancelled
    }

    /// How many tasks would not end even so. Their stacks are leaked.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// How many threads are still inside a task that does not come back. They are left to it.
    #[must_use]
    pub fn stuck_threads(&self) -> usize {
        self.stuck_threads
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("all tasks had ended");
        }
        write!(
            f,
            "{} cancelled, {} abandoned, {} threads stuck",
            self.cancelled.len(),
            self.abandoned,
            self.stuck_threads
        )?;
        for leftover in &self.cancelled {
            write!(f, "\n  {leftover}")?;
        }
        Ok(())
    }
}

pub(crate) fn run(
    shared: &Shared,
    grace: Duration,
    threads: Vec<thread::JoinHandle<()>>,
) -> ShutdownReport {
    let started = threads.len();
    shared.set_phase(Phase::Closing);
    let quiet = quiet_within(shared, grace) || {
        cancel_everything(shared);
        quiet_within(shared, shared.config.unwind_limit)
    };
    // Asked only if tasks are left: a spawn that is being refused just now counts for a moment.
    let abandoned = if quiet { 0 } else { shared.unended() };
    shared.set_phase(Phase::Exiting);
    shared.blocking.close();
    // The monitor is not counted among the exited; it never runs tasks, and is joined below.
    let workers = started.min(shared.homes.len());
    wait_for(shared, LEAVE_LIMIT, || {
        shared.exited.load(Ordering::Acquire) >= workers
    });
    let stuck_threads = workers.saturating_sub(shared.exited.load(Ordering::Acquire));
    for thread in threads {
        // A thread that is stuck in a task is left to it, and one that stays behind sleeps for ever.
        // Relaxed: published by the count of the exited.
        let all_end = stuck_threads == 0 && !shared.lingering.load(Ordering::Relaxed);
        if all_end || has_ended(&thread) {
            let _ = thread.join();
        }
    }
    discard_queue(shared);
    close_drivers(shared);
    if abandoned != 0 {
        shared.suspended.leak_all();
    }
    ShutdownReport {
        cancelled: shared.suspended.take_leftovers(),
        abandoned,
        stuck_threads,
    }
}

pub(crate) fn cancel_everything(shared: &Shared) {
    shared.set_phase(Phase::Stopping);
    shared.suspended.cancel_all();
}

/// Whether no task is left. Asked more than once: a spawn that is being refused counts for a moment.
pub(crate) fn is_quiet(shared: &Shared) -> bool {
    (0..64).any(|_| {
        let quiet = shared.live() == 0;
        if !quiet {
            thread::yield_now();
        }
        quiet
    })
}

/// Tells everybody who still waits for a descriptor here that its events come no longer: sockets may
/// outlive the runtime, and then register elsewhere.
pub(crate) fn close_drivers(shared: &Shared) {
    for home in &shared.homes {
        home.driver.close();
    }
}

/// Drops what arrived in the injector after the workers had left.
pub(crate) fn discard_queue(shared: &Shared) {
    loop {
        match shared.injector.steal() {
            crossbeam_deque::Steal::Success(item) => drop(item),
            crossbeam_deque::Steal::Empty => return,
            crossbeam_deque::Steal::Retry => {}
        }
    }
}

fn quiet_within(shared: &Shared, limit: Duration) -> bool {
    wait_for(shared, limit, || shared.live() == 0)
}

/// Waits until `done`, which is asked whenever a worker reports and every now and then.
fn wait_for(shared: &Shared, limit: Duration, done: impl Fn() -> bool) -> bool {
    let deadline = deadline_after(limit);
    loop {
        if done() {
            return true;
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return false;
        }
        let look = now.checked_add(LOOK_EVERY);
        let until = match (deadline, look) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let waited = wait_interruptible(Reason::SHUTDOWN, until, |context| {
            shared.shutdown_waits.lock().push(context.waker().clone());
            if done() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        // A cancelled caller goes on: a runtime that is half shut down helps nobody.
        if waited == Err(Interrupt::Cancelled) {
            thread::yield_now();
        }
    }
}

#[cfg(not(weftwork_loom))]
fn has_ended(thread: &thread::JoinHandle<()>) -> bool {
    thread.is_finished()
}

/// Loom's handles cannot tell, and no model runs this far.
#[cfg(weftwork_loom)]
fn has_ended(_: &thread::JoinHandle<()>) -> bool {
    false
}

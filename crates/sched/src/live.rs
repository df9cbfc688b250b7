//! How many tasks live, and whether more may come from outside: what a shutdown has to know.
//!
//! A worker counts what it puts into queues and what it takes out and runs to the end of that run;
//! each count has one writer. Threads outside count in one word of the runtime. Nobody ever knows the
//! number of living tasks exactly, except when it is zero: then nobody is left who could raise it.
//!
//! Invariants
//! 1. A task is counted as queued before it can be run, and as run after it has queued all it queues
//!    and registered itself if it is suspended.
//! 2. `living` sums what was run first and what was queued last. With 1, and because a count is
//!    released and acquired, it never comes out lower than the number of tasks that live all along.
//! 3. A thread outside counts its task, then looks at the phase; a shutdown raises the phase, then
//!    looks at the counts. A fence stands between the two on both sides: the task is refused, or seen.

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};

/// Where a runtime is in its life. Only ever goes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Everything is allowed.
    Running = 0,
    /// Spawns from outside are refused; what is there may finish.
    Closing = 1,
    /// Every task is cancelled.
    Stopping = 2,
    /// Workers leave, whatever is left.
    Exiting = 3,
}

/// The phase, and the count of tasks queued by threads that are not workers.
#[derive(Debug)]
pub struct Gate {
    phase: AtomicU8,
    queued: AtomicU64,
}

impl Gate {
    /// The gate of a runtime that runs.
    pub fn new() -> Self {
        Gate {
            phase: AtomicU8::new(Phase::Running as u8),
            queued: AtomicU64::new(0),
        }
    }

    /// The phase.
    #[inline]
    pub fn phase(&self) -> Phase {
        // Acquire: pairs with the release in `raise`.
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Closing,
            2 => Phase::Stopping,
            _ => Phase::Exiting,
        }
    }

    /// Raises the phase. What the caller looks at next is at least as new (invariant 3).
    pub fn raise(&self, phase: Phase) {
        // AcqRel: pairs with the acquire in `phase`.
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        // SeqCst: pairs with the fence in `admit`.
        // Canary: the look at the counts may come before the phase is visible.
        #[cfg(weftwork_canary)]
        let fence = |ordering| {
            if !canary::is(Step::Of("live: fence of the shutdown")) {
                fence(ordering);
            }
        };
        fence(Ordering::SeqCst);
    }

    /// Counts a task that is about to be queued by a thread outside, whatever the phase.
    pub fn count(&self) {
        // Relaxed: released by the queue, before which it comes.
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a task that a thread outside spawned. False: the runtime has closed, it is not counted.
    #[must_use]
    pub fn admit(&self) -> bool {
        self.count();
        // SeqCst: pairs with the fence in `raise`.
        // Canary: the look at the phase may come before the count is visible.
        #[cfg(weftwork_canary)]
        let fence = |ordering| {
            if !canary::is(Step::Of("live: fence of the spawner")) {
                fence(ordering);
            }
        };
        fence(Ordering::SeqCst);
        let open = self.phase() == Phase::Running;
        if !open {
            // Relaxed: a shutdown that sees the task a moment longer looks again.
            self.queued.fetch_sub(1, Ordering::Relaxed);
        }
        open
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate::new()
    }
}

/// Adds to a count that only the calling thread writes.
#[inline]
pub fn bump(count: &AtomicU64) {
    // Canary: a run is seen, what was queued in it is not.
    #[cfg(weftwork_canary)]
    if canary::is(Step::Of("live: bump")) {
        // Relaxed: that is the canary.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        return;
    }
    // Relaxed: one writer. Release: what was counted or registered before is seen by whoever sees
    // this (partner: `living`).
    let next = count.load(Ordering::Relaxed).wrapping_add(1);
    count.store(next, Ordering::Release);
}

/// How many tasks are queued, running, parked or suspended. Exact when it is zero (invariant 2).
///
/// `workers` gives what each has queued and run.
pub fn living<'a>(
    gate: &Gate,
    workers: impl Iterator<Item = (&'a AtomicU64, &'a AtomicU64)> + Clone,
    suspended: impl FnOnce() -> u64,
) -> u64 {
    // Canary: what was queued is summed first, and what was run since is subtracted from it.
    #[cfg(weftwork_canary)]
    if canary::is(Step::Of("live: living")) {
        let queued = workers
            .clone()
            .map(|(queued, _)| queued.load(Ordering::Acquire));
        let queued = queued.sum::<u64>() + gate.queued.load(Ordering::Acquire);
        let run: u64 = workers.map(|(_, run)| run.load(Ordering::Acquire)).sum();
        return queued.saturating_sub(run) + suspended();
    }
    // Acquire, all: pairs with the release in `bump`.
    let run: u64 = workers
        .clone()
        .map(|(_, run)| run.load(Ordering::Acquire))
        .sum();
    let suspended = suspended();
    let queued: u64 = workers
        .map(|(queued, _)| queued.load(Ordering::Acquire))
        .sum();
    let queued = queued + gate.queued.load(Ordering::Acquire);
    queued.saturating_sub(run) + suspended
}

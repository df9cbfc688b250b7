//! Jobs, and what becomes of them.

use std::time::{Duration, Instant};

use weftwork::actor::Priority;

/// How often a job is tried.
pub(crate) const TRIES: u32 = 3;

/// How long a try may take.
pub(crate) const LIMIT: Duration = Duration::from_millis(50);

/// The ranks of jobs, and which of them are told to the desk with which priority.
pub(crate) const RANKS: [(&str, Priority); 3] = [
    ("express", Priority::High),
    ("normal", Priority::Normal),
    ("bulk", Priority::Low),
];

/// What a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Computes for about a tenth of a millisecond.
    Compute,
    /// Waits a millisecond for somebody else: a database, say.
    Wait,
    /// Fails at first, with an error, so many times.
    Flaky(u32),
    /// Takes down whoever touches it.
    Poison,
    /// Never ends.
    Stuck,
}

/// A job that was submitted.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) rank: usize,
    pub(crate) submitted: Instant,
    /// How long it waited until it was tried first.
    pub(crate) waited: Option<Duration>,
    /// How often it was tried and failed.
    pub(crate) failed: u32,
}

impl Work {
    /// What the job of this number is.
    pub(crate) fn of(id: u64) -> Work {
        match (id % 500, id % 25) {
            (13, _) => Work::Poison,
            (213, _) => Work::Stuck,
            (413, _) => Work::Flaky(TRIES),
            (_, 5) => Work::Flaky(1),
            (_, 15) => Work::Flaky(TRIES - 1),
            (n, _) if n % 2 == 0 => Work::Compute,
            _ => Work::Wait,
        }
    }

    /// Whether no number of tries is enough.
    pub(crate) fn is_hopeless(self) -> bool {
        match self {
            Work::Poison | Work::Stuck => true,
            Work::Flaky(times) => times >= TRIES,
            Work::Compute | Work::Wait => false,
        }
    }
}

impl Job {
    pub(crate) fn new(id: u64, rank: usize) -> Self {
        Job {
            id,
            rank,
            submitted: Instant::now(),
            waited: None,
            failed: 0,
        }
    }

    pub(crate) fn work(&self) -> Work {
        Work::of(self.id)
    }

    /// How long to wait before it is tried again: 10 ms, then twice as long each time.
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_millis(10) * 2_u32.pow(self.failed.saturating_sub(1))
    }
}

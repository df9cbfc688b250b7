//! Counts of what transactions did.
//!
//! Each log has counters that its thread alone writes, without read-modify-writes; [`stats`] adds them up. What
//! happens rarely, or outside of any log, is counted in shared ones.

use crate::reclaim::{self, Backlog};
use crate::tx::Cause;
// Outside the models: counts order nothing, and loom's cannot stand in a static.
use std::sync::atomic::AtomicU64;
use weftwork_core::sync::atomic::Ordering;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    Commit,
    ReadOnlyCommit,
    Abort,
    Locked,
    Version,
    Validation,
    Serial,
    Retry,
    Wake,
    FalseWake,
    Extension,
    Turn,
}

const KINDS: usize = Count::Turn as usize + 1;

impl From<Cause> for Count {
    fn from(cause: Cause) -> Count {
        match cause {
            Cause::Locked => Count::Locked,
            Cause::Version => Count::Version,
            Cause::Validation => Count::Validation,
            Cause::Serial => Count::Serial,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Counters {
    counts: [AtomicU64; KINDS],
    most_attempts: AtomicU64,
}

impl Counters {
    const fn new() -> Counters {
        Counters {
            counts: [const { AtomicU64::new(0) }; KINDS],
            most_attempts: AtomicU64::new(0),
        }
    }

    /// Counts one; only the thread that owns the counters calls this.
    #[inline]
    pub(crate) fn count(&self, what: Count) {
        let count = &self.counts[what as usize];
        // Relaxed: one writer, and readers want no order.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts `n`, from any thread.
    pub(crate) fn add(&self, what: Count, n: u64) {
        // Relaxed: only the sum is wanted.
        self.counts[what as usize].fetch_add(n, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn attempts(&self, attempts: u32) {
        let attempts = u64::from(attempts);
        // Relaxed: only the value is wanted.
        if attempts > self.most_attempts.load(Ordering::Relaxed) {
            self.most_attempts.fetch_max(attempts, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Counts {
        // Relaxed: only the values are wanted.
        let get = |what: Count| self.counts[what as usize].load(Ordering::Relaxed);
        Counts {
            commits: get(Count::Commit),
            read_only_commits: get(Count::ReadOnlyCommit),
            aborts: get(Count::Abort),
            conflicts: Conflicts {
                locked: get(Count::Locked),
                version: get(Count::Version),
                validation: get(Count::Validation),
                serial: get(Count::Serial),
            },
            retries: get(Count::Retry),
            wakes: get(Count::Wake),
            false_wakes: get(Count::FalseWake),
            extensions: get(Count::Extension),
            serial_turns: get(Count::Turn),
            most_attempts: self.most_attempts.load(Ordering::Relaxed),
        }
    }
}

/// How often transactions ran into others, by what it was about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflicts {
    /// Another commit was writing a variable that this one wanted to write.
    pub locked: u64,
    /// A variable was newer than what had been read before, and that had changed.
    pub version: u64,
    /// At the commit, something that had been read was changed.
    pub validation: u64,
    /// Another transaction ran alone.
    pub serial: u64,
}

/// What transactions did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Commits that wrote something. [`TVar::store`](crate::TVar::store) does not count.
    pub commits: u64,
    /// Commits that only read.
    pub read_only_commits: u64,
    /// Transactions that their bodies [aborted](crate::abort()).
    pub aborts: u64,
    /// Attempts that ran into others.
    pub conflicts: Conflicts,
    /// How often a transaction went to sleep because it [retried](crate::Tx::retry).
    pub retries: u64,
    /// How many sleepers commits have woken. Not told by name.
    pub wakes: u64,
    /// How often a transaction went back to sleep without having committed.
    pub false_wakes: u64,
    /// How often the state that is read was moved forward, instead of starting again.
    pub extensions: u64,
    /// How often a transaction ran alone.
    pub serial_turns: u64,
    /// The most attempts that one transaction took.
    pub most_attempts: u64,
}

impl Counts {
    #[cfg(not(weftwork_loom))]
    fn add(&mut self, other: &Counts) {
        self.commits += other.commits;
        self.read_only_commits += other.read_only_commits;
        self.aborts += other.aborts;
        self.conflicts.locked += other.conflicts.locked;
        self.conflicts.version += other.conflicts.version;
        self.conflicts.validation += other.conflicts.validation;
        self.conflicts.serial += other.conflicts.serial;
        self.retries += other.retries;
        self.wakes += other.wakes;
        self.false_wakes += other.false_wakes;
        self.extensions += other.extensions;
        self.serial_turns += other.serial_turns;
        self.most_attempts = self.most_attempts.max(other.most_attempts);
    }
}

/// What transactions did since the start of the process: see [`stats`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// Of all transactions.
    pub total: Counts,
    /// Of those that have a name, by name: see [`named`](crate::named).
    pub named: Vec<(&'static str, Counts)>,
    /// What waits for its memory to be given back.
    pub backlog: Backlog,
}

/// Says what transactions did since the start of the process.
///
/// Threads go on meanwhile: the counts need not be of one instant. It holds up nobody who transacts.
///
/// ```
/// use weftwork_stm::{TVar, atomically, stats};
///
/// let before = stats().total.commits;
/// atomically(|tx| TVar::new(0).set(tx, 1));
/// assert!(stats().total.commits > before);
/// ```
#[must_use]
pub fn stats() -> Stats {
    let (total, named) = registry::read();
    Stats {
        total,
        named,
        backlog: reclaim::backlog(),
    }
}

pub(crate) use registry::{named, register, shared};

/// The counters of one log. They count on when it is gone.
#[derive(Debug)]
pub(crate) struct Registered(registry::Handle);

impl Default for Registered {
    fn default() -> Registered {
        Registered(register())
    }
}

impl std::ops::Deref for Registered {
    type Target = Counters;

    #[inline]
    fn deref(&self) -> &Counters {
        &self.0
    }
}

#[cfg(not(weftwork_loom))]
mod registry {
    use super::{Counters, Counts};
    use std::sync::Arc;
    use weftwork_core::sync::Mutex;

    pub(super) type Handle = Arc<Counters>;

    struct Registry {
        logs: Vec<Arc<Counters>>,
        /// Of logs that are gone.
        past: Counts,
        named: Vec<(&'static str, &'static Counters)>,
    }

    static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
        logs: Vec::new(),
        past: Counts {
            commits: 0,
            read_only_commits: 0,
            aborts: 0,
            conflicts: super::Conflicts {
                locked: 0,
                version: 0,
                validation: 0,
                serial: 0,
            },
            retries: 0,
            wakes: 0,
            false_wakes: 0,
            extensions: 0,
            serial_turns: 0,
            most_attempts: 0,
        },
        named: Vec::new(),
    });

    static SHARED: Counters = Counters::new();

    pub(crate) fn register() -> Handle {
        let counters = Arc::new(Counters::new());
        let mut registry = REGISTRY.lock();
        let registry = &mut *registry;
        let past = &mut registry.past;
        registry.logs.retain(|log| {
            // The log is gone when nobody else has its counters.
            let is_alive = Arc::strong_count(log) > 1;
            if !is_alive {
                past.add(&log.read());
            }
            is_alive
        });
        registry.logs.push(Arc::clone(&counters));
        counters
    }

    /// The counters of what happens outside of any log.
    pub(crate) fn shared() -> &'static Counters {
        &SHARED
    }

    /// The counters of the transactions of this name.
    pub(crate) fn named(name: &'static str) -> &'static Counters {
        let mut registry = REGISTRY.lock();
        let known = registry.named.iter().find(|(known, _)| *known == name);
        if let Some((_, counters)) = known {
            return counters;
        }
        let counters = Box::leak(Box::new(Counters::new()));
        registry.named.push((name, counters));
        counters
    }

    pub(super) fn read() -> (Counts, Vec<(&'static str, Counts)>) {
        let registry = REGISTRY.lock();
        let mut total = registry.past;
        total.add(&SHARED.read());
        for log in &registry.logs {
            total.add(&log.read());
        }
        let named = registry.named.iter();
        (total, named.map(|(name, c)| (*name, c.read())).collect())
    }
}

/// A model makes a log for each transaction: nothing is added up.
#[cfg(weftwork_loom)]
mod registry {
    use super::{Counters, Counts};

    pub(super) type Handle = Box<Counters>;

    static SHARED: Counters = Counters::new();

    pub(crate) fn register() -> Handle {
        Box::new(Counters::new())
    }

    pub(crate) fn shared() -> &'static Counters {
        &SHARED
    }

    pub(crate) fn named(_: &'static str) -> &'static Counters {
        &SHARED
    }

    pub(super) fn read() -> (Counts, Vec<(&'static str, Counts)>) {
        (SHARED.read(), Vec::new())
    }
}

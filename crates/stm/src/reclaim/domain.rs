//! What the participants share: epochs, free memory, and what dead threads have left.
//!
//! A program has one domain, [`Domain::global`]. Models and tests make their own, so that they are
//! not held up by each other's pins.

use super::epoch::Epochs;
use super::limbo::{Limbo, Retired};
use super::pool::{self, Depot};
use super::{Backlog, const_unless_modelled};
use std::mem;
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};

/// Participants that reclaim for one another.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(super) epochs: Epochs,
    pub(super) depot: Depot,
    orphans: Orphans,
}

impl Domain {
    const_unless_modelled! {
        pub(crate) fn new() -> Self {
            Domain {
                epochs: Epochs::new(),
                depot: Depot::new(),
                orphans: Orphans {
                    len: AtomicUsize::new(0),
                    limbos: Mutex::new(Vec::new()),
                },
            }
        }
    }

    /// Takes over what a thread that dies has retired.
    pub(super) fn adopt(&self, limbo: Limbo) {
        if limbo.len() > 0 {
            let mut orphans = self.orphans.limbos.lock();
            // Relaxed: a hint; the limbos are under the lock.
            self.orphans.len.fetch_add(limbo.len(), Ordering::Relaxed);
            orphans.push(limbo);
        }
    }

    /// Whether dead threads have left anything, as far as seen.
    #[inline]
    pub(super) fn has_orphans(&self) -> bool {
        // Relaxed: a hint; whoever sees it late looks again at his next collection.
        self.orphans.len.load(Ordering::Relaxed) != 0
    }

    /// Moves what dead threads have left, and nobody can hold in the epoch `now`, to `ready`.
    pub(super) fn take_orphans(&self, now: u64, ready: &mut Vec<Retired>) {
        let mut orphans = self.orphans.limbos.lock();
        #[cfg(weftwork_canary)]
        let now = if weftwork_core::canary::is(weftwork_core::canary::Step::Of("reclaim: orphans"))
        {
            u64::MAX
        } else {
            now
        };
        let before = ready.len();
        orphans.retain_mut(|limbo| {
            ready.extend(std::iter::from_fn(|| limbo.pop(now)));
            limbo.len() > 0
        });
        // Relaxed: a hint, as in `adopt`.
        self.orphans
            .len
            .fetch_sub(ready.len() - before, Ordering::Relaxed);
    }

    /// Counts what waits.
    pub(crate) fn backlog(&self) -> Backlog {
        let (nodes, participants, epochs_behind) = self.epochs.survey();
        Backlog {
            // Relaxed: only reported.
            nodes: nodes + self.orphans.len.load(Ordering::Relaxed),
            pool_bytes: self.depot.reserved(),
            epochs_behind,
            stalled_for: self.epochs.refused_for(),
            participants,
        }
    }
}

/// The limbos of threads that have ended.
#[derive(Debug)]
struct Orphans {
    /// The number of nodes in them, for a look without the lock.
    len: AtomicUsize,
    limbos: Mutex<Vec<Limbo>>,
}

impl Drop for Domain {
    fn drop(&mut self) {
        if super::is_failed_model() {
            return;
        }
        // Nobody takes part any more, so nobody holds a node.
        let mut orphans = mem::take(&mut *self.orphans.limbos.lock());
        let nodes = orphans
            .iter_mut()
            .flat_map(|limbo| std::iter::from_fn(|| limbo.pop(u64::MAX)));
        for node in nodes {
            // SAFETY: the promise of whoever retired it, which is not called for a second time.
            let layout = unsafe { (node.reclaim)(node.ptr) };
            if !pool::is_pooled(layout) {
                // SAFETY: as above: the node had this layout. Pooled ones go with the depot's slabs.
                unsafe { pool::to_system(node.ptr, layout) };
            }
        }
    }
}

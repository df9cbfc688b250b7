//! What the participants share: epochs, free memory, and what dead threads have left.
//!
//! A program has one domain, [`Domain::global`]. Models and tests make their own, so that they are
//! not held up by each other's pins.

use super::epoch::Epochs;
use super::limbo::{Retired, is_ripe};
use super::pool::{self, Depot};
use super::{Backlog, const_unless_modelled};
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
                    nodes: Mutex::new(Vec::new()),
                },
            }
        }
    }

    /// Takes over what a thread that dies has retired.
    pub(super) fn adopt(&self, nodes: impl Iterator<Item = (u64, Retired)>) {
        let mut nodes = nodes.peekable();
        if nodes.peek().is_some() {
            let mut orphans = self.orphans.nodes.lock();
            orphans.extend(nodes);
            // Relaxed: a hint; the list is under the lock.
            self.orphans.len.store(orphans.len(), Ordering::Relaxed);
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
        let mut orphans = self.orphans.nodes.lock();
        #[cfg(weftwork_canary)]
        let now = if weftwork_core::canary::is(weftwork_core::canary::Step::Of("reclaim: orphans"))
        {
            u64::MAX
        } else {
            now
        };
        let ripe = orphans.extract_if(.., |(epoch, _)| is_ripe(*epoch, now));
        ready.extend(ripe.map(|(_, node)| node));
        if orphans.is_empty() {
            *orphans = Vec::new();
        }
        // Relaxed: a hint, as in `adopt`.
        self.orphans.len.store(orphans.len(), Ordering::Relaxed);
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

/// Retired nodes of threads that have ended, each with its retirer's epoch.
#[derive(Debug)]
struct Orphans {
    /// Their number, for a look without the lock.
    len: AtomicUsize,
    nodes: Mutex<Vec<(u64, Retired)>>,
}

impl Drop for Domain {
    fn drop(&mut self) {
        if super::is_failed_model() {
            return;
        }
        // Nobody takes part any more, so nobody holds a node.
        for (_, node) in std::mem::take(&mut *self.orphans.nodes.lock()) {
            // SAFETY: the promise of whoever retired it, which is not called for a second time.
            let layout = unsafe { (node.reclaim)(node.ptr) };
            if !pool::is_pooled(layout) {
                // SAFETY: as above: the node had this layout. Pooled ones go with the depot's slabs.
                unsafe { pool::to_system(node.ptr, layout) };
            }
        }
    }
}

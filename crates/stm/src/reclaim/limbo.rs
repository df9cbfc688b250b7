//! Retired nodes of one thread, oldest first, each with the epoch in which its retirer was pinned.
//!
//! A thread's epochs do not go back, so nodes of one epoch lie side by side, and the epoch is kept
//! once for each such run. Entries are outside of the nodes, because a node that is in limbo may
//! still be read, whole.

use super::epoch::GRACE;
use std::alloc::Layout;
use std::collections::VecDeque;
use std::ptr::NonNull;

/// Drops the value of a node and says what memory to give back.
pub(super) type Reclaim = unsafe fn(NonNull<u8>) -> Layout;

/// A node that nobody can find any more.
#[derive(Debug)]
pub(super) struct Retired {
    pub(super) ptr: NonNull<u8>,
    pub(super) reclaim: Reclaim,
}

// SAFETY: `ptr` is what takes it away; whoever retires promises that `reclaim` may be called on any
// thread, and nothing else is done with it.
unsafe impl Send for Retired {}

/// Capacity, in nodes, above which an emptied limbo gives its memory back.
const KEPT: usize = 4096;

/// A queue of retired nodes.
#[derive(Debug)]
pub(super) struct Limbo {
    nodes: VecDeque<Retired>,
    /// Epoch and number of nodes of each run before the newest.
    runs: VecDeque<(u64, usize)>,
    /// The newest run.
    open: (u64, usize),
}

impl Limbo {
    pub(super) fn new() -> Self {
        Limbo {
            nodes: VecDeque::new(),
            runs: VecDeque::new(),
            open: (0, 0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a node that was retired in `epoch`, which is not before that of the last one.
    #[inline]
    pub(super) fn push(&mut self, epoch: u64, node: Retired) {
        if self.open.0 != epoch {
            self.close(epoch);
        }
        self.open.1 += 1;
        self.nodes.push_back(node);
    }

    #[cold]
    fn close(&mut self, epoch: u64) {
        debug_assert!(self.open.0 < epoch, "epochs do not go back");
        if self.open.1 > 0 {
            self.runs.push_back(self.open);
        }
        self.open = (epoch, 0);
    }

    /// Takes the oldest node out if its time has come by the epoch `now`.
    #[inline]
    pub(super) fn pop(&mut self, now: u64) -> Option<Retired> {
        let run = match self.runs.front_mut() {
            Some(run) => run,
            None => &mut self.open,
        };
        if run.1 == 0 || !is_ripe(run.0, now) {
            return None;
        }
        run.1 -= 1;
        if run.1 == 0 && !self.runs.is_empty() {
            self.runs.pop_front();
        }
        let node = self.nodes.pop_front();
        if self.nodes.is_empty() && self.nodes.capacity() > KEPT {
            self.nodes = VecDeque::new();
        }
        node
    }
}

/// Whether what was retired in `epoch` may be reclaimed in the epoch `now`.
#[inline]
fn is_ripe(epoch: u64, now: u64) -> bool {
    #[cfg(weftwork_canary)]
    if weftwork_core::canary::is(weftwork_core::canary::Step::Of("reclaim: grace")) {
        return epoch + GRACE - 1 <= now;
    }
    epoch + GRACE <= now
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    fn node(n: usize) -> Retired {
        unsafe fn nothing(_: NonNull<u8>) -> Layout {
            Layout::new::<u8>()
        }
        Retired {
            ptr: NonNull::new(std::ptr::without_provenance_mut(n)).unwrap(),
            reclaim: nothing,
        }
    }

    fn pop(limbo: &mut Limbo, now: u64) -> Option<usize> {
        limbo.pop(now).map(|node| node.ptr.addr().get())
    }

    #[test]
    fn nodes_come_out_in_order_and_not_before_their_time() {
        let mut limbo = Limbo::new();
        for (epoch, n) in [(0, 1), (0, 2), (1, 3), (4, 4)] {
            limbo.push(epoch, node(n));
        }
        assert_eq!(pop(&mut limbo, 2), None);
        assert_eq!(pop(&mut limbo, 3), Some(1));
        assert_eq!(pop(&mut limbo, 3), Some(2));
        assert_eq!(pop(&mut limbo, 3), None);
        assert_eq!(pop(&mut limbo, 6), Some(3));
        assert_eq!(pop(&mut limbo, 6), None);
        limbo.push(7, node(5));
        assert_eq!(pop(&mut limbo, 7), Some(4));
        assert_eq!(pop(&mut limbo, 9), None);
        assert_eq!(pop(&mut limbo, 10), Some(5));
        assert_eq!((pop(&mut limbo, 99), limbo.len()), (None, 0));
    }

    #[test]
    fn the_memory_of_a_long_backlog_is_given_back() {
        let mut limbo = Limbo::new();
        (1..=3 * KEPT).for_each(|n| limbo.push(0, node(n)));
        while pop(&mut limbo, GRACE).is_some() {}
        assert!(limbo.nodes.capacity() <= KEPT);
    }
}

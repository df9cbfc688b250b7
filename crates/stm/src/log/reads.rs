//! What an attempt has read: which node of which variable.
//!
//! A variable that is read twice stands here twice: that is cheaper than to look it up, and it is the same
//! node both times.

use crate::node::NodeRef;
use crate::var::inner::VarRef;
use weftwork_core::sync::cell::UnsafeCell;

/// Up to this many reads, doubles are found by comparing each with each.
const FEW: usize = 16;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    pub(crate) var: VarRef,
    pub(crate) node: NodeRef,
}

/// Invariant: each access to the vector ends before the method returns, and none calls code of others. The
/// type is not `Sync`, so no two accesses overlap.
#[derive(Default)]
pub(crate) struct Reads(UnsafeCell<Vec<Read>>);

impl Reads {
    #[inline]
    pub(crate) fn push(&self, var: VarRef, node: NodeRef) {
        // SAFETY: the only access, by the invariant.
        self.0
            .with_mut(|reads| unsafe { (*reads).push(Read { var, node }) });
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the only access, by the invariant.
        self.0.with(|reads| unsafe { (*reads).len() })
    }

    /// Whether `holds` of the variables that were read, each once. It must not touch the log of the reads.
    pub(crate) fn all_distinct(&self, mut holds: impl FnMut(&Read) -> bool) -> bool {
        self.0.with(|reads| {
            // SAFETY: the only access, by the invariant: `holds` is code of this crate that keeps its promise.
            let reads: &[Read] = unsafe { &*reads };
            if reads.len() > FEW {
                let mut distinct = reads.to_vec();
                distinct.sort_unstable_by_key(|read| read.var);
                distinct.dedup_by_key(|read| read.var);
                return distinct.iter().all(holds);
            }
            // In the order of reading, which is the same each time a model runs, as addresses are not.
            let is_new = |n: usize| reads[..n].iter().all(|other| other.var != reads[n].var);
            (0..reads.len()).all(|n| !is_new(n) || holds(&reads[n]))
        })
    }

    /// Whether `holds` of all reads. It must not touch the log of the reads.
    #[inline]
    pub(super) fn all(&self, holds: impl FnMut(&Read) -> bool) -> bool {
        // SAFETY: the only access, by the invariant: `holds` is code of this crate that keeps its promise.
        self.0.with(|reads| unsafe { (*reads).iter().all(holds) })
    }

    #[inline]
    pub(crate) fn clear(&self) {
        // SAFETY: the only access, by the invariant.
        self.0.with_mut(|reads| unsafe { (*reads).clear() });
    }
}

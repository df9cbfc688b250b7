//! Changes that are computed at the commit, of whatever the newest value is then.
//!
//! Two transactions that add to one counter need not conflict: neither has to know what the counter was. So a
//! commuting change reads nothing. It is kept as a closure, which the commit applies to the newest value when
//! it has the lock.
//!
//! Invariants
//! 1. No variable has a private node and a pending change: a read or write of the variable applies or drops
//!    the changes first, and a change after that is an update like any other.
//! 2. A read or write that concerns changes from outside the innermost savepoint could not be rolled back. The
//!    attempt starts again then, with all commuting changes made at once, as updates.

use crate::error::Stm;
use crate::node::{Fresh, NodeRef};
use crate::tx::{Fate, Tx};
use crate::var::inner::VarRef;

/// A change of a variable: makes a new node of the node that is there.
pub(crate) type Change = Box<dyn FnOnce(NodeRef) -> Fresh>;

/// A change that waits for the commit.
pub(crate) struct Commute {
    pub(crate) var: VarRef,
    pub(crate) change: Change,
}

impl Tx {
    /// Whether the attempt makes commuting changes at once.
    #[inline]
    pub(crate) fn is_eager(&self) -> bool {
        self.is_eager
    }

    /// Keeps a change for the commit.
    pub(crate) fn add_commute(&self, var: VarRef, change: Change) {
        self.log.is_rich.set(true);
        self.log.note(var);
        self.log.commutes.borrow_mut().push(Commute { var, change });
    }

    /// Takes out the changes that wait for `var`, in order.
    fn take_commutes(&self, var: VarRef) -> Stm<Vec<Commute>> {
        let mut commutes = self.log.commutes.borrow_mut();
        let Some(first) = commutes.iter().position(|commute| commute.var == var) else {
            return Ok(Vec::new());
        };
        if first < self.log.floor_of_commutes.get() {
            drop(commutes);
            return Err(self.stop(Fate::Eager));
        }
        Ok(commutes
            .extract_if(.., |commute| commute.var == var)
            .collect())
    }

    /// Applies the changes that wait for `var`, whose node is `node`; the node then.
    #[cold]
    pub(crate) fn apply_commutes(&self, var: VarRef, node: NodeRef) -> Stm<NodeRef> {
        let mut node = node;
        for commute in self.take_commutes(var)? {
            let fresh = (commute.change)(node);
            node = fresh.node();
            self.log.write(var, fresh);
        }
        Ok(node)
    }

    /// Drops the changes that wait for `var`, which is being written.
    #[cold]
    pub(crate) fn drop_commutes(&self, var: VarRef) -> Stm<()> {
        self.take_commutes(var).map(drop)
    }

    /// Whether changes wait for `var`.
    #[inline]
    pub(crate) fn has_commutes(&self, var: VarRef) -> bool {
        self.log.is_rich.get() && self.log.commutes.borrow().iter().any(|c| c.var == var)
    }
}

//! What an attempt has done so far. Private to it, and thrown away with it.
//!
//! Invariants
//! 1. No part of the log is borrowed while code of users runs: not their closures, clones or drops. Commuting
//!    closures are the exception; they have no way to the log.
//! 2. The pointers in it are valid while the attempt is pinned, and are gone when it is not.
//! 3. The memory is the thread's: the next attempt and the next transaction use it again.
//! 4. Unless `is_rich`, all parts but reads and writes are empty.

pub(crate) mod reads;
pub(crate) mod writes;

use crate::commute::Commute;
use crate::node::{Fresh, NodeRef};
use crate::rhythm::Rhythm;
use crate::stats::Registered;
use crate::var::inner::VarRef;
use crate::waiting::Source;
use reads::Reads;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use weftwork_core::sync::cell::UnsafeCell;
use writes::Writes;

pub(crate) use reads::Read;

/// Code of the user that runs when the transaction is over.
pub(crate) type Hook = Box<dyn FnOnce()>;

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) reads: Reads,
    /// Accessed in short closures that do not nest (invariant 1). The type is not `Sync`.
    writes: UnsafeCell<Writes>,
    /// Whether any of the rarer parts below is in use.
    pub(crate) is_rich: Cell<bool>,
    /// As `writes`, with keys that are no variables.
    locals: UnsafeCell<Writes>,
    pub(crate) commutes: RefCell<Vec<Commute>>,
    /// Commutes below it were there when the last savepoint was made.
    pub(crate) floor_of_commutes: Cell<usize>,
    pub(crate) on_commit: RefCell<Vec<Hook>>,
    pub(crate) on_abort: RefCell<Vec<Hook>>,
    /// Hooks of branches that were rolled back.
    pub(crate) undone: RefCell<Vec<Hook>>,
    /// What else a retry waits for.
    pub(crate) sources: RefCell<Vec<Arc<dyn Source>>>,
    /// Addresses of variables that the commit has written, and that somebody waits for. Taken out at its end.
    pub(crate) wakes: Cell<Vec<usize>>,
    pub(crate) counters: Registered,
    /// The latest time that the thread has seen. Not cleared.
    pub(crate) time: Cell<u64>,
    /// How commits get their stamps. Not cleared.
    pub(crate) rhythm: Rhythm,
}

/// A point that the log can be rolled back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Savepoint {
    writes: writes::Mark,
    locals: writes::Mark,
    commutes: usize,
    floor_of_commutes: usize,
    on_commit: usize,
    on_abort: usize,
}

impl Log {
    /// Calls `f`, which is of this crate and does nothing but work on the writes.
    #[inline]
    fn writes<R>(&self, f: impl FnOnce(&mut Writes) -> R) -> R {
        // SAFETY: the only access: closures do not nest, and other threads have no access.
        self.writes.with_mut(|writes| f(unsafe { &mut *writes }))
    }

    /// As [`writes`](Self::writes).
    #[inline]
    fn locals<R>(&self, f: impl FnOnce(&mut Writes) -> R) -> R {
        // SAFETY: as for the writes.
        self.locals.with_mut(|locals| f(unsafe { &mut *locals }))
    }

    #[inline]
    pub(crate) fn may_have_written(&self, var: VarRef) -> bool {
        self.writes(|writes| writes.may_have(var))
    }

    /// Makes [`may_have_written`](Self::may_have_written) say yes for `var`.
    pub(crate) fn note(&self, var: VarRef) {
        self.writes(|writes| writes.note(var));
    }

    #[inline]
    pub(crate) fn written(&self, var: VarRef) -> Option<NodeRef> {
        self.writes(|writes| writes.node(var))
    }

    #[inline]
    pub(crate) fn write(&self, var: VarRef, fresh: Fresh) {
        self.writes(|writes| writes.put(var, fresh));
    }

    pub(crate) fn local(&self, key: VarRef) -> Option<NodeRef> {
        self.locals(|locals| locals.node(key))
    }

    pub(crate) fn set_local(&self, key: VarRef, fresh: Fresh) {
        self.is_rich.set(true);
        self.locals(|locals| locals.put(key, fresh));
    }

    /// Whether this attempt has written nothing, and has no commuting changes.
    #[inline]
    pub(crate) fn is_unwritten(&self) -> bool {
        self.writes(|writes| writes.is_unused())
    }

    /// The writes, for the commit, which runs after the body.
    #[inline]
    pub(crate) fn with_writes<R>(&self, f: impl FnOnce(&mut Writes) -> R) -> R {
        self.writes(f)
    }

    /// Whether `holds` of all that was read.
    #[inline]
    pub(crate) fn all_reads(&self, holds: impl FnMut(&Read) -> bool) -> bool {
        self.reads.all(holds)
    }

    pub(crate) fn savepoint(&self) -> Savepoint {
        let commutes = self.commutes.borrow().len();
        Savepoint {
            writes: self.writes(Writes::mark),
            locals: self.locals(Writes::mark),
            commutes,
            floor_of_commutes: self.floor_of_commutes.replace(commutes),
            on_commit: self.on_commit.borrow().len(),
            on_abort: self.on_abort.borrow().len(),
        }
    }

    pub(crate) fn keep(&self, savepoint: Savepoint) {
        self.writes(|writes| writes.keep(savepoint.writes));
        self.locals(|locals| locals.keep(savepoint.locals));
        self.floor_of_commutes.set(savepoint.floor_of_commutes);
    }

    /// Takes back all since the savepoint, except what was read or is waited for.
    pub(crate) fn roll_back(&self, savepoint: Savepoint) {
        self.writes(|writes| writes.roll_back(savepoint.writes));
        self.locals(|locals| locals.roll_back(savepoint.locals));
        self.floor_of_commutes.set(savepoint.floor_of_commutes);
        if self.is_rich.get() {
            self.roll_back_rich(savepoint);
        }
    }

    #[cold]
    fn roll_back_rich(&self, savepoint: Savepoint) {
        let mut undone = self.undone.borrow_mut();
        undone.extend(self.on_abort.borrow_mut().drain(savepoint.on_abort..));
        drop(undone);
        // Closures are dropped one by one, when nothing is borrowed: they may own anything.
        drop_above(&self.on_commit, savepoint.on_commit);
        drop_above(&self.commutes, savepoint.commutes);
    }

    /// Forgets all, value by value: their drops are code of users.
    #[inline]
    pub(crate) fn clear(&self) {
        self.reads.clear();
        if !self.is_unwritten() {
            self.clear_writes();
        }
        if self.is_rich.get() {
            self.clear_rich();
        }
    }

    fn clear_writes(&self) {
        while let Some(fresh) = self.writes(Writes::pop_private) {
            drop(fresh);
        }
    }

    #[cold]
    fn clear_rich(&self) {
        while let Some(fresh) = self.locals(Writes::pop_private) {
            drop(fresh);
        }
        self.floor_of_commutes.set(0);
        drop_above(&self.commutes, 0);
        drop_above(&self.on_commit, 0);
        drop_above(&self.on_abort, 0);
        drop_above(&self.undone, 0);
        drop_above(&self.sources, 0);
        self.is_rich.set(false);
    }
}

/// Drops the items from `length` on, while nothing is borrowed.
fn drop_above<T>(items: &RefCell<Vec<T>>, length: usize) {
    while items.borrow().len() > length {
        let item = items.borrow_mut().pop();
        drop(item);
    }
}

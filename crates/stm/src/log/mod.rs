//! What an attempt has done so far. Private to it, and thrown away with it.
//!
//! Invariants
//! 1. No part of the log is borrowed while code of users runs: not their closures, clones or drops.
//! 2. The pointers in it are valid while the attempt is pinned, and are gone when it is not.
//! 3. The memory is the thread's: the next attempt and the next transaction use it again.

pub(crate) mod reads;
pub(crate) mod writes;

use crate::node::{Fresh, Header};
use crate::var::inner::Inner;
use reads::Reads;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
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
    pub(crate) on_commit: RefCell<Vec<Hook>>,
    pub(crate) on_abort: RefCell<Vec<Hook>>,
    /// Hooks of branches that were rolled back.
    pub(crate) undone: RefCell<Vec<Hook>>,
}

/// A point that the log can be rolled back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Savepoint {
    writes: writes::Mark,
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

    #[inline]
    pub(crate) fn may_have_written(&self, var: NonNull<Inner>) -> bool {
        self.writes(|writes| writes.may_have(var))
    }

    #[inline]
    pub(crate) fn written(&self, var: NonNull<Inner>) -> Option<NonNull<Header>> {
        self.writes(|writes| writes.node(var))
    }

    #[inline]
    pub(crate) fn write(&self, var: NonNull<Inner>, fresh: Fresh) {
        self.writes(|writes| writes.put(var, fresh));
    }

    #[inline]
    pub(crate) fn is_read_only(&self) -> bool {
        self.writes(|writes| writes.is_empty())
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
        Savepoint {
            writes: self.writes(Writes::mark),
            on_commit: self.on_commit.borrow().len(),
            on_abort: self.on_abort.borrow().len(),
        }
    }

    pub(crate) fn keep(&self, savepoint: Savepoint) {
        self.writes(|writes| writes.keep(savepoint.writes));
    }

    /// Takes back all since the savepoint, except what was read.
    pub(crate) fn roll_back(&self, savepoint: Savepoint) {
        self.writes(|writes| writes.roll_back(savepoint.writes));
        let mut undone = self.undone.borrow_mut();
        undone.extend(self.on_abort.borrow_mut().drain(savepoint.on_abort..));
        drop(undone);
        while self.on_commit.borrow().len() > savepoint.on_commit {
            // Dropped without a borrow: it may be anything.
            let hook = self.on_commit.borrow_mut().pop();
            drop(hook);
        }
    }

    /// Forgets all, value by value: their drops are code of users.
    #[inline]
    pub(crate) fn clear(&self) {
        self.reads.clear();
        while let Some(fresh) = self.writes(Writes::pop_private) {
            drop(fresh);
        }
        if self.is_rich.get() {
            self.clear_rich();
        }
    }

    #[cold]
    fn clear_rich(&self) {
        self.is_rich.set(false);
        for hooks in [&self.on_commit, &self.on_abort, &self.undone] {
            let hooks = hooks.take();
            drop(hooks);
        }
    }
}

//! What all handles of a variable point to: the word that leads to its newest node.
//!
//! The word is the address of a node and two flags.
//!
//! | flag | set by | cleared by |
//! | --- | --- | --- |
//! | `LOCK` | a committer, by a compare-and-swap that expects it clear | the same committer, by a store |
//! | `WAIT` | a transaction about to sleep, by a compare-and-swap on an unlocked word | the next publication |
//!
//! Invariants
//! 1. While `LOCK` is set, only its owner writes the word.
//! 2. `WAIT` is never set on a locked word. So a committer has seen every waiter of the node that it
//!    replaces when it takes the lock, and may publish and unlock with a plain store.
//! 3. The memory stays until nobody is pinned that could have met it through a handle: the last handle
//!    retires it. A [`VarRef`] is made from a handle, and used only while that handle exists, or by whoever has
//!    been pinned since.

use crate::canary::is_weak;
use crate::node::{self, Dispose, Fresh, Header, NodeRef};
use crate::reclaim::{self, Pin};
use std::alloc::Layout;
use std::ops::Deref;
use std::ptr::NonNull;
use weftwork_core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use weftwork_core::sync::{hint, sized, thread};

const LOCK: usize = 1;
const WAIT: usize = 2;

/// How often a reader looks again at a locked word before it lets other threads run.
const SPINS: usize = sized(64, 0);

#[derive(Debug)]
pub(crate) struct Inner {
    head: AtomicPtr<Header>,
    handles: AtomicUsize,
}

/// The word of a variable, as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(*mut Header);

impl Word {
    #[inline]
    pub(crate) fn is_locked(self) -> bool {
        self.0.addr() & LOCK != 0
    }

    #[inline]
    pub(crate) fn has_waiters(self) -> bool {
        self.0.addr() & WAIT != 0
    }

    /// The node, whatever the flags. For whoever is pinned since it saw the word.
    #[inline]
    pub(crate) fn node(self) -> NodeRef {
        let node = self.0.map_addr(|address| address & !(LOCK | WAIT));
        debug_assert!(!node.is_null());
        // SAFETY: a variable has a node from its beginning, and every word stored is made of one. The caller
        // is pinned.
        unsafe { NodeRef::new(NonNull::new_unchecked(node)) }
    }

    /// Whether this is `node`, unlocked.
    #[inline]
    pub(crate) fn is(self, node: NodeRef) -> bool {
        self.0.map_addr(|address| address & !WAIT) == node.as_ptr()
    }
}

/// A variable, by its address (invariant 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VarRef(NonNull<Inner>);

impl VarRef {
    /// # Safety
    /// `inner` is a variable, and the result is used as invariant 3 has it.
    #[inline]
    pub(crate) unsafe fn new(inner: NonNull<Inner>) -> VarRef {
        VarRef(inner)
    }

    /// What sleepers are entered under.
    #[inline]
    pub(crate) fn address(self) -> usize {
        self.0.addr().get()
    }

    /// Replaces the node, which `found` leads to, and unlocks the variable. Whether somebody waits for that.
    ///
    /// For whoever has locked it, and has ticked since: `now` is that tick.
    #[inline]
    pub(crate) fn replace(self, pin: &Pin, found: Word, fresh: Fresh, now: u64) -> bool {
        let old = found.node();
        debug_assert!(old.version() < now, "versions grow");
        let dispose = fresh.dispose();
        let node = fresh.publish(now, Some(old));
        // Release: pairs with `look`; the node's value and stamp were written before.
        let order = if is_weak("stm: publication") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.head.store(node.as_ptr(), order);
        let old = NonNull::new(old.as_ptr()).expect("a node");
        // SAFETY: it was replaced just now, by us alone, who had the lock: so it is retired once, and nobody
        // finds it in the variable. Who pins and cuts from now on gets a time that is not behind `now`, so does
        // not follow the new node's `previous`. The nodes of one variable are of one type, `dispose`'s.
        unsafe { reclaim::retire(pin, old.cast(), dispose) };
        found.has_waiters()
    }
}

impl Deref for VarRef {
    type Target = Inner;

    #[inline]
    fn deref(&self) -> &Inner {
        // SAFETY: it is alive (invariant 3).
        unsafe { self.0.as_ref() }
    }
}

impl Inner {
    /// Makes what the first handle points to.
    pub(crate) fn allocate(first: Fresh) -> NonNull<Inner> {
        let inner = reclaim::allocate(Layout::new::<Inner>()).cast::<Inner>();
        let node = first.publish(0, None);
        // SAFETY: the memory is of this layout, and ours alone.
        unsafe {
            inner.write(Inner {
                head: AtomicPtr::new(node.as_ptr()),
                handles: AtomicUsize::new(1),
            });
        }
        inner
    }

    #[inline]
    pub(crate) fn look(&self) -> Word {
        // Acquire: pairs with `VarRef::replace`, whose node is read next. SeqCst: in one order with the locks and
        // the clock, see there.
        Word(self.head.load(Ordering::SeqCst))
    }

    /// Waits until nobody holds the lock. Committers hold it for some ten nanoseconds, unless the system
    /// takes their processor away.
    #[cold]
    #[cfg_attr(
        weftwork_loom,
        allow(clippy::absurd_extreme_comparisons, reason = "models do not spin")
    )]
    pub(crate) fn look_unlocked(&self) -> Word {
        let mut spins = 0;
        loop {
            let word = self.look();
            if !word.is_locked() {
                return word;
            }
            if spins < SPINS {
                spins += 1;
                hint::spin_loop();
            } else {
                crate::current::assert_owns_no_lock();
                thread::yield_now();
            }
        }
    }

    /// Takes the lock, if it is free; the word before.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Word> {
        let mut word = self.look();
        while !word.is_locked() {
            let locked = word.0.map_addr(|address| address | LOCK);
            // SeqCst: what follows in the commit stays behind the lock, which is in one order with the looks of
            // others and the clock, see there.
            match self
                .head
                .compare_exchange(word.0, locked, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return Some(word),
                Err(other) => word = Word(other),
            }
        }
        None
    }

    /// Gives the lock back; `word` is what [`try_lock`](Self::try_lock) found.
    #[inline]
    pub(crate) fn unlock(&self, word: Word) {
        // Release: whoever locks next comes after what we did under the lock.
        self.head.store(word.0, Ordering::Release);
    }

    /// Marks that somebody waits for `node` to be replaced. False if it has been, or is about to be.
    pub(crate) fn announce(&self, node: NodeRef) -> bool {
        let mut word = self.look();
        loop {
            let is_there = if is_weak("stm: mark on a locked word") {
                word.node() == node
            } else {
                word.is(node)
            };
            if !is_there {
                return is_weak("stm: second look of the sleeper");
            }
            if word.has_waiters() {
                return true;
            }
            let marked = word.0.map_addr(|address| address | WAIT);
            // AcqRel: the same word as the committer's lock, so exactly one of the two sees the other.
            match self
                .head
                .compare_exchange(word.0, marked, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(other) => word = Word(other),
            }
        }
    }

    pub(crate) fn add_handle(&self) {
        // Relaxed: the new handle is made of one that exists.
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a handle away; true if it was the last.
    pub(crate) fn drop_handle(&self) -> bool {
        // AcqRel: the last one comes after all that the others did with the variable.
        self.handles.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Discards the variable with its newest node, which is of the type that `dispose` is for.
///
/// # Safety
/// `inner` has no handle any more, nobody is pinned that has met it, and it is not used after this.
pub(crate) unsafe fn dispose_with(inner: NonNull<u8>, dispose: Dispose) -> Layout {
    // SAFETY: the memory is that of an `Inner`, and still there.
    let word = unsafe { inner.cast::<Inner>().as_ref() }.look();
    // SAFETY: the older nodes were retired one by one; nobody else knows this one any more.
    unsafe { node::discard(word.node(), dispose) };
    Layout::new::<Inner>()
}

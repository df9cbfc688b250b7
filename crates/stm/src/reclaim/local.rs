//! One participant: it pins itself, keeps what it retires, collects, and has memory of its own.
//!
//! Everything here belongs to one thread. Fields that are borrowed are borrowed for the length of one
//! queue or list operation, never across a call of a `reclaim` function (invariant 3 of the module).
//!
//! **When it collects.** Each pin and each retirement spends credit. When it is spent, the end of
//! an outermost pin tries to begin the next epoch, then reclaims what is ripe. So the work follows
//! the retirements, a thread that only reads still comes to its last few replaced values, and a
//! participant that holds the epochs up costs the others one refused advance per credit.

use super::domain::Domain;
use super::epoch::Record;
use super::limbo::{Limbo, Reclaim, Retired};
use super::pool::{self, Pool};
use crossbeam_utils::CachePadded;
use std::alloc::Layout;
use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::{Arc, thread};

/// Credit between two collections: at least `CREDIT`, and `LOOK` for each record to be looked at.
const CREDIT: isize = 128;
const LOOK: isize = 4;

/// What a retirement spends. A pin spends 1.
const RETIREMENT: isize = 2;

/// How many nodes are much, and how many refused advances are borne before giving way.
const MUCH: usize = 4096;
const PATIENCE: u32 = 16;

/// Nodes that the end of a pin reclaims at most: after a long stall many are ripe at once, and whoever
/// comes by is not to pay for all of them. Many times what the credit allows to be retired meanwhile.
const BURST: usize = 1024;

/// How often [`Local::flush`] tries to advance: what is retired is ripe after so many.
const ADVANCES: u64 = super::epoch::GRACE;

/// A thread's part in a domain.
#[derive(Debug)]
pub(crate) struct Local {
    domain: NonNull<Domain>,
    record: NonNull<CachePadded<Record>>,
    /// Pins that are held.
    pins: Cell<usize>,
    /// The epoch of the record's word, while it is pinned.
    epoch: Cell<u64>,
    credit: Cell<isize>,
    /// Advances that were refused.
    refusals: Cell<u32>,
    /// Whether a collection is running below us on this stack.
    is_collecting: Cell<bool>,
    /// Whether it ends with its outermost pin: see `thread`.
    pub(super) is_late: bool,
    limbo: UnsafeCell<Limbo>,
    /// Ripe nodes of dead threads.
    ready: UnsafeCell<Vec<Retired>>,
    pool: UnsafeCell<Pool>,
    /// Keeps a domain that is not static alive. Dropped after `drop` has left the domain.
    _domain: Option<Arc<Domain>>,
}

impl Local {
    /// Joins a domain that lives for ever.
    #[cfg_attr(
        weftwork_loom,
        allow(dead_code, reason = "no domain of a model is static")
    )]
    pub(super) fn of_static(domain: &'static Domain) -> Self {
        Self::join(NonNull::from(domain), None)
    }

    /// Joins a domain and keeps it alive.
    #[cfg_attr(not(weftwork_loom), allow(dead_code, reason = "for models and tests"))]
    pub(crate) fn of(domain: Arc<Domain>) -> Self {
        Self::join(NonNull::from(&*domain), Some(domain))
    }

    fn join(domain: NonNull<Domain>, keep: Option<Arc<Domain>>) -> Self {
        // SAFETY: it is static, or `keep` holds it.
        let record = unsafe { domain.as_ref() }.epochs.join();
        Local {
            domain,
            record,
            pins: Cell::new(0),
            epoch: Cell::new(0),
            credit: Cell::new(CREDIT),
            refusals: Cell::new(0),
            is_collecting: Cell::new(false),
            is_late: false,
            limbo: UnsafeCell::new(Limbo::new()),
            ready: UnsafeCell::new(Vec::new()),
            pool: UnsafeCell::new(Pool::new()),
            _domain: keep,
        }
    }

    /// Makes it end with its outermost pin.
    pub(super) fn late(mut self) -> Self {
        self.is_late = true;
        // Each end of an outermost pin goes the slow way, which looks.
        self.credit = Cell::new(0);
        self
    }

    #[inline]
    pub(crate) fn domain(&self) -> &Domain {
        // SAFETY: it is static, or `_domain` holds it.
        unsafe { self.domain.as_ref() }
    }

    #[inline]
    fn record(&self) -> &Record {
        // SAFETY: records live as long as the domain, and this one is ours.
        unsafe { self.record.as_ref() }
    }

    #[inline]
    pub(super) fn is_pinned(&self) -> bool {
        self.pins.get() != 0
    }

    /// Pins: see [`super::pin`]. The participant stays where it is until the pin is dropped.
    #[inline]
    pub(crate) fn pin(&self) -> Pin {
        let pins = self.pins.get();
        self.pins.set(pins + 1);
        if pins == 0 {
            self.epoch.set(self.domain().epochs.announce(self.record()));
        }
        Pin {
            local: NonNull::from(self),
            _not_send: PhantomData,
        }
    }

    /// Ends a pin.
    ///
    /// # Safety
    ///
    /// `this` is alive and was pinned by the calling thread. It may be gone afterwards.
    #[inline]
    unsafe fn unpin(this: NonNull<Self>) {
        // SAFETY: the caller's promise. The reference ends before the participant may.
        let is_spent = unsafe { this.as_ref() }.is_spent_by_unpin();
        if is_spent {
            // SAFETY: the same promise; it is not pinned any more.
            unsafe { Self::settle(this) };
        }
    }

    /// Counts one pin less, and says whether it was the outermost and the credit is spent.
    #[inline]
    fn is_spent_by_unpin(&self) -> bool {
        let pins = self.pins.get() - 1;
        self.pins.set(pins);
        if pins != 0 {
            return false;
        }
        self.record().retract();
        let credit = self.credit.get() - 1;
        self.credit.set(credit);
        credit <= 0
    }

    /// Collects, when the credit is spent, and ends a late participant.
    ///
    /// # Safety
    ///
    /// `this` is alive, not pinned, and not used any more afterwards, if it is late.
    #[cold]
    unsafe fn settle(this: NonNull<Self>) {
        // SAFETY: the caller's promise.
        let is_end = unsafe { this.as_ref() }.is_late_and_done();
        // It ends after a panic of a `reclaim`, too. SAFETY: the caller's promise.
        let _end = is_end.then(|| unsafe { super::thread::EndOfLate::new(this) });
        // SAFETY: the caller's promise, and `_end` is dropped after this.
        unsafe { this.as_ref() }.step();
    }

    /// Whether it is late, and no collection, which would go on with it, is running below us.
    fn is_late_and_done(&self) -> bool {
        self.is_late && !self.is_collecting.get()
    }

    /// Tries to begin an epoch, and reclaims a part of what is ripe.
    fn step(&self) {
        if !self.is_late {
            let looks = isize::try_from(self.domain().epochs.len()).unwrap_or(isize::MAX / LOOK);
            self.credit.set(CREDIT.max(looks.saturating_mul(LOOK)));
        }
        let is_idle = self.waiting() == 0 && !self.domain().has_orphans();
        if !is_idle && self.may_collect() {
            if !self.domain().epochs.try_advance() {
                self.give_way();
            }
            self.collect(BURST);
        }
    }

    /// Lets other threads run once in a while, if much has piled up behind somebody's pin: on a
    /// machine with more threads than processors he has probably been preempted in it.
    fn give_way(&self) {
        let refusals = self.refusals.get().wrapping_add(1);
        self.refusals.set(refusals);
        if refusals.is_multiple_of(PATIENCE) && self.waiting() > MUCH {
            thread::yield_now();
        }
    }

    /// Reclaims now what can be: see [`super::flush`].
    pub(crate) fn flush(&self) {
        self.flush_within(ADVANCES);
    }

    /// Reclaims what can be after at most so many epochs have begun.
    pub(crate) fn flush_within(&self, epochs: u64) {
        if !self.is_pinned() && self.may_collect() {
            for _ in 0..epochs {
                if !self.domain().epochs.try_advance() {
                    break;
                }
            }
            self.collect(usize::MAX);
        }
    }

    /// Whether user code may run here: not within user code that we have called, and not where a
    /// panic of it would be the second one.
    fn may_collect(&self) -> bool {
        !self.is_collecting.get() && !std::thread::panicking()
    }

    /// Reclaims what is ripe, up to `most` nodes.
    fn collect(&self, mut most: usize) {
        debug_assert!(!self.is_pinned() && !self.is_collecting.get());
        let now = self.domain().epochs.now();
        if self.domain().has_orphans() {
            // SAFETY: nobody else borrows it (head of the file).
            self.ready
                .with_mut(|ready| self.domain().take_orphans(now, unsafe { &mut *ready }));
        }
        self.is_collecting.set(true);
        // A panic takes one node with it; the loop goes on with the next.
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.reclaim_ripe(now, &mut most)))
        {
            panicked(panic);
        }
        self.is_collecting.set(false);
        self.record().count(self.waiting());
        if let Ok(Some(panic)) = FIRST_PANIC.try_with(Cell::take) {
            resume_unwind(panic);
        }
    }

    /// Reclaims one ripe node after the other.
    fn reclaim_ripe(&self, now: u64, most: &mut usize) {
        while *most > 0
            && let Some(node) = self.next_ripe(now)
        {
            *most -= 1;
            // SAFETY: the promise of whoever retired it; it was unlinked before the epoch that its
            // mark names had ended twice, so nobody holds it (invariant 2), and it is out of every
            // list, so this is the only call.
            let layout = unsafe { (node.reclaim)(node.ptr) };
            // SAFETY: the same promise: the node was allocated with this layout.
            unsafe { self.release(node.ptr, layout) };
        }
    }

    #[inline]
    fn next_ripe(&self, now: u64) -> Option<Retired> {
        // SAFETY: nobody else borrows it (head of the file).
        let orphan = self.ready.with_mut(|ready| unsafe { &mut *ready }.pop());
        // SAFETY: as above.
        orphan.or_else(|| self.limbo.with_mut(|limbo| unsafe { &mut *limbo }.pop(now)))
    }

    /// Nodes that are retired and not reclaimed.
    fn waiting(&self) -> usize {
        // SAFETY: nobody else borrows them (head of the file).
        let limbo = self.limbo.with(|limbo| unsafe { &*limbo }.len());
        // SAFETY: as above.
        limbo + self.ready.with(|ready| unsafe { &*ready }.len())
    }

    /// Takes memory: see [`super::allocate`].
    #[inline]
    pub(crate) fn allocate(&self, layout: Layout) -> NonNull<u8> {
        if !pool::is_pooled(layout) {
            return pool::from_system(layout);
        }
        let depot = &self.domain().depot;
        // SAFETY: nobody else borrows it (head of the file).
        self.pool
            .with_mut(|pool| unsafe { &mut *pool }.take(pool::class_of(layout), depot))
    }

    /// Gives memory back: see [`super::release`].
    ///
    /// # Safety
    ///
    /// `ptr` came from `allocate` of a participant of this domain with this `layout`, and the caller
    /// gives it up.
    #[inline]
    pub(crate) unsafe fn release(&self, ptr: NonNull<u8>, layout: Layout) {
        if !pool::is_pooled(layout) {
            // SAFETY: the caller's promise; `allocate` took it from the system, too.
            return unsafe { pool::to_system(ptr, layout) };
        }
        let depot = &self.domain().depot;
        // SAFETY: the caller's promise; and nobody else borrows it (head of the file).
        self.pool
            .with_mut(|pool| unsafe { (*pool).give(ptr, pool::class_of(layout), depot) });
    }
}

impl Drop for Local {
    /// Leaves the domain: what waits goes to the orphans, memory to the depot. No user code runs.
    fn drop(&mut self) {
        if super::is_failed_model() {
            return;
        }
        if self.is_pinned() {
            // A pin was forgotten. What it protects may be used for ever: nothing is given away, and
            // the record stays pinned.
            mem::forget(self._domain.take());
            return;
        }
        self.record().count(0);
        self.limbo.with_mut(|limbo| {
            // SAFETY: nobody else borrows it (head of the file).
            let limbo = mem::replace(unsafe { &mut *limbo }, Limbo::new());
            self.domain().adopt(limbo);
        });
        self.ready.with_mut(|ready| {
            let mut limbo = Limbo::new();
            // SAFETY: as above. They are ripe, and stay so in every epoch.
            unsafe { &mut *ready }
                .drain(..)
                .for_each(|node| limbo.push(0, node));
            self.domain().adopt(limbo);
        });
        // SAFETY: as above.
        self.pool
            .with_mut(|pool| unsafe { &mut *pool }.clear(&self.domain().depot));
        self.domain().epochs.leave(self.record());
    }
}

thread_local! {
    /// The first panic of the collection that is running on this thread. No model panics.
    static FIRST_PANIC: Cell<Option<Box<dyn Any + Send>>> = const { Cell::new(None) };
}

/// Keeps a panic for the end of the collection: see [`super::panicked`].
#[cold]
pub(super) fn panicked(payload: Box<dyn Any + Send>) {
    let kept = FIRST_PANIC.try_with(|slot| match slot.take() {
        None => {
            slot.set(Some(payload));
            None
        }
        first => {
            slot.set(first);
            Some(payload)
        }
    });
    if let Ok(Some(later)) = kept {
        // A payload's drop is user code, and may panic, too; that one has no successor.
        if let Err(last) = catch_unwind(AssertUnwindSafe(|| drop(later))) {
            mem::forget(last);
        }
    }
}

/// Keeps what its thread can find from being reclaimed, until it is dropped.
#[derive(Debug)]
#[must_use = "what was found may be reclaimed once the pin is dropped"]
pub(crate) struct Pin {
    local: NonNull<Local>,
    _not_send: PhantomData<*const ()>,
}

impl Pin {
    #[inline]
    fn local(&self) -> &Local {
        // SAFETY: a participant does not end before its pins: it checks.
        unsafe { self.local.as_ref() }
    }

    /// Lets go of all that was found, and pins again. Does nothing if the pin is a nested one.
    #[inline]
    #[allow(
        dead_code,
        reason = "each attempt pins anew; who walks far may want it"
    )]
    pub(crate) fn repin(&mut self) {
        let local = self.local();
        // In the same epoch the record would say the same again, and holds nobody up.
        if local.pins.get() == 1 && local.domain().epochs.now() != local.epoch.get() {
            local
                .epoch
                .set(local.domain().epochs.announce(local.record()));
        }
    }

    /// Retires a node: see [`super::retire`].
    ///
    /// # Safety
    ///
    /// As for [`super::retire`].
    #[inline]
    pub(crate) unsafe fn retire(&self, ptr: NonNull<u8>, reclaim: Reclaim) {
        let local = self.local();
        let waiting = local.limbo.with_mut(|limbo| {
            // SAFETY: nobody else borrows it (head of the file).
            let limbo = unsafe { &mut *limbo };
            limbo.push(local.epoch.get(), Retired { ptr, reclaim });
            limbo.len()
        });
        local.record().count(waiting);
        local.credit.set(local.credit.get() - RETIREMENT);
    }
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        if !super::is_failed_model() {
            // SAFETY: a participant does not end before its pins, and this one is given up.
            unsafe { Local::unpin(self.local) };
        }
    }
}

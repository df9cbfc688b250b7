//! The global epoch and the records of those who take part in it.
//!
//! A pin is announced in the participant's own record; an advance looks at all records. That is a
//! store and then a load of another word on both sides, so each side has a `SeqCst` fence between
//! its two steps, and one of the two fences comes first. A read-modify-write of one shared word,
//! which announcements use elsewhere, would have every transaction of every thread write the same
//! cache line. What is read and then dropped is not ordered by the fences: from a reader's last
//! access to the reclaimer it runs through `Release` and `Acquire` of a record and of the epoch,
//! which ThreadSanitizer follows, and which loom does not take for stronger than they are.
//!
//! The steps, and why none can be left out, are in `docs/design/stm-reclamation.md`.

use super::const_unless_modelled;
use crossbeam_utils::CachePadded;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};
#[cfg(weftwork_canary)]
use weftwork_core::canary::{Step, is};
use weftwork_core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};

// Outside the models: counts that are only reported.
use std::sync::atomic::{AtomicU64 as Stamp, AtomicUsize as Count};

/// A node retired by a participant pinned in `e` is reclaimed from `e + GRACE` on.
///
/// The retirer's epoch says when the node was unlinked up to one: the global epoch may be one ahead
/// of it. A reader that is pinned in that next epoch keeps the epoch after it from ending.
pub(super) const GRACE: u64 = 3;

/// The bit of a record's word that says pinned; the epoch is above it.
const PINNED: u64 = 1;

/// A participant, as the others see it.
#[derive(Debug)]
pub(super) struct Record {
    /// `epoch << 1 | PINNED`, or 0.
    word: AtomicU64,
    /// Whether a thread owns it.
    claimed: AtomicBool,
    /// How many nodes wait in its owner's limbo. Written by the owner only.
    nodes: Count,
    /// The record that was added before. Not changed once this one is in the list.
    next: *mut CachePadded<Record>,
}

impl Record {
    /// Says that the owner holds nothing any more.
    #[inline]
    pub(super) fn retract(&self) {
        #[cfg(weftwork_canary)]
        if is(Step::Of("reclaim: unpin")) {
            return self.word.store(0, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `try_advance`; what was read here comes before.
        self.word.store(0, Ordering::Release);
    }

    /// Says how many nodes the owner's limbo holds.
    #[inline]
    pub(super) fn count(&self, nodes: usize) {
        // Relaxed: only reported.
        self.nodes.store(nodes, Ordering::Relaxed);
    }

    /// Puts the pinned epoch into the word, before everything that the owner reads from now on.
    #[inline]
    fn publish(&self, epoch: u64) {
        let word = epoch << 1 | PINNED;
        #[cfg(weftwork_canary)]
        if is(Step::Of("reclaim: fence of the pin")) {
            return self.word.store(word, Ordering::Release);
        }
        #[cfg(weftwork_canary)]
        if is(Step::Of("reclaim: order of the pin")) {
            self.word.store(word, Ordering::Relaxed);
            return fence(Ordering::SeqCst);
        }
        // Release: pairs with the Acquire in `try_advance`, for what was read before a repin, or before
        // an earlier unpin that this store hides from it.
        self.word.store(word, Ordering::Release);
        // Pairs with the fence in `try_advance`. The compiler makes a locked instruction of it on
        // x86-64, which costs no more than an exchange of the word would.
        fence(Ordering::SeqCst);
    }
}

/// The epoch, and who takes part.
#[derive(Debug)]
pub(super) struct Epochs {
    /// Counts up, only by `try_advance`.
    now: CachePadded<AtomicU64>,
    /// The newest record. The list only grows.
    records: AtomicPtr<CachePadded<Record>>,
    /// The length of the list.
    len: Count,
    /// When the advance from the present epoch was first refused, as a `stamp`; 0 if it was not.
    refused: Stamp,
}

impl Epochs {
    const_unless_modelled! {
        pub(super) fn new() -> Self {
            Epochs {
                now: CachePadded::new(AtomicU64::new(0)),
                records: AtomicPtr::new(ptr::null_mut()),
                len: Count::new(0),
                refused: Stamp::new(0),
            }
        }
    }

    /// The epoch, after all that its beginning has waited for.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        // Acquire: pairs with the Release in `try_advance`.
        self.now.load(Ordering::Acquire)
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        // Relaxed: only a size.
        self.len.load(Ordering::Relaxed)
    }

    /// Pins the owner of `record` and returns its epoch.
    ///
    /// The second look makes it an epoch that was not over when the pin was announced: with one that
    /// was, what the owner retires would be marked too early.
    #[inline]
    pub(super) fn announce(&self, record: &Record) -> u64 {
        let mut epoch = self.now();
        loop {
            record.publish(epoch);
            #[cfg(weftwork_canary)]
            if is(Step::Of("reclaim: second look of the pin")) {
                return epoch;
            }
            let seen = self.now();
            if seen == epoch {
                return epoch;
            }
            epoch = seen;
        }
    }

    /// Begins the next epoch if all that are pinned are in the present one.
    ///
    /// Returns whether the epoch has moved, by us or by another.
    pub(super) fn try_advance(&self) -> bool {
        let now = self.now();
        // Pairs with the fence in `Record::publish`: either the pin is seen here, or whoever
        // announces it sees what was unlinked before this.
        fence(Ordering::SeqCst);
        for record in self.records() {
            // Acquire: pairs with the Release in `retract` and `publish`.
            let word = record.word.load(Ordering::Acquire);
            if word & PINNED != 0 && word >> 1 != now {
                self.note_refusal();
                return false;
            }
        }
        // Relaxed: only reported, and a refusal that is noted late is a pin that is there.
        if self.refused.load(Ordering::Relaxed) != 0 {
            self.refused.store(0, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `now`; passes on what the records have said.
        // Relaxed: another has done it.
        let _ = self
            .now
            .compare_exchange(now, now + 1, Ordering::Release, Ordering::Relaxed);
        true
    }

    /// Gives the calling thread a record of its own: a free one, or a new one.
    pub(super) fn join(&self) -> NonNull<CachePadded<Record>> {
        for record in self.records() {
            #[cfg(weftwork_canary)]
            if is(Step::Of("reclaim: join")) {
                if !record.claimed.load(Ordering::Acquire) {
                    record.claimed.store(true, Ordering::Relaxed);
                    return NonNull::from(record);
                }
                continue;
            }
            // Acquire: pairs with the Release in `leave`. Relaxed: not ours, nothing to see.
            let mine =
                record
                    .claimed
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
            if mine.is_ok() {
                return NonNull::from(record);
            }
        }
        // Relaxed: only a size.
        self.len.fetch_add(1, Ordering::Relaxed);
        // Relaxed: the compare-exchange below looks again.
        let mut next = self.records.load(Ordering::Relaxed);
        let mut record = NonNull::from(Box::leak(Box::new(CachePadded::new(Record {
            word: AtomicU64::new(0),
            claimed: AtomicBool::new(true),
            nodes: Count::new(0),
            next,
        }))));
        loop {
            // Release: pairs with the Acquire in `records`; Relaxed: nothing is read through it.
            match self.records.compare_exchange_weak(
                next,
                record.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return record,
                Err(other) => {
                    next = other;
                    // SAFETY: it is not in the list yet, so nobody else has it.
                    unsafe { record.as_mut() }.next = next;
                }
            }
        }
    }

    /// Leaves `record`, unpinned, to the next thread.
    pub(super) fn leave(&self, record: &Record) {
        // Release: pairs with the Acquire in `join`.
        record.claimed.store(false, Ordering::Release);
    }

    /// All records, the newest first.
    fn records(&self) -> impl Iterator<Item = &CachePadded<Record>> {
        // Acquire: pairs with the Release in `join`, for the record's fields and those after it: the
        // list is made by read-modify-writes only.
        let mut at = self.records.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: records live as long as `self` (invariant 5), and `next` is not written any more.
            let record = unsafe { at.as_ref() }?;
            at = record.next;
            Some(record)
        })
    }

    /// Nodes in limbo, threads that take part, and how far the oldest pin is behind.
    pub(super) fn survey(&self) -> (usize, usize, u64) {
        let now = self.now();
        let (mut nodes, mut participants, mut behind) = (0, 0, 0);
        for record in self.records() {
            // Relaxed, three times: only reported.
            nodes += record.nodes.load(Ordering::Relaxed);
            participants += usize::from(record.claimed.load(Ordering::Relaxed));
            let word = record.word.load(Ordering::Relaxed);
            if word & PINNED != 0 {
                behind = now.saturating_sub(word >> 1).max(behind);
            }
        }
        (nodes, participants, behind)
    }

    /// For how long the present epoch has not been able to end.
    pub(super) fn refused_for(&self) -> Option<Duration> {
        // Relaxed: only reported.
        match self.refused.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Duration::from_nanos(stamp().saturating_sub(since))),
        }
    }

    #[cold]
    fn note_refusal(&self) {
        // Relaxed, both: only reported.
        if self.refused.load(Ordering::Relaxed) == 0 {
            let now = stamp();
            let _ = self
                .refused
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// Nanoseconds since the first call, at least 1.
fn stamp() -> u64 {
    // Outside the models: only reported.
    static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let since = ORIGIN.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).max(1)
}

impl Drop for Epochs {
    fn drop(&mut self) {
        if super::is_failed_model() {
            return;
        }
        // Relaxed: whoever drops it has it alone.
        let mut at = self.records.load(Ordering::Relaxed);
        while !at.is_null() {
            // SAFETY: each record is a leaked box and is in the list once; its owner is
            // gone, for an owner keeps what contains `self` alive.
            let record = unsafe { Box::from_raw(at) };
            at = record.next;
        }
    }
}

//! The time of a domain: how many commits have taken a place of their own in the order of all.
//!
//! One word: the time above, and two flags.
//!
//! | flag | set by | cleared by | meaning |
//! | --- | --- | --- | --- |
//! | `SERIAL` | [`close`](Clock::close) | [`open`](Clock::open) | a transaction runs alone |
//! | `AHEAD` | [`stamp`](Clock::stamp) | whoever moves the time past such stamps | there may be stamps one ahead of the time |
//!
//! A committer gets its stamp in one of two ways. It *ticks*: the time moves, and the stamp is the new time. Or it
//! *shares*: the stamp is one ahead of the time, which stays, and others may get the same. Ticks of several
//! processors pass the word from one to the other, which costs more than the rest of a short transaction;
//! stamps that are shared only look at it. In exchange whoever reads something that is ahead has to move the time
//! first. TL2's authors call the first kind of clock GV1, the second GV5, and a mixture of both GV6.
//!
//! Invariants
//! 1. A stamp is at most one ahead of the time, and only while `AHEAD` is set. `AHEAD` goes only when the time
//!    moves.
//! 2. A committer takes its stamp while it holds the locks of all it writes. All of it, and of what follows, is
//!    `SeqCst`: locks, looks at heads, and steps of the clock are in one order. So whoever has seen the clock at
//!    `t` finds what gets stamps up to `t` locked or published, from then on.
//! 3. Behind every node whose stamp is greater than a [`cut`](Clock::cut), there are only nodes that were retired
//!    after it: the stamp was taken after the cut, or it would not be greater.
//! 4. While `SERIAL` is set, only the holder of the serial turn publishes: every other committer learns of
//!    it when it takes its stamp, and steps back. No stamp is ahead of the time at which the gate was closed.
//! 5. The stamps of one variable's nodes grow.

use crate::canary::is_weak;
use crossbeam_utils::CachePadded;
use weftwork_core::sync::atomic::{AtomicU64, Ordering};

/// Set while a transaction runs alone.
const SERIAL: u64 = 1;
/// Set while there may be stamps of `time + TICK`.
const AHEAD: u64 = 2;
const FLAGS: u64 = SERIAL | AHEAD;
const TICK: u64 = 4;

#[derive(Debug)]
pub(crate) struct Clock(CachePadded<AtomicU64>);

/// What a committer gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// The time of this commit.
    pub(crate) now: u64,
    /// Nobody has got a stamp since the time that the committer knew.
    pub(crate) is_next: bool,
    /// Somebody else runs alone, or the committer itself.
    pub(crate) is_serial: bool,
}

/// Loom takes `SeqCst` for `AcqRel`. There, fences stand for the one order of all.
#[inline(always)]
fn in_order() {
    #[cfg(weftwork_loom)]
    if !is_weak("stm: order of the clock") {
        weftwork_core::sync::atomic::fence(Ordering::SeqCst);
    }
}

impl Clock {
    #[cfg(not(weftwork_loom))]
    pub(crate) const fn new() -> Clock {
        Clock(CachePadded::new(AtomicU64::new(0)))
    }

    #[cfg(weftwork_loom)]
    pub(crate) fn new() -> Clock {
        Clock(CachePadded::new(AtomicU64::new(0)))
    }

    #[inline]
    fn load(&self) -> u64 {
        in_order();
        // SeqCst: invariant 2.
        let word = self.0.load(Ordering::SeqCst);
        in_order();
        word
    }

    /// Puts `new` in the place of `word`, or says what is there.
    #[inline]
    fn replace(&self, word: u64, new: u64) -> Result<(), u64> {
        in_order();
        // SeqCst: invariant 2.
        let replaced = self
            .0
            .compare_exchange(word, new, Ordering::SeqCst, Ordering::SeqCst);
        in_order();
        replaced.map(drop)
    }

    /// Moves the time to what `next` makes of it, unless that is `None`; no stamp is ahead then. The word that is
    /// left.
    #[inline]
    fn advance(&self, mut word: u64, next: impl Fn(u64) -> Option<u64>) -> u64 {
        loop {
            let Some(time) = next(word) else {
                return word;
            };
            debug_assert!(time > word & !FLAGS, "the time moves on");
            let new = time | word & SERIAL;
            match self.replace(word, new) {
                Ok(()) => return new,
                Err(other) => word = other,
            }
        }
    }

    /// The time.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.load() & !FLAGS
    }

    /// The time, which is `stamp` at least when this returns. For whoever has met a node of that stamp.
    #[inline]
    pub(crate) fn reach(&self, stamp: u64) -> u64 {
        self.advance(self.load(), |word| (word & !FLAGS < stamp).then_some(stamp)) & !FLAGS
    }

    /// A time that no stamp given before is ahead of.
    #[inline]
    pub(crate) fn cut(&self) -> u64 {
        let past_all = |word| (word & AHEAD != 0).then_some((word & !FLAGS) + TICK);
        self.advance(self.load(), past_all) & !FLAGS
    }

    /// A stamp by a tick; `known` is a time that the committer has seen. `newest` tells the greatest stamp of what
    /// it replaces, and is called only where that may be ahead.
    #[inline]
    pub(crate) fn tick(&self, known: u64, newest: impl FnOnce() -> u64) -> Stamp {
        if is_weak("stm: tick") {
            // Relaxed: wrong. The later one has not acquired the locks of the earlier one.
            let before = self.0.fetch_add(TICK, Ordering::Relaxed);
            return Stamp {
                now: (before & !FLAGS) + TICK,
                is_next: before == known,
                is_serial: before & SERIAL != 0,
            };
        }
        match self.replace(known, known + TICK) {
            Ok(()) => Stamp {
                now: known + TICK,
                is_next: true,
                is_serial: false,
            },
            Err(word) => self.tick_past(word, newest),
        }
    }

    #[cold]
    fn tick_past(&self, word: u64, newest: impl FnOnce() -> u64) -> Stamp {
        let newest = newest();
        let word = self.advance(word, |word| Some((word & !FLAGS).max(newest) + TICK));
        Stamp {
            now: word & !FLAGS,
            is_next: false,
            is_serial: word & SERIAL != 0,
        }
    }

    /// A stamp that is shared, or by a tick if a shared one would not be greater than what is replaced.
    #[inline]
    pub(crate) fn share(&self, newest: u64) -> Stamp {
        let mut word = self.load();
        if word & FLAGS == 0 {
            in_order();
            // SeqCst: invariant 2.
            word = self.0.fetch_or(AHEAD, Ordering::SeqCst);
            in_order();
        }
        let now = (word & !FLAGS) + TICK;
        if now <= newest {
            return self.tick_past(word, || newest);
        }
        Stamp {
            now,
            is_next: false,
            is_serial: word & SERIAL != 0,
        }
    }

    /// Closes the gate for all committers that take their stamps from now on. No stamp is ahead then.
    pub(crate) fn close(&self) {
        let mut word = self.load();
        while let Err(other) = self.replace(word, ((word & !FLAGS) + TICK) | SERIAL) {
            word = other;
        }
    }

    /// Opens the gate.
    pub(crate) fn open(&self) {
        // Release: pairs with the steps that find the bit gone.
        self.0.fetch_and(!SERIAL, Ordering::Release);
    }
}

//! The time of a domain: how many commits were begun to be published.
//!
//! One word: the time in the upper 63 bits, [`SERIAL`] in the lowest.
//!
//! Invariants
//! 1. A version is published only after the clock has shown it: no node's version is greater than the
//!    clock. So a reader that is pinned and then reads the clock at `t` finds, behind every node newer than
//!    `t`, only nodes that were retired after its pin.
//! 2. A committer ticks while it holds the locks of all it writes. Ticks are read-modify-writes of one
//!    word, so they are totally ordered, and the later one has acquired the locks of the earlier one.
//! 3. Whoever reads the clock at `t` or later finds what was written at `t` locked or published.
//! 4. While `SERIAL` is set, only the holder of the serial turn publishes: every other committer learns of
//!    it by its own tick, and steps back.

use crate::canary::is_weak;
use crossbeam_utils::CachePadded;
use weftwork_core::sync::atomic::{AtomicU64, Ordering};

/// Set while a transaction runs alone.
const SERIAL: u64 = 1;
const TICK: u64 = 2;

#[derive(Debug)]
pub(crate) struct Clock(CachePadded<AtomicU64>);

/// What a committer learns from its tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// The time before.
    pub(crate) before: u64,
    /// The time of this commit.
    pub(crate) now: u64,
    /// Whether somebody runs alone.
    pub(crate) is_serial: bool,
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
    pub(crate) fn now(&self) -> u64 {
        // Acquire: pairs with the tick of every commit up to this time, whose locks are seen then.
        self.0.load(Ordering::Acquire) & !SERIAL
    }

    #[inline]
    pub(crate) fn tick(&self) -> Tick {
        // AcqRel: orders committers among each other (invariant 2) and before the readers of the time.
        let order = if is_weak("stm: tick") {
            Ordering::Relaxed
        } else {
            Ordering::AcqRel
        };
        let before = self.0.fetch_add(TICK, order);
        Tick {
            before: before & !SERIAL,
            now: (before & !SERIAL) + TICK,
            is_serial: before & SERIAL != 0,
        }
    }

    /// Closes the gate for all committers that tick from now on; the time of that.
    pub(crate) fn close(&self) -> u64 {
        // AcqRel: acquires the locks of all who ticked before; the same word as the tick, so whoever
        // ticks later sees the bit.
        self.0.fetch_or(SERIAL, Ordering::AcqRel) & !SERIAL
    }

    /// Opens the gate.
    pub(crate) fn open(&self) {
        // Release: pairs with the ticks that find the bit gone.
        self.0.fetch_and(!SERIAL, Ordering::Release);
    }
}

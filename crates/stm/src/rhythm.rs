//! How a thread's commits get their stamps: by ticks of their own, or shared ones (see [`crate::clock`]).
//!
//! Ticks are cheaper as long as no other processor ticks: the word of the clock stays where it is, and nothing that
//! is read is ahead of it. Where others tick, too, shared stamps are cheaper, unless most of what the thread reads
//! was written just before, and is ahead. So each thread counts, and thinks it over once in a while. Either way
//! is right at any time.

use std::cell::Cell;

/// Commits by ticks, between two thoughts.
const TICKS: u32 = 32;
/// Commits with shared stamps, between two thoughts.
const SHARES: u32 = 64;
/// After sharing did not pay, so many times as many ticks.
const RELUCTANCE: u32 = 32;

#[derive(Debug)]
pub(crate) struct Rhythm {
    shares: Cell<bool>,
    /// Commits until the next thought.
    left: Cell<u32>,
    /// Since the last thought: ticks that another was in the way of, or reads that found something newer.
    hits: Cell<u32>,
}

impl Default for Rhythm {
    fn default() -> Self {
        Rhythm {
            shares: Cell::new(begins_sharing()),
            left: Cell::new(TICKS),
            hits: Cell::new(0),
        }
    }
}

impl Rhythm {
    /// Whether the commit that asks is to share its stamp.
    #[inline]
    pub(crate) fn shares(&self) -> bool {
        let left = self.left.get();
        if left == 0 {
            self.think();
        } else {
            self.left.set(left - 1);
        }
        self.shares.get()
    }

    /// Whether nobody had ticked since the committer saw the clock.
    #[inline]
    pub(crate) fn note_tick(&self, is_next: bool) {
        self.hits.set(self.hits.get() + u32::from(!is_next));
    }

    /// A transaction has met something newer than the time it knew.
    #[inline]
    pub(crate) fn note_newer(&self) {
        self.hits
            .set(self.hits.get() + u32::from(self.shares.get()));
    }

    #[cold]
    fn think(&self) {
        let hits = self.hits.replace(0);
        let (shares, left) = match self.shares.get() {
            false if hits > TICKS / 4 => (true, SHARES),
            false => (false, TICKS),
            true if hits > SHARES / 4 => (false, TICKS * RELUCTANCE),
            true => (true, SHARES),
        };
        self.shares.set(shares);
        self.left.set(left);
    }
}

#[cfg(not(weftwork_loom))]
#[inline]
fn begins_sharing() -> bool {
    false
}

/// A model has too few commits for thoughts: it says which way it is about.
#[cfg(weftwork_loom)]
pub(crate) use model::begins_sharing;

#[cfg(weftwork_loom)]
pub(crate) mod model {
    use std::cell::Cell;

    thread_local! {
        // All threads of a model run on the one thread of its test.
        static SHARES: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn begins_sharing() -> bool {
        SHARES.get()
    }

    /// Lets all commits of the models of this test that follow share their stamps, or none.
    pub fn share_stamps(shares: bool) {
        SHARES.set(shares);
    }
}

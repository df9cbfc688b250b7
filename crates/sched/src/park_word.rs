//! The park word of a carrier: its wake-ups, counted, and whether it sleeps.
//!
//! The word is `user tokens : 31 | wakes : 32 | PARKED : 1`. A wake adds one to the wakes and takes
//! `PARKED` away, in one read-modify-write; a user-level `unpark` adds one to the user tokens as
//! well. The owner remembers the word as it last `observe`d it; `begin_park` sets `PARKED` only if
//! the word is still that, that is, if there was no wake since. So a park and its wake cost one
//! read-modify-write each, and nobody has to reset anything.
//!
//! Invariants
//! 1. Only the owner (the worker on whose thread the carrier lives) sets `PARKED`.
//! 2. Whoever takes `PARKED` away makes the carrier ready, exactly once.
//! 3. The wakes wrap at 2^32 and the tokens at 2^31: a wake could be overlooked only if exactly that
//!    many came between two looks of the owner.
//!
//! No wake is lost: a wake before `begin_park` changes the word, so the exchange fails; a wake
//! after it finds `PARKED`.

use weftwork_core::sync::atomic::{AtomicU64, Ordering};

/// Set by the owner: the carrier is, or is about to be, switched away. Excludes being in a queue.
const PARKED: u64 = 1;
/// One wake.
const WAKE: u64 = 1 << 1;
const WAKE_MASK: u64 = ((1 << 32) - 1) << 1;
/// One user-level token.
const TOKEN: u64 = 1 << 33;

/// See the module's page.
#[derive(Debug)]
pub struct ParkWord(AtomicU64);

/// The word as the owner last saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(u64);

impl Seen {
    /// The user-level tokens given so far, to tell whether one came since.
    pub fn tokens(self) -> u32 {
        (self.0 >> 33) as u32
    }
}

impl ParkWord {
    /// The word of a carrier that runs, without wakes so far.
    pub fn new() -> Self {
        ParkWord(AtomicU64::new(0))
    }

    /// Announces that the owner is about to switch away.
    ///
    /// # Errors
    /// There was a wake since `seen`: the word as it is now. The owner does not sleep.
    #[inline]
    pub fn begin_park(&self, seen: Seen) -> Result<(), Seen> {
        // Acquire on failure: pairs with the release in `wake`, so that what was done before the
        // wake is seen. Relaxed on success: it publishes nothing that the waker reads.
        self.0
            .compare_exchange(
                seen.0,
                seen.0 | PARKED,
                Ordering::Relaxed,
                Ordering::Acquire,
            )
            .map(drop)
            .map_err(Seen)
    }

    /// Wakes. True: the carrier was parked, and the caller makes it ready (invariant 2).
    #[inline]
    #[must_use]
    pub fn wake(&self) -> bool {
        self.add(0)
    }

    /// Leaves a user-level token and wakes, as [`wake`](Self::wake).
    #[inline]
    #[must_use]
    pub fn unpark(&self) -> bool {
        self.add(TOKEN)
    }

    #[inline]
    fn add(&self, token: u64) -> bool {
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        // Canary: a waker that trusts a plain look at PARKED misses a park that begins after it.
        #[cfg(weftwork_canary)]
        if now & PARKED == 0 {
            self.0.store(now, Ordering::Release);
            return false;
        }
        loop {
            let wakes = (now + WAKE) & WAKE_MASK;
            let tokens = (now & !(WAKE_MASK | PARKED)).wrapping_add(token);
            // Release: pairs with the acquires in `begin_park` and `observe`.
            match self.0.compare_exchange_weak(
                now,
                tokens | wakes,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return now & PARKED != 0,
                Err(seen) => now = seen,
            }
        }
    }

    /// Looks at the word: every wake before this is seen, with what was done before it.
    #[inline]
    pub fn observe(&self) -> Seen {
        // Acquire: pairs with the release in `add`.
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Whether the owner announced a park that no wake has ended.
    pub fn is_parked(&self) -> bool {
        // Relaxed: a report, or the owner's own look.
        self.0.load(Ordering::Relaxed) & PARKED != 0
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_park_keeps_it_from_sleeping() {
        let word = ParkWord::new();
        let seen = word.observe();
        assert!(!word.wake());
        let now = word.begin_park(seen).unwrap_err();
        assert!(word.begin_park(now).is_ok());
        assert!(word.is_parked());
        assert!(word.wake());
        assert!(!word.is_parked());
    }

    #[test]
    fn tokens_outlast_wakes_and_wrap_without_touching_each_other() {
        let word = ParkWord(AtomicU64::new(WAKE_MASK));
        assert!(!word.wake());
        assert_eq!(word.observe().tokens(), 0);
        let word = ParkWord(AtomicU64::new(!PARKED));
        assert!(!word.unpark());
        assert_eq!(word.observe(), Seen(0));
        assert!(!word.unpark());
        assert_eq!(word.observe().tokens(), 1);
    }
}

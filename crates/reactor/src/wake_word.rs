//! The wake word: whether a wake must reach into the kernel.
//!
//! One word says how many threads sleep in the poller and whether a wake waits to be consumed. A
//! system call is made only by the wake that finds a sleeper and no wake under way.
//!
//! ```text
//! AWAKE     no sleeper, not notified     a wake only sets NOTIFIED
//! SLEEPING  sleepers > 0, not notified   a wake sets NOTIFIED and writes the wake descriptor
//! NOTIFIED  the bit, any sleepers        further wakes do nothing; the next to enter or leave
//!                                        sleep clears it
//! ```
//!
//! Invariants:
//! 1. Every transition is one read-modify-write of the one word, on both sides. So a wake and a
//!    thread going to sleep are ordered: either the sleeper sees NOTIFIED and stays awake, or the
//!    wake sees the sleeper and writes. `docs/design/reactor.md` walks through the interleavings.
//! 2. What a thread wrote before `notify` is visible to whoever clears its NOTIFIED. The kernel
//!    gives no such promise for an edge-triggered descriptor that nobody reads.
//! 3. A wait that cannot block leaves the word alone. If it happens to receive the wake event, it
//!    asks `must_forward` and writes again for the sleeper it would have robbed.

use weftwork_core::sync::atomic::{AtomicU32, Ordering};

/// Set by a wake, cleared by whoever enters or leaves sleep next. While it is set no wake writes.
const NOTIFIED: u32 = 1 << 31;
/// The number of threads that announced sleep and have not left it.
const SLEEPERS: u32 = NOTIFIED - 1;

/// The word and its transitions.
#[derive(Debug)]
pub struct WakeWord(AtomicU32);

impl WakeWord {
    /// Makes a word in state AWAKE.
    #[must_use]
    pub fn new() -> Self {
        WakeWord(AtomicU32::new(0))
    }

    /// Announces sleep. Returns false if a wake was waiting: it is consumed, and the caller must
    /// not block. After true the caller must call [`leave_sleep`](Self::leave_sleep).
    #[must_use]
    pub fn enter_sleep(&self) -> bool {
        let mut word = self.0.load(Ordering::Relaxed); // Relaxed: only a guess for the exchange.
        loop {
            let sleep = word & NOTIFIED == 0;
            let next = if sleep { word + 1 } else { word & !NOTIFIED };
            match self.exchange(word, next) {
                Ok(_) => return sleep,
                Err(seen) => word = seen,
            }
        }
    }

    #[cfg(not(weftwork_canary))]
    fn exchange(&self, word: u32, next: u32) -> Result<u32, u32> {
        // AcqRel: Acquire pairs with the Release in `notify`, whose caller's writes must be visible
        // to a thread that stays awake; Release keeps the announcement after the caller's last look
        // at its queues.
        self.0
            .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
    }

    /// The bug that the model must find: a wake between the load and the store is overwritten.
    #[cfg(weftwork_canary)]
    fn exchange(&self, word: u32, next: u32) -> Result<u32, u32> {
        self.0.store(next, Ordering::SeqCst);
        Ok(word)
    }

    /// Leaves sleep. Returns true if a wake was waiting, which is now consumed.
    pub fn leave_sleep(&self) -> bool {
        let mut word = self.0.load(Ordering::Relaxed); // Relaxed: only a guess for the exchange.
        loop {
            debug_assert!(word & SLEEPERS != 0, "leave_sleep without enter_sleep");
            let next = (word - 1) & !NOTIFIED;
            // AcqRel: Acquire pairs with the Release in `notify`.
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return word & NOTIFIED != 0,
                Err(seen) => word = seen,
            }
        }
    }

    /// Records a wake. Returns true if the caller must write the wake descriptor.
    #[must_use]
    pub fn notify(&self) -> bool {
        // AcqRel: Release pairs with the Acquire in `enter_sleep` and `leave_sleep`; Acquire orders
        // this thread after the announcement it found.
        let word = self.0.fetch_or(NOTIFIED, Ordering::AcqRel);
        word & NOTIFIED == 0 && word & SLEEPERS != 0
    }

    /// Tells a wait that did not block and received the wake event whether a sleeper still needs
    /// it.
    #[must_use]
    pub fn must_forward(&self) -> bool {
        // AcqRel: a read-modify-write reads the latest value, which a plain load need not.
        let word = self.0.fetch_or(0, Ordering::AcqRel);
        // The canary keeps a wake event that was meant for the sleeper.
        word & NOTIFIED != 0 && word & SLEEPERS != 0 && cfg!(not(weftwork_canary))
    }
}

impl Default for WakeWord {
    fn default() -> Self {
        WakeWord::new()
    }
}

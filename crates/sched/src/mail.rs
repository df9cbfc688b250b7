//! The mail word of a carrier: what other threads have left for it, until its worker has looked.
//!
//! A wake from the carrier's own thread needs no atomics: it looks whether the carrier is parked and
//! puts it into the ready ring. A wake from another thread cannot look, because that flag belongs to
//! the worker. It leaves its mark here, and whoever leaves the first one also puts the carrier into
//! the worker's inbox. The worker empties the inbox before it sleeps, collects the marks, and does
//! the rest itself. So parking costs nothing that is shared, and a remote wake two read-modify-writes.
//!
//! Invariants
//! 1. A carrier is in its worker's inbox, once, from the first mark until the worker has taken it
//!    out; it collects the marks after that.
//! 2. Only the worker clears marks.
//!
//! No wake is lost: a mark left before the collection is seen by it, with what was done before the
//! mark; one left after finds the word empty, and puts the carrier into the inbox again.

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU32, Ordering};

/// Set by any other thread: wake the carrier.
const WAKE: u32 = 1 << 0;
/// Set by any other thread: the wake is an `unpark`, and leaves a token. Always with `WAKE`.
const TOKEN: u32 = 1 << 1;

/// See the module's page.
#[derive(Debug)]
pub struct Mail(AtomicU32);

impl Mail {
    /// An empty word.
    #[must_use]
    pub fn new() -> Self {
        Mail(AtomicU32::new(0))
    }

    /// Leaves a wake, with a token or without. True: the caller puts the carrier into the inbox.
    #[inline]
    #[must_use]
    pub fn leave(&self, token: bool) -> bool {
        let marks = if token { WAKE | TOKEN } else { WAKE };
        // Canary: two find the word empty, and both put the carrier into the inbox.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("mail: leave")) {
            let before = self.0.load(Ordering::Relaxed);
            self.0.store(before | marks, Ordering::Release);
            return before == 0;
        }
        // Release: what was done before the wake is seen by whoever collects it (partner:
        // `collect`). No acquire: nothing is read on the strength of an earlier mark.
        self.0.fetch_or(marks, Ordering::Release) == 0
    }

    /// Takes the marks, after the carrier was taken out of the inbox. True: one was a token.
    #[must_use]
    pub fn collect(&self) -> bool {
        // Canary: a mark that comes between the look and the clearing is thrown away.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("mail: collect")) {
            let marks = self.0.load(Ordering::Acquire);
            self.0.store(0, Ordering::Release);
            return marks & TOKEN != 0;
        }
        // Canary: the mark is seen, what was done before it is not.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("mail: collect, order")) {
            return self.0.swap(0, Ordering::Relaxed) & TOKEN != 0; // Relaxed: that is the canary.
        }
        // Acquire: pairs with the release in `leave`, of all marks that are taken.
        self.0.swap(0, Ordering::Acquire) & TOKEN != 0
    }
}

impl Default for Mail {
    fn default() -> Self {
        Mail::new()
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_mark_after_a_collection_goes_to_the_inbox() {
        let mail = Mail::new();
        assert!(mail.leave(false));
        assert!(!mail.leave(true));
        assert!(!mail.leave(false));
        assert!(mail.collect());
        assert!(mail.leave(false));
        assert!(!mail.collect());
    }
}

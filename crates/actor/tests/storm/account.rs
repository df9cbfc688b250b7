//! An account of messages: each is handled, handed back, given to its sender's hook, withdrawn by its sender,
//! or dropped; and what is dropped is what the dead letters tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weftwork_actor::dead_letters;

/// The account of all messages of a round. There is one at a time in a process, for dead letters are counted
/// by the process.
#[derive(Clone)]
pub(crate) struct Account(Arc<Totals>);

/// Relaxed throughout: whoever compares has seen the last message go.
struct Totals {
    written: AtomicU64,
    handled: AtomicU64,
    returned: AtomicU64,
    withdrawn: AtomicU64,
    dropped: AtomicU64,
    /// Handed to a hook: some of them are dead letters, too.
    hooked: AtomicU64,
    /// Those that have come to an end, whichever. Release and Acquire: see `settle`.
    gone: AtomicU64,
    dead_before: u64,
}

/// A message. Its number is in plain memory of its own: a hand-over that does not order the accesses of the
/// two sides is a race there.
pub(crate) struct Letter {
    number: Box<u64>,
    fate: Fate,
    account: Account,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Dropped,
    Handled,
    Returned,
    Hooked,
}

fn dead() -> u64 {
    let counts = dead_letters::counts();
    counts.ended + counts.full + counts.forward
}

impl Account {
    pub(crate) fn new() -> Account {
        Account(Arc::new(Totals {
            written: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            withdrawn: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            hooked: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            dead_before: dead(),
        }))
    }

    /// Writes a message.
    pub(crate) fn write(&self, number: u64) -> Letter {
        self.0.written.fetch_add(1, Ordering::Relaxed);
        Letter {
            number: Box::new(number),
            fate: Fate::Dropped,
            account: self.clone(),
        }
    }

    pub(crate) fn handled(&self) -> u64 {
        self.0.handled.load(Ordering::Relaxed)
    }

    /// A sender has dropped the future that was to send a message, before that was sent.
    pub(crate) fn note_withdrawn(&self) {
        self.0.withdrawn.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until no message is left, and balances the account: to the letter if there was no hook. The
    /// senders are through.
    #[track_caller]
    pub(crate) fn settle(&self) {
        let totals = &*self.0;
        let written = totals.written.load(Ordering::Relaxed);
        // Acquire: pairs with the Release of the drops.
        while totals.gone.load(Ordering::Acquire) < written {
            super::breathe();
        }
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (handled, returned) = (count(&totals.handled), count(&totals.returned));
        let (dropped, hooked) = (count(&totals.dropped), count(&totals.hooked));
        let withdrawn = count(&totals.withdrawn);
        assert_eq!(written, handled + returned + hooked + dropped);
        let told = dead() - totals.dead_before + withdrawn;
        assert!(
            (dropped..=dropped + hooked).contains(&told),
            "{dropped} of {written} were dropped, and {told} told: {handled} handled, \
             {returned} returned, {hooked} to a hook, {withdrawn} withdrawn"
        );
    }
}

impl Letter {
    pub(crate) fn number(&self) -> u64 {
        *self.number
    }

    /// Its handler has begun.
    pub(crate) fn handled(mut self) -> u64 {
        self.end(Fate::Handled);
        std::mem::replace(&mut *self.number, u64::MAX)
    }

    /// Its sender has it back.
    pub(crate) fn returned(mut self) {
        self.end(Fate::Returned);
    }

    /// Its sender's hook has it.
    pub(crate) fn hooked(mut self) {
        self.end(Fate::Hooked);
    }

    fn end(&mut self, fate: Fate) {
        assert!(self.fate == Fate::Dropped, "a message has one fate");
        self.fate = fate;
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        let totals = &*self.account.0;
        let count = match self.fate {
            Fate::Dropped => &totals.dropped,
            Fate::Handled => &totals.handled,
            Fate::Returned => &totals.returned,
            Fate::Hooked => &totals.hooked,
        };
        count.fetch_add(1, Ordering::Relaxed);
        // Release: the counts above come first; pairs with `settle`.
        totals.gone.fetch_add(1, Ordering::Release);
    }
}

//! Where the letters lie that were taken out of the inbox.
//!
//! The shelf is the actor's. In a mailbox that drops its oldest message to make room, senders reach into it,
//! too: there, and only there, a lock guards it together with the consumer's side of the inbox.

use crate::cell::CellRef;
use crate::dead_letters::{self, Cause};
use crate::mailbox::OnFull;
use crate::mailbox::chain::Chain;
use crate::mailbox::lanes::Lanes;
use crate::mailbox::letter::{Kind, Letter};
use crate::mailbox::weighed;

pub(crate) struct Shelf {
    pub(crate) lanes: Lanes,
    /// Taken out of the inbox by a sender that made room; the actor sorts it.
    pub(crate) unsorted: Chain,
}

impl Shelf {
    pub(crate) const fn new() -> Self {
        Shelf {
            lanes: Lanes::new(),
            unsorted: Chain::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.unsorted.is_empty()
    }

    pub(crate) fn take_all(&mut self) -> Shelf {
        std::mem::replace(self, Shelf::new())
    }
}

impl CellRef {
    /// Makes room in a mailbox that drops its oldest message, by dropping it. False: there was none to drop.
    pub(crate) fn drop_oldest(&self) -> bool {
        debug_assert_eq!(self.on_full, OnFull::DropOldest);
        let is_message = |letter: &Letter| matches!(letter.class().kind, Kind::Message(_));
        let oldest = self.shelf(|shelf| {
            if let Some(letter) = shelf.lanes.pop_least(is_message) {
                return Some(letter);
            }
            shelf.unsorted.append(self.take_letters().letters);
            let mut before = Chain::new();
            while let Some(letter) = shelf.unsorted.pop_front() {
                if is_message(&letter) {
                    shelf.unsorted.prepend(before);
                    return Some(letter);
                }
                before.push_back(letter);
            }
            shelf.unsorted = before;
            None
        });
        // Dropped at the end, not under the lock: it is the user's.
        let oldest = oldest.map(weighed::open);
        if let Some((load, letter)) = &oldest {
            self.room.take_off(*load);
            if let Some(name) = letter.class().name {
                dead_letters::report(self, name(), Cause::Full);
            }
        }
        oldest.is_some()
    }
}

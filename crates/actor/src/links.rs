//! Links: two actors that end together.
//!
//! Each of the two has an entry for the other one; the entries are changed by signals, without a lock. The
//! protocol is that of Erlang's distribution: a `Link` makes the entry at the other end, an `Unlink` takes
//! it away there and is answered. Until the answer comes the own entry stays, marked: exits and links from
//! the other end that were on their way are ignored, so an unlink is final whatever crosses it.
//!
//! | entry | comes | then |
//! | --- | --- | --- |
//! | none | `Link` | linked |
//! | linked, unlinking | `Link` | as before |
//! | linked | exit of the link | none; the exit takes effect |
//! | unlinking | exit of the link | none; ignored |
//! | none | exit of the link | ignored |
//! | any | `Unlink` | none if linked; answered with `Unlinked` |
//! | unlinking | `Unlinked` with its number | none |

use crate::cell::CellRef;
use crate::table::Table;

pub(crate) struct Link {
    pub(crate) peer: CellRef,
    /// The number of the `Unlink` that was sent and not answered.
    unlinking: Option<u64>,
}

/// The links of an actor.
#[derive(Default)]
pub(crate) struct Links(Table<Link>);

/// What the actor has to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// Nothing: the link was there.
    Already,
    /// A `Link`.
    New,
}

impl Links {
    /// The actor links itself to `peer`.
    pub(crate) fn link(&mut self, peer: &CellRef) -> Linked {
        match self.0.get_mut(peer.number) {
            Some(link) if link.unlinking.is_none() => Linked::Already,
            Some(link) => {
                link.unlinking = None;
                Linked::New
            }
            None => {
                self.insert(peer.clone());
                Linked::New
            }
        }
    }

    /// A `Link` has arrived, or the two were linked at the start.
    pub(crate) fn linked_by(&mut self, peer: CellRef) {
        if self.0.get_mut(peer.number).is_none() {
            self.insert(peer);
        }
    }

    fn insert(&mut self, peer: CellRef) {
        let unlinking = None;
        self.0.insert(peer.number, Link { peer, unlinking });
    }

    /// The actor unlinks itself. False: there was no link.
    pub(crate) fn unlink(&mut self, peer: u64, id: u64) -> bool {
        match self.0.get_mut(peer) {
            Some(link) if link.unlinking.is_none() => {
                link.unlinking = Some(id);
                true
            }
            _ => false,
        }
    }

    /// An `Unlink` has arrived.
    pub(crate) fn unlinked_by(&mut self, peer: u64) {
        if (self.0.get_mut(peer)).is_some_and(|link| link.unlinking.is_none()) {
            self.0.remove(peer);
        }
    }

    /// An `Unlinked` has arrived.
    pub(crate) fn answered(&mut self, peer: u64, id: u64) {
        if (self.0.get_mut(peer)).is_some_and(|link| link.unlinking == Some(id)) {
            self.0.remove(peer);
        }
    }

    /// Forgets the other end without a word.
    pub(crate) fn forget(&mut self, peer: u64) {
        self.0.remove(peer);
    }

    /// An exit of the link has arrived. True: it takes effect.
    pub(crate) fn broken(&mut self, peer: u64) -> bool {
        (self.0.remove(peer)).is_some_and(|link| link.unlinking.is_none())
    }

    /// Takes all that are to be told of the end.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = CellRef> + use<> {
        std::mem::take(&mut self.0)
            .into_values()
            .filter(|link| link.unlinking.is_none())
            .map(|link| link.peer)
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &CellRef> {
        self.0
            .values()
            .filter(|link| link.unlinking.is_none())
            .map(|link| &link.peer)
    }
}

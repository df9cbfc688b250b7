//! Monitors: to be told, once, of somebody's end.
//!
//! The one who monitors has an entry with the monitor's number, the one who is monitored has another. A
//! `Down` takes effect if the entry is still there when its turn comes: so a `demonitor` is final, also for
//! a down that was queued already (OTP's `demonitor` with `flush`).
//!
//! Most actors that are monitored are so once, by a supervisor or by whoever waits for their end. So the
//! first entry of the one who is monitored is the letter in which the monitor came; others are in a table.

use crate::cell::CellRef;
use crate::ends::AtEnd;
use crate::mailbox::letter::Letter;
use crate::owned::Owned;
use crate::signal::{Observer, Signal};
use crate::table::Table;

/// Whom an actor monitors, by the monitor's number.
#[derive(Default)]
pub(crate) struct Monitors(Table<(u64, CellRef)>);

impl Monitors {
    pub(crate) fn insert(&mut self, reference: u64, target: CellRef) {
        self.0.insert(reference, (reference, target));
    }

    pub(crate) fn remove(&mut self, reference: u64) -> Option<CellRef> {
        Some(self.0.remove(reference)?.1)
    }

    /// Takes all, to call them off.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (u64, CellRef)> + use<> {
        std::mem::take(&mut self.0).into_values()
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &CellRef> {
        self.0.values().map(|(_, target)| target)
    }
}

/// Who monitors an actor, by the monitor's number, besides the first.
#[derive(Default)]
pub(crate) struct Watchers(Table<(u64, Observer)>);

/// Who monitors an actor.
impl Owned {
    /// A `Monitor` has arrived, in this letter.
    pub(crate) fn watched_by(&mut self, letter: Letter) {
        if self.first_watcher.is_none() {
            self.first_watcher = Some(letter);
        } else if let Some((reference, observer)) = monitor(letter) {
            let watchers = &mut self.more().watchers;
            watchers.0.insert(reference, (reference, observer));
        }
    }

    /// A `Demonitor` has arrived.
    pub(crate) fn unwatched_by(&mut self, reference: u64) {
        let is_it = |letter: &mut Letter| matches!(Signal::of(letter), Some(Signal::Monitor { reference: first, .. }) if *first == reference);
        if self.first_watcher.take_if(is_it).is_none()
            && let Some(more) = &mut self.more
        {
            more.watchers.0.remove(reference);
        }
    }

    pub(crate) fn observers(&self) -> impl Iterator<Item = &Observer> {
        let first = match self.first_watcher.as_ref().and_then(Signal::of) {
            Some(Signal::Monitor { watcher, .. }) => Some(watcher),
            _ => None,
        };
        let others = self.more.as_deref().map(|more| more.watchers.0.values());
        (first.into_iter()).chain(others.into_iter().flatten().map(|(_, observer)| observer))
    }

    /// Takes those that are to be called, not told.
    pub(crate) fn take_hooks(&mut self) -> impl Iterator<Item = AtEnd> + use<> {
        let is_hook = |letter: &mut Letter| {
            matches!(
                Signal::of(letter),
                Some(Signal::Monitor {
                    watcher: Observer::Hook(_),
                    ..
                })
            )
        };
        let first = self.first_watcher.take_if(is_hook).and_then(monitor);
        let others = self.more.as_deref_mut().map(|more| {
            let is_hook = |(_, observer): &(u64, Observer)| matches!(observer, Observer::Hook(_));
            more.watchers.0.take_if(is_hook)
        });
        let taken = first.into_iter().chain(others.into_iter().flatten());
        taken.filter_map(|(_, observer)| match observer {
            Observer::Hook(call) => Some(call),
            _ => None,
        })
    }

    /// Takes all, to tell them.
    pub(crate) fn take_watchers(&mut self) -> impl Iterator<Item = (u64, Observer)> + use<> {
        let first = self.first_watcher.take().and_then(monitor);
        let others = (self.more.as_deref_mut()).map(|more| std::mem::take(&mut more.watchers.0));
        let others = others.into_iter().flat_map(Table::into_values);
        first.into_iter().chain(others)
    }
}

/// What is in the letter of a `Monitor`.
fn monitor(letter: Letter) -> Option<(u64, Observer)> {
    match Signal::from_letter(letter) {
        Signal::Monitor { reference, watcher } => Some((reference, watcher)),
        _ => None,
    }
}

//! Monitors: to be told, once, of somebody's end.
//!
//! The one who monitors has an entry with the monitor's number, the one who is monitored has another. A
//! `Down` takes effect if the entry is still there when its turn comes: so a `demonitor` is final, also for
//! a down that was queued already (OTP's `demonitor` with `flush`).

use crate::cell::CellRef;
use crate::signal::Observer;
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

/// Who monitors an actor, by the monitor's number.
#[derive(Default)]
pub(crate) struct Watchers(Table<(u64, Observer)>);

impl Watchers {
    pub(crate) fn insert(&mut self, reference: u64, observer: Observer) {
        self.0.insert(reference, (reference, observer));
    }

    pub(crate) fn remove(&mut self, reference: u64) {
        self.0.remove(reference);
    }

    pub(crate) fn observers(&self) -> impl Iterator<Item = &Observer> {
        self.0.values().map(|(_, observer)| observer)
    }

    /// Takes all, to tell them.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (u64, Observer)> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}

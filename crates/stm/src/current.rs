//! The transaction that is running on the calling thread, and the log that the thread keeps for the next.
//!
//! Invariants
//! 1. At most one transaction or snapshot runs on an OS thread: its body does not wait, so no green thread
//!    is switched away in the middle of it.
//! 2. The record is cleared on every way out of an attempt, also by a panic.

use crate::log::Log;
use std::panic::Location;
use weftwork_core::wait::{self, Forbidden};

/// What runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Transaction,
    Snapshot,
}

impl Kind {
    #[inline]
    fn as_str(self) -> &'static str {
        match self {
            Kind::Transaction => "transaction",
            Kind::Snapshot => "snapshot",
        }
    }
}

/// Where something runs.
type Place = &'static Location<'static>;

/// Forbids another transaction to begin on this thread, and any wait, until it is dropped.
pub(crate) struct Entered {
    _forbidden: Forbidden,
}

impl Entered {
    /// # Panics
    /// A transaction is running on this thread.
    #[inline]
    pub(crate) fn enter(kind: Kind, location: Place) -> Entered {
        if let Some(outer) = local::running() {
            nested(kind, location, outer);
        }
        local::set_running(Some(location));
        Entered {
            _forbidden: wait::forbid(kind.as_str(), location),
        }
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        local::set_running(None);
    }
}

#[cold]
fn nested(kind: Kind, location: Place, outer: Place) -> ! {
    panic!(
        "the {} at {location} begins inside the transaction or snapshot at {outer}: pass that one on instead",
        kind.as_str()
    );
}

/// Panics if code that runs under the locks of its own commit would wait for one of them.
pub(crate) fn assert_owns_no_lock() {
    assert!(
        !local::is_committing(),
        "a closure given to `TVar::commute` uses a variable; it may only use its argument"
    );
}

/// Notes that this thread runs closures under the locks of a commit, until it is dropped.
pub(crate) struct Committing(());

impl Committing {
    pub(crate) fn enter() -> Committing {
        local::set_committing(true);
        Committing(())
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        local::set_committing(false);
    }
}

/// The log that the thread keeps, or a new one.
#[inline]
pub(crate) fn take_log() -> Box<Log> {
    local::take_log().unwrap_or_default()
}

/// Keeps an empty log for the next transaction.
#[inline]
pub(crate) fn give_back(log: Box<Log>) {
    local::give_back(log);
}

#[cfg(not(weftwork_loom))]
mod local {
    use super::{Log, Place};
    use std::cell::Cell;

    struct Local {
        running: Cell<Option<Place>>,
        is_committing: Cell<bool>,
    }

    thread_local! {
        static LOCAL: Local = const {
            Local { running: Cell::new(None), is_committing: Cell::new(false) }
        };
        static LOG: Cell<Option<Box<Log>>> = const { Cell::new(None) };
    }

    #[inline]
    pub(super) fn running() -> Option<Place> {
        LOCAL.with(|local| local.running.get())
    }

    #[inline]
    pub(super) fn set_running(running: Option<Place>) {
        LOCAL.with(|local| local.running.set(running));
    }

    pub(super) fn is_committing() -> bool {
        LOCAL.with(|local| local.is_committing.get())
    }

    pub(super) fn set_committing(is: bool) {
        LOCAL.with(|local| local.is_committing.set(is));
    }

    #[inline]
    pub(super) fn take_log() -> Option<Box<Log>> {
        // An error says that the thread is ending.
        LOG.try_with(Cell::take).ok().flatten()
    }

    #[inline]
    pub(super) fn give_back(log: Box<Log>) {
        // An error says that the thread is ending: the log is dropped.
        let _ = LOG.try_with(|kept| kept.set(Some(log)));
    }
}

/// A model's threads are not std's: they share one of those. Nothing is kept.
#[cfg(weftwork_loom)]
mod local {
    use super::{Log, Place};

    pub(super) fn running() -> Option<Place> {
        None
    }

    pub(super) fn set_running(_: Option<Place>) {}

    pub(super) fn is_committing() -> bool {
        false
    }

    pub(super) fn set_committing(_: bool) {}

    pub(super) fn take_log() -> Option<Box<Log>> {
        None
    }

    pub(super) fn give_back(log: Box<Log>) {
        drop(log);
    }
}

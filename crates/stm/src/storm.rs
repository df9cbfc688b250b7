//! The report on a transaction that keeps running in vain.

use crate::stats::Conflicts;
use std::fmt;
use std::panic::Location;

/// After how many attempts without a commit, or false wakes, a transaction is reported.
pub(crate) const LIMIT: u32 = 1000;

/// A transaction that has run very often without a commit.
///
/// Either others keep changing what it has read, or keep waking it for changes that do not concern it:
/// then its condition is about too many variables, or about variables that change too often.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Storm {
    /// The name, if it has one: see [`named`](crate::named).
    pub name: Option<&'static str>,
    /// The line that began the transaction.
    pub location: &'static Location<'static>,
    /// How often its body has run.
    pub attempts: u32,
    /// How often it was woken, and went back to sleep.
    pub false_wakes: u32,
    /// What the other attempts failed of.
    pub conflicts: Conflicts,
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflicts {
            locked,
            version,
            validation,
            serial,
        } = self.conflicts;
        write!(f, "the transaction ")?;
        if let Some(name) = self.name {
            write!(f, "`{name}` ")?;
        }
        write!(
            f,
            "at {} has run {} times without a commit: {} wakes in vain, conflicts: {locked} locked, \
             {version} version, {validation} validation, {serial} serial",
            self.location, self.attempts, self.false_wakes
        )
    }
}

/// Calls `report` for each transaction that has run a thousand times without a commit, or was woken a
/// thousand times in vain, once. Without this, a line is written to standard error.
///
/// It is called between two attempts, by the thread that runs the transaction. The last call of `on_storm`
/// counts.
///
/// ```
/// weftwork_stm::on_storm(|storm| println!("{storm}"));
/// ```
pub fn on_storm(report: fn(&Storm)) {
    hook::set(report);
}

#[cold]
pub(crate) fn report(storm: &Storm) {
    match hook::get() {
        Some(report) => report(storm),
        None => eprintln!("weftwork-stm: {storm}"),
    }
}

#[cfg(not(weftwork_loom))]
mod hook {
    use super::Storm;
    use weftwork_core::sync::Mutex;

    static HOOK: Mutex<Option<fn(&Storm)>> = Mutex::new(None);

    pub(super) fn set(report: fn(&Storm)) {
        *HOOK.lock() = Some(report);
    }

    pub(super) fn get() -> Option<fn(&Storm)> {
        *HOOK.lock()
    }
}

/// A model is too short for a storm.
#[cfg(weftwork_loom)]
mod hook {
    use super::Storm;

    pub(super) fn set(_: fn(&Storm)) {}

    pub(super) fn get() -> Option<fn(&Storm)> {
        None
    }
}

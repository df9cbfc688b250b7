//! The names that an actor is started with.

use super::via::{RegisterError, Via};
use crate::cell::CellRef;
use crate::ends;
use crate::error::StartError;
use crate::number;
use std::fmt;
use std::sync::Arc;

/// What [`Options::register`](crate::Options::register) was given.
#[derive(Clone, Default)]
pub(crate) struct Registrations(Vec<(Arc<dyn Via>, Arc<str>)>);

impl Registrations {
    pub(crate) fn add(&mut self, via: impl Via, name: Arc<str>) {
        self.0.push((Arc::new(via), name));
    }

    /// Registers an actor that has not run yet, under all names. On an error those that it has got go when
    /// it is ended.
    pub(crate) fn register(self, cell: &CellRef) -> Result<(), StartError> {
        for (via, name) in self.0 {
            let pid = cell.pid();
            via.register(&name, &pid).map_err(|error| match error {
                RegisterError::Taken(holder) => StartError::AlreadyStarted(holder),
                RegisterError::Dead => StartError::Failed(crate::Reason::Killed),
                RegisterError::Refused(reason) => StartError::Failed(reason),
            })?;
            // It has not run, so it has not ended.
            ends::call_at_end(&pid, number::next(), move |pid| via.unregister(&name, pid));
        }
        Ok(())
    }
}

impl fmt::Debug for Registrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(_, name)| name))
            .finish()
    }
}

//! What all transactions of the process share: the clock, the table of who waits, the gate.
//!
//! There is one, in a static. A model has one per execution.

use crate::clock::Clock;
use crate::serial::Gate;
use crate::waiting::Table;

#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) clock: Clock,
    pub(crate) table: Table,
    pub(crate) gate: Gate,
}

impl Domain {
    #[cfg(not(weftwork_loom))]
    const fn new() -> Domain {
        Domain {
            clock: Clock::new(),
            table: Table::new(),
            gate: Gate::new(),
        }
    }

    #[cfg(weftwork_loom)]
    fn new() -> Domain {
        Domain {
            clock: Clock::new(),
            table: Table::new(),
            gate: Gate::new(),
        }
    }
}

/// The domain of the process.
#[cfg(not(weftwork_loom))]
#[inline]
pub(crate) fn domain() -> &'static Domain {
    static DOMAIN: Domain = Domain::new();
    &DOMAIN
}

/// The domain of this execution of the model.
#[cfg(weftwork_loom)]
pub(crate) fn domain() -> &'static Domain {
    weftwork_core::sync::lazy_static! {
        static ref DOMAIN: Domain = Domain::new();
    }
    &DOMAIN
}

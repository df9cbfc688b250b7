//! Supervisors: actors that start other actors, restart those that fail, and stop them in order.

mod admin;
mod backoff;
mod check;
mod id;
mod plan;
mod report;
mod restart;
mod rules;
mod table;
mod window;

#[cfg(all(test, not(weftwork_loom)))]
mod extras;
#[cfg(all(test, not(weftwork_loom)))]
mod model;

pub use admin::{AdminError, ChildInfo, ChildState, Counts};
pub use backoff::Backoff;
pub use check::SpecError;
pub use id::ChildId;
pub use report::Report;
pub use rules::{AutoShutdown, Kind, Limit, Restart, Rules, Shutdown, Strategy};

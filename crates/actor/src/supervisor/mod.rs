//! Supervisors: actors that start other actors, restart those that fail, and stop them in order.
//!
//! A [`SupervisorSpec`] has children, each a [`ChildSpec`] that can make one incarnation after the other. The
//! supervisor starts them in order, is linked to all of them, and acts by its [`Strategy`] when one ends. What
//! fails too often is not a matter of luck any more: the supervisor stops all its children and ends itself,
//! and its own supervisor decides. The rules are OTP's, to the letter where nothing else is said:
//! `docs/design/supervision.md` has them all.
//!
//! - A restart makes a new state; the old incarnation is over before: its `terminate` has returned, its state
//!   is dropped. It has another pid. A [`ChildRef`] resolves to the one that lives.
//! - A child gets a signal to stop from its supervisor alone, with the time that its [`Rules`] give it.
//! - What a supervisor did goes to its [reporter](SupervisorSpec::on_report).
//!
//! A supervisor waits in its handlers, for the `init` of a child it starts and for the end of a child it
//! stops. On an executor without green threads that holds the thread it runs on.

mod admin;
mod backoff;
mod check;
mod child;
mod child_ref;
mod crew;
mod handle;
mod id;
mod keeper;
mod plan;
#[cfg(all(target_os = "linux", not(weftwork_loom)))]
mod process;
mod report;
mod restart;
mod rules;
mod spec;
mod starting;
mod table;
mod window;

#[cfg(all(test, not(weftwork_loom)))]
mod extras;
#[cfg(all(test, not(weftwork_loom)))]
mod model;

pub use admin::{AdminError, ChildInfo, ChildState, Counts};
pub use backoff::Backoff;
pub use check::SpecError;
pub use child::ChildSpec;
pub use child_ref::ChildRef;
pub use handle::{AddChildError, AddChildErrorKind, SupervisorRef};
pub use id::ChildId;
#[cfg(all(target_os = "linux", not(weftwork_loom)))]
pub use process::{OsId, Process, ProcessArgs, ProcessExit};
pub use report::Report;
pub use rules::{AutoShutdown, Kind, Limit, Restart, Rules, Shutdown, Strategy};
pub use spec::SupervisorSpec;
pub use starting::{StartContext, Started};

//! Reports of actors that crash, and of what supervisors do about it: OTP's crash and supervisor reports.
//!
//! An actor *crashes* if it panics, in whatever method, or stops of itself, or is [stopped](crate::Pid::stop),
//! with a reason that is not [in good order](crate::Reason::is_normal). One that a signal ends does not: the
//! exit of a link, an exit that was sent and a kill are reported by whom they came from, if at all. Nor does
//! one whose `init` returns an error, which whoever started it has in hand.
//!
//! A supervisor reports to the function of its
//! [`on_report`](crate::supervisor::SupervisorSpec::on_report); without one, here.
//!
//! Each incident is told once, to one hook for the whole process. By default it is printed to standard error,
//! but for children that were started. [`set_hook`] replaces that, for a log, [`silence`] switches it off, for
//! tests that crash on purpose, say. (The panic hook of the standard library prints a panic in addition; it
//! is the program's to replace.)
//!
//! The hook runs in the task of the actor that ends, after its state was dropped and before anybody is told of
//! the end, so whoever has heard of a crash finds it reported. No lock is held. It should not wait: others wait
//! for the end. A panic in it is lost.
//!
//! ```
//! use std::sync::mpsc::channel;
//! use weftwork_actor::reports;
//! use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
//!
//! struct Divider;
//!
//! impl Actor for Divider {
//!     type Args = ();
//!     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Divider)
//!     }
//! }
//!
//! impl Handler<(u32, u32)> for Divider {
//!     type Reply = u32;
//!     fn handle(&mut self, (a, b): (u32, u32), _: &mut Context<Self>) -> u32 {
//!         a / b
//!     }
//! }
//!
//! # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//! let (log, reported) = channel();
//! reports::set_hook(move |incident| log.send(incident.to_string()).unwrap());
//!
//! let divider = start::<Divider>(rt.handle(), (), Options::new().name("divider"))?;
//! divider.ask((1, 0)).unwrap_err();
//! let report = reported.recv()?;
//! assert!(report.contains("(divider) crashed: panicked: attempt to divide by zero"));
//! assert!(report.contains("handling (u32, u32)"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod crash;
#[cfg(not(weftwork_loom))]
mod hook;

pub use crash::Crash;
pub(crate) use crash::{Noting, crash};

use crate::pid::Pid;
use crate::supervisor::Report;
use std::fmt;

/// Something that is worth a line in a log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Incident {
    /// An actor has crashed.
    Crash(Crash),
    /// A supervisor tells what it has seen or done.
    Supervisor {
        /// Which one.
        pid: Pid,
        /// What.
        report: Report,
    },
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Incident::Crash(crash) => crash.fmt(f),
            Incident::Supervisor { pid, report } => write!(f, "supervisor {pid:?}: {report}"),
        }
    }
}

/// Tells `hook` of each incident from now on, instead of whoever was told before.
///
/// The hook runs where the incident is, at several places at once if need be.
///
/// ```
/// use weftwork_actor::reports::{self, Incident};
///
/// reports::set_hook(|incident| match incident {
///     Incident::Crash(crash) => eprintln!("{:?}: {}", crash.pid, crash.reason),
///     other => eprintln!("{other}"),
/// });
/// ```
pub fn set_hook(hook: impl Fn(&Incident) + Send + Sync + 'static) {
    #[cfg(not(weftwork_loom))]
    hook::set(std::sync::Arc::new(hook));
    #[cfg(weftwork_loom)]
    drop(hook);
}

/// Prints incidents to standard error from now on, as at the beginning of the program.
///
/// ```
/// use weftwork_actor::reports;
///
/// reports::silence();
/// // Here a crash is nobody's business.
/// reports::print();
/// ```
pub fn print() {
    #[cfg(not(weftwork_loom))]
    hook::print();
}

/// Reports nothing from now on: see [`print`](print()).
pub fn silence() {
    #[cfg(not(weftwork_loom))]
    hook::silence();
}

/// A supervisor has something to tell. Called by the supervisor, under no lock.
pub(crate) fn supervisor(pid: &Pid, report: Report) {
    #[cfg(not(weftwork_loom))]
    if hook::is_told_of(&report) {
        hook::tell(&Incident::Supervisor {
            pid: pid.clone(),
            report,
        });
    }
    #[cfg(weftwork_loom)]
    let _ = (pid, report);
}

/// Whether anybody wants to hear of crashes.
fn is_on() -> bool {
    #[cfg(not(weftwork_loom))]
    return hook::is_on();
    #[cfg(weftwork_loom)]
    false
}

fn tell(incident: &Incident) {
    #[cfg(not(weftwork_loom))]
    hook::tell(incident);
    #[cfg(weftwork_loom)]
    let _ = incident;
}

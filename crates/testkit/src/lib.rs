//! What the tests of this workspace share: a watchdog, drop counters, iteration counts, a checker
//! of concurrent histories, and the frame in which loom models run.
//!
//! ```
//! use std::time::Duration;
//! use weftwork_testkit::{DropCounter, iters, with_watchdog};
//!
//! with_watchdog(Duration::from_secs(60), || {
//!     let drops = DropCounter::new();
//!     for n in 0..iters(1_000, 100, 10) {
//!         let (tx, rx) = std::sync::mpsc::channel();
//!         tx.send(drops.track(n)).unwrap();
//!         drop(rx);
//!     }
//!     drops.assert_none_live();
//! });
//! ```
//!
//! The crate is a dev-dependency of the others and is never published. It takes what a model must
//! see from [`weftwork_core::sync`]; the watchdog and the counters use std on purpose, because they
//! stand outside the model that they watch and must not add steps to it.

#![forbid(unsafe_code)]

mod counted;
mod history;
mod iterations;
mod linearizability;
#[cfg(weftwork_loom)]
mod modelled;
mod threads;
mod watchdog;

pub use counted::{Counted, DropCounter};
pub use history::{History, Log, Operation, Recorder};
pub use iterations::iters;
pub use linearizability::{Model, NotLinearizable, check};
#[cfg(weftwork_loom)]
pub use modelled::model;
pub use watchdog::{Watchdog, watchdog, with_watchdog};

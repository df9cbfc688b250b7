//! Software transactional memory: opaque, composable, starvation-free.
//!
//! ```
//! use weftwork_stm::{TVar, atomically};
//!
//! let (checking, savings) = (TVar::new(10), TVar::new(90));
//! atomically(|tx| {
//!     let n = *savings.get(tx)?;
//!     tx.check(n >= 50)?; // Otherwise: waits until `savings` changes.
//!     savings.set(tx, n - 50)?;
//!     checking.update(tx, |n| n + 50)
//! });
//! assert_eq!((checking.load(), savings.load()), (60, 40));
//! ```
#![doc(test(attr(deny(warnings))))]

mod alternatives;
mod attempt;
pub mod bridge;
mod builder;
mod canary;
mod clock;
#[cfg(not(weftwork_loom))]
mod collections;
mod commit;
mod commute;
mod current;
mod domain;
mod error;
mod future;
mod hooks;
mod local;
mod log;
mod node;
mod reclaim;
mod rhythm;
mod run;
mod serial;
mod snapshot;
mod stats;
mod storm;
mod tx;
mod var;
mod waiting;
mod watch;

pub use builder::{Transaction, named, transaction};
#[cfg(not(weftwork_loom))]
pub use collections::{
    Full, Held, TArray, TBQueue, TBroadcast, TChan, TMVar, TMap, TMapView, TPriorityQueue, TQueue,
    TRwLock, TSem, TSet, TSetView,
};
pub use error::{Stm, Stop, TryRunError, TxError, TxFailed, abort};
pub use future::{
    Atomically, RunTransaction, TryAtomically, atomically_async, try_atomically_async,
};
pub use local::TxLocal;
pub use reclaim::{Backlog, flush};
#[cfg(weftwork_loom)]
#[doc(hidden)]
pub use rhythm::model::share_stamps;
pub use run::{atomically, try_atomically};
pub use snapshot::{Snapshot, snapshot};
pub use stats::{Conflicts, Counts, Stats, stats};
pub use storm::{Storm, on_storm};
pub use tx::Tx;
pub use var::TVar;
pub use watch::{Changed, Watch};

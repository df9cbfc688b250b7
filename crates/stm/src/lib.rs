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
mod clock;
mod collections;
mod commit;
mod current;
mod domain;
mod error;
mod log;
mod node;
mod reclaim;
mod run;
mod serial;
mod snapshot;
mod tx;
mod var;
mod waiting;

pub use collections::{
    Full, Held, TArray, TBQueue, TBroadcast, TChan, TMVar, TMap, TMapView, TPriorityQueue, TQueue,
    TRwLock, TSem, TSet, TSetView,
};
pub use error::{Stm, Stop, TxError, abort};
pub use reclaim::{Backlog, flush};
pub use run::{atomically, try_atomically};
pub use snapshot::{Snapshot, snapshot};
pub use tx::Tx;
pub use var::TVar;

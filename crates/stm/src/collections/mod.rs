//! Collections made of variables: whatever a transaction does to several of them happens at once.
//!
//! None of them uses anything but variables, transactions and snapshots, so what holds for those holds here:
//! operations compose, `pop` in the first branch of an `or_else` falls through to the second one, and whoever
//! waits is woken by what it waits for. Operations that wait say so; their `try_` forms never do.

mod full;
mod heap;
mod list;
mod tarray;
mod tbqueue;
mod tchan;
mod tmap;
mod tmvar;
mod tpriority_queue;
mod tqueue;
mod trwlock;
mod tsem;
mod tset;

pub use full::Full;
pub use tarray::TArray;
pub use tbqueue::TBQueue;
pub use tchan::{TBroadcast, TChan};
pub use tmap::{TMap, TMapView};
pub use tmvar::TMVar;
pub use tpriority_queue::TPriorityQueue;
pub use tqueue::TQueue;
pub use trwlock::{Held, TRwLock};
pub use tsem::TSem;
pub use tset::{TSet, TSetView};

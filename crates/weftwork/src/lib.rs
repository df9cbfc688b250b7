//! Every classic concurrency model on one runtime.
//!
//! This crate has no logic of its own: it gathers what the crates below it offer, so that a program
//! names one dependency. Most programs want
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use weftwork::prelude::*;
//!
//! #[weftwork::main]
//! fn main() {
//!     let answer = spawn(|| 6 * 7).join().unwrap();
//!     assert_eq!(answer, 42);
//! }
//! ```
//!
//! | here | what | from |
//! | --- | --- | --- |
//! | [`Runtime`], [`LocalRuntime`], [`Handle`] | a set of workers, and ways into it | `weftwork-sched` |
//! | [`spawn`], [`spawn_async`], [`spawn_local`], [`scope`], [`join`](fn@join) | work to do at the same time | `weftwork-sched` |
//! | [`park`], [`yield_now`], [`checkpoint`], [`blocking`], [`block_on`] | waiting, and letting others run | `weftwork-sched` |
//! | [`task`] | handles, names, task-local values | `weftwork-core`, `weftwork-sched` |
//! | [`time`] | sleeps, limits, intervals | `weftwork-sched` |
//! | `net` (feature `net`) | sockets with the interface of [`std::net`] | `weftwork-net` |
//! | `actor` (feature `actor`) | actors, supervisors, registries, groups; on tokio, too (feature `tokio`) | `weftwork-actor` |
//! | `csp` (feature `csp`) | channels, `select!`, and helpers built on them | `weftwork-csp` |
//! | `stm` (feature `stm`) | memory transactions | `weftwork-stm` |
//! | `sync` (feature `sync`) | locks, semaphores, contexts | `weftwork-sync` |
//! | [`wait`] | to write a waiting operation of one's own | `weftwork-core` |
//! | `main`, `test` (feature `macros`) | a function on a runtime | `weftwork-macros` |
#![forbid(unsafe_code)]
#![doc(test(attr(deny(warnings))))]

pub mod prelude;
pub mod task;
pub mod time;

#[cfg(feature = "actor")]
pub use weftwork_actor as actor;
pub use weftwork_core::wait;
pub use weftwork_core::{Event, Refused, Spawn};
#[cfg(feature = "csp")]
pub use weftwork_csp as csp;
#[cfg(feature = "macros")]
pub use weftwork_macros::{main, test};
#[cfg(feature = "net")]
pub use weftwork_net as net;
pub use weftwork_sched::{
    Builder, EnterGuard, Handle, Leftover, LocalRuntime, Runtime, Scope, ScopedJoinHandle,
    ShutdownReport, Stats, Stuck, Thread, block_on, blocking, checkpoint, current, is_cancelled,
    join, park, park_deadline, park_timeout, scope, spawn, spawn_async, spawn_local,
    spawn_local_async, task_local, try_checkpoint, try_yield_now, yield_now,
};
#[cfg(feature = "stm")]
pub use weftwork_stm as stm;
#[cfg(feature = "sync")]
pub use weftwork_sync as sync;

/// The programs in the documents are compiled and run as tests of this crate.
#[cfg(all(
    doctest,
    feature = "actor",
    feature = "csp",
    feature = "macros",
    feature = "net",
    feature = "stm",
    feature = "sync"
))]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/guide.md")]
    mod guide {}
    #[cfg(feature = "tokio")]
    #[doc = include_str!("../../../docs/guide-actors.md")]
    mod guide_actors {}
    #[doc = include_str!("../../../docs/guide-channels.md")]
    mod guide_channels {}
    #[doc = include_str!("../../../docs/guide-stm.md")]
    mod guide_stm {}
}

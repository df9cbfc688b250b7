//! What every Weftwork crate shares: the [`Task`], the one way to [`wait`], and the door to
//! atomics, locks and threads ([`sync`]).
//!
//! A *task* is a unit of work that some executor runs: a closure (a green thread, once a scheduler
//! gives it a stack to block on) or a future. A *wait* is written once, as a poll-based state
//! machine, and serves whoever runs it: a green thread switches away, an OS thread parks, a future
//! returns `Pending`. A scheduler plugs itself in with the [`host`] hook; without one, the OS-thread
//! parker serves, so the crates built on this one work in a program that has no runtime at all.
//!
//! ```
//! use weftwork_core::task;
//!
//! // An executor that could not be simpler: it runs the task at once, on this thread.
//! let (task, handle) = task::closure(|| 6 * 7);
//! task.run();
//! assert_eq!(handle.join().unwrap(), 42);
//! ```
#![doc(test(attr(deny(warnings))))]

#[cfg(weftwork_canary)]
#[doc(hidden)]
pub mod canary;
pub mod event;
pub mod host;
pub mod spawn;
pub mod sync;
pub mod task;
#[cfg(not(weftwork_loom))]
pub mod timer;
pub mod wait;

pub use event::Event;
pub use spawn::{Refused, Spawn};
pub use task::{JoinError, JoinHandle, Task, TaskId};
pub use wait::{Cancelled, Reason, TimedOut, block_on};

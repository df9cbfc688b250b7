//! An M:N work-stealing runtime of green threads and futures.
//!
//! A green thread is a closure that waits in plain blocking style. It costs one small allocation
//! until it first waits, then a stack of its own for as long as it lives. Futures run on the same
//! workers, without stacks; a future that calls something blocking parks itself, not its worker. OS
//! threads take part in everything: they join tasks, unpark them, and are parked by the same calls.
//!
//! ```
//! use weftwork_sched::{Runtime, scope, sleep};
//! use std::time::Duration;
//!
//! let rt = Runtime::builder().workers(2).build()?;
//! rt.run(|| {
//!     let mut parts = vec![1, 2, 3];
//!     scope(|s| {
//!         for part in &mut parts {
//!             s.spawn(|| {
//!                 sleep(Duration::from_millis(1));
//!                 *part *= 10;
//!             });
//!         }
//!     });
//!     assert_eq!(parts, [10, 20, 30]);
//! });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A started green thread stays on its worker's OS thread: moving a stack between threads is
//! undefined behaviour in Rust today. Tasks that have not started, and futures between polls, move
//! freely. A task that keeps its worker without a runtime call strands the green threads that are
//! parked there; the monitor names it (see [`Builder::on_stuck`]), and [`blocking`] and
//! [`checkpoint`] are the cures.
#![doc(test(attr(deny(warnings))))]

mod blocking;
mod builder;
mod carrier;
mod foreign;
mod fork_join;
mod home;
mod idle;
mod inbox;
mod item;
mod latch;
mod live;
mod local_runtime;
mod mail;
mod monitor;
mod monitor_sleep;
mod next_up;
mod overflow_report;
mod pool_queue;
mod registry;
mod running;
mod runtime;
mod scope;
mod shared;
mod shutdown;
mod spawn;
mod task_local;
mod thread;
mod time;
mod worker;

pub use blocking::blocking;
pub use builder::Builder;
pub use fork_join::join;
pub use local_runtime::LocalRuntime;
pub use monitor::Stuck;
pub use runtime::{EnterGuard, Handle, Runtime, Stats, current_driver};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use shutdown::ShutdownReport;
pub use spawn::{LocalJoinHandle, TaskBuilder, spawn, spawn_async, spawn_local, spawn_local_async};
pub use task_local::LocalKey;
pub use thread::{
    Thread, current, is_cancelled, park, park_deadline, park_timeout, try_yield_now, yield_now,
};
pub use time::{
    Interval, MissedTicks, Sleep, interval, sleep, sleep_async, sleep_until, timeout, timeout_async,
};
pub use weftwork_core::wait::{Cancelled, TimedOut, checkpoint, try_checkpoint};
pub use weftwork_core::{JoinError, JoinHandle, TaskId, block_on};
pub use worker::Leftover;

/// The protocols without the machinery around them, public only so that the loom models can drive
/// them. Not part of the crate's interface: anything here may change in any release.
#[doc(hidden)]
pub mod protocol {
    pub use crate::idle::{Idle, Woken};
    pub use crate::inbox::{Inbox, Link, Pushed};
    pub use crate::latch::{Latch, Outcome};
    pub use crate::live::{Gate, Phase, bump, living};
    pub use crate::mail::Mail;
    pub use crate::monitor_sleep::MonitorSleep;
    pub use crate::pool_queue::PoolQueue;
    pub use crate::running::Running;
}

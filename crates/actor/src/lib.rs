//! Typed actors that fail as Erlang's do, on any executor.
//!
//! An actor is a state in a task of its own, reached through messages. It is [started](start) with arguments,
//! [told](Addr::tell) and [asked](Addr::ask), and ends when it is stopped, killed or panics, with a
//! [`Reason`]. Actors that are [linked](Context::link) end together, unless they
//! [trap exits](Context::trap_exit); who [monitors](Context::monitor) an actor is told of its end.
//!
//! ```
//! use weftwork_actor::{Actor, Context, Handler, InitError, Options, Reason, start};
//!
//! struct Greeter;
//!
//! impl Actor for Greeter {
//!     type Args = ();
//!     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Greeter)
//!     }
//! }
//!
//! impl Handler<&'static str> for Greeter {
//!     type Reply = String;
//!     fn handle(&mut self, name: &'static str, _: &mut Context<Self>) -> String {
//!         format!("hello, {name}")
//!     }
//! }
//!
//! let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//! let greeter = start::<Greeter>(rt.handle(), (), Options::new())?;
//! assert_eq!(greeter.ask("world").unwrap(), "hello, world");
//!
//! let end = greeter.pid().watch();
//! greeter.stop(Reason::Normal);
//! assert_eq!(end.wait_down(), Reason::Normal);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where it runs
//!
//! On whatever implements [`Spawn`](weftwork_core::Spawn): the scheduler of this workspace, a thread per task,
//! tokio (feature `tokio`: `weftwork_actor::tokio`). A handler may wait in plain blocking style; where the executor has green threads that parks the
//! actor alone, elsewhere the thread that polls it. An idle actor costs a few hundred bytes and no thread.
//!
//! # Testing
//!
//! With the feature `testing`, the module of that name has probes, a clock that a test moves, simulations whose
//! interleavings are drawn by a seed, and faults.
//!
//! # What differs from OTP
//!
//! - A handler is interrupted where it awaits, and by a kill where a scheduler can wake it from its wait; a
//!   handler that computes goes on to its end.
//! - `demonitor` and `unlink` flush: nothing of the monitor or the link arrives afterwards.
//! - Mailboxes are bounded by default, and an ask that would wait for itself is an error.
//!
//! How it works: `docs/design/actors.md`.
#![doc(test(attr(deny(warnings))))]

mod accept;
mod actor;
mod addr;
mod answer;
mod ask;
mod async_actor;
mod batch;
mod cell;
mod clock;
mod context;
mod current;
pub mod dead_letters;
mod end;
mod ends;
mod error;
pub mod events;
mod executor;
mod exit;
mod feed;
pub mod groups;
mod hooks;
mod init;
pub mod introspect;
mod later;
mod links;
mod mailbox;
mod monitors;
mod number;
mod options;
mod owned;
mod panics;
mod pid;
mod pipe;
mod reason;
mod recipient;
pub mod registry;
mod reply;
mod reply_recipient;
pub mod reports;
pub mod router;
mod run;
mod send;
mod shelf;
pub mod shutdown;
mod signal;
mod start;
pub mod statem;
pub mod supervisor;
mod table;
pub mod task;
#[cfg(all(feature = "testing", not(weftwork_loom)))]
pub mod testing;
mod timers;
#[cfg(all(feature = "tokio", not(weftwork_loom)))]
pub mod tokio;
mod vtable;
mod waits;
mod watcher;

pub use accept::{Accepts, Awaiting, Deferred, Direct};
#[doc(hidden)]
pub use accept::{Outcome, Slot};
pub use actor::{Actor, AsyncHandler, DeferredHandler, Down, Exit, Handler, InitError, MonitorRef};
pub use addr::Addr;
pub use async_actor::AsyncActor;
pub use context::Context;
pub use error::{AskError, Cycle, LinkError, SendError, SendErrorKind, StartError};
pub use executor::{Executor, System};
#[doc(hidden)]
pub use init::{Begun, Seat};
pub use mailbox::{Mailbox, OnFull, Priority};
pub use options::Options;
pub use pid::Pid;
pub use pipe::PipeRef;
pub use reason::{Panic, Reason};
pub use recipient::Recipient;
pub use reply::ReplyTo;
pub use reply_recipient::ReplyRecipient;
pub use start::{start, start_async};
pub use timers::TimerRef;
pub use watcher::Watcher;

/// The protocols without the machinery around them, public only so that the loom models can drive them. Not
/// part of the crate's interface: anything here may change in any release.
#[doc(hidden)]
pub mod protocol {
    pub use crate::answer::{Asker, Giver, place};
}

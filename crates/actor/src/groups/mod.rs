//! Groups of actors by name, and being told who comes and goes: OTP's `pg`.
//!
//! A [`Scope`] has groups; a group is there while it has members. An actor may be in many groups, and in one
//! several times: it must leave as often as it has joined, and when it ends it leaves all at once, with one
//! event for each time. Who [monitors](Scope::monitor) a group gets its members and from then on every
//! change, each exactly once and in order, with nothing in between: members and events come from under one
//! lock.
//!
//! ```
//! use weftwork_actor::groups::{Event, Scope};
//! use weftwork_actor::{Options, start};
//! # use weftwork_actor::{Actor, Context, InitError};
//! # struct Guest;
//! # impl Actor for Guest {
//! #     type Args = ();
//! #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Guest) }
//! # }
//! # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//!
//! let rooms = Scope::new();
//! let (monitor, members) = rooms.monitor("lobby");
//! assert!(members.is_empty());
//!
//! let guest = start::<Guest>(rt.handle(), (), Options::new())?.pid();
//! rooms.join("lobby", &guest)?;
//! assert_eq!(rooms.members("lobby"), [guest.clone()]);
//! guest.kill();
//!
//! assert_eq!(monitor.recv().unwrap(), Event::joined("lobby", &guest));
//! assert_eq!(monitor.recv().unwrap(), Event::left("lobby", &guest));
//! assert!(rooms.members("lobby").is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What differs from OTP
//!
//! - A scope is an object in one process, not a process on many nodes.
//! - Members that have ended are never listed, not even for the moment before their leaving is noted.

mod book;
mod monitor;
mod scope;

#[cfg(all(test, not(weftwork_loom)))]
mod model;

pub use monitor::{Change, Event, GroupMonitor};
pub use scope::{JoinError, NotJoined, Scope};

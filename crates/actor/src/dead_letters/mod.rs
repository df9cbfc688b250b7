//! Messages that nobody handled: a stream of samples for the operator, and a hook for the sender.
//!
//! A message that does not get into a mailbox is handed back to its sender. These are those that did, or
//! that a mailbox was allowed to drop: an actor that ends leaves what it has not handled; a full mailbox
//! drops as its [policy](crate::OnFull) says; a forwarded question finds nobody. Each is
//!
//! - *counted*, always: [`counts`];
//! - told to those who [`subscribe`], a few per second at most, each with the number of those in between;
//! - handed to the sender's own hook, if it was sent by [`Addr::tell_or_return`](crate::Addr::tell_or_return).
//!
//! Not counted: messages of an actor's own timers, and messages whose handler has begun, also if it
//! panicked.
//!
//! ```
//! use std::sync::mpsc::channel;
//! use weftwork_actor::{Actor, Context, Handler, InitError, Options, Reason, start};
//!
//! struct Sloth;
//!
//! impl Actor for Sloth {
//!     type Args = ();
//!     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Sloth)
//!     }
//! }
//!
//! impl Handler<&'static str> for Sloth {
//!     type Reply = ();
//!     fn handle(&mut self, _: &'static str, ctx: &mut Context<Self>) {
//!         ctx.stop(Reason::Normal);
//!     }
//! }
//!
//! # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//! let sloth = start::<Sloth>(rt.handle(), (), Options::new())?;
//! let (sender, returned) = channel();
//! sloth.tell("the first and last").unwrap();
//! sloth.tell_or_return("too late", move |message| sender.send(message).unwrap());
//! assert_eq!(returned.recv(), Ok("too late"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod hook;
#[cfg(not(weftwork_loom))]
mod listeners;
mod stream;

pub use stream::{Cause, Counts, DeadLetter, counts, subscribe};
pub(crate) use stream::{bury, note, report};

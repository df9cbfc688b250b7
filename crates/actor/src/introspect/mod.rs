//! Looking into actors while they run: OTP's `process_info`, `sys` and `observer`.
//!
//! - [`info`]: the mailbox, links, monitors, the parent, how many messages were handled.
//! - [`get_state`], [`replace_state`]: the state itself, between two messages.
//! - [`suspend`], [`resume`]: let an actor take no messages for a while; it still hears exits.
//! - [`Probe`]: which handler runs, for how long, and a trace of each message.
//! - [`tree`]: an actor and those that it has started, as text or JSON.
//! - [`Alarms`]: be told of mailboxes that are long and of handlers that take long.
//!
//! What nobody looks at costs nothing but a comparison. A question to an actor is a signal, which it answers
//! between two messages, however full its mailbox is; one whose handler runs for longer than the caller
//! waits does not answer. Do not ask an actor about itself from its own handler: it cannot answer then.
//!
//! ```
//! use std::time::Duration;
//! use weftwork_actor::introspect;
//! use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
//!
//! struct Counter(u64);
//!
//! impl Actor for Counter {
//!     type Args = u64;
//!     fn init(n: u64, _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Counter(n))
//!     }
//! }
//!
//! impl Handler<u64> for Counter {
//!     type Reply = ();
//!     fn handle(&mut self, n: u64, _: &mut Context<Self>) {
//!         self.0 += n;
//!     }
//! }
//!
//! # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//! let second = Duration::from_secs(1);
//! let counter = start::<Counter>(rt.handle(), 1, Options::new().name("counter"))?;
//! counter.ask(41).unwrap();
//! assert_eq!(introspect::get_state(&counter, second, |counter| counter.0)?, 42);
//!
//! // While it is suspended its messages wait.
//! introspect::suspend(&counter.pid(), second)?;
//! counter.tell(1).unwrap();
//! let info = introspect::info(&counter.pid(), second);
//! assert_eq!(info.queue_len, 1);
//! let inside = info.inside.expect("it answers");
//! assert!(inside.is_suspended);
//! assert_eq!(inside.handled, 1);
//!
//! introspect::resume(&counter.pid(), second)?;
//! counter.ask(0).unwrap();
//! assert_eq!(introspect::get_state(&counter, second, |counter| counter.0)?, 43);
//! # counter.kill();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alarms;
mod info;
mod json;
mod probe;
mod state;
mod tree;

pub use alarms::{Alarm, AlarmKind, Alarms, Limits};
pub use info::{Info, Inside, info};
pub(crate) use probe::Watches;
pub use probe::{Probe, Trace};
pub use state::{InspectError, get_state, replace_state, resume, suspend};
pub use tree::{Node, Tree, tree};

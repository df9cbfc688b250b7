//! Names for actors.
//!
//! A [`Registry`] has one actor per name, a [`DuplicateRegistry`] any number. A name given at the start, by
//! [`Options::register`](crate::Options::register), is registered before `init` runs; if it is taken there
//! is no new actor, and the error tells who holds it. A name is free as soon as its holder has ended, and
//! no lookup ever answers with an actor that had ended before the call.
//!
//! ```
//! use weftwork_actor::registry::Registry;
//! use weftwork_actor::{Options, StartError, start};
//! # use weftwork_actor::{Actor, Context, Handler, InitError};
//! # struct Logger;
//! # impl Actor for Logger {
//! #     type Args = ();
//! #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Logger) }
//! # }
//! # impl Handler<&'static str> for Logger {
//! #     type Reply = usize;
//! #     fn handle(&mut self, line: &'static str, _: &mut Context<Self>) -> usize { line.len() }
//! # }
//! # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//!
//! let names = Registry::new();
//! let options = Options::new().register(names.clone(), "logger");
//! let logger = start::<Logger>(rt.handle(), (), options.clone())?;
//!
//! // Anybody who has the registry finds it.
//! let found = names.lookup::<Logger>("logger").expect("it is registered");
//! assert_eq!(found.ask("hello").unwrap(), 5);
//!
//! // A second one does not start.
//! let taken = start::<Logger>(rt.handle(), (), options).unwrap_err();
//! assert_eq!(taken, StartError::AlreadyStarted(logger.pid()));
//! # logger.kill();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Other ways to keep names, across machines for one, implement [`Via`].
//!
//! How it works: an entry is put in the table first, then the actor is asked to call at its end, by a signal
//! that arrives before anything that is sent later; if it has ended already the entry is taken out again.
//! So no entry outlasts its actor, whichever comes first, and between the end and the call the entry counts
//! as none, because every answer is checked against the actor. The tables are split into parts, each with a
//! lock of its own, under which only texts are hashed and compared.

mod duplicate;
mod parts;
mod start;
mod unique;
mod via;

pub use duplicate::DuplicateRegistry;
pub(crate) use start::Registrations;
pub use unique::Registry;
pub use via::{RegisterError, Via};

//! Many actors behind one address: routers, and pools that replace their dead.
//!
//! A [`Router`] sends each message to one of its members, or to all: in turn ([`Router::next`]), by a key
//! ([`Router::by_key`]), to the one with the fewest messages waiting ([`Router::least_loaded`]), or
//! [broadcast](Router::broadcast). A [`Pool`] starts its members, and starts another one in the place of
//! each that ends.
//!
//! ```
//! use weftwork_actor::router::Pool;
//! use weftwork_actor::{Actor, Context, Handler, InitError, Options};
//!
//! struct Squarer;
//!
//! impl Actor for Squarer {
//!     type Args = ();
//!     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Squarer)
//!     }
//! }
//!
//! impl Handler<u64> for Squarer {
//!     type Reply = u64;
//!     fn handle(&mut self, n: u64, _: &mut Context<Self>) -> u64 {
//!         n * n
//!     }
//! }
//!
//! # let rt = weftwork_sched::Runtime::builder().workers(2).build()?;
//! let pool = Pool::<Squarer>::start(rt.handle(), 4, (), Options::new())?;
//! let sum: u64 = (1..=4).map(|n| pool.next().unwrap().ask(n).unwrap()).sum();
//! assert_eq!(sum, 30);
//! // The same key, the same member.
//! assert_eq!(pool.by_key("carol").unwrap(), pool.by_key("carol").unwrap());
//! pool.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod pool;
mod routes;

pub use pool::Pool;
pub use routes::{NoMember, Router, Unrouted};

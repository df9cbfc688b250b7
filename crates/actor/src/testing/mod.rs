//! To test actors: probes, a clock that the test moves, interleavings drawn by a seed, and faults.
//!
//! Needs the feature `testing`, for dev-dependencies: with it every message, signal and start looks at a flag of
//! its actor; without it nothing of this is in the build.
//!
//! - A [`Probe`] is an address whose messages the test takes and judges. It works on any executor.
//! - A [`ManualClock`] takes the place of the system's, for the actors of a
//!   [`System::with_clock`](crate::System::with_clock).
//! - A [`Lab`] runs the actors of a test one at a time, by a clock of its own, in an order that a seed decides:
//!   [`simulate`] with one seed, [`explore`] with many.
//! - A [`Fault`] lets an actor of a lab panic or be killed, its start fail, a message or signal be lost or late.
//!
//! # An order that is wrong
//!
//! A test with threads may pass a thousand times and fail when nobody looks. In a lab each seed is one order of
//! the messages, and a seed that fails does so again:
//!
//! ```
//! use weftwork_actor::testing::{Lab, search, simulate};
//! use weftwork_actor::{Actor, Addr, Context, Handler, InitError};
//!
//! /// An account, and a clerk who reads the balance and writes it back: two steps, between which the account
//! /// may hear from another clerk.
//! struct Account(u32);
//! struct Read;
//! struct Write(u32);
//!
//! impl Actor for Account {
//!     type Args = ();
//!     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Account(0))
//!     }
//! }
//!
//! impl Handler<Read> for Account {
//!     type Reply = u32;
//!     fn handle(&mut self, _: Read, _: &mut Context<Self>) -> u32 {
//!         self.0
//!     }
//! }
//!
//! impl Handler<Write> for Account {
//!     type Reply = ();
//!     fn handle(&mut self, Write(balance): Write, _: &mut Context<Self>) {
//!         self.0 = balance;
//!     }
//! }
//!
//! struct Clerk(Addr<Account>);
//! struct Pay(u32);
//!
//! impl Actor for Clerk {
//!     type Args = Addr<Account>;
//!     fn init(account: Addr<Account>, _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Clerk(account))
//!     }
//! }
//!
//! impl Handler<Pay> for Clerk {
//!     type Reply = ();
//!     fn handle(&mut self, Pay(sum): Pay, _: &mut Context<Self>) {
//!         let balance = self.0.ask(Read).unwrap();
//!         self.0.ask(Write(balance + sum)).unwrap();
//!     }
//! }
//!
//! fn two_clerks(lab: &Lab) {
//!     let account = lab.start::<Account>(());
//!     for sum in [10, 20] {
//!         lab.start::<Clerk>(account.clone()).tell(Pay(sum)).unwrap();
//!     }
//!     lab.run_until_idle();
//!     assert_eq!(account.ask(Read).unwrap(), 30);
//! }
//!
//! let failure = search(0..100, two_clerks).unwrap_err();
//! println!("{failure}");
//! let again = std::panic::catch_unwind(|| simulate(failure.seed(), two_clerks));
//! assert!(again.is_err());
//! ```
//!
//! In a test of its own that is `explore(0..100, two_clerks)`, which panics with the seed and the trace.
//!
//! # Time, and things that go wrong
//!
//! ```
//! use std::time::Duration;
//! use weftwork_actor::supervisor::{Backoff, ChildRef, ChildSpec, SupervisorSpec};
//! use weftwork_actor::testing::{Fault, simulate};
//! use weftwork_actor::{Actor, Context, Handler, InitError, Options};
//!
//! struct Worker;
//!
//! impl Actor for Worker {
//!     type Args = ();
//!     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
//!         Ok(Worker)
//!     }
//! }
//!
//! impl Handler<&'static str> for Worker {
//!     type Reply = ();
//!     fn handle(&mut self, _: &'static str, _: &mut Context<Self>) {}
//! }
//!
//! simulate(1, |lab| {
//!     let worker = ChildRef::<Worker>::new();
//!     let start = worker.filled_by(|ctx| ctx.start::<Worker>((), Options::new().name("worker")));
//!     let minute = Duration::from_secs(60);
//!     let child = ChildSpec::new("worker", start).backoff(Backoff::new(minute, minute).jitter(0.0));
//!     let _app = SupervisorSpec::new().child(child).start(&lab.system()).unwrap();
//!
//!     lab.inject(Fault::panic("worker").nth(2));
//!     let first = worker.wait();
//!     first.ask("fine").unwrap();
//!     first.ask("and now").unwrap_err();
//!
//!     let before = lab.clock().elapsed();
//!     let second = worker.wait_other_than(&first.pid());
//!     // A minute of the lab's, and no time of ours.
//!     assert_eq!(lab.clock().elapsed() - before, minute);
//!     second.ask("fine again").unwrap();
//! });
//! ```

mod clock;
pub(crate) mod hooks;
mod lab;
mod probe;
mod random;
mod recorder;

pub use clock::ManualClock;
pub use lab::{
    Failure, Fault, Happened, Injection, Lab, SignalKind, Target, Trace, TraceEvent, explore,
    search, simulate,
};
pub use probe::Probe;
pub use recorder::{Perform, Received, Recorder, RecorderArgs};

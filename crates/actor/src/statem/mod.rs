//! State machines: actors whose handling of events depends on a state with a name, as OTP's `gen_statem`.
//!
//! A [`StateMachine`] is run by the actor [`Machine`]; events come by [`Cast`] and [`Call`]. What it adds to
//! an actor:
//!
//! - *Postponing.* An event that does not fit the state is put aside and comes again, in order and before
//!   newer ones, when the state has changed.
//! - *Inserted events*, handled before anything queued.
//! - *Entering.* [`StateMachine::enter`] is called at the start and on each change, before any event.
//! - *Time-outs* of three kinds: of the state (ends with a change), for the next event (ends with any event),
//!   and named ones (end when they are told to). One of no time at all comes before any event that was not
//!   taken out of the mailbox yet.
//!
//! ```
//! use std::time::Duration;
//! use weftwork_actor::statem::{Call, Cast, Entry, Event, Machine, Next, StateMachine, Step};
//! use weftwork_actor::{InitError, Options, start};
//!
//! /// A door that closes by itself.
//! struct Door {
//!     opened: u32,
//! }
//!
//! #[derive(Debug, Clone, PartialEq)]
//! enum State {
//!     Closed,
//!     Open,
//! }
//!
//! enum Input {
//!     Push,
//!     HowOften,
//!     Close,
//! }
//!
//! impl StateMachine for Door {
//!     type Args = ();
//!     type State = State;
//!     type Event = Input;
//!     type Reply = u32;
//!
//!     fn init(_: (), _: &mut Step<'_, Self>) -> Result<(Self, State), InitError> {
//!         Ok((Door { opened: 0 }, State::Closed))
//!     }
//!
//!     fn enter(&mut self, _: &State, new: &State, entry: &mut Entry<'_, Self>) {
//!         if *new == State::Open {
//!             self.opened += 1;
//!             entry.state_timeout(Duration::from_millis(1), Input::Close);
//!         }
//!     }
//!
//!     fn handle(&mut self, state: &State, event: Event<Self>, step: &mut Step<'_, Self>) -> Next<State> {
//!         match (state, event) {
//!             (State::Closed, Event::Cast(Input::Push)) => Next::To(State::Open),
//!             // Whoever pushes an open door does so again when it has closed.
//!             (State::Open, event @ Event::Cast(Input::Push)) => step.postpone(event),
//!             (State::Open, Event::StateTimeout(Input::Close)) => Next::To(State::Closed),
//!             (State::Open, event @ Event::Call(Input::HowOften, _)) => step.postpone(event),
//!             (State::Closed, Event::Call(Input::HowOften, reply)) => {
//!                 reply.send(self.opened);
//!                 Next::Keep
//!             }
//!             _ => Next::Keep,
//!         }
//!     }
//! }
//!
//! # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//! let door = start::<Machine<Door>>(rt.handle(), (), Options::new())?;
//! door.tell(Cast(Input::Push)).unwrap();
//! door.tell(Cast(Input::Push)).unwrap();
//! assert_eq!(door.ask(Call(Input::HowOften)).unwrap(), 2);
//! # door.kill();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod machine;
mod rules;
mod step;

#[cfg(all(test, not(weftwork_loom)))]
mod model;

pub use event::{Call, Cast, Event, Next, StateMachine};
pub use machine::Machine;
pub use step::{Entry, Step};

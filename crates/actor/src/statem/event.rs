//! What a user writes: a state machine, and what it is told.

use super::step::{Entry, Step};
use crate::actor::{Down, Exit, InitError};
use crate::reason::Reason;
use crate::reply::ReplyTo;
use std::fmt;

/// An actor whose handling of events depends on a state.
///
/// The state is told apart by `PartialEq`: a step to an equal one is no change. What is not compared belongs
/// into the machine itself (OTP's data). See the [module](crate::statem) for an example.
pub trait StateMachine: Sized + Send + 'static {
    /// What it is started with.
    type Args: Send + 'static;
    /// The state.
    type State: PartialEq + Send + 'static;
    /// What events say.
    type Event: Send + 'static;
    /// What calls are answered with.
    type Reply: Send + 'static;

    /// Makes the machine, and names its first state. As [`Actor::init`](crate::Actor::init).
    ///
    /// # Errors
    /// There shall be no actor.
    fn init(args: Self::Args, step: &mut Step<'_, Self>) -> Result<(Self, Self::State), InitError>;

    /// Enters a state. Called at the start, with `old` and `new` the same, on each change, and on
    /// [`Next::Repeat`]; before any event, one that is inserted too.
    fn enter(&mut self, old: &Self::State, new: &Self::State, entry: &mut Entry<'_, Self>) {
        let _ = (old, new, entry);
    }

    /// Handles an event.
    fn handle(
        &mut self,
        state: &Self::State,
        event: Event<Self>,
        step: &mut Step<'_, Self>,
    ) -> Next<Self::State>;

    /// Tidies up, last of all. As [`Actor::terminate`](crate::Actor::terminate).
    fn terminate(&mut self, reason: &Reason, state: &Self::State) {
        let _ = (reason, state);
    }
}

/// What a state machine is told.
pub enum Event<M: StateMachine> {
    /// Somebody has told it so.
    Cast(M::Event),
    /// Somebody asks, and waits for the answer.
    Call(M::Event, ReplyTo<M::Reply>),
    /// It has [inserted](Step::next_event) the event itself.
    Internal(M::Event),
    /// The state has lasted so long.
    StateTimeout(M::Event),
    /// No event came for so long.
    EventTimeout(M::Event),
    /// The time of this name is over.
    Timeout(&'static str, M::Event),
    /// An exit signal that was trapped.
    Exit(Exit),
    /// The end of an actor that is monitored.
    Down(Down),
}

impl<M: StateMachine> fmt::Debug for Event<M>
where
    M::Event: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Cast(event) => f.debug_tuple("Cast").field(event).finish(),
            Event::Call(event, _) => f.debug_tuple("Call").field(event).finish(),
            Event::Internal(event) => f.debug_tuple("Internal").field(event).finish(),
            Event::StateTimeout(event) => f.debug_tuple("StateTimeout").field(event).finish(),
            Event::EventTimeout(event) => f.debug_tuple("EventTimeout").field(event).finish(),
            Event::Timeout(name, event) => {
                f.debug_tuple("Timeout").field(name).field(event).finish()
            }
            Event::Exit(exit) => f.debug_tuple("Exit").field(exit).finish(),
            Event::Down(down) => f.debug_tuple("Down").field(down).finish(),
        }
    }
}

/// What comes after an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Next<S> {
    /// The same state.
    Keep,
    /// The same state, entered once more. Nothing that was postponed comes again.
    Repeat,
    /// This state. If it differs from the one before, it is entered, what was postponed comes again, and the
    /// state's time-out ends.
    To(S),
    /// The end, when this handler has returned.
    Stop(Reason),
}

/// Tells a machine an event: `addr.tell(Cast(event))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast<E>(
    /// What it says.
    pub E,
);

/// Asks a machine: `addr.ask(Call(event))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<E>(
    /// What it says.
    pub E,
);

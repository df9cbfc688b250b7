//! What a state machine can do while it handles an event.

use super::event::{Event, Next, StateMachine};
use super::machine::Machine;
use super::rules::Slot;
use crate::context::Context;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// What is to be done with a time-out, in the order in which it was said.
pub(crate) enum Order<E> {
    Set(Slot, Duration, E),
    Cancel(Slot),
}

/// A machine's view of itself when it [enters](StateMachine::enter) a state: its time-outs, and its
/// [context](Self::context).
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::statem::{Call, Cast, Entry, Event, Machine, Next, StateMachine, Step};
/// use weftwork_actor::{InitError, Options, start};
///
/// struct Me;
///
/// #[derive(Debug, Clone, Copy, PartialEq)]
/// enum State {
///     Idle,
///     Busy,
/// }
///
/// enum Input {
///     Work,
///     Done,
///     WhenIdle,
/// }
///
/// impl StateMachine for Me {
///     type Args = ();
///     type State = State;
///     type Event = Input;
///     type Reply = State;
///
///     fn init(_: (), _: &mut Step<'_, Self>) -> Result<(Self, State), InitError> {
///         Ok((Me, State::Idle))
///     }
///
///     fn enter(&mut self, _: &State, new: &State, entry: &mut Entry<'_, Self>) {
///         if *new == State::Busy {
///             entry.state_timeout(Duration::from_millis(1), Input::Done);
///         }
///     }
///
///     fn handle(&mut self, state: &State, event: Event<Self>, step: &mut Step<'_, Self>) -> Next<State> {
///         match (state, event) {
///             (State::Idle, Event::Cast(Input::Work)) => Next::To(State::Busy),
///             (State::Busy, Event::StateTimeout(Input::Done)) => Next::To(State::Idle),
///             (State::Busy, event @ Event::Call(..)) => step.postpone(event),
///             (State::Idle, Event::Call(_, reply)) => {
///                 reply.send(*state);
///                 Next::Keep
///             }
///             _ => Next::Keep,
///         }
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let me = start::<Machine<Me>>(rt.handle(), (), Options::new())?;
/// me.tell(Cast(Input::Work))?;
/// assert_eq!(me.ask(Call(Input::WhenIdle)).unwrap(), State::Idle);
/// # me.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Entry<'a, M: StateMachine> {
    ctx: &'a mut Context<Machine<M>>,
    pub(crate) orders: Vec<Order<M::Event>>,
}

impl<'a, M: StateMachine> Entry<'a, M> {
    pub(crate) fn new(ctx: &'a mut Context<Machine<M>>) -> Self {
        Entry {
            ctx,
            orders: Vec::new(),
        }
    }

    /// The context of the actor: links, monitors, children.
    pub fn context(&mut self) -> &mut Context<Machine<M>> {
        self.ctx
    }

    /// Tells the machine `event` when the state has lasted for `time`. A change of state ends it, and so
    /// does another one, which takes its place. Set together with a change, it is for the new state.
    pub fn state_timeout(&mut self, time: Duration, event: M::Event) {
        self.orders.push(Order::Set(Slot::State, time, event));
    }

    /// Ends the time-out of the state.
    pub fn cancel_state_timeout(&mut self) {
        self.orders.push(Order::Cancel(Slot::State));
    }

    /// Tells the machine `event` when no event has come for `time`. Any event ends it, an inserted one or
    /// another time-out too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_actor::statem::{Call, Entry, Event, Machine, Next, StateMachine, Step};
    /// use weftwork_actor::{InitError, Options, start};
    ///
    /// struct Me;
    ///
    /// #[derive(Debug, Clone, Copy, PartialEq)]
    /// enum State {
    ///     Idle,
    ///     Busy,
    /// }
    ///
    /// enum Input {
    ///     Quiet,
    ///     WhenBusy,
    /// }
    ///
    /// impl StateMachine for Me {
    ///     type Args = ();
    ///     type State = State;
    ///     type Event = Input;
    ///     type Reply = State;
    ///
    ///     fn init(_: (), _: &mut Step<'_, Self>) -> Result<(Self, State), InitError> {
    ///         Ok((Me, State::Idle))
    ///     }
    ///
    ///     fn enter(&mut self, _: &State, _: &State, entry: &mut Entry<'_, Self>) {
    ///         entry.event_timeout(Duration::ZERO, Input::Quiet);
    ///     }
    ///
    ///     fn handle(&mut self, state: &State, event: Event<Self>, step: &mut Step<'_, Self>) -> Next<State> {
    ///         match (state, event) {
    ///             // Nothing had come by then.
    ///             (State::Idle, Event::EventTimeout(Input::Quiet)) => Next::To(State::Busy),
    ///             (_, Event::Call(Input::WhenBusy, reply)) if *state == State::Busy => {
    ///                 reply.send(*state);
    ///                 Next::Keep
    ///             }
    ///             (_, event @ Event::Call(..)) => step.postpone(event),
    ///             _ => Next::Keep,
    ///         }
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Machine<Me>>(rt.handle(), (), Options::new())?;
    /// assert_eq!(me.ask(Call(Input::WhenBusy)).unwrap(), State::Busy);
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_timeout(&mut self, time: Duration, event: M::Event) {
        self.orders.push(Order::Set(Slot::Event, time, event));
    }

    /// Tells the machine `event` after `time`, whatever comes meanwhile. Another one of the same name takes
    /// its place.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_actor::statem::{Call, Event, Machine, Next, StateMachine, Step};
    /// use weftwork_actor::{InitError, Options, start};
    ///
    /// struct Me;
    ///
    /// #[derive(Debug, Clone, Copy, PartialEq)]
    /// enum State {
    ///     Idle,
    ///     Busy,
    /// }
    ///
    /// enum Input {
    ///     Begin,
    ///     WhenBusy,
    /// }
    ///
    /// impl StateMachine for Me {
    ///     type Args = ();
    ///     type State = State;
    ///     type Event = Input;
    ///     type Reply = State;
    ///
    ///     fn init(_: (), step: &mut Step<'_, Self>) -> Result<(Self, State), InitError> {
    ///         step.timeout("begin", Duration::from_secs(3600), Input::Begin);
    ///         // Takes the place of that.
    ///         step.timeout("begin", Duration::from_millis(1), Input::Begin);
    ///         Ok((Me, State::Idle))
    ///     }
    ///
    ///     fn handle(&mut self, state: &State, event: Event<Self>, step: &mut Step<'_, Self>) -> Next<State> {
    ///         match (state, event) {
    ///             (State::Idle, Event::Timeout("begin", Input::Begin)) => Next::To(State::Busy),
    ///             (_, Event::Call(Input::WhenBusy, reply)) if *state == State::Busy => {
    ///                 reply.send(*state);
    ///                 Next::Keep
    ///             }
    ///             (_, event @ Event::Call(..)) => step.postpone(event),
    ///             _ => Next::Keep,
    ///         }
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Machine<Me>>(rt.handle(), (), Options::new())?;
    /// assert_eq!(me.ask(Call(Input::WhenBusy)).unwrap(), State::Busy);
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timeout(&mut self, name: &'static str, time: Duration, event: M::Event) {
        self.orders.push(Order::Set(Slot::Named(name), time, event));
    }

    /// Ends the time-out of this name.
    pub fn cancel_timeout(&mut self, name: &'static str) {
        self.orders.push(Order::Cancel(Slot::Named(name)));
    }
}

/// A machine's view of itself when it handles an event: what an [`Entry`] has, postponing and inserting.
pub struct Step<'a, M: StateMachine> {
    entry: Entry<'a, M>,
    pub(crate) postponed: Option<Event<M>>,
    pub(crate) inserted: Vec<Event<M>>,
}

impl<'a, M: StateMachine> Step<'a, M> {
    pub(crate) fn new(ctx: &'a mut Context<Machine<M>>) -> Self {
        Step {
            entry: Entry::new(ctx),
            postponed: None,
            inserted: Vec::new(),
        }
    }

    /// Puts the event that is being handled aside until the state has changed; then it comes again, before
    /// newer ones. Returns [`Next::Keep`], for the end of a match arm; with a change it comes again at once.
    pub fn postpone(&mut self, event: Event<M>) -> Next<M::State> {
        self.postponed = Some(event);
        Next::Keep
    }

    /// Inserts an event, to be handled right after this one, before anything queued or postponed. Several
    /// are handled in order.
    ///
    /// ```
    /// use weftwork_actor::statem::{Call, Cast, Event, Machine, Next, StateMachine, Step};
    /// use weftwork_actor::{InitError, Options, start};
    ///
    /// struct Me;
    ///
    /// #[derive(Debug, Clone, Copy, PartialEq)]
    /// enum State {
    ///     Idle,
    ///     Busy,
    /// }
    ///
    /// enum Input {
    ///     Begin,
    ///     State,
    /// }
    ///
    /// impl StateMachine for Me {
    ///     type Args = ();
    ///     type State = State;
    ///     type Event = Input;
    ///     type Reply = State;
    ///
    ///     fn init(_: (), _: &mut Step<'_, Self>) -> Result<(Self, State), InitError> {
    ///         Ok((Me, State::Idle))
    ///     }
    ///
    ///     fn handle(&mut self, state: &State, event: Event<Self>, step: &mut Step<'_, Self>) -> Next<State> {
    ///         match (state, event) {
    ///             (_, Event::Internal(Input::Begin)) => Next::To(State::Busy),
    ///             (_, Event::Cast(Input::Begin)) => {
    ///                 // Before the question that waits already.
    ///                 step.next_event(Input::Begin);
    ///                 Next::Keep
    ///             }
    ///             (_, Event::Call(Input::State, reply)) => {
    ///                 reply.send(*state);
    ///                 Next::Keep
    ///             }
    ///             _ => Next::Keep,
    ///         }
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Machine<Me>>(rt.handle(), (), Options::new())?;
    /// me.tell(Cast(Input::Begin))?;
    /// assert_eq!(me.ask(Call(Input::State)).unwrap(), State::Busy);
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_event(&mut self, event: M::Event) {
        self.inserted.push(Event::Internal(event));
    }
}

impl<'a, M: StateMachine> Deref for Step<'a, M> {
    type Target = Entry<'a, M>;

    fn deref(&self) -> &Entry<'a, M> {
        &self.entry
    }
}

impl<M: StateMachine> DerefMut for Step<'_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.entry
    }
}

impl<M: StateMachine> fmt::Debug for Entry<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("ctx", &self.ctx)
            .finish_non_exhaustive()
    }
}

impl<M: StateMachine> fmt::Debug for Step<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

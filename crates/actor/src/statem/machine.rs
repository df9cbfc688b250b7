//! The actor that runs a state machine.
//!
//! It handles one event per message or turn. While there is something to do that is not in the mailbox, it
//! tells itself to go on, before anything that is: so when a message is taken out of the mailbox, the queue
//! of the rules is empty.

use super::event::{Call, Cast, Event, Next, StateMachine};
use super::rules::{Rules, Slot};
use super::step::{Entry, Order, Step};
use crate::actor::{Actor, DeferredHandler, Down, Exit, Handler, InitError};
use crate::context::Context;
use crate::reason::Reason;
use crate::reply::ReplyTo;
use crate::timers::TimerRef;
use std::collections::HashMap;
use std::fmt;

/// The actor that runs an `M`: `start::<Machine<M>>(..)`.
pub struct Machine<M: StateMachine> {
    machine: M,
    state: M::State,
    rules: Rules<Event<M>>,
    /// Time-outs whose time runs.
    running: HashMap<Slot, (TimerRef, M::Event)>,
}

/// Handle the next event.
struct Go;

/// A time is over.
#[derive(Clone, Copy)]
struct Over(Slot);

fn timed_out<M: StateMachine>(slot: Slot, event: M::Event) -> Event<M> {
    match slot {
        Slot::State => Event::StateTimeout(event),
        Slot::Event => Event::EventTimeout(event),
        Slot::Named(name) => Event::Timeout(name, event),
    }
}

impl<M: StateMachine> Machine<M> {
    /// The machine, with its data.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The state that it is in.
    pub fn state(&self) -> &M::State {
        &self.state
    }

    /// Handles an event that comes from outside.
    fn take(&mut self, event: Event<M>, ctx: &mut Context<Self>) {
        self.rules.queue(event);
        self.turn(ctx);
    }

    /// Handles the next event.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        let Some(event) = self.rules.next() else {
            return;
        };
        self.cancel(Slot::Event, ctx);
        let mut step = Step::new(ctx);
        let next = self.machine.handle(&self.state, event, &mut step);
        let (postponed, inserted) = (step.postponed.take(), std::mem::take(&mut step.inserted));
        let orders = std::mem::take(&mut step.orders);
        let old = match next {
            Next::Stop(reason) => return ctx.stop(reason),
            Next::To(new) if new != self.state => {
                self.cancel(Slot::State, ctx);
                Some(std::mem::replace(&mut self.state, new))
            }
            Next::Repeat => {
                self.rules.settle(postponed, false, inserted);
                self.obey(orders, ctx);
                return self.go_on(true, None, ctx);
            }
            Next::Keep | Next::To(_) => None,
        };
        self.rules.settle(postponed, old.is_some(), inserted);
        self.obey(orders, ctx);
        self.go_on(old.is_some(), old, ctx);
    }

    /// Enters the state, if it is to, and goes on with what there is.
    fn go_on(&mut self, enters: bool, old: Option<M::State>, ctx: &mut Context<Self>) {
        if enters {
            let mut entry = Entry::new(ctx);
            let old = old.as_ref().unwrap_or(&self.state);
            self.machine.enter(old, &self.state, &mut entry);
            let orders = std::mem::take(&mut entry.orders);
            self.obey(orders, ctx);
        }
        if !self.rules.is_empty() {
            ctx.continue_with(Go);
        }
    }

    fn cancel(&mut self, slot: Slot, ctx: &mut Context<Self>) {
        self.rules.cancel(slot);
        if let Some((timer, _)) = self.running.remove(&slot) {
            ctx.cancel(timer);
        }
    }

    fn obey(&mut self, orders: Vec<Order<M::Event>>, ctx: &mut Context<Self>) {
        for order in orders {
            match order {
                Order::Cancel(slot) => self.cancel(slot, ctx),
                Order::Set(slot, time, event) => {
                    self.cancel(slot, ctx);
                    if time.is_zero() {
                        self.rules.at_once(slot, timed_out(slot, event));
                    } else if slot != Slot::Event || self.rules.is_empty() {
                        let timer = ctx.send_after(time, Over(slot));
                        self.running.insert(slot, (timer, event));
                    }
                }
            }
        }
    }
}

impl<M: StateMachine> Actor for Machine<M> {
    type Args = M::Args;

    fn init(args: M::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let mut step = Step::new(ctx);
        let (machine, state) = M::init(args, &mut step)?;
        let inserted = std::mem::take(&mut step.inserted);
        let orders = std::mem::take(&mut step.orders);
        let mut this = Machine {
            machine,
            state,
            rules: Rules::new(),
            running: HashMap::new(),
        };
        this.rules.settle(None, false, inserted);
        this.obey(orders, ctx);
        this.go_on(true, None, ctx);
        Ok(this)
    }

    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        self.take(Event::Exit(exit), ctx);
    }

    fn on_down(&mut self, down: Down, ctx: &mut Context<Self>) {
        self.take(Event::Down(down), ctx);
    }

    fn terminate(&mut self, reason: &Reason, _: &mut Context<Self>) {
        self.machine.terminate(reason, &self.state);
    }
}

impl<M: StateMachine> Handler<Cast<M::Event>> for Machine<M> {
    type Reply = ();

    fn handle(&mut self, Cast(event): Cast<M::Event>, ctx: &mut Context<Self>) {
        self.take(Event::Cast(event), ctx);
    }
}

impl<M: StateMachine> DeferredHandler<Call<M::Event>> for Machine<M> {
    type Reply = M::Reply;

    fn handle(
        &mut self,
        Call(event): Call<M::Event>,
        reply: ReplyTo<M::Reply>,
        ctx: &mut Context<Self>,
    ) {
        self.take(Event::Call(event, reply), ctx);
    }
}

impl<M: StateMachine> Handler<Go> for Machine<M> {
    type Reply = ();

    fn handle(&mut self, _: Go, ctx: &mut Context<Self>) {
        self.turn(ctx);
    }
}

impl<M: StateMachine> Handler<Over> for Machine<M> {
    type Reply = ();

    fn handle(&mut self, Over(slot): Over, ctx: &mut Context<Self>) {
        // A timer that was cancelled does not get here.
        if let Some((_, event)) = self.running.remove(&slot) {
            self.take(timed_out(slot, event), ctx);
        }
    }
}

impl<M: StateMachine> fmt::Debug for Machine<M>
where
    M::State: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

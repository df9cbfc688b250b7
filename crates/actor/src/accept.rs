//! How a message of some type gets from a letter to its handler.
//!
//! There are three kinds of handlers. [`Accepts`] is implemented for each through a marker, so that `tell`
//! and `ask` are written once, and the compiler finds the kind: an actor has one for each type of message.

use crate::actor::{Actor, AsyncHandler, DeferredHandler, Handler};
use crate::cell::CellRef;
use crate::context::Context;
use crate::mailbox::Priority;
use crate::mailbox::letter::{Class, Delivery, Handling, Kind, Letter};
use crate::reply::Back;
use crate::reports::Noting;
use crate::vtable;
use std::any::type_name;
use std::marker::PhantomData;

/// An actor that takes messages of type `M`, by whatever kind of handler.
///
/// Implemented by [`Handler`], [`AsyncHandler`] and [`DeferredHandler`]; `K` tells them apart and is
/// inferred. Generic code that only passes messages on asks for this.
pub trait Accepts<M: Send + 'static, K: 'static>: Actor {
    /// What an ask returns.
    type Reply: Send + 'static;

    #[doc(hidden)]
    const RANK: Priority;

    #[doc(hidden)]
    fn weight(message: &M) -> usize;

    #[doc(hidden)]
    fn run(slot: Slot<'_, Self, M, Self::Reply>) -> Outcome;
}

/// The kind of [`Handler`].
#[derive(Debug)]
pub struct Direct(());

/// The kind of [`AsyncHandler`].
#[derive(Debug)]
pub struct Awaiting(());

/// The kind of [`DeferredHandler`].
#[derive(Debug)]
pub struct Deferred(());

/// A message, the way back, and the actor that is about to handle it.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "not part of the interface")]
pub struct Slot<'a, A: Actor, M, R> {
    cell: &'a CellRef,
    message: M,
    back: Back<R>,
    actor: PhantomData<fn(A)>,
}

/// How far a handler got.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "not part of the interface")]
pub struct Outcome(Delivery);

/// What a letter holds.
pub(crate) struct Packet<M, R> {
    pub(crate) message: M,
    pub(crate) back: Back<R>,
}

impl<A: Handler<M>, M: Send + 'static> Accepts<M, Direct> for A {
    type Reply = A::Reply;
    const RANK: Priority = A::PRIORITY;

    fn weight(message: &M) -> usize {
        A::weigh(message)
    }

    #[inline]
    fn run(slot: Slot<'_, Self, M, Self::Reply>) -> Outcome {
        let cell = slot.cell;
        let guard = slot.back.if_asked().map(|back| back.guard(cell));
        // SAFETY: a slot is made by `deliver`, whose caller is the owner; nothing else reaches the actor.
        if let Some(actor) = unsafe { vtable::actor::<A>(cell) } {
            // SAFETY: the owner, as above; it does not outlive this call.
            let mut ctx = unsafe { Context::new(cell.pointer()) };
            let answer = actor.handle(slot.message, &mut ctx);
            match guard {
                Some(guard) => guard.answer(answer),
                None => drop(answer),
            }
        }
        Outcome(Delivery::Done)
    }
}

impl<A: AsyncHandler<M>, M: Send + 'static> Accepts<M, Awaiting> for A {
    type Reply = A::Reply;
    const RANK: Priority = A::PRIORITY;

    fn weight(message: &M) -> usize {
        A::weigh(message)
    }

    fn run(slot: Slot<'_, Self, M, Self::Reply>) -> Outcome {
        let cell = slot.cell.clone();
        let (message, back) = (slot.message, slot.back);
        let future = async move {
            let guard = back.guard(&cell);
            // SAFETY: polled and dropped by the owner alone, which reaches neither the actor nor another
            // message while there is this future.
            if let Some(actor) = unsafe { vtable::actor::<A>(&cell) } {
                // SAFETY: as above; it does not outlive this future.
                let mut ctx = unsafe { Context::<A>::new(cell.pointer()) };
                let name = type_name::<M>;
                let noting = Noting { cell: &cell, name };
                let answer = actor.handle(message, &mut ctx).await;
                noting.done();
                guard.answer(answer);
            }
        };
        let handling: Handling = Box::pin(future);
        Outcome(Delivery::Awaits(handling))
    }
}

impl<A: DeferredHandler<M>, M: Send + 'static> Accepts<M, Deferred> for A {
    type Reply = A::Reply;
    const RANK: Priority = A::PRIORITY;

    fn weight(message: &M) -> usize {
        A::weigh(message)
    }

    fn run(slot: Slot<'_, Self, M, Self::Reply>) -> Outcome {
        let cell = slot.cell;
        let reply = slot.back.defer(cell);
        // SAFETY: as in `Direct`.
        if let Some(actor) = unsafe { vtable::actor::<A>(cell) } {
            // SAFETY: as in `Direct`.
            let mut ctx = unsafe { Context::new(cell.pointer()) };
            actor.handle(slot.message, reply, &mut ctx);
        }
        Outcome(Delivery::Done)
    }
}

/// The class of letters with this message for this kind of actor.
struct ClassOf<A, M, K>(PhantomData<fn(A, M, K)>);

impl<A: Accepts<M, K>, M: Send + 'static, K: 'static> ClassOf<A, M, K> {
    const CLASS: Class = Class {
        kind: Kind::Message(A::RANK),
        name: Some(type_name::<M>),
        deliver: deliver::<A, M, K>,
        discard: Letter::discard::<Packet<M, A::Reply>>,
    };
}

/// # Safety
/// The caller is the owner of `cell`, which is an `A`'s, and holds no reference to its parts; the letter
/// is of the class above.
unsafe fn deliver<A, M, K>(letter: Letter, cell: &CellRef) -> Delivery
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    // SAFETY: letters of this class hold this.
    let packet = unsafe { letter.open::<Packet<M, A::Reply>>() };
    let slot = Slot {
        cell,
        message: packet.message,
        back: packet.back,
        actor: PhantomData,
    };
    A::run(slot).0
}

pub(crate) fn class<A, M, K>() -> &'static Class
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    const { &ClassOf::<A, M, K>::CLASS }
}

/// Puts a message and its way back into a letter.
#[inline]
pub(crate) fn letter<A, M, K>(message: M, back: Back<A::Reply>) -> Letter
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    Letter::new(class::<A, M, K>(), Packet { message, back })
}

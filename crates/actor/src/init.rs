//! How an actor begins: its `init`, at once or awaited, until whoever started it has been told.
//!
//! The first poll calls `init`. One that awaits goes on in the polls that follow, in place of a handler; until
//! it is through, messages and events wait in the mailbox, and signals are served: an exit that is not trapped
//! and a kill end the actor where it awaits.

use crate::actor::{Actor, InitError};
use crate::cell::CellRef;
use crate::context::Context;
use crate::end::end;
use crate::mailbox::letter::Handling;
use crate::owned::Phase;
use crate::panics;
use crate::reason::Reason;
use crate::run::{is_quiet, take_ending, take_inbox, with};
use crate::start::Made;
use crate::vtable;
use std::task::{Context as TaskContext, Poll};

/// The arguments of an actor that is about to be made, and its place.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "not part of the interface")]
pub struct Seat<'a, A: Actor> {
    pub(crate) cell: &'a CellRef,
    pub(crate) args: A::Args,
}

/// How far `init` got.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "not part of the interface")]
pub struct Begun(pub(crate) Beginning);

pub(crate) enum Beginning {
    /// It has returned.
    Done(Result<(), InitError>),
    /// It goes on in this future, which leaves word by [`leave_word`].
    Awaits(Handling),
}

impl<'a, A: Actor> Seat<'a, A> {
    /// The caller is the owner of `cell`, which is an `A`'s.
    pub(crate) fn new(cell: &'a CellRef, args: A::Args) -> Self {
        Seat { cell, args }
    }

    pub(crate) fn at_once(
        self,
        init: impl FnOnce(A::Args, &mut Context<A>) -> Result<A, InitError>,
    ) -> Begun {
        // SAFETY: whoever makes a seat is the owner; the context does not outlive this call.
        let mut ctx = unsafe { Context::new(self.cell.pointer()) };
        let made = init(self.args, &mut ctx);
        // SAFETY: as above, and the cell is of this type.
        let made = made.map(|actor| unsafe { vtable::enter(self.cell, actor) });
        Begun(Beginning::Done(made))
    }
}

/// An `init` that awaited has returned. For the owner.
pub(crate) fn leave_word(cell: &CellRef, made: Result<(), InitError>) {
    if let Err(failure) = made {
        with(cell, |own| own.more().failure = Some(failure));
    }
}

/// Calls `init`. The first poll may be on the stack of whoever waits for it: it handles no message.
pub(crate) fn begin(cell: &CellRef, context: &mut TaskContext<'_>) -> Poll<()> {
    with(cell, |own| own.phase = Phase::Starting);
    if let Some(injected) = cell.hooks().and_then(|hooks| hooks.fails_init(cell)) {
        return conclude(cell, context, Err(injected));
    }
    // SAFETY: we are the owner, and the table is the cell's.
    match panics::catch(|| unsafe { (cell.vtable.init)(cell) }) {
        Ok(Beginning::Done(made)) => conclude(cell, context, made),
        Ok(Beginning::Awaits(rest)) => {
            with(cell, |own| own.handling = Some(rest));
            go_on(cell, context)
        }
        Err(reason) => conclude(cell, context, Err(InitError::Failed(reason))),
    }
}

/// Polls an `init` that awaits.
pub(crate) fn go_on(cell: &CellRef, context: &mut TaskContext<'_>) -> Poll<()> {
    take_inbox(cell);
    if with(cell, |own| own.is_doomed())
        && let Some((_, reason)) = take_ending(cell)
    {
        end(cell, reason, false, None);
        return Poll::Ready(());
    }
    let Some(mut rest) = with(cell, |own| own.handling.take()) else {
        unreachable!("an `init` that has not returned goes on")
    };
    let made = match panics::catch(|| rest.as_mut().poll(context)) {
        Ok(Poll::Pending) => {
            with(cell, |own| own.handling = Some(rest));
            if !cell.inbox.try_idle(cell.shelf_is_empty()) {
                // A signal may have come meanwhile.
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        Ok(Poll::Ready(())) => panics::drop_caught(rest),
        Err(reason) => {
            let _ = panics::drop_caught(rest);
            Err(reason)
        }
    };
    let failure = with(cell, |own| own.more.as_mut()?.failure.take());
    let made = match (made, failure) {
        (Err(panic), _) => Err(InitError::Failed(panic)),
        (Ok(()), Some(failure)) => Err(failure),
        (Ok(()), None) => Ok(()),
    };
    conclude(cell, context, made)
}

/// Lets whoever started it know. Ready: there is no actor, and all is done.
fn conclude(
    cell: &CellRef,
    context: &mut TaskContext<'_>,
    made: Result<(), InitError>,
) -> Poll<()> {
    let error = match made {
        Ok(()) => {
            with(cell, |own| own.phase = Phase::Running);
            Made::tell(cell, Ok(()));
            if !is_quiet(cell) {
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        Err(error) => error,
    };
    with(cell, |own| {
        // The one who started it is told by an error, not by an exit.
        if let Some(parent) = own.parent.take() {
            own.more().links.forget(parent.number);
        }
    });
    let reason = match &error {
        InitError::Ignore => Reason::Normal,
        InitError::Failed(reason) => reason.clone(),
    };
    end(cell, reason, false, Some(error));
    Poll::Ready(())
}

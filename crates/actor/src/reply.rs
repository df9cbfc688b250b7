//! Answers: the way back from a handler to who asked.

use crate::answer::Giver;
use crate::cell::CellRef;
use crate::current;
use crate::waits;
use std::fmt;
use std::sync::Arc;
use weftwork_core::sync::Mutex;

/// The place for one answer, in the hand of the one who is to give it.
///
/// Got by a [`DeferredHandler`](crate::DeferredHandler). It may be kept, sent, or given to another actor.
/// Dropping it tells the asker that there will be no answer. When the actor that was asked ends, its asker
/// is told, wherever the `ReplyTo` is by then.
///
/// ```
/// # use weftwork_actor::{Actor, Addr, AskError, Context, DeferredHandler, Handler, InitError, Options, ReplyTo, start};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
/// # }
/// # impl Handler<u32> for Echo {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
/// # struct Front(Addr<Echo>);
/// # impl Actor for Front {
/// #     type Args = Addr<Echo>;
/// #     fn init(echo: Addr<Echo>, _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Front(echo)) }
/// # }
/// /// Passes on what is even, and gives the rest up.
/// impl DeferredHandler<u32> for Front {
///     type Reply = u32;
///     fn handle(&mut self, n: u32, reply: ReplyTo<u32>, ctx: &mut Context<Self>) {
///         match n {
///             0 => reply.send(0),
///             n if n % 2 == 0 => ctx.forward(&self.0, n, reply),
///             _ => drop(reply),
///         }
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
/// let front = start::<Front>(rt.handle(), echo, Options::new())?;
/// assert_eq!(front.ask(0), Ok(0));
/// assert_eq!(front.ask(2), Ok(2));
/// assert_eq!(front.ask(1), Err(AskError::NoReply));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReplyTo<R>(Option<Arc<Shared<R>>>);

struct Shared<R> {
    giver: Mutex<Option<Giver<R>>>,
    /// The number of the actor that was asked.
    asked: u64,
}

impl<R: Send + 'static> ReplyTo<R> {
    /// Gives the answer. What became of it is not known: the asker may have stopped waiting.
    pub fn send(self, answer: R) {
        if let Some(shared) = &self.0
            && let Some(giver) = shared.take()
        {
            giver.give(answer);
        }
    }

    /// Whether nobody waits for the answer: the message was told, or the asker has given up.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let Some(shared) = &self.0 else { return true };
        (shared.giver.lock().as_ref()).is_none_or(Giver::is_forgotten)
    }
}

impl<R> Drop for ReplyTo<R> {
    fn drop(&mut self) {
        let Some(shared) = &self.0 else { return };
        // By a handler that panics, or with the state of an actor that ends: the asker is told of the end
        // instead, and finds the reason.
        let ends = current::cell().is_some_and(|cell| {
            cell.number == shared.asked && (cell.is_ending() || std::thread::panicking())
        });
        if !ends {
            drop(shared.take());
        }
    }
}

impl<R> Shared<R> {
    fn take(&self) -> Option<Giver<R>> {
        self.giver.lock().take()
    }
}

impl<R> fmt::Debug for ReplyTo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").finish_non_exhaustive()
    }
}

/// The deferred answers of an actor, for its end. Those that were given are forgotten as others come.
#[derive(Default)]
pub(crate) struct Pending {
    all: Vec<Arc<dyn GiveUp>>,
    /// At this length the list is looked through.
    limit: usize,
}

trait GiveUp: Send + Sync {
    fn is_open(&self) -> bool;
    fn give_up(&self);
}

impl<R: Send> GiveUp for Shared<R> {
    fn is_open(&self) -> bool {
        (self.giver.lock().as_ref()).is_some_and(|giver| !giver.is_forgotten())
    }

    fn give_up(&self) {
        drop(self.take());
    }
}

impl Pending {
    fn add(&mut self, one: Arc<dyn GiveUp>) {
        const FEW: usize = 16;
        if self.all.len() >= self.limit.max(FEW) {
            self.all.retain(|one| one.is_open());
            self.limit = self.all.len() * 2;
        }
        self.all.push(one);
    }

    /// Lets the askers know that there will be no answer.
    pub(crate) fn give_up(&mut self) {
        for one in std::mem::take(&mut self.all) {
            one.give_up();
        }
    }
}

/// The way back, inside a letter.
pub(crate) struct Back<R> {
    /// `None` if the message was told.
    giver: Option<Giver<R>>,
    /// Who waits, if it is an actor that shall be told when the answer is deferred.
    asker: Option<CellRef>,
}

impl<R: Send + 'static> Back<R> {
    pub(crate) fn to(giver: Giver<R>, asker: Option<CellRef>) -> Self {
        Back {
            giver: Some(giver),
            asker,
        }
    }

    pub(crate) const fn none() -> Self {
        Back {
            giver: None,
            asker: None,
        }
    }

    /// The way back, if somebody waits: the message was not told.
    #[inline]
    pub(crate) fn if_asked(self) -> Option<Self> {
        if self.giver.is_some() {
            return Some(self);
        }
        debug_assert!(self.asker.is_none(), "only an ask has an asker");
        // Empty: there is nothing to drop.
        std::mem::forget(self);
        None
    }

    /// Takes the way back of a handler that was forwarded to.
    pub(crate) fn of(reply: ReplyTo<R>) -> Self {
        Back {
            giver: reply.0.as_ref().and_then(|shared| shared.take()),
            asker: None,
        }
    }

    /// Makes the way back the handler's. The actor keeps a note, for its end.
    ///
    /// The caller is the owner of `cell`.
    pub(crate) fn defer(self, cell: &CellRef) -> ReplyTo<R> {
        let Some(giver) = self.giver else {
            return ReplyTo(None);
        };
        if let Some(asker) = &self.asker {
            waits::passed_on(asker, cell);
        }
        let shared = Arc::new(Shared {
            giver: Mutex::new(Some(giver)),
            asked: cell.number,
        });
        let noted: Arc<Shared<R>> = Arc::clone(&shared);
        // SAFETY: the caller is the owner, and holds no reference to its part.
        unsafe { cell.owned() }.more().pending.add(noted);
        ReplyTo(Some(shared))
    }

    /// Guards the way back while a handler runs.
    pub(crate) fn guard<'a>(self, cell: &'a CellRef) -> Guard<'a, R> {
        Guard { back: self, cell }
    }
}

/// A way back while a handler runs that may panic, or be dropped where it awaits. What was not answered
/// then goes when the end of the actor is known, so that the asker finds the reason.
///
/// Made and dropped by the owner of the cell.
pub(crate) struct Guard<'a, R: Send + 'static> {
    back: Back<R>,
    cell: &'a CellRef,
}

impl<R: Send + 'static> Guard<'_, R> {
    pub(crate) fn answer(mut self, answer: R) {
        match self.back.giver.take() {
            Some(giver) => giver.give(answer),
            None => drop(answer),
        }
    }
}

impl<R: Send + 'static> Drop for Guard<'_, R> {
    fn drop(&mut self) {
        if let Some(giver) = self.back.giver.take() {
            // SAFETY: the owner drops this, and holds no reference to its part while a handler runs.
            let own = unsafe { self.cell.owned() };
            own.more().remains.push(Box::new(giver));
        }
    }
}

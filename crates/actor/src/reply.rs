//! Answers: the way back from a handler to who asked.

use crate::cell::CellRef;
use crate::current;
use crate::waits;
use std::fmt;
use std::sync::Arc;
use weftwork_core::sync::Mutex;
use weftwork_csp::oneshot;

/// The place for one answer, in the hand of the one who is to give it.
///
/// Got by a [`DeferredHandler`](crate::DeferredHandler). It may be kept, sent, or given to another actor.
/// Dropping it tells the asker that there will be no answer. When the actor that was asked ends, its asker
/// is told, wherever the `ReplyTo` is by then.
pub struct ReplyTo<R>(Option<Arc<Shared<R>>>);

struct Shared<R> {
    sender: Mutex<Option<oneshot::Sender<R>>>,
    /// The number of the actor that was asked.
    asked: u64,
}

impl<R: Send + 'static> ReplyTo<R> {
    /// Gives the answer. What became of it is not known: the asker may have stopped waiting.
    pub fn send(self, answer: R) {
        if let Some(shared) = &self.0
            && let Some(sender) = shared.take()
        {
            // Nobody waits any more: the answer is dropped.
            let _ = sender.send(answer);
        }
    }

    /// Whether nobody waits for the answer: the message was told, or the asker has given up.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let Some(shared) = &self.0 else { return true };
        (shared.sender.lock().as_ref()).is_none_or(oneshot::Sender::is_closed)
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
    fn take(&self) -> Option<oneshot::Sender<R>> {
        self.sender.lock().take()
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
        (self.sender.lock().as_ref()).is_some_and(|sender| !sender.is_closed())
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
    sender: Option<oneshot::Sender<R>>,
    /// Who waits, if it is an actor that shall be told when the answer is deferred.
    asker: Option<CellRef>,
}

impl<R: Send + 'static> Back<R> {
    pub(crate) fn to(sender: oneshot::Sender<R>, asker: Option<CellRef>) -> Self {
        Back {
            sender: Some(sender),
            asker,
        }
    }

    pub(crate) const fn none() -> Self {
        Back {
            sender: None,
            asker: None,
        }
    }

    /// Takes the way back of a handler that was forwarded to.
    pub(crate) fn of(reply: ReplyTo<R>) -> Self {
        Back {
            sender: reply.0.as_ref().and_then(|shared| shared.take()),
            asker: None,
        }
    }

    /// Makes the way back the handler's. The actor keeps a note, for its end.
    ///
    /// The caller is the owner of `cell`.
    pub(crate) fn defer(self, cell: &CellRef) -> ReplyTo<R> {
        let Some(sender) = self.sender else {
            return ReplyTo(None);
        };
        if let Some(asker) = &self.asker {
            waits::passed_on(asker, cell);
        }
        let shared = Arc::new(Shared {
            sender: Mutex::new(Some(sender)),
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
        match self.back.sender.take() {
            // Nobody waits any more: the answer is dropped.
            Some(sender) => drop(sender.send(answer)),
            None => drop(answer),
        }
    }
}

impl<R: Send + 'static> Drop for Guard<'_, R> {
    fn drop(&mut self) {
        if let Some(sender) = self.back.sender.take() {
            // SAFETY: the owner drops this, and holds no reference to its part while a handler runs.
            let own = unsafe { self.cell.owned() };
            own.more().remains.push(Box::new(sender));
        }
    }
}

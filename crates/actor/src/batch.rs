//! Messages one after another, while there is nothing else to look at.
//!
//! The common case of a poll: no signal has arrived, no test looks in, all messages have the normal priority, none awaits, and
//! nobody watches. Whatever else there is, is left to a step of [`run`](crate::run), which knows all cases.
//!
//! An actor that got one message at its last poll is expected to get one at this: it is taken by going idle
//! (`mailbox/inbox.rs`, invariant 2), and when it is handled the actor sleeps already.

use crate::cell::CellRef;
use crate::mailbox::OnFull;
use crate::mailbox::Priority;
use crate::mailbox::letter::{Delivery, Letter};
use crate::owned::Owned;
use crate::panics;
use crate::reason::Reason;
use crate::run::{take_up, with};

/// Why no more messages were handled.
pub(crate) enum Batch {
    /// There is none.
    Empty,
    /// The last one's handler is asynchronous: it is to be polled before anything else is done.
    Began,
    /// Something else has to be looked at.
    Other,
    /// That was as many as were asked for.
    Full,
}

/// Handles the message of an actor that gets one at a time. If nothing else is there then, the inbox says that
/// the actor sleeps. The caller is the owner of `cell`.
///
/// # Errors
/// The handler panicked.
#[inline]
pub(crate) fn serve_alone(cell: &CellRef, handled: &mut u32) -> Result<Batch, Reason> {
    let is_bare = |own: &mut Owned| own.is_sparse && own.is_plain() && !own.has_timers();
    // Senders reach into the mailbox that drops its oldest message.
    if cell.on_full == OnFull::DropOldest
        || cell.hooks().is_some()
        || !with(cell, is_bare)
        || cell.has_attention()
        || !cell.shelf_is_empty()
    {
        return Ok(Batch::Other);
    }
    let Some(letter) = cell.inbox.take_alone() else {
        return Ok(Batch::Other);
    };
    *handled = 1;
    handle_one(cell, letter)?;
    if with(cell, |own| own.handling.is_some()) {
        return Ok(Batch::Began);
    }
    let is_done = |own: &mut Owned| own.is_plain() && !own.has_timers() && own.untold == 0;
    if with(cell, is_done) && cell.shelf_is_empty() && cell.inbox.is_idle() {
        return Ok(Batch::Empty);
    }
    Ok(Batch::Other)
}

/// Handles messages until `handled` is `limit`. The caller is the owner of `cell`.
///
/// # Errors
/// A handler panicked.
#[inline]
pub(crate) fn serve(cell: &CellRef, handled: &mut u32, limit: u32) -> Result<Batch, Reason> {
    // As above.
    if cell.on_full == OnFull::DropOldest
        || cell.hooks().is_some()
        || !with(cell, |own| own.is_plain())
    {
        return Ok(Batch::Other);
    }
    let mut name = None;
    let served = panics::catch(|| {
        loop {
            if *handled >= limit {
                return Batch::Full;
            }
            if cell.has_attention() {
                return Batch::Other;
            }
            let letter = match cell.shelf(|shelf| shelf.lanes.pop_plain()) {
                Some(letter) => letter,
                None if !cell.shelf_is_empty() => return Batch::Other,
                None => match take(cell) {
                    Ok(Some(letter)) => letter,
                    Ok(None) => return Batch::Empty,
                    Err(NotPlain) => return Batch::Other,
                },
            };
            let letter = take_up(cell, letter);
            *handled += 1;
            name = letter.class().name;
            if handle(cell, letter) == Handled::Awaits {
                return Batch::Began;
            }
            if !with(cell, |own| own.is_plain()) {
                return Batch::Other;
            }
        }
    });
    note_panic(cell, name, served)
}

/// Hands a message to its handler.
///
/// # Errors
/// It panicked.
#[inline]
pub(crate) fn handle_one(cell: &CellRef, letter: Letter) -> Result<(), Reason> {
    let name = letter.class().name;
    let handled = panics::catch(|| handle(cell, letter));
    note_panic(cell, name, handled).map(drop)
}

/// Notes which message it was, for a report, if its handler panicked.
#[inline]
fn note_panic<T>(
    cell: &CellRef,
    name: Option<fn() -> &'static str>,
    done: Result<T, Reason>,
) -> Result<T, Reason> {
    if done.is_err() {
        with(cell, |own| own.more().last = name);
    }
    done
}

/// There are others than messages of the normal priority.
struct NotPlain;

/// Takes what is in the inbox, on the shelf, and the first of it.
///
/// # Errors
/// It has to be sorted.
#[inline]
fn take(cell: &CellRef) -> Result<Option<Letter>, NotPlain> {
    let mut taken = cell.take_letters();
    if !taken.is_plain {
        cell.shelf(|shelf| shelf.unsorted.append(taken.letters));
        return Err(NotPlain);
    }
    let first = taken.letters.pop_front();
    if !taken.letters.is_empty() {
        cell.shelf(|shelf| shelf.lanes.lane(Priority::Normal).append(taken.letters));
    }
    Ok(first)
}

/// How far a handler is.
#[derive(Debug, PartialEq, Eq)]
enum Handled {
    Done,
    /// The rest of it is in the owned part.
    Awaits,
}

/// Hands a message to its handler, whose panic the caller catches.
#[inline]
fn handle(cell: &CellRef, letter: Letter) -> Handled {
    let class = letter.class();
    // SAFETY: the caller is the owner and holds no reference to its part; who pushes to a cell makes letters
    // for its type.
    let delivery = unsafe { (class.deliver)(letter, cell) };
    with(cell, |own| {
        own.handled += 1;
        own.note_last(class.name);
        match delivery {
            Delivery::Done => Handled::Done,
            Delivery::Awaits(handling) => {
                own.handling = Some(handling);
                Handled::Awaits
            }
        }
    })
}

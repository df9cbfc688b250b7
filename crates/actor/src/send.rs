//! Getting a message into a mailbox, whatever its type and whoever sends.

use crate::accept::Accepts;
use crate::cell::{CellRef, Header};
use crate::current;
use crate::error::SendErrorKind;
use crate::mailbox::inbox::Pushed;
use crate::mailbox::letter::Letter;
use crate::mailbox::limit::Load;
use crate::mailbox::room::{Attempt, Turn};
use crate::mailbox::weighed;
use crate::mailbox::{OnFull, Priority};
use crate::signal::Signal;
use std::pin::pin;
use std::time::Instant;
use weftwork_core::wait::Reason;

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Push it: it is counted.
    Push,
    /// Drop it: the mailbox is one that drops.
    Drop,
    /// Hand it back.
    Refuse(SendErrorKind),
    /// There is no room, and the mailbox is one whose senders wait.
    Wait,
}

/// What a message adds to a mailbox.
#[inline]
pub(crate) fn load<A, M, K>(cell: &Header, message: &M) -> Load
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    if cell.room.weighs() {
        cell.room.load(A::weight(message))
    } else {
        Load::ONE
    }
}

/// Asks for room once.
#[inline]
pub(crate) fn try_admit(cell: &CellRef, load: Load) -> Verdict {
    match cell.room.try_admit(load) {
        Attempt::Admitted => Verdict::Push,
        Attempt::Closed => Verdict::Refuse(SendErrorKind::Dead),
        Attempt::Full => full(cell, load),
    }
}

#[cold]
fn full(cell: &CellRef, load: Load) -> Verdict {
    match cell.on_full {
        OnFull::Wait => Verdict::Wait,
        OnFull::Fail => Verdict::Refuse(SendErrorKind::Full),
        OnFull::DropNewest => Verdict::Drop,
        OnFull::DropOldest => {
            // One that was taken up meanwhile leaves room, too.
            while cell.drop_oldest() {
                match cell.room.try_admit(load) {
                    Attempt::Admitted => return Verdict::Push,
                    Attempt::Closed => return Verdict::Refuse(SendErrorKind::Dead),
                    Attempt::Full => {}
                }
            }
            // The actor has all of them in hand just now: one more than there is room for.
            cell.room.admit(load);
            Verdict::Push
        }
        OnFull::StopActor => {
            cell.send(Signal::Overflow);
            Verdict::Refuse(SendErrorKind::Full)
        }
    }
}

/// Asks for room, and waits for it if that is the mailbox's way.
#[track_caller]
#[inline]
pub(crate) fn admit(cell: &CellRef, load: Load, deadline: Option<Instant>) -> Verdict {
    match try_admit(cell, load) {
        Verdict::Wait => wait_for_room(cell, load, deadline),
        verdict => verdict,
    }
}

#[track_caller]
#[cold]
fn wait_for_room(cell: &CellRef, load: Load, deadline: Option<Instant>) -> Verdict {
    if is_own(cell) {
        // It would wait for itself.
        return Verdict::Refuse(SendErrorKind::Full);
    }
    let mut place = pin!(cell.room.place(load));
    let turn = (cell.clock()).wait(Reason::new("mailbox"), deadline, |context| {
        cell.room.poll_admit(place.as_mut(), load, context)
    });
    match turn {
        Ok(turn) => verdict_of(turn),
        Err(_) => Verdict::Refuse(SendErrorKind::Timeout),
    }
}

/// As `admit`, for a future.
pub(crate) async fn admit_async(cell: &CellRef, load: Load) -> Verdict {
    match try_admit(cell, load) {
        Verdict::Wait if is_own(cell) => Verdict::Refuse(SendErrorKind::Full),
        Verdict::Wait => {
            let mut place = pin!(cell.room.place(load));
            let admitted =
                std::future::poll_fn(|context| cell.room.poll_admit(place.as_mut(), load, context));
            verdict_of(admitted.await)
        }
        verdict => verdict,
    }
}

fn verdict_of(turn: Turn) -> Verdict {
    match turn {
        Turn::Admitted(_) => Verdict::Push,
        Turn::Closed => Verdict::Refuse(SendErrorKind::Dead),
    }
}

fn is_own(cell: &CellRef) -> bool {
    current::cell().is_some_and(|me| me == *cell)
}

/// Whether a message of this priority need not ask for room: the mailbox is empty, and its actor sleeps. A
/// guess.
#[inline]
pub(crate) fn is_idle(cell: &Header, priority: Priority) -> bool {
    priority == Priority::Normal
        && cell.room.has_spare()
        && cell.inbox.is_idle()
        && cell.hooks().is_none()
}

/// Pushes a letter that was not admitted, if [`is_idle`] was right, and wakes the actor.
///
/// # Errors
/// It was not.
#[inline]
pub(crate) fn push_to_idle(cell: &Header, letter: Letter) -> Result<(), Letter> {
    cell.inbox.push_to_idle(letter)?;
    cell.wake();
    Ok(())
}

/// Pushes a letter whose message was admitted with this load, and wakes the actor if it sleeps.
///
/// # Errors
/// The actor has ended meanwhile.
#[inline]
pub(crate) fn push(cell: &Header, letter: Letter, load: Load) -> Result<(), Letter> {
    if put(cell, letter, load)? == Pushed::Wake {
        cell.wake();
    }
    Ok(())
}

/// As [`push`], but waking the actor is left to the caller.
#[inline]
pub(crate) fn put(cell: &Header, letter: Letter, load: Load) -> Result<Pushed, Letter> {
    if load == Load::ONE {
        cell.put_message(letter)
    } else {
        put_weighed(cell, letter, load)
    }
}

#[cold]
fn put_weighed(cell: &Header, letter: Letter, load: Load) -> Result<Pushed, Letter> {
    let letter = weighed::wrap(letter, load);
    cell.put_message(letter)
        .map_err(|letter| weighed::open(letter).1)
}

//! Questions: a message with a way back, and the wait for the answer.

use crate::accept::{self, Accepts, Packet};
use crate::answer::{self, Asker};
use crate::cell::CellRef;
use crate::clock::Clock;
use crate::error::{AskError, SendErrorKind};
use crate::mailbox::inbox::Pushed;
use crate::mailbox::letter::Letter;
use crate::mailbox::limit::Load;
use crate::reply::Back;
use crate::send::{self, Verdict};
use crate::waits::Waits;
use std::task::Poll;
use std::time::{Duration, Instant};
use weftwork_core::wait::{self, TimedOut};

/// How long an ask waits that does not say how long.
pub(crate) const DEFAULT: Duration = Duration::from_secs(5);

type Answer<A, M, K> = Result<<A as Accepts<M, K>>::Reply, AskError<M>>;

#[track_caller]
pub(crate) fn ask<A, M, K>(cell: &CellRef, message: M, timeout: Duration) -> Answer<A, M, K>
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    let waits = match Waits::for_answer_of(cell) {
        Ok(waits) => waits,
        Err(cycle) => return Err(AskError::Cycle(message, cycle)),
    };
    let mut limit = Limit::Fresh(timeout);
    let (mut answer, woken) = match post_to_idle::<A, M, K>(cell, &waits, message) {
        Ok(answer) => (answer, Pushed::Wake),
        Err(message) => {
            let load = send::load::<A, M, K>(cell, &message);
            let verdict = match send::try_admit(cell, load) {
                Verdict::Wait => send::admit(cell, load, limit.deadline(cell.clock())),
                verdict => verdict,
            };
            post::<A, M, K>(cell, &waits, message, load, verdict)?
        }
    };
    // One that sleeps may be run at once, and answer. Nothing of a wait is set up before it has not.
    if woken == Pushed::Wake
        && wait::hand_over(|| cell.wake())
        && let Poll::Ready(got) = answer.look()
    {
        return got.ok_or_else(|| no_answer(cell));
    }
    match answer.wait_by(cell.clock(), limit.deadline(cell.clock())) {
        Ok(Some(got)) => Ok(got),
        Ok(None) => Err(no_answer(cell)),
        Err(TimedOut) => Err(AskError::Timeout),
    }
}

/// How long an ask may wait. The clock is read when it waits for the first time: most never do.
enum Limit {
    Fresh(Duration),
    Running(Option<Instant>),
}

impl Limit {
    /// Until when; `None` is for ever: no clock can tell the end.
    fn deadline(&mut self, clock: Clock<'_>) -> Option<Instant> {
        if let Limit::Fresh(timeout) = *self {
            *self = Limit::Running(clock.deadline_after(timeout));
        }
        match *self {
            Limit::Running(deadline) => deadline,
            Limit::Fresh(_) => None,
        }
    }
}

pub(crate) async fn ask_async<A, M, K>(
    cell: &CellRef,
    message: M,
    timeout: Duration,
) -> Answer<A, M, K>
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    let waits = match Waits::for_answer_of(cell) {
        Ok(waits) => waits,
        Err(cycle) => return Err(AskError::Cycle(message, cycle)),
    };
    let asked = async {
        let load = send::load::<A, M, K>(cell, &message);
        let verdict = send::admit_async(cell, load).await;
        let (answer, woken) = post::<A, M, K>(cell, &waits, message, load, verdict)?;
        if woken == Pushed::Wake {
            cell.wake();
        }
        answer.await.ok_or_else(|| no_answer(cell))
    };
    cell.clock()
        .within(Some(timeout), asked)
        .await
        .unwrap_or(Err(AskError::Timeout))
}

/// Sends the question to an actor that sleeps and has nothing in its mailbox; the caller wakes it.
///
/// # Errors
/// It is not so.
#[inline]
fn post_to_idle<A, M, K>(cell: &CellRef, waits: &Waits, message: M) -> Result<Asker<A::Reply>, M>
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    if !send::is_idle(cell, A::RANK) {
        return Err(message);
    }
    let (giver, answer) = answer::place();
    let letter = accept::letter::<A, M, K>(message, Back::to(giver, waits.asker()));
    match cell.inbox.push_to_idle(letter) {
        Ok(()) => Ok(answer),
        Err(letter) => Err(message_of::<A, M, K>(letter)),
    }
}

/// Sends the question, as was decided. If the actor sleeps the caller has to wake it.
fn post<A, M, K>(
    cell: &CellRef,
    waits: &Waits,
    message: M,
    load: Load,
    verdict: Verdict,
) -> Result<(Asker<A::Reply>, Pushed), AskError<M>>
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    match verdict {
        Verdict::Push => {}
        Verdict::Refuse(SendErrorKind::Dead) => return Err(AskError::Dead(message)),
        Verdict::Refuse(SendErrorKind::Timeout) => return Err(AskError::Timeout),
        // A mailbox that drops what does not fit answers no question that it has dropped.
        Verdict::Refuse(SendErrorKind::Full) | Verdict::Wait | Verdict::Drop => {
            return Err(AskError::Full(message));
        }
    }
    let (giver, answer) = answer::place();
    let letter = accept::letter::<A, M, K>(message, Back::to(giver, waits.asker()));
    match send::put(cell, letter, load) {
        Ok(pushed) => Ok((answer, pushed)),
        Err(letter) => Err(AskError::Dead(message_of::<A, M, K>(letter))),
    }
}

/// Takes the message out of a letter that was made with this type.
pub(crate) fn message_of<A, M, K>(letter: Letter) -> M
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    // SAFETY: the callers have made the letter by `accept::letter` with these types.
    unsafe { letter.open::<Packet<M, A::Reply>>() }.message
}

fn no_answer<M>(cell: &CellRef) -> AskError<M> {
    match cell.exit_reason() {
        Some(reason) => AskError::Died(reason),
        None => AskError::NoReply,
    }
}

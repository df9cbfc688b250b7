//! Questions: a message with a way back, and the wait for the answer.

use crate::accept::{self, Accepts, Packet};
use crate::cell::CellRef;
use crate::error::{AskError, SendErrorKind};
use crate::mailbox::letter::Letter;
use crate::reply::Back;
use crate::send::{self, Verdict};
use crate::waits::Waits;
use crate::within::within;
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;
use weftwork_csp::oneshot::{self, RecvTimeoutError};

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
    // Read before anything waits: the limit is for the whole.
    let deadline = deadline_after(timeout);
    let waits = match Waits::for_answer_of(cell) {
        Ok(waits) => waits,
        Err(cycle) => return Err(AskError::Cycle(message, cycle)),
    };
    let verdict = send::admit(cell, deadline);
    let mut answer = post::<A, M, K>(cell, &waits, message, verdict)?;
    let got = receive(&mut answer, deadline);
    got.map_err(|error| match error {
        RecvTimeoutError::Timeout => AskError::Timeout,
        RecvTimeoutError::Disconnected => no_answer(cell),
    })
}

#[track_caller]
fn receive<R>(
    answer: &mut oneshot::Receiver<R>,
    deadline: Option<Instant>,
) -> Result<R, RecvTimeoutError> {
    match deadline {
        Some(deadline) => answer.recv_deadline(deadline),
        // No clock can tell the end: for ever.
        None => answer.recv_timeout(Duration::MAX),
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
        let verdict = send::admit_async(cell).await;
        let answer = post::<A, M, K>(cell, &waits, message, verdict)?;
        answer.await.map_err(|_| no_answer(cell))
    };
    within(Some(timeout), asked)
        .await
        .unwrap_or(Err(AskError::Timeout))
}

/// Sends the question, as was decided.
fn post<A, M, K>(
    cell: &CellRef,
    waits: &Waits,
    message: M,
    verdict: Verdict,
) -> Result<oneshot::Receiver<A::Reply>, AskError<M>>
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
    let (sender, answer) = oneshot::channel();
    let letter = accept::letter::<A, M, K>(message, Back::to(sender, waits.asker()));
    match send::push(cell, letter) {
        Ok(()) => Ok(answer),
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
    debug_assert!(std::ptr::eq(letter.class(), accept::class::<A, M, K>()));
    // SAFETY: the callers have made the letter by `accept::letter` with these types.
    unsafe { letter.open::<Packet<M, A::Reply>>() }.message
}

fn no_answer<M>(cell: &CellRef) -> AskError<M> {
    match cell.exit_reason() {
        Some(reason) => AskError::Died(reason),
        None => AskError::NoReply,
    }
}

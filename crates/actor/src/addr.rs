//! The address of an actor: how it is told and asked.

use crate::accept::{self, Accepts};
use crate::actor::Actor;
use crate::ask;
use crate::cell::CellRef;
use crate::dead_letters::{self, Cause};
use crate::error::{AskError, SendError, SendErrorKind};
use crate::mailbox::limit::Load;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::recipient::Recipient;
use crate::reply::{Back, ReplyTo};
use crate::send::{self, Verdict};
use crate::signal::Signal;
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;

/// The address of an actor of type `A`, as large as a pointer. Clones are alike.
///
/// It does not keep the actor alive, nor does dropping it end the actor: that ends when it is stopped.
/// Messages of one sender arrive in the order in which they were sent, if they have the same priority.
pub struct Addr<A> {
    cell: CellRef,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Addr<A> {
    pub(crate) fn of(cell: CellRef) -> Self {
        Addr {
            cell,
            actor: PhantomData,
        }
    }

    pub(crate) fn cell(&self) -> &CellRef {
        &self.cell
    }

    /// Who the actor is.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.cell.pid()
    }

    /// Whether the actor has not ended. It may be about to.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.cell.is_alive()
    }

    /// Sends a message. If the mailbox is full and its senders wait, this waits for room, in the order of
    /// arrival; the calling green thread or OS thread parks. An actor that would wait for itself gets the
    /// message back instead.
    ///
    /// # Errors
    /// The actor has ended, or the mailbox is full and does not wait. Here is the message.
    #[track_caller]
    #[inline]
    pub fn tell<M, K>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let load = send::load::<A, M, K>(&self.cell, &message);
        let verdict = send::admit(&self.cell, load, None);
        self.post(message, load, verdict)
    }

    /// As [`tell`](Self::tell), without waiting: OTP's `cast`, but with the message back.
    ///
    /// # Errors
    /// The actor has ended, or the mailbox is full.
    #[inline]
    pub fn try_tell<M, K>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let load = send::load::<A, M, K>(&self.cell, &message);
        let verdict = send::try_admit(&self.cell, load);
        self.post(message, load, verdict)
    }

    /// The same as [`try_tell`](Self::try_tell), under OTP's name.
    ///
    /// # Errors
    /// As `try_tell`.
    #[inline]
    pub fn cast<M, K>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        self.try_tell(message)
    }

    /// As [`tell`](Self::tell), waiting for so long at most.
    ///
    /// # Errors
    /// As `tell`, or the time was over first.
    #[track_caller]
    pub fn tell_timeout<M, K>(&self, message: M, timeout: Duration) -> Result<(), SendError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let load = send::load::<A, M, K>(&self.cell, &message);
        let verdict = send::admit(&self.cell, load, deadline_after(timeout));
        self.post(message, load, verdict)
    }

    /// As [`tell`](Self::tell), waiting until `deadline` at most.
    ///
    /// # Errors
    /// As `tell`, or the deadline passed first.
    #[track_caller]
    pub fn tell_deadline<M, K>(&self, message: M, deadline: Instant) -> Result<(), SendError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let load = send::load::<A, M, K>(&self.cell, &message);
        let verdict = send::admit(&self.cell, load, Some(deadline));
        self.post(message, load, verdict)
    }

    /// As [`tell`](Self::tell), for the caller that awaits. Dropping the future drops the message, unless it
    /// was ready.
    ///
    /// # Errors
    /// As `tell`.
    pub async fn tell_async<M, K>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let load = send::load::<A, M, K>(&self.cell, &message);
        let verdict = send::admit_async(&self.cell, load).await;
        self.post(message, load, verdict)
    }

    #[inline]
    fn post<M, K>(&self, message: M, load: Load, verdict: Verdict) -> Result<(), SendError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        match verdict {
            Verdict::Push => {
                let letter = accept::letter::<A, M, K>(message, Back::none());
                send::push(&self.cell, letter, load).map_err(|letter| {
                    SendError::new(SendErrorKind::Dead, ask::message_of::<A, M, K>(letter))
                })
            }
            Verdict::Drop => {
                dead_letters::report(&self.cell, type_name::<M>(), Cause::Full);
                Ok(())
            }
            Verdict::Refuse(kind) => Err(SendError::new(kind, message)),
            Verdict::Wait => Err(SendError::new(SendErrorKind::Full, message)),
        }
    }

    /// Sends a message and waits for the answer, five seconds at most, room in the mailbox included. The
    /// calling green thread or OS thread parks.
    ///
    /// On a worker of the scheduler an actor that sleeps is run before the caller waits, and may have answered
    /// by then; the time begins with the first wait.
    ///
    /// An answer that comes too late is dropped. If the actor ends first, the wait ends, whoever holds the
    /// answer by then.
    ///
    /// # Errors
    /// There is no answer: see [`AskError`]. An ask that would wait for itself, in a circle of actors in
    /// which each waits for the answer of the next, is told at once.
    #[track_caller]
    pub fn ask<M, K>(&self, message: M) -> Result<A::Reply, AskError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        ask::ask::<A, M, K>(&self.cell, message, ask::DEFAULT)
    }

    /// As [`ask`](Self::ask), waiting for so long at most; [`Duration::MAX`] is for ever.
    ///
    /// # Errors
    /// As `ask`.
    #[track_caller]
    pub fn ask_timeout<M, K>(&self, message: M, timeout: Duration) -> Result<A::Reply, AskError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        ask::ask::<A, M, K>(&self.cell, message, timeout)
    }

    /// As [`ask`](Self::ask), for the caller that awaits.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn ask_async<M, K>(&self, message: M) -> Result<A::Reply, AskError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        ask::ask_async::<A, M, K>(&self.cell, message, ask::DEFAULT).await
    }

    /// As [`ask_async`](Self::ask_async), waiting for so long at most.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn ask_async_timeout<M, K>(
        &self,
        message: M,
        timeout: Duration,
    ) -> Result<A::Reply, AskError<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        ask::ask_async::<A, M, K>(&self.cell, message, timeout).await
    }

    /// Passes a question on: the answer of this actor goes to whoever waits for `reply`. Does not wait. If
    /// the message does not get in, it is dropped, and the asker told that there is no answer.
    pub fn forward<M, K>(&self, message: M, reply: ReplyTo<A::Reply>)
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let mut unsent = None;
        let load = send::load::<A, M, K>(&self.cell, &message);
        if send::try_admit(&self.cell, load) == Verdict::Push {
            let letter = accept::letter::<A, M, K>(message, Back::of(reply));
            match send::push(&self.cell, letter, load) {
                Ok(()) => return,
                Err(letter) => unsent = Some(letter),
            }
        }
        // Before the asker is told.
        dead_letters::report(&self.cell, type_name::<M>(), Cause::Forward);
        drop(unsent);
    }

    /// The address for messages of one type, whatever the actor.
    #[must_use]
    pub fn recipient<M, K>(&self) -> Recipient<M>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        Recipient::of::<A, K>(self.cell.clone())
    }

    /// Asks the actor to stop: see [`Pid::stop`].
    pub fn stop(&self, reason: Reason) {
        self.cell.send(Signal::Stop { reason });
    }

    /// Ends the actor at once: see [`Pid::kill`].
    pub fn kill(&self) {
        self.pid().kill();
    }
}

impl<A> Clone for Addr<A> {
    fn clone(&self) -> Self {
        Addr {
            cell: self.cell.clone(),
            actor: PhantomData,
        }
    }
}

impl<A> PartialEq for Addr<A> {
    fn eq(&self, other: &Self) -> bool {
        self.cell == other.cell
    }
}

impl<A> Eq for Addr<A> {}

impl<A> fmt::Debug for Addr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Addr").field(&self.cell.pid()).finish()
    }
}

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
use crate::reply_recipient::ReplyRecipient;
use crate::send::{self, Verdict};
use crate::signal::Signal;
use std::any::type_name;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// The address of an actor of type `A`, as large as a pointer. Clones are alike.
///
/// It does not keep the actor alive, nor does dropping it end the actor: that ends when it is stopped.
/// Messages of one sender arrive in the order in which they were sent, if they have the same priority.
///
/// ```
/// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
/// # }
/// # impl Handler<u32> for Echo {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
///
/// let echo = start::<Echo>(rt.handle(), (), Options::new())?;
/// let same = echo.clone();
/// assert_eq!(same, echo);
/// drop(echo);
/// // It lives on, and is still to be reached.
/// assert_eq!(same.ask(7)?, 7);
/// same.stop(weftwork_actor::Reason::Normal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// echo.tell(1)?;
    ///
    /// let end = echo.pid().watch();
    /// echo.kill();
    /// end.wait_down();
    /// let refused = echo.tell(2).unwrap_err();
    /// assert!(refused.is_dead());
    /// assert_eq!(refused.into_inner(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let message = match self.post_to_idle(message) {
            Ok(()) => return Ok(()),
            Err(message) => message,
        };
        let load = send::load::<A, M, K>(&self.cell, &message);
        let verdict = send::admit(&self.cell, load, None);
        self.post(message, load, verdict)
    }

    /// As [`tell`](Self::tell), without waiting: OTP's `cast`, but with the message back.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::{Mailbox, introspect};
    ///
    /// let options = Options::new().mailbox(Mailbox::bounded(1));
    /// let echo = start::<Echo>(rt.handle(), (), options)?;
    /// // It takes no messages for now.
    /// introspect::suspend(&echo.pid(), Duration::from_secs(1))?;
    /// echo.try_tell(1)?;
    /// let refused = echo.try_tell(2).unwrap_err();
    /// assert!(refused.is_full());
    /// assert_eq!(refused.into_inner(), 2);
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let message = match self.post_to_idle(message) {
            Ok(()) => return Ok(()),
            Err(message) => message,
        };
        let load = send::load::<A, M, K>(&self.cell, &message);
        let verdict = send::try_admit(&self.cell, load);
        self.post(message, load, verdict)
    }

    /// The same as [`try_tell`](Self::try_tell), under OTP's name.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// echo.cast(1)?;
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::{Mailbox, SendErrorKind, introspect};
    ///
    /// let options = Options::new().mailbox(Mailbox::bounded(1));
    /// let echo = start::<Echo>(rt.handle(), (), options)?;
    /// introspect::suspend(&echo.pid(), Duration::from_secs(1))?;
    /// echo.tell_timeout(1, Duration::from_millis(1))?;
    /// let refused = echo.tell_timeout(2, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(refused.kind(), SendErrorKind::Timeout);
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let verdict = send::admit(&self.cell, load, self.cell.clock().deadline_after(timeout));
        self.post(message, load, verdict)
    }

    /// As [`tell`](Self::tell), waiting until `deadline` at most.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::{Duration, Instant};
    ///
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// let deadline = Instant::now() + Duration::from_millis(10);
    /// echo.tell_deadline(1, deadline)?;
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// weftwork_core::block_on(async { echo.tell_async(1).await })?;
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Sends a message to an actor that sleeps and has nothing in its mailbox: the common case.
    #[inline]
    fn post_to_idle<M, K>(&self, message: M) -> Result<(), M>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        if !send::is_idle(&self.cell, A::RANK) {
            return Err(message);
        }
        let letter = accept::letter::<A, M, K>(message, Back::none());
        send::push_to_idle(&self.cell, letter).map_err(ask::message_of::<A, M, K>)
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
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::AskError;
    ///
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// assert_eq!(echo.ask(1), Ok(1));
    ///
    /// let end = echo.pid().watch();
    /// echo.kill();
    /// end.wait_down();
    /// assert_eq!(echo.ask(2), Err(AskError::Dead(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::{AskError, introspect};
    ///
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// introspect::suspend(&echo.pid(), Duration::from_secs(1))?;
    /// assert_eq!(echo.ask_timeout(1, Duration::from_millis(1)), Err(AskError::Timeout));
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// let sum = weftwork_core::block_on(async {
    ///     Ok::<_, weftwork_actor::AskError<u32>>(echo.ask_async(1).await? + echo.ask_async(2).await?)
    /// });
    /// assert_eq!(sum, Ok(3));
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    ///
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// let limit = Duration::from_secs(1);
    /// assert_eq!(weftwork_core::block_on(echo.ask_async_timeout(1, limit)), Ok(1));
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Addr, Context, DeferredHandler, Handler, InitError, Options, ReplyTo, start};
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
    /// impl DeferredHandler<u32> for Front {
    ///     type Reply = u32;
    ///     fn handle(&mut self, n: u32, reply: ReplyTo<u32>, _: &mut Context<Self>) {
    ///         self.0.forward(n + 1, reply);
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// let front = start::<Front>(rt.handle(), echo, Options::new())?;
    /// assert_eq!(front.ask(1), Ok(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::Recipient;
    ///
    /// # let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// let numbers: Recipient<u32> = echo.recipient();
    /// numbers.tell(1)?;
    /// assert_eq!(numbers.pid(), echo.pid());
    /// # echo.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recipient<M, K>(&self) -> Recipient<M>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        Recipient::of::<A, K>(self.cell.clone())
    }

    /// The address for questions of one type, whatever the actor.
    #[must_use]
    pub fn reply_recipient<M, K>(&self) -> ReplyRecipient<M, A::Reply>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        ReplyRecipient::of::<A, K>(&self.cell)
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

impl<A> Hash for Addr<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cell.number.hash(state);
    }
}

/// Who the actor is.
impl<A: Actor> From<&Addr<A>> for Pid {
    fn from(addr: &Addr<A>) -> Self {
        addr.pid()
    }
}

impl<A> fmt::Debug for Addr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Addr").field(&self.cell.pid()).finish()
    }
}

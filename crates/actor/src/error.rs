//! What can go wrong with a message, a question, a start, a link.

use crate::pid::Pid;
use crate::reason::Reason;
use std::error::Error;
use std::fmt;

/// A message did not get into the mailbox. Here it is back.
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
/// use weftwork_actor::SendErrorKind;
///
/// let echo = start::<Echo>(rt.handle(), (), Options::new())?;
/// let end = echo.pid().watch();
/// echo.kill();
/// end.wait_down();
/// let refused = echo.try_tell(7).unwrap_err();
/// assert_eq!(refused.kind(), SendErrorKind::Dead);
/// assert_eq!(refused.to_string(), "actor has ended");
/// assert_eq!(refused.into_inner(), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SendError<M> {
    kind: SendErrorKind,
    message: M,
}

/// Why a message did not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The actor has ended.
    Dead,
    /// The mailbox is full, and the caller or the mailbox does not wait.
    Full,
    /// The time was over before there was room.
    Timeout,
}

impl<M> SendError<M> {
    pub(crate) fn new(kind: SendErrorKind, message: M) -> Self {
        SendError { kind, message }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// Whether the actor has ended.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.kind == SendErrorKind::Dead
    }

    /// Whether the mailbox is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == SendErrorKind::Full
    }

    /// Takes the message back.
    pub fn into_inner(self) -> M {
        self.message
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SendErrorKind::Dead => "actor has ended",
            SendErrorKind::Full => "mailbox is full",
            SendErrorKind::Timeout => "mailbox was full for too long",
        })
    }
}

impl<M> Error for SendError<M> {}

/// A question got no answer.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum AskError<M> {
    /// The actor had ended before (OTP's `noproc`). Here is the message.
    Dead(M),
    /// The mailbox was full, and does not wait. Here is the message.
    Full(M),
    /// The asking actor, or one that waits for it, is itself waited for by the one that is asked: nobody
    /// could go on. Here is the message, and the actors in the order in which each waits for the next.
    Cycle(M, Cycle),
    /// The time was over. The message may have been handled; an answer that comes later is dropped.
    Timeout,
    /// The actor ended before it answered.
    Died(Reason),
    /// The actor dropped the question's [`ReplyTo`](crate::ReplyTo).
    NoReply,
}

impl<M> AskError<M> {
    /// Takes the message back, if it was not delivered.
    pub fn into_message(self) -> Option<M> {
        match self {
            AskError::Dead(message) | AskError::Full(message) | AskError::Cycle(message, _) => {
                Some(message)
            }
            AskError::Timeout | AskError::Died(_) | AskError::NoReply => None,
        }
    }
}

impl<M> fmt::Debug for AskError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Dead(_) => f.write_str("Dead(..)"),
            AskError::Full(_) => f.write_str("Full(..)"),
            AskError::Cycle(_, cycle) => f.debug_tuple("Cycle").field(&cycle.0).finish(),
            AskError::Timeout => f.write_str("Timeout"),
            AskError::Died(reason) => f.debug_tuple("Died").field(reason).finish(),
            AskError::NoReply => f.write_str("NoReply"),
        }
    }
}

impl<M> fmt::Display for AskError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Dead(_) => f.write_str("actor has ended"),
            AskError::Full(_) => f.write_str("mailbox is full"),
            AskError::Cycle(_, cycle) => write!(f, "ask would wait for itself: {cycle}"),
            AskError::Timeout => f.write_str("ask timed out"),
            AskError::Died(reason) => write!(f, "actor ended before it answered: {reason}"),
            AskError::NoReply => f.write_str("actor gave up the answer"),
        }
    }
}

impl<M> Error for AskError<M> {}

/// Actors of which each waits for the answer of the next, and the last for the first.
///
/// ```
/// use weftwork_actor::{Actor, AskError, Context, Handler, InitError, Options, start};
///
/// struct Me;
///
/// /// Ask yourself.
/// struct Reflect;
///
/// impl Actor for Me {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Me)
///     }
/// }
///
/// impl Handler<u32> for Me {
///     type Reply = u32;
///     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 {
///         n
///     }
/// }
///
/// impl Handler<Reflect> for Me {
///     type Reply = Result<u32, AskError<u32>>;
///     fn handle(&mut self, _: Reflect, ctx: &mut Context<Self>) -> Self::Reply {
///         ctx.addr().ask(7)
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let me = start::<Me>(rt.handle(), (), Options::new())?;
/// match me.ask(Reflect).unwrap() {
///     Err(AskError::Cycle(7, cycle)) => assert_eq!(cycle.actors(), [me.pid()]),
///     other => panic!("{other:?}"),
/// }
/// # me.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub(crate) Vec<Pid>);

impl Cycle {
    /// The actors; the one that asked stands first.
    #[must_use]
    pub fn actors(&self) -> &[Pid] {
        &self.0
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pid in &self.0 {
            write!(f, "{pid:?} -> ")?;
        }
        match self.0.first() {
            Some(first) => write!(f, "{first:?}"),
            None => Ok(()),
        }
    }
}

/// There is no actor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StartError {
    /// Its `init` chose not to make one: [`InitError::Ignore`](crate::InitError::Ignore).
    Ignored,
    /// Its `init` failed or panicked, or it was killed meanwhile.
    Failed(Reason),
    /// Its `init` did not return in time. The actor was killed.
    Timeout,
    /// The executor takes no more tasks.
    Refused,
    /// A name that it was to be [registered](crate::Options::register) under is taken: here is who has it.
    AlreadyStarted(Pid),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Ignored => f.write_str("actor chose not to start"),
            StartError::Failed(reason) => write!(f, "actor did not start: {reason}"),
            StartError::Timeout => f.write_str("actor did not start in time"),
            StartError::AlreadyStarted(holder) => write!(f, "name is taken by {holder}"),
            StartError::Refused => f.write_str("executor takes no more tasks"),
        }
    }
}

impl Error for StartError {}

/// A link could not be made: the actor had ended, and the caller does not trap exits (OTP's `noproc`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkError(pub(crate) Pid);

impl LinkError {
    /// Who had ended.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.0
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {} has ended", self.0)
    }
}

impl Error for LinkError {}

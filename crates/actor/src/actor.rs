//! What a user writes: an actor, and what it does with its messages.

use crate::context::Context;
use crate::error::StartError;
use crate::init::{Begun, Seat};
use crate::mailbox::Priority;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::reply::ReplyTo;
use std::fmt;
use std::num::NonZeroU64;

/// A state that lives in a task of its own and is reached through messages alone.
///
/// One whose `init` has to await is an [`AsyncActor`](crate::AsyncActor) instead.
///
/// All methods run in the actor's task, one at a time. They may wait in plain blocking style: under a
/// scheduler of green threads that parks this actor only. A panic in any of them ends the actor with
/// [`Reason::Panic`] and harms nobody else.
///
/// ```
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
///
/// struct Counter(u64);
///
/// struct Add(u64);
///
/// impl Actor for Counter {
///     type Args = u64;
///     fn init(start: u64, _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Counter(start))
///     }
/// }
///
/// impl Handler<Add> for Counter {
///     type Reply = u64;
///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
///         self.0 += n;
///         self.0
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// let counter = start::<Counter>(rt.handle(), 40, Options::new())?;
/// assert_eq!(counter.ask(Add(2)).unwrap(), 42);
/// counter.stop(weftwork_actor::Reason::Normal);
/// # Ok::<(), weftwork_actor::StartError>(())
/// ```
pub trait Actor: Sized + Send + 'static {
    /// What it is started with.
    type Args: Send + 'static;

    /// Makes the state. Runs in the new actor, which has its pid, its links and its mailbox already, before
    /// `start` returns.
    ///
    /// # Errors
    /// There shall be no actor: see [`InitError`]. What it had (links, monitors, timers) is released without
    /// a word to others.
    fn init(args: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError>;

    /// Calls `init`: at once, but for an [`AsyncActor`](crate::AsyncActor).
    #[doc(hidden)]
    fn begin(seat: Seat<'_, Self>) -> Begun {
        seat.at_once(Self::init)
    }

    /// Hears of an exit signal. Only an actor that [traps exits](Context::trap_exit) does.
    ///
    /// An exit of its parent, to which it is linked, does not come here: the actor then stops with that
    /// reason, as OTP's `gen_server` does.
    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        let _ = (exit, ctx);
    }

    /// Hears that an actor has ended that this one monitors.
    fn on_down(&mut self, down: Down, ctx: &mut Context<Self>) {
        let _ = (down, ctx);
    }

    /// Tidies up, last of all.
    ///
    /// Called when the actor stops itself, is stopped, has panicked, or traps exits and its parent has ended.
    /// *Not* called when an exit signal ends an actor that does not trap them, nor on a kill, nor if `init`
    /// failed. A panic here becomes the reason.
    fn terminate(&mut self, reason: &Reason, ctx: &mut Context<Self>) {
        let _ = (reason, ctx);
    }
}

/// Handles one type of message, and answers at once.
///
/// An actor has as many of these as it has types of messages. To await in a handler there is
/// [`AsyncHandler`], to answer later [`DeferredHandler`]; an actor has one of the three for each type.
///
/// ```
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, Priority, start};
///
/// struct Log(Vec<&'static str>);
///
/// struct Read;
///
/// impl Actor for Log {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Log(Vec::new()))
///     }
/// }
///
/// impl Handler<&'static str> for Log {
///     type Reply = ();
///     fn handle(&mut self, line: &'static str, _: &mut Context<Self>) {
///         self.0.push(line);
///     }
/// }
///
/// impl Handler<Read> for Log {
///     type Reply = Vec<&'static str>;
///     // After the lines that wait, whoever sent them.
///     const PRIORITY: Priority = Priority::Low;
///     fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Self::Reply {
///         self.0.clone()
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let log = start::<Log>(rt.handle(), (), Options::new())?;
/// log.tell("one")?;
/// log.tell("two")?;
/// assert_eq!(log.ask(Read).unwrap(), ["one", "two"]);
/// # log.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Handler<M: Send + 'static>: Actor {
    /// What an [`ask`](crate::Addr::ask) returns.
    type Reply: Send + 'static;

    /// Which messages come first.
    const PRIORITY: Priority = Priority::Normal;

    /// For how many bytes a message counts in a mailbox that is [bounded by bytes](crate::Mailbox::bytes): its
    /// own size, without what it points to, unless this says otherwise. Called by the sender, once,
    /// outside of the actor; a panic is the sender's.
    fn weigh(message: &M) -> usize {
        size_of_val(message)
    }

    /// Handles a message.
    fn handle(&mut self, message: M, ctx: &mut Context<Self>) -> Self::Reply;
}

/// Handles one type of message in a future, which borrows the actor.
///
/// The actor takes no other message meanwhile; signals are served: an exit ends the handler where it
/// awaits. It costs an allocation per message.
///
/// ```
/// use weftwork_actor::{Actor, AsyncHandler, Context, InitError, Options, start};
///
/// struct Sum(u32);
///
/// impl Actor for Sum {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Sum(0))
///     }
/// }
///
/// impl AsyncHandler<weftwork_csp::Receiver<u32>> for Sum {
///     type Reply = u32;
///     async fn handle(&mut self, numbers: weftwork_csp::Receiver<u32>, _: &mut Context<Self>) -> u32 {
///         while let Ok(n) = numbers.recv_async().await {
///             self.0 += n;
///         }
///         self.0
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let sum = start::<Sum>(rt.handle(), (), Options::new())?;
/// let (sender, numbers) = weftwork_csp::bounded(2);
/// sender.send(40)?;
/// sender.send(2)?;
/// drop(sender);
/// assert_eq!(sum.ask(numbers).unwrap(), 42);
/// # sum.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait AsyncHandler<M: Send + 'static>: Actor {
    /// What an [`ask`](crate::Addr::ask) returns.
    type Reply: Send + 'static;

    /// Which messages come first.
    const PRIORITY: Priority = Priority::Normal;

    /// For how many bytes a message counts: see [`Handler::weigh`].
    fn weigh(message: &M) -> usize {
        size_of_val(message)
    }

    /// Handles a message.
    fn handle(
        &mut self,
        message: M,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Self::Reply> + Send;
}

/// Handles one type of message, and answers when it likes: the answer goes through a [`ReplyTo`], which may
/// be kept, sent to another actor or used after the handler has returned.
///
/// The message may have been told, not asked: then nobody waits for the answer.
///
/// ```
/// use weftwork_actor::{Actor, Context, DeferredHandler, Handler, InitError, Options, ReplyTo, start};
///
/// /// Opens once; whoever came before waits.
/// #[derive(Default)]
/// struct Door(Vec<ReplyTo<&'static str>>);
///
/// struct Enter;
/// struct Open;
///
/// impl Actor for Door {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Door::default())
///     }
/// }
///
/// impl DeferredHandler<Enter> for Door {
///     type Reply = &'static str;
///     fn handle(&mut self, _: Enter, reply: ReplyTo<&'static str>, _: &mut Context<Self>) {
///         self.0.push(reply);
///     }
/// }
///
/// impl Handler<Open> for Door {
///     type Reply = usize;
///     fn handle(&mut self, _: Open, _: &mut Context<Self>) -> usize {
///         let waiting = std::mem::take(&mut self.0);
///         let count = waiting.len();
///         waiting.into_iter().for_each(|reply| reply.send("welcome"));
///         count
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let door = start::<Door>(rt.handle(), (), Options::new())?;
/// let before = door.clone();
/// let guest = rt.handle().spawn(move || before.ask(Enter));
/// while door.ask(Open).unwrap() == 0 {
///     std::thread::yield_now();
/// }
/// assert_eq!(guest.join()?.unwrap(), "welcome");
/// # door.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait DeferredHandler<M: Send + 'static>: Actor {
    /// What an [`ask`](crate::Addr::ask) returns.
    type Reply: Send + 'static;

    /// Which messages come first.
    const PRIORITY: Priority = Priority::Normal;

    /// For how many bytes a message counts: see [`Handler::weigh`].
    fn weigh(message: &M) -> usize {
        size_of_val(message)
    }

    /// Handles a message.
    fn handle(&mut self, message: M, reply: ReplyTo<Self::Reply>, ctx: &mut Context<Self>);
}

/// An exit signal that was trapped.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit {
    /// Who ended, or who sent it.
    pub from: Pid,
    /// Why.
    pub reason: Reason,
}

/// The end of an actor that was monitored.
#[derive(Debug, Clone, PartialEq)]
pub struct Down {
    /// Which monitor this answers.
    pub monitor: MonitorRef,
    /// Who ended.
    pub pid: Pid,
    /// Why; [`Reason::NoProc`] if it had ended before the monitor was made.
    pub reason: Reason,
}

/// Names one monitor of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MonitorRef(pub(crate) NonZeroU64);

impl fmt::Display for MonitorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "monitor {}", self.0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} has ended: {}", self.from, self.reason)
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is down: {}", self.pid, self.reason)
    }
}

/// Why `init` made no actor.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start};
/// # struct Quiet;
/// # impl Actor for Quiet {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Err(InitError::failed("no such file")) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::StartError;
///
/// // Its `init` returns `Err(InitError::failed("no such file"))`.
/// match start::<Quiet>(rt.handle(), (), Options::new()) {
///     Err(StartError::Failed(reason)) => assert_eq!(reason.to_string(), "no such file"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum InitError {
    /// There is nothing to do, and nothing wrong. A supervisor keeps the child's place without an actor.
    Ignore,
    /// It could not be made.
    Failed(Reason),
}

impl InitError {
    /// Makes a failure of an error or a text.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        InitError::Failed(Reason::error(error))
    }
}

impl From<Reason> for InitError {
    fn from(reason: Reason) -> Self {
        InitError::Failed(reason)
    }
}

/// For an `init` that starts others, by `?`: what keeps them from starting keeps this one from it.
impl From<StartError> for InitError {
    fn from(error: StartError) -> Self {
        InitError::Failed(match error {
            StartError::Failed(reason) => reason,
            error => Reason::error(error),
        })
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::Ignore => f.write_str("actor chose not to start"),
            InitError::Failed(reason) => write!(f, "init failed: {reason}"),
        }
    }
}

impl std::error::Error for InitError {}

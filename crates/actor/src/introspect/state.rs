//! Reaching the state of an actor from outside, and letting it pause.

use super::info::{answer, inspect};
use crate::actor::Actor;
use crate::addr::Addr;
use crate::cell::CellRef;
use crate::mailbox::Priority;
use crate::mailbox::letter::{Class, Delivery, Kind, Letter};
use crate::panics;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::vtable;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use weftwork_core::wait::deadline_after;
use weftwork_csp::oneshot::{self, RecvTimeoutError};

/// An actor was not looked into.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InspectError {
    /// It has ended.
    Dead,
    /// It did not come to it in time. It may do so later.
    Timeout,
    /// The function that was to look panicked. The actor goes on.
    Panicked(Reason),
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InspectError::Dead => f.write_str("actor has ended"),
            InspectError::Timeout => f.write_str("actor did not come to it in time"),
            InspectError::Panicked(reason) => write!(f, "inspection {reason}"),
        }
    }
}

impl Error for InspectError {}

/// A function that looks at the state, and where its result goes.
struct Visit<F, R> {
    look: F,
    reply: oneshot::Sender<Result<R, Reason>>,
}

struct ClassOf<A, F, R>(PhantomData<fn(A, F, R)>);

impl<A, F, R> ClassOf<A, F, R>
where
    A: Actor,
    F: FnOnce(&mut A) -> R + Send + 'static,
    R: Send + 'static,
{
    const CLASS: Class = Class {
        kind: Kind::Message(Priority::Urgent),
        name: None,
        deliver: deliver::<A, F, R>,
        discard: Letter::discard::<Visit<F, R>>,
    };
}

/// # Safety
/// As for `accept::deliver`; the letter is of the class above.
unsafe fn deliver<A, F, R>(letter: Letter, cell: &CellRef) -> Delivery
where
    A: Actor,
    F: FnOnce(&mut A) -> R + Send + 'static,
    R: Send + 'static,
{
    // SAFETY: letters of this class hold this.
    let visit = unsafe { letter.open::<Visit<F, R>>() };
    // SAFETY: the caller is the owner, and no handler runs; the letter is one for the cell's type.
    if let Some(actor) = unsafe { vtable::actor::<A>(cell) } {
        let result = panics::catch(|| (visit.look)(actor));
        // He may have stopped waiting.
        drop(visit.reply.send(result));
    }
    Delivery::Done
}

/// Looks at the state of an actor, between two messages (OTP's `sys:get_state`). Waits for so long at most.
///
/// `look` runs in the actor's task and before its messages, also while it is suspended.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start};
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = u64;
/// #     fn init(n: u64, _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Counter(n)) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use std::time::Duration;
/// use weftwork_actor::introspect;
///
/// let counter = start::<Counter>(rt.handle(), 7, Options::new())?;
/// let limit = Duration::from_secs(1);
/// assert_eq!(introspect::get_state(&counter, limit, |counter| counter.0)?, 7);
/// # counter.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The actor has ended, or did not come to it in time, or `look` panicked; then the actor goes on.
#[track_caller]
pub fn get_state<A: Actor, R: Send + 'static>(
    addr: &Addr<A>,
    timeout: Duration,
    look: impl FnOnce(&A) -> R + Send + 'static,
) -> Result<R, InspectError> {
    replace_state(addr, timeout, |actor: &mut A| look(actor))
}

/// Changes the state of an actor, between two messages (OTP's `sys:replace_state`), for a repair while the
/// program runs. As [`get_state`]; a `change` that panics leaves the state as far as it had come.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start};
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = u64;
/// #     fn init(n: u64, _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Counter(n)) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use std::time::Duration;
/// use weftwork_actor::introspect;
///
/// let counter = start::<Counter>(rt.handle(), 7, Options::new())?;
/// let limit = Duration::from_secs(1);
/// introspect::replace_state(&counter, limit, |counter| counter.0 += 1)?;
/// assert_eq!(introspect::get_state(&counter, limit, |counter| counter.0)?, 8);
/// # counter.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As `get_state`.
#[track_caller]
pub fn replace_state<A: Actor, R: Send + 'static>(
    addr: &Addr<A>,
    timeout: Duration,
    change: impl FnOnce(&mut A) -> R + Send + 'static,
) -> Result<R, InspectError> {
    let deadline = deadline_after(timeout);
    let (reply, result) = oneshot::channel();
    let letter = visit_letter::<A, _, R>(change, reply);
    let asked = inspect(&addr.pid(), |own| own.more().visits.push_back(letter));
    if asked.is_none() {
        return Err(InspectError::Dead);
    }
    match answer(result, deadline) {
        Ok(result) => result.map_err(InspectError::Panicked),
        Err(RecvTimeoutError::Timeout) => Err(InspectError::Timeout),
        Err(RecvTimeoutError::Disconnected) => Err(InspectError::Dead),
    }
}

fn visit_letter<A, F, R>(look: F, reply: oneshot::Sender<Result<R, Reason>>) -> Letter
where
    A: Actor,
    F: FnOnce(&mut A) -> R + Send + 'static,
    R: Send + 'static,
{
    Letter::new(const { &ClassOf::<A, F, R>::CLASS }, Visit { look, reply })
}

/// Lets an actor take no messages until it is [resumed](resume) (OTP's `sys:suspend`). Waits until it does.
///
/// It still hears exits, downs and stops, and answers questions of this module. An asynchronous handler goes
/// on to its end.
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
/// let echo = start::<Echo>(rt.handle(), (), Options::new())?;
/// let limit = Duration::from_secs(1);
/// introspect::suspend(&echo.pid(), limit)?;
/// assert_eq!(echo.ask_timeout(1, Duration::from_millis(1)), Err(AskError::Timeout));
/// introspect::resume(&echo.pid(), limit)?;
/// assert_eq!(echo.ask(2), Ok(2));
/// # echo.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// It has ended, or its handler runs for too long; then it is suspended after that.
#[track_caller]
pub fn suspend(pid: &Pid, timeout: Duration) -> Result<(), InspectError> {
    set_suspended(pid, timeout, true)
}

/// Lets an actor that was [suspended](suspend) go on. However often it was, once is enough.
///
/// # Errors
/// As `suspend`.
#[track_caller]
pub fn resume(pid: &Pid, timeout: Duration) -> Result<(), InspectError> {
    set_suspended(pid, timeout, false)
}

#[track_caller]
fn set_suspended(pid: &Pid, timeout: Duration, to: bool) -> Result<(), InspectError> {
    let deadline = deadline_after(timeout);
    let asked = inspect(pid, move |own| own.more().is_suspended = to);
    let asked = asked.ok_or(InspectError::Dead)?;
    answer(asked, deadline).map_err(|error| match error {
        RecvTimeoutError::Timeout => InspectError::Timeout,
        RecvTimeoutError::Disconnected => InspectError::Dead,
    })
}

//! From arguments to a running actor.

use crate::actor::{Actor, InitError};
use crate::addr::Addr;
use crate::cell::{CellRef, Header};
use crate::error::StartError;
use crate::executor::{Engine, Executor, engine};
use crate::number;
use crate::options::Options;
use crate::owned::Owned;
use crate::panics;
use crate::reason::Reason;
use crate::run::Runner;
use crate::vtable::Cell;
use crate::waits::Waits;
use std::sync::Arc;
use std::time::Duration;
use weftwork_core::{host, wait};
use weftwork_csp::oneshot::{self, RecvTimeoutError};

/// How far an `init` is. Its actor says so once; the one who started it asks once.
pub(crate) enum Made {
    /// It has not returned, and nobody waits.
    Pending,
    /// It has not returned; he is to be told.
    Awaited(oneshot::Sender<Outcome>),
    /// It has returned.
    Known(Outcome),
    /// He has been told.
    Told,
}

/// What an `init` came to.
pub(crate) type Outcome = Result<(), Box<InitError>>;

impl Made {
    /// Tells how `init` ended, unless that was told before.
    pub(crate) fn tell(cell: &Header, outcome: Outcome) {
        let mut made = cell.made.lock();
        match std::mem::replace(&mut *made, Made::Told) {
            Made::Pending => *made = Made::Known(outcome),
            Made::Awaited(starter) => {
                drop(made);
                // He may have stopped waiting.
                let _ = starter.send(outcome);
            }
            before => *made = before,
        }
    }

    /// Asks how `init` ended; if it has not, there is something to wait for.
    fn ask(cell: &Header) -> Result<Outcome, oneshot::Receiver<Outcome>> {
        let mut made = cell.made.lock();
        match std::mem::replace(&mut *made, Made::Told) {
            Made::Known(outcome) => Ok(outcome),
            _ => {
                let (starter, outcome) = oneshot::channel();
                *made = Made::Awaited(starter);
                Err(outcome)
            }
        }
    }
}

/// Starts an actor, and waits until its `init` has returned.
///
/// The wait parks the calling green thread or OS thread. On a worker of the executor the new actor runs its
/// `init` at once, on the caller's stack, unless the options set a time limit.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start};
/// # struct Server;
/// # impl Actor for Server {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Server) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use std::time::Duration;
/// use weftwork_actor::Mailbox;
///
/// let options = Options::new()
///     .name("server")
///     .mailbox(Mailbox::bounded(100))
///     .timeout(Duration::from_secs(60));
/// let server = start::<Server>(rt.handle(), (), options)?;
/// assert!(server.is_alive());
/// # server.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// There is no actor: its `init` failed, panicked, chose not to make one or took too long, or the executor
/// takes no more tasks.
#[track_caller]
pub fn start<A: Actor>(
    executor: &impl Executor,
    args: A::Args,
    options: Options,
) -> Result<Addr<A>, StartError> {
    let timeout = options.timeout;
    let (starting, cell) = launch::<A>(engine(executor), None, args, options)?;
    starting.wait(timeout).map(|()| Addr::of(cell))
}

/// As [`start`], for the caller that awaits.
///
/// Dropping the future lets the actor start nevertheless.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start_async};
/// # struct Server;
/// # impl Actor for Server {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Server) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// weftwork_core::block_on(async {
///     let server = start_async::<Server>(rt.handle(), (), Options::new()).await?;
///     assert!(server.is_alive());
///     # server.kill();
///     Ok::<(), weftwork_actor::StartError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`start`]; the time limit of the options counts.
pub async fn start_async<A: Actor>(
    executor: &impl Executor,
    args: A::Args,
    options: Options,
) -> Result<Addr<A>, StartError> {
    let timeout = options.timeout;
    let (starting, cell) = launch::<A>(engine(executor), None, args, options)?;
    starting.wait_async(timeout).await.map(|()| Addr::of(cell))
}

/// Starts an actor for another one, whose handler calls this.
#[track_caller]
pub(crate) fn child<A: Actor>(
    parent: &CellRef,
    args: A::Args,
    options: Options,
) -> Result<Addr<A>, StartError> {
    let timeout = options.timeout;
    let engine = Arc::clone(&parent.engine);
    let (starting, cell) = launch::<A>(engine, Some(parent), args, options)?;
    let started = starting.wait(timeout);
    if started.is_err() {
        // No exit of it arrives.
        // SAFETY: a handler of the parent calls this, so we are the owner; no reference is held.
        unsafe { parent.owned() }.more().links.forget(cell.number);
    }
    started.map(|()| Addr::of(cell))
}

/// An actor that is about to run its `init`.
struct Starting {
    cell: CellRef,
    /// An actor that starts another one waits for it as for an answer: what that asks it is a circle.
    _waits: Option<Waits>,
}

fn launch<A: Actor>(
    engine: Arc<dyn Engine>,
    parent: Option<&CellRef>,
    args: A::Args,
    options: Options,
) -> Result<(Starting, CellRef), StartError> {
    panics::install();
    let mut own = Owned::new(parent.cloned());
    let linked = parent.filter(|_| options.is_linked);
    if let Some(parent) = linked {
        own.more().links.linked_by(parent.clone());
    } else {
        // Only a linked one ends with its parent.
        own.is_linked_child = false;
    }
    let mailbox = options.mailbox_parts();
    let name = options.name;
    let header = |vtable| Header::new(vtable, number::next(), mailbox, name, engine, own);
    let cell = Cell::<A>::make(header, args);
    // SAFETY: the only one for this cell.
    let runner = unsafe { Runner::new(cell.clone()) };
    // If a name is taken the runner is dropped, which ends what has not begun.
    options.registrations.register(&cell)?;
    if let Some(parent) = linked {
        // SAFETY: a handler of the parent calls this, so we are the owner; no reference is held.
        unsafe { parent.owned() }
            .more()
            .links
            .linked_by(cell.clone());
    }
    // Before it can ask. A new actor waits for nobody yet.
    let waits = Waits::for_answer_of(&cell).ok();
    let may_start = cell.hooks().is_none_or(|hooks| hooks.starts(&cell, parent));
    let Some(task) = may_start.then(|| cell.engine.run(runner)).flatten() else {
        if let Some(parent) = linked {
            // SAFETY: as above.
            unsafe { parent.owned() }.more().links.forget(cell.number);
        }
        return Err(StartError::Refused);
    };
    let can_run_here = options.timeout.is_none() && wait::may_wait();
    let raw = task.raw();
    cell.set_task(task);
    if can_run_here {
        host::with(|host| host.is_some_and(|host| host.run_if_next(raw)));
    }
    let starting = Starting {
        cell: cell.clone(),
        _waits: waits,
    };
    Ok((starting, cell))
}

impl Starting {
    #[track_caller]
    fn wait(self, timeout: Option<Duration>) -> Result<(), StartError> {
        let mut made = match Made::ask(&self.cell) {
            Ok(outcome) => {
                // The caller waits for nobody any more.
                drop(self);
                // That was a wait, too: others have their turns, and a cancellation ends it here.
                wait::checkpoint();
                return result(outcome);
            }
            Err(made) => made,
        };
        let clock = self.cell.clock();
        let deadline = timeout.and_then(|timeout| clock.deadline_after(timeout));
        match clock.receive(&mut made, deadline) {
            Ok(outcome) => result(outcome),
            Err(RecvTimeoutError::Timeout) => self.give_up(),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    async fn wait_async(self, timeout: Option<Duration>) -> Result<(), StartError> {
        let mut made = match Made::ask(&self.cell) {
            Ok(outcome) => return result(outcome),
            Err(made) => made,
        };
        match self.cell.clock().within(timeout, &mut made).await {
            Some(Ok(outcome)) => result(outcome),
            Some(Err(_)) => Err(self.ended()),
            None => self.give_up(),
        }
    }

    fn give_up(&self) -> Result<(), StartError> {
        self.cell.pid().kill();
        Err(StartError::Timeout)
    }

    fn ended(&self) -> StartError {
        StartError::Failed(self.cell.exit_reason().unwrap_or(Reason::Killed))
    }
}

fn result(outcome: Outcome) -> Result<(), StartError> {
    outcome.map_err(|error| match *error {
        InitError::Ignore => StartError::Ignored,
        InitError::Failed(reason) => StartError::Failed(reason),
    })
}

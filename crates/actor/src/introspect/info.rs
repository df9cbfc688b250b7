//! What an actor tells of itself.

use crate::cell::CellRef;
use crate::current;
use crate::owned::Owned;
use crate::pid::Pid;
use crate::signal::{Observer, Signal};
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;
use weftwork_csp::oneshot;

/// What is known of an actor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// Who.
    pub pid: Pid,
    /// Whether it has not ended.
    pub is_alive: bool,
    /// How many messages wait: see [`Pid::mailbox_len`].
    pub queue_len: usize,
    /// What it told itself; none if it did not answer in time.
    pub inside: Option<Inside>,
}

/// What an actor tells of itself, between two messages.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Inside {
    /// How many messages were handled.
    pub handled: u64,
    /// Who started it, if that was an actor.
    pub parent: Option<Pid>,
    /// Whom it is linked to, by number.
    pub links: Vec<Pid>,
    /// Whom it monitors, by number, once per monitor.
    pub monitors: Vec<Pid>,
    /// Which actors monitor it, by number, once per monitor.
    pub monitored_by: Vec<Pid>,
    /// Whether it traps exits.
    pub traps_exit: bool,
    /// Whether it is [suspended](super::suspend).
    pub is_suspended: bool,
    /// Whether an asynchronous handler awaits something.
    pub is_awaiting: bool,
    /// How many [probes](super::Probe) watch it.
    pub probes: usize,
}

impl Inside {
    pub(crate) fn of(own: &Owned) -> Inside {
        let sorted = |mut pids: Vec<Pid>| {
            pids.sort();
            pids
        };
        let more = own.more.as_deref();
        let observer = |observer: &Observer| match observer {
            Observer::Actor(cell) => Some(cell.pid()),
            Observer::Outside(_) | Observer::Hook(_) => None,
        };
        Inside {
            handled: own.handled,
            parent: own.parent.as_ref().map(CellRef::pid),
            links: sorted(more.map_or_else(Vec::new, |more| {
                more.links.peers().map(CellRef::pid).collect()
            })),
            monitors: sorted(more.map_or_else(Vec::new, |more| {
                more.monitors.targets().map(CellRef::pid).collect()
            })),
            monitored_by: sorted(own.observers().filter_map(observer).collect()),
            traps_exit: own.traps_exit,
            is_suspended: own.is_suspended(),
            is_awaiting: own.handling.is_some(),
            probes: more.map_or(0, |more| more.watches.len()),
        }
    }
}

/// Lets an actor answer a question about its own part. None: it has ended. `f` runs none of the user's code.
pub(crate) fn inspect<R: Send + 'static>(
    pid: &Pid,
    f: impl FnOnce(&mut Owned) -> R + Send + 'static,
) -> Option<oneshot::Receiver<R>> {
    let cell = pid.cell()?;
    let (sender, answer) = oneshot::channel();
    let look = move |own: &mut Owned| drop(sender.send(f(own)));
    cell.send(Signal::Inspect(Box::new(look))).then_some(answer)
}

/// Waits for an answer.
#[track_caller]
pub(crate) fn answer<R>(
    mut answer: oneshot::Receiver<R>,
    deadline: Option<Instant>,
) -> Result<R, oneshot::RecvTimeoutError> {
    match deadline {
        Some(deadline) => answer.recv_deadline(deadline),
        None => answer.recv_timeout(Duration::MAX),
    }
}

/// Asks an actor about itself, and waits for so long at most. The calling green thread or OS thread parks.
///
/// Of one that does not answer only what is seen from outside is told.
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
/// use weftwork_actor::introspect;
///
/// let echo = start::<Echo>(rt.handle(), (), Options::new())?;
/// echo.ask(1)?;
/// let info = introspect::info(&echo.pid(), Duration::from_secs(1));
/// assert!(info.is_alive);
/// let inside = info.inside.expect("it answers");
/// assert_eq!(inside.handled, 1);
/// assert!(inside.links.is_empty() && !inside.traps_exit);
/// # echo.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[track_caller]
pub fn info(pid: &Pid, timeout: Duration) -> Info {
    let deadline = deadline_after(timeout);
    let is_own = current::cell().is_some_and(|me| pid.cell() == Some(&me));
    let asked = if is_own {
        None
    } else {
        inspect(pid, |own| Inside::of(own))
    };
    let inside = asked.and_then(|asked| answer(asked, deadline).ok());
    Info {
        pid: pid.clone(),
        is_alive: pid.is_alive(),
        queue_len: pid.mailbox_len(),
        inside,
    }
}

//! Watching for an end from outside of actors.

use crate::answer::{self, Asker};
use crate::number;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::signal::{Observer, Signal};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::wait::TimedOut;

/// A monitor in the hand of a thread, a green thread or a future. Made by [`Pid::watch`].
///
/// It is a future, too: ready with the reason when the actor has ended. Dropping it calls the monitor off.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start};
/// # struct Quiet;
/// # impl Actor for Quiet {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Quiet) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::Reason;
///
/// let quiet = start::<Quiet>(rt.handle(), (), Options::new())?;
/// let (waits, awaits) = (quiet.pid().watch(), quiet.pid().watch());
/// quiet.stop(Reason::Shutdown);
/// assert_eq!(waits.wait_down(), Reason::Shutdown);
/// assert_eq!(weftwork_core::block_on(awaits), Reason::Shutdown);
///
/// // It has ended already.
/// assert_eq!(quiet.pid().watch().wait_down(), Reason::NoProc);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a watch that is dropped is called off"]
pub struct Watcher {
    pid: Pid,
    reference: u64,
    end: Asker<Reason>,
    reason: Option<Reason>,
    /// The monitor is no more: the end was told.
    is_over: bool,
}

impl Watcher {
    pub(crate) fn new(pid: &Pid) -> Self {
        let (giver, end) = answer::place();
        let reference = number::next();
        let is_there = pid.cell().is_some_and(|cell| {
            cell.send(Signal::Monitor {
                reference,
                watcher: Observer::Outside(giver),
            })
        });
        Watcher {
            pid: pid.clone(),
            reference,
            end,
            reason: (!is_there).then_some(Reason::NoProc),
            is_over: !is_there,
        }
    }

    /// Whom it watches.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// Waits until the actor has ended, and says why; [`Reason::NoProc`] if it had before the watch began.
    #[track_caller]
    pub fn wait_down(mut self) -> Reason {
        match self.reason.take() {
            Some(reason) => reason,
            None => self.receive(None).unwrap_or(Reason::Killed),
        }
    }

    /// As [`wait_down`](Self::wait_down), for so long at most. It may be called again.
    ///
    /// # Errors
    /// The time was over first.
    #[track_caller]
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Reason, TimedOut> {
        if let Some(reason) = &self.reason {
            return Ok(reason.clone());
        }
        let reason = self.receive(self.pid.clock().deadline_after(timeout))?;
        self.reason = Some(reason.clone());
        Ok(reason)
    }

    #[track_caller]
    fn receive(&mut self, deadline: Option<Instant>) -> Result<Reason, TimedOut> {
        let told = self.end.wait_by(self.pid.clock(), deadline)?;
        self.is_over = true;
        // None: its cell was dropped without an end, there is no such actor.
        Ok(told.unwrap_or_else(|| self.ended()))
    }

    fn ended(&self) -> Reason {
        self.pid.exit_reason().unwrap_or(Reason::NoProc)
    }
}

impl Future for Watcher {
    type Output = Reason;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reason> {
        if let Some(reason) = &self.reason {
            return Poll::Ready(reason.clone());
        }
        let polled = self.end.poll(context);
        polled.map(|got| {
            self.is_over = true;
            let reason = got.unwrap_or_else(|| self.ended());
            self.reason = Some(reason.clone());
            reason
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if !self.is_over
            && let Some(cell) = self.pid.cell()
        {
            let reference = self.reference;
            cell.send(Signal::Demonitor { reference });
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

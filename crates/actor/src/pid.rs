//! Who an actor is, whatever its type.

use crate::cell::CellRef;
use crate::current;
use crate::reason::Reason;
use crate::signal::{Cause, Signal};
use crate::watcher::Watcher;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Names one incarnation of an actor, for links, monitors and exit signals. Never used again for another.
///
/// It is as large as a pointer and keeps the memory of the actor, not the actor: that one ends when it is
/// stopped, not when it is forgotten.
///
/// Displayed as a number in angle brackets, `<0.42>`. Code that runs outside of any actor is `<0.0>`.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start};
/// # struct Quiet;
/// # impl Actor for Quiet {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Quiet) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::{Pid, Reason};
///
/// let quiet = start::<Quiet>(rt.handle(), (), Options::new().name("quiet"))?;
/// let pid = quiet.pid();
/// assert_eq!(pid.name(), Some("quiet"));
/// assert_eq!(pid.downcast::<Quiet>(), Some(quiet));
///
/// let end = pid.watch();
/// pid.exit(Reason::other("no more use"));
/// assert_eq!(end.wait_down(), Reason::other("no more use"));
/// assert!(!pid.is_alive());
/// assert_eq!(pid.exit_reason(), Some(Reason::other("no more use")));
///
/// // This code is no actor.
/// assert_eq!(Pid::current(), Pid::outside());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pid(Option<CellRef>);

impl Pid {
    pub(crate) fn of(cell: CellRef) -> Self {
        Pid(Some(cell))
    }

    /// Who code outside of any actor is: the sender of exit signals that no actor sent.
    #[must_use]
    pub const fn outside() -> Self {
        Pid(None)
    }

    /// The actor whose handler runs on the calling thread or green thread; `outside` without one.
    #[must_use]
    pub fn current() -> Self {
        Pid(current::cell())
    }

    pub(crate) fn cell(&self) -> Option<&CellRef> {
        self.0.as_ref()
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |cell| cell.number)
    }

    /// The name that the actor was started with.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref()?.name.as_deref()
    }

    /// The name of the actor's type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.0
            .as_ref()
            .map_or("outside", |cell| (cell.vtable.type_name)())
    }

    /// The address of the actor, if it is an `A`.
    #[must_use]
    pub fn downcast<A: crate::Actor>(&self) -> Option<crate::Addr<A>> {
        let cell = self.0.as_ref()?;
        let is_one = (cell.vtable.type_id)() == std::any::TypeId::of::<A>();
        is_one.then(|| crate::Addr::of(cell.clone()))
    }

    /// Whether the actor has not ended. It may be about to.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.as_ref().is_some_and(|cell| cell.is_alive())
    }

    /// Why the actor ended, if it has.
    #[must_use]
    pub fn exit_reason(&self) -> Option<Reason> {
        self.0.as_ref()?.exit_reason()
    }

    /// How many messages wait in its mailbox. A few that the actor has taken up may be counted still: it
    /// takes them off the count in batches, of a sixty-fourth of the capacity and 32 at most.
    #[must_use]
    pub fn mailbox_len(&self) -> usize {
        self.0.as_ref().map_or(0, |cell| cell.mailbox_len())
    }

    /// How many bytes wait in its mailbox, if that is [bounded by bytes](crate::Mailbox::bytes); zero elsewhere.
    #[must_use]
    pub fn mailbox_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |cell| cell.room.weight())
    }

    /// Sends an exit signal, as OTP's `exit/2`. Does not wait. Nothing happens if the actor has ended.
    ///
    /// An actor that does not trap exits ends with `reason`, except that `Normal` from another is ignored.
    /// One that traps them is told by [`on_exit`](crate::Actor::on_exit). [`Reason::Kill`] cannot be
    /// trapped: the actor ends as `Killed`; if its handler waits just now, and a scheduler can interrupt
    /// the wait, it unwinds from there.
    ///
    /// The sender is the actor whose handler calls this, or [`outside`](Self::outside).
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
    /// let pid = start::<Quiet>(rt.handle(), (), Options::new())?.pid();
    /// let end = pid.watch();
    /// // Ignored: it comes from another.
    /// pid.exit(Reason::Normal);
    /// pid.exit(Reason::Shutdown);
    /// assert_eq!(end.wait_down(), Reason::Shutdown);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exit(&self, reason: Reason) {
        self.exit_from(Pid::current(), reason);
    }

    pub(crate) fn exit_from(&self, from: Pid, reason: Reason) {
        let Some(cell) = &self.0 else { return };
        let is_kill = matches!(reason, Reason::Kill);
        let cause = Cause::Sent;
        let is_there = cell.send(Signal::Exit {
            from,
            reason,
            cause,
        });
        if is_there && is_kill {
            // If it waits in a handler, it leaves from there.
            cell.interrupt();
        }
    }

    /// Sends the exit signal that cannot be trapped.
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
    /// let pid = start::<Quiet>(rt.handle(), (), Options::new())?.pid();
    /// let end = pid.watch();
    /// pid.kill();
    /// assert_eq!(end.wait_down(), Reason::Killed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill(&self) {
        self.exit(Reason::Kill);
    }

    /// Asks the actor to stop with `reason`, as OTP's `sys:terminate`: behind the messages that the caller
    /// has sent before, and with [`terminate`](crate::Actor::terminate). Does not wait.
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
    /// use weftwork_actor::Reason;
    ///
    /// let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// let end = echo.pid().watch();
    /// echo.tell(1)?;
    /// // The message is handled before.
    /// echo.pid().stop(Reason::Normal);
    /// assert_eq!(end.wait_down(), Reason::Normal);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&self, reason: Reason) {
        if let Some(cell) = &self.0 {
            cell.send(Signal::Stop { reason });
        }
    }

    /// Watches for the end of the actor, from any thread or task.
    ///
    /// Of one that has ended the reason is [`Reason::NoProc`], as of a monitor in OTP: a watch that begins
    /// too late does not tell why. [`exit_reason`](Self::exit_reason) does.
    ///
    /// ```
    /// use weftwork_actor::{Pid, Reason};
    ///
    /// assert_eq!(Pid::outside().watch().wait_down(), Reason::NoProc);
    /// ```
    pub fn watch(&self) -> Watcher {
        Watcher::new(self)
    }
}

impl PartialEq for Pid {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Pid {}

impl Hash for Pid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number().hash(state);
    }
}

impl PartialOrd for Pid {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pid {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number().cmp(&other.number())
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<0.{}>", self.number())
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self.name() {
            Some(name) => write!(f, "({name})"),
            None => Ok(()),
        }
    }
}

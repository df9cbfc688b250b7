//! Following a group.

use super::scope::Table;
use crate::feed::{Feed, Sink};
use crate::pid::Pid;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use weftwork_csp::{Receiver, RecvError, RecvTimeoutError, TryRecvError};

/// Somebody has joined a group or left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which group.
    pub group: Arc<str>,
    /// Who.
    pub pid: Pid,
    /// What.
    pub change: Change,
}

/// What has happened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// A member joined, once.
    Join,
    /// A member left once, or ended: then there is one event for each time that it was in.
    Leave,
}

impl Event {
    /// Says that `pid` joined.
    #[must_use]
    pub fn joined(group: impl Into<Arc<str>>, pid: &Pid) -> Self {
        Event {
            group: group.into(),
            pid: pid.clone(),
            change: Change::Join,
        }
    }

    /// Says that `pid` left.
    #[must_use]
    pub fn left(group: impl Into<Arc<str>>, pid: &Pid) -> Self {
        Event {
            group: group.into(),
            pid: pid.clone(),
            change: Change::Leave,
        }
    }
}

/// Which groups a monitor follows.
#[derive(Debug, Clone)]
pub(crate) enum Follows {
    One(Arc<str>),
    All,
}

/// One that follows.
pub(crate) struct Follower {
    pub(crate) number: u64,
    pub(crate) follows: Follows,
    pub(crate) feed: Feed<Event>,
}

/// The events of a group, or of all groups of a scope: made by [`Scope::monitor`](super::Scope::monitor).
///
/// Events wait here without bound. Dropping it ends the monitoring.
///
/// ```
/// # use weftwork_actor::{Actor, Context, InitError, Options, start};
/// # struct Guest;
/// # impl Actor for Guest {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Guest) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::groups::{Change, Scope};
///
/// let scope = Scope::new();
/// let (monitor, members) = scope.monitor("lobby");
/// assert!(members.is_empty() && monitor.try_recv().is_err());
///
/// let guest = start::<Guest>(rt.handle(), (), Options::new())?.pid();
/// scope.join("lobby", &guest)?;
/// scope.leave("lobby", &guest)?;
/// assert_eq!(monitor.recv()?.change, Change::Join);
/// assert_eq!(weftwork_core::block_on(monitor.recv_async())?.change, Change::Leave);
/// # guest.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GroupMonitor {
    pub(crate) events: Receiver<Event>,
    pub(crate) table: Weak<Table>,
    pub(crate) number: u64,
}

impl GroupMonitor {
    /// Takes the next event. Waits for it; the calling green thread or OS thread parks.
    ///
    /// # Errors
    /// The scope was dropped, and all events were taken.
    #[track_caller]
    pub fn recv(&self) -> Result<Event, RecvError> {
        self.events.recv()
    }

    /// As [`recv`](Self::recv), waiting for so long at most.
    ///
    /// # Errors
    /// As `recv`, or the time was over first.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event, RecvTimeoutError> {
        self.events.recv_timeout(timeout)
    }

    /// As [`recv`](Self::recv), for the caller that awaits. Dropping the future loses no event.
    ///
    /// # Errors
    /// As `recv`.
    pub async fn recv_async(&self) -> Result<Event, RecvError> {
        self.events.recv_async().await
    }

    /// Takes the next event if there is one.
    ///
    /// # Errors
    /// There is none now, or there will be none.
    pub fn try_recv(&self) -> Result<Event, TryRecvError> {
        self.events.try_recv()
    }
}

impl Drop for GroupMonitor {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            table.unfollow(self.number);
        }
    }
}

impl fmt::Debug for GroupMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupMonitor").finish_non_exhaustive()
    }
}

impl Follower {
    pub(crate) fn new(number: u64, follows: Follows, sink: Sink<Event>) -> Arc<Self> {
        Arc::new(Follower {
            number,
            follows,
            feed: Feed::new(sink),
        })
    }
}

//! What a supervisor and its children are told about restarts and stops: plain values.

use super::backoff::Backoff;
use std::time::Duration;

/// Whom a supervisor restarts when a child ends that is to be restarted.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::supervisor::{ChildSpec, Report, Strategy, SupervisorSpec};
/// # use weftwork_actor::{Actor, Context, InitError, Options};
/// # struct Part;
/// # impl Actor for Part {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Part) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
///
/// let (sender, started) = weftwork_csp::unbounded();
/// let part = |id| ChildSpec::new(id, |ctx| ctx.start::<Part>((), Options::new()));
/// let app = SupervisorSpec::new()
///     .strategy(Strategy::RestForOne)
///     .intensity(3, Duration::from_secs(5))
///     .on_report(move |_, report| {
///         if let Report::Started { id: Some(id), .. } = report {
///             sender.send(id.to_string()).unwrap();
///         }
///     })
///     .child(part("a"))
///     .child(part("b"))
///     .child(part("c"))
///     .start(rt.handle())?;
/// app.find_child("b")?.expect("it runs").kill();
/// let order: Vec<_> = started.iter().take(5).collect();
/// assert_eq!(order, ["a", "b", "c", "b", "c"]);
/// app.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// The child alone.
    #[default]
    OneForOne,
    /// All children: the others are stopped in reverse order, then all are started in order.
    OneForAll,
    /// The child and those that were started after it: these are stopped in reverse order, then it and
    /// they are started in order.
    RestForOne,
    /// The child alone, of many that are alike and come and go (OTP's `simple_one_for_one`). Children have
    /// no ids, are stopped all at once, and their places are forgotten when they end.
    Dynamic,
}

/// When a child that has ended is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// Always, even if it ended in good order.
    #[default]
    Permanent,
    /// If it did not end in good order: see [`Reason::is_normal`](crate::Reason::is_normal). Otherwise its
    /// place stays, empty.
    Transient,
    /// Never. Its place is forgotten with it.
    Temporary,
}

/// How a supervisor stops a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// By a kill.
    BrutalKill,
    /// By the exit signal [`Shutdown`](crate::Reason::Shutdown); by a kill if it has not ended after so long.
    Timeout(Duration),
    /// By the exit signal `Shutdown`, and with all the time that it takes. For supervisors.
    Infinity,
}

impl Default for Shutdown {
    /// Five seconds.
    fn default() -> Self {
        Shutdown::Timeout(Duration::from_secs(5))
    }
}

/// What a child is: for lists and counts, and for the default of [`Shutdown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// An actor that does the work.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}

/// Whether a supervisor stops when children that are [significant](Rules::significant) have ended by
/// themselves.
///
/// A transient child ends by itself if it does so in good order, a temporary one in any case. One that is
/// stopped by its supervisor or through it does not count.
///
/// ```
/// # use weftwork_actor::supervisor::{ChildSpec, Restart, SupervisorSpec};
/// # use weftwork_actor::{Actor, Context, InitError, Options};
/// # struct Db;
/// # impl Actor for Db {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Db) }
/// # }
/// # let db = || ChildSpec::new("db", |ctx| ctx.start::<Db>((), Options::new()));
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::Reason;
/// use weftwork_actor::supervisor::AutoShutdown;
///
/// let app = SupervisorSpec::new()
///     .auto_shutdown(AutoShutdown::AnySignificant)
///     .child(db().restart(Restart::Transient).significant())
///     .start(rt.handle())?;
/// let end = app.pid().watch();
/// app.find_child("db")?.expect("it runs").stop(Reason::Normal);
/// assert_eq!(end.wait_down(), Reason::Shutdown);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When one has.
    AnySignificant,
    /// When one has, and no other is left.
    AllSignificant,
}

/// How many restarts of one child are allowed in a time, besides what the supervisor allows.
///
/// ```
/// # use weftwork_actor::supervisor::{ChildSpec, SupervisorSpec};
/// # use weftwork_actor::{Actor, Context, InitError, Options};
/// # struct Db;
/// # impl Actor for Db {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Db) }
/// # }
/// # let db = || ChildSpec::new("db", |ctx| ctx.start::<Db>((), Options::new()));
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use std::time::Duration;
/// use weftwork_actor::supervisor::{ChildState, Limit, Report};
///
/// let (sender, reports) = weftwork_csp::unbounded();
/// let app = SupervisorSpec::new()
///     .intensity(100, Duration::from_secs(1))
///     .on_report(move |_, report| sender.send(report.clone()).unwrap())
///     .child(db().limit(Limit::new(0, Duration::from_secs(1)).or_leave()))
///     .start(rt.handle())?;
/// app.find_child("db")?.expect("it runs").kill();
/// // It is given up, and the supervisor goes on.
/// assert!(reports.iter().any(|report| matches!(report, Report::LimitReached { .. })));
/// assert_eq!(app.which_children()?[0].state, ChildState::Ended);
/// app.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub(crate) restarts: u32,
    pub(crate) period: Duration,
    pub(crate) escalates: bool,
}

impl Limit {
    /// Allows `restarts` in any `period`. With one more the supervisor gives up, as it does for its own
    /// limit.
    #[must_use]
    pub fn new(restarts: u32, period: Duration) -> Self {
        Limit {
            restarts,
            period,
            escalates: true,
        }
    }

    /// With one more the child is given up instead: it is not restarted, the others go on.
    #[must_use]
    pub fn or_leave(mut self) -> Self {
        self.escalates = false;
        self
    }
}

/// When and how a child is restarted and stopped.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::supervisor::{Restart, Rules, Shutdown};
///
/// let sessions = Rules::new()
///     .restart(Restart::Temporary)
///     .shutdown(Shutdown::Timeout(Duration::from_millis(500)));
/// # let _ = sessions;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) kind: Kind,
    pub(crate) significant: bool,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) limit: Option<Limit>,
}

impl Rules {
    /// OTP's: permanent, a worker, five seconds to stop, not significant.
    #[must_use]
    pub fn new() -> Self {
        Rules {
            restart: Restart::default(),
            shutdown: None,
            kind: Kind::default(),
            significant: false,
            backoff: None,
            limit: None,
        }
    }

    /// Says when it is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Says how it is stopped. Without, a worker has five seconds, and a supervisor all the time.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Says what it is.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Lets its end count for [`AutoShutdown`].
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// Waits before each restart, longer from one to the next.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Limits the restarts of this child.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(crate) fn how(&self) -> Shutdown {
        self.shutdown.unwrap_or(match self.kind {
            Kind::Worker => Shutdown::default(),
            Kind::Supervisor => Shutdown::Infinity,
        })
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules::new()
    }
}

/// What holds for the supervisor as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: u32,
    pub(crate) period: Duration,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) max_children: usize,
}

impl Default for Flags {
    fn default() -> Self {
        Flags {
            strategy: Strategy::default(),
            intensity: 1,
            period: Duration::from_secs(5),
            auto_shutdown: AutoShutdown::default(),
            max_children: usize::MAX,
        }
    }
}

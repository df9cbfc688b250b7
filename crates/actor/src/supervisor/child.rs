//! A child as it is described to a supervisor.

use super::backoff::Backoff;
use super::id::ChildId;
use super::rules::{Kind, Limit, Restart, Rules, Shutdown};
use super::spec::SupervisorSpec;
use super::starting::{StartContext, Started};
use crate::error::StartError;
use crate::pid::Pid;
use crate::reason::Reason;
use std::fmt;

type Made = Result<Pid, StartError>;

/// Makes an incarnation.
pub(crate) enum ChildStart {
    Again(Box<dyn FnMut(&mut StartContext<'_>) -> Made + Send>),
    Once(Option<FirstAndLast>),
}

type FirstAndLast = Box<dyn FnOnce(&mut StartContext<'_>) -> Made + Send>;

impl ChildStart {
    pub(crate) fn call(&mut self, ctx: &mut StartContext<'_>) -> Made {
        match self {
            ChildStart::Again(start) => start(ctx),
            ChildStart::Once(start) => match start.take() {
                Some(start) => start(ctx),
                None => Err(StartError::Failed(Reason::other("child starts only once"))),
            },
        }
    }
}

/// A child of a supervisor: how an incarnation is made, and when it is restarted and how stopped.
///
/// ```
/// use weftwork_actor::supervisor::{ChildSpec, Restart};
/// use weftwork_actor::{Actor, Context, InitError, Options};
///
/// struct Logger;
///
/// impl Actor for Logger {
///     type Args = &'static str;
///     fn init(_: &'static str, _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Logger)
///     }
/// }
///
/// let logger = ChildSpec::new("logger", |ctx| ctx.start::<Logger>("log.txt", Options::new()))
///     .restart(Restart::Transient);
/// # let _ = logger;
/// ```
pub struct ChildSpec {
    pub(crate) id: Option<ChildId>,
    pub(crate) rules: Rules,
    pub(crate) start: ChildStart,
}

impl ChildSpec {
    /// Describes a child: permanent, a worker, five seconds to stop.
    ///
    /// `start` is called for each incarnation, in the supervisor, and returns when the actor's `init` has.
    /// It starts the actor through its argument: that makes the supervisor the parent, whose orders to stop
    /// an actor obeys that traps exits. A panic in it is a failed start. An actor that was started otherwise
    /// is linked to the supervisor, and only that.
    pub fn new<T: Started>(
        id: impl Into<ChildId>,
        mut start: impl FnMut(&mut StartContext<'_>) -> Result<T, StartError> + Send + 'static,
    ) -> Self {
        ChildSpec {
            id: Some(id.into()),
            rules: Rules::new(),
            start: ChildStart::Again(Box::new(move |ctx| start(ctx).map(|child| child.pid()))),
        }
    }

    /// Describes a child that is started once, from what `start` takes along: a socket, say. It is
    /// temporary, and stays so.
    ///
    /// ```
    /// # use weftwork_actor::supervisor::{ChildSpec, SupervisorSpec};
    /// # use weftwork_actor::{Actor, Context, InitError, Options};
    /// # struct Db;
    /// # impl Actor for Db {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Db) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, socket) = weftwork_csp::bounded::<u32>(1);
    /// let session = ChildSpec::once("session", move |ctx| {
    ///     drop(socket);
    ///     ctx.start::<Db>((), Options::new())
    /// });
    /// let app = SupervisorSpec::new().child(session).start(rt.handle())?;
    /// assert!(sender.send(1).is_err());
    /// app.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn once<T: Started>(
        id: impl Into<ChildId>,
        start: impl FnOnce(&mut StartContext<'_>) -> Result<T, StartError> + Send + 'static,
    ) -> Self {
        let mut spec = ChildSpec::dynamic_once(start);
        spec.id = Some(id.into());
        spec
    }

    /// Describes a child of a [dynamic](SupervisorSpec::dynamic) supervisor, which has the rules.
    pub fn dynamic<T: Started>(
        start: impl FnMut(&mut StartContext<'_>) -> Result<T, StartError> + Send + 'static,
    ) -> Self {
        let mut spec = ChildSpec::new("", start);
        spec.id = None;
        spec
    }

    /// Describes a child of a dynamic supervisor that is started once: it is never restarted, whatever the
    /// supervisor's rules are.
    pub fn dynamic_once<T: Started>(
        start: impl FnOnce(&mut StartContext<'_>) -> Result<T, StartError> + Send + 'static,
    ) -> Self {
        let start = Box::new(move |ctx: &mut StartContext<'_>| start(ctx).map(|child| child.pid()));
        ChildSpec {
            id: None,
            rules: Rules::new().restart(Restart::Temporary),
            start: ChildStart::Once(Some(start)),
        }
    }

    /// Describes a supervisor, which `spec` describes anew for each incarnation. It has all the time that it
    /// takes to stop.
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
    /// let app = SupervisorSpec::new()
    ///     .child(ChildSpec::supervisor("storage", move || SupervisorSpec::new().child(db())))
    ///     .start(rt.handle())?;
    /// assert_eq!(app.count_children()?.supervisors, 1);
    /// app.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn supervisor(
        id: impl Into<ChildId>,
        mut spec: impl FnMut() -> SupervisorSpec + Send + 'static,
    ) -> Self {
        ChildSpec::new(id, move |ctx| ctx.supervise(spec())).kind(Kind::Supervisor)
    }

    /// Sets when and how it is restarted and stopped, all at once.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self.keep_once()
    }

    /// Says when it is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self.keep_once()
    }

    fn keep_once(mut self) -> Self {
        if matches!(self.start, ChildStart::Once(_)) {
            self.rules.restart = Restart::Temporary;
        }
        self
    }

    /// Says how it is stopped.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.rules.shutdown = Some(shutdown);
        self
    }

    /// Says what it is.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.rules.kind = kind;
        self
    }

    /// Lets its end count for [`AutoShutdown`](super::AutoShutdown).
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.rules.significant = true;
        self
    }

    /// Waits before each restart.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = Some(backoff);
        self
    }

    /// Limits the restarts of this child.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.rules.limit = Some(limit);
        self
    }

    /// The id; children of a dynamic supervisor have none.
    #[must_use]
    pub fn id(&self) -> Option<&ChildId> {
        self.id.as_ref()
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

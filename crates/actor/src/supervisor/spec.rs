//! A supervisor as it is described.

use super::check::{self, SpecError};
use super::child::ChildSpec;
use super::handle::SupervisorRef;
use super::id::ChildId;
use super::keeper::Keeper;
use super::report::Report;
use super::rules::{AutoShutdown, Flags, Rules, Strategy};
use crate::error::StartError;
use crate::executor::Executor;
use crate::options::Options;
use crate::pid::Pid;
use crate::start;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) type Reporter = Arc<dyn Fn(&Pid, &Report) + Send + Sync>;
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// A supervisor: its children, in the order in which they are started, and what holds for all of them.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::supervisor::{ChildSpec, Strategy, SupervisorSpec};
/// use weftwork_actor::{Actor, Context, InitError, Options};
///
/// struct Db;
///
/// impl Actor for Db {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Db)
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// let app = SupervisorSpec::new()
///     .strategy(Strategy::RestForOne)
///     .intensity(3, Duration::from_secs(5))
///     .child(ChildSpec::new("db", |ctx| ctx.start::<Db>((), Options::new())))
///     .start(rt.handle())?;
/// assert_eq!(app.count_children().unwrap().active, 1);
/// app.shutdown();
/// # Ok::<(), weftwork_actor::StartError>(())
/// ```
pub struct SupervisorSpec {
    pub(crate) flags: Flags,
    pub(crate) children: Vec<ChildSpec>,
    /// The rules of the children of a dynamic supervisor.
    pub(crate) template: Option<Rules>,
    pub(crate) stop_deadline: Option<Duration>,
    pub(crate) reporter: Option<Reporter>,
    pub(crate) clock: Option<Clock>,
    options: Options,
}

impl SupervisorSpec {
    /// OTP's defaults: one for one, one restart in five seconds, no children.
    #[must_use]
    pub fn new() -> Self {
        SupervisorSpec {
            flags: Flags::default(),
            children: Vec::new(),
            template: None,
            stop_deadline: None,
            reporter: None,
            clock: None,
            options: Options::new(),
        }
    }

    /// A supervisor whose children come and go, all with these rules: see [`Strategy::Dynamic`]. They are
    /// added by [`start_child`](SupervisorRef::start_child).
    ///
    /// ```
    /// # use weftwork_actor::supervisor::{ChildSpec, Restart, Rules, SupervisorSpec};
    /// # use weftwork_actor::{Actor, Context, InitError, Options};
    /// # struct Db;
    /// # impl Actor for Db {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Db) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::Reason;
    ///
    /// let rules = Rules::new().restart(Restart::Temporary);
    /// let sessions = SupervisorSpec::dynamic(rules).max_children(2).start(rt.handle())?;
    /// let session = || ChildSpec::dynamic(|ctx| ctx.start::<Db>((), Options::new()));
    /// let first = sessions.start_child(session())?.expect("it chose to start");
    /// sessions.start_child(session())?;
    /// assert!(sessions.start_child(session()).is_err(), "there are as many as there may be");
    ///
    /// let end = first.watch();
    /// first.stop(Reason::Normal);
    /// end.wait_down();
    /// sessions.terminate_pid(&first)?;
    /// sessions.start_child(session())?;
    /// sessions.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dynamic(rules: Rules) -> Self {
        let mut spec = SupervisorSpec::new();
        spec.flags.strategy = Strategy::Dynamic;
        spec.template = Some(rules);
        spec
    }

    /// Sets whom it restarts.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.flags.strategy = strategy;
        self
    }

    /// Allows so many restarts, of all children together, in any `period`. With one more the supervisor
    /// stops its children and ends with [`Shutdown`](crate::Reason::Shutdown), for its own supervisor to
    /// deal with.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.flags.intensity = restarts;
        self.flags.period = period;
        self
    }

    /// Sets whether it stops when significant children have ended.
    #[must_use]
    pub fn auto_shutdown(mut self, when: AutoShutdown) -> Self {
        self.flags.auto_shutdown = when;
        self
    }

    /// Limits how many children it has, running or not.
    #[must_use]
    pub fn max_children(mut self, max: usize) -> Self {
        self.flags.max_children = max;
        self
    }

    /// Gives it so long to stop all its children. Then it [reports](Report::StopOverdue) whom it waits for,
    /// and kills whoever has not ended.
    #[must_use]
    pub fn stop_deadline(mut self, limit: Duration) -> Self {
        self.stop_deadline = Some(limit);
        self
    }

    /// Calls `report`, in the supervisor, with its pid and what it has to tell, instead of the hook of
    /// [`reports`](crate::reports). It must not wait for the supervisor. Supervisors below report for
    /// themselves.
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
    /// let (sender, reports) = weftwork_csp::unbounded();
    /// let app = SupervisorSpec::new()
    ///     .on_report(move |_, report| sender.send(report.to_string()).unwrap())
    ///     .child(db())
    ///     .start(rt.handle())?;
    /// assert!(reports.recv()?.starts_with("child db started as "));
    /// app.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_report(mut self, report: impl Fn(&Pid, &Report) + Send + Sync + 'static) -> Self {
        self.reporter = Some(Arc::new(report));
        self
    }

    /// Takes the time of restarts and runs from `clock` instead of the system. Timers go by that of the
    /// executor.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Names it, for reports. Without, it has the id that it has as a child, if it has one.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.options = self.options.name(name);
        self
    }

    /// Starts the supervisor itself with these options: a registered name, a time limit for the start of
    /// all its children. They take the place of a [`name`](Self::name) that was set before.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Adds a child, to be started after those that were added before.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Finds out whether it is possible.
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
    /// use std::time::Duration;
    ///
    /// assert!(SupervisorSpec::new().child(db()).check().is_ok());
    /// // Two of one id; a period in which nothing can happen.
    /// assert!(SupervisorSpec::new().child(db()).child(db()).check().is_err());
    /// assert!(SupervisorSpec::new().intensity(1, Duration::ZERO).check().is_err());
    /// ```
    ///
    /// # Errors
    /// It is not; starting it would fail with this error as its reason.
    pub fn check(&self) -> Result<(), SpecError> {
        if let (Strategy::Dynamic, Some(rules)) = (self.flags.strategy, &self.template) {
            check::child(&self.flags, None, rules)?;
        }
        let children = (self.children.iter()).map(|child| (child.id.as_ref(), &child.rules));
        check::all(&self.flags, children)
    }

    /// Starts it and its children, one after the other, and waits until all are there.
    ///
    /// # Errors
    /// It is [impossible](Self::check), or a child did not start; those before it are stopped again, the
    /// last one first, and the reason is a `ShutdownWith` that names the child.
    #[track_caller]
    pub fn start(self, executor: &impl Executor) -> Result<SupervisorRef, StartError> {
        let options = self.start_options(None);
        start::start::<Keeper>(executor, self, options).map(SupervisorRef::of)
    }

    /// As [`start`](Self::start), for the caller that awaits. Dropping the future lets it start
    /// nevertheless.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_async(self, executor: &impl Executor) -> Result<SupervisorRef, StartError> {
        let options = self.start_options(None);
        let started = start::start_async::<Keeper>(executor, self, options).await;
        started.map(SupervisorRef::of)
    }

    /// The options that it is started with, as the child of this id.
    pub(crate) fn start_options(&self, id: Option<&ChildId>) -> Options {
        let options = self.options.clone();
        match id {
            Some(id) if options.name.is_none() => options.name(id.as_str()),
            _ => options,
        }
    }
}

impl Default for SupervisorSpec {
    fn default() -> Self {
        SupervisorSpec::new()
    }
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("flags", &self.flags)
            .field("children", &self.children)
            .field("template", &self.template)
            .field("stop_deadline", &self.stop_deadline)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

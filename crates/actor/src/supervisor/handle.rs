//! The address of a supervisor, and what can be asked of it.

use super::admin::{AdminError, ChildInfo, Counts, Refusal};
use super::check::SpecError;
use super::child::ChildSpec;
use super::id::ChildId;
use super::keeper::{Add, Count, Delete, Find, Keeper, List, StartAgain, Terminate, TerminatePid};
use crate::accept::Accepts;
use crate::addr::Addr;
use crate::error::AskError;
use crate::pid::Pid;
use crate::reason::Reason;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The address of a supervisor: the calls that OTP's `supervisor` has.
///
/// The calls wait for the supervisor without a limit: one that stops a child, or waits for the `init` of
/// one, serves them afterwards.
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
/// use weftwork_actor::supervisor::{AdminError, ChildState};
///
/// // `db()` describes a child, "db".
/// let app = SupervisorSpec::new().child(db()).start(rt.handle())?;
/// let running = app.find_child("db")?.expect("it runs");
/// assert_eq!(app.which_children()?[0].state, ChildState::Running(running));
///
/// app.terminate_child("db")?;
/// assert_eq!(app.find_child("db")?, None);
/// app.restart_child("db")?;
/// assert_eq!(app.delete_child("db"), Err(AdminError::Running));
/// app.terminate_child("db")?;
/// app.delete_child("db")?;
/// assert_eq!(app.terminate_child("db"), Err(AdminError::NotFound));
/// assert_eq!(app.count_children()?.specs, 0);
/// app.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SupervisorRef(Addr<Keeper>);

impl SupervisorRef {
    pub(crate) fn of(addr: Addr<Keeper>) -> Self {
        SupervisorRef(addr)
    }

    /// Who it is.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.0.pid()
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Asks it to stop with `reason`: it stops its children, the last one first, and ends. Does not wait.
    ///
    /// A supervisor that is itself a permanent child comes back.
    pub fn stop(&self, reason: Reason) {
        self.0.stop(reason);
    }

    /// Stops it with [`Reason::Shutdown`], and waits until it has ended and all its children have. Returns
    /// the reason with which it ended.
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
    /// use weftwork_actor::Reason;
    ///
    /// let app = SupervisorSpec::new().child(db()).start(rt.handle())?;
    /// let child = app.find_child("db")?.expect("it runs");
    /// assert_eq!(app.shutdown(), Reason::Shutdown);
    /// assert!(!child.is_alive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn shutdown(&self) -> Reason {
        let end = self.pid().watch();
        self.stop(Reason::Shutdown);
        end.wait_down()
    }

    #[track_caller]
    fn call<M, K, R>(&self, message: M) -> Result<R, AdminError>
    where
        Keeper: Accepts<M, K, Reply = R>,
        M: Send + 'static,
        K: 'static,
    {
        (self.0.ask_timeout(message, Duration::MAX)).map_err(|error| self.failed(error))
    }

    fn failed<M>(&self, error: AskError<M>) -> AdminError {
        match error {
            AskError::Cycle(..) => AdminError::Cycle,
            AskError::Died(reason) => AdminError::Down(reason),
            _ => AdminError::Down(self.pid().exit_reason().unwrap_or(Reason::NoProc)),
        }
    }

    /// Adds a child and starts it, after those that are there. Waits until its `init` has returned; `None`
    /// says that it chose not to start.
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
    /// use weftwork_actor::supervisor::AddChildErrorKind;
    ///
    /// let app = SupervisorSpec::new().start(rt.handle())?;
    /// let pid = app.start_child(db())?.expect("it chose to start");
    /// let refused = app.start_child(db()).unwrap_err();
    /// assert_eq!(refused.kind(), &AddChildErrorKind::AlreadyStarted(pid));
    /// assert!(refused.into_spec().is_some());
    /// app.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It was not added: see [`AddChildError`], which has the child.
    #[track_caller]
    pub fn start_child(&self, child: ChildSpec) -> Result<Option<Pid>, AddChildError> {
        let added = self.0.ask_timeout(Add(Box::new(child)), Duration::MAX);
        self.added(added)
    }

    /// As [`start_child`](Self::start_child), for the caller that awaits. Dropping the future does not call
    /// the child off.
    ///
    /// # Errors
    /// As [`start_child`](Self::start_child).
    pub async fn start_child_async(&self, child: ChildSpec) -> Result<Option<Pid>, AddChildError> {
        let add = Add(Box::new(child));
        let added = self.0.ask_async_timeout(add, Duration::MAX).await;
        self.added(added)
    }

    fn added(
        &self,
        added: Result<super::keeper::Added, AskError<Add>>,
    ) -> Result<Option<Pid>, AddChildError> {
        match added {
            Ok(Ok(pid)) => Ok(pid),
            Ok(Err((refusal, spec))) => Err(AddChildError {
                kind: refusal.into(),
                spec: Some(spec),
            }),
            Err(error) => {
                let kind = match &error {
                    AskError::Cycle(..) => AddChildErrorKind::Cycle,
                    AskError::Died(reason) => AddChildErrorKind::Down(reason.clone()),
                    _ => {
                        let reason = self.pid().exit_reason();
                        AddChildErrorKind::Down(reason.unwrap_or(Reason::NoProc))
                    }
                };
                let spec = error.into_message().map(|Add(spec)| spec);
                Err(AddChildError { kind, spec })
            }
        }
    }

    /// Stops a child, as its rules say, and waits until it has ended. Its place stays for
    /// [`restart_child`](Self::restart_child), unless it is temporary. Fine, too, if it does not run.
    ///
    /// # Errors
    /// There is no such child, or the supervisor is dynamic.
    #[track_caller]
    pub fn terminate_child(&self, id: impl Into<ChildId>) -> Result<(), AdminError> {
        self.call(Terminate(id.into()))?
    }

    /// Stops the child that is `pid`, in the same way. For dynamic supervisors, whose children have no ids;
    /// elsewhere its place stays as with [`terminate_child`](Self::terminate_child).
    ///
    /// ```
    /// # use weftwork_actor::supervisor::{ChildSpec, Rules, SupervisorSpec};
    /// # use weftwork_actor::{Actor, Context, InitError, Options};
    /// # struct Db;
    /// # impl Actor for Db {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Db) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let app = SupervisorSpec::dynamic(Rules::new()).start(rt.handle())?;
    /// let child = ChildSpec::dynamic(|ctx| ctx.start::<Db>((), Options::new()));
    /// let pid = app.start_child(child)?.expect("it chose to start");
    /// app.terminate_pid(&pid)?;
    /// assert!(!pid.is_alive());
    /// assert_eq!(app.count_children()?.active, 0);
    /// app.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `pid` is alive, and no child.
    #[track_caller]
    pub fn terminate_pid(&self, pid: &Pid) -> Result<(), AdminError> {
        self.call(TerminatePid(pid.clone()))?
    }

    /// Starts a child whose place is empty, and waits until its `init` has returned; `None` says that it
    /// chose not to start.
    ///
    /// # Errors
    /// The child is there or about to be, does not start, or there is no such child.
    #[track_caller]
    pub fn restart_child(&self, id: impl Into<ChildId>) -> Result<Option<Pid>, AdminError> {
        self.call(StartAgain(id.into()))?
    }

    /// Forgets a place that is empty.
    ///
    /// # Errors
    /// The child is there or about to be, or there is no such child.
    #[track_caller]
    pub fn delete_child(&self, id: impl Into<ChildId>) -> Result<(), AdminError> {
        self.call(Delete(id.into()))?
    }

    /// The present incarnation of a child; `None` if there is none just now.
    ///
    /// # Errors
    /// There is no such child, or the supervisor is dynamic.
    #[track_caller]
    pub fn find_child(&self, id: impl Into<ChildId>) -> Result<Option<Pid>, AdminError> {
        self.call(Find(id.into()))?
    }

    /// The children; the one that was added last stands first.
    ///
    /// # Errors
    /// The supervisor has ended.
    #[track_caller]
    pub fn which_children(&self) -> Result<Vec<ChildInfo>, AdminError> {
        self.call(List)
    }

    /// How many children there are.
    ///
    /// # Errors
    /// The supervisor has ended.
    #[track_caller]
    pub fn count_children(&self) -> Result<Counts, AdminError> {
        self.call(Count)
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorRef").field(&self.pid()).finish()
    }
}

/// Why a child was not added.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AddChildErrorKind {
    /// A child of this id runs: it is this one.
    AlreadyStarted(Pid),
    /// There is a child of this id that does not run.
    AlreadyPresent,
    /// There are as many children as there may be.
    TooMany,
    /// It is impossible under this supervisor.
    Impossible(SpecError),
    /// It did not start.
    Failed(Reason),
    /// The supervisor has ended, or ended meanwhile, and why.
    Down(Reason),
    /// The supervisor waits for the caller: each would wait for the other.
    Cycle,
}

impl From<Refusal<Pid>> for AddChildErrorKind {
    fn from(refusal: Refusal<Pid>) -> Self {
        match refusal {
            Refusal::AlreadyStarted(pid) => AddChildErrorKind::AlreadyStarted(pid),
            Refusal::AlreadyPresent => AddChildErrorKind::AlreadyPresent,
            Refusal::TooMany => AddChildErrorKind::TooMany,
            Refusal::Impossible(error) => AddChildErrorKind::Impossible(error),
            Refusal::Failed(reason) => AddChildErrorKind::Failed(reason),
        }
    }
}

/// A child was not added.
#[derive(Debug)]
pub struct AddChildError {
    kind: AddChildErrorKind,
    spec: Option<Box<ChildSpec>>,
}

impl AddChildError {
    /// Why.
    #[must_use]
    pub fn kind(&self) -> &AddChildErrorKind {
        &self.kind
    }

    /// Takes the child back; `None` if the supervisor has taken it into its end.
    #[must_use]
    pub fn into_spec(self) -> Option<ChildSpec> {
        self.spec.map(|spec| *spec)
    }
}

impl fmt::Display for AddChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            AddChildErrorKind::AlreadyStarted(pid) => write!(f, "child is there already: {pid}"),
            AddChildErrorKind::AlreadyPresent => f.write_str("child is there already"),
            AddChildErrorKind::TooMany => f.write_str("as many children as there may be"),
            AddChildErrorKind::Impossible(error) => error.fmt(f),
            AddChildErrorKind::Failed(reason) => write!(f, "child did not start: {reason}"),
            AddChildErrorKind::Down(reason) => write!(f, "supervisor has ended: {reason}"),
            AddChildErrorKind::Cycle => {
                f.write_str("caller and supervisor would wait for each other")
            }
        }
    }
}

impl Error for AddChildError {}

//! What the start of a child is given, and what it returns.

use super::handle::SupervisorRef;
use super::id::ChildId;
use super::keeper::Keeper;
use super::rules::Shutdown;
use super::spec::SupervisorSpec;
use crate::actor::Actor;
use crate::addr::Addr;
use crate::context::Context;
use crate::error::StartError;
use crate::executor::System;
use crate::options::Options;
use crate::pid::Pid;
use std::fmt;

/// The supervisor's side of a start: starts actors as its children, on its executor.
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
/// let app = SupervisorSpec::new()
///     .child(ChildSpec::new("db", |ctx| {
///         let name = ctx.id().expect("it has one").to_string();
///         ctx.start::<Db>((), Options::new().name(name))
///     }))
///     .start(rt.handle())?;
/// let child = app.find_child("db")?.expect("it runs");
/// assert_eq!(child.name(), Some("db"));
/// app.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StartContext<'a> {
    pub(super) ctx: &'a mut Context<Keeper>,
    pub(super) id: Option<&'a ChildId>,
    pub(super) how: Shutdown,
}

impl StartContext<'_> {
    /// Starts an actor, linked, with the supervisor as its parent, and waits until its `init` has returned.
    ///
    /// # Errors
    /// There is no actor: see [`StartError`].
    #[track_caller]
    pub fn start<A: Actor>(
        &mut self,
        args: A::Args,
        options: Options,
    ) -> Result<Addr<A>, StartError> {
        self.ctx.spawn_link::<A>(args, options)
    }

    /// Starts a supervisor in the same way.
    ///
    /// # Errors
    /// As [`start`](Self::start); it failed if a child of it did.
    #[track_caller]
    pub fn supervise(&mut self, spec: SupervisorSpec) -> Result<SupervisorRef, StartError> {
        let options = spec.start_options(self.id);
        Ok(SupervisorRef::of(self.start::<Keeper>(spec, options)?))
    }

    /// Which child is started.
    #[must_use]
    pub fn id(&self) -> Option<&ChildId> {
        self.id
    }

    /// How the child is going to be stopped.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.how
    }

    /// The supervisor.
    #[must_use]
    pub fn supervisor(&self) -> SupervisorRef {
        SupervisorRef::of(self.ctx.addr())
    }

    /// The executor that the supervisor runs on.
    #[must_use]
    pub fn system(&self) -> System {
        self.ctx.system()
    }
}

impl fmt::Debug for StartContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartContext")
            .field("id", &self.id)
            .field("supervisor", &self.ctx.pid())
            .finish()
    }
}

/// What the start of a child returns: the address of an actor, of a supervisor, or a pid.
pub trait Started {
    /// Who was started.
    fn pid(&self) -> Pid;
}

impl<A: Actor> Started for Addr<A> {
    fn pid(&self) -> Pid {
        Addr::pid(self)
    }
}

impl Started for SupervisorRef {
    fn pid(&self) -> Pid {
        SupervisorRef::pid(self)
    }
}

impl Started for Pid {
    fn pid(&self) -> Pid {
        self.clone()
    }
}

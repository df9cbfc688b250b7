//! A child's address that outlives its incarnations.

use super::starting::StartContext;
use crate::actor::Actor;
use crate::addr::Addr;
use crate::error::StartError;
use std::fmt;
use std::time::Duration;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::wait::TimedOut;
use weftwork_csp::watch;

/// Resolves to the incarnation of a child that lives now.
///
/// The start of the child fills it, so an incarnation is found as soon as its `init` has returned, and not
/// any more when it has ended.
///
/// ```
/// use weftwork_actor::supervisor::{ChildRef, ChildSpec, SupervisorSpec};
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
/// let db = ChildRef::<Db>::new();
/// let app = SupervisorSpec::new()
///     .intensity(3, std::time::Duration::from_secs(1))
///     .child(ChildSpec::new("db", db.filled_by(|ctx| ctx.start::<Db>((), Options::new()))))
///     .start(rt.handle())?;
/// let first = db.wait();
/// first.kill();
/// let second = db.wait_other_than(&first.pid());
/// assert_ne!(first.pid(), second.pid());
/// # app.shutdown();
/// # Ok::<(), weftwork_actor::StartError>(())
/// ```
pub struct ChildRef<A: Actor> {
    slot: watch::Sender<Option<Addr<A>>>,
}

impl<A: Actor> ChildRef<A> {
    /// Resolves to nobody yet.
    #[must_use]
    pub fn new() -> Self {
        ChildRef {
            slot: watch::channel(None).0,
        }
    }

    /// Makes the start of a child fill this with what it starts.
    pub fn filled_by(
        &self,
        mut start: impl FnMut(&mut StartContext<'_>) -> Result<Addr<A>, StartError> + Send + 'static,
    ) -> impl FnMut(&mut StartContext<'_>) -> Result<Addr<A>, StartError> + Send + 'static {
        let slot = self.slot.clone();
        move |ctx| {
            let addr = start(ctx)?;
            slot.send_replace(Some(addr.clone()));
            Ok(addr)
        }
    }

    /// The incarnation that lives now, if one does.
    #[must_use]
    pub fn get(&self) -> Option<Addr<A>> {
        let addr = (*self.slot.borrow()).clone();
        addr.filter(Addr::is_alive)
    }

    /// Waits until there is one.
    #[track_caller]
    pub fn wait(&self) -> Addr<A> {
        self.wait_for(Addr::is_alive, Duration::MAX)
            .unwrap_or_else(|_| unreachable!("there is no clock that ends this wait"))
    }

    /// Waits until there is one that is not `old`: the next, when that one has failed.
    #[track_caller]
    pub fn wait_other_than(&self, old: &crate::Pid) -> Addr<A> {
        self.wait_for(|addr| addr.pid() != *old && addr.is_alive(), Duration::MAX)
            .unwrap_or_else(|_| unreachable!("there is no clock that ends this wait"))
    }

    /// As [`wait`](Self::wait), for so long at most.
    ///
    /// # Errors
    /// The time was over first.
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Addr<A>, TimedOut> {
        self.wait_for(Addr::is_alive, timeout)
    }

    #[track_caller]
    fn wait_for(
        &self,
        is_wanted: impl Fn(&Addr<A>) -> bool,
        timeout: Duration,
    ) -> Result<Addr<A>, TimedOut> {
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("child_ref_wait")) {
            // Looks, then listens: what comes in between is missed.
            let here = (*self.slot.borrow()).clone().filter(&is_wanted);
            return match here {
                Some(addr) => Ok(addr),
                None => {
                    // Not dropped by the unwinding of a model that fails here.
                    let mut slot = std::mem::ManuallyDrop::new(self.slot.subscribe());
                    let _ = slot.changed();
                    drop(std::mem::ManuallyDrop::into_inner(slot));
                    self.get().ok_or(TimedOut)
                }
            };
        }
        let mut slot = self.slot.subscribe();
        let found = slot.wait_for_timeout(|addr| addr.as_ref().is_some_and(&is_wanted), timeout);
        match found {
            Ok(addr) => (*addr).clone().ok_or(TimedOut),
            // The sender is ours: it is not gone.
            Err(_) => Err(TimedOut),
        }
    }
}

impl<A: Actor> Clone for ChildRef<A> {
    fn clone(&self) -> Self {
        ChildRef {
            slot: self.slot.clone(),
        }
    }
}

impl<A: Actor> Default for ChildRef<A> {
    fn default() -> Self {
        ChildRef::new()
    }
}

impl<A: Actor> fmt::Debug for ChildRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.get().map(|addr| addr.pid());
        f.debug_tuple("ChildRef").field(&pid).finish()
    }
}

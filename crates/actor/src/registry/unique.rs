//! A registry with one actor per name.

use super::parts::Parts;
use super::via::{RegisterError, Via};
use crate::actor::Actor;
use crate::addr::Addr;
use crate::ends;
use crate::number;
use crate::pid::Pid;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

/// Who has which name; one actor per name. Clones are alike.
///
/// No method waits, but for a lock that is held for a few instructions.
#[derive(Clone)]
pub struct Registry(Arc<Parts<Holder>>);

struct Holder {
    pid: Pid,
    /// Names the entry: the holder's end takes out this one and no later one of the same name.
    entry: u64,
}

impl Registry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Registry(Arc::new(Parts::new()))
    }

    /// Gives `name` to an actor, until it ends or [`unregister`](Self::unregister). An actor may have
    /// several names.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Worker;
    /// # impl Actor for Worker {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Worker) }
    /// # }
    /// use weftwork_actor::registry::{RegisterError, Registry};
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let names = Registry::new();
    /// let [a, b] = [(); 2].map(|()| start::<Worker>(rt.handle(), (), Options::new()).unwrap().pid());
    /// names.register("first", &a)?;
    /// assert_eq!(names.register("first", &b), Err(RegisterError::Taken(a.clone())));
    ///
    /// let end = a.watch();
    /// a.kill();
    /// end.wait_down();
    /// assert_eq!(names.whereis("first"), None);
    /// names.register("first", &b)?;
    /// # b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Somebody has the name, also if it is the same actor; or the actor has ended.
    pub fn register(&self, name: impl Into<Arc<str>>, pid: &Pid) -> Result<(), RegisterError> {
        let name = name.into();
        let entry = number::next();
        self.put(&name, pid, entry)?;
        let table = Arc::downgrade(&self.0);
        let at_end = {
            let name = Arc::clone(&name);
            move |_: &Pid| {
                if let Some(table) = table.upgrade() {
                    let is_it = |holder: &Holder| holder.entry == entry;
                    // Canary: whoever has the name by now loses it.
                    #[cfg(weftwork_canary)]
                    let is_it =
                        |holder: &Holder| is_it(holder) || canary::is(Step::Of("actor_name"));
                    drop(take(&table, &name, is_it));
                }
            }
        };
        if ends::call_at_end(pid, entry, at_end) {
            return Ok(());
        }
        drop(take(&self.0, &name, |holder| holder.entry == entry));
        Err(RegisterError::Dead)
    }

    fn put(&self, name: &Arc<str>, pid: &Pid, entry: u64) -> Result<(), RegisterError> {
        let holder = Holder {
            pid: pid.clone(),
            entry,
        };
        // What was there is dropped outside of the lock.
        let before = self
            .0
            .with(name, |part| match part.entry(Arc::clone(name)) {
                Entry::Occupied(mut held) if !held.get().pid.is_alive() => {
                    Ok(Some(held.insert(holder)))
                }
                Entry::Occupied(held) => Err((held.get().pid.clone(), holder)),
                Entry::Vacant(free) => {
                    free.insert(holder);
                    Ok(None)
                }
            });
        match before {
            Ok(stale) => drop(stale),
            Err((holder, _)) => return Err(RegisterError::Taken(holder)),
        }
        Ok(())
    }

    /// Takes `name` from whoever has it, and tells who that was.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Quiet;
    /// # impl Actor for Quiet {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Quiet) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::registry::Registry;
    ///
    /// let names = Registry::new();
    /// let quiet = start::<Quiet>(rt.handle(), (), Options::new().register(names.clone(), "quiet"))?;
    /// assert_eq!(names.unregister("quiet"), Some(quiet.pid()));
    /// assert_eq!(names.unregister("quiet"), None);
    /// // It has lost its name, and nothing else.
    /// assert!(quiet.is_alive());
    /// # quiet.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unregister(&self, name: &str) -> Option<Pid> {
        let mut was_alive = false;
        let held = take(&self.0, name, |held| {
            // Here, not afterwards: once it is taken out somebody else may have the name.
            was_alive = held.pid.is_alive();
            true
        })?;
        ends::call_off(&held.pid, held.entry);
        was_alive.then_some(held.pid)
    }

    /// Finds who has `name`.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Quiet;
    /// # impl Actor for Quiet {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Quiet) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::registry::Registry;
    ///
    /// let names = Registry::new();
    /// let quiet = start::<Quiet>(rt.handle(), (), Options::new().register(names.clone(), "quiet"))?;
    /// assert_eq!(names.whereis("quiet"), Some(quiet.pid()));
    ///
    /// let end = quiet.pid().watch();
    /// quiet.kill();
    /// end.wait_down();
    /// assert_eq!(names.whereis("quiet"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        let pid = self
            .0
            .with(name, |part| part.get(name).map(|held| held.pid.clone()))?;
        Some(pid).filter(Pid::is_alive)
    }

    /// Finds the address of the `A` that has `name`; none if it is of another type.
    #[must_use]
    pub fn lookup<A: Actor>(&self, name: &str) -> Option<Addr<A>> {
        self.whereis(name)?.downcast()
    }

    /// Lists the names and who has them, in no order. It is no snapshot: names that come and go meanwhile
    /// may be there or not.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Quiet;
    /// # impl Actor for Quiet {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Quiet) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::registry::Registry;
    ///
    /// let names = Registry::new();
    /// let quiet = start::<Quiet>(rt.handle(), (), Options::new().register(names.clone(), "quiet"))?;
    /// assert_eq!(names.registered(), [("quiet".into(), quiet.pid())]);
    /// # quiet.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn registered(&self) -> Vec<(Arc<str>, Pid)> {
        let mut all = Vec::new();
        self.0.for_each_part(|part| {
            all.extend(
                part.iter()
                    .map(|(name, held)| (Arc::clone(name), held.pid.clone())),
            );
        });
        all.retain(|(_, pid)| pid.is_alive());
        all
    }
}

/// Takes an entry out, for the caller to drop it outside of the lock.
fn take(table: &Parts<Holder>, name: &str, is_it: impl FnOnce(&Holder) -> bool) -> Option<Holder> {
    table.with(name, |part| match part.get(name) {
        Some(held) if is_it(held) => part.remove(name),
        _ => None,
    })
}

/// The start takes care of the end.
impl Via for Registry {
    fn register(&self, name: &Arc<str>, pid: &Pid) -> Result<(), RegisterError> {
        self.put(name, pid, number::next())
    }

    fn unregister(&self, name: &str, pid: &Pid) {
        drop(take(&self.0, name, |held| held.pid == *pid));
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        Registry::whereis(self, name)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.registered()).finish()
    }
}

//! A registry with any number of actors per name.

use super::parts::Parts;
use super::via::{RegisterError, Via};
use crate::actor::Actor;
use crate::addr::Addr;
use crate::ends;
use crate::number;
use crate::pid::Pid;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Who has which name; a name may have many holders. Clones are alike.
///
/// No method waits, but for a lock that is held while a row of pids is copied. To be told who comes and goes
/// there are process groups.
///
/// ```
/// use weftwork_actor::registry::DuplicateRegistry;
/// use weftwork_actor::{Options, start};
/// # use weftwork_actor::{Actor, Context, Handler, InitError};
/// # struct Worker;
/// # impl Actor for Worker {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Worker) }
/// # }
/// # impl Handler<u32> for Worker {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
///
/// let listeners = DuplicateRegistry::new();
/// for _ in 0..3 {
///     start::<Worker>(rt.handle(), (), Options::new().register(listeners.clone(), "prices"))?;
/// }
/// let all = listeners.lookup::<Worker>("prices");
/// assert_eq!(all.len(), 3);
/// for listener in all {
///     assert_eq!(listener.ask(7).unwrap(), 7);
///     listener.kill();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DuplicateRegistry(Arc<Parts<Holders>>);

/// By the number of the entry.
type Holders = BTreeMap<u64, Pid>;

impl DuplicateRegistry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new() -> Self {
        DuplicateRegistry(Arc::new(Parts::new()))
    }

    /// Gives `name` to one more actor, until it ends or [`unregister`](Self::unregister). An actor that
    /// takes a name twice is found twice.
    ///
    /// # Errors
    /// The actor has ended.
    pub fn register(&self, name: impl Into<Arc<str>>, pid: &Pid) -> Result<(), RegisterError> {
        let name = name.into();
        let entry = number::next();
        self.put(&name, pid, entry);
        let table = Arc::downgrade(&self.0);
        let at_end = {
            let name = Arc::clone(&name);
            move |_: &Pid| {
                if let Some(table) = table.upgrade() {
                    drop(take(&table, &name, entry));
                }
            }
        };
        if ends::call_at_end(pid, entry, at_end) {
            return Ok(());
        }
        drop(take(&self.0, &name, entry));
        Err(RegisterError::Dead)
    }

    fn put(&self, name: &Arc<str>, pid: &Pid, entry: u64) {
        let pid = pid.clone();
        self.0.with(name, |part| {
            part.entry(Arc::clone(name)).or_default().insert(entry, pid);
        });
    }

    /// Takes `name` from an actor, as often as it has it. False: it did not have it.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Quiet;
    /// # impl Actor for Quiet {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Quiet) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::registry::DuplicateRegistry;
    ///
    /// let rooms = DuplicateRegistry::new();
    /// let quiet = start::<Quiet>(rt.handle(), (), Options::new())?.pid();
    /// rooms.register("lobby", &quiet)?;
    /// rooms.register("lobby", &quiet)?;
    /// assert_eq!(rooms.whereare("lobby").len(), 2);
    /// assert!(rooms.unregister("lobby", &quiet));
    /// assert!(rooms.names().is_empty());
    /// # quiet.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unregister(&self, name: &str, pid: &Pid) -> bool {
        let taken = self.0.with(name, |part| {
            let Some(holders) = part.get_mut(name) else {
                return Vec::new();
            };
            let taken: Vec<_> = holders.extract_if(.., |_, holder| holder == pid).collect();
            if holders.is_empty() {
                part.remove(name);
            }
            taken
        });
        for (entry, _) in &taken {
            ends::call_off(pid, *entry);
        }
        !taken.is_empty()
    }

    /// Finds all who have `name`, in no order.
    #[must_use]
    pub fn whereare(&self, name: &str) -> Vec<Pid> {
        let mut all: Vec<Pid> = self.0.with(name, |part| {
            part.get(name)
                .map_or_else(Vec::new, |holders| holders.values().cloned().collect())
        });
        all.retain(Pid::is_alive);
        all
    }

    /// Finds the addresses of all `A`s that have `name`.
    #[must_use]
    pub fn lookup<A: Actor>(&self, name: &str) -> Vec<Addr<A>> {
        self.whereare(name)
            .iter()
            .filter_map(Pid::downcast)
            .collect()
    }

    /// Lists the names that somebody has, in no order.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        self.0.for_each_part(|part| {
            let is_held = |holders: &Holders| holders.values().any(Pid::is_alive);
            all.extend(
                part.iter()
                    .filter(|(_, h)| is_held(h))
                    .map(|(name, _)| Arc::clone(name)),
            );
        });
        all
    }
}

fn take(table: &Parts<Holders>, name: &str, entry: u64) -> Option<Pid> {
    table.with(name, |part| {
        let holders = part.get_mut(name)?;
        let taken = holders.remove(&entry);
        if holders.is_empty() {
            part.remove(name);
        }
        taken
    })
}

/// The start takes care of the end.
impl Via for DuplicateRegistry {
    fn register(&self, name: &Arc<str>, pid: &Pid) -> Result<(), RegisterError> {
        self.put(name, pid, number::next());
        Ok(())
    }

    fn unregister(&self, name: &str, pid: &Pid) {
        DuplicateRegistry::unregister(self, name, pid);
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        self.whereare(name).into_iter().next()
    }
}

impl Default for DuplicateRegistry {
    fn default() -> Self {
        DuplicateRegistry::new()
    }
}

impl fmt::Debug for DuplicateRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

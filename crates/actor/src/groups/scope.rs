//! A scope: its groups, their members, and who follows them.
//!
//! One lock has the book and the followers together, which is what makes members and events gap-free. Under
//! it only numbers and texts are hashed and compared; pids that were taken out are dropped, and events
//! handed over, outside.

use super::book::Book;
use super::monitor::{Event, Follower, Follows, GroupMonitor};
use crate::ends;
use crate::feed::Sink;
use crate::number;
use crate::pid::Pid;
use crate::recipient::Recipient;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use weftwork_core::sync::Mutex;

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

/// A set of groups by name, apart from those of other scopes. Clones are alike.
///
/// No method waits, but for a lock that is held while members are copied.
#[derive(Clone)]
pub struct Scope(Arc<Table>);

pub(crate) struct Table(Mutex<State>);

struct State {
    book: Book<Pid>,
    of_one: HashMap<Arc<str>, Vec<Arc<Follower>>>,
    of_all: Vec<Arc<Follower>>,
}

/// An actor did not join: it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinError(Pid);

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {} has ended", self.0)
    }
}

impl Error for JoinError {}

/// An actor did not leave: it is not in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJoined(());

impl fmt::Display for NotJoined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("actor is not in the group")
    }
}

impl Error for NotJoined {}

/// What is left to do when the lock is released.
#[derive(Default)]
struct After {
    feeds: Vec<Arc<Follower>>,
    /// Dropped outside.
    pids: Vec<Pid>,
}

impl State {
    fn tell(&self, event: &Event, after: &mut After) {
        let of_one = self.of_one.get(&event.group).map_or(&[][..], Vec::as_slice);
        for follower in of_one.iter().chain(&self.of_all) {
            if follower.feed.put(event.clone()) {
                after.feeds.push(Arc::clone(follower));
            }
        }
    }

    /// Takes out of everything who has ended but did not call yet.
    fn bury(&mut self, dead: &[Pid], after: &mut After) {
        for pid in dead {
            for (group, pid) in self.book.leave_all(pid.number()) {
                self.tell(&Event::left(group, &pid), after);
                after.pids.push(pid);
            }
        }
    }

    /// The members of a group, all of them alive a moment ago.
    fn living(&mut self, group: &str, after: &mut After) -> Vec<Pid> {
        let (members, dead): (Vec<_>, Vec<_>) = self
            .book
            .members(group)
            .into_iter()
            .partition(Pid::is_alive);
        self.bury(&dead, after);
        after.pids.extend(dead);
        members
    }
}

impl Table {
    /// Runs `f` under the lock, then does what is left.
    fn change<R>(&self, f: impl FnOnce(&mut State, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = f(&mut self.0.lock(), &mut after);
        for follower in &after.feeds {
            follower.feed.flow();
        }
        result
    }

    /// An actor has ended.
    fn ended(&self, pid: &Pid) {
        self.change(|state, after| state.bury(std::slice::from_ref(pid), after));
    }

    pub(crate) fn unfollow(&self, number: u64) {
        let is_it = |follower: &mut Arc<Follower>| follower.number == number;
        let mut state = self.0.lock();
        let mut gone: Vec<_> = state.of_all.extract_if(.., is_it).collect();
        // Nobody knows here which group it was: there are few followers.
        state.of_one.retain(|_, followers| {
            gone.extend(followers.extract_if(.., is_it));
            !followers.is_empty()
        });
        drop(state);
        drop(gone);
    }

    fn follow(&self, follower: Arc<Follower>, state: &mut State) {
        match &follower.follows {
            Follows::All => state.of_all.push(follower),
            Follows::One(group) => {
                let group = Arc::clone(group);
                state.of_one.entry(group).or_default().push(follower);
            }
        }
    }
}

impl Scope {
    /// Makes a scope without groups.
    #[must_use]
    pub fn new() -> Self {
        Scope(Arc::new(Table(Mutex::new(State {
            book: Book::new(),
            of_one: HashMap::new(),
            of_all: Vec::new(),
        }))))
    }

    /// Puts an actor into a group, until it leaves or ends. An actor may be in there several times.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Guest;
    /// # impl Actor for Guest {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Guest) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::groups::Scope;
    ///
    /// let scope = Scope::new();
    /// let guest = start::<Guest>(rt.handle(), (), Options::new())?.pid();
    /// scope.join("lobby", &guest)?;
    /// scope.join("bar", &guest)?;
    ///
    /// // It leaves all groups when it ends, and joins none any more.
    /// let end = guest.watch();
    /// guest.kill();
    /// end.wait_down();
    /// assert!(scope.groups().is_empty());
    /// assert!(scope.join("lobby", &guest).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The actor has ended. Nobody is told anything.
    pub fn join(&self, group: impl Into<Arc<str>>, pid: &Pid) -> Result<(), JoinError> {
        let group = group.into();
        // Asked for first, so that there is nobody in the book whose end nobody notes. It may come at once:
        // then the actor is found dead below.
        let hook = number::next();
        let table = Arc::downgrade(&self.0);
        let is_there = ends::call_at_end(pid, hook, move |pid| {
            if let Some(table) = table.upgrade() {
                table.ended(pid);
            }
        });
        let joined = is_there
            && self
                .0
                .change(|state, after| {
                    // The call that comes at the end takes this lock: either it is yet to come, or the actor is
                    // found dead here.
                    let is_dead = !pid.is_alive();
                    // Canary: the end is not looked for here.
                    #[cfg(weftwork_canary)]
                    let is_dead = is_dead && !canary::is(Step::Of("actor_join"));
                    if is_dead {
                        return None;
                    }
                    let is_new = state.book.join(&group, pid.number(), pid.clone(), hook);
                    state.tell(&Event::joined(group, pid), after);
                    Some(is_new)
                })
                .inspect(|is_new| {
                    if !is_new {
                        // One is enough.
                        ends::call_off(pid, hook);
                    }
                })
                .is_some();
        if joined {
            Ok(())
        } else {
            Err(JoinError(pid.clone()))
        }
    }

    /// Takes an actor out of a group, once.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Guest;
    /// # impl Actor for Guest {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Guest) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// # let guest = start::<Guest>(rt.handle(), (), Options::new())?.pid();
    /// use weftwork_actor::groups::Scope;
    ///
    /// let scope = Scope::new();
    /// scope.join("twice", &guest)?;
    /// scope.join("twice", &guest)?;
    /// scope.leave("twice", &guest)?;
    /// assert_eq!(scope.members("twice"), [guest.clone()]);
    /// scope.leave("twice", &guest)?;
    /// assert!(scope.leave("twice", &guest).is_err());
    /// # guest.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It is not in there.
    pub fn leave(&self, group: &str, pid: &Pid) -> Result<(), NotJoined> {
        let gone = self.0.change(|state, after| {
            let (member, gone) = state.book.leave(group, pid.number()).ok_or(NotJoined(()))?;
            state.tell(&Event::left(group, pid), after);
            after.pids.push(member);
            Ok(gone)
        })?;
        if let Some(gone) = gone {
            ends::call_off(pid, gone.0);
        }
        Ok(())
    }

    /// Lists the members of a group, in the order of joining, each as often as it is in there.
    #[must_use]
    pub fn members(&self, group: &str) -> Vec<Pid> {
        self.0.change(|state, after| state.living(group, after))
    }

    /// Lists the groups that have members, in no order.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.0.change(|state, after| {
            let names: Vec<_> = state.book.names().map(Arc::clone).collect();
            let has_members = |name: &Arc<str>| !state.living(name, after).is_empty();
            names.into_iter().filter(has_members).collect()
        })
    }

    /// Lists the members of a group, as [`members`](Self::members), and follows what happens to it from
    /// there on.
    #[must_use]
    pub fn monitor(&self, group: impl Into<Arc<str>>) -> (GroupMonitor, Vec<Pid>) {
        let group = group.into();
        let (monitor, sink) = self.monitor_of();
        let members = self.0.change(|state, after| {
            let members = state.living(&group, after);
            let follower = Follower::new(monitor.number, Follows::One(group), sink);
            self.0.follow(follower, state);
            members
        });
        (monitor, members)
    }

    /// Lists all groups and their members, and follows what happens to any group from there on.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, InitError, Options, start};
    /// # struct Guest;
    /// # impl Actor for Guest {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Guest) }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::groups::{Event, Scope};
    ///
    /// let scope = Scope::new();
    /// let guest = start::<Guest>(rt.handle(), (), Options::new())?.pid();
    /// scope.join("lobby", &guest)?;
    /// let (monitor, groups) = scope.monitor_all();
    /// assert_eq!(groups["lobby"], [guest.clone()]);
    /// scope.join("bar", &guest)?;
    /// assert_eq!(monitor.recv()?, Event::joined("bar", &guest));
    /// # guest.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn monitor_all(&self) -> (GroupMonitor, HashMap<Arc<str>, Vec<Pid>>) {
        let (monitor, sink) = self.monitor_of();
        let groups = self.0.change(|state, after| {
            let names: Vec<_> = state.book.names().map(Arc::clone).collect();
            let mut groups = HashMap::new();
            for name in names {
                let members = state.living(&name, after);
                if !members.is_empty() {
                    groups.insert(name, members);
                }
            }
            // Whoever ended while we looked may be listed in a group that came before: it is taken out of
            // all when it is found, and the next look finds none.
            groups.retain(|_, members: &mut Vec<Pid>| {
                members.retain(|pid| state.book.has(pid.number()));
                !members.is_empty()
            });
            let follower = Follower::new(monitor.number, Follows::All, sink);
            self.0.follow(follower, state);
            groups
        });
        (monitor, groups)
    }

    fn monitor_of(&self) -> (GroupMonitor, Sink<Event>) {
        let (sender, events) = weftwork_csp::unbounded();
        let monitor = GroupMonitor {
            events,
            table: Arc::downgrade(&self.0),
            number: number::next(),
        };
        (monitor, Sink::Channel(sender))
    }

    /// As [`monitor`](Self::monitor), with the events as messages of an actor, which get into its mailbox
    /// however full it is. It ends with the actor.
    ///
    /// ```
    /// use weftwork_actor::groups::{Event, Scope};
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, Pid, start};
    ///
    /// struct Roster {
    ///     seen: Vec<Pid>,
    /// }
    ///
    /// struct Count;
    ///
    /// impl Actor for Roster {
    ///     type Args = Scope;
    ///     fn init(scope: Scope, ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         let seen = scope.monitor_by("crew", &ctx.addr().recipient());
    ///         Ok(Roster { seen })
    ///     }
    /// }
    ///
    /// impl Handler<Event> for Roster {
    ///     type Reply = ();
    ///     fn handle(&mut self, event: Event, _: &mut Context<Self>) {
    ///         self.seen.push(event.pid);
    ///     }
    /// }
    ///
    /// impl Handler<Count> for Roster {
    ///     type Reply = usize;
    ///     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> usize {
    ///         self.seen.len()
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let scope = Scope::new();
    /// let roster = start::<Roster>(rt.handle(), scope.clone(), Options::new())?;
    /// scope.join("crew", &roster.pid())?;
    /// assert_eq!(roster.ask(Count).unwrap(), 1);
    /// # roster.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monitor_by(&self, group: impl Into<Arc<str>>, to: &Recipient<Event>) -> Vec<Pid> {
        let (group, number) = (group.into(), number::next());
        let members = self.0.change(|state, after| {
            let members = state.living(&group, after);
            let sink = Sink::Actor(to.clone());
            let follower = Follower::new(number, Follows::One(group), sink);
            self.0.follow(follower, state);
            members
        });
        let table = Arc::downgrade(&self.0);
        let is_there = ends::call_at_end(&to.pid(), number, move |_| {
            if let Some(table) = table.upgrade() {
                table.unfollow(number);
            }
        });
        if !is_there {
            self.0.unfollow(number);
        }
        members
    }
}

impl Default for Scope {
    fn default() -> Self {
        Scope::new()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.groups()).finish()
    }
}

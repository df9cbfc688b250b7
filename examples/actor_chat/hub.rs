//! What everybody in the server knows: who has which name, who is in which room, whom to ask for more of
//! them, and what has happened.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weftwork::actor::groups::Scope;
use weftwork::actor::registry::Registry;
use weftwork::actor::supervisor::{Report, SupervisorRef};
use weftwork::actor::{Addr, Reason};
use weftwork::sync::Mutex;

use crate::app::is_crash;
use crate::room::Room;
use crate::session::Session;

/// Why a session ends whose mailbox was full.
pub(crate) const OVERFLOW: &str = "mailbox overflow";

/// Clones are alike.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    names: Registry,
    members: Scope,
    rooms: Mutex<Option<SupervisorRef>>,
    sessions: Mutex<Option<SupervisorRef>>,
    history: usize,
    counts: Counts,
}

impl Hub {
    pub(crate) fn new(history: usize) -> Self {
        Hub(Arc::new(Shared {
            names: Registry::new(),
            members: Scope::new(),
            rooms: Mutex::new(None),
            sessions: Mutex::new(None),
            history,
            counts: Counts::default(),
        }))
    }

    /// The names of users and of rooms; those of rooms begin with `#`.
    pub(crate) fn names(&self) -> &Registry {
        &self.0.names
    }

    /// The groups: a room's members are the sessions in the group of its name.
    pub(crate) fn members(&self) -> &Scope {
        &self.0.members
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// How many messages a room keeps.
    pub(crate) fn history(&self) -> usize {
        self.0.history
    }

    pub(crate) fn user(&self, name: &str) -> Option<Addr<Session>> {
        self.names().lookup(name)
    }

    pub(crate) fn room(&self, name: &str) -> Option<Addr<Room>> {
        self.names().lookup(name)
    }

    /// The present supervisor of rooms; none while it is being started.
    pub(crate) fn rooms(&self) -> Option<SupervisorRef> {
        self.0.rooms.lock().clone()
    }

    pub(crate) fn sessions(&self) -> Option<SupervisorRef> {
        self.0.sessions.lock().clone()
    }

    pub(crate) fn set_rooms(&self, rooms: SupervisorRef) {
        *self.0.rooms.lock() = Some(rooms);
    }

    pub(crate) fn set_sessions(&self, sessions: SupervisorRef) {
        *self.0.sessions.lock() = Some(sessions);
    }
}

/// What has happened, counted from several workers.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Sessions that their supervisor has started.
    pub(crate) sessions: Count,
    /// Those that it reports as crashed.
    pub(crate) crashed: Count,
    /// Those that it reports as stopped by an overflow of their mailbox.
    pub(crate) slow: Count,
    /// Those that ended in any other way that is worth a report. There should be none.
    pub(crate) odd: Count,
    /// Rooms that their supervisor has started, again or for the first time.
    pub(crate) rooms: Count,
    /// Rooms that crashed.
    pub(crate) rooms_crashed: Count,
    /// Readers that run now.
    pub(crate) readers: Count,
    /// Messages that sessions have written.
    pub(crate) written: Count,
}

impl Counts {
    /// Takes down what the supervisor of sessions has to tell.
    pub(crate) fn of_sessions(&self, report: &Report) {
        match report {
            Report::Started { .. } => self.sessions.add(1),
            Report::Ended { reason, .. } if is_crash(reason) => self.crashed.add(1),
            Report::Ended { reason, .. } if *reason == Reason::other(OVERFLOW) => self.slow.add(1),
            // Of a name that was taken meanwhile: the client is told.
            Report::StartFailed { .. } => {}
            _ => {
                eprintln!("sessions: {report}");
                self.odd.add(1);
            }
        }
    }

    /// Takes down what the supervisor of rooms has to tell.
    pub(crate) fn of_rooms(&self, report: &Report) {
        match report {
            Report::Started { .. } => self.rooms.add(1),
            Report::Ended { reason, .. } if is_crash(reason) => self.rooms_crashed.add(1),
            _ => {
                eprintln!("rooms: {report}");
                self.odd.add(1);
            }
        }
    }
}

/// A number that is only counted with.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        // Relaxed, here and below: a count orders nothing.
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one until what is returned is dropped.
    pub(crate) fn hold(&self) -> impl Drop + '_ {
        self.add(1);
        Held(self)
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

struct Held<'a>(&'a Count);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

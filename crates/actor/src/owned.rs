//! What an actor's task has to itself.

use crate::actor::MonitorRef;
use crate::cell::CellRef;
use crate::links::Links;
use crate::mailbox::chain::Chain;
use crate::mailbox::letter::Handling;
use crate::monitors::{Monitors, Watchers};
use crate::pid::Pid;
use crate::reason::Reason;
use crate::reply::Pending;
use crate::start::Starter;
use crate::timers::Timers;
use std::num::NonZeroU64;

/// The owner's part of a cell, without what few actors need.
pub(crate) struct Owned {
    pub(crate) phase: Phase,
    pub(crate) traps_exit: bool,
    /// Messages that were taken up but not taken off the room yet.
    pub(crate) untold: u32,
    /// How many messages were handled.
    pub(crate) handled: u64,
    /// The rest of an asynchronous handler.
    pub(crate) handling: Option<Handling>,
    /// The actor has asked to stop, or was.
    pub(crate) stop: Option<Reason>,
    /// A signal ends the actor.
    pub(crate) doom: Option<Reason>,
    /// Who waits for the end of `init`.
    pub(crate) starter: Option<Starter>,
    /// Who started it, if it was an actor.
    pub(crate) parent: Option<CellRef>,
    /// It was started with a link.
    pub(crate) is_linked_child: bool,
    pub(crate) more: Option<Box<More>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not polled yet.
    Fresh,
    /// `init` has been called.
    Running,
    /// All is done.
    Ended,
}

/// What few actors need, made by the first use.
#[derive(Default)]
pub(crate) struct More {
    pub(crate) links: Links,
    /// Whom this actor monitors.
    pub(crate) monitors: Monitors,
    /// Who monitors this actor.
    pub(crate) watchers: Watchers,
    pub(crate) timers: Timers,
    /// Put aside by the actor.
    pub(crate) stash: Chain,
    /// To be handled before anything queued.
    pub(crate) next: Chain,
    /// Answers that were deferred, to be given up at the end.
    pub(crate) pending: Pending,
    /// Dropped when the end is known to all: askers look for the reason then.
    pub(crate) remains: Vec<Box<dyn Send>>,
}

impl Owned {
    pub(crate) fn new(parent: Option<CellRef>, starter: Option<Starter>) -> Self {
        Owned {
            phase: Phase::Fresh,
            traps_exit: false,
            untold: 0,
            handled: 0,
            handling: None,
            stop: None,
            doom: None,
            starter,
            parent,
            is_linked_child: true,
            more: None,
        }
    }

    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Whether `pid` is the actor that started this one with a link.
    pub(crate) fn is_parent(&self, pid: &Pid) -> bool {
        match (&self.parent, pid.cell()) {
            (Some(parent), Some(cell)) => self.is_linked_child && parent == cell,
            _ => false,
        }
    }
}

/// A new name for a monitor.
pub(crate) fn new_monitor_ref() -> MonitorRef {
    MonitorRef(NonZeroU64::new(crate::number::next()).expect("numbers start at one"))
}

//! What an actor's task has to itself.

use crate::actor::{InitError, MonitorRef};
use crate::cell::{CellRef, Header};
use crate::introspect::Watches;
use crate::links::Links;
use crate::mailbox::chain::Chain;
use crate::mailbox::letter::{Handling, Letter};
use crate::monitors::{Monitors, Watchers};
use crate::pid::Pid;
use crate::pipe::Pipes;
use crate::reason::Reason;
use crate::reply::Pending;
use crate::timers::Timers;
use std::num::NonZeroU64;

/// The owner's part of a cell, without what few actors need.
pub(crate) struct Owned {
    pub(crate) phase: Phase,
    pub(crate) traps_exit: bool,
    /// It was started with a link.
    pub(crate) is_linked_child: bool,
    /// Its last poll found one message, or none.
    pub(crate) is_sparse: bool,
    pub(crate) ending: Ending,
    /// It stops because of an error.
    pub(crate) fails: bool,
    /// Messages that were taken up but not taken off the room yet.
    pub(crate) untold: u32,
    /// How many messages were handled.
    pub(crate) handled: u64,
    /// The rest of an asynchronous handler, or of an `init` that awaits.
    pub(crate) handling: Option<Handling>,
    /// Who started it, if it was an actor.
    pub(crate) parent: Option<CellRef>,
    /// Who monitors this actor: the first of them, in the letter in which he said so.
    pub(crate) first_watcher: Option<Letter>,
    pub(crate) more: Option<Box<More>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not polled yet.
    Fresh,
    /// `init` has been called, and has not returned.
    Starting,
    /// `init` has returned.
    Running,
    /// All is done.
    Ended,
}

/// Whether the actor shall end when its handler returns. The reason is in the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It goes on.
    None,
    /// It stops, of itself or because it was asked to.
    Stop,
    /// A signal ends it.
    Signal,
}

/// What an actor does next.
pub(crate) enum First {
    /// Serve a visit from outside.
    Visit(Letter),
    /// Handle a message that comes before the mailbox.
    Message(Letter),
    /// Take from the mailbox.
    Mailbox,
    /// Take signals alone: it is suspended.
    Signals,
}

/// What few actors need, made by the first use.
#[derive(Default)]
pub(crate) struct More {
    pub(crate) links: Links,
    /// Whom this actor monitors.
    pub(crate) monitors: Monitors,
    /// Who else monitors this actor.
    pub(crate) watchers: Watchers,
    pub(crate) timers: Timers,
    /// Work outside whose outcome is to come.
    pub(crate) pipes: Pipes,
    /// Put aside by the actor.
    pub(crate) stash: Chain,
    /// To be handled before anything queued.
    pub(crate) next: Chain,
    /// Visits from outside, served before messages: see [`introspect`](crate::introspect).
    pub(crate) visits: Chain,
    /// No messages are taken.
    pub(crate) is_suspended: bool,
    /// Who watches the handlers.
    pub(crate) watches: Watches,
    /// Answers that were deferred, to be given up at the end.
    pub(crate) pending: Pending,
    /// The message whose handler ended the actor, for a report.
    pub(crate) last: Option<fn() -> &'static str>,
    /// What an `init` that awaited came to, if it made no actor.
    pub(crate) failure: Option<InitError>,
    /// Dropped when the end is known to all: askers look for the reason then.
    pub(crate) remains: Vec<Box<dyn Send>>,
}

impl Owned {
    pub(crate) fn new(parent: Option<CellRef>) -> Self {
        Owned {
            phase: Phase::Fresh,
            traps_exit: false,
            untold: 0,
            handled: 0,
            handling: None,
            ending: Ending::None,
            is_sparse: false,
            fails: false,
            parent,
            is_linked_child: true,
            first_watcher: None,
            more: None,
        }
    }

    /// Lets the actor stop. The first reason counts. `cell` is the one that this is the owner's part of.
    pub(crate) fn stop(&mut self, cell: &Header, reason: Reason) {
        if self.ending == Ending::None {
            self.end_of(cell, Ending::Stop, reason);
        }
    }

    /// Lets a signal end the actor, also one that is about to stop. The first reason counts. `cell` as in
    /// [`stop`](Self::stop).
    pub(crate) fn doom(&mut self, cell: &Header, reason: Reason) {
        if self.ending != Ending::Signal {
            self.end_of(cell, Ending::Signal, reason);
        }
    }

    fn end_of(&mut self, cell: &Header, ending: Ending, reason: Reason) {
        // What comes in last changes nothing any more.
        if self.phase != Phase::Ended {
            self.ending = ending;
            self.fails = ending == Ending::Stop && !reason.is_normal();
            // SAFETY: who has the owner's part is the owner; the inbox is closed behind this phase.
            unsafe { cell.set_exit(reason) };
        }
    }

    pub(crate) fn take_ending(&mut self) -> Ending {
        std::mem::replace(&mut self.ending, Ending::None)
    }

    /// Whether a signal ends it.
    pub(crate) fn is_doomed(&self) -> bool {
        self.ending == Ending::Signal
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending != Ending::None
    }

    /// Whether there is nothing to do but to take messages, and nobody watches how.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        let is_plain = |more: &More| {
            !more.is_suspended
                && more.visits.is_empty()
                && more.next.is_empty()
                && more.watches.is_empty()
        };
        self.handling.is_none() && !self.is_ending() && self.more.as_deref().is_none_or(is_plain)
    }

    #[inline]
    pub(crate) fn has_timers(&self) -> bool {
        (self.more.as_deref()).is_some_and(|more| !more.timers.is_empty())
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.is_suspended)
    }

    /// What comes next, and is taken if it is here.
    #[inline]
    pub(crate) fn first(&mut self) -> First {
        let Some(more) = &mut self.more else {
            return First::Mailbox;
        };
        if let Some(visit) = more.visits.pop_front() {
            return First::Visit(visit);
        }
        if more.is_suspended {
            return First::Signals;
        }
        more.next.pop_front().map_or(First::Mailbox, First::Message)
    }

    /// Who watches the handlers, if anybody does.
    #[inline]
    pub(crate) fn watches(&self) -> Option<Watches> {
        let more = self.more.as_ref()?;
        (!more.watches.is_empty()).then(|| more.watches.clone())
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

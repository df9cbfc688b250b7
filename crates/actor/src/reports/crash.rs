//! What is known of an actor that crashes, and how it comes to be known.

use super::Incident;
use crate::cell::CellRef;
use crate::owned::Owned;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::run::with;
use std::fmt;

/// An actor that panicked or stopped with an error.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Crash {
    /// Who, with its name.
    pub pid: Pid,
    /// The name of its type.
    pub type_name: &'static str,
    /// Why; a panic has its place in it.
    pub reason: Reason,
    /// The name of the type of message whose handler panicked, or let it stop; none if it was no handler of
    /// a message, or a timer's.
    pub message: Option<&'static str>,
    /// How many messages it had handled.
    pub handled: u64,
    /// How many messages wait in its mailbox.
    pub queue_len: usize,
    /// Who started it, if that was an actor.
    pub parent: Option<Pid>,
    /// Whom it is linked to, by number: who hears of this next.
    pub links: Vec<Pid>,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {:?} crashed: {}", self.pid, self.reason)?;
        write!(f, "\n  {}", self.type_name)?;
        if let Some(message) = self.message {
            write!(f, ", handling {message}")?;
        }
        write!(f, "; {} handled, {} queued", self.handled, self.queue_len)?;
        if let Some(parent) = &self.parent {
            write!(f, "; started by {parent:?}")?;
        }
        for (n, link) in self.links.iter().enumerate() {
            let before = if n == 0 { "; linked to" } else { "," };
            write!(f, "{before} {link:?}")?;
        }
        Ok(())
    }
}

/// Reports a crash. The caller is the owner, and is about to tell of the end.
#[cold]
pub(crate) fn crash(cell: &CellRef, reason: &Reason) {
    if !super::is_on() {
        return;
    }
    let of = |own: &mut Owned| {
        let more = own.more.as_deref();
        let links = more.map(|more| more.links.peers().map(CellRef::pid));
        let mut links: Vec<_> = links.into_iter().flatten().collect();
        links.sort();
        Crash {
            pid: cell.pid(),
            type_name: (cell.vtable.type_name)(),
            reason: reason.clone(),
            message: more.and_then(|more| more.last).map(|name| name()),
            handled: own.handled,
            queue_len: cell.mailbox_len().saturating_sub(own.untold as usize),
            parent: own.parent.as_ref().map(CellRef::pid),
            links,
        }
    };
    let crash = with(cell, of);
    super::tell(&Incident::Crash(crash));
}

impl Owned {
    /// A handler has returned: notes which one if the actor ends of it with an error.
    #[inline]
    pub(crate) fn note_last(&mut self, name: Option<fn() -> &'static str>) {
        if self.fails {
            self.more().last = name;
        }
    }
}

/// Notes which handler it was, if one that awaits panics, or is dropped where it awaits.
///
/// Made and dropped by the owner of the cell, which holds no reference to its part.
pub(crate) struct Noting<'a> {
    pub(crate) cell: &'a CellRef,
    pub(crate) name: fn() -> &'static str,
}

impl Noting<'_> {
    /// The handler has returned.
    pub(crate) fn done(self) {
        with(self.cell, |own| own.note_last(Some(self.name)));
        std::mem::forget(self);
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        with(self.cell, |own| own.more().last = Some(self.name));
    }
}

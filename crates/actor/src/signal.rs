//! Signals: what actors and observers tell an actor besides messages.
//!
//! A signal *arrives* when the actor takes its inbox, before its next message; what it has to tell the
//! actor's own code (an exit that is trapped, a down, a stop) then waits among the messages for its turn.

use crate::answer::Giver;
use crate::cell::{CellRef, Header};
use crate::ends::AtEnd;
use crate::mailbox::letter::{Class, Delivery, Kind, Letter};
use crate::owned::Owned;
use crate::pid::Pid;
use crate::reason::Reason;

pub(crate) enum Signal {
    /// An exit signal.
    Exit {
        from: Pid,
        reason: Reason,
        cause: Cause,
    },
    /// The sender has linked itself to the receiver.
    Link { from: CellRef },
    /// The sender has unlinked itself; `id` comes back with the answer.
    Unlink { from: CellRef, id: u64 },
    /// The receiver of an `Unlink` has taken note.
    Unlinked { from: u64, id: u64 },
    /// Somebody wants to be told of the receiver's end.
    Monitor { reference: u64, watcher: Observer },
    /// He does not any more.
    Demonitor { reference: u64 },
    /// An actor that the receiver monitors has ended.
    Down {
        reference: u64,
        pid: Pid,
        reason: Reason,
    },
    /// The receiver shall stop.
    Stop { reason: Reason },
    /// A message was sent to a full mailbox whose policy is to stop.
    Overflow,
    /// Somebody looks into the receiver's own part. Runs none of the user's code.
    Inspect(Box<dyn FnOnce(&mut Owned) + Send>),
}

/// Why there is an exit signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The actor at the other end of a link has ended.
    Link,
    /// Somebody sent it.
    Sent,
}

/// Who is told of an end.
pub(crate) enum Observer {
    Actor(CellRef),
    Outside(Giver<Reason>),
    /// Not told but called: see [`ends`](crate::ends).
    Hook(AtEnd),
}

static CLASS: Class = Class {
    kind: Kind::Signal,
    name: None,
    deliver,
    discard: Letter::discard::<Signal>,
};

/// # Safety
/// Signals are not delivered by their class: see `run`.
unsafe fn deliver(_: Letter, _: &CellRef) -> Delivery {
    unreachable!("a signal is performed, not delivered")
}

impl Signal {
    pub(crate) fn into_letter(self) -> Letter {
        Letter::new(&CLASS, self)
    }

    /// Takes the signal out of a letter of kind `Signal`.
    pub(crate) fn from_letter(letter: Letter) -> Signal {
        debug_assert_eq!(letter.class().kind, Kind::Signal);
        // SAFETY: only `into_letter` makes letters of this kind.
        unsafe { letter.open::<Signal>() }
    }

    /// Whether all it does is done when its turn comes among the messages.
    pub(crate) fn is_event(&self) -> bool {
        matches!(self, Signal::Stop { .. } | Signal::Down { .. })
    }

    /// Looks at the signal in a letter, if it is one.
    pub(crate) fn of(letter: &Letter) -> Option<&Signal> {
        // SAFETY: only `into_letter` makes letters of this kind.
        (letter.class().kind == Kind::Signal).then(|| unsafe { letter.peek::<Signal>() })
    }
}

impl Header {
    /// Sends a signal. False: the actor has ended.
    pub(crate) fn send(&self, signal: Signal) -> bool {
        match self.hooks() {
            None => self.put_signal(signal),
            Some(hooks) => hooks.signal(self, signal),
        }
    }

    /// As `send`, past the hooks.
    pub(crate) fn put_signal(&self, signal: Signal) -> bool {
        self.push_urgently(signal.into_letter()).is_ok()
    }
}

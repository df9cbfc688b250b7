//! Which actors and signals a fault is for.

use crate::actor::Actor;
use crate::cell::Header;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::signal::{Cause, Signal};
use std::any::TypeId;
use std::sync::Arc;

/// Which actors a fault is for.
///
/// Made of a [`Pid`] or a name, or by a function here. A name is that of the start's options.
///
/// ```
/// use weftwork_actor::testing::Target;
///
/// let named: Target = "logger".into();
/// let others = [Target::any(), Target::test()];
/// # let _ = (named, others);
/// ```
#[derive(Debug, Clone)]
pub struct Target(Which);

#[derive(Debug, Clone)]
enum Which {
    Any,
    Test,
    Pid(u64),
    Name(Arc<str>),
    Type(TypeId),
}

impl Target {
    /// All actors, and the test.
    #[must_use]
    pub fn any() -> Self {
        Target(Which::Any)
    }

    /// Code outside of any actor: the test.
    #[must_use]
    pub fn test() -> Self {
        Target(Which::Test)
    }

    /// All actors of a type.
    #[must_use]
    pub fn actor<A: Actor>() -> Self {
        Target(Which::Type(TypeId::of::<A>()))
    }

    /// Whether it is for this actor; `None` is the test.
    pub(super) fn is(&self, cell: Option<&Header>) -> bool {
        match (&self.0, cell) {
            (Which::Any, _) | (Which::Test, None) => true,
            (_, None) | (Which::Test, Some(_)) => false,
            (Which::Pid(number), Some(cell)) => cell.number == *number,
            (Which::Name(name), Some(cell)) => cell.name.as_deref() == Some(name),
            (Which::Type(id), Some(cell)) => (cell.vtable.type_id)() == *id,
        }
    }
}

impl From<&Pid> for Target {
    fn from(pid: &Pid) -> Self {
        match pid.number() {
            0 => Target::test(),
            number => Target(Which::Pid(number)),
        }
    }
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Target(Which::Name(name.into()))
    }
}

/// The signals that a fault can be for. A kill is none of them: nothing keeps it from arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalKind {
    /// Any of the others.
    Any,
    /// The sender has linked itself to the receiver.
    Link,
    /// The sender has unlinked itself.
    Unlink,
    /// The sender has ended, and the two were linked.
    LinkExit,
    /// An exit signal that was sent by [`Pid::exit`].
    Exit,
    /// The sender wants to be told of the receiver's end.
    Monitor,
    /// It does not any more.
    Demonitor,
    /// The sender has ended, and was monitored.
    Down,
    /// The receiver is to stop.
    Stop,
}

impl SignalKind {
    /// Which kind it is, if it is one that a trace tells of.
    pub(super) fn of(signal: &Signal) -> Option<SignalKind> {
        Some(match signal {
            Signal::Exit {
                cause: Cause::Link, ..
            } => SignalKind::LinkExit,
            Signal::Exit { .. } => SignalKind::Exit,
            Signal::Link { .. } => SignalKind::Link,
            Signal::Unlink { .. } => SignalKind::Unlink,
            Signal::Monitor { .. } => SignalKind::Monitor,
            Signal::Demonitor { .. } => SignalKind::Demonitor,
            Signal::Down { .. } => SignalKind::Down,
            Signal::Stop { .. } => SignalKind::Stop,
            Signal::Unlinked { .. } | Signal::Overflow | Signal::Inspect(_) => return None,
        })
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            SignalKind::Any => "signal",
            SignalKind::Link => "link",
            SignalKind::Unlink => "unlink",
            SignalKind::LinkExit => "exit of a link",
            SignalKind::Exit => "exit",
            SignalKind::Monitor => "monitor",
            SignalKind::Demonitor => "demonitor",
            SignalKind::Down => "down",
            SignalKind::Stop => "stop",
        }
    }

    /// Whether a fault for `self` is for a signal of this kind.
    pub(super) fn covers(self, kind: SignalKind) -> bool {
        self == SignalKind::Any || self == kind
    }
}

/// Whether it is the signal that nothing keeps from arriving.
pub(super) fn is_kill(signal: &Signal) -> bool {
    let reason = match signal {
        Signal::Exit {
            reason,
            cause: Cause::Sent,
            ..
        } => reason,
        _ => return false,
    };
    matches!(reason, Reason::Kill)
}

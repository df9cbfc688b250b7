//! What to be told about a file descriptor, and how often.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// The conditions a registration asks for; combine them with `|`.
///
/// Errors and hang-ups are reported whatever was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// A read would not block: data, an incoming connection, or the end of the stream.
    pub const READABLE: Interest = Interest(1 << 0);
    /// A write would not block.
    pub const WRITABLE: Interest = Interest(1 << 1);
    /// Exceptional data, such as TCP's out-of-band byte.
    pub const PRIORITY: Interest = Interest(1 << 2);
    /// The peer shut down its writing half.
    pub const READ_CLOSED: Interest = Interest(1 << 3);
    /// Both directions and half-close: what a connected stream registers once, for its whole life.
    pub const DUPLEX: Interest =
        Interest(Self::READABLE.0 | Self::WRITABLE.0 | Self::READ_CLOSED.0);

    const NAMES: [(Interest, &'static str); 4] = [
        (Self::READABLE, "READABLE"),
        (Self::WRITABLE, "WRITABLE"),
        (Self::PRIORITY, "PRIORITY"),
        (Self::READ_CLOSED, "READ_CLOSED"),
    ];

    /// Tells whether every condition of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the union, as `|` does, in a constant expression.
    #[must_use]
    pub const fn with(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// Returns `self` without the conditions of `other`, or `None` if nothing would be left.
    #[must_use]
    pub const fn without(self, other: Interest) -> Option<Interest> {
        match self.0 & !other.0 {
            0 => None,
            rest => Some(Interest(rest)),
        }
    }
}

impl BitOr for Interest {
    type Output = Interest;
    fn bitor(self, other: Interest) -> Interest {
        self.with(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = self.with(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (interest, name) in Self::NAMES {
            if self.contains(interest) {
                write!(f, "{separator}{name}")?;
                separator = " | ";
            }
        }
        Ok(())
    }
}

/// How often a condition is reported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Once per change. The user performs I/O until it would block, or keeps a note that it did
    /// not.
    Edge,
    /// By every wait for as long as the condition holds.
    Level,
    /// Once, then nothing until [`modify`](crate::Poller::modify) arms it again, which reports a
    /// condition that still holds. Among several waiting threads exactly one gets the event.
    Oneshot,
    /// As [`Oneshot`](Self::Oneshot), and edge-triggered while armed.
    EdgeOneshot,
}

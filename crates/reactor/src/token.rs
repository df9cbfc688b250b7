//! The name under which the kernel reports a registration: a slot and the generation of its tenant.

use std::fmt;

/// What an [`Event`](crate::Event) is delivered under: a slot index and a generation, 32 bits each.
///
/// A file descriptor number is reused as soon as it is closed, and an event for its former owner
/// may still be on its way. The generation tells the two apart: whoever owns a slot raises it when
/// the tenant changes and drops events that carry an old one. [`Driver`](crate::Driver) does this;
/// users of a bare [`Poller`](crate::Poller) may give the two halves any meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Token(pub u64);

impl Token {
    /// The one value a user may not register: it marks the poller's own wake event.
    pub const RESERVED: Token = Token(u64::MAX);

    /// Joins a slot index and a generation.
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> Self {
        Token(index as u64 | (generation as u64) << 32)
    }

    /// Returns the slot index.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// Returns the generation.
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}.{})", self.index(), self.generation())
    }
}

//! How many messages a mailbox holds, and what happens to one more.

/// The size of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mailbox {
    /// Takes so many messages; what happens then is told by `on_full`. Signals always get in: they are
    /// few, and bounded by the links, monitors and stops that a program makes.
    Bounded {
        /// How many messages, at least one.
        capacity: usize,
        /// What happens to one more.
        on_full: OnFull,
    },
    /// Takes as many as memory holds.
    Unbounded,
}

/// What a full mailbox does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum OnFull {
    /// Lets the sender wait for room; those who do not wait get the message back.
    #[default]
    Wait,
    /// Hands the message back.
    Fail,
    /// Drops the message. The sender is not told.
    DropNewest,
    /// Drops the oldest message of the lowest priority, to make room. The sender is not told.
    DropOldest,
    /// Hands the message back, and stops the actor.
    StopActor,
}

impl Mailbox {
    /// A mailbox of so many messages, whose senders wait when it is full.
    ///
    /// # Panics
    /// `capacity` is zero: an actor takes its messages out of the mailbox.
    #[must_use]
    pub const fn bounded(capacity: usize) -> Self {
        Mailbox::with(capacity, OnFull::Wait)
    }

    /// A mailbox of so many messages.
    ///
    /// # Panics
    /// As [`bounded`](Self::bounded).
    #[must_use]
    pub const fn with(capacity: usize, on_full: OnFull) -> Self {
        assert!(capacity > 0, "a mailbox without room gets no messages");
        Mailbox::Bounded { capacity, on_full }
    }

    pub(crate) fn parts(self) -> (usize, OnFull) {
        match self {
            Mailbox::Bounded { capacity, on_full } => (capacity.clamp(1, usize::MAX >> 2), on_full),
            Mailbox::Unbounded => (usize::MAX >> 2, OnFull::Fail),
        }
    }
}

/// 1024 messages; senders wait.
impl Default for Mailbox {
    fn default() -> Self {
        Mailbox::bounded(1024)
    }
}

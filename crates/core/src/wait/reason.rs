//! The words for what a task waits for, as dumps and reports show them. Stable, all in this file.

use std::fmt;

/// What a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(&'static str);

impl Reason {
    /// A `park` with no further meaning.
    pub const PARK: Reason = Reason("park");
    /// The end of a task.
    pub const JOIN: Reason = Reason("join");
    /// The end of all tasks of a scope.
    pub const SCOPE: Reason = Reason("scope");
    /// The other half of a fork-join.
    pub const FORK_JOIN: Reason = Reason("fork_join");
    /// A point in time.
    pub const SLEEP: Reason = Reason("sleep");
    /// A future, driven by `block_on`.
    pub const BLOCK_ON: Reason = Reason("block_on");
    /// A closure in the blocking pool.
    pub const BLOCKING: Reason = Reason("blocking");
    /// A turn of others: `yield_now`, or the end of a time slice.
    pub const YIELD: Reason = Reason("yield");
    /// A file descriptor to become readable.
    pub const READ: Reason = Reason("read");
    /// A file descriptor to become writable.
    pub const WRITE: Reason = Reason("write");
    /// A connection to accept.
    pub const ACCEPT: Reason = Reason("accept");
    /// A connection to be made.
    pub const CONNECT: Reason = Reason("connect");
    /// The end of a runtime.
    pub const SHUTDOWN: Reason = Reason("shutdown");

    /// A reason of another crate: a lower-case snake-case word that stays as it is.
    #[must_use]
    pub const fn new(word: &'static str) -> Reason {
        Reason(word)
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

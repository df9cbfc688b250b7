//! How an actor is started.

use crate::mailbox::{Mailbox, OnFull};
use std::sync::Arc;
use std::time::Duration;

/// What an actor is started with, besides its arguments.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::{Mailbox, OnFull, Options};
///
/// let options = Options::new()
///     .name("logger")
///     .mailbox(Mailbox::with(64, OnFull::DropOldest))
///     .timeout(Duration::from_secs(1));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) mailbox: Mailbox,
    pub(crate) is_linked: bool,
    pub(crate) timeout: Option<Duration>,
}

impl Options {
    /// No name, a mailbox of 1024 messages whose senders wait, no link, all the time that `init` takes.
    #[must_use]
    pub fn new() -> Self {
        Options::default()
    }

    /// Names the actor, for reports. The name is not registered and need not be unique.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says how large the mailbox is, and what happens when it is full.
    #[must_use]
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Gives `init` so long; then the actor is killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn linked(mut self) -> Self {
        self.is_linked = true;
        self
    }

    pub(crate) fn mailbox_parts(&self) -> (usize, OnFull) {
        self.mailbox.parts()
    }
}

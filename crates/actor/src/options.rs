//! How an actor is started.

use crate::mailbox::limit::Limit;
use crate::mailbox::{Mailbox, OnFull};
use crate::registry::{Registrations, Via};
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
    pub(crate) registrations: Registrations,
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

    /// Registers the actor under `name`, before its `init` runs and until it has ended: see
    /// [`registry`](crate::registry). If the name is taken there is no new actor. An actor without a
    /// [`name`](Self::name) is reported under this one. May be called several times, for several names.
    #[must_use]
    pub fn register(mut self, via: impl Via, name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        self.name.get_or_insert_with(|| Arc::clone(&name));
        self.registrations.add(via, name);
        self
    }

    pub(crate) fn linked(mut self) -> Self {
        self.is_linked = true;
        self
    }

    pub(crate) fn mailbox_parts(&self) -> (Limit, OnFull) {
        self.mailbox.parts()
    }
}

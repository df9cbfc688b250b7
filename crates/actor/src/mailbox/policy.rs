//! How much a mailbox holds, and what happens to one message more.

use super::limit::Limit;

/// The size of a mailbox.
///
/// ```
/// use weftwork_actor::{Mailbox, OnFull, Options};
///
/// let patient = Options::new().mailbox(Mailbox::bounded(10_000));
/// let latest = Options::new().mailbox(Mailbox::with(16, OnFull::DropOldest));
/// let endless = Options::new().mailbox(Mailbox::Unbounded);
/// # let _ = (patient, latest, endless);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mailbox {
    /// Takes so many messages; what happens then is told by `on_full`. Signals always get in: they are
    /// few, and bounded by the links, monitors and stops that a program makes.
    Bounded {
        /// How many messages, at least one. From 128 on they are counted in batches of a 64th at most, so a few
        /// less may get in, never more.
        capacity: usize,
        /// How many bytes, if those are bounded, too: see [`bytes`](Mailbox::bytes).
        bytes: Option<usize>,
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
        Mailbox::Bounded {
            capacity,
            bytes: None,
            on_full,
        }
    }

    /// Bounds the bytes of the messages, too. The mailbox is full when either would be passed. An unbounded
    /// one is bounded by bytes alone, and its senders wait.
    ///
    /// What a message counts for is told by [`Handler::weigh`](crate::Handler::weigh): its own size, unless
    /// the handler says more. One that is heavier than the limit gets in when no other byte is there. What
    /// an actor sends itself, and its timers do, is counted by number alone.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Mailbox, OnFull, Options, start};
    ///
    /// struct Printer;
    ///
    /// impl Actor for Printer {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Printer)
    ///     }
    /// }
    ///
    /// impl Handler<String> for Printer {
    ///     type Reply = ();
    ///     fn weigh(text: &String) -> usize {
    ///         text.len()
    ///     }
    ///     fn handle(&mut self, text: String, _: &mut Context<Self>) {
    ///         println!("{text}");
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let mailbox = Mailbox::with(1000, OnFull::Fail).bytes(1 << 20);
    /// let printer = start::<Printer>(rt.handle(), (), Options::new().mailbox(mailbox))?;
    /// printer.tell("hello".into()).unwrap();
    /// # printer.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// `most` is zero.
    #[must_use]
    pub const fn bytes(self, most: usize) -> Self {
        assert!(most > 0, "a mailbox without room gets no messages");
        let (capacity, on_full) = match self {
            Mailbox::Bounded {
                capacity, on_full, ..
            } => (capacity, on_full),
            Mailbox::Unbounded => (usize::MAX, OnFull::Wait),
        };
        Mailbox::Bounded {
            capacity,
            bytes: Some(most),
            on_full,
        }
    }

    pub(crate) fn parts(self) -> (Limit, OnFull) {
        match self {
            Mailbox::Bounded {
                capacity,
                bytes: None,
                on_full,
            } => (Limit::messages(capacity.max(1)), on_full),
            Mailbox::Bounded {
                capacity,
                bytes: Some(bytes),
                on_full,
            } => (Limit::bytes(capacity.max(1), bytes.max(1)), on_full),
            Mailbox::Unbounded => (Limit::messages(usize::MAX), OnFull::Fail),
        }
    }
}

/// 1024 messages; senders wait.
impl Default for Mailbox {
    fn default() -> Self {
        Mailbox::bounded(1024)
    }
}

//! The address of whoever answers questions of one type.

use crate::accept::Accepts;
use crate::addr::Addr;
use crate::ask;
use crate::cell::CellRef;
use crate::error::AskError;
use crate::pid::Pid;
use crate::recipient::Recipient;
use crate::reply::ReplyTo;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::time::Duration;

/// Where questions of type `M` can be asked that are answered with `R`, whatever actor answers them. Made by
/// [`Addr::reply_recipient`].
///
/// ```
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, ReplyRecipient, start};
///
/// struct Len;
/// struct Words;
/// # macro_rules! actors { ($($a:ident)*) => {$(
/// # impl Actor for $a {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
/// #         Ok($a)
/// #     }
/// # })*} }
/// # actors!(Len Words);
///
/// impl Handler<&'static str> for Len {
///     type Reply = usize;
///     fn handle(&mut self, text: &'static str, _: &mut Context<Self>) -> usize {
///         text.len()
///     }
/// }
///
/// impl Handler<&'static str> for Words {
///     type Reply = usize;
///     fn handle(&mut self, text: &'static str, _: &mut Context<Self>) -> usize {
///         text.split(' ').count()
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let len = start::<Len>(rt.handle(), (), Options::new())?;
/// let words = start::<Words>(rt.handle(), (), Options::new())?;
/// let counters: Vec<ReplyRecipient<&str, usize>> =
///     vec![len.reply_recipient(), words.reply_recipient()];
/// let counts: Vec<_> = counters.iter().map(|to| to.ask("to and fro").unwrap()).collect();
/// assert_eq!(counts, [10, 3]);
/// # len.kill();
/// # words.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReplyRecipient<M: 'static, R: 'static> {
    to: Recipient<M>,
    table: &'static Table<M, R>,
}

type Answer<M, R> = Result<R, AskError<M>>;
type Asking<M, R> = Pin<Box<dyn Future<Output = Answer<M, R>> + Send>>;

struct Table<M, R> {
    ask: fn(&CellRef, M, Duration) -> Answer<M, R>,
    ask_async: fn(CellRef, M, Duration) -> Asking<M, R>,
    forward: fn(&CellRef, M, ReplyTo<R>),
}

impl<M: Send + 'static, R: Send + 'static> ReplyRecipient<M, R> {
    pub(crate) fn of<A, K>(cell: &CellRef) -> Self
    where
        A: Accepts<M, K, Reply = R>,
        K: 'static,
    {
        ReplyRecipient {
            to: Recipient::of::<A, K>(cell.clone()),
            table: const {
                &Table {
                    ask: |cell, message, timeout| ask::ask::<A, M, K>(cell, message, timeout),
                    ask_async: |cell, message, timeout| {
                        Box::pin(
                            async move { ask::ask_async::<A, M, K>(&cell, message, timeout).await },
                        )
                    },
                    forward: |cell, message, reply| {
                        Addr::<A>::of(cell.clone()).forward::<M, K>(message, reply);
                    },
                }
            },
        }
    }

    /// Who the actor is.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.to.pid()
    }

    /// Whether the actor has not ended. It may be about to.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.to.is_alive()
    }

    /// The address for telling the same actor.
    #[must_use]
    pub fn recipient(&self) -> &Recipient<M> {
        &self.to
    }

    /// Sends a message and waits for the answer: see [`Addr::ask`].
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn ask(&self, message: M) -> Result<R, AskError<M>> {
        self.ask_timeout(message, ask::DEFAULT)
    }

    /// As [`ask`](Self::ask), waiting for so long at most; [`Duration::MAX`] is for ever.
    ///
    /// # Errors
    /// As `ask`.
    #[track_caller]
    pub fn ask_timeout(&self, message: M, timeout: Duration) -> Result<R, AskError<M>> {
        (self.table.ask)(self.to.cell(), message, timeout)
    }

    /// As [`ask`](Self::ask), for the caller that awaits. It costs an allocation more than
    /// [`Addr::ask_async`].
    ///
    /// # Errors
    /// As `ask`.
    pub async fn ask_async(&self, message: M) -> Result<R, AskError<M>> {
        self.ask_async_timeout(message, ask::DEFAULT).await
    }

    /// As [`ask_async`](Self::ask_async), waiting for so long at most.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn ask_async_timeout(&self, message: M, timeout: Duration) -> Result<R, AskError<M>> {
        (self.table.ask_async)(self.to.cell().clone(), message, timeout).await
    }

    /// Passes a question on: see [`Addr::forward`].
    pub fn forward(&self, message: M, reply: ReplyTo<R>) {
        (self.table.forward)(self.to.cell(), message, reply);
    }
}

impl<M, R> Clone for ReplyRecipient<M, R> {
    fn clone(&self) -> Self {
        ReplyRecipient {
            to: self.to.clone(),
            table: self.table,
        }
    }
}

/// Equal if they are of one actor.
impl<M, R> PartialEq for ReplyRecipient<M, R> {
    fn eq(&self, other: &Self) -> bool {
        self.to == other.to
    }
}

impl<M, R> Eq for ReplyRecipient<M, R> {}

impl<M, R> Hash for ReplyRecipient<M, R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to.hash(state);
    }
}

impl<M, R> fmt::Debug for ReplyRecipient<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReplyRecipient")
            .field(&self.to.cell().pid())
            .finish()
    }
}

//! The address of whoever takes messages of one type.

use crate::accept::{self, Accepts};
use crate::ask;
use crate::cell::{CellRef, Header};
use crate::dead_letters::{self, Cause};
use crate::error::{SendError, SendErrorKind};
use crate::mailbox::letter::Letter;
use crate::mailbox::limit::Load;
use crate::pid::Pid;
use crate::reply::Back;
use crate::send::{self, Verdict};
use std::any::type_name;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

/// Where messages of type `M` can be sent, whatever actor takes them. Made by
/// [`Addr::recipient`](crate::Addr::recipient). To ask there is [`ReplyRecipient`](crate::ReplyRecipient).
///
/// ```
/// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
/// # }
/// # impl Handler<u32> for Echo {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::Recipient;
///
/// /// Tells whoever takes numbers.
/// fn count_to(n: u32, to: &Recipient<u32>) -> Result<(), weftwork_actor::SendError<u32>> {
///     (1..=n).try_for_each(|n| to.tell(n))
/// }
///
/// let echo = start::<Echo>(rt.handle(), (), Options::new())?;
/// count_to(3, &echo.recipient())?;
/// # echo.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recipient<M: 'static> {
    cell: CellRef,
    table: &'static Table<M>,
}

struct Table<M> {
    put: fn(M) -> Letter,
    take: fn(Letter) -> M,
    load: fn(&Header, &M) -> Load,
}

impl<M> Recipient<M> {
    pub(crate) fn cell(&self) -> &CellRef {
        &self.cell
    }
}

impl<M: Send + 'static> Recipient<M> {
    pub(crate) fn of<A, K>(cell: CellRef) -> Self
    where
        A: Accepts<M, K>,
        K: 'static,
    {
        Recipient {
            cell,
            table: const {
                &Table {
                    put: |message| accept::letter::<A, M, K>(message, Back::none()),
                    take: ask::message_of::<A, M, K>,
                    load: send::load::<A, M, K>,
                }
            },
        }
    }

    /// Who the actor is.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.cell.pid()
    }

    /// Whether the actor has not ended. It may be about to.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.cell.is_alive()
    }

    /// Sends a message: see [`Addr::tell`](crate::Addr::tell).
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn tell(&self, message: M) -> Result<(), SendError<M>> {
        let load = (self.table.load)(&self.cell, &message);
        let verdict = send::admit(&self.cell, load, None);
        self.post(message, load, verdict)
    }

    /// Sends a message without waiting: see [`Addr::try_tell`](crate::Addr::try_tell).
    ///
    /// # Errors
    /// As there.
    pub fn try_tell(&self, message: M) -> Result<(), SendError<M>> {
        let load = (self.table.load)(&self.cell, &message);
        let verdict = send::try_admit(&self.cell, load);
        self.post(message, load, verdict)
    }

    /// Sends a message, waiting for so long at most.
    ///
    /// # Errors
    /// As [`tell`](Self::tell), or the time was over first.
    #[track_caller]
    pub fn tell_timeout(&self, message: M, timeout: Duration) -> Result<(), SendError<M>> {
        let load = (self.table.load)(&self.cell, &message);
        let verdict = send::admit(&self.cell, load, self.cell.clock().deadline_after(timeout));
        self.post(message, load, verdict)
    }

    /// As [`tell`](Self::tell), waiting until `deadline` at most.
    ///
    /// # Errors
    /// As `tell`, or the deadline passed first.
    #[track_caller]
    pub fn tell_deadline(&self, message: M, deadline: Instant) -> Result<(), SendError<M>> {
        let load = (self.table.load)(&self.cell, &message);
        let verdict = send::admit(&self.cell, load, Some(deadline));
        self.post(message, load, verdict)
    }

    /// The same as [`try_tell`](Self::try_tell), under OTP's name.
    ///
    /// # Errors
    /// As `try_tell`.
    pub fn cast(&self, message: M) -> Result<(), SendError<M>> {
        self.try_tell(message)
    }

    /// As [`tell`](Self::tell), for the caller that awaits.
    ///
    /// # Errors
    /// As `tell`.
    pub async fn tell_async(&self, message: M) -> Result<(), SendError<M>> {
        let load = (self.table.load)(&self.cell, &message);
        let verdict = send::admit_async(&self.cell, load).await;
        self.post(message, load, verdict)
    }

    /// Sends a message however full the mailbox is, as [`Context::send_self`](crate::Context::send_self).
    ///
    /// # Errors
    /// The actor has ended. Here is the message.
    pub(crate) fn push_anyway(&self, message: M) -> Result<(), M> {
        self.cell.room.admit(Load::ONE);
        send::push(&self.cell, (self.table.put)(message), Load::ONE)
            .map_err(|letter| (self.table.take)(letter))
    }

    fn post(&self, message: M, load: Load, verdict: Verdict) -> Result<(), SendError<M>> {
        match verdict {
            Verdict::Push => send::push(&self.cell, (self.table.put)(message), load)
                .map_err(|letter| SendError::new(SendErrorKind::Dead, (self.table.take)(letter))),
            Verdict::Drop => {
                dead_letters::report(&self.cell, type_name::<M>(), Cause::Full);
                Ok(())
            }
            Verdict::Refuse(kind) => Err(SendError::new(kind, message)),
            Verdict::Wait => Err(SendError::new(SendErrorKind::Full, message)),
        }
    }
}

impl<M> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Recipient {
            cell: self.cell.clone(),
            table: self.table,
        }
    }
}

/// Equal if they are of one actor.
impl<M> PartialEq for Recipient<M> {
    fn eq(&self, other: &Self) -> bool {
        self.cell == other.cell
    }
}

impl<M> Eq for Recipient<M> {}

impl<M> Hash for Recipient<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cell.number.hash(state);
    }
}

impl<M> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recipient").field(&self.cell.pid()).finish()
    }
}

//! Counts of the process, and samples for those who want them.
//!
//! With nobody listening a dead letter costs an addition. The samples are limited: a storm of dead letters
//! must not become a storm of messages about it.

#[cfg(not(weftwork_loom))]
use super::listeners;
use crate::cell::CellRef;
use crate::mailbox::chain::Chain;
use crate::mailbox::letter::{Kind, Letter};
use crate::mailbox::weighed;
use crate::pid::Pid;
use crate::recipient::Recipient;
// Outside the models: counts, which are no part of any protocol.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A message that nobody handled.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Whom it was for.
    pub to: Pid,
    /// The name of the message's type.
    pub message: &'static str,
    /// Why it was not handled.
    pub cause: Cause,
    /// How many were not told since the one before.
    pub skipped: u64,
}

/// Why a message was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The actor ended first.
    Ended,
    /// The mailbox was full, and dropped it or an older one.
    Full,
    /// A question was [forwarded](crate::Context::forward) to an actor that had ended or was full.
    Forward,
}

/// How many messages of this process nobody has handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Because the actor ended first.
    pub ended: u64,
    /// Because the mailbox was full, and one that drops.
    pub full: u64,
    /// Because a question was forwarded in vain.
    pub forward: u64,
}

static ENDED: AtomicU64 = AtomicU64::new(0);
static FULL: AtomicU64 = AtomicU64::new(0);
static FORWARD: AtomicU64 = AtomicU64::new(0);
/// Somebody listens.
pub(super) static IS_ON: AtomicBool = AtomicBool::new(false);

/// Counts the messages that nobody has handled since the program began.
///
/// ```
/// let counts = weftwork_actor::dead_letters::counts();
/// assert_eq!(counts.ended + counts.full + counts.forward, 0);
/// ```
#[must_use]
pub fn counts() -> Counts {
    // Relaxed: counts.
    Counts {
        ended: ENDED.load(Ordering::Relaxed),
        full: FULL.load(Ordering::Relaxed),
        forward: FORWARD.load(Ordering::Relaxed),
    }
}

/// Tells an actor of dead letters, of at most `per_second` of them per second (at least one), until it ends.
/// What does not get into its mailbox is skipped.
///
/// ```
/// use weftwork_actor::dead_letters::{self, DeadLetter};
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
///
/// struct Operator;
///
/// impl Actor for Operator {
///     type Args = ();
///     fn init(_: (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
///         dead_letters::subscribe(&ctx.addr().recipient(), 10);
///         Ok(Operator)
///     }
/// }
///
/// impl Handler<DeadLetter> for Operator {
///     type Reply = ();
///     fn handle(&mut self, letter: DeadLetter, _: &mut Context<Self>) {
///         eprintln!("{} for {:?}: {:?}", letter.message, letter.to, letter.cause);
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let operator = start::<Operator>(rt.handle(), (), Options::new())?;
/// # operator.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn subscribe(to: &Recipient<DeadLetter>, per_second: u32) {
    #[cfg(not(weftwork_loom))]
    listeners::add(to, per_second);
    #[cfg(weftwork_loom)]
    let _ = (to, per_second);
    // Relaxed: from now on, more or less.
    IS_ON.store(true, Ordering::Relaxed);
}

/// Notes a dead letter. Not called under a lock.
#[cold]
pub(crate) fn report(cell: &CellRef, message: &'static str, cause: Cause) {
    let count = match cause {
        Cause::Ended => &ENDED,
        Cause::Full => &FULL,
        Cause::Forward => &FORWARD,
    };
    // Relaxed: counts, and a switch.
    count.fetch_add(1, Ordering::Relaxed);
    if IS_ON.load(Ordering::Relaxed) {
        #[cfg(not(weftwork_loom))]
        listeners::tell(cell, message, cause);
        #[cfg(weftwork_loom)]
        let _ = (cell, message);
    }
}

/// Drops what an ended actor has not handled, letter by letter.
pub(crate) fn bury(cell: &CellRef, mut letters: Chain) {
    while let Some(letter) = letters.pop_front() {
        note(cell, letter);
    }
}

/// Drops a letter that an ended actor has not handled.
pub(crate) fn note(cell: &CellRef, letter: Letter) {
    let (_, letter) = weighed::open(letter);
    let class = letter.class();
    if let (Kind::Message(_), Some(name)) = (class.kind, class.name) {
        report(cell, name(), Cause::Ended);
    }
    drop(letter);
}

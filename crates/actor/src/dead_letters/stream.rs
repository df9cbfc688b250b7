//! Counts of the process, and samples for those who want them.
//!
//! With nobody listening a dead letter costs an addition. The samples are limited by a bucket that holds one
//! second's worth: a storm of dead letters must not become a storm of messages about it. What a listener's
//! own mailbox drops is not told to it.

use crate::cell::CellRef;
use crate::mailbox::chain::Chain;
use crate::mailbox::letter::{Kind, Letter};
use crate::pid::Pid;
use crate::recipient::Recipient;
use std::cell::Cell;
// Outside the models: counts, which are no part of any protocol.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
static IS_ON: AtomicBool = AtomicBool::new(false);

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

struct Listener {
    to: Recipient<DeadLetter>,
    bucket: Bucket,
}

/// Lets so many through per second.
struct Bucket {
    per_second: f64,
    level: f64,
    filled: Instant,
    skipped: u64,
}

impl Bucket {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Bucket {
            per_second,
            level: per_second,
            filled: now,
            skipped: 0,
        }
    }

    /// Lets one through, with the count of those that were not; or counts it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let passed = now
            .saturating_duration_since(self.filled)
            .min(Duration::from_secs(1));
        self.level = (self.level + passed.as_secs_f64() * self.per_second).min(self.per_second);
        self.filled = now;
        if self.level < 1.0 {
            self.skipped += 1;
            return None;
        }
        self.level -= 1.0;
        Some(std::mem::take(&mut self.skipped))
    }
}

/// The threads of a model have no static locks.
#[cfg(not(weftwork_loom))]
static LISTENERS: weftwork_core::sync::Mutex<Vec<Listener>> =
    weftwork_core::sync::Mutex::new(Vec::new());

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
    let listener = Listener {
        to: to.clone(),
        bucket: Bucket::new(per_second, Instant::now()),
    };
    #[cfg(not(weftwork_loom))]
    LISTENERS.lock().push(listener);
    #[cfg(weftwork_loom)]
    drop(listener);
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
        tell(cell, message, cause);
    }
}

thread_local! {
    /// A report is on its way: what it leads to is not reported.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

#[cfg(not(weftwork_loom))]
fn tell(cell: &CellRef, message: &'static str, cause: Cause) {
    if BUSY.replace(true) {
        return;
    }
    // A waker may panic below.
    let _done = Done;
    let now = Instant::now();
    let mut dead = Vec::new();
    let mut chosen = Vec::new();
    {
        let mut listeners = LISTENERS.lock();
        dead.extend(listeners.extract_if(.., |one| !one.to.is_alive()));
        IS_ON.store(!listeners.is_empty(), Ordering::Relaxed);
        for listener in listeners.iter_mut() {
            if let Some(skipped) = listener.bucket.take(now) {
                chosen.push((listener.to.clone(), skipped));
            }
        }
    }
    drop(dead);
    for (to, skipped) in chosen {
        let letter = DeadLetter {
            to: cell.pid(),
            message,
            cause,
            skipped,
        };
        // Full: then it is one that the listener misses.
        drop(to.try_tell(letter));
    }
}

struct Done;

impl Drop for Done {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

#[cfg(weftwork_loom)]
fn tell(_: &CellRef, _: &'static str, _: Cause) {}

/// Drops what an ended actor has not handled, letter by letter.
pub(crate) fn bury(cell: &CellRef, mut letters: Chain) {
    while let Some(letter) = letters.pop_front() {
        note(cell, letter);
    }
}

/// Drops a letter that an ended actor has not handled.
pub(crate) fn note(cell: &CellRef, letter: Letter) {
    let class = letter.class();
    if let (Kind::Message(_), Some(name)) = (class.kind, class.name) {
        report(cell, name(), Cause::Ended);
    }
    drop(letter);
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_measure_through_and_counts_the_rest() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, start);
        let took = |bucket: &mut Bucket, at| bucket.take(start + Duration::from_millis(at));
        let burst: Vec<_> = (0..5).map(|_| took(&mut bucket, 0)).collect();
        assert_eq!(burst, [Some(0), Some(0), Some(0), None, None]);
        // A third of a second fills one in.
        assert_eq!(took(&mut bucket, 340), Some(2));
        assert_eq!(took(&mut bucket, 341), None);
        // However long it was quiet, it holds one second's worth.
        let burst: Vec<_> = (0..4).map(|_| took(&mut bucket, 60_000)).collect();
        assert_eq!(burst, [Some(1), Some(0), Some(0), None]);
        assert_eq!(Bucket::new(0, start).take(start), Some(0));
    }
}

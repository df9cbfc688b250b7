//! Runs a transaction: attempt after attempt, until one commits, with waits in between.
//!
//! The loop is a machine of steps: [`Run::step`] makes attempts until it is done or has to wait for
//! something, and [`Run::resume`] polls for that. A thread drives it by waits, a future by its polls.
//!
//! After [`PATIENCE`] conflicts the transaction queues up for the serial turn, in which it cannot run into
//! anybody. So every transaction whose body ends commits, or waits for a change that it asked for.

use crate::commit::{self, Wakes};
use crate::current::{self, Entered, Running};
use crate::domain::domain;
use crate::error::{Never, Stm, TxError};
use crate::log::{Hook, Log};
use crate::reclaim;
use crate::serial::{Outside, Place, Turn};
use crate::tx::{Cause, Fate, Tx};
use crate::waiting::Registration;
use std::mem;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::task::{Context, Poll};
use weftwork_core::sync::{hint, thread};
use weftwork_core::wait::{self, Reason};

/// After how many conflicts a transaction asks for the serial turn.
pub(crate) const PATIENCE: u32 = if cfg!(weftwork_loom) { 1 } else { 8 };

/// What a transaction that retries waits for.
pub(crate) const RETRY: Reason = Reason::new("retry");
/// What a transaction waits for that another one keeps from committing.
pub(crate) const GATE: Reason = Reason::new("serial_turn");

/// A transaction between its attempts.
#[derive(Debug)]
pub(crate) struct Run {
    location: &'static Location<'static>,
    attempts: u32,
    conflicts: u32,
    wants_turn: bool,
    is_future: bool,
    turn: Option<Turn>,
    pause: Option<Pause>,
}

/// What the next attempt waits for.
#[derive(Debug)]
pub(crate) enum Pause {
    /// A change of something that was read.
    Change(Registration),
    /// The serial turn.
    Turn(Place),
    /// The end of the turn of another.
    Gate(Outside),
}

pub(crate) enum Step<R, E> {
    Done(Result<R, E>),
    /// Resume, then step again.
    Pause(Reason),
}

enum Outcome<R, E> {
    Commit(R),
    Abort(E),
    Conflict(Cause),
    Retry(Registration),
    /// What was read has changed meanwhile.
    Again,
    Serial,
}

impl Run {
    #[inline]
    pub(crate) fn new(location: &'static Location<'static>, is_future: bool) -> Run {
        Run {
            location,
            attempts: 0,
            conflicts: 0,
            wants_turn: false,
            is_future,
            turn: None,
            pause: None,
        }
    }

    /// Makes attempts until one commits, or the body aborts, or the next one has to wait.
    #[inline]
    pub(crate) fn step<R, E>(
        &mut self,
        body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
    ) -> Step<R, E> {
        loop {
            if self.wants_turn && self.turn.is_none() {
                self.pause = Some(Pause::Turn(Place::new(self.is_future)));
                return Step::Pause(GATE);
            }
            let outcome = self.attempt(body);
            self.attempts = self.attempts.saturating_add(1);
            match outcome {
                Outcome::Commit(result) => return Step::Done(Ok(result)),
                Outcome::Abort(reason) => return Step::Done(Err(reason)),
                Outcome::Retry(registration) => {
                    self.end_turn();
                    self.conflicts = 0;
                    self.pause = Some(Pause::Change(registration));
                    return Step::Pause(RETRY);
                }
                Outcome::Again => self.end_turn(),
                Outcome::Serial => self.wants_turn = true,
                Outcome::Conflict(cause) => {
                    self.conflicts += 1;
                    self.wants_turn = self.conflicts >= PATIENCE;
                    if !self.wants_turn {
                        if cause == Cause::Serial {
                            self.pause = Some(Pause::Gate(Outside::new()));
                            return Step::Pause(GATE);
                        }
                        self.back_off();
                    }
                }
            }
        }
    }

    /// Polls for what the next attempt waits for.
    pub(crate) fn resume(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let polled = match &mut self.pause {
            None => Poll::Ready(()),
            Some(Pause::Change(registration)) => registration.poll(context),
            Some(Pause::Gate(outside)) => outside.poll(context),
            Some(Pause::Turn(place)) => place.poll(context).map(|turn| self.turn = Some(turn)),
        };
        if polled.is_ready() {
            self.pause = None;
        }
        polled
    }

    fn end_turn(&mut self) {
        self.wants_turn = false;
        self.turn = None;
    }

    /// Lets the other one finish: longer with each conflict.
    #[cold]
    fn back_off(&self) {
        if self.conflicts > 3 {
            thread::yield_now();
        } else if !cfg!(weftwork_loom) {
            (0..1_u32 << (self.conflicts + 3)).for_each(|_| hint::spin_loop());
        }
    }

    #[inline]
    fn attempt<R, E>(
        &mut self,
        body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
    ) -> Outcome<R, E> {
        let tx = Tx::begin(
            current::take_log(),
            reclaim::pin(),
            self.attempts,
            self.turn.is_some(),
            self.location,
        );
        let unwound = Unwound(&tx);
        let entered = Entered::enter(Running {
            what: "transaction",
            location: self.location,
        });
        let result = body(&tx);
        let verdict = match (&result, tx.fate.get()) {
            (Ok(_), Fate::Running) => match commit::commit(&tx) {
                Ok(wakes) => Verdict::Committed(wakes),
                Err(cause) => Verdict::Conflict(cause),
            },
            (Err(TxError::Abort(_)), Fate::Running) => Verdict::Aborted,
            (Err(TxError::Stop(_)), Fate::Running) => foreign_stop(self.location),
            (_, Fate::Conflict(cause)) => Verdict::Conflict(cause),
            (_, Fate::Retry(location)) => register(&tx, location),
            (_, Fate::Serial) => Verdict::Serial,
        };
        drop(entered);
        mem::forget(unwound);
        match (verdict, result) {
            (Verdict::Committed(wakes), Ok(result)) => {
                end(tx, wakes, true);
                Outcome::Commit(result)
            }
            (Verdict::Aborted, Err(TxError::Abort(reason))) => {
                end(tx, Wakes::new(), false);
                Outcome::Abort(reason)
            }
            (verdict, result) => {
                end(tx, Wakes::new(), false);
                drop(result);
                match verdict {
                    Verdict::Conflict(cause) => Outcome::Conflict(cause),
                    Verdict::Retry(registration) => Outcome::Retry(registration),
                    Verdict::Serial => Outcome::Serial,
                    _ => Outcome::Again,
                }
            }
        }
    }
}

enum Verdict {
    Committed(Wakes),
    Aborted,
    Conflict(Cause),
    Retry(Registration),
    Changed,
    Serial,
}

/// Enters the attempt as a sleeper for all that it has read.
#[cold]
fn register(tx: &Tx, location: &'static Location<'static>) -> Verdict {
    let reads = &tx.log.reads;
    assert!(
        reads.len() != 0,
        "the transaction at {} calls `retry` at {location} without having read anything: nobody could wake it",
        tx.location
    );
    let mut distinct: Vec<_> = (0..reads.len()).map(|n| reads.get(n)).collect();
    distinct.sort_unstable_by_key(|read| read.var);
    distinct.dedup_by_key(|read| read.var);
    let mut registration = Registration::new(&domain().table);
    for read in distinct {
        // SAFETY: pinned since the read.
        if !unsafe { registration.add(read.var, read.node) } {
            return Verdict::Changed;
        }
    }
    Verdict::Retry(registration)
}

#[cold]
fn foreign_stop(location: &'static Location<'static>) -> ! {
    panic!(
        "the body of the transaction at {location} returns a `Stop` that its attempt has not issued"
    )
}

/// Ends an attempt: wakes, forgets, unpins, runs the hooks. Nothing of it is left when user code runs.
#[inline]
fn end(tx: Tx, wakes: Wakes, has_committed: bool) {
    let Tx { log, pin, .. } = tx;
    if !wakes.is_empty() {
        commit::wake(wakes);
    }
    let hooks = if log.is_rich.get() {
        take_hooks(&log, has_committed)
    } else {
        Vec::new()
    };
    log.clear();
    drop(pin);
    current::give_back(log);
    if !hooks.is_empty() {
        run_hooks(hooks);
    }
}

#[cold]
fn take_hooks(log: &Log, has_committed: bool) -> Vec<Hook> {
    let mut hooks = log.undone.take();
    hooks.extend(if has_committed {
        log.on_commit.take()
    } else {
        log.on_abort.take()
    });
    hooks
}

/// Runs all hooks in order; the first panic goes on after the last.
#[cold]
fn run_hooks(hooks: Vec<Hook>) {
    let mut panicked = None;
    for hook in hooks {
        let ran = catch_unwind(AssertUnwindSafe(hook));
        panicked = panicked.or(ran.err());
    }
    if let Some(payload) = panicked {
        panic::resume_unwind(payload);
    }
}

/// Runs the hooks of an attempt whose body panicked.
struct Unwound<'tx>(&'tx Tx);

impl Drop for Unwound<'_> {
    fn drop(&mut self) {
        let hooks = take_hooks(&self.0.log, false);
        // A panic of theirs on top of the body's would abort the process: that one is reported alone.
        let _ = catch_unwind(AssertUnwindSafe(|| run_hooks(hooks)));
    }
}

/// Runs a transaction on the calling thread, which waits where it has to.
#[track_caller]
#[inline]
pub(crate) fn run_blocking<R, E>(
    mut body: impl FnMut(&Tx) -> Result<R, TxError<E>>,
) -> Result<R, E> {
    let mut run = Run::new(Location::caller(), false);
    loop {
        match run.step(&mut body) {
            Step::Done(result) => return result,
            Step::Pause(reason) => wait::wait(reason, |context| run.resume(context)),
        }
    }
}

/// Runs `body` as a transaction: all that it writes becomes visible at once, and all that it reads belongs
/// to one state.
///
/// The body may run several times, until an attempt commits; so it has no effect but on variables, and
/// leaves others to [`Tx::on_commit`]. If it [retries](Tx::retry), the green thread or OS thread that calls
/// this waits until something that it has read changes. After some conflicts it runs alone, in the order of
/// asking, so it cannot starve.
///
/// If the body panics, nothing has changed, and the panic goes on.
///
/// # Panics
/// - It is called inside a transaction.
/// - The body retries without having read anything.
/// - A green thread that waits here and is cancelled unwinds.
///
/// ```
/// use weftwork_stm::{TVar, atomically};
///
/// let (from, to) = (TVar::new(10), TVar::new(0));
/// atomically(|tx| {
///     from.update(tx, |n| n - 3)?;
///     to.update(tx, |n| n + 3)
/// });
/// assert_eq!((from.load(), to.load()), (7, 3));
/// ```
#[track_caller]
#[inline]
pub fn atomically<R>(mut body: impl FnMut(&Tx) -> Stm<R>) -> R {
    match run_blocking::<R, Never>(|tx| body(tx).map_err(TxError::Stop)) {
        Ok(result) => result,
        Err(never) => match never {},
    }
}

/// As [`atomically`], for a body that may give up: with [`abort`](crate::abort), or `?` on a [`TxError`].
///
/// # Errors
/// The reason of the abort. Nothing of what the body wrote is kept; what it had read then belonged to one
/// state.
///
/// # Panics
/// As [`atomically`].
///
/// ```
/// use weftwork_stm::{TVar, abort, try_atomically};
///
/// let balance = TVar::new(5_u32);
/// let paid = try_atomically(|tx| {
///     let n = *balance.get(tx)?;
///     if n < 7 {
///         return abort("too poor");
///     }
///     balance.set(tx, n - 7)?;
///     Ok(n - 7)
/// });
/// assert_eq!(paid, Err("too poor"));
/// ```
#[track_caller]
#[inline]
pub fn try_atomically<R, E>(body: impl FnMut(&Tx) -> Result<R, TxError<E>>) -> Result<R, E> {
    run_blocking(body)
}

//! Runs a transaction: attempt after attempt, until one commits, with waits in between.
//!
//! The loop is a machine of steps: [`Run::step`] makes attempts until it is done or has to wait for
//! something, and [`Run::resume`] polls for that. A thread drives it by waits, a future by its polls.
//!
//! After [`PATIENCE`] conflicts the transaction queues up for the serial turn, in which it cannot run into
//! anybody. So every transaction whose body ends commits, or waits for a change that it asked for.

use crate::attempt::{Outcome, attempt};
use crate::error::{Stm, TxError, TxFailed};
use crate::serial::{Outside, Place, Turn};
use crate::stats::{self, Conflicts, Count, Counters};
use crate::storm::{self, Storm};
use crate::tx::{Cause, Tx};
use crate::waiting::{Registration, Source};
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::sync::{hint, thread};
use weftwork_core::wait::{self, Reason};

/// After how many conflicts a transaction asks for the serial turn.
pub(crate) const PATIENCE: u32 = if cfg!(weftwork_loom) { 1 } else { 8 };

/// After so many attempts in a row, and again after as many more, others on the same thread get a turn.
const STRIDE: u32 = 32;

/// For how long a transaction stands back after its first conflict; twice as long after the second, and so on.
///
/// That is as long as a hundred short transactions. Two threads that want the same variable pass its lines to and
/// fro, which costs each several times what a transaction costs alone. While one stands back, the other has them to
/// itself: so they come to nearly the speed of one, instead of a third of it.
const ASIDE: Duration = Duration::from_micros(5);
/// So many looks at nothing between two looks at the clock.
const PAUSES: u32 = 32;

/// What a transaction that retries waits for.
pub(crate) const RETRY: Reason = Reason::new("retry");
/// What a transaction waits for that another one keeps from committing.
pub(crate) const GATE: Reason = Reason::new("serial_turn");

/// What a transaction is run with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) location: &'static Location<'static>,
    pub(crate) name: Option<&'static str>,
    /// Of all transactions of this name.
    pub(crate) counters: Option<&'static Counters>,
    pub(crate) max_attempts: u32,
    pub(crate) deadline: Option<Instant>,
    /// Whether it is a future, which may stop being polled at any time.
    pub(crate) is_future: bool,
}

impl Call {
    #[inline]
    pub(crate) fn plain(location: &'static Location<'static>, is_future: bool) -> Call {
        Call {
            location,
            name: None,
            counters: None,
            max_attempts: u32::MAX,
            deadline: None,
            is_future,
        }
    }
}

/// A transaction between its attempts.
#[derive(Debug)]
pub(crate) struct Run {
    call: Call,
    attempts: u32,
    /// Since the last wait for a change.
    conflicts: u32,
    /// By cause, in the order of [`Cause`].
    causes: [u32; 4],
    false_wakes: u32,
    /// How many attempts there were when others last got a turn.
    aside_at: u32,
    has_slept: bool,
    has_reported: bool,
    wants_turn: bool,
    is_eager: bool,
    turn: Option<Turn>,
    pause: Option<Pause>,
}

/// What the next attempt waits for.
pub(crate) enum Pause {
    /// A change of something that was read, or something that happens outside.
    Change(Registration, Vec<Arc<dyn Source>>),
    /// The serial turn.
    Turn(Place),
    /// The end of the turn of another.
    Gate(Outside),
    /// A turn of the executor's other tasks; whether it was asked for.
    Yield(bool),
}

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pause::Change(..) => "Change",
            Pause::Turn(_) => "Turn",
            Pause::Gate(_) => "Gate",
            Pause::Yield(_) => "Yield",
        })
    }
}

pub(crate) enum Step<R, E> {
    Done(Result<R, E>),
    Failed(TxFailed),
    /// Resume, then step again.
    Pause(Reason),
}

impl Run {
    #[inline]
    pub(crate) fn new(call: Call) -> Run {
        Run {
            call,
            attempts: 0,
            conflicts: 0,
            causes: [0; 4],
            false_wakes: 0,
            aside_at: 0,
            has_slept: false,
            has_reported: false,
            wants_turn: false,
            is_eager: false,
            turn: None,
            pause: None,
        }
    }

    /// Makes attempts until one commits, or the body aborts, or the next one has to wait.
    pub(crate) fn step<R, E>(
        &mut self,
        body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
    ) -> Step<R, E> {
        loop {
            if self.attempts > 0
                && let Some(hindrance) = self.before_attempt()
            {
                return hindrance.into();
            }
            let turn = self.take_turn();
            let outcome = attempt(self.call.location, self.attempts, turn, self.is_eager, body);
            if let Some(step) = self.after_attempt(outcome) {
                return step;
            }
        }
    }

    /// Draws the consequences; `None` if another attempt is to be made at once.
    fn after_attempt<R, E>(&mut self, outcome: Outcome<R, E>) -> Option<Step<R, E>> {
        self.attempts = self.attempts.saturating_add(1);
        self.count(&outcome);
        match outcome {
            Outcome::Commit(result, _) => return Some(Step::Done(Ok(result))),
            Outcome::Abort(reason) => return Some(Step::Done(Err(reason))),
            Outcome::Conflict(cause) => return self.after_conflict(cause).map(Step::Pause),
            Outcome::Retry(pause) => {
                self.calm_down();
                self.pause = Some(pause);
                return Some(Step::Pause(RETRY));
            }
            Outcome::Again => self.calm_down(),
            Outcome::Eager => self.is_eager = true,
            Outcome::Serial => self.wants_turn = true,
        }
        None
    }

    /// What stands against another attempt.
    #[cold]
    fn before_attempt(&mut self) -> Option<Hindrance> {
        if self.attempts >= self.call.max_attempts {
            return Some(Hindrance::Failed(TxFailed::TooManyAttempts));
        }
        if self
            .call
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            return Some(Hindrance::Failed(TxFailed::TimedOut));
        }
        if !self.has_reported && self.attempts.max(self.false_wakes) >= storm::LIMIT {
            self.has_reported = true;
            self.report();
        }
        if self.wants_turn && self.turn.is_none() {
            self.pause = Some(Pause::Turn(Place::new(self.call.is_future)));
            return Some(Hindrance::Pause(GATE));
        }
        if self.turn.is_none() && self.attempts - self.aside_at >= STRIDE {
            self.aside_at = self.attempts;
            if self.call.is_future {
                self.pause = Some(Pause::Yield(false));
                return Some(Hindrance::Pause(GATE));
            }
            wait::checkpoint();
        }
        None
    }

    #[cold]
    fn report(&self) {
        let [locked, version, validation, serial] = self.causes.map(u64::from);
        storm::report(&Storm {
            name: self.call.name,
            location: self.call.location,
            attempts: self.attempts,
            false_wakes: self.false_wakes,
            conflicts: Conflicts {
                locked,
                version,
                validation,
                serial,
            },
        });
    }

    /// Steps aside for whoever the attempt ran into: by spinning, by waiting, by queueing up.
    #[cold]
    fn after_conflict(&mut self, cause: Cause) -> Option<Reason> {
        self.conflicts = self.conflicts.saturating_add(1);
        self.causes[cause as usize] = self.causes[cause as usize].saturating_add(1);
        self.wants_turn = self.conflicts >= PATIENCE;
        if self.wants_turn {
            return None;
        }
        if cause == Cause::Serial {
            self.pause = Some(Pause::Gate(Outside::new()));
            return Some(GATE);
        }
        if self.conflicts > 3 {
            thread::yield_now();
        } else if !cfg!(weftwork_loom) {
            stand_back(ASIDE * (1 << (self.conflicts - 1)));
        }
        None
    }

    /// Forgets conflicts: the next attempt is about another state.
    fn calm_down(&mut self) {
        self.conflicts = 0;
        self.wants_turn = false;
    }

    /// The turn, for one attempt.
    fn take_turn(&mut self) -> Option<Turn> {
        let turn = self.turn.take()?;
        let counters = [Some(stats::shared()), self.call.counters];
        for counters in counters.into_iter().flatten() {
            counters.add(Count::Turn, 1);
        }
        Some(turn)
    }

    /// Polls for what the next attempt waits for.
    pub(crate) fn resume(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let polled = match &mut self.pause {
            None => Poll::Ready(()),
            Some(Pause::Change(registration, sources)) => {
                let mut polled = registration.poll(context);
                for source in sources {
                    // Each is polled, to have the waker.
                    if source.poll(context).is_ready() {
                        polled = Poll::Ready(());
                    }
                }
                self.has_slept = true;
                polled
            }
            Some(Pause::Gate(outside)) => outside.poll(context),
            Some(Pause::Yield(true)) => Poll::Ready(()),
            Some(Pause::Yield(was_asked)) => {
                *was_asked = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Pause::Turn(place)) => place.poll(context).map(|turn| self.turn = Some(turn)),
        };
        if polled.is_ready() {
            self.pause = None;
        } else if self.call.is_future {
            // Its executor runs others now.
            self.aside_at = self.attempts;
        }
        polled
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.call.deadline
    }

    /// Counts what happens less often than a first attempt that commits.
    #[cold]
    fn count<R, E>(&mut self, outcome: &Outcome<R, E>) {
        let is_vain = self.has_slept && matches!(outcome, Outcome::Retry(_));
        if is_vain {
            self.false_wakes = self.false_wakes.saturating_add(1);
        }
        self.has_slept = false;
        let what = match outcome {
            Outcome::Commit(_, count) => Some(*count),
            Outcome::Abort(_) => Some(Count::Abort),
            Outcome::Conflict(cause) => Some(Count::from(*cause)),
            Outcome::Retry(_) => Some(Count::Retry),
            Outcome::Again | Outcome::Eager | Outcome::Serial => None,
        };
        let is_commit = matches!(outcome, Outcome::Commit(..));
        let is_over = is_commit || matches!(outcome, Outcome::Abort(_));
        let all = stats::shared();
        for counters in [Some(all), self.call.counters].into_iter().flatten() {
            if is_vain {
                counters.add(Count::FalseWake, 1);
            }
            if is_over {
                counters.attempts(self.attempts);
            }
            // The log has counted commits.
            let is_counted = is_commit && std::ptr::eq(counters, all);
            if let Some(what) = what
                && !is_counted
            {
                counters.add(what, 1);
            }
        }
    }
}

/// Does nothing for so long.
fn stand_back(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        (0..PAUSES).for_each(|_| hint::spin_loop());
    }
}

/// Why there is no attempt now.
enum Hindrance {
    Failed(TxFailed),
    Pause(Reason),
}

impl<R, E> From<Hindrance> for Step<R, E> {
    fn from(hindrance: Hindrance) -> Step<R, E> {
        match hindrance {
            Hindrance::Failed(failed) => Step::Failed(failed),
            Hindrance::Pause(reason) => Step::Pause(reason),
        }
    }
}

/// Runs a transaction on the calling thread, which waits where it has to.
#[track_caller]
pub(crate) fn drive<R, E>(
    call: Call,
    body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
) -> Result<Result<R, E>, TxFailed> {
    wait_through(&mut Run::new(call), None, body)
}

/// Makes attempts on the calling thread, and waits between them; `step` is what came last.
#[track_caller]
fn wait_through<R, E>(
    run: &mut Run,
    step: Option<Step<R, E>>,
    body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
) -> Result<Result<R, E>, TxFailed> {
    let mut step = step;
    loop {
        match step.take().unwrap_or_else(|| run.step(body)) {
            Step::Done(result) => return Ok(result),
            Step::Failed(failed) => return Err(failed),
            Step::Pause(reason) => {
                let waited =
                    wait::wait_deadline(reason, run.deadline(), |context| run.resume(context));
                if waited.is_err() {
                    return Err(TxFailed::TimedOut);
                }
            }
        }
    }
}

/// Runs a transaction without a name or limits: most often one attempt, for which nothing else is set up.
#[track_caller]
#[inline]
fn run_plain<R, E>(mut body: impl FnMut(&Tx) -> Result<R, TxError<E>>) -> Result<R, E> {
    let location = Location::caller();
    match attempt(location, 0, None, false, &mut body) {
        Outcome::Commit(result, _) => Ok(result),
        outcome => go_on(location, outcome, &mut body),
    }
}

/// Goes on after the first attempt.
#[track_caller]
#[cold]
fn go_on<R, E>(
    location: &'static Location<'static>,
    outcome: Outcome<R, E>,
    body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
) -> Result<R, E> {
    let mut run = Run::new(Call::plain(location, false));
    let step = run.after_attempt(outcome);
    match wait_through(&mut run, step, body) {
        Ok(result) => result,
        Err(_) => unreachable!("a transaction without limits has failed"),
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
    match run_plain::<R, Infallible>(|tx| body(tx).map_err(TxError::Stop)) {
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
    run_plain(body)
}

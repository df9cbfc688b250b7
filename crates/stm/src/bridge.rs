//! Events of the world outside, which transactions can wait for: a message, the end of a task, a time.
//!
//! A [`TEvent`] holds a future and, when that is ready, its result in a variable. Transactions read the
//! variable. One that retries because of it polls the future before it sleeps, so no thread is needed that
//! would do nothing else:
//!
//! | a transaction that sleeps | the waker that the future was given |
//! | --- | --- |
//! | 1. is entered as a sleeper for the variable | 1. sets `rang` |
//! | 2. if `rang`: clears it, polls the future; if that is ready, stores the result | 2. wakes all who sleep for the variable |
//!
//! However many wait, the future has one waker, and that one wakes through the table of sleepers: each
//! sleeper that goes away takes its own entry along, so nothing is left behind by those who are cancelled.
//! The sleepers run again, find no result, and one of them polls.
//!
//! Invariants
//! 1. One thread at a time has the stage out of its place; it polls, stores and drops without a lock.
//! 2. Whoever puts a stage back and finds that it rang meanwhile wakes the sleepers once more: those who came
//!    while the stage was out had nothing to poll, and who had it may go away.
//! 3. An outcome is in the stage until it is stored. If who stores it is cancelled, the next one does.

use crate::canary::is_weak;
use crate::domain::domain;
use crate::waiting::Source;
use crate::{Stm, TVar, Tx};
use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
#[cfg(not(weftwork_loom))]
use std::time::Duration;
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(weftwork_loom))]
use weftwork_core::timer;
use weftwork_core::wait::cancel::is_cancel_unwind;

/// Something that happens once, outside of transactions, and that transactions can wait for.
///
/// It is made of any future: the receive of a channel, the handle of a task, a sleep. So `or_else` chooses
/// between changes of variables and events of every other kind:
///
/// ```
/// use std::time::Duration;
/// use weftwork_stm::{TVar, atomically, bridge};
///
/// let stock = TVar::new(0_u32);
/// let patience = bridge::after(Duration::from_millis(5));
/// let got_one = atomically(|tx| {
///     tx.or_else(
///         |tx| {
///             let n = *stock.get(tx)?;
///             tx.check(n > 0)?;
///             stock.set(tx, n - 1)?;
///             Ok(true)
///         },
///         |tx| patience.get(tx).map(|()| false),
///     )
/// });
/// assert!(!got_one);
/// ```
///
/// Make it before the transaction: a body that makes one starts anew with each attempt. Clones are handles
/// of the same event.
///
/// The future is polled by those who wait for it, on their threads, between attempts: if nobody waits, it
/// makes no progress. When it has happened, its result stays: for all transactions, however often. A message
/// that was received so has left its channel, whether or not a transaction goes on to use it; it is in the
/// event, and is dropped with it.
///
/// If a transaction that waits is cancelled, the others wait on, and the event is as good as before.
pub struct TEvent<T: 'static>(Arc<Shared<T>>);

struct Shared<T: 'static> {
    outcome: TVar<Option<Arc<Outcome<T>>>>,
    stage: Mutex<Stage<T>>,
    alarm: Arc<Alarm>,
    waker: Waker,
    location: &'static Location<'static>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Stage<T> {
    /// It has not happened, as far as is known.
    Waits(BoxFuture<T>),
    /// Somebody has taken it out (invariant 1).
    Out,
    /// It has happened, but nobody knows yet (invariant 3).
    Happened(Arc<Outcome<T>>),
    /// The outcome is in the variable.
    Stored,
}

enum Outcome<T> {
    Value(T),
    /// What the panic of the future said.
    Panic(String),
}

/// The waker of the future.
struct Alarm {
    /// Whether the future wants to be polled.
    rang: AtomicBool,
    /// That of the outcome's variable.
    address: usize,
}

impl Alarm {
    fn wake_sleepers(&self) {
        domain().table.wake(self.address);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: the same word as in `Shared::take`. Whoever cleared it before was a sleeper already, and
        // is found in the table; whoever clears it later sees what this wake is about.
        if !self.rang.swap(true, Ordering::AcqRel) {
            self.wake_sleepers();
        }
    }
}

impl<T: Send + Sync + 'static> TEvent<T> {
    /// Makes an event that happens when `future` is ready.
    ///
    /// ```
    /// use weftwork_stm::{atomically, bridge::TEvent};
    ///
    /// let answer = TEvent::new(async { 6 * 7 });
    /// assert_eq!(atomically(|tx| answer.get(tx).copied()), 42);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn new(future: impl Future<Output = T> + Send + 'static) -> TEvent<T> {
        let outcome = TVar::new(None);
        let alarm = Arc::new(Alarm {
            // The first to wait polls.
            rang: AtomicBool::new(true),
            address: outcome.var().address(),
        });
        TEvent(Arc::new(Shared {
            outcome,
            stage: Mutex::new(Stage::Waits(Box::pin(future))),
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            location: Location::caller(),
        }))
    }

    /// Gives the result, and [retries](Tx::retry) as long as there is none.
    ///
    /// # Errors
    /// It has not happened, or the attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// # Panics
    /// The future has panicked. Every transaction that asks for its result learns of it so.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically, bridge::TEvent};
    ///
    /// let (greeting, name) = (TVar::new("hello"), TEvent::new(async { String::from("Ada") }));
    /// let text = atomically(|tx| Ok(format!("{}, {}", greeting.get(tx)?, name.get(tx)?)));
    /// assert_eq!(text, "hello, Ada");
    /// ```
    #[track_caller]
    pub fn get<'tx>(&self, tx: &'tx Tx) -> Stm<&'tx T> {
        match self.0.outcome.get(tx)?.as_deref() {
            Some(Outcome::Value(value)) => Ok(value),
            Some(Outcome::Panic(text)) => panic!(
                "the future of the event made at {} has panicked: {text}",
                self.0.location
            ),
            None => {
                tx.wait_also(Arc::clone(&self.0) as Arc<dyn Source>);
                tx.retry()
            }
        }
    }

    /// Whether the result is there: known to have happened, by somebody who waited.
    ///
    /// ```
    /// use weftwork_stm::{atomically, bridge::TEvent};
    ///
    /// let event = TEvent::new(async {});
    /// assert!(!event.has_happened());
    /// atomically(|tx| event.get(tx).copied());
    /// assert!(event.has_happened());
    /// ```
    #[must_use]
    pub fn has_happened(&self) -> bool {
        self.0.outcome.with(Option::is_some)
    }
}

/// Makes an event that happens when `duration` is over, counted from now, and never earlier; one so long
/// that its end cannot be told never happens.
///
/// ```
/// use std::time::{Duration, Instant};
/// use weftwork_stm::{atomically, bridge};
///
/// let start = Instant::now();
/// let pause = bridge::after(Duration::from_millis(2));
/// atomically(|tx| pause.get(tx).copied());
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
#[cfg(not(weftwork_loom))]
#[track_caller]
#[must_use]
pub fn after(duration: Duration) -> TEvent<()> {
    TEvent::new(timer::sleep(duration))
}

impl<T: Send + Sync + 'static> Source for Shared<T> {
    fn poll(&self, _: &mut Context<'_>) -> Poll<()> {
        // Who polls is entered as a sleeper for the outcome: that is how it is woken.
        let Some(mut taken) = self.take() else {
            return Poll::Pending;
        };
        if let Stage::Waits(future) = &mut taken.stage {
            let mut context = Context::from_waker(&self.waker);
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
            let (outcome, cancelled) = match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(value)) => (Outcome::Value(value), None),
                Err(payload) => {
                    let text = Outcome::Panic(text_of(&*payload));
                    (text, is_cancel_unwind(&*payload).then_some(payload))
                }
            };
            let spent = mem::replace(&mut taken.stage, Stage::Happened(Arc::new(outcome)));
            drop(spent);
            if let Some(payload) = cancelled {
                // The future waited in its poll, and the task that polled it was asked to end.
                resume_unwind(payload);
            }
        }
        if let Stage::Happened(outcome) = &taken.stage {
            self.outcome.store(Some(Arc::clone(outcome)));
            taken.stage = Stage::Stored;
        }
        Poll::Ready(())
    }
}

impl<T> Shared<T> {
    /// Takes the stage out, if there is something to do with it.
    fn take(&self) -> Option<Taken<'_, T>> {
        let mut stage = self.stage.lock();
        let has_work = match &*stage {
            // AcqRel: see `Alarm::wake_by_ref`. The caller is entered as a sleeper.
            Stage::Waits(_) => self
                .alarm
                .rang
                .swap(is_weak("stm: event clear"), Ordering::AcqRel),
            Stage::Happened(_) => true,
            Stage::Out | Stage::Stored => false,
        };
        has_work.then(|| Taken {
            shared: self,
            stage: mem::replace(&mut *stage, Stage::Out),
        })
    }
}

/// A stage that was taken out. Dropping it puts it back.
struct Taken<'a, T: 'static> {
    shared: &'a Shared<T>,
    stage: Stage<T>,
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let stage = mem::replace(&mut self.stage, Stage::Stored);
        let (waits, is_unstored) = match &stage {
            Stage::Waits(_) => (true, false),
            Stage::Happened(_) => (false, true),
            Stage::Out | Stage::Stored => (false, false),
        };
        *self.shared.stage.lock() = stage;
        let alarm = &self.shared.alarm;
        if is_weak("stm: event clear") {
            alarm.rang.store(false, Ordering::Release);
        }
        // Acquire: pairs with `Alarm::wake_by_ref`. One that comes later finds the stage in its place.
        let rang = waits && alarm.rang.load(Ordering::Acquire) && !is_weak("stm: event again");
        if is_unstored || rang {
            alarm.wake_sleepers();
        }
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "with a value that is no text".into())
}

impl<T: 'static> Clone for TEvent<T> {
    fn clone(&self) -> TEvent<T> {
        TEvent(Arc::clone(&self.0))
    }
}

impl<T: 'static> fmt::Debug for TEvent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TEvent")
            .field("made_at", &self.0.location)
            .finish_non_exhaustive()
    }
}

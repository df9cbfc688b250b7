//! Transactions with a name or limits.

use crate::error::{Stm, TryRunError, TxError, TxFailed};
use crate::future::RunTransaction;
use crate::run::{Call, drive};
use crate::stats;
use crate::tx::Tx;
use std::convert::Infallible;
use std::panic::Location;
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;

/// A transaction to be run, with a name or limits.
///
/// ```
/// use std::time::Duration;
/// use weftwork_stm::{TVar, named, stats};
///
/// let stock = TVar::new(3_u32);
/// let taken = named("take").timeout(Duration::from_secs(5)).run(|tx| {
///     let n = *stock.get(tx)?;
///     tx.check(n > 0)?;
///     stock.set(tx, n - 1)
/// });
/// assert_eq!(taken, Ok(()));
/// let (_, counts) = stats().named.into_iter().find(|(name, _)| *name == "take").unwrap();
/// assert_eq!(counts.commits, 1);
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a transaction does nothing until it is run"]
pub struct Transaction {
    name: Option<&'static str>,
    max_attempts: u32,
    limit: Limit,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    None,
    Timeout(Duration),
    Deadline(Instant),
}

/// Begins to describe a transaction with limits.
///
/// ```
/// use weftwork_stm::{TVar, transaction};
///
/// let n = TVar::new(1);
/// assert_eq!(transaction().max_attempts(10).run(|tx| n.update(tx, |n| n + 1)), Ok(()));
/// ```
pub const fn transaction() -> Transaction {
    Transaction {
        name: None,
        max_attempts: u32::MAX,
        limit: Limit::None,
    }
}

/// Begins to describe a transaction that [`stats`](crate::stats()) and reports call `name`.
///
/// ```
/// use weftwork_stm::{TVar, named};
///
/// let n = TVar::new(1);
/// assert_eq!(named("increment").run(|tx| n.update(tx, |n| n + 1)), Ok(()));
/// ```
pub const fn named(name: &'static str) -> Transaction {
    Transaction {
        name: Some(name),
        ..transaction()
    }
}

impl Transaction {
    /// Lets the body run `n` times at most, at least once.
    ///
    /// ```
    /// use weftwork_stm::{TVar, TxFailed, transaction};
    ///
    /// let n = TVar::new(0);
    /// let failed = transaction().max_attempts(2).run(|tx| {
    ///     let seen = *n.get(tx)?;
    ///     n.store(seen + 1); // As if another were always quicker.
    ///     n.set(tx, seen + 10)
    /// });
    /// assert_eq!(failed, Err(TxFailed::TooManyAttempts));
    /// assert_eq!(n.load(), 2);
    /// ```
    pub const fn max_attempts(mut self, n: u32) -> Transaction {
        self.max_attempts = n;
        self
    }

    /// Gives up after `timeout`, counted from the start of the run. An attempt that is running is not
    /// interrupted.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_stm::{TVar, TxFailed, transaction};
    ///
    /// let flag = TVar::new(false);
    /// let waited = transaction()
    ///     .timeout(Duration::from_millis(1))
    ///     .run(|tx| tx.check(*flag.get(tx)?));
    /// assert_eq!(waited, Err(TxFailed::TimedOut));
    /// ```
    pub const fn timeout(mut self, timeout: Duration) -> Transaction {
        self.limit = Limit::Timeout(timeout);
        self
    }

    /// Gives up at `deadline`, as [`timeout`](Self::timeout) does.
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_stm::{TVar, TxFailed, transaction};
    ///
    /// let flag = TVar::new(false);
    /// let looked = transaction()
    ///     .deadline(Instant::now())
    ///     .run(|tx| tx.check(*flag.get(tx)?));
    /// assert_eq!(looked, Err(TxFailed::TimedOut));
    /// ```
    pub const fn deadline(mut self, deadline: Instant) -> Transaction {
        self.limit = Limit::Deadline(deadline);
        self
    }

    /// Runs it, as [`atomically`](crate::atomically) does.
    ///
    /// # Errors
    /// A limit was reached. Nothing has changed.
    ///
    /// # Panics
    /// As [`atomically`](crate::atomically).
    ///
    /// ```
    /// use weftwork_stm::{TVar, named};
    ///
    /// let n = TVar::new(1);
    /// assert_eq!(named("read").run(|tx| n.get(tx).copied()), Ok(1));
    /// ```
    #[track_caller]
    pub fn run<R>(self, mut body: impl FnMut(&Tx) -> Stm<R>) -> Result<R, TxFailed> {
        let call = self.call(Location::caller(), false);
        let ran = drive::<R, Infallible>(call, &mut |tx| body(tx).map_err(TxError::Stop));
        ran.map(|Ok(result)| result)
    }

    /// Runs it, as [`try_atomically`](crate::try_atomically) does.
    ///
    /// # Errors
    /// The body aborted, or a limit was reached. Nothing has changed.
    ///
    /// # Panics
    /// As [`atomically`](crate::atomically).
    ///
    /// ```
    /// use weftwork_stm::{TryRunError, abort, named};
    ///
    /// let refused = named("refuse").try_run::<(), _>(|_| abort(404));
    /// assert_eq!(refused, Err(TryRunError::Abort(404)));
    /// ```
    #[track_caller]
    pub fn try_run<R, E>(
        self,
        mut body: impl FnMut(&Tx) -> Result<R, TxError<E>>,
    ) -> Result<R, TryRunError<E>> {
        match drive(self.call(Location::caller(), false), &mut body) {
            Ok(result) => result.map_err(TryRunError::Abort),
            Err(failed) => Err(TryRunError::Failed(failed)),
        }
    }

    /// Runs it as a future, as [`atomically_async`](crate::atomically_async) does; its output is a
    /// `Result<R, TxFailed>`. Its time is counted from this call.
    ///
    /// ```
    /// use weftwork_core::block_on;
    /// use weftwork_stm::{TVar, named};
    ///
    /// let n = TVar::new(1);
    /// let read = named("read").run_async(|tx| n.get(tx).copied());
    /// assert_eq!(block_on(read), Ok(1));
    /// ```
    #[track_caller]
    pub fn run_async<R, F>(self, body: F) -> RunTransaction<F, R>
    where
        F: FnMut(&Tx) -> Stm<R>,
    {
        RunTransaction::new(self.call(Location::caller(), true), body)
    }

    fn call(self, location: &'static Location<'static>, is_future: bool) -> Call {
        Call {
            location,
            name: self.name,
            counters: self.name.map(stats::named),
            max_attempts: self.max_attempts.max(1),
            deadline: match self.limit {
                Limit::None => None,
                Limit::Timeout(timeout) => deadline_after(timeout),
                Limit::Deadline(deadline) => Some(deadline),
            },
            is_future,
        }
    }
}

//! How a transaction's body says that it cannot go on.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

/// What the operations of a transaction return.
pub type Stm<T> = Result<T, Stop>;

/// Says that this attempt cannot go on. Hand it back with `?`.
///
/// Why is noted in the [`Tx`](crate::Tx): a conflict with another transaction, or a
/// [`retry`](crate::Tx::retry). Who swallows a `Stop` gains nothing: an attempt that was stopped never
/// commits, unless [`or_else`](crate::Tx::or_else) took the retry.
///
/// ```
/// use weftwork_stm::{Stm, TVar, Tx};
///
/// fn withdraw(tx: &Tx, balance: &TVar<u64>, amount: u64) -> Stm<()> {
///     let left = balance.get(tx)?.checked_sub(amount);
///     let left = left.map_or_else(|| tx.retry(), Ok)?;
///     balance.set(tx, left)
/// }
/// # let balance = TVar::new(5);
/// # weftwork_stm::atomically(|tx| withdraw(tx, &balance, 5));
/// # assert_eq!(balance.load(), 0);
/// ```
#[must_use = "an attempt that was stopped never commits: hand the stop back with `?`"]
pub struct Stop {
    /// Nobody outside makes one, and it stays with its transaction's thread.
    _issued: PhantomData<*mut ()>,
}

impl Stop {
    #[inline]
    pub(crate) fn issue() -> Stop {
        Stop {
            _issued: PhantomData,
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the attempt of the transaction cannot go on")
    }
}

impl Error for Stop {}

/// Why the body of a transaction ends that may be aborted: see [`try_atomically`](crate::try_atomically).
///
/// ```
/// use weftwork_stm::{TVar, TxError, abort, try_atomically};
///
/// let stock = TVar::new(0_u32);
/// let sold: Result<(), &str> = try_atomically(|tx| {
///     match *stock.get(tx)? {
///         0 => abort("sold out"),
///         n => Ok(stock.set(tx, n - 1)?),
///     }
/// });
/// assert_eq!(sold, Err("sold out"));
/// # let _: TxError<&str> = TxError::Abort("");
/// ```
#[derive(Debug)]
#[must_use = "it says that the transaction must not commit: hand it back"]
pub enum TxError<E> {
    /// The attempt cannot go on.
    Stop(Stop),
    /// The body gives up, for this reason. Nothing it wrote is kept.
    Abort(E),
}

impl<E> From<Stop> for TxError<E> {
    #[inline]
    fn from(stop: Stop) -> TxError<E> {
        TxError::Stop(stop)
    }
}

impl<E: fmt::Display> fmt::Display for TxError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TxError::Stop(stop) => stop.fmt(f),
            TxError::Abort(reason) => reason.fmt(f),
        }
    }
}

impl<E: Error> Error for TxError<E> {}

/// Gives the transaction up, for the reason `reason`.
///
/// # Errors
/// Always: it is what the body returns.
///
/// ```
/// use weftwork_stm::{abort, try_atomically};
///
/// assert_eq!(try_atomically::<(), _>(|_| abort("never mind")), Err("never mind"));
/// ```
pub fn abort<T, E>(reason: E) -> Result<T, TxError<E>> {
    Err(TxError::Abort(reason))
}

/// A transaction with limits has not committed within them: see [`named`](crate::named).
///
/// Nothing has changed.
///
/// ```
/// use std::time::Duration;
/// use weftwork_stm::{TVar, TxFailed, transaction};
///
/// let letter = TVar::new(None::<u32>);
/// let failed = transaction()
///     .timeout(Duration::from_millis(1))
///     .run(|tx| letter.get(tx)?.map_or_else(|| tx.retry(), Ok));
/// assert_eq!(failed, Err(TxFailed::TimedOut));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxFailed {
    /// The time was over.
    TimedOut,
    /// The body has run as often as it may.
    TooManyAttempts,
}

impl fmt::Display for TxFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TxFailed::TimedOut => "the transaction timed out",
            TxFailed::TooManyAttempts => "the transaction has made all its attempts",
        })
    }
}

impl Error for TxFailed {}

/// Why a transaction with limits, whose body may abort, has not committed.
///
/// ```
/// use weftwork_stm::{TryRunError, abort, transaction};
///
/// let failed = transaction().max_attempts(3).try_run::<(), _>(|_| abort("no"));
/// assert_eq!(failed, Err(TryRunError::Abort("no")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRunError<E> {
    /// The body gave up, for this reason.
    Abort(E),
    /// A limit was reached.
    Failed(TxFailed),
}

impl<E: fmt::Display> fmt::Display for TryRunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRunError::Abort(reason) => reason.fmt(f),
            TryRunError::Failed(failed) => failed.fmt(f),
        }
    }
}

impl<E: Error> Error for TryRunError<E> {}

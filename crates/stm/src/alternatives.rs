//! Branches of a transaction that can be rolled back while the rest goes on.
//!
//! Invariants
//! 1. What a branch wrote and registered is taken back when it is left; what it has read stays in the log.
//!    It was the reason to leave the branch, so it is validated at the commit, and waited for.
//! 2. References into a branch may outlive it, so its private nodes stay until the attempt is over.

use crate::error::{Stm, TxError};
use crate::tx::{Fate, Tx};

impl Tx {
    /// Runs `first`; if it [retries](Self::retry), takes back what it wrote and runs `second`.
    ///
    /// If both retry, the transaction waits until something that either has read changes. It is the
    /// `orElse` of Haskell's STM (Harris, Marlow, Peyton Jones, Herlihy 2005).
    ///
    /// # Errors
    /// Both retry, or the attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let (left, right) = (TVar::new(None), TVar::new(Some(2)));
    /// let take = |tx: &weftwork_stm::Tx, slot: &TVar<Option<i32>>| match slot.replace(tx, None)? {
    ///     Some(n) => Ok(n),
    ///     None => tx.retry(),
    /// };
    /// let n = atomically(|tx| tx.or_else(|tx| take(tx, &left), |tx| take(tx, &right)));
    /// assert_eq!(n, 2);
    /// ```
    pub fn or_else<R>(
        &self,
        first: impl FnOnce(&Tx) -> Stm<R>,
        second: impl FnOnce(&Tx) -> Stm<R>,
    ) -> Stm<R> {
        match self.optionally(first)? {
            Some(result) => Ok(result),
            None => second(self),
        }
    }

    /// Runs `branch`; if it [retries](Self::retry), takes back what it wrote and goes on with `None`.
    ///
    /// # Errors
    /// The attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let count = TVar::new(0_u32);
    /// let taken = atomically(|tx| {
    ///     tx.optionally(|tx| {
    ///         let n = *count.get(tx)?;
    ///         tx.check(n > 0)?;
    ///         count.set(tx, n - 1)
    ///     })
    /// });
    /// assert_eq!(taken, None);
    /// ```
    pub fn optionally<R>(&self, branch: impl FnOnce(&Tx) -> Stm<R>) -> Stm<Option<R>> {
        if self.fate.get() != Fate::Running {
            return Err(self.stop(self.fate.get()));
        }
        let savepoint = self.log.savepoint();
        let result = branch(self);
        match (result, self.fate.get()) {
            (Ok(result), Fate::Running) => {
                self.log.keep(savepoint);
                Ok(Some(result))
            }
            (_, Fate::Retry) => {
                self.log.roll_back(savepoint);
                self.fate.set(Fate::Running);
                Ok(None)
            }
            (Err(stop), _) => Err(stop),
            (Ok(_), fate) => Err(self.stop(fate)),
        }
    }

    /// Runs the first of `branches` that does not [retry](Self::retry); those before it leave no trace but
    /// their reads.
    ///
    /// # Errors
    /// All retry, or there is none, or the attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{Stm, TVar, Tx, atomically};
    ///
    /// let slots = [TVar::new(None), TVar::new(Some('b')), TVar::new(Some('c'))];
    /// let found = atomically(|tx| {
    ///     tx.or_any(slots.iter().map(|slot| {
    ///         |tx: &Tx| -> Stm<char> { slot.get(tx)?.map_or_else(|| tx.retry(), Ok) }
    ///     }))
    /// });
    /// assert_eq!(found, 'b');
    /// ```
    #[track_caller]
    pub fn or_any<R, B>(&self, branches: impl IntoIterator<Item = B>) -> Stm<R>
    where
        B: FnOnce(&Tx) -> Stm<R>,
    {
        for branch in branches {
            if let Some(result) = self.optionally(branch)? {
                return Ok(result);
            }
        }
        self.retry()
    }

    /// Runs `f`, which may [abort](crate::abort): then what it wrote is taken back, and the transaction goes
    /// on with the reason.
    ///
    /// # Errors
    /// `f` retries, or the attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, abort, atomically};
    ///
    /// let (tried, done) = (TVar::new(0), TVar::new(0));
    /// let result: Result<(), &str> = atomically(|tx| {
    ///     tried.update(tx, |n| n + 1)?;
    ///     tx.catch(|tx| {
    ///         done.update(tx, |n| n + 1)?;
    ///         abort("not today")
    ///     })
    /// });
    /// assert_eq!(result, Err("not today"));
    /// assert_eq!((tried.load(), done.load()), (1, 0));
    /// ```
    pub fn catch<R, E>(&self, f: impl FnOnce(&Tx) -> Result<R, TxError<E>>) -> Stm<Result<R, E>> {
        let savepoint = self.log.savepoint();
        let result = f(self);
        match (result, self.fate.get()) {
            (Ok(result), Fate::Running) => {
                self.log.keep(savepoint);
                Ok(Ok(result))
            }
            (Err(TxError::Abort(reason)), Fate::Running) => {
                self.log.roll_back(savepoint);
                Ok(Err(reason))
            }
            // What is around may be an alternative that goes on: it takes back more than this.
            (Err(TxError::Stop(stop)), _) => Err(stop),
            (_, fate) => Err(self.stop(fate)),
        }
    }
}

//! A lock for readers and writers, which is held from one transaction to another.

use crate::{Snapshot, Stm, TVar, Tx, atomically};
use std::fmt;

/// What is held of a [`TRwLock`].
///
/// ```
/// use weftwork_stm::{Held, TRwLock};
///
/// assert_eq!(TRwLock::new().held(), Held::Free);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Held {
    /// Nothing.
    #[default]
    Free,
    /// By this many readers.
    Shared(usize),
    /// By a writer.
    Exclusive,
}

/// A lock for readers and writers over something that is no memory of this crate's: a file, a device, a
/// service.
///
/// Data in variables needs no lock. This one is taken in one transaction and given back in another, and what
/// lies between, such as input and output, is not rolled back. Taking it composes as everything does: two
/// locks at once, either of two locks, a lock and an item of a queue.
///
/// Readers do not wait for writers that wait: a steady stream of readers keeps writers out. The lock does not
/// know who holds it; it is not re-entrant for writers. A clone is another handle to the same lock.
///
/// ```
/// use weftwork_stm::{TRwLock, atomically};
///
/// let (left, right) = (TRwLock::new(), TRwLock::new());
/// // Both or none: there is no order of locks to keep.
/// atomically(|tx| {
///     left.lock_exclusive(tx)?;
///     right.lock_exclusive(tx)
/// });
/// atomically(|tx| {
///     left.unlock_exclusive(tx)?;
///     right.unlock_exclusive(tx)
/// });
/// assert_eq!(left.exclusively(|| "input and output"), "input and output");
/// ```
#[derive(Clone, Default)]
pub struct TRwLock {
    held: TVar<Held>,
}

impl TRwLock {
    /// Makes a lock that nobody holds.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock};
    ///
    /// static FILE: TRwLock = TRwLock::new();
    /// assert_eq!(FILE.held(), Held::Free);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        TRwLock {
            held: TVar::new(Held::Free),
        }
    }

    /// Takes the lock as one reader of several. Waits while a writer holds it.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// atomically(|tx| lock.lock_shared(tx));
    /// atomically(|tx| lock.lock_shared(tx));
    /// assert_eq!(lock.held(), Held::Shared(2));
    /// ```
    pub fn lock_shared(&self, tx: &Tx) -> Stm<()> {
        let locked = self.try_lock_shared(tx)?;
        tx.check(locked)
    }

    /// Takes the lock as one reader of several unless a writer holds it, and says whether it did.
    ///
    /// ```
    /// use weftwork_stm::{TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// assert!(atomically(|tx| lock.try_lock_shared(tx)));
    /// ```
    pub fn try_lock_shared(&self, tx: &Tx) -> Stm<bool> {
        let readers = match *self.held.get(tx)? {
            Held::Free => 0,
            Held::Shared(readers) => readers,
            Held::Exclusive => return Ok(false),
        };
        self.held.set(tx, Held::Shared(readers + 1))?;
        Ok(true)
    }

    /// Takes the lock as the only one. Waits while anybody holds it.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// atomically(|tx| lock.lock_exclusive(tx));
    /// assert_eq!(lock.held(), Held::Exclusive);
    /// ```
    pub fn lock_exclusive(&self, tx: &Tx) -> Stm<()> {
        let locked = self.try_lock_exclusive(tx)?;
        tx.check(locked)
    }

    /// Takes the lock as the only one unless anybody holds it, and says whether it did.
    ///
    /// ```
    /// use weftwork_stm::{TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// atomically(|tx| lock.lock_shared(tx));
    /// assert!(!atomically(|tx| lock.try_lock_exclusive(tx)));
    /// ```
    pub fn try_lock_exclusive(&self, tx: &Tx) -> Stm<bool> {
        if *self.held.get(tx)? != Held::Free {
            return Ok(false);
        }
        self.held.set(tx, Held::Exclusive)?;
        Ok(true)
    }

    /// Gives back what a reader took. Whoever waits for the lock is woken.
    ///
    /// # Panics
    /// No reader holds the lock: the caller did not take it.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// atomically(|tx| lock.lock_shared(tx));
    /// atomically(|tx| lock.unlock_shared(tx));
    /// assert_eq!(lock.held(), Held::Free);
    /// ```
    pub fn unlock_shared(&self, tx: &Tx) -> Stm<()> {
        let left = match *self.held.get(tx)? {
            Held::Shared(1) => Held::Free,
            Held::Shared(readers) => Held::Shared(readers - 1),
            held => panic!("a reader gave back a lock that no reader holds: {held:?}"),
        };
        self.held.set(tx, left)
    }

    /// Gives back what a writer took. Whoever waits for the lock is woken.
    ///
    /// # Panics
    /// No writer holds the lock: the caller did not take it.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// atomically(|tx| lock.lock_exclusive(tx));
    /// atomically(|tx| lock.unlock_exclusive(tx));
    /// assert_eq!(lock.held(), Held::Free);
    /// ```
    pub fn unlock_exclusive(&self, tx: &Tx) -> Stm<()> {
        self.expect_writer(tx)?;
        self.held.set(tx, Held::Free)
    }

    /// Makes a writer the first reader of several, so that nobody writes between the two.
    ///
    /// # Panics
    /// No writer holds the lock: the caller did not take it.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// atomically(|tx| lock.lock_exclusive(tx));
    /// atomically(|tx| lock.downgrade(tx));
    /// assert_eq!(lock.held(), Held::Shared(1));
    /// ```
    pub fn downgrade(&self, tx: &Tx) -> Stm<()> {
        self.expect_writer(tx)?;
        self.held.set(tx, Held::Shared(1))
    }

    /// Makes the caller, a reader, the writer. Waits until it is the only reader.
    ///
    /// Two readers that both do this wait for each other for ever: put it into an `or_else` whose other
    /// branch gives the lock back.
    ///
    /// # Panics
    /// No reader holds the lock: the caller did not take it.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock, atomically};
    ///
    /// let lock = TRwLock::new();
    /// atomically(|tx| lock.lock_shared(tx));
    /// atomically(|tx| lock.upgrade(tx));
    /// assert_eq!(lock.held(), Held::Exclusive);
    /// ```
    pub fn upgrade(&self, tx: &Tx) -> Stm<()> {
        match *self.held.get(tx)? {
            Held::Shared(1) => self.held.set(tx, Held::Exclusive),
            Held::Shared(_) => tx.retry(),
            held => panic!("a reader wanted more of a lock that no reader holds: {held:?}"),
        }
    }

    fn expect_writer(&self, tx: &Tx) -> Stm<()> {
        let held = *self.held.get(tx)?;
        assert!(
            held == Held::Exclusive,
            "a writer gave back a lock that no writer holds: {held:?}"
        );
        Ok(())
    }

    /// Calls `f` with the lock held as one reader of several. Outside of transactions: waits while a writer
    /// holds it, and gives it back also if `f` panics.
    ///
    /// # Panics
    /// As [`atomically`] inside a transaction.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock};
    ///
    /// let lock = TRwLock::new();
    /// assert_eq!(lock.shared(|| lock.held()), Held::Shared(1));
    /// ```
    #[track_caller]
    pub fn shared<R>(&self, f: impl FnOnce() -> R) -> R {
        atomically(|tx| self.lock_shared(tx));
        let _unlock = Unlock(self, Self::unlock_shared);
        f()
    }

    /// Calls `f` with the lock held as the only one. Outside of transactions: waits while anybody holds it,
    /// and gives it back also if `f` panics.
    ///
    /// # Panics
    /// As [`atomically`] inside a transaction.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock};
    ///
    /// let lock = TRwLock::new();
    /// assert_eq!(lock.exclusively(|| lock.held()), Held::Exclusive);
    /// ```
    #[track_caller]
    pub fn exclusively<R>(&self, f: impl FnOnce() -> R) -> R {
        atomically(|tx| self.lock_exclusive(tx));
        let _unlock = Unlock(self, Self::unlock_exclusive);
        f()
    }

    /// What is held, read outside of transactions.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock};
    ///
    /// assert_eq!(TRwLock::new().held(), Held::Free);
    /// ```
    #[must_use]
    pub fn held(&self) -> Held {
        self.held.load()
    }

    /// What is held as `snapshot` sees it.
    ///
    /// ```
    /// use weftwork_stm::{Held, TRwLock, snapshot};
    ///
    /// assert_eq!(snapshot(|s| TRwLock::new().view(s)), Held::Free);
    /// ```
    #[must_use]
    pub fn view(&self, snapshot: &Snapshot) -> Held {
        *self.held.view(snapshot)
    }
}

/// Gives a lock back when it is dropped.
struct Unlock<'l>(&'l TRwLock, fn(&TRwLock, &Tx) -> Stm<()>);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        atomically(|tx| self.1(self.0, tx));
    }
}

impl fmt::Debug for TRwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TRwLock").field(&self.held()).finish()
    }
}

//! A semaphore.

use crate::{Snapshot, Stm, TVar, Tx};
use std::fmt;

/// A number of permits, of which a transaction takes as many as it needs, or waits for them.
///
/// Permits are a plain number: whoever has some may give back any number, also more than were there at
/// first. A transaction that waits has taken nothing, so a large request is overtaken by small ones for as
/// long as they keep the number low: first come, first served is not promised. What is: whoever waits looks
/// again after every release, so no permit lies idle while somebody waits for it.
///
/// A clone is another handle to the same permits.
///
/// ```
/// use weftwork_stm::{TSem, atomically};
///
/// let seats = TSem::new(4);
/// atomically(|tx| seats.acquire(tx, 3));
/// assert!(!atomically(|tx| seats.try_acquire(tx, 2)));
/// atomically(|tx| seats.release(tx, 3));
/// assert_eq!(seats.available(), 4);
/// ```
#[derive(Clone)]
pub struct TSem {
    permits: TVar<usize>,
}

impl TSem {
    /// Makes a semaphore with this many permits.
    ///
    /// ```
    /// use weftwork_stm::TSem;
    ///
    /// static CONNECTIONS: TSem = TSem::new(16);
    /// assert_eq!(CONNECTIONS.available(), 16);
    /// ```
    #[must_use]
    pub const fn new(permits: usize) -> Self {
        TSem {
            permits: TVar::new(permits),
        }
    }

    /// Takes `permits`. Waits until there are as many.
    ///
    /// ```
    /// use weftwork_stm::{TSem, atomically};
    ///
    /// let done = TSem::new(0);
    /// let worker = std::thread::spawn({
    ///     let done = done.clone();
    ///     move || atomically(|tx| done.release(tx, 1))
    /// });
    /// atomically(|tx| done.acquire(tx, 1)); // Waits for the worker.
    /// worker.join().unwrap();
    /// ```
    pub fn acquire(&self, tx: &Tx, permits: usize) -> Stm<()> {
        let enough = self.try_acquire(tx, permits)?;
        tx.check(enough)
    }

    /// Takes `permits` if there are as many, and says so.
    ///
    /// ```
    /// use weftwork_stm::{TSem, atomically};
    ///
    /// let lock = TSem::new(1);
    /// assert!(atomically(|tx| lock.try_acquire(tx, 1)));
    /// assert!(!atomically(|tx| lock.try_acquire(tx, 1)));
    /// ```
    pub fn try_acquire(&self, tx: &Tx, permits: usize) -> Stm<bool> {
        match self.permits.get(tx)?.checked_sub(permits) {
            Some(left) => {
                self.permits.set(tx, left)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Gives `permits` back, or adds them. Never waits. Who waits for permits is woken.
    ///
    /// # Panics
    /// The number does not fit into a `usize`.
    ///
    /// ```
    /// use weftwork_stm::{TSem, atomically};
    ///
    /// let items = TSem::new(0);
    /// atomically(|tx| items.release(tx, 5));
    /// assert_eq!(items.available(), 5);
    /// ```
    pub fn release(&self, tx: &Tx, permits: usize) -> Stm<()> {
        let sum = self.permits.get(tx)?.checked_add(permits);
        self.permits
            .set(tx, sum.expect("a semaphore has at most usize::MAX permits"))
    }

    /// Takes all permits that are there, and says how many.
    ///
    /// ```
    /// use weftwork_stm::{TSem, atomically};
    ///
    /// let items = TSem::new(5);
    /// assert_eq!(atomically(|tx| items.drain(tx)), 5);
    /// assert_eq!(atomically(|tx| items.drain(tx)), 0);
    /// ```
    pub fn drain(&self, tx: &Tx) -> Stm<usize> {
        let all = *self.permits.get(tx)?;
        if all > 0 {
            self.permits.set(tx, 0)?;
        }
        Ok(all)
    }

    /// How many permits there are.
    ///
    /// ```
    /// use weftwork_stm::{TSem, atomically};
    ///
    /// assert_eq!(atomically(|tx| TSem::new(2).permits(tx)), 2);
    /// ```
    pub fn permits(&self, tx: &Tx) -> Stm<usize> {
        self.permits.get(tx).copied()
    }

    /// How many permits there are, read outside of transactions.
    ///
    /// ```
    /// assert_eq!(weftwork_stm::TSem::new(2).available(), 2);
    /// ```
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.load()
    }

    /// How many permits there are as `snapshot` sees it.
    ///
    /// ```
    /// use weftwork_stm::{TSem, snapshot};
    ///
    /// assert_eq!(snapshot(|s| TSem::new(2).view(s)), 2);
    /// ```
    #[must_use]
    pub fn view(&self, snapshot: &Snapshot) -> usize {
        *self.permits.view(snapshot)
    }
}

impl Default for TSem {
    /// Makes a semaphore without permits.
    fn default() -> Self {
        TSem::new(0)
    }
}

impl fmt::Debug for TSem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TSem")
            .field("available", &self.available())
            .finish()
    }
}

//! A place for one value.

use super::Full;
use crate::{Snapshot, Stm, TVar, Tx};
use std::fmt;

/// A place that holds one value or none: a lock with its data, a mailbox, a promise.
///
/// `take` waits until there is a value, `put` until there is none. A clone is another handle to the same
/// place. What leaves it is cloned: put what is costly to clone in an [`Arc`](std::sync::Arc). Of several
/// that wait, those that can go on race for it; the order is not promised.
///
/// ```
/// use weftwork_stm::{TMVar, atomically};
///
/// let promise = TMVar::empty();
/// let keeper = std::thread::spawn({
///     let promise = promise.clone();
///     move || atomically(|tx| promise.put(tx, 7))
/// });
/// assert_eq!(atomically(|tx| promise.take(tx)), 7); // Waits for the thread.
/// keeper.join().unwrap();
/// ```
pub struct TMVar<T: 'static> {
    place: TVar<Option<T>>,
}

impl<T: Send + Sync + 'static> TMVar<T> {
    /// Makes a place that holds `value`.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// static CONFIG: TMVar<&str> = TMVar::new("default");
    /// assert_eq!(atomically(|tx| CONFIG.read(tx).copied()), "default");
    /// ```
    pub const fn new(value: T) -> Self {
        TMVar {
            place: TVar::new(Some(value)),
        }
    }

    /// Makes a place that holds nothing.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// static RESULT: TMVar<u64> = TMVar::empty();
    /// assert!(atomically(|tx| RESULT.is_empty(tx)));
    /// ```
    pub const fn empty() -> Self {
        TMVar {
            place: TVar::new(None),
        }
    }

    /// Takes the value out. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::new(3);
    /// assert_eq!(atomically(|tx| place.take(tx)), 3);
    /// assert!(atomically(|tx| place.is_empty(tx)));
    /// ```
    pub fn take(&self, tx: &Tx) -> Stm<T>
    where
        T: Clone,
    {
        match self.try_take(tx)? {
            Some(value) => Ok(value),
            None => tx.retry(),
        }
    }

    /// Takes the value out if there is one.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::new(3);
    /// assert_eq!(atomically(|tx| place.try_take(tx)), Some(3));
    /// assert_eq!(atomically(|tx| place.try_take(tx)), None);
    /// ```
    pub fn try_take(&self, tx: &Tx) -> Stm<Option<T>>
    where
        T: Clone,
    {
        let Some(value) = self.place.get(tx)? else {
            return Ok(None);
        };
        let value = value.clone();
        self.place.set(tx, None)?;
        Ok(Some(value))
    }

    /// Puts `value` in. Waits until there is none.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::empty();
    /// atomically(|tx| place.put(tx, 3));
    /// assert_eq!(place.load(), Some(3));
    /// ```
    pub fn put(&self, tx: &Tx, value: T) -> Stm<()> {
        match self.try_put(tx, value)? {
            Ok(()) => Ok(()),
            Err(_) => tx.retry(),
        }
    }

    /// Puts `value` in if there is none.
    ///
    /// # Errors
    /// The inner result is an error if there is one; it hands `value` back.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::new(3);
    /// assert_eq!(atomically(|tx| place.try_put(tx, 4)).unwrap_err().into_inner(), 4);
    /// ```
    pub fn try_put(&self, tx: &Tx, value: T) -> Stm<Result<(), Full<T>>> {
        if self.place.get(tx)?.is_some() {
            return Ok(Err(Full(value)));
        }
        self.place.set(tx, Some(value))?;
        Ok(Ok(()))
    }

    /// Looks at the value and leaves it there: writes nothing. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::new(String::from("here"));
    /// assert_eq!(atomically(|tx| Ok(place.read(tx)?.len())), 4);
    /// ```
    pub fn read<'tx>(&self, tx: &'tx Tx) -> Stm<&'tx T> {
        match self.try_read(tx)? {
            Some(value) => Ok(value),
            None => tx.retry(),
        }
    }

    /// Looks at the value if there is one. Writes nothing.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::<u8>::empty();
    /// assert!(atomically(|tx| Ok(place.try_read(tx)?.is_none())));
    /// ```
    pub fn try_read<'tx>(&self, tx: &'tx Tx) -> Stm<Option<&'tx T>> {
        Ok(self.place.get(tx)?.as_ref())
    }

    /// Takes the value out and puts `value` in. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::new("old");
    /// assert_eq!(atomically(|tx| place.swap(tx, "new")), "old");
    /// assert_eq!(place.load(), Some("new"));
    /// ```
    pub fn swap(&self, tx: &Tx, value: T) -> Stm<T>
    where
        T: Clone,
    {
        let old = self.read(tx)?.clone();
        self.place.set(tx, Some(value))?;
        Ok(old)
    }

    /// Puts `value` in, whether or not there is one. Never waits, and reads nothing.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::new(1);
    /// atomically(|tx| place.write(tx, 2));
    /// assert_eq!(place.load(), Some(2));
    /// ```
    pub fn write(&self, tx: &Tx, value: T) -> Stm<()> {
        self.place.set(tx, Some(value))
    }

    /// Whether there is no value.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// assert!(!atomically(|tx| TMVar::new(1).is_empty(tx)));
    /// ```
    pub fn is_empty(&self, tx: &Tx) -> Stm<bool> {
        Ok(self.place.get(tx)?.is_none())
    }

    /// The value, read outside of transactions.
    ///
    /// ```
    /// assert_eq!(weftwork_stm::TMVar::new(1).load(), Some(1));
    /// ```
    pub fn load(&self) -> Option<T>
    where
        T: Clone,
    {
        self.place.load()
    }

    /// The value as `snapshot` sees it.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, snapshot};
    ///
    /// let place = TMVar::new(1);
    /// assert_eq!(snapshot(|s| place.view(s).copied()), Some(1));
    /// ```
    pub fn view<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s T> {
        self.place.view(snapshot).as_ref()
    }
}

impl<T: Send + Sync + 'static> Clone for TMVar<T> {
    fn clone(&self) -> Self {
        TMVar {
            place: self.place.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> Default for TMVar<T> {
    fn default() -> Self {
        TMVar::empty()
    }
}

impl<T: Send + Sync + 'static> From<T> for TMVar<T> {
    fn from(value: T) -> Self {
        TMVar::new(value)
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for TMVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place
            .with(|value| f.debug_tuple("TMVar").field(value).finish())
    }
}

//! An array of variables.

use crate::{Snapshot, Stm, TVar, Tx};
use std::fmt;
use std::sync::Arc;

/// A fixed number of variables side by side; each is one of its own, so that transactions conflict only if
/// they use the same index.
///
/// A clone is another handle to the same array. An index past the end panics, as with slices.
///
/// ```
/// use weftwork_stm::{TArray, atomically, snapshot};
///
/// let accounts = TArray::from_fn(10, |_| 100_u64);
/// atomically(|tx| {
///     accounts.update(tx, 3, |balance| balance - 30)?;
///     accounts.update(tx, 7, |balance| balance + 30)
/// });
/// assert_eq!(snapshot(|s| accounts.view(s).sum::<u64>()), 1000);
/// ```
pub struct TArray<T: 'static> {
    vars: Arc<[TVar<T>]>,
}

impl<T: Send + Sync + 'static> TArray<T> {
    /// Makes an array of `len` values, which `value` makes from their indices.
    ///
    /// ```
    /// use weftwork_stm::TArray;
    ///
    /// assert_eq!(TArray::from_fn(3, |index| index * 2).load(2), 4);
    /// ```
    #[must_use]
    pub fn from_fn(len: usize, value: impl FnMut(usize) -> T) -> Self {
        (0..len).map(value).collect()
    }

    /// How many values there are.
    ///
    /// ```
    /// assert_eq!(weftwork_stm::TArray::from_iter([1, 2]).len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.vars.len()
    }

    /// Whether there are no values at all.
    ///
    /// ```
    /// assert!(weftwork_stm::TArray::<u8>::from_iter([]).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vars.is_empty()
    }

    /// The variable at `index`, for what only variables can do, such as to be watched.
    ///
    /// # Panics
    /// There is no such index.
    ///
    /// ```
    /// use weftwork_stm::TArray;
    ///
    /// let array = TArray::from_iter([1, 2]);
    /// array.var(1).store(3);
    /// assert_eq!(array.load(1), 3);
    /// ```
    #[must_use]
    pub fn var(&self, index: usize) -> &TVar<T> {
        &self.vars[index]
    }

    /// Reads the value at `index`.
    ///
    /// # Panics
    /// There is no such index.
    ///
    /// ```
    /// use weftwork_stm::{TArray, atomically};
    ///
    /// let array = TArray::from_iter([1, 2]);
    /// assert_eq!(atomically(|tx| array.get(tx, 1).copied()), 2);
    /// ```
    pub fn get<'tx>(&self, tx: &'tx Tx, index: usize) -> Stm<&'tx T> {
        self.vars[index].get(tx)
    }

    /// Replaces the value at `index`.
    ///
    /// # Panics
    /// There is no such index.
    ///
    /// ```
    /// use weftwork_stm::{TArray, atomically};
    ///
    /// let array = TArray::from_iter([1, 2]);
    /// atomically(|tx| array.set(tx, 1, 5));
    /// assert_eq!(array.load(1), 5);
    /// ```
    pub fn set(&self, tx: &Tx, index: usize, value: T) -> Stm<()> {
        self.vars[index].set(tx, value)
    }

    /// Replaces the value at `index` by what `f` makes of it.
    ///
    /// # Panics
    /// There is no such index.
    ///
    /// ```
    /// use weftwork_stm::{TArray, atomically};
    ///
    /// let array = TArray::from_iter([1, 2]);
    /// atomically(|tx| array.update(tx, 1, |n| n * 10));
    /// assert_eq!(array.load(1), 20);
    /// ```
    pub fn update(&self, tx: &Tx, index: usize, f: impl FnOnce(&T) -> T) -> Stm<()> {
        self.vars[index].update(tx, f)
    }

    /// Exchanges two values.
    ///
    /// # Panics
    /// There is no such index.
    ///
    /// ```
    /// use weftwork_stm::{TArray, atomically};
    ///
    /// let array = TArray::from_iter([1, 2]);
    /// atomically(|tx| array.swap(tx, 0, 1));
    /// assert_eq!((array.load(0), array.load(1)), (2, 1));
    /// ```
    pub fn swap(&self, tx: &Tx, left: usize, right: usize) -> Stm<()>
    where
        T: Clone,
    {
        let (at_left, at_right) = (self.get(tx, left)?.clone(), self.get(tx, right)?.clone());
        if left != right {
            self.set(tx, left, at_right)?;
            self.set(tx, right, at_left)?;
        }
        Ok(())
    }

    /// Reads all values in order. Conflicts with whoever writes any of them; see [`view`](Self::view).
    ///
    /// ```
    /// use weftwork_stm::{TArray, atomically};
    ///
    /// let array = TArray::from_iter([1, 2, 3]);
    /// let sum = atomically(|tx| array.iter(tx).try_fold(0, |sum, n| Ok(sum + n?)));
    /// assert_eq!(sum, 6);
    /// ```
    pub fn iter<'tx>(&self, tx: &'tx Tx) -> impl ExactSizeIterator<Item = Stm<&'tx T>> {
        self.vars.iter().map(move |var| var.get(tx))
    }

    /// The value at `index`, read outside of transactions.
    ///
    /// # Panics
    /// There is no such index.
    ///
    /// ```
    /// assert_eq!(weftwork_stm::TArray::from_iter([1, 2]).load(0), 1);
    /// ```
    pub fn load(&self, index: usize) -> T
    where
        T: Clone,
    {
        self.vars[index].load()
    }

    /// All values as `snapshot` sees them, in order.
    ///
    /// ```
    /// use weftwork_stm::{TArray, snapshot};
    ///
    /// let array = TArray::from_iter([1, 2, 3]);
    /// assert_eq!(snapshot(|s| array.view(s).max().copied()), Some(3));
    /// ```
    pub fn view<'s>(&self, snapshot: &'s Snapshot) -> impl ExactSizeIterator<Item = &'s T> {
        self.vars.iter().map(move |var| var.view(snapshot))
    }
}

impl<T: Send + Sync + 'static> FromIterator<T> for TArray<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        TArray {
            vars: values.into_iter().map(TVar::new).collect(),
        }
    }
}

impl<T: 'static> Clone for TArray<T> {
    fn clone(&self) -> Self {
        TArray {
            vars: Arc::clone(&self.vars),
        }
    }
}

impl<T: 'static> fmt::Debug for TArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TArray")
            .field("len", &self.vars.len())
            .finish_non_exhaustive()
    }
}

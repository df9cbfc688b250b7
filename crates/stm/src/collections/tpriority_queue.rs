//! A queue whose greatest value comes first.

use super::heap::Heap;
use crate::{Snapshot, Stm, TVar, Tx};
use std::fmt;

/// A queue without bound whose greatest value comes first, as in [`BinaryHeap`](std::collections::BinaryHeap);
/// for the least, wrap values in [`Reverse`](std::cmp::Reverse).
///
/// `push` never waits, `pop` waits until there is a value; both take a number of steps that is logarithmic
/// in the length at worst, so that no transaction is unexpectedly long. All that write conflict with each
/// other. The order of equal values is not promised. A clone is another handle to the same queue. What leaves
/// it is cloned: put what is costly to clone in an [`Arc`](std::sync::Arc).
///
/// ```
/// use weftwork_stm::{TPriorityQueue, atomically};
///
/// let queue = TPriorityQueue::new();
/// atomically(|tx| {
///     queue.push(tx, (1, "sweep"))?;
///     queue.push(tx, (9, "put out the fire"))
/// });
/// assert_eq!(atomically(|tx| queue.pop(tx)).1, "put out the fire");
/// ```
pub struct TPriorityQueue<T: 'static> {
    heap: TVar<Heap<T>>,
}

impl<T: Ord + Send + Sync + 'static> TPriorityQueue<T> {
    /// Makes an empty queue.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// static ALARMS: TPriorityQueue<u64> = TPriorityQueue::new();
    /// assert!(atomically(|tx| ALARMS.is_empty(tx)));
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        TPriorityQueue {
            heap: TVar::new(Heap::new()),
        }
    }

    /// Adds `value`. Never waits.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// let queue = TPriorityQueue::new();
    /// atomically(|tx| queue.push(tx, 1));
    /// assert_eq!(atomically(|tx| queue.len(tx)), 1);
    /// ```
    pub fn push(&self, tx: &Tx, value: T) -> Stm<()> {
        self.heap.update(tx, |heap| heap.pushed(value))
    }

    /// Takes the greatest value. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// let queue = TPriorityQueue::from_iter([1, 3, 2]);
    /// assert_eq!(atomically(|tx| queue.pop(tx)), 3);
    /// ```
    pub fn pop(&self, tx: &Tx) -> Stm<T>
    where
        T: Clone,
    {
        match self.try_pop(tx)? {
            Some(value) => Ok(value),
            None => tx.retry(),
        }
    }

    /// Takes the greatest value if there is one.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// let queue = TPriorityQueue::<u8>::new();
    /// assert_eq!(atomically(|tx| queue.try_pop(tx)), None);
    /// ```
    pub fn try_pop(&self, tx: &Tx) -> Stm<Option<T>>
    where
        T: Clone,
    {
        let heap = self.heap.get(tx)?;
        let Some(value) = heap.greatest().cloned() else {
            return Ok(None);
        };
        self.heap.set(tx, heap.rest())?;
        Ok(Some(value))
    }

    /// Looks at the greatest value and leaves it there: writes nothing. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// let queue = TPriorityQueue::from_iter([1, 3, 2]);
    /// assert_eq!(atomically(|tx| queue.peek(tx).copied()), 3);
    /// ```
    pub fn peek<'tx>(&self, tx: &'tx Tx) -> Stm<&'tx T> {
        match self.try_peek(tx)? {
            Some(value) => Ok(value),
            None => tx.retry(),
        }
    }

    /// Looks at the greatest value if there is one. Writes nothing.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// let queue = TPriorityQueue::<u8>::new();
    /// assert!(atomically(|tx| Ok(queue.try_peek(tx)?.is_none())));
    /// ```
    pub fn try_peek<'tx>(&self, tx: &'tx Tx) -> Stm<Option<&'tx T>> {
        Ok(self.heap.get(tx)?.greatest())
    }

    /// Takes all values, the greatest first. Never waits.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// let queue = TPriorityQueue::from_iter([1, 3, 2]);
    /// assert_eq!(atomically(|tx| queue.drain(tx)), [3, 2, 1]);
    /// ```
    pub fn drain(&self, tx: &Tx) -> Stm<Vec<T>>
    where
        T: Clone,
    {
        let mut values: Vec<T> = self.heap.get(tx)?.iter().cloned().collect();
        values.sort_by(|one, other| other.cmp(one));
        // What is empty is not written: who waits for it need not look.
        if !values.is_empty() {
            self.heap.set(tx, Heap::new())?;
        }
        Ok(values)
    }

    /// How many values there are.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// assert_eq!(atomically(|tx| TPriorityQueue::from_iter([1, 2]).len(tx)), 2);
    /// ```
    pub fn len(&self, tx: &Tx) -> Stm<usize> {
        Ok(self.heap.get(tx)?.len())
    }

    /// Whether there is no value.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, atomically};
    ///
    /// assert!(atomically(|tx| TPriorityQueue::<u8>::new().is_empty(tx)));
    /// ```
    pub fn is_empty(&self, tx: &Tx) -> Stm<bool> {
        Ok(self.try_peek(tx)?.is_none())
    }

    /// The values as `snapshot` sees them, in no particular order.
    ///
    /// ```
    /// use weftwork_stm::{TPriorityQueue, snapshot};
    ///
    /// let queue = TPriorityQueue::from_iter([1, 3, 2]);
    /// assert_eq!(snapshot(|s| queue.view(s).sum::<i32>()), 6);
    /// ```
    pub fn view<'s>(&self, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s T> + use<'s, T> {
        self.heap.view(snapshot).iter()
    }
}

impl<T: Send + Sync + 'static> Clone for TPriorityQueue<T> {
    fn clone(&self) -> Self {
        TPriorityQueue {
            heap: self.heap.clone(),
        }
    }
}

impl<T: Ord + Send + Sync + 'static> Default for TPriorityQueue<T> {
    fn default() -> Self {
        TPriorityQueue::new()
    }
}

impl<T: Ord + Send + Sync + 'static> FromIterator<T> for TPriorityQueue<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let heap = values
            .into_iter()
            .fold(Heap::new(), |heap, value| heap.pushed(value));
        TPriorityQueue {
            heap: TVar::new(heap),
        }
    }
}

impl<T: 'static> fmt::Debug for TPriorityQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TPriorityQueue").finish_non_exhaustive()
    }
}

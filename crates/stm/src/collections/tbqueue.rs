//! A queue with a bound.
//!
//! A ring of variables and two counters. A value with number `n` is in slot `n % capacity`; those from
//! `popped` to `pushed` are there. Whoever pushes looks at the slot it wants, not at `popped`: so those who
//! push and those who pop meet only in the slots, where the queue is empty or full.

use super::Full;
use crate::{Snapshot, Stm, TVar, Tx};
use std::fmt;
use std::sync::Arc;

/// A queue with a bound: first in, first out.
///
/// `push` waits while the queue is full, `pop` while it is empty. Those who push do not conflict with those
/// who pop unless it is either. A clone is another handle to the same queue. What leaves it is cloned: put
/// what is costly to clone in an [`Arc`].
///
/// ```
/// use weftwork_stm::{TBQueue, atomically};
///
/// let queue = TBQueue::new(2);
/// let producer = std::thread::spawn({
///     let queue = queue.clone();
///     move || (0..10).for_each(|n| atomically(|tx| queue.push(tx, n)))
/// });
/// let sum: i32 = (0..10).map(|_| atomically(|tx| queue.pop(tx))).sum();
/// assert_eq!(sum, 45);
/// producer.join().unwrap();
/// ```
pub struct TBQueue<T: 'static> {
    ring: Arc<Ring<T>>,
}

struct Ring<T: 'static> {
    slots: Box<[TVar<Option<T>>]>,
    /// The number of the next value that is pushed.
    pushed: TVar<usize>,
    /// The number of the next value that is popped.
    popped: TVar<usize>,
}

impl<T> Ring<T> {
    fn slot(&self, number: usize) -> Option<&TVar<Option<T>>> {
        let at = number.checked_rem(self.slots.len())?;
        Some(&self.slots[at])
    }
}

impl<T: Send + Sync + 'static> TBQueue<T> {
    /// Makes an empty queue for as many values.
    ///
    /// A queue of capacity zero is always full, and always empty.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::<u8>::new(0);
    /// assert!(atomically(|tx| Ok(queue.is_full(tx)? && queue.is_empty(tx)?)));
    /// ```
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        TBQueue {
            ring: Arc::new(Ring {
                slots: (0..capacity).map(|_| TVar::new(None)).collect(),
                // Not zero: `push_front` counts backwards, at most by the capacity.
                pushed: TVar::new(capacity),
                popped: TVar::new(capacity),
            }),
        }
    }

    /// How many values there is room for.
    ///
    /// ```
    /// assert_eq!(weftwork_stm::TBQueue::<u8>::new(3).capacity(), 3);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.slots.len()
    }

    /// Adds `value` at the end. Waits until there is room.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::new(1);
    /// atomically(|tx| queue.push(tx, 1));
    /// assert!(atomically(|tx| queue.is_full(tx)));
    /// ```
    pub fn push(&self, tx: &Tx, value: T) -> Stm<()> {
        match self.try_push(tx, value)? {
            Ok(()) => Ok(()),
            Err(_) => tx.retry(),
        }
    }

    /// Adds `value` at the end if there is room.
    ///
    /// # Errors
    /// The inner result is an error if the queue is full; it hands `value` back.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::new(1);
    /// assert!(atomically(|tx| queue.try_push(tx, 1)).is_ok());
    /// assert_eq!(atomically(|tx| queue.try_push(tx, 2)).unwrap_err().into_inner(), 2);
    /// ```
    pub fn try_push(&self, tx: &Tx, value: T) -> Stm<Result<(), Full<T>>> {
        let number = *self.ring.pushed.get(tx)?;
        match self.ring.slot(number) {
            Some(slot) if slot.get(tx)?.is_none() => {
                slot.set(tx, Some(value))?;
                self.ring.pushed.set(tx, number + 1)?;
                Ok(Ok(()))
            }
            _ => Ok(Err(Full(value))),
        }
    }

    /// Adds `value` before all others, to be the next that is popped. Waits until there is room.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::new(2);
    /// atomically(|tx| queue.push(tx, 2));
    /// atomically(|tx| queue.push_front(tx, 1));
    /// assert_eq!(atomically(|tx| queue.drain(tx)), [1, 2]);
    /// ```
    pub fn push_front(&self, tx: &Tx, value: T) -> Stm<()> {
        let number = self.ring.popped.get(tx)?.wrapping_sub(1);
        match self.ring.slot(number) {
            Some(slot) if slot.get(tx)?.is_none() => {
                slot.set(tx, Some(value))?;
                self.ring.popped.set(tx, number)
            }
            _ => tx.retry(),
        }
    }

    /// Takes the oldest value. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::new(1);
    /// atomically(|tx| queue.push(tx, 1));
    /// assert_eq!(atomically(|tx| queue.pop(tx)), 1);
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

    /// Takes the oldest value if there is one.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::<u8>::new(1);
    /// assert_eq!(atomically(|tx| queue.try_pop(tx)), None);
    /// ```
    pub fn try_pop(&self, tx: &Tx) -> Stm<Option<T>>
    where
        T: Clone,
    {
        let number = *self.ring.popped.get(tx)?;
        let Some(slot) = self.ring.slot(number) else {
            return Ok(None);
        };
        let Some(value) = slot.get(tx)? else {
            return Ok(None);
        };
        let value = value.clone();
        slot.set(tx, None)?;
        self.ring.popped.set(tx, number + 1)?;
        Ok(Some(value))
    }

    /// Looks at the oldest value and leaves it there: writes nothing. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::new(1);
    /// atomically(|tx| queue.push(tx, 1));
    /// assert_eq!(atomically(|tx| queue.peek(tx).copied()), 1);
    /// ```
    pub fn peek<'tx>(&self, tx: &'tx Tx) -> Stm<&'tx T> {
        match self.try_peek(tx)? {
            Some(value) => Ok(value),
            None => tx.retry(),
        }
    }

    /// Looks at the oldest value if there is one. Writes nothing.
    ///
    /// ```
    /// # use weftwork_stm::{TBQueue, atomically};
    /// let queue = TBQueue::<u8>::new(1);
    /// assert!(atomically(|tx| Ok(queue.try_peek(tx)?.is_none())));
    /// ```
    pub fn try_peek<'tx>(&self, tx: &'tx Tx) -> Stm<Option<&'tx T>> {
        match self.ring.slot(*self.ring.popped.get(tx)?) {
            Some(slot) => Ok(slot.get(tx)?.as_ref()),
            None => Ok(None),
        }
    }

    /// Takes all values, the oldest first. Never waits. All the room is free again.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// let queue = TBQueue::new(2);
    /// atomically(|tx| queue.push(tx, 1));
    /// assert_eq!(atomically(|tx| queue.drain(tx)), [1]);
    /// ```
    pub fn drain(&self, tx: &Tx) -> Stm<Vec<T>>
    where
        T: Clone,
    {
        let first = *self.ring.popped.get(tx)?;
        let mut values = Vec::new();
        while let Some(slot) = self.ring.slot(first + values.len())
            && let Some(value) = slot.get(tx)?
        {
            values.push(value.clone());
            slot.set(tx, None)?;
        }
        // What is empty is not written: who waits for it need not look.
        if !values.is_empty() {
            self.ring.popped.set(tx, first + values.len())?;
        }
        Ok(values)
    }

    /// How many values there are. Conflicts with whoever pushes or pops.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// assert_eq!(atomically(|tx| TBQueue::<u8>::new(1).len(tx)), 0);
    /// ```
    pub fn len(&self, tx: &Tx) -> Stm<usize> {
        Ok(*self.ring.pushed.get(tx)? - *self.ring.popped.get(tx)?)
    }

    /// Whether there is no value. Does not conflict with whoever pushes more.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// assert!(atomically(|tx| TBQueue::<u8>::new(1).is_empty(tx)));
    /// ```
    pub fn is_empty(&self, tx: &Tx) -> Stm<bool> {
        Ok(self.try_peek(tx)?.is_none())
    }

    /// Whether there is no room. Does not conflict with whoever pops more.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, atomically};
    ///
    /// assert!(!atomically(|tx| TBQueue::<u8>::new(1).is_full(tx)));
    /// ```
    pub fn is_full(&self, tx: &Tx) -> Stm<bool> {
        match self.ring.slot(*self.ring.pushed.get(tx)?) {
            Some(slot) => Ok(slot.get(tx)?.is_some()),
            None => Ok(true),
        }
    }

    /// The values as `snapshot` sees them, the oldest first.
    ///
    /// ```
    /// use weftwork_stm::{TBQueue, snapshot};
    ///
    /// let queue = TBQueue::<u8>::new(1);
    /// assert_eq!(snapshot(|s| queue.view(s).count()), 0);
    /// ```
    pub fn view<'s>(&self, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s T> {
        let ring = &self.ring;
        let numbers = *ring.popped.view(snapshot)..*ring.pushed.view(snapshot);
        numbers.filter_map(move |number| ring.slot(number)?.view(snapshot).as_ref())
    }
}

impl<T: 'static> Clone for TBQueue<T> {
    fn clone(&self) -> Self {
        TBQueue {
            ring: Arc::clone(&self.ring),
        }
    }
}

impl<T: 'static> fmt::Debug for TBQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TBQueue")
            .field("capacity", &self.ring.slots.len())
            .finish_non_exhaustive()
    }
}

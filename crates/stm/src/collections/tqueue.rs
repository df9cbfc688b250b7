//! A queue without bound.
//!
//! Two lists: what is pushed goes before the first of `back`, what is popped is the first of `front`. When
//! `front` is empty, whoever pops turns `back` around: so each value is moved once, and a pop costs constant
//! time on average. While `front` is not empty, those who push and those who pop use different variables and
//! do not conflict.

use super::list::List;
use crate::{Snapshot, Stm, TVar, Tx};
use std::fmt;

/// A queue without bound: first in, first out.
///
/// `push` never waits, `pop` waits until there is a value. Those who push do not conflict with those who pop
/// while the queue holds enough; two who push do, and two who pop. A clone is another handle to the same
/// queue. What leaves it is cloned: put what is costly to clone in an [`Arc`](std::sync::Arc).
///
/// ```
/// use weftwork_stm::{TQueue, atomically};
///
/// let (high, low) = (TQueue::new(), TQueue::new());
/// atomically(|tx| low.push(tx, "sweep"));
/// // From whichever has something, first from `high`.
/// let next = atomically(|tx| tx.or_else(|tx| high.pop(tx), |tx| low.pop(tx)));
/// assert_eq!(next, "sweep");
/// ```
pub struct TQueue<T: 'static> {
    /// The oldest first.
    front: TVar<List<T>>,
    /// The youngest first; all are younger than those of `front`.
    back: TVar<Back<T>>,
}

struct Back<T> {
    list: List<T>,
    /// The last of `list`, alone, so that a look at it need not walk there.
    oldest: List<T>,
}

impl<T> Back<T> {
    const fn new() -> Self {
        Back {
            list: List::new(),
            oldest: List::new(),
        }
    }

    fn pushed(&self, value: T) -> Self {
        let list = self.list.pushed(value);
        let oldest = match self.oldest.first() {
            Some(_) => self.oldest.clone(),
            None => list.clone(),
        };
        Back { list, oldest }
    }
}

impl<T: Send + Sync + 'static> TQueue<T> {
    /// Makes an empty queue.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// static LETTERS: TQueue<String> = TQueue::new();
    /// assert!(atomically(|tx| LETTERS.is_empty(tx)));
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        TQueue {
            front: TVar::new(List::new()),
            back: TVar::new(Back::new()),
        }
    }

    /// Adds `value` at the end. Never waits.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// let queue = TQueue::new();
    /// atomically(|tx| queue.push(tx, 1));
    /// assert_eq!(atomically(|tx| queue.len(tx)), 1);
    /// ```
    pub fn push(&self, tx: &Tx, value: T) -> Stm<()> {
        self.back.update(tx, |back| back.pushed(value))
    }

    /// Adds `value` before all others, to be the next that is popped. Never waits.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// let queue = TQueue::from_iter([2]);
    /// atomically(|tx| queue.push_front(tx, 1));
    /// assert_eq!(atomically(|tx| queue.drain(tx)), [1, 2]);
    /// ```
    pub fn push_front(&self, tx: &Tx, value: T) -> Stm<()> {
        self.front.update(tx, |front| front.pushed(value))
    }

    /// Takes the oldest value. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// let queue = TQueue::new();
    /// let other = std::thread::spawn({
    ///     let queue = queue.clone();
    ///     move || atomically(|tx| queue.push(tx, 7))
    /// });
    /// assert_eq!(atomically(|tx| queue.pop(tx)), 7); // Waits for the thread.
    /// other.join().unwrap();
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
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// let queue = TQueue::from_iter(["one"]);
    /// assert_eq!(atomically(|tx| queue.try_pop(tx)), Some("one"));
    /// assert_eq!(atomically(|tx| queue.try_pop(tx)), None);
    /// ```
    pub fn try_pop(&self, tx: &Tx) -> Stm<Option<T>>
    where
        T: Clone,
    {
        let front = self.front.get(tx)?;
        if let Some(value) = front.first() {
            let value = value.clone();
            self.front.set(tx, front.rest())?;
            return Ok(Some(value));
        }
        let back = self.back.get(tx)?;
        let Some(value) = back.oldest.first() else {
            return Ok(None);
        };
        let value = value.clone();
        if back.list.len() > 1 {
            self.front.set(tx, back.list.reversed_without_last())?;
        }
        self.back.set(tx, Back::new())?;
        Ok(Some(value))
    }

    /// Looks at the oldest value and leaves it there: writes nothing. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// let queue = TQueue::from_iter([1, 2]);
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
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// let queue = TQueue::<u8>::new();
    /// assert!(atomically(|tx| Ok(queue.try_peek(tx)?.is_none())));
    /// ```
    pub fn try_peek<'tx>(&self, tx: &'tx Tx) -> Stm<Option<&'tx T>> {
        match self.front.get(tx)?.first() {
            Some(value) => Ok(Some(value)),
            None => Ok(self.back.get(tx)?.oldest.first()),
        }
    }

    /// Takes all values, the oldest first. Never waits; one transaction takes what takes many with `pop`.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// let queue = TQueue::from_iter([1, 2, 3]);
    /// assert_eq!(atomically(|tx| queue.drain(tx)), [1, 2, 3]);
    /// assert_eq!(atomically(|tx| queue.drain(tx)), []);
    /// ```
    pub fn drain(&self, tx: &Tx) -> Stm<Vec<T>>
    where
        T: Clone,
    {
        let (front, back) = (self.front.get(tx)?, self.back.get(tx)?);
        let values = front.iter().chain(back.list.backwards()).cloned().collect();
        // What is empty is not written: who waits for it need not look.
        if front.len() > 0 {
            self.front.set(tx, List::new())?;
        }
        if back.list.len() > 0 {
            self.back.set(tx, Back::new())?;
        }
        Ok(values)
    }

    /// How many values there are.
    ///
    /// Conflicts with whoever pushes or pops; [`is_empty`](Self::is_empty) often does not.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// assert_eq!(atomically(|tx| TQueue::from_iter([1, 2]).len(tx)), 2);
    /// ```
    pub fn len(&self, tx: &Tx) -> Stm<usize> {
        Ok(self.front.get(tx)?.len() + self.back.get(tx)?.list.len())
    }

    /// Whether there is no value.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, atomically};
    ///
    /// assert!(atomically(|tx| TQueue::<u8>::new().is_empty(tx)));
    /// ```
    pub fn is_empty(&self, tx: &Tx) -> Stm<bool> {
        Ok(self.try_peek(tx)?.is_none())
    }

    /// The values as `snapshot` sees them, the oldest first.
    ///
    /// ```
    /// use weftwork_stm::{TQueue, snapshot};
    ///
    /// let queue = TQueue::from_iter([1, 2, 3]);
    /// assert_eq!(snapshot(|s| queue.view(s).sum::<i32>()), 6);
    /// ```
    pub fn view<'s>(&self, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s T> + use<'s, T> {
        let front = self.front.view(snapshot).iter();
        front.chain(self.back.view(snapshot).list.backwards())
    }
}

impl<T: Send + Sync + 'static> Clone for TQueue<T> {
    fn clone(&self) -> Self {
        TQueue {
            front: self.front.clone(),
            back: self.back.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> Default for TQueue<T> {
    fn default() -> Self {
        TQueue::new()
    }
}

impl<T: Send + Sync + 'static> FromIterator<T> for TQueue<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let back = values
            .into_iter()
            .fold(Back::new(), |back, value| back.pushed(value));
        TQueue {
            front: TVar::new(List::new()),
            back: TVar::new(back),
        }
    }
}

impl<T: 'static> fmt::Debug for TQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TQueue").finish_non_exhaustive()
    }
}

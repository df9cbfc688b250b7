//! A channel whose readers each see every value.
//!
//! A list of links (`link.rs`), each with a variable that is empty until its value comes. A channel knows the link
//! it reads next, and shares with all its relatives the one that is empty (`broadcast.rs`). What no reader can
//! reach any more is freed.

mod broadcast;
mod link;

pub use broadcast::TBroadcast;

use crate::{Snapshot, Stm, TVar, Tx};
use link::Link;
use std::fmt;
use std::sync::Arc;

/// A channel without bound whose duplicates each see every value.
///
/// `push` never waits, `pop` waits until there is a value. A [`duplicate`](Self::duplicate) sees what is
/// pushed from then on, a [`fork`](Self::fork) also what this one has not popped yet. Values go to all
/// relatives, whichever of them they are pushed to. A clone is nothing of the kind, but another handle to
/// the same place in the channel. For a channel that nobody need read, see [`TBroadcast`]. For a queue
/// whose values each go to one reader, [`TQueue`](super::TQueue) is smaller and faster.
///
/// ```
/// use weftwork_stm::{TChan, atomically};
///
/// let news = TChan::new();
/// let listener = atomically(|tx| news.duplicate(tx));
/// atomically(|tx| news.push(tx, "rain"));
/// assert_eq!(atomically(|tx| news.pop(tx)), "rain");
/// assert_eq!(atomically(|tx| listener.pop(tx)), "rain");
/// ```
pub struct TChan<T: 'static> {
    read: TVar<Arc<Link<T>>>,
    end: TBroadcast<T>,
}

impl<T: Send + Sync + 'static> TChan<T> {
    /// Makes an empty channel.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::<u8>::new();
    /// assert!(atomically(|tx| channel.is_empty(tx)));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let link = Link::new();
        TChan {
            read: TVar::new(Arc::clone(&link)),
            end: TBroadcast::at(link),
        }
    }

    /// Adds `value` at the end, for this channel and all its relatives. Never waits.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::new();
    /// atomically(|tx| channel.push(tx, 1));
    /// assert_eq!(atomically(|tx| channel.pop(tx)), 1);
    /// ```
    pub fn push(&self, tx: &Tx, value: T) -> Stm<()> {
        self.end.push(tx, value)
    }

    /// Takes the oldest value that this channel has not taken yet. Waits until there is one.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::new();
    /// let other = std::thread::spawn({
    ///     let channel = channel.clone();
    ///     move || atomically(|tx| channel.push(tx, 7))
    /// });
    /// assert_eq!(atomically(|tx| channel.pop(tx)), 7); // Waits for the thread.
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

    /// Takes the oldest value that this channel has not taken yet, if there is one.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::<u8>::new();
    /// assert_eq!(atomically(|tx| channel.try_pop(tx)), None);
    /// ```
    pub fn try_pop(&self, tx: &Tx) -> Stm<Option<T>>
    where
        T: Clone,
    {
        let link = self.read.get(tx)?;
        let Some(value) = link.value.get(tx)? else {
            return Ok(None);
        };
        self.read.set(tx, Arc::clone(link.next()))?;
        Ok(Some(value.clone()))
    }

    /// Looks at the value that `pop` would take, and leaves it there: writes nothing. Waits until there is
    /// one.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::new();
    /// atomically(|tx| channel.push(tx, 1));
    /// assert_eq!(atomically(|tx| channel.peek(tx).copied()), 1);
    /// ```
    pub fn peek<'tx>(&self, tx: &'tx Tx) -> Stm<&'tx T> {
        match self.try_peek(tx)? {
            Some(value) => Ok(value),
            None => tx.retry(),
        }
    }

    /// Looks at the value that `pop` would take, if there is one. Writes nothing.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::<u8>::new();
    /// assert!(atomically(|tx| Ok(channel.try_peek(tx)?.is_none())));
    /// ```
    pub fn try_peek<'tx>(&self, tx: &'tx Tx) -> Stm<Option<&'tx T>> {
        Ok(self.read.get(tx)?.value.get(tx)?.as_ref())
    }

    /// Adds `value` before all others, for this channel alone. Never waits.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::new();
    /// atomically(|tx| channel.push(tx, 2));
    /// atomically(|tx| channel.push_front(tx, 1));
    /// assert_eq!(atomically(|tx| channel.pop(tx)), 1);
    /// ```
    pub fn push_front(&self, tx: &Tx, value: T) -> Stm<()> {
        let next = Arc::clone(self.read.get(tx)?);
        self.read.set(tx, Link::before(next, value))
    }

    /// Whether this channel has taken all values.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// assert!(atomically(|tx| TChan::<u8>::new().is_empty(tx)));
    /// ```
    pub fn is_empty(&self, tx: &Tx) -> Stm<bool> {
        Ok(self.try_peek(tx)?.is_none())
    }

    /// Makes a relative that sees what is pushed from now on.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::new();
    /// atomically(|tx| channel.push(tx, 1));
    /// let later = atomically(|tx| channel.duplicate(tx));
    /// assert!(atomically(|tx| later.is_empty(tx)));
    /// ```
    pub fn duplicate(&self, tx: &Tx) -> Stm<TChan<T>> {
        self.end.subscribe(tx)
    }

    /// Makes a relative that sees what this channel has not taken yet, and all that is pushed from now on.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::new();
    /// atomically(|tx| channel.push(tx, 1));
    /// let same = atomically(|tx| channel.fork(tx));
    /// assert_eq!(atomically(|tx| same.pop(tx)), 1);
    /// ```
    pub fn fork(&self, tx: &Tx) -> Stm<TChan<T>> {
        Ok(TChan {
            read: TVar::new(Arc::clone(self.read.get(tx)?)),
            end: self.end.clone(),
        })
    }

    /// What this channel shares with its relatives: the end to push to.
    ///
    /// It keeps no values alive.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically};
    ///
    /// let channel = TChan::new();
    /// atomically(|tx| channel.end().push(tx, 1));
    /// assert_eq!(atomically(|tx| channel.pop(tx)), 1);
    /// ```
    #[must_use]
    pub fn end(&self) -> &TBroadcast<T> {
        &self.end
    }

    /// The values that this channel has not taken yet as `snapshot` sees it, the oldest first.
    ///
    /// ```
    /// use weftwork_stm::{TChan, atomically, snapshot};
    ///
    /// let channel = TChan::new();
    /// atomically(|tx| (1..=3).try_for_each(|n| channel.push(tx, n)));
    /// assert_eq!(snapshot(|s| channel.view(s).sum::<i32>()), 6);
    /// ```
    pub fn view<'s>(&self, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s T> + use<'s, T> {
        let mut link = self.read.view(snapshot);
        std::iter::from_fn(move || {
            let value = link.value.view(snapshot).as_ref()?;
            link = link.next();
            Some(value)
        })
    }
}

impl<T: Send + Sync + 'static> Clone for TChan<T> {
    fn clone(&self) -> Self {
        TChan {
            read: self.read.clone(),
            end: self.end.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> Default for TChan<T> {
    fn default() -> Self {
        TChan::new()
    }
}

impl<T: 'static> fmt::Debug for TChan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TChan").finish_non_exhaustive()
    }
}

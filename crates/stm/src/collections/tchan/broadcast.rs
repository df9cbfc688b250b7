//! The end of a channel to which values are pushed.

use super::TChan;
use super::link::Link;
use crate::{Stm, TVar, Tx};
use std::fmt;
use std::sync::Arc;

/// The end of a [`TChan`] to which values are pushed, without one from which they are popped.
///
/// What is pushed while there are no subscribers goes nowhere, and takes no room. A clone is another handle
/// to the same end.
///
/// ```
/// use weftwork_stm::{TBroadcast, atomically};
///
/// let news = TBroadcast::new();
/// atomically(|tx| news.push(tx, "missed"));
/// let listener = atomically(|tx| news.subscribe(tx));
/// atomically(|tx| news.push(tx, "heard"));
/// assert_eq!(atomically(|tx| listener.pop(tx)), "heard");
/// ```
pub struct TBroadcast<T: 'static> {
    /// The link that is empty.
    write: TVar<Arc<Link<T>>>,
}

impl<T: Send + Sync + 'static> TBroadcast<T> {
    /// Makes an end without subscribers.
    ///
    /// ```
    /// use weftwork_stm::{TBroadcast, atomically};
    ///
    /// let news = TBroadcast::new();
    /// atomically(|tx| news.push(tx, "unheard"));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        TBroadcast::at(Link::new())
    }

    /// The end whose next link is `link`.
    pub(super) fn at(link: Arc<Link<T>>) -> Self {
        TBroadcast {
            write: TVar::new(link),
        }
    }

    /// Gives `value` to all channels that belong to this end. Never waits.
    ///
    /// ```
    /// use weftwork_stm::{TBroadcast, atomically};
    ///
    /// let news = TBroadcast::new();
    /// let listeners = [(); 2].map(|()| atomically(|tx| news.subscribe(tx)));
    /// atomically(|tx| news.push(tx, "rain"));
    /// for listener in listeners {
    ///     assert_eq!(atomically(|tx| listener.pop(tx)), "rain");
    /// }
    /// ```
    pub fn push(&self, tx: &Tx, value: T) -> Stm<()> {
        let link = self.write.get(tx)?;
        link.value.set(tx, Some(value))?;
        self.write.set(tx, Arc::clone(link.next()))
    }

    /// Makes a channel that sees what is pushed from now on.
    ///
    /// ```
    /// use weftwork_stm::{TBroadcast, atomically};
    ///
    /// let news = TBroadcast::<u8>::new();
    /// let listener = atomically(|tx| news.subscribe(tx));
    /// assert!(atomically(|tx| listener.is_empty(tx)));
    /// ```
    pub fn subscribe(&self, tx: &Tx) -> Stm<TChan<T>> {
        Ok(TChan {
            read: TVar::new(Arc::clone(self.write.get(tx)?)),
            end: self.clone(),
        })
    }
}

impl<T: Send + Sync + 'static> Clone for TBroadcast<T> {
    fn clone(&self) -> Self {
        TBroadcast {
            write: self.write.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> Default for TBroadcast<T> {
    fn default() -> Self {
        TBroadcast::new()
    }
}

impl<T: 'static> fmt::Debug for TBroadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TBroadcast").finish_non_exhaustive()
    }
}

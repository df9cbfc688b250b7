//! Iterators over the messages of a channel.
//!
//! Each `next` is one receive: [`Iter`] and [`IntoIter`] wait for it, [`TryIter`] does not. The first
//! two end for good when the channel is empty and disconnected. None of them holds anything of the
//! channel between two calls: other receivers may take messages meanwhile.

use crate::Receiver;
use std::fmt;
use std::iter::FusedIterator;

/// Receives messages until the channel is empty and disconnected; waits for each.
///
/// Made by [`Receiver::iter`] and by a `for` loop over `&receiver`. A task that is cancelled while it
/// waits unwinds from `next`, and no message is lost.
///
/// ```
/// use weftwork_csp::unbounded;
///
/// let (s, r) = unbounded();
/// let producer = std::thread::spawn(move || (1..=3).for_each(|n| s.send(n).unwrap()));
/// let mut sum = 0;
/// for n in &r {
///     sum += n;
/// }
/// assert_eq!(sum, 6);
/// producer.join().unwrap();
/// ```
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<'a, T> Iter<'a, T> {
    pub(crate) fn new(receiver: &'a Receiver<T>) -> Self {
        Iter { receiver }
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

/// Receives the messages that are there; never waits.
///
/// Made by [`Receiver::try_iter`]. It is not fused: `next` may return `None`, and a message later.
///
/// ```
/// use weftwork_csp::unbounded;
///
/// let (s, r) = unbounded();
/// s.send(1).unwrap();
/// s.send(2).unwrap();
/// let mut messages = r.try_iter();
/// assert_eq!(messages.next(), Some(1));
/// assert_eq!(messages.next(), Some(2));
/// assert_eq!(messages.next(), None);
/// s.send(3).unwrap();
/// assert_eq!(messages.next(), Some(3));
/// ```
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<'a, T> TryIter<'a, T> {
    pub(crate) fn new(receiver: &'a Receiver<T>) -> Self {
        TryIter { receiver }
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

/// Owns a receiver, and receives messages until the channel is empty and disconnected; waits for
/// each.
///
/// Made by a `for` loop over a receiver by value. Dropping it drops the receiver. A task that is
/// cancelled while it waits unwinds from `next`, and no message is lost.
///
/// ```
/// use weftwork_csp::bounded;
///
/// let (s, r) = bounded(0);
/// let producer = std::thread::spawn(move || (1..=3).for_each(|n| s.send(n).unwrap()));
/// assert_eq!(r.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
/// producer.join().unwrap();
/// ```
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}

/// Receives from the channel as [`Receiver::iter`] does.
impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        Iter::new(self)
    }
}

/// Receives from the channel as [`Receiver::iter`] does, and keeps the receiver until then.
impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

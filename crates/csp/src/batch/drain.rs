//! Emptying a channel.

use crate::Receiver;
use crate::channel::Channel;
use crate::channel::state::Found;
use crate::waiting::Wakes;
use std::collections::{VecDeque, vec_deque};
use std::fmt;
use std::iter::FusedIterator;

/// The messages that were in a channel. Made by [`Receiver::drain`].
///
/// They are out of the channel; those that are left when it is dropped are dropped.
pub struct Drain<T>(vec_deque::IntoIter<T>);

impl<T> Iterator for Drain<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> DoubleEndedIterator for Drain<T> {
    fn next_back(&mut self) -> Option<T> {
        self.0.next_back()
    }
}

impl<T> ExactSizeIterator for Drain<T> {}

impl<T> FusedIterator for Drain<T> {}

impl<T> fmt::Debug for Drain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("len", &self.0.len())
            .finish_non_exhaustive()
    }
}

/// Emptying the channel.
impl<T> Receiver<T> {
    /// Takes all messages that are there now, those of senders that wait included, under one lock. Never
    /// waits. What is sent later is not among them.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::unbounded();
    /// s.send_many([1, 2, 3]).unwrap();
    /// let mut messages = r.drain();
    /// assert!(r.is_empty());
    /// s.send(4).unwrap();
    /// assert_eq!(messages.len(), 3);
    /// assert_eq!(messages.next_back(), Some(3));
    /// assert_eq!(messages.collect::<Vec<_>>(), [1, 2]);
    /// assert_eq!(r.recv(), Ok(4));
    /// ```
    pub fn drain(&self) -> Drain<T> {
        let messages = match self.channel() {
            Some(channel) => channel.take_all(),
            // A clock has one message at a time.
            None => self.try_recv().into_iter().collect(),
        };
        Drain(messages.into_iter())
    }

    /// Drops all messages that are there now, and returns how many they were. As
    /// [`drain`](Self::drain), it lets senders that wait go on.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded(2);
    /// s.send_many([1, 2]).unwrap();
    /// assert_eq!(r.clear(), 2);
    /// assert_eq!(s.try_send(3), Ok(()));
    /// ```
    pub fn clear(&self) -> usize {
        self.drain().count()
    }
}

impl<T> Channel<T> {
    fn take_all(&self) -> VecDeque<T> {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let mut messages = std::mem::take(&mut state.buffer);
        // With the buffer empty, this takes from the senders that wait.
        while let Found::Value(message) = state.take(&mut wakes) {
            messages.push_back(message);
        }
        // And this tells those of the room who have no message yet.
        state.refill(&mut wakes);
        drop(state);
        wakes.wake();
        messages
    }
}

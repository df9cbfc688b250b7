//! Sending what an iterator gives.
//!
//! The messages are taken from the iterator in chunks, for which a lower bound of what it has left is
//! asked for: so an iterator that has them all fills a channel under one lock, and one that must wait for
//! each has the one before sent meanwhile.

use crate::Sender;
use crate::channel::Channel;
use crate::channel::sending::Unsent as Back;
use crate::channel::state::Unplaced;
use crate::waiting::Wakes;
use std::collections::{VecDeque, vec_deque};
use std::error::Error;
use std::fmt;
use std::iter::Chain;
use weftwork_core::wait::checkpoint;

/// The most messages that are taken from an iterator before they are sent.
const CHUNK: usize = 64;

/// Says how many messages a [`send_many`](Sender::send_many) has sent before nobody was there to receive
/// the next, and holds the others.
///
/// ```
/// use weftwork_csp::unbounded;
///
/// let (s, r) = unbounded();
/// drop(r);
/// let error = s.send_many([1, 2, 3]).unwrap_err();
/// assert_eq!(error.sent(), 0);
/// assert_eq!(error.to_string(), "sending on a disconnected channel");
/// assert_eq!(error.into_unsent().collect::<Vec<_>>(), [1, 2, 3]);
/// ```
pub struct SendManyError<I: Iterator> {
    sent: usize,
    unsent: Unsent<I>,
}

impl<I: Iterator> SendManyError<I> {
    /// How many messages were sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Returns the messages that were not sent, in their order: those that the iterator had given, then
    /// the iterator's.
    #[must_use]
    pub fn into_unsent(self) -> Unsent<I> {
        self.unsent
    }
}

impl<I: Iterator> fmt::Debug for SendManyError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendManyError")
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl<I: Iterator> fmt::Display for SendManyError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("sending on a disconnected channel")
    }
}

impl<I: Iterator> Error for SendManyError<I> {}

/// The messages that a [`send_many`](Sender::send_many) has not sent.
///
/// Made by [`SendManyError::into_unsent`].
pub struct Unsent<I: Iterator>(Chain<vec_deque::IntoIter<I::Item>, I>);

impl<I: Iterator> Iterator for Unsent<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<I: Iterator> fmt::Debug for Unsent<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Unsent { .. }")
    }
}

/// Batches.
impl<T> Sender<T> {
    /// Sends all messages of `messages`, and waits while the channel is full: the green thread, or the OS
    /// thread, that calls. Returns how many they were.
    ///
    /// They arrive in their order; what others send may come between. As many as there is room for are
    /// sent under one lock; each that must wait does so as in [`send`](Self::send). The iterator is asked
    /// for no more than 64 messages ahead of those that are sent, and, if it does not know how many it
    /// has left, for one. If it panics, what it has given and is not sent is dropped; so it is when a
    /// green thread is cancelled that waits here.
    ///
    /// # Errors
    /// The channel is disconnected or closed; here are the messages back that were not sent.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded(2);
    /// let sender = std::thread::spawn(move || s.send_many(1..=5).unwrap());
    /// assert_eq!(r.iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    /// assert_eq!(sender.join().unwrap(), 5);
    /// ```
    #[track_caller]
    pub fn send_many<I>(&self, messages: I) -> Result<usize, SendManyError<I::IntoIter>>
    where
        I: IntoIterator<Item = T>,
    {
        let mut messages = messages.into_iter();
        let mut chunk = VecDeque::new();
        let mut sent = 0;
        loop {
            // It counts against the time slice, and a cancelled task ends here.
            checkpoint();
            let ahead = messages.size_hint().0.clamp(1, CHUNK);
            chunk.extend(messages.by_ref().take(ahead));
            if chunk.is_empty() {
                return Ok(sent);
            }
            if self.send_chunk(&mut chunk, &mut sent).is_err() {
                return Err(SendManyError {
                    sent,
                    unsent: Unsent(chunk.into_iter().chain(messages)),
                });
            }
        }
    }

    /// Sends a chunk. `Err`: the channel takes no more; what is left of the chunk is not sent.
    #[track_caller]
    fn send_chunk(&self, chunk: &mut VecDeque<T>, sent: &mut usize) -> Result<(), Ended> {
        loop {
            *sent += self.channel().place_many(chunk)?;
            let Some(next) = chunk.pop_front() else {
                return Ok(());
            };
            match self.channel().send(next, None) {
                Ok(()) => *sent += 1,
                Err(Back::Ended(next) | Back::TimedOut(next)) => {
                    chunk.push_front(next);
                    return Err(Ended);
                }
            }
        }
    }
}

/// The channel takes no messages any more.
struct Ended;

impl<T> Channel<T> {
    /// Places as many messages as there are places for, and says how many.
    fn place_many(&self, messages: &mut VecDeque<T>) -> Result<usize, Ended> {
        let mut wakes = Wakes::new();
        let mut placed = 0;
        let mut ended = false;
        let mut state = self.lock();
        while let Some(message) = messages.pop_front() {
            match state.place(message, &mut wakes) {
                Ok(()) => placed += 1,
                Err(Unplaced::Full(message)) => {
                    messages.push_front(message);
                    break;
                }
                Err(Unplaced::Ended(message)) => {
                    messages.push_front(message);
                    ended = true;
                    break;
                }
            }
        }
        drop(state);
        wakes.wake();
        // Nothing was placed then: the lock was held throughout.
        if ended { Err(Ended) } else { Ok(placed) }
    }
}

//! The set: its entries, and how they are looked at.
//!
//! Invariants
//! 1. An entry that is not on the list of ready ones waits in its channel, under its slot's waker.
//! 2. An entry takes a message from its channel only when that is returned at once.

use super::ready::{Next, Ready, SlotWaker};
use crate::error::RecvError;
use crate::{Receiver, RecvStream};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::wait::{Reason, TimedOut, deadline_after, wait, wait_deadline};

/// The word in reports for what sets wait for.
const RECV_SET: Reason = Reason::new("recv_set");

/// Names a receiver in a [`ReceiverSet`]. Never used again, not even when the receiver is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// How many were inserted before. Unique.
    number: u64,
    slot: usize,
}

/// What a [`ReceiverSet`] receives: whose it is, and the message, or the end of that channel.
pub type Received<T> = (Key, Result<T, RecvError>);

struct Entry<T: 'static> {
    key: Key,
    waker: Waker,
    stream: RecvStream<T>,
}

/// Receives from many channels, whichever has a message.
///
/// The set owns its receivers. Each waits in its channel all the time, as a future that receives does,
/// also while nobody waits for the set: with capacity 0 a `try_send` may leave a message with it. None
/// is lost: what a set has and has not returned goes back to the channel when the receiver is removed or
/// the set is dropped, and is received by others.
///
/// Those that are ready are served in turn: one that always has a message gets no more than one in each
/// round.
///
/// ```
/// use weftwork_csp::set::ReceiverSet;
/// use weftwork_csp::unbounded;
///
/// let (senders, receivers): (Vec<_>, Vec<_>) = (0..1000).map(|_| unbounded()).unzip();
/// let mut set = ReceiverSet::new();
/// let keys: Vec<_> = receivers.into_iter().map(|r| set.insert(r)).collect();
///
/// let sender = std::thread::spawn(move || senders[700].send("hello").map(|()| senders));
/// assert_eq!(set.recv(), Some((keys[700], Ok("hello"))));
/// let senders = sender.join().unwrap().unwrap();
/// assert_eq!(senders[700].receiver_count(), 1);
/// ```
pub struct ReceiverSet<T: 'static> {
    entries: Vec<Option<Entry<T>>>,
    /// Slots without an entry.
    free: Vec<usize>,
    inserted: u64,
    ready: Arc<Ready>,
    #[cfg(test)]
    polls: usize,
}

impl<T: 'static> ReceiverSet<T> {
    /// Makes an empty set.
    ///
    /// ```
    /// let mut set = weftwork_csp::set::ReceiverSet::<i32>::new();
    /// assert_eq!(set.recv(), None);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        ReceiverSet {
            entries: Vec::new(),
            free: Vec::new(),
            inserted: 0,
            ready: Arc::default(),
            #[cfg(test)]
            polls: 0,
        }
    }

    /// Adds a receiver, and names it.
    ///
    /// ```
    /// let mut set = weftwork_csp::set::ReceiverSet::new();
    /// let (s, r) = weftwork_csp::bounded(1);
    /// let key = set.insert(r);
    /// assert_eq!(set.len(), 1);
    /// s.send(1).unwrap();
    /// assert_eq!(set.get(key).unwrap().len(), 1);
    /// ```
    pub fn insert(&mut self, receiver: Receiver<T>) -> Key {
        let slot = self.free.pop().unwrap_or(self.entries.len());
        if slot == self.entries.len() {
            self.entries.push(None);
            self.ready.grow(self.entries.len());
        }
        let key = Key {
            number: self.inserted,
            slot,
        };
        self.inserted += 1;
        self.entries[slot] = Some(Entry {
            key,
            waker: Waker::from(Arc::new(SlotWaker {
                slot,
                ready: Arc::clone(&self.ready),
            })),
            stream: RecvStream::new(receiver),
        });
        // It is looked at once, to make it wait.
        self.ready.add(slot);
        key
    }

    /// Takes a receiver out. `None`: it was taken out before, or its channel has ended.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::unbounded();
    /// let mut set = weftwork_csp::set::ReceiverSet::new();
    /// let key = set.insert(r);
    /// s.send(1).unwrap();
    /// let r = set.remove(key).unwrap();
    /// assert_eq!(r.recv(), Ok(1));
    /// assert!(set.remove(key).is_none());
    /// ```
    pub fn remove(&mut self, key: Key) -> Option<Receiver<T>> {
        self.get(key)?;
        let entry = self.take(key.slot)?;
        // The channel stays connected: this one is made before the entry's goes.
        Some(entry.stream.receiver().clone())
    }

    /// The receiver of this name, if it is in the set. What others receive by a clone of it is not
    /// received by the set.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Receiver<T>> {
        let entry = self.entries.get(key.slot)?.as_ref()?;
        (entry.key == key).then(|| entry.stream.receiver())
    }

    /// How many receivers are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether no receiver is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Receives a message of any of the channels, and waits until there is one: the green thread, or the
    /// OS thread, that calls. A channel that is empty and disconnected or closed is told of once, and its
    /// receiver dropped. `None`: no receiver is in the set.
    ///
    /// A green thread that is cancelled while it waits unwinds; no message is lost.
    ///
    /// ```
    /// use weftwork_csp::set::ReceiverSet;
    /// use weftwork_csp::{RecvError, bounded};
    ///
    /// let (s, r) = bounded(0);
    /// let sender = std::thread::spawn(move || s.send(1));
    /// let mut set = ReceiverSet::new();
    /// let key = set.insert(r);
    /// assert_eq!(set.recv(), Some((key, Ok(1))));
    /// assert_eq!(set.recv(), Some((key, Err(RecvError))));
    /// assert_eq!(set.recv(), None);
    /// sender.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> Option<Received<T>> {
        let mut next = self.recv_async();
        wait(RECV_SET, |context| Pin::new(&mut next).poll(context))
    }

    /// Receives a message of any of the channels if one is there, or learns of the end of one. `None`:
    /// there is neither.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::unbounded();
    /// let mut set = weftwork_csp::set::ReceiverSet::new();
    /// let key = set.insert(r);
    /// assert_eq!(set.try_recv(), None);
    /// s.send(1).unwrap();
    /// assert_eq!(set.try_recv(), Some((key, Ok(1))));
    /// ```
    pub fn try_recv(&mut self) -> Option<Received<T>> {
        while let Some(slot) = self.ready.pop() {
            if let Some(received) = self.look(slot) {
                return Some(received);
            }
        }
        None
    }

    /// As [`recv`](Self::recv), at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time is over.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_s, r) = weftwork_csp::unbounded::<i32>();
    /// let mut set = weftwork_csp::set::ReceiverSet::new();
    /// assert_eq!(set.recv_timeout(Duration::MAX), Ok(None));
    /// set.insert(r);
    /// assert!(set.recv_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Received<T>>, TimedOut> {
        self.recv_until(deadline_after(timeout))
    }

    /// As [`recv`](Self::recv), at most until `deadline`.
    ///
    /// # Errors
    /// The time is over. A message that is there is received even then.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (s, r) = weftwork_csp::unbounded();
    /// let mut set = weftwork_csp::set::ReceiverSet::new();
    /// let key = set.insert(r);
    /// s.send(1).unwrap();
    /// assert_eq!(set.recv_deadline(Instant::now()), Ok(Some((key, Ok(1)))));
    /// assert!(set.recv_deadline(Instant::now()).is_err());
    /// ```
    #[track_caller]
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Option<Received<T>>, TimedOut> {
        self.recv_until(Some(deadline))
    }

    #[track_caller]
    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Option<Received<T>>, TimedOut> {
        let mut next = self.recv_async();
        wait_deadline(RECV_SET, deadline, |context| {
            Pin::new(&mut next).poll(context)
        })
    }

    /// Receives as [`recv`](Self::recv) does, as a future, under any executor. Also an arm of `select!`.
    ///
    /// A future that is dropped before it is ready has taken nothing.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::unbounded();
    /// let mut set = weftwork_csp::set::ReceiverSet::new();
    /// let key = set.insert(r);
    /// s.send(1).unwrap();
    /// let received = weftwork_core::block_on(set.recv_async());
    /// assert_eq!(received, Some((key, Ok(1))));
    /// ```
    pub fn recv_async(&mut self) -> NextFuture<'_, T> {
        NextFuture { set: self }
    }

    /// Looks at the entry in a slot, if there is one. An entry that has no message waits after that.
    fn look(&mut self, slot: usize) -> Option<Received<T>> {
        let entry = self.entries[slot].as_mut()?;
        #[cfg(test)]
        {
            self.polls += 1;
        }
        let mut context = Context::from_waker(&entry.waker);
        let key = entry.key;
        match Pin::new(&mut entry.stream).poll_next(&mut context) {
            Poll::Pending => None,
            Poll::Ready(Some(message)) => {
                // It may have more: it is looked at again, when the others have had their turn.
                self.ready.add(slot);
                Some((key, Ok(message)))
            }
            Poll::Ready(None) => {
                drop(self.take(slot));
                Some((key, Err(RecvError)))
            }
        }
    }

    /// Takes the entry out of its slot.
    fn take(&mut self, slot: usize) -> Option<Entry<T>> {
        let entry = self.entries[slot].take()?;
        self.free.push(slot);
        Some(entry)
    }
}

impl<T: 'static> Default for ReceiverSet<T> {
    fn default() -> Self {
        ReceiverSet::new()
    }
}

impl<T: 'static> fmt::Debug for ReceiverSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Waits for the next message of a [`ReceiverSet`]. Made by [`ReceiverSet::recv_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct NextFuture<'a, T: 'static> {
    set: &'a mut ReceiverSet<T>,
}

impl<T: 'static> Future for NextFuture<'_, T> {
    type Output = Option<Received<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let set = &mut *self.get_mut().set;
        loop {
            if set.is_empty() {
                return Poll::Ready(None);
            }
            match set.ready.pop_or_wait(context.waker()) {
                Next::Waits => return Poll::Pending,
                Next::Slot(slot) => {
                    if let Some(received) = set.look(slot) {
                        return Poll::Ready(Some(received));
                    }
                }
            }
        }
    }
}

impl<T: 'static> Drop for NextFuture<'_, T> {
    fn drop(&mut self) {
        self.set.ready.stop_waiting();
    }
}

impl<T: 'static> Event for NextFuture<'_, T> {}

impl<T: 'static> fmt::Debug for NextFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("NextFuture { .. }")
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;
    use crate::unbounded;

    #[test]
    fn a_message_costs_two_polls_however_many_channels_there_are() {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2_000).map(|_| unbounded()).unzip();
        let mut set = ReceiverSet::new();
        let keys: Vec<_> = receivers.into_iter().map(|r| set.insert(r)).collect();
        assert_eq!(set.try_recv(), None);
        assert_eq!(set.polls, 2_000, "each was looked at once, to make it wait");

        let messages = 10_000;
        for n in 0..messages {
            let at = n * 7_919 % senders.len();
            senders[at].send(n).unwrap();
            assert_eq!(set.recv(), Some((keys[at], Ok(n))));
        }
        assert!(set.polls <= 2_000 + 2 * messages, "{}", set.polls);

        assert_eq!(set.try_recv(), None);
        let before = set.polls;
        assert_eq!(set.try_recv(), None);
        assert_eq!(set.polls, before, "nobody is looked at without need");
    }

    #[test]
    fn slots_are_used_again_and_keys_are_not() {
        let mut set = ReceiverSet::new();
        let (_s, r) = unbounded::<i32>();
        let old = set.insert(r.clone());
        assert!(set.remove(old).is_some());
        let new = set.insert(r);
        assert_eq!((set.entries.len(), set.len()), (1, 1));
        assert_ne!(old, new);
        assert!(set.get(old).is_none() && set.remove(old).is_none());
        assert!(set.get(new).is_some());
    }
}

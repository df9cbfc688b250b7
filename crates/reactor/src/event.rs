//! What a wait reports: [`Event`], and the buffer that waits fill.

use std::fmt;
use std::task::Waker;

use crate::sys;
use crate::token::Token;

/// One file descriptor's news.
///
/// The flags answer "would it block?", so a closed or failed descriptor is both readable and
/// writable: the operation returns at once, if only with the error. An event is a hint and may be
/// out of date: any operation may still say `WouldBlock`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The token of the registration.
    pub token: Token,
    /// A read returns at once, with data, the end of the stream, or an error.
    pub readable: bool,
    /// A write returns at once, with progress or an error.
    pub writable: bool,
    /// The peer will send no more; what it sent before may still be unread.
    pub read_closed: bool,
    /// Nothing more can be sent.
    pub write_closed: bool,
    /// An error is pending: the socket's, or an entry of its error queue.
    pub error: bool,
    /// Exceptional data is pending, such as TCP's out-of-band byte.
    pub priority: bool,
}

/// A buffer of events, filled by [`Poller::wait`](crate::Poller::wait) and reused.
pub struct Events {
    pub(crate) buffer: sys::Buffer,
    pub(crate) woken: bool,
    /// Scratch space of [`Driver::turn`](crate::Driver::turn), kept so that a turn allocates
    /// nothing.
    pub(crate) wakers: Vec<Waker>,
}

impl Events {
    /// Makes a buffer for up to `capacity` events per wait; at least one.
    ///
    /// What does not fit stays with the kernel for the next wait: nothing is lost.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Events {
            buffer: sys::Buffer::with_capacity(capacity),
            woken: false,
            wakers: Vec::new(),
        }
    }

    /// Returns the most events one wait reports.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Returns the number of events of the last wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Tells whether the last wait reported nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether the last wait consumed a [`wake`](crate::Poller::wake).
    #[must_use]
    pub fn is_woken(&self) -> bool {
        self.woken
    }

    /// Forgets the events of the last wait. A wait does this itself.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.woken = false;
    }

    /// Iterates over the events of the last wait, in the kernel's order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            events: self,
            next: 0,
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over the events of one wait.
#[derive(Debug)]
pub struct Iter<'a> {
    events: &'a Events,
    next: usize,
}

impl Iterator for Iter<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = self.events.buffer.get(self.next)?;
        self.next += 1;
        Some(event)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.events.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

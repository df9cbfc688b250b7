//! How the ends of a broadcast channel come and go, and the operations they wait with.

use super::ring::{Mode, RECEIVERS, Ring, SENDERS, grant};
use super::{Receiver, RecvError, Sender};
use crate::attempt::{News, Operation};
use crate::error::SendError;
use std::sync::Arc;
use weftwork_core::sync::Arc as ChannelArc;
use weftwork_core::wait::queue::{Locked, WaitQueue};

pub(super) type Queue<T> = WaitQueue<Ring<T>>;

#[track_caller]
pub(super) fn channel<T>(capacity: usize, mode: Mode) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a broadcast channel needs room for at least one message"
    );
    let queue = ChannelArc::new(WaitQueue::new(Ring::new(capacity, mode)));
    let sender = Sender {
        queue: ChannelArc::clone(&queue),
    };
    (sender, Receiver { queue, cursor: 0 })
}

pub(super) fn add_sender<T>(queue: &Queue<T>) {
    queue.lock().senders += 1;
}

pub(super) fn remove_sender<T>(queue: &Queue<T>) {
    let mut ring = queue.lock();
    ring.senders -= 1;
    if ring.senders == 0 {
        ring.notify_all(RECEIVERS, || News::Look);
    }
}

/// Counts a receiver that sees what comes from now on; gives its cursor.
pub(super) fn subscribe<T>(queue: &Queue<T>) -> u64 {
    let mut ring = queue.lock();
    let cursor = ring.tail();
    ring.add_receiver(cursor);
    cursor
}

/// Counts a receiver that sees what the one at `cursor` has to see yet.
pub(super) fn clone_receiver<T>(queue: &Queue<T>, cursor: u64) {
    queue.lock().add_receiver(cursor);
}

pub(super) fn remove_receiver<T>(queue: &Queue<T>, cursor: u64) {
    let mut ring = queue.lock();
    let seen = ring.remove_receiver(cursor);
    if ring.receivers == 0 {
        // Those that wait for room would send to nobody.
        ring.notify_all(SENDERS, || News::Look);
    } else {
        grant(&mut ring);
    }
    drop(ring);
    drop(seen);
}

/// Lets no message in any more. False if that was so already.
pub(super) fn close<T>(queue: &Queue<T>) -> bool {
    let mut ring = queue.lock();
    if std::mem::replace(&mut ring.closed, true) {
        return false;
    }
    ring.notify_all(SENDERS, || News::Look);
    ring.notify_all(RECEIVERS, || News::Look);
    true
}

/// Sends a message to all.
pub(super) struct Send<T>(Option<Arc<T>>);

impl<T> Send<T> {
    pub(super) fn new(message: T) -> Self {
        Send(Some(Arc::new(message)))
    }

    /// The message, unless it was sent.
    pub(super) fn take(&mut self) -> Option<T> {
        self.0.take().map(unwrap)
    }
}

/// The message of a send that did not happen.
fn unwrap<T>(message: Arc<T>) -> T {
    Arc::into_inner(message).expect("nobody else has seen the message")
}

impl<T> Operation<Ring<T>> for Send<T> {
    /// What was displaced; or the message, for there is nobody to send it to.
    type Found = Result<Option<Arc<T>>, Arc<T>>;
    type Output = Result<(), SendError<T>>;

    fn attempt(&mut self, ring: &mut Locked<'_, Ring<T>>, granted: bool) -> Option<Self::Found> {
        if granted {
            ring.unreserve();
        }
        let message = self.0.take().expect("polled after it was ready");
        if ring.is_closed() {
            return Some(Err(message));
        }
        match ring.push(message) {
            Ok(displaced) => {
                ring.notify_all(RECEIVERS, || News::Look);
                Some(Ok(displaced))
            }
            Err(message) => {
                self.0 = Some(message);
                None
            }
        }
    }

    fn finish(&mut self, found: Self::Found) -> Option<Self::Output> {
        Some(match found {
            Ok(displaced) => {
                drop(displaced);
                Ok(())
            }
            Err(message) => Err(SendError(unwrap(message))),
        })
    }
}

/// Receives the next message of the receiver whose cursor this is.
pub(super) struct Recv<'a>(pub(super) &'a mut u64);

impl<T: Clone> Operation<Ring<T>> for Recv<'_> {
    type Found = Result<Arc<T>, RecvError>;
    type Output = Result<T, RecvError>;

    fn attempt(&mut self, ring: &mut Locked<'_, Ring<T>>, _: bool) -> Option<Self::Found> {
        let found = ring.pull(self.0)?;
        grant(ring);
        Some(found)
    }

    fn finish(&mut self, found: Self::Found) -> Option<Self::Output> {
        // The last one moves the message, the others clone it.
        Some(found.map(|message| Arc::try_unwrap(message).unwrap_or_else(|m| T::clone(&m))))
    }
}

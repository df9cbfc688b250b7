//! The buffer of a lossy channel and what is done to it under its lock.
//!
//! Invariants
//! 1. There are never more messages than the capacity. A message stays in the buffer until a receiver
//!    takes it, is displaced, or falls with the last receiver.
//! 2. A receiver waits only if it found the buffer empty. Each message that comes tells one of those
//!    that wait, first come first; one that was told and goes away tells the next. So no message lies
//!    there unnoticed while somebody waits.
//!
//! A receiver that comes while another one was told may take the message: then that one waits again,
//! behind the others. So a future that is kept but not polled holds nobody up.

use super::{Receiver, Sender};
use crate::attempt::{News, Operation};
use crate::error::{RecvError, SendError};
use std::collections::VecDeque;
use std::mem;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::Arc;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue};

/// Which message gives way when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Displace {
    Oldest,
    Newest,
}

/// Messages in the order they came, and who is there.
pub(super) struct Buffer<T> {
    messages: VecDeque<T>,
    capacity: usize,
    displace: Displace,
    senders: usize,
    receivers: usize,
    closed: bool,
}

impl<T> Line for Buffer<T> {
    type Shared = ();
    type Ask = ();
    type Token = News;

    fn left(_: &mut Locked<'_, Self>, _: Lane) {}

    fn returned(buffer: &mut Locked<'_, Self>, _: News) {
        // Canary: the news of a receiver that went away are told to nobody.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("lossy_pass_on")) {
            return;
        }
        if !buffer.messages.is_empty() {
            // Nobody waits: whoever comes looks.
            let _ = buffer.notify(Lane::First, News::Look);
        }
    }
}

pub(super) type Queue<T> = WaitQueue<Buffer<T>>;

#[track_caller]
pub(super) fn channel<T>(capacity: usize, displace: Displace) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a lossy channel needs room for at least one message"
    );
    let queue = Arc::new(WaitQueue::new(Buffer {
        messages: VecDeque::new(),
        capacity,
        displace,
        senders: 1,
        receivers: 1,
        closed: false,
    }));
    (
        Sender {
            queue: Arc::clone(&queue),
        },
        Receiver { queue },
    )
}

impl<T> Buffer<T> {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether no message comes in any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed || self.senders == 0 || self.receivers == 0
    }
}

/// Sends; gives what was displaced.
pub(super) fn send<T>(queue: &Queue<T>, message: T) -> Result<Option<T>, SendError<T>> {
    let mut buffer = queue.lock();
    if buffer.is_closed() {
        return Err(SendError(message));
    }
    let mut displaced = None;
    if buffer.len() == buffer.capacity {
        match buffer.displace {
            Displace::Newest => return Ok(Some(message)),
            Displace::Oldest => displaced = buffer.messages.pop_front(),
        }
    }
    buffer.messages.push_back(message);
    // Nobody waits: whoever comes looks.
    let _ = buffer.notify(Lane::First, News::Look);
    Ok(displaced)
}

/// Lets no message in any more. False if that was so already.
pub(super) fn close<T>(queue: &Queue<T>) -> bool {
    let mut buffer = queue.lock();
    if mem::replace(&mut buffer.closed, true) {
        return false;
    }
    buffer.notify_all(Lane::First, || News::Look);
    true
}

pub(super) fn add_sender<T>(queue: &Queue<T>) {
    queue.lock().senders += 1;
}

pub(super) fn remove_sender<T>(queue: &Queue<T>) {
    let mut buffer = queue.lock();
    buffer.senders -= 1;
    if buffer.senders == 0 {
        buffer.notify_all(Lane::First, || News::Look);
    }
}

pub(super) fn add_receiver<T>(queue: &Queue<T>) {
    queue.lock().receivers += 1;
}

/// The messages fall with the last receiver.
pub(super) fn remove_receiver<T>(queue: &Queue<T>) {
    let mut buffer = queue.lock();
    buffer.receivers -= 1;
    let fallen = match buffer.receivers {
        0 => mem::take(&mut buffer.messages),
        _ => VecDeque::new(),
    };
    drop(buffer);
    drop(fallen);
}

/// Receives the oldest message.
pub(super) struct Recv;

impl<T> Operation<Buffer<T>> for Recv {
    type Found = Result<T, RecvError>;
    type Output = Result<T, RecvError>;

    fn attempt(&mut self, buffer: &mut Locked<'_, Buffer<T>>, _: bool) -> Option<Self::Found> {
        match buffer.messages.pop_front() {
            Some(message) => Some(Ok(message)),
            None if buffer.is_closed() => Some(Err(RecvError)),
            None => None,
        }
    }

    fn finish(&mut self, found: Self::Found) -> Option<Self::Output> {
        Some(found)
    }
}

//! The channel itself, behind its handles: one lock, one buffer, queues of those who wait.
//!
//! Handles count themselves here; the memory is an `Arc`'s. The lock is held for a few dozen
//! instructions: no user code runs under it, neither a waker (but the clone of one that is known to be
//! the scheduler's or a thread's), nor a drop of a message.

pub(crate) mod matching;
pub(crate) mod receiving;
pub(crate) mod sending;
pub(crate) mod state;

use crate::lock::{self, Lock, LockGuard};
use crate::reason::CloseReason;
use crate::waiting::Wakes;
use state::{CLOSED, RECEIVERS_GONE, SENDERS_GONE, State, UNBOUNDED};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};

/// How long a hand-over that was promised by a selection is waited for before it is taken for
/// abandoned. Between its choice and its value a selection only evaluates an expression.
pub(crate) const GRACE: Duration = if cfg!(weftwork_loom) {
    // A model has a clock of its own: what the machine's says must not matter.
    Duration::from_secs(3600)
} else {
    Duration::from_millis(10)
};

/// More handles than this are taken for a leak in a loop.
const MAX_HANDLES: usize = isize::MAX as usize;

pub(crate) struct Channel<T> {
    state: Lock<State<T>>,
    /// How many senders there are; how many receivers.
    senders: AtomicUsize,
    receivers: AtomicUsize,
    capacity: usize,
}

impl<T> Channel<T> {
    /// Makes a channel with one handle at each end.
    pub(crate) fn new(capacity: usize) -> Self {
        Channel {
            state: Lock::new(State::new(capacity)),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            capacity,
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> LockGuard<'_, State<T>> {
        self.state.lock()
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        (self.capacity != UNBOUNDED).then_some(self.capacity)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().buffer.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        !self.lock().has_room()
    }

    pub(crate) fn sender_count(&self) -> usize {
        self.senders.load(Ordering::Relaxed) // Relaxed: a snapshot, for information.
    }

    pub(crate) fn receiver_count(&self) -> usize {
        self.receivers.load(Ordering::Relaxed) // Relaxed: as above.
    }

    pub(crate) fn add_sender(&self) {
        count_up(&self.senders);
    }

    pub(crate) fn add_receiver(&self) {
        count_up(&self.receivers);
    }

    /// Counts a sender unless there is none any more.
    pub(crate) fn revive_sender(&self) -> bool {
        count_up_unless_zero(&self.senders)
    }

    /// Counts a receiver unless there is none any more.
    pub(crate) fn revive_receiver(&self) -> bool {
        count_up_unless_zero(&self.receivers)
    }

    pub(crate) fn drop_sender(&self) {
        if lock::is_gone() {
            return;
        }
        // AcqRel: what other senders did before they went is done before the end is announced.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end(SENDERS_GONE, None);
        }
    }

    pub(crate) fn drop_receiver(&self) {
        if lock::is_gone() {
            return;
        }
        // AcqRel: as above.
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end(RECEIVERS_GONE, None);
        }
    }

    /// Closes the channel. False: it is closed already, or one end is gone.
    pub(crate) fn close(&self, reason: Option<CloseReason>) -> bool {
        self.end(CLOSED, reason)
    }

    fn end(&self, how: u8, reason: Option<CloseReason>) -> bool {
        let mut wakes = Wakes::new();
        let (first, unused, dropped) = {
            let mut state = self.lock();
            let first = state.ends == 0;
            let mut reason = reason;
            if how == CLOSED && state.ends & CLOSED == 0 {
                state.reason = reason.take();
            }
            (first, reason, state.end(how, &mut wakes))
        };
        wakes.wake();
        drop(unused);
        drop_one_by_one(dropped);
        first
    }

    /// Whether nothing can be sent any more, or nothing will be: closed, or one end is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().ends != 0
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.lock().reason.clone()
    }
}

/// Drops messages one by one. A drop that panics keeps none of the others from being dropped: its panic
/// comes out at the end, the first one's if there are more.
fn drop_one_by_one<T>(messages: VecDeque<T>) {
    let mut first = None;
    for message in messages {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(message))) {
            match first {
                None => first = Some(panic),
                // The drop of what it carries may panic, too.
                Some(_) => std::mem::forget(panic),
            }
        }
    }
    if let Some(panic) = first
        && !std::thread::panicking()
    {
        resume_unwind(panic);
    }
}

fn count_up(count: &AtomicUsize) {
    // Relaxed: a handle is made from a handle.
    if count.fetch_add(1, Ordering::Relaxed) > MAX_HANDLES {
        // Only forgotten handles come to this; one more lap, and memory would be freed in use.
        std::process::abort();
    }
}

fn count_up_unless_zero(count: &AtomicUsize) -> bool {
    // Relaxed: whoever finds the channel alive learns of its state under the lock.
    let mut now = count.load(Ordering::Relaxed);
    while now != 0 {
        match count.compare_exchange(now, now + 1, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(other) => now = other,
        }
    }
    false
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

//! The bound of a mailbox: how many messages are in it, and who waits for room.
//!
//! One word: the count of admitted messages that the actor has not taken up (and of their bytes, where those
//! are bounded: see `limit`), `WAITERS`, and `CLOSED`.
//!
//! Invariants
//! 1. A message is counted before it is pushed, by its sender or by whoever served the sender in the
//!    queue, and taken off by the actor, or by the sender if the push failed. Only of a large mailbox, and
//!    only while it is empty and its actor sleeps, one message is not counted (see the inbox); an actor that
//!    takes it without handling it at once counts it then.
//! 2. `WAITERS` is set by a sender with the queue locked, and cleared with the queue locked by whoever finds
//!    the queue empty. While it is set nobody is admitted but through the queue: first come, first served.
//! 3. `queue` is set once, to a box that lives as long as the room.
//!
//! No waiter is forgotten, because its mark and the actor's count are read-modify-writes of the one word: if
//! the count comes first, the sender sees the room; if the mark does, the actor sees the mark. The same holds
//! for the close.

use super::limit::{CLOSED, Limit, Load, ONE, WAITERS};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};
use weftwork_core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

pub(crate) struct Room {
    word: AtomicUsize,
    limit: Limit,
    /// A box, made by the first sender that has to wait; null before (invariant 3).
    queue: AtomicPtr<WaitQueue<Senders>>,
}

/// The senders that wait at one mailbox.
pub(crate) struct Senders {
    /// The room that the queue belongs to, which outlives it.
    room: RoomPointer,
}

#[derive(Clone, Copy)]
struct RoomPointer(*const Room);

// SAFETY: a `Room` is `Sync`, and the pointer is to the one that owns the queue.
unsafe impl Send for RoomPointer {}

/// What became of an attempt to be admitted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// A message may be pushed; it is counted.
    Admitted,
    /// There is no room, or others wait for it already.
    Full,
    /// The mailbox has closed.
    Closed,
}

/// What a sender that waited is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A message may be pushed; it is counted.
    Admitted(Load),
    /// The mailbox has closed.
    Closed,
}

/// A sender's place in the queue.
pub(crate) type Place<'a> = Waiter<'a, Senders>;

impl Line for Senders {
    type Shared = ();
    type Ask = Load;
    type Token = Turn;

    /// A heavy message may have kept light ones waiting.
    fn left(queue: &mut Locked<'_, Self>, _: Lane) {
        admit_first(queue);
        unmark(queue);
    }

    fn returned(queue: &mut Locked<'_, Self>, turn: Turn) {
        if let Turn::Admitted(load) = turn {
            // Relaxed: nothing was pushed.
            room_of(queue).word.fetch_sub(load.0, Ordering::Relaxed);
            admit_first(queue);
        }
        unmark(queue);
    }
}

/// Lets in the first who wait, as long as there is room.
fn admit_first(queue: &mut Locked<'_, Senders>) {
    while let Some(load) = queue.front(Lane::First).copied()
        && room_of(queue).admit_waiter(load)
    {
        // Not empty: it cannot fail.
        let _ = queue.notify(Lane::First, Turn::Admitted(load));
    }
}

fn room_of<'a>(queue: &Locked<'_, Senders>) -> &'a Room {
    // SAFETY: the room owns the queue that is locked, so it is there; it is reached for the length of a
    // call on it.
    unsafe { &*queue.room.0 }
}

fn unmark(queue: &mut Locked<'_, Senders>) {
    if queue.is_empty(Lane::First) {
        // Relaxed: the lock orders the marks.
        room_of(queue).word.fetch_and(!WAITERS, Ordering::Relaxed);
    }
}

impl Room {
    pub(crate) fn new(limit: Limit) -> Self {
        Room {
            word: AtomicUsize::new(0),
            limit: limit.with_spare(),
            queue: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// How many messages are in the mailbox.
    pub(crate) fn len(&self) -> usize {
        // Relaxed: a report.
        self.limit.count(self.word.load(Ordering::Relaxed))
    }

    /// How many bytes are in the mailbox, if they are bounded.
    pub(crate) fn weight(&self) -> usize {
        // Relaxed: a report.
        self.limit.weight(self.word.load(Ordering::Relaxed))
    }

    /// Whether bytes are bounded.
    #[inline]
    pub(crate) fn weighs(&self) -> bool {
        self.limit.weighs()
    }

    /// What a message of so many bytes adds.
    pub(crate) fn load(&self, bytes: usize) -> Load {
        self.limit.load(bytes)
    }

    /// How many messages the actor takes up before it takes them off: few enough to matter little to the
    /// bound, many enough to matter little to the clock.
    #[inline]
    pub(crate) fn batch(&self) -> u32 {
        (self.limit.capacity() / 64).clamp(1, 32) as u32
    }

    /// Whether an empty mailbox takes one message uncounted.
    #[inline]
    pub(crate) fn has_spare(&self) -> bool {
        self.limit.has_spare()
    }

    #[inline]
    pub(crate) fn has_waiters(&self) -> bool {
        // Relaxed: the mark is seen by `leave`, sooner or later.
        self.word.load(Ordering::Relaxed) & WAITERS != 0
    }

    /// Counts a message if there is room and nobody waits.
    #[inline]
    pub(crate) fn try_admit(&self, load: Load) -> Attempt {
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            if now & CLOSED != 0 {
                return Attempt::Closed;
            }
            if now & WAITERS != 0 || !self.limit.has_room(now, load) {
                return Attempt::Full;
            }
            // Acquire: pairs with the release in `leave`, so that a message that finds room comes after
            // the handling of the one that made it.
            match self.word.compare_exchange_weak(
                now,
                now + load.0,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Attempt::Admitted,
                Err(seen) => now = seen,
            }
        }
    }

    /// Counts a message whether there is room or not.
    pub(crate) fn admit(&self, load: Load) {
        // Relaxed: only the number counts.
        self.word.fetch_add(load.0, Ordering::Relaxed);
    }

    /// Takes `messages` off, and lets in who waits.
    #[inline]
    pub(crate) fn leave(&self, messages: usize) {
        self.take_off(Load(messages * ONE));
    }

    /// Takes a message off, and lets in who waits.
    #[inline]
    pub(crate) fn take_off(&self, load: Load) {
        // AcqRel: releases to `try_admit`; acquires the queue of those who marked.
        let before = self.word.fetch_sub(load.0, Ordering::AcqRel);
        if before & WAITERS != 0 {
            self.serve();
        }
    }

    #[cold]
    fn serve(&self) {
        let Some(queue) = self.made_queue() else {
            return;
        };
        let mut queue = queue.lock();
        while let Some(load) = queue.front(Lane::First).copied()
            && self.admit_waiter(load)
        {
            // Not empty: it cannot fail.
            let _ = queue.notify(Lane::First, Turn::Admitted(load));
            if queue.is_full() {
                queue.breathe();
            }
        }
        unmark(&mut queue);
    }

    /// Counts a message if there is room, for one that waits.
    fn admit_waiter(&self, load: Load) -> bool {
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            if !self.limit.has_room(now, load) {
                return false;
            }
            // Acquire: as in `try_admit`.
            match self.word.compare_exchange_weak(
                now,
                now + load.0,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
    }

    fn made_queue(&self) -> Option<&WaitQueue<Senders>> {
        // Acquire: pairs with the release in `queue`.
        let queue = self.queue.load(Ordering::Acquire);
        // SAFETY: null, or a box that lives as long as the room and is only shared (invariant 3).
        unsafe { queue.as_ref() }
    }

    fn queue(&self) -> &WaitQueue<Senders> {
        if let Some(queue) = self.made_queue() {
            return queue;
        }
        let room = RoomPointer(self);
        let new = Box::into_raw(Box::new(WaitQueue::new(Senders { room })));
        // AcqRel: releases the queue to `made_queue`; acquires that of another who was first.
        let set =
            self.queue
                .compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire);
        let queue = match set {
            Ok(_) => new,
            Err(first) => {
                // SAFETY: made above, and nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
                first
            }
        };
        // SAFETY: as in `made_queue`.
        unsafe { &*queue }
    }

    /// Makes a place for a sender that has to wait. The room does not move from now on.
    pub(crate) fn place(&self, load: Load) -> Place<'_> {
        Waiter::new(self.queue(), load)
    }

    /// Waits for room.
    pub(crate) fn poll_admit(
        &self,
        place: Pin<&mut Place<'_>>,
        load: Load,
        context: &mut Context<'_>,
    ) -> Poll<Turn> {
        place.poll_or(context, |queue| {
            let is_first = queue.is_empty(Lane::First);
            // Canary: a sender that looks for room first, and marks itself afterwards.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("actor_room")) && is_first && self.admit_waiter(load) {
                return Some(Turn::Admitted(load));
            }
            // AcqRel: the mark comes before the look for room; pairs with `leave` and `close`.
            let before = self.word.fetch_or(WAITERS, Ordering::AcqRel);
            if before & CLOSED != 0 {
                unmark(queue);
                return Some(Turn::Closed);
            }
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("actor_room")) {
                return None;
            }
            if is_first && self.admit_waiter(load) {
                unmark(queue);
                return Some(Turn::Admitted(load));
            }
            None
        })
    }

    /// Admits nobody any more, and tells all who wait.
    pub(crate) fn close(&self) {
        // AcqRel: acquires the queue of those who marked; releases the end to those who mark later.
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
        if let Some(queue) = self.made_queue() {
            let mut queue = queue.lock();
            queue.notify_all(Lane::First, || Turn::Closed);
            unmark(&mut queue);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Relaxed: nobody else has the room.
        let queue = self.queue.load(Ordering::Relaxed);
        if !queue.is_null() {
            // SAFETY: a box, set once and not dropped before (invariant 3).
            drop(unsafe { Box::from_raw(queue) });
        }
    }
}

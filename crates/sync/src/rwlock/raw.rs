//! The reader-writer lock without its value: one word, and a queue with a lane for readers and one
//! for writers.
//!
//! Phases alternate (the phase-fair locks of Brandenburg and Anderson, 2010). When writers wait, the
//! readers that hold the lock are the last of their phase: new ones queue. When the last has left, one
//! writer gets in; when it leaves, all readers that wait by then do. So a writer waits for one phase
//! of readers per writer before it, and a reader for one writer at most.
//!
//! Invariants
//! 1. `QUEUED` is set while somebody waits; it changes with the queue locked. While it is set the
//!    lock is only given away by [`settle`].
//! 2. Whoever leaves the lock free, or with readers alone, and finds `QUEUED` calls [`settle`].

use crate::holder::Note;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};
use weftwork_core::{Reason, TimedOut};

use crate::{reason, waiting};

/// A writer holds the lock. Excludes all others.
const WRITER: usize = 1;
/// Somebody waits. Excludes taking the lock past the queue.
const QUEUED: usize = 2;
/// One reader that holds the lock.
const READER: usize = 4;

const READERS: Lane = Lane::First;
const WRITERS: Lane = Lane::Second;

pub(super) struct RawRwLock {
    queue: WaitQueue<Phases>,
}

pub(super) struct Word {
    bits: AtomicUsize,
    /// The last writer.
    writer: Note,
}

#[derive(Default)]
pub(super) struct Phases {
    /// Whether the last phase was a writer's.
    readers_next: bool,
}

/// How the lock is held, or to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

impl Kind {
    fn lane(self) -> Lane {
        match self {
            Kind::Read => READERS,
            Kind::Write => WRITERS,
        }
    }

    fn reason(self) -> Reason {
        match self {
            Kind::Read => reason::READ_LOCK,
            Kind::Write => reason::WRITE_LOCK,
        }
    }

    /// What the word gains when the lock is taken so.
    fn unit(self) -> usize {
        match self {
            Kind::Read => READER,
            Kind::Write => WRITER,
        }
    }

    /// Whether the lock can be taken so past an empty queue.
    fn fits(self, bits: usize) -> bool {
        match self {
            Kind::Read => bits & (WRITER | QUEUED) == 0,
            Kind::Write => bits == 0,
        }
    }
}

impl Line for Phases {
    type Shared = Word;
    type Ask = ();
    /// The lock, held so.
    type Token = Kind;

    fn left(queue: &mut Locked<'_, Self>, _: Lane) {
        settle(queue);
    }

    fn returned(queue: &mut Locked<'_, Self>, token: Kind) {
        // Release: as in `unlock`.
        queue
            .shared()
            .bits
            .fetch_sub(token.unit(), Ordering::Release);
        queue.readers_next |= token == Kind::Write;
        settle(queue);
    }
}

/// Gives the lock to those whose phase it is.
fn settle(queue: &mut Locked<'_, Phases>) {
    let bits = &queue.shared().bits;
    loop {
        let has_readers = !queue.is_empty(READERS);
        let has_writers = !queue.is_empty(WRITERS);
        if !has_readers && !has_writers {
            // Whoever comes later has waited for no writer yet.
            queue.readers_next = false;
            // Relaxed: the bit orders nothing.
            bits.fetch_and(!QUEUED, Ordering::Relaxed);
            return;
        }
        // Relaxed: what takes the lock below acquires. While `QUEUED` is set it only gets freer.
        let now = bits.load(Ordering::Relaxed);
        let is_free = now & !QUEUED == 0;
        if now & WRITER != 0 || !is_free && has_writers {
            return;
        }
        if has_writers && !(has_readers && queue.readers_next) {
            // Acquire: pairs with the Release in `unlock`; the token takes it on.
            bits.fetch_add(WRITER, Ordering::Acquire);
            let served = queue.notify(WRITERS, Kind::Write);
            debug_assert!(served.is_ok(), "a writer waits, as was just seen");
            // The queue may be empty now.
            continue;
        }
        // A reader of ours keeps the phase open until all are in, though the queue is unlocked now
        // and then on the way. Acquire: as above.
        bits.fetch_add(READER, Ordering::Acquire);
        queue.readers_next = false;
        queue.notify_all(READERS, || {
            // Acquire: as above.
            bits.fetch_add(READER, Ordering::Acquire);
            Kind::Read
        });
        // Release: as in `unlock`; if it was the last, the loop goes on to the writers.
        bits.fetch_sub(READER, Ordering::Release);
    }
}

impl RawRwLock {
    #[cfg(not(weftwork_loom))]
    pub(super) const fn new() -> Self {
        let word = Word {
            bits: AtomicUsize::new(0),
            writer: Note::new(),
        };
        RawRwLock {
            queue: WaitQueue::with_shared(
                word,
                Phases {
                    readers_next: false,
                },
            ),
        }
    }

    #[cfg(weftwork_loom)]
    pub(super) fn new() -> Self {
        let word = Word {
            bits: AtomicUsize::new(0),
            writer: Note::new(),
        };
        RawRwLock {
            queue: WaitQueue::with_shared(
                word,
                Phases {
                    readers_next: false,
                },
            ),
        }
    }

    #[inline]
    fn bits(&self) -> &AtomicUsize {
        &self.queue.shared().bits
    }

    pub(super) fn note(&self) -> &Note {
        &self.queue.shared().writer
    }

    pub(super) fn is_locked(&self, kind: Kind) -> bool {
        // Relaxed: a report.
        let now = self.bits().load(Ordering::Relaxed);
        match kind {
            Kind::Read => now & !QUEUED != 0,
            Kind::Write => now & WRITER != 0,
        }
    }

    /// Takes the lock if it is free for that and nobody waits: one read-modify-write.
    #[inline]
    pub(super) fn try_lock(&self, kind: Kind) -> bool {
        let bits = self.bits();
        // Relaxed: the exchange orders.
        let mut now = bits.load(Ordering::Relaxed);
        while kind.fits(now) {
            let then = now + kind.unit();
            // Acquire: pairs with the Release in `unlock`.
            match bits.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }

    #[track_caller]
    #[inline]
    pub(super) fn lock(&self, kind: Kind, deadline: Option<Instant>) -> Result<(), TimedOut> {
        if self.try_lock(kind) {
            return Ok(());
        }
        self.lock_slow(kind, deadline)
    }

    #[track_caller]
    #[cold]
    fn lock_slow(&self, kind: Kind, deadline: Option<Instant>) -> Result<(), TimedOut> {
        if waiting::spin(|| self.try_lock(kind).then_some(true)) {
            return Ok(());
        }
        let mut waiter = pin!(self.waiter(kind));
        waiting::wait_until(kind.reason(), deadline, |context| {
            self.poll_lock(waiter.as_mut(), kind, context)
        })
    }

    pub(super) fn waiter(&self, kind: Kind) -> Waiter<'_, Phases> {
        Waiter::in_lane(&self.queue, kind.lane(), ())
    }

    /// Ready when the caller holds the lock.
    pub(super) fn poll_lock(
        &self,
        waiter: Pin<&mut Waiter<'_, Phases>>,
        kind: Kind,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if !waiter.is_busy() && self.try_lock(kind) {
            return Poll::Ready(());
        }
        let polled = waiter.poll_or(context, |_| {
            let bits = self.bits();
            // Relaxed: the exchange orders.
            let mut now = bits.load(Ordering::Relaxed);
            loop {
                let fits = kind.fits(now);
                let then = if fits {
                    now + kind.unit()
                } else {
                    now | QUEUED
                };
                // Canary: announced by a store, over an unlock that came meanwhile.
                #[cfg(weftwork_canary)]
                if !fits && canary::is(Step::Of("rwlock_announce")) {
                    bits.fetch_or(QUEUED, Ordering::Relaxed);
                    return None;
                }
                // Acquire: as in `try_lock`.
                match bits.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) if fits => return Some(kind),
                    Ok(_) => return None,
                    Err(other) => now = other,
                }
            }
        });
        polled.map(|_| ())
    }

    /// Gives the lock up, which the caller holds so: one read-modify-write if nobody waits.
    #[inline]
    pub(super) fn unlock(&self, kind: Kind) {
        // Release: pairs with the Acquire of whoever takes the lock next.
        let before = self.bits().fetch_sub(kind.unit(), Ordering::Release);
        let is_last = before & !QUEUED == kind.unit();
        if before & QUEUED != 0 && is_last {
            self.unlock_slow(kind);
        }
    }

    #[cold]
    fn unlock_slow(&self, kind: Kind) {
        let mut queue = self.queue.lock();
        queue.readers_next |= kind == Kind::Write;
        settle(&mut queue);
    }

    /// Turns the caller's write lock into a read lock.
    pub(super) fn downgrade(&self) {
        // Release: as in `unlock`.
        let before = self.bits().fetch_add(READER - WRITER, Ordering::Release);
        if before & QUEUED != 0 {
            self.unlock_slow(Kind::Write);
        }
    }
}

//! The mutex without its value: one word, and a queue for those who find it locked.
//!
//! Whoever comes first takes a free lock, also past those who wait (*barging*): a holder that comes
//! back at once costs nobody a switch. A waiter is woken to *compete*, one at a time. If it loses too
//! often or too long, it *reserves* the lock: the next unlock hands it over, and nobody barges. So a
//! waiter is passed over a bounded number of times after it has reached the front, and the queue is
//! first in, first out.
//!
//! Invariants
//! 1. Whoever moves the word from without `LOCKED` to with it holds the lock; a hand-over moves it
//!    for somebody else.
//! 2. `QUEUED` and `RESERVED` change with the queue locked. `QUEUED` is set while somebody waits.
//! 3. If `QUEUED` is set, then the lock is held, or a waiter is awake (`AWAKE`), or somebody is about
//!    to lock the queue and call [`settle`].
//! 4. There is one `Compete` token at most: from when `AWAKE` is set until it is cleared.
//!
//! Protocol and models: `docs/design/locks.md`, `tests/loom_mutex.rs`.

use super::poison::Poison;
use crate::holder::{Holder, Note};
use crate::reason;
use crate::waiting;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use weftwork_core::TimedOut;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU32, Ordering};
use weftwork_core::sync::sized;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};

/// Somebody holds the lock. Set by who takes it, or by who hands it over; cleared by the holder.
const LOCKED: u32 = 1;
/// Somebody waits. Excludes an unlock that does not look into the queue, unless one is awake.
const QUEUED: u32 = 2;
/// A waiter was woken to compete. Set by who woke it, cleared by it; excludes waking another.
const AWAKE: u32 = 4;
/// The next unlock hands the lock over. Set by a waiter that lost too often; excludes barging.
const RESERVED: u32 = 8;

/// How often a woken waiter may lose before it reserves the lock.
const LOSSES: usize = sized(32, 1);
/// How long it may wait before it reserves the lock when it loses.
const PATIENCE: Duration = Duration::from_micros(500);

pub(crate) struct RawMutex {
    queue: WaitQueue<Contended>,
}

/// What is beside the queue's lock.
pub(super) struct Word {
    bits: AtomicU32,
    poison: Poison,
    holder: Note,
}

/// The queue's state: all of it is in the word.
struct Contended;

/// What a waiter is woken with.
enum Grant {
    /// The lock is its own.
    Handed,
    /// The lock was free a moment ago.
    Compete,
}

impl Line for Contended {
    type Shared = Word;
    type Ask = ();
    type Token = Grant;

    fn left(queue: &mut Locked<'_, Self>, _: Lane) {
        settle(queue);
    }

    fn returned(queue: &mut Locked<'_, Self>, token: Grant) {
        let bit = match token {
            Grant::Handed => LOCKED,
            Grant::Compete => AWAKE,
        };
        // Release: pairs with the Acquire of whoever takes the lock, in the case of `Handed`.
        queue.shared().bits.fetch_and(!bit, Ordering::Release);
        settle(queue);
    }
}

/// Restores invariants 2 and 3: whoever is to be served is served.
fn settle(queue: &mut Locked<'_, Contended>) {
    let bits = &queue.shared().bits;
    // Relaxed, here and where an exchange fails: the exchange that succeeds orders.
    let mut now = bits.load(Ordering::Relaxed);
    loop {
        let rest = if queue.has_two(Lane::First) {
            QUEUED
        } else {
            0
        };
        let (then, grant) = if queue.is_empty(Lane::First) {
            (now & !(QUEUED | RESERVED), None)
        } else if now & LOCKED != 0 {
            (now | QUEUED, None)
        } else if now & RESERVED != 0 && hands_over() {
            let then = (now | LOCKED) & !(QUEUED | RESERVED) | rest;
            (then, Some(Grant::Handed))
        } else if now & AWAKE != 0 {
            (now | QUEUED, None)
        } else {
            ((now | AWAKE) & !QUEUED | rest, Some(Grant::Compete))
        };
        // AcqRel: a hand-over takes the lock on behalf of the waiter, so it acquires what the last
        // holder released, in `unlock`; the token's own release takes that to the waiter.
        match bits.compare_exchange_weak(now, then, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {
                if let Some(grant) = grant {
                    let served = queue.notify(Lane::First, grant);
                    debug_assert!(served.is_ok(), "somebody waits, as was just seen");
                }
                return;
            }
            Err(other) => now = other,
        }
    }
}

/// Canary: a waiter is woken to compete for a lock that is reserved.
fn hands_over() -> bool {
    #[cfg(weftwork_canary)]
    if canary::is(Step::Of("mutex_hand_over")) {
        return false;
    }
    true
}

impl RawMutex {
    #[cfg(not(weftwork_loom))]
    pub(crate) const fn new(poison: Poison) -> Self {
        let word = Word {
            bits: AtomicU32::new(0),
            poison,
            holder: Note::new(),
        };
        RawMutex {
            queue: WaitQueue::with_shared(word, Contended),
        }
    }

    #[cfg(weftwork_loom)]
    pub(crate) fn new(poison: Poison) -> Self {
        let word = Word {
            bits: AtomicU32::new(0),
            poison,
            holder: Note::new(),
        };
        RawMutex {
            queue: WaitQueue::with_shared(word, Contended),
        }
    }

    #[inline]
    fn word(&self) -> &Word {
        self.queue.shared()
    }

    #[inline]
    pub(super) fn poison(&self) -> &Poison {
        &self.word().poison
    }

    pub(crate) fn is_locked(&self) -> bool {
        // Relaxed: a report.
        self.word().bits.load(Ordering::Relaxed) & LOCKED != 0
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        let holder = self.word().holder.get();
        holder.filter(|_| self.is_locked())
    }

    /// Notes who holds the lock; the caller does.
    #[inline]
    pub(crate) fn note_holder(&self, location: &'static Location<'static>) {
        self.word().holder.set(location);
    }

    /// Takes the lock if it is free: one read-modify-write, if nobody comes in between.
    ///
    /// A holder that comes back while others wait finds `QUEUED` and `AWAKE` as often as not, hence
    /// the look before. The usual word is told apart by a branch, so that the exchange need not wait
    /// for what was read.
    #[inline]
    fn try_lock_fast(&self) -> bool {
        let bits = &self.word().bits;
        // Acquire: pairs with the Release in `unlock`. Relaxed: the look, and the failure, say nothing
        // of the value.
        let exchange = |now: u32| {
            bits.compare_exchange(now, now | LOCKED, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        match bits.load(Ordering::Relaxed) {
            0 => exchange(0),
            now => now & (LOCKED | RESERVED) == 0 && exchange(now),
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        self.try_lock_fast() || self.try_barge() == Some(true)
    }

    /// Takes the lock if it is free. `None` where it is not, though it may be soon; `Some(false)`
    /// where others wait for it already.
    fn try_barge(&self) -> Option<bool> {
        let bits = &self.word().bits;
        // Relaxed: the exchange orders.
        let mut now = bits.load(Ordering::Relaxed);
        while now & (LOCKED | RESERVED) == 0 {
            // As in `try_lock_fast`.
            match bits.compare_exchange_weak(
                now,
                now | LOCKED,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(true),
                Err(other) => now = other,
            }
        }
        (now & (QUEUED | RESERVED) != 0).then_some(false)
    }

    #[track_caller]
    #[inline]
    pub(crate) fn lock(&self) {
        if !self.try_lock_fast() {
            let locked = self.lock_slow(None);
            debug_assert!(locked.is_ok(), "there is no deadline");
        }
    }

    #[track_caller]
    #[inline]
    pub(crate) fn lock_deadline(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        if self.try_lock_fast() {
            return Ok(());
        }
        self.lock_slow(deadline)
    }

    #[track_caller]
    #[cold]
    fn lock_slow(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        if self.try_barge() == Some(true) || waiting::spin(|| self.try_barge()) {
            return Ok(());
        }
        let mut acquire = pin!(Acquire::new(self));
        waiting::wait_until(reason::MUTEX, deadline, |context| {
            acquire.as_mut().poll(context)
        })
    }

    /// Takes the lock whether or not the current task is cancelled: for a holder that gave it up for
    /// a while, and whose guard is still there.
    #[track_caller]
    pub(crate) fn relock(&self) {
        if self.try_lock() {
            return;
        }
        let mut acquire = pin!(Acquire::new(self));
        weftwork_core::wait::wait_shielded(reason::MUTEX, |context| acquire.as_mut().poll(context));
    }

    /// Gives the lock up: one read-modify-write if nobody waits. The caller holds it.
    #[inline]
    pub(crate) fn unlock(&self) {
        // Release: pairs with the Acquire of whoever takes the lock next.
        let before = self.word().bits.fetch_sub(LOCKED, Ordering::Release);
        if before != LOCKED {
            self.unlock_slow(before);
        }
    }

    #[cold]
    fn unlock_slow(&self, before: u32) {
        let must_wake = before & QUEUED != 0 && before & AWAKE == 0;
        if must_wake || before & RESERVED != 0 {
            settle(&mut self.queue.lock());
        }
    }

    /// Gives the lock to the first in the queue, if there is one. The caller holds it.
    pub(crate) fn unlock_fair(&self) {
        let mut queue = self.queue.lock();
        if !queue.is_empty(Lane::First) {
            // Relaxed: `settle`'s exchange orders.
            self.word().bits.fetch_or(RESERVED, Ordering::Relaxed);
        }
        // As in `unlock`; here the queue is locked already.
        self.word().bits.fetch_sub(LOCKED, Ordering::Release);
        settle(&mut queue);
    }
}

/// One attempt to take the lock, waiting for it. Pinned where it waits.
pub(crate) struct Acquire<'a> {
    mutex: &'a RawMutex,
    waiter: Waiter<'a, Contended>,
    losses: usize,
    since: Option<Instant>,
}

impl<'a> Acquire<'a> {
    pub(crate) fn new(mutex: &'a RawMutex) -> Self {
        Acquire {
            mutex,
            waiter: Waiter::new(&mutex.queue, ()),
            losses: 0,
            since: None,
        }
    }

    /// Ready when the caller holds the lock. Takes nothing before that.
    pub(crate) fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the waiter is pinned with this; nothing else is, and nothing is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let mut waiter = unsafe { Pin::new_unchecked(&mut this.waiter) };
        let competes = waiter.is_busy();
        if competes {
            match ready!(waiter.as_mut().poll(context)) {
                Grant::Handed => return Poll::Ready(()),
                Grant::Compete => this.losses += 1,
            }
        } else if this.mutex.try_lock() {
            return Poll::Ready(());
        }
        let bits = &this.mutex.word().bits;
        let (awake, impatient) = if competes {
            (AWAKE, this.losses >= LOSSES || is_late(this.since))
        } else {
            this.since = now();
            (0, false)
        };
        waiter.as_mut().set_waker(context.waker());
        let mut queue = None;
        // Relaxed, here and where an exchange fails: the exchange that succeeds orders.
        let mut now = bits.load(Ordering::Relaxed);
        loop {
            let then = if now & (LOCKED | RESERVED) == 0 {
                (now | LOCKED) & !awake
            } else {
                // Invariant 2.
                queue.get_or_insert_with(|| this.mutex.queue.lock());
                let reserve = if impatient && now & LOCKED != 0 {
                    RESERVED
                } else {
                    0
                };
                now & !awake | QUEUED | reserve
            };
            // Canary: the waiter says that it waits without looking whether it still must.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("mutex_announce")) && then & QUEUED != 0 && queue.is_some() {
                bits.store(then, Ordering::Release);
                break;
            }
            // Acquire: pairs with the Release in `unlock`, if this takes the lock.
            match bits.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) if now & (LOCKED | RESERVED) == 0 => return Poll::Ready(()),
                Ok(_) => break,
                Err(other) => now = other,
            }
        }
        let mut queue = queue.expect("locked before it was announced");
        if competes {
            queue.push_front(waiter);
        } else {
            queue.push_back(waiter);
        }
        Poll::Pending
    }
}

fn is_late(since: Option<Instant>) -> bool {
    since.is_some_and(|since| since.elapsed() >= PATIENCE)
}

/// When a wait began. A model has no clock: there the losses alone are counted.
fn now() -> Option<Instant> {
    (!cfg!(weftwork_loom)).then(Instant::now)
}

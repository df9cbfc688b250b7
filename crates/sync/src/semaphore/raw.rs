//! The semaphore's one word and its queue.
//!
//! Invariants
//! 1. `QUEUED` is set while somebody waits; it changes with the queue locked. While it is set nobody
//!    takes permits but on behalf of the first in the queue: so a big request is not starved.
//! 2. Whoever adds permits and finds `QUEUED` set locks the queue and calls [`settle`].
//! 3. `CLOSED` is never cleared, whatever becomes of the permits.

use std::pin::Pin;
use std::task::{Context, Poll};
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};

/// No permit is given any more. Set by `close`; excludes joining the queue.
const CLOSED: usize = 1;
/// Somebody waits. Set by who joins; excludes taking permits past the queue.
const QUEUED: usize = 2;
/// One permit.
const ONE: usize = 4;

/// As many permits as fit, with room for a sum of two.
pub(super) const MAX: usize = usize::MAX >> 3;

pub(super) struct Permits;

/// What a waiter is woken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// So many permits are its own.
    Given(usize),
    /// There will be none.
    Closed,
}

/// Why there are no permits to be had at once.
pub(super) enum Refused {
    Closed,
    TooFew,
}

impl Line for Permits {
    type Shared = AtomicUsize;
    /// How many it wants.
    type Ask = usize;
    type Token = Grant;

    fn left(queue: &mut Locked<'_, Self>, _: Lane) {
        settle(queue);
    }

    fn returned(queue: &mut Locked<'_, Self>, token: Grant) {
        if let Grant::Given(n) = token {
            // Release: pairs with the Acquire in `try_take` and `settle`.
            queue.shared().fetch_add(n * ONE, Ordering::Release);
            settle(queue);
        }
    }
}

/// Serves the first in line for as long as there is enough for it.
fn settle(queue: &mut Locked<'_, Permits>) {
    let word = queue.shared();
    loop {
        let Some(&n) = queue.front(Lane::First) else {
            // Relaxed: the bit orders nothing, the permits do.
            word.fetch_and(!QUEUED, Ordering::Relaxed);
            return;
        };
        // Relaxed: the exchange orders.
        let now = word.load(Ordering::Relaxed);
        if now & CLOSED != 0 {
            // Whoever closed it is about to tell them.
            return;
        }
        if now / ONE < n {
            return;
        }
        // Acquire: pairs with the Release of who gave the permits back; the token takes it on.
        if word
            .compare_exchange_weak(now, now - n * ONE, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
        {
            let served = queue.notify(Lane::First, Grant::Given(n));
            debug_assert!(served.is_ok(), "somebody waits, as was just seen");
            if queue.is_full() {
                queue.breathe();
            }
        }
    }
}

/// The parts of a queue of a semaphore with so many permits.
#[cfg(not(weftwork_loom))]
pub(super) const fn queue(permits: usize) -> (AtomicUsize, Permits) {
    (AtomicUsize::new(permits * ONE), Permits)
}

/// The parts of a queue of a semaphore with so many permits.
#[cfg(weftwork_loom)]
pub(super) fn queue(permits: usize) -> (AtomicUsize, Permits) {
    (AtomicUsize::new(permits * ONE), Permits)
}

/// How many permits are free.
pub(super) fn available(queue: &WaitQueue<Permits>) -> usize {
    // Relaxed: a report.
    queue.shared().load(Ordering::Relaxed) / ONE
}

pub(super) fn is_closed(queue: &WaitQueue<Permits>) -> bool {
    // Acquire: pairs with the Release in `close`.
    queue.shared().load(Ordering::Acquire) & CLOSED != 0
}

/// Takes `n` permits if nobody waits and there are so many: one read-modify-write.
#[inline]
pub(super) fn try_take(word: &AtomicUsize, n: usize) -> Result<(), Refused> {
    // Relaxed: the exchange orders.
    let mut now = word.load(Ordering::Relaxed);
    loop {
        if now & CLOSED != 0 {
            return Err(Refused::Closed);
        }
        if now & QUEUED != 0 || now / ONE < n {
            return Err(Refused::TooFew);
        }
        // Acquire: pairs with the Release of who gave the permits back.
        match word.compare_exchange_weak(now, now - n * ONE, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(other) => now = other,
        }
    }
}

/// Waits for `n` permits, which `waiter` asks for. False: it was closed.
pub(super) fn poll_take(
    waiter: Pin<&mut Waiter<'_, Permits>>,
    n: usize,
    context: &mut Context<'_>,
) -> Poll<bool> {
    let polled = waiter.poll_or(context, |queue| {
        let word = queue.shared();
        // Relaxed: the exchange orders.
        let mut now = word.load(Ordering::Relaxed);
        loop {
            if now & CLOSED != 0 {
                return Some(Grant::Closed);
            }
            let is_free = now & QUEUED == 0 && now / ONE >= n;
            let then = if is_free { now - n * ONE } else { now | QUEUED };
            // Canary: the bit is set by a store, over permits that came meanwhile.
            #[cfg(weftwork_canary)]
            if !is_free && canary::is(Step::Of("semaphore_announce")) {
                word.store(then, Ordering::Release);
                return None;
            }
            // Acquire: as in `try_take`.
            match word.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) if is_free => return Some(Grant::Given(n)),
                Ok(_) => return None,
                Err(other) => now = other,
            }
        }
    });
    polled.map(|grant| grant != Grant::Closed)
}

/// Gives `n` permits back: one read-modify-write if nobody waits.
#[inline]
pub(super) fn give(queue: &WaitQueue<Permits>, n: usize) {
    // Release: pairs with the Acquire of who takes them.
    let before = queue.shared().fetch_add(n * ONE, Ordering::Release);
    if before & QUEUED != 0 {
        settle(&mut queue.lock());
    }
}

/// Makes `n` new permits. False: there would be too many.
pub(super) fn add(queue: &WaitQueue<Permits>, n: usize) -> bool {
    let sum = |now: usize| {
        let permits = (now / ONE).checked_add(n).filter(|sum| *sum <= MAX)?;
        Some((permits * ONE) | (now % ONE))
    };
    // Release, Relaxed: as in `give`; the failure is tried again.
    let added = queue
        .shared()
        .fetch_update(Ordering::Release, Ordering::Relaxed, sum);
    if added.is_ok_and(|before| before & QUEUED != 0) {
        settle(&mut queue.lock());
    }
    added.is_ok()
}

/// Destroys up to `n` free permits, and says how many.
pub(super) fn forget(queue: &WaitQueue<Permits>, n: usize) -> usize {
    let less = |now: usize| Some(now - n.min(now / ONE) * ONE);
    // Acquire, Relaxed: as in `try_take`.
    let before = queue
        .shared()
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, less);
    n.min(before.unwrap_or_else(|now| now) / ONE)
}

/// Ends the giving, for those who wait and those to come.
pub(super) fn close(queue: &WaitQueue<Permits>) {
    let mut queue = queue.lock();
    // Release: pairs with the Acquire in `is_closed`. Nobody joins after this.
    queue.shared().fetch_or(CLOSED, Ordering::Release);
    queue.notify_all(Lane::First, || Grant::Closed);
    // Relaxed: as in `settle`.
    queue.shared().fetch_and(!QUEUED, Ordering::Relaxed);
}

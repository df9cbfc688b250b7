//! A slot: what is known about one descriptor's readiness, and who waits for more.
//!
//! Each direction has a word, read and cleared without a lock; generation and waiters are behind a
//! small one. A slot is reused for one descriptor after another and never freed before its driver.
//!
//! ```text
//! word:  tick (32) | … | WAITERS PRIORITY SHUT_DOWN ERROR CLOSED READY
//! ```
//!
//! Invariants:
//! 1. Events are applied under the lock, after comparing generations: a late event of a former
//!    tenant changes nothing.
//! 2. Each applied event raises the tick. `clear` takes READY away only if the tick is still the
//!    one its caller saw *before* it tried the operation; otherwise news arrived in between and
//!    stays. The tick has 32 bits and belongs to one direction: a shorter one comes round within
//!    reach, a shared one is raised by the other direction's traffic and never lets `clear`
//!    succeed.
//! 3. CLOSED, ERROR and SHUT_DOWN stay until the tenant changes. CLOSED and SHUT_DOWN make a
//!    direction ready for good; ERROR alone does not, since a UDP socket gets over it.
//! 4. A waiter queues only after it saw, under the lock, that the direction is not ready.
//!    WAITERS is set exactly while the queue is not empty; it changes under the lock.
//! 5. If a direction is ready and somebody queues, somebody else has been woken and neither been
//!    polled nor dropped since: it holds the *baton*. It passes the baton on when it is polled and
//!    finds the direction ready, or when it is dropped. So an event wakes one waiter, in the order
//!    of arrival, and no readiness is left over while somebody sleeps.
//! 6. Wakers are called, cloned and dropped only without the lock.

use std::fmt;
use std::task::{Poll, Waker};

use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicU64, Ordering};

use crate::event::Event;
use crate::interest::Interest;
use crate::waiters::{POLLED, Waiter, Waiters};

/// Set by an event, cleared by `clear`: an operation may succeed.
const READY: u64 = 1 << 0;
/// Set by an event: this direction is over. Operations return at once for good.
const CLOSED: u64 = 1 << 1;
/// Set by an event: an error was pending at some time.
const ERROR: u64 = 1 << 2;
/// Set by `shut_down` and `close`: nobody may wait here any more.
const SHUT_DOWN: u64 = 1 << 3;
/// Set by an event together with READY, cleared with it: exceptional data.
const PRIORITY: u64 = 1 << 4;
/// Set while the direction's queue is not empty.
const WAITERS: u64 = 1 << 5;
/// One tick, in the upper half, where an overflow leaves the flags alone.
const TICK: u64 = 1 << 32;

/// What makes a direction ready.
const ANY_READY: u64 = READY | CLOSED | SHUT_DOWN;

/// One of the two directions of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Receiving: `read`, `recv`, `accept`.
    Read = 0,
    /// Sending: `write`, `send`, the end of a `connect`.
    Write = 1,
}

/// What a direction was like at one moment, with the tick that tells the moments apart.
///
/// Take it before trying an operation, and hand it to
/// [`clear_ready`](crate::Registration::clear_ready) if the operation would block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ready(u64);

impl Ready {
    /// Tells whether an operation is worth trying: news, a closed direction, or a shutdown.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self.0 & ANY_READY != 0
    }

    /// Tells whether the direction is over: the peer sends no more, or nothing more can be sent.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// Tells whether the descriptor ever reported an error.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// Tells whether exceptional data was reported.
    #[must_use]
    pub fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Tells whether waiting here was ended by
    /// [`shutdown_waiters`](crate::Registration::shutdown_waiters) or by deregistering.
    #[must_use]
    pub fn is_shut_down(self) -> bool {
        self.0 & SHUT_DOWN != 0
    }

    /// Returns the number of events of this direction so far, modulo 2³².
    #[must_use]
    pub fn tick(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("tick", &self.tick())
            .field("ready", &(self.0 & READY != 0))
            .field("closed", &self.is_closed())
            .field("error", &self.is_error())
            .field("priority", &self.is_priority())
            .field("shut_down", &self.is_shut_down())
            .finish()
    }
}

/// What an event changes: the bits to set in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Change([u64; 2]);

impl Change {
    /// Readiness to read, and nothing else.
    pub const READABLE: Change = Change([READY, 0]);
    /// Readiness to write, and nothing else.
    pub const WRITABLE: Change = Change([0, READY]);
}

impl From<Event> for Change {
    fn from(event: Event) -> Change {
        let bit = |condition, bit| if condition { bit } else { 0 };
        let error = bit(event.error, ERROR);
        Change([
            bit(event.readable, READY)
                | bit(event.priority, READY | PRIORITY)
                | bit(event.read_closed, CLOSED)
                | error,
            bit(event.writable, READY) | bit(event.write_closed, CLOSED) | error,
        ])
    }
}

/// A place in a queue: what a waiting future holds, and gives back by `cancel` or by being ready.
#[derive(Debug, Default)]
pub struct Ticket(Option<u64>);

/// The tenant, behind the lock.
#[derive(Debug)]
struct Tenant {
    generation: u32,
    fd: i32,
    interest: Interest,
    live: bool,
    next_id: u64,
    waiters: [Waiters; 2],
}

/// One descriptor's readiness.
#[derive(Debug)]
pub struct Slot {
    words: [AtomicU64; 2],
    tenant: Mutex<Tenant>,
}

impl Slot {
    /// Makes a slot without a tenant.
    #[must_use]
    pub fn new() -> Self {
        Slot {
            words: [AtomicU64::new(0), AtomicU64::new(0)],
            tenant: Mutex::new(Tenant {
                generation: 1,
                fd: -1,
                interest: Interest::READABLE,
                live: false,
                next_id: POLLED + 1,
                waiters: [const { Waiters::new() }; 2],
            }),
        }
    }

    /// Lets a tenant in and returns its generation.
    pub fn open(&self, fd: i32, interest: Interest) -> u32 {
        let mut tenant = self.tenant.lock();
        debug_assert!(!tenant.live, "slot opened twice");
        for word in &self.words {
            word.store(0, Ordering::Relaxed); // Relaxed: published by whatever hands the slot over.
        }
        tenant.live = true;
        tenant.fd = fd;
        tenant.interest = interest;
        tenant.generation
    }

    /// Ends the tenancy: raises the generation, shuts both directions down, and hands out the
    /// wakers. Returns false if `generation` is not the tenant's.
    pub fn close(&self, generation: u32, wakers: &mut Vec<Waker>) -> bool {
        let mut tenant = self.tenant.lock();
        if tenant.generation != generation || !tenant.live {
            return false;
        }
        tenant.live = false;
        tenant.generation = generation.wrapping_add(1);
        self.end_waiting(&mut tenant, wakers);
        true
    }

    /// Tells whether the slot can take another tenant: its generations are not used up.
    pub(crate) fn is_reusable(&self) -> bool {
        // Generation u32::MAX was the last: after it, a token would come back.
        self.tenant.lock().generation != 0
    }

    /// Returns the tenant, if there is one: its descriptor, interest and generation.
    pub(crate) fn tenant(&self) -> Option<(i32, Interest, u32)> {
        let tenant = self.tenant.lock();
        tenant
            .live
            .then_some((tenant.fd, tenant.interest, tenant.generation))
    }

    /// Shuts both directions down for the rest of the tenancy and hands out the wakers.
    pub fn shut_down(&self, generation: u32, wakers: &mut Vec<Waker>) {
        let mut tenant = self.tenant.lock();
        if tenant.generation == generation && tenant.live {
            self.end_waiting(&mut tenant, wakers);
        }
    }

    fn end_waiting(&self, tenant: &mut Tenant, wakers: &mut Vec<Waker>) {
        for (word, queue) in self.words.iter().zip(&mut tenant.waiters) {
            // Release: pairs with the Acquire in `ready`.
            let _ = word.fetch_update(Ordering::Release, Ordering::Relaxed, |w| {
                Some(((w | SHUT_DOWN) & !WAITERS).wrapping_add(TICK))
            });
            while let Some(waiter) = queue.pop() {
                wakers.push(waiter.waker);
            }
        }
    }

    /// Applies an event and hands out the wakers to call, at most one waiter of each direction (and
    /// the last caller of `poll_ready`). Returns false if `generation` is not the tenant's.
    pub fn apply(&self, generation: u32, change: Change, wakers: &mut Vec<Waker>) -> bool {
        let mut tenant = self.tenant.lock();
        if tenant.generation != generation || !tenant.live {
            return false;
        }
        for direction in [Direction::Read, Direction::Write] {
            let bits = change.0[direction as usize];
            if bits == 0 {
                continue;
            }
            let queue = &mut tenant.waiters[direction as usize];
            pop_baton_holder(queue, wakers);
            let waiters = if queue.is_empty() { 0 } else { WAITERS };
            // Release: pairs with the Acquire in `ready`; what this thread learned with the event
            // is visible to whom it makes ready.
            let _ = self.words[direction as usize].fetch_update(
                Ordering::Release,
                Ordering::Relaxed,
                |w| Some(((w & !WAITERS) | bits | waiters).wrapping_add(TICK)),
            );
        }
        true
    }

    /// Makes WAITERS say whether the queue is empty. The caller holds the lock.
    fn note_waiters(&self, tenant: &Tenant, direction: Direction) {
        let word = &self.words[direction as usize];
        // Relaxed: the bit only says whether it is worth taking the lock, which orders everything
        // else; a waiter's own view of it is ordered by its own calls.
        let noted = word.load(Ordering::Relaxed) & WAITERS != 0;
        match (noted, tenant.waiters[direction as usize].is_empty()) {
            (true, true) => drop(word.fetch_and(!WAITERS, Ordering::Relaxed)),
            (false, false) => drop(word.fetch_or(WAITERS, Ordering::Relaxed)),
            _ => {}
        }
    }

    /// Reads a direction.
    #[inline]
    #[must_use]
    pub fn ready(&self, direction: Direction) -> Ready {
        // Acquire: pairs with the Release in `apply` and `end_waiting`.
        Ready(self.words[direction as usize].load(Ordering::Acquire))
    }

    /// Takes READY away unless an event arrived since `seen` was read.
    #[inline]
    pub fn clear(&self, direction: Direction, seen: Ready) {
        let word = &self.words[direction as usize];
        let mut now = word.load(Ordering::Relaxed); // Relaxed: only a guess for the exchange.
        while now & READY != 0 {
            #[cfg(not(weftwork_canary))]
            if now >> 32 != seen.0 >> 32 {
                return;
            }
            #[cfg(weftwork_canary)]
            let _ = seen; // The bug the model must find: news is thrown away.
            let next = now & !(READY | PRIORITY);
            // Relaxed: forgetting publishes nothing.
            match word.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => now = seen,
            }
        }
    }

    /// Returns the direction if it is ready; otherwise queues `waker` under `ticket`.
    #[inline]
    pub fn poll(&self, direction: Direction, ticket: &mut Ticket, waker: &Waker) -> Poll<Ready> {
        let ready = self.ready(direction);
        if ready.is_ready() {
            if let Some(id) = ticket.0.take()
                && ready.0 & WAITERS != 0
            {
                self.leave(direction, id);
            }
            return Poll::Ready(ready);
        }
        self.poll_queued(direction, ticket, waker)
    }

    fn poll_queued(&self, direction: Direction, ticket: &mut Ticket, waker: &Waker) -> Poll<Ready> {
        let waker = waker.clone();
        let mut tenant = self.tenant.lock();
        let ready = self.ready(direction);
        if ready.is_ready() {
            drop(tenant);
            if let Some(id) = ticket.0.take() {
                self.leave(direction, id);
            }
            return Poll::Ready(ready);
        }
        let queue = &mut tenant.waiters[direction as usize];
        let former = match ticket.0.map(|id| (id, queue.find(id))) {
            None => {
                let id = tenant.next_id;
                tenant.next_id += 1;
                ticket.0 = Some(id);
                tenant.waiters[direction as usize].push_back(Waiter { id, waker });
                None
            }
            Some((_, Some(queued))) => Some(std::mem::replace(&mut queued.waker, waker)),
            Some((POLLED, None)) => {
                queue.push_back(Waiter { id: POLLED, waker });
                None
            }
            // Woken, but somebody else was faster: back to the head of the queue.
            Some((id, None)) => {
                queue.push_front(Waiter { id, waker });
                None
            }
        };
        self.note_waiters(&tenant, direction);
        drop(tenant);
        drop(former);
        Poll::Pending
    }

    /// As [`poll`](Self::poll), for a caller that keeps no ticket: its waker replaces that of the
    /// last such caller of the direction.
    #[inline]
    pub fn poll_untracked(&self, direction: Direction, waker: &Waker) -> Poll<Ready> {
        self.poll(direction, &mut Ticket(Some(POLLED)), waker)
    }

    /// Gives a place in the queue up: a waiter that was already woken passes its baton on.
    pub fn cancel(&self, direction: Direction, ticket: &mut Ticket) {
        if let Some(id) = ticket.0.take() {
            // Acquire: as in `ready`. Without WAITERS the ticket's holder has been woken and
            // nobody is left to hand the baton to; whoever queues later looks for himself.
            let word = self.words[direction as usize].load(Ordering::Acquire);
            if word & WAITERS != 0 {
                self.leave(direction, id);
            }
        }
    }

    fn leave(&self, direction: Direction, id: u64) {
        let mut wakers = Vec::new();
        let mut tenant = self.tenant.lock();
        let queue = &mut tenant.waiters[direction as usize];
        let removed = queue.remove(id);
        // Not in the queue: it was woken and holds the baton. The canary drops it.
        if removed.is_none()
            && id != POLLED
            && self.ready(direction).is_ready()
            && cfg!(not(weftwork_canary))
        {
            pop_baton_holder(queue, &mut wakers);
        }
        self.note_waiters(&tenant, direction);
        drop(tenant);
        drop(removed);
        wake_all(&mut wakers);
    }
}

/// Takes the first waiter out to be woken. The caller holds the lock and has seen, or is about to
/// make, the direction ready.
fn pop_baton_holder(queue: &mut Waiters, wakers: &mut Vec<Waker>) {
    while let Some(Waiter { id, waker }) = queue.pop() {
        wakers.push(waker);
        // Nobody tells us when a caller of `poll_ready` goes away, so it cannot hold the baton.
        if id != POLLED {
            break;
        }
    }
}

impl Default for Slot {
    fn default() -> Self {
        Slot::new()
    }
}

/// Calls every waker and empties the list, the rest of it even if one panics.
pub(crate) fn wake_all(wakers: &mut Vec<Waker>) {
    struct Rest<'a>(&'a mut Vec<Waker>);
    impl Drop for Rest<'_> {
        fn drop(&mut self) {
            for waker in self.0.drain(..) {
                waker.wake();
            }
        }
    }
    if wakers.is_empty() {
        return;
    }
    let rest = Rest(wakers);
    // In order of events; a panic leaves the unwoken in the list for `rest` to wake.
    rest.0.reverse();
    while let Some(waker) = rest.0.pop() {
        waker.wake();
    }
}

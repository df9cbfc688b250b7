//! [`Driver`]: a poller with a table of registrations, which turns events into wake-ups.
//!
//! Invariants:
//! 1. The registry lock is held by whoever gives out or takes back a slot and across the call that
//!    changes the kernel's set. The kernel serialises those calls per set anyway.
//! 2. A slot is given out again only after its [`Registration`] was dropped, with a new generation.
//! 3. A turn applies the whole batch before it calls the first waker, and holds no lock by then.
//!
//! # A descriptor closed too early
//!
//! Closing a descriptor does not take it out of an epoll set while a duplicate is open, and once
//! the number is gone nothing can: the kernel goes on reporting a registration that cannot be
//! named. If a deregistration finds the number gone, the driver is on its guard: should an event
//! then arrive for an ended registration, it builds a new set with the live registrations alone and
//! puts it under the old one's number. One such rebuild at most follows each failed deregistration.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::event::Events;
use crate::interest::{Interest, Mode};
use crate::poller::Poller;
use crate::registration::Registration;
use crate::slot::{Change, Slot, wake_all};
use crate::stats::DriverStats;
use crate::table::Table;
use crate::token::Token;

/// What one [`turn`](Driver::turn) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// Events received, stale ones included.
    pub events: usize,
    /// Events dropped because their registration had ended.
    pub stale: usize,
    /// Wakers called.
    pub woken: usize,
    /// Whether a [`wake`](Driver::wake) was consumed.
    pub notified: bool,
}

/// Remembers the readiness of many descriptors and wakes the tasks that wait for it.
///
/// One thread, the owner, calls [`turn`](Self::turn) in its loop. Any thread may register
/// descriptors, wait for readiness and [`wake`](Self::wake) the owner; and may call `turn` with a
/// zero timeout when the owner is stuck, so that its descriptors are still served.
///
/// ```
/// use std::future::Future;
/// use std::io::Write;
/// use std::os::fd::AsRawFd;
/// use std::os::unix::net::UnixStream;
/// use std::pin::pin;
/// use std::sync::Arc;
/// use std::task::{Context, Poll, Waker};
/// use weftwork_reactor::{Direction, Driver, Events, Interest};
///
/// # fn main() -> std::io::Result<()> {
/// let driver = Arc::new(Driver::new()?);
/// let (near, mut far) = UnixStream::pair()?;
/// let registration = driver.register(near.as_raw_fd(), Interest::READABLE)?;
///
/// let mut readable = pin!(registration.readiness(Direction::Read));
/// let mut context = Context::from_waker(Waker::noop()); // An executor passes its task's waker.
/// assert!(readable.as_mut().poll(&mut context).is_pending());
///
/// far.write_all(b"ping")?;
/// let mut events = Events::with_capacity(64);
/// assert_eq!(driver.turn(&mut events, None)?.woken, 1);
/// assert!(readable.as_mut().poll(&mut context).is_ready());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Driver {
    poller: Poller,
    table: Table,
    registry: Mutex<Registry>,
    /// A deregistration could not name its descriptor: see the module page.
    on_guard: AtomicBool,
    stale: AtomicU64,
}

/// Which slots are free.
#[derive(Debug, Default)]
struct Registry {
    free: Vec<u32>,
    /// Slots below this index have been given out at least once.
    used: u32,
    registered: u64,
    deregistered: u64,
    rebuilds: u64,
    /// Nobody will call `turn` any more.
    closed: bool,
}

impl Driver {
    /// Makes a driver with a poller of its own.
    ///
    /// # Errors
    ///
    /// The system's error if descriptors or memory have run out.
    pub fn new() -> io::Result<Driver> {
        Ok(Driver::with_poller(Poller::new()?))
    }

    /// Makes a driver on `poller`, whose tokens it then owns.
    #[must_use]
    pub fn with_poller(poller: Poller) -> Driver {
        Driver {
            poller,
            table: Table::new(),
            registry: Mutex::new(Registry::default()),
            on_guard: AtomicBool::new(false),
            stale: AtomicU64::new(0),
        }
    }

    /// Registers `fd`, edge-triggered, for the life of the registration.
    ///
    /// Ask for everything the descriptor will ever be used for: there is one registration per
    /// descriptor, and it is never changed. A stream takes [`Interest::DUPLEX`], a listener
    /// [`Interest::READABLE`]. Set the descriptor non-blocking. Call `connect` before registering:
    /// a socket that is neither connected nor connecting reports a hang-up.
    ///
    /// Drop or [`deregister`](Registration::deregister) the registration before `fd` is closed.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if `fd` is registered here, `PermissionDenied` if it is always ready and
    /// cannot be polled (a regular file), `OutOfMemory` beyond 8,388,608 registrations,
    /// `ConnectionAborted` after [`close`](Self::close), `Unsupported` in a forked child, and the
    /// system's errors. Nothing is registered then.
    pub fn register(self: &Arc<Self>, fd: RawFd, interest: Interest) -> io::Result<Registration> {
        self.poller.check_process()?;
        let mut registry = self.registry.lock();
        if registry.closed {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the driver was closed: its runtime has ended",
            ));
        }
        let index = registry.take()?;
        let slot = self.table.get_or_make(index);
        let generation = slot.open(fd, interest);
        let token = Token::new(index, generation);
        if let Err(error) = self.poller.add_checked(fd, token, interest, Mode::Edge) {
            // Nobody has seen the slot, so nobody waits on it.
            slot.close(generation, &mut Vec::new());
            registry.put_back(index, slot);
            return Err(error);
        }
        registry.registered += 1;
        drop(registry);
        Ok(Registration::new(Arc::clone(self), token))
    }

    /// Ends waiting on all registrations for good, as
    /// [`Registration::shutdown_waiters`] does on one, and refuses new ones.
    ///
    /// For an owner that will not call [`turn`](Self::turn) any more: who holds a registration learns
    /// that its events come no longer, and may register the descriptor with another driver. Closing
    /// again does nothing. Registrations stay valid, and are dropped as ever.
    pub fn close(&self) {
        let mut wakers = Vec::new();
        let mut registry = self.registry.lock();
        registry.closed = true;
        for index in 0..registry.used {
            // A slot that was given out exists; a free one has no tenant.
            if let Some(slot) = self.table.get(index)
                && let Some((_, _, generation)) = slot.tenant()
            {
                slot.shut_down(generation, &mut wakers);
            }
        }
        drop(registry);
        wake_all(&mut wakers);
    }

    /// Ends a registration, if it has not ended yet, and wakes who waits on it.
    pub(crate) fn deregister(&self, token: Token) -> io::Result<()> {
        self.poller.check_process()?;
        let slot = self.slot(token);
        let mut wakers = Vec::new();
        let mut registry = self.registry.lock();
        let fd = match slot.tenant() {
            Some((fd, _, generation)) if generation == token.generation() => fd,
            _ => return Ok(()),
        };
        let result = self.poller.delete_checked(fd);
        if result.is_err() {
            // Relaxed: a hint; the registry lock orders the rest.
            self.on_guard.store(true, Ordering::Relaxed);
        }
        slot.close(token.generation(), &mut wakers);
        registry.deregistered += 1;
        drop(registry);
        wake_all(&mut wakers);
        result
    }

    /// Takes the slot of a dropped registration back.
    pub(crate) fn release(&self, token: Token) {
        if self.poller.check_process().is_err() {
            return; // A child's copy: the kernel's set, and the slots' meaning, are the parent's.
        }
        // The descriptor may be gone already; the slot is free either way.
        let _ = self.deregister(token);
        self.registry
            .lock()
            .put_back(token.index(), self.slot(token));
    }

    /// The slot of a registration that was made here.
    #[inline]
    pub(crate) fn slot(&self, token: Token) -> &Slot {
        self.table
            .get(token.index())
            .expect("a registration's slot exists as long as the driver")
    }

    /// Waits for events as [`Poller::wait`] does, records them, and calls the wakers of who waited.
    ///
    /// All events of the batch are recorded before the first waker is called; no lock is held then.
    /// Each event wakes one waiter of a direction, which hands on what it leaves over. With a zero
    /// timeout it may be called beside the owner's turn, with a buffer of its own.
    ///
    /// # Errors
    ///
    /// As [`Poller::wait`].
    ///
    /// # Panics
    ///
    /// If a waker panics; the others have been called by then.
    pub fn turn(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<Turn> {
        self.turn_with(events, timeout, || true)
    }

    /// As [`turn`](Self::turn), after a last look at the caller's own queues: see
    /// [`Poller::wait_with`].
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn).
    ///
    /// # Panics
    ///
    /// As [`turn`](Self::turn).
    pub fn turn_with(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
        may_sleep: impl FnOnce() -> bool,
    ) -> io::Result<Turn> {
        let found = self.poller.wait_with(events, timeout, may_sleep)?;
        let mut turn = Turn {
            events: found,
            notified: events.is_woken(),
            ..Turn::default()
        };
        if found == 0 {
            return Ok(turn);
        }
        let mut wakers = std::mem::take(&mut events.wakers);
        for event in &*events {
            let token = event.token;
            let applied = self.table.get(token.index()).is_some_and(|slot| {
                slot.apply(token.generation(), Change::from(event), &mut wakers)
            });
            turn.stale += usize::from(!applied);
        }
        if turn.stale > 0 {
            self.stale.fetch_add(turn.stale as u64, Ordering::Relaxed); // Relaxed: a counter.
            // Relaxed: a hint; `rebuild` looks again under the lock.
            if self.on_guard.load(Ordering::Relaxed) {
                self.rebuild();
            }
        }
        turn.woken = wakers.len();
        wake_all(&mut wakers);
        events.wakers = wakers;
        Ok(turn)
    }

    /// Replaces the kernel's set by one with the live registrations alone.
    #[cold]
    fn rebuild(&self) {
        let mut registry = self.registry.lock();
        if !self.on_guard.swap(false, Ordering::Relaxed) {
            return; // Relaxed: changed under the lock; another turn was here first.
        }
        let live = (0..registry.used).filter_map(|index| {
            let (fd, interest, generation) = self.table.get(index)?.tenant()?;
            Some((fd, Token::new(index, generation), interest))
        });
        // Without memory or descriptors for it the old set stays in use: it works, with noise.
        if self.poller.rebuild(live, Mode::Edge).is_ok() {
            registry.rebuilds += 1;
        }
    }

    /// Ends one turn: the one that blocks now, or else the next that would block. See
    /// [`Poller::wake`].
    ///
    /// # Errors
    ///
    /// As [`Poller::wake`].
    pub fn wake(&self) -> io::Result<()> {
        self.poller.wake()
    }

    /// Tells whether timeouts are honoured to the nanosecond, not rounded up to milliseconds.
    #[must_use]
    pub fn has_nanosecond_timeouts(&self) -> bool {
        self.poller.has_nanosecond_timeouts()
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> DriverStats {
        let registry = self.registry.lock();
        DriverStats {
            poller: self.poller.stats(),
            registered: registry.registered,
            deregistered: registry.deregistered,
            stale_events: self.stale.load(Ordering::Relaxed), // Relaxed: a counter.
            rebuilds: registry.rebuilds,
        }
    }
}

impl Registry {
    fn take(&mut self) -> io::Result<u32> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        if self.used == Table::CAPACITY {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "the driver's table of registrations is full",
            ));
        }
        self.used += 1;
        Ok(self.used - 1)
    }

    fn put_back(&mut self, index: u32, slot: &Slot) {
        // A slot whose generations are used up retires: its tokens must not come round.
        if slot.is_reusable() {
            self.free.push(index);
        }
    }
}

impl AsFd for Driver {
    /// Lends the epoll descriptor, as [`Poller`] does. A rebuild (see the statistics) replaces what
    /// is behind the number, and an outer loop must then add it again.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl AsRawFd for Driver {
    fn as_raw_fd(&self) -> RawFd {
        self.poller.as_raw_fd()
    }
}

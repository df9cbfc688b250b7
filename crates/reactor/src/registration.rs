//! [`Registration`]: one descriptor's place in a driver, and [`Readiness`], the future that waits
//! on it.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::driver::Driver;
use crate::slot::{Direction, Ready, Slot, Ticket, wake_all};
use crate::token::Token;

/// A descriptor registered with a [`Driver`]; dropping it deregisters the descriptor.
///
/// Shared by reference: any number of tasks may wait in each direction at once. The recipe is to
/// try first, and to wait only after `WouldBlock`:
///
/// 1. [`ready`](Self::ready) takes a snapshot;
/// 2. the operation is tried;
/// 3. if it would block, [`clear_ready`](Self::clear_ready) forgets the readiness of the snapshot,
///    and only that;
/// 4. [`readiness`](Self::readiness) or [`poll_ready`](Self::poll_ready) waits for news; then again
///    from 1.
///
/// [`poll_io`](Self::poll_io) and [`io`](Self::io) are that recipe.
///
/// The registration does not own the descriptor: keep it beside its owner, declared first so that
/// it is dropped first.
pub struct Registration {
    driver: Arc<Driver>,
    token: Token,
}

impl Registration {
    pub(crate) fn new(driver: Arc<Driver>, token: Token) -> Self {
        Registration { driver, token }
    }

    #[inline]
    fn slot(&self) -> &Slot {
        self.driver.slot(self.token)
    }

    /// Returns the driver.
    #[must_use]
    pub fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    /// Returns the token that the kernel reports the descriptor under.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// Reads what is known about a direction: one atomic load. Take it before an operation, for
    /// [`clear_ready`](Self::clear_ready) after.
    #[inline]
    #[must_use]
    pub fn ready(&self, direction: Direction) -> Ready {
        self.slot().ready(direction)
    }

    /// Tells whether an operation is worth trying: one atomic load. A hint, out of date at once.
    #[inline]
    #[must_use]
    pub fn is_ready_hint(&self, direction: Direction) -> bool {
        self.ready(direction).is_ready()
    }

    /// Forgets readiness, unless news arrived since `seen` was taken.
    ///
    /// Call it when an operation would block. A closed direction stays ready.
    #[inline]
    pub fn clear_ready(&self, direction: Direction, seen: Ready) {
        self.slot().clear(direction, seen);
    }

    /// Waits until an operation in `direction` is worth trying.
    ///
    /// The future queues at its first poll. Waiters are woken first come, first served, one per
    /// event; one that is woken and dropped passes its turn on. Completing does not consume
    /// readiness: that is [`clear_ready`](Self::clear_ready)'s. With one waiter in a direction
    /// nothing is allocated.
    pub fn readiness(&self, direction: Direction) -> Readiness<'_> {
        Readiness {
            registration: self,
            direction,
            ticket: Ticket::default(),
        }
    }

    /// Polls for readiness without a future. Of several tasks that call this for one direction,
    /// only the last one is woken; use [`readiness`](Self::readiness) for more.
    #[inline]
    pub fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<Ready> {
        self.slot().poll_untracked(direction, cx.waker())
    }

    /// Tries `operation` once, and forgets readiness if it would block.
    ///
    /// # Errors
    ///
    /// The operation's, `WouldBlock` included.
    #[inline]
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let seen = self.ready(direction);
        let result = operation();
        if matches!(&result, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
            self.clear_ready(direction, seen);
        }
        result
    }

    /// Tries `operation` until it does not block, and waits as [`poll_ready`](Self::poll_ready) in
    /// between.
    ///
    /// # Errors
    ///
    /// The operation's, and `ConnectionAborted` if waiting was shut down.
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            match self.try_io(direction, &mut operation) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.poll_ready(direction, cx)).check()?;
        }
    }

    /// Tries `operation` until it does not block, and waits as [`readiness`](Self::readiness) in
    /// between. Cancel-safe: dropping the future between two tries loses nothing.
    ///
    /// # Errors
    ///
    /// The operation's, and `ConnectionAborted` if waiting was shut down.
    pub async fn io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            match self.try_io(direction, &mut operation) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            self.readiness(direction).await.check()?;
        }
    }

    /// Ends waiting for good: everybody who waits now or later, in either direction, is told at
    /// once that it was [shut down](Ready::is_shut_down). The descriptor stays registered.
    pub fn shutdown_waiters(&self) {
        let mut wakers = Vec::new();
        self.slot().shut_down(self.token.generation(), &mut wakers);
        wake_all(&mut wakers);
    }

    /// Takes the descriptor out of the driver and ends waiting, as
    /// [`shutdown_waiters`](Self::shutdown_waiters) does. Afterwards the descriptor may be closed
    /// or registered elsewhere. Calling it again does nothing.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a forked child, where nothing happens. Otherwise the system's error if the
    /// kernel did not know the descriptor, which was closed too early then; the registration has
    /// ended all the same.
    pub fn deregister(&self) -> io::Result<()> {
        self.driver.deregister(self.token)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.driver.release(self.token);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("token", &self.token)
            .field("read", &self.ready(Direction::Read))
            .field("write", &self.ready(Direction::Write))
            .finish()
    }
}

impl Ready {
    /// Turns a shutdown of the waiters into an error.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted` if [`is_shut_down`](Self::is_shut_down).
    pub fn check(self) -> io::Result<Ready> {
        if self.is_shut_down() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "waiting was shut down from this side",
            ));
        }
        Ok(self)
    }
}

/// Waits for a direction of a [`Registration`] to become ready; made by
/// [`readiness`](Registration::readiness).
///
/// Cancel-safe: dropping it leaves the queue, and if it had been woken already the next waiter is
/// woken in its place. It may be polled again after it completed, and then waits anew.
#[must_use = "futures do nothing unless polled"]
pub struct Readiness<'a> {
    registration: &'a Registration,
    direction: Direction,
    ticket: Ticket,
}

impl Future for Readiness<'_> {
    type Output = Ready;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ready> {
        let this = self.get_mut();
        this.registration
            .slot()
            .poll(this.direction, &mut this.ticket, cx.waker())
    }
}

impl Drop for Readiness<'_> {
    fn drop(&mut self) {
        self.registration
            .slot()
            .cancel(self.direction, &mut self.ticket);
    }
}

impl fmt::Debug for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("registration", self.registration)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

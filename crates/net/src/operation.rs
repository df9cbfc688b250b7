//! [`Operation`]: a system call that may have to wait, written once for everybody who waits.
//!
//! The call is tried first and waited for after it said `WouldBlock`:
//!
//! - a green thread parks, and its worker goes on with other tasks;
//! - a plain OS thread blocks in `poll(2)` and needs no runtime;
//! - a future returns `Pending`.
//!
//! Invariants
//! 1. Readiness is forgotten only as of a snapshot taken *before* the call was tried, so that news in
//!    between stays (the driver's slots compare ticks).
//! 2. A call is left out only if a former one emptied (or filled) the kernel's buffer and no event
//!    arrived since. That is known after `WouldBlock`, and after a transfer that stopped short, unless
//!    the peer hung up, an error or urgent data was reported: then there may be more to get at once.
//! 3. A waiter that is dropped, by a timeout or a cancellation, has transferred nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use weftwork_core::host;
use weftwork_core::wait::{self, Reason};
use weftwork_reactor::{Direction, Readiness, Ready, Registration};

use crate::source::Source;
use crate::sys;

/// What an attempt brought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done<R> {
    pub(crate) value: R,
    /// Whether the same call right after would block, as far as the kernel has told.
    pub(crate) drained: bool,
}

impl<R> Done<R> {
    /// A call that tells nothing about the next one.
    pub(crate) fn new(value: R) -> Self {
        Done {
            value,
            drained: false,
        }
    }
}

impl Done<usize> {
    /// A transfer on a stream of `count` out of `asked` bytes.
    #[inline]
    pub(crate) fn transferred(count: usize, asked: usize) -> Self {
        Done {
            value: count,
            drained: 0 < count && count < asked,
        }
    }
}

/// Why an operation ended without its result.
#[derive(Debug)]
pub(crate) enum Failure {
    Io(io::Error),
    /// It would have to wait, and this thread has no driver to register with.
    NoDriver,
}

/// An operation under way; see the module page.
pub(crate) struct Operation<'a, S, F> {
    wait: ReadyWait<'a, S>,
    attempt: F,
}

/// The waiting half of an operation.
pub(crate) struct ReadyWait<'a, S> {
    source: &'a Source<S>,
    direction: Direction,
    readiness: Option<Readiness<'a>>,
}

impl<'a, S, R, F> Operation<'a, S, F>
where
    S: AsFd,
    F: FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
{
    #[inline]
    pub(crate) fn new(source: &'a Source<S>, direction: Direction, attempt: F) -> Self {
        Operation {
            wait: ReadyWait::new(source, direction),
            attempt,
        }
    }

    /// Tries once and never waits.
    ///
    /// # Errors
    ///
    /// The attempt's, `WouldBlock` included.
    pub(crate) fn try_now(&mut self) -> io::Result<R> {
        let registration = self.wait.source.registration();
        let seen = registration.map(|r| r.ready(self.wait.direction));
        self.attempt(registration.zip(seen))
    }

    /// Tries, and queues `context`'s waker if the call would block.
    #[inline]
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<R, Failure>> {
        loop {
            let registration = self.wait.source.registration();
            let seen = registration.map(|r| r.ready(self.wait.direction));
            // Before the first event nothing is known yet: tick 0.
            if seen.is_none_or(|seen| seen.is_ready() || seen.tick() == 0) {
                match self.attempt(registration.zip(seen)) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result.map_err(Failure::Io)),
                }
                if seen.is_some_and(|s| s.is_closed() && !s.is_shut_down()) {
                    // No further event will come for a closed direction, and yet the call does
                    // not return. Nothing is known to do that; if it happens, others run in between.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            match self.wait.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Ready(Ok(())) => {}
            }
        }
    }

    /// Tries again and again, and blocks the calling OS thread in between.
    ///
    /// # Errors
    ///
    /// The attempt's, and `TimedOut`.
    fn block_thread(&mut self, deadline: Option<Instant>) -> io::Result<R> {
        loop {
            match self.try_now() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if !sys::wait_ready(self.wait.source.fd(), self.wait.direction, deadline)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Makes one attempt, repeated only if a signal interrupts it.
    #[inline]
    fn attempt(&mut self, seen: Option<(&Registration, Ready)>) -> io::Result<R> {
        loop {
            let result = (self.attempt)(self.wait.source.fd());
            let forget = match &result {
                Ok(done) => done.drained,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    kind => kind == io::ErrorKind::WouldBlock,
                },
            };
            if forget && let Some((registration, seen)) = seen {
                let is_over = seen.is_closed() || seen.is_error() || seen.is_priority();
                if result.is_err() || !is_over {
                    registration.clear_ready(self.wait.direction, seen);
                }
            }
            return result.map(|done| done.value);
        }
    }
}

impl<'a, S: AsFd> ReadyWait<'a, S> {
    pub(crate) fn new(source: &'a Source<S>, direction: Direction) -> Self {
        ReadyWait {
            source,
            direction,
            readiness: None,
        }
    }

    /// Waits until another attempt is worth its while.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            let readiness = match &mut self.readiness {
                Some(readiness) => readiness,
                none => match self.source.registered() {
                    Ok(Some(registration)) => none.insert(registration.readiness(self.direction)),
                    Ok(None) => return Poll::Ready(Err(Failure::NoDriver)),
                    Err(error) => return Poll::Ready(Err(Failure::Io(error))),
                },
            };
            match Pin::new(readiness).poll(context) {
                Poll::Pending => return Poll::Pending,
                // The runtime of that registration has ended: make another one.
                Poll::Ready(ready) if ready.is_shut_down() => self.readiness = None,
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsFd> Source<S> {
    /// Performs `attempt`, waiting in the way of whoever calls: see the module page. A socket set
    /// non-blocking tries once.
    ///
    /// # Errors
    ///
    /// The attempt's; `TimedOut` if the deadline passed first.
    #[track_caller]
    #[inline]
    pub(crate) fn perform<R>(
        &self,
        direction: Direction,
        reason: Reason,
        deadline: Option<Instant>,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        let mut operation = Operation::new(self, direction, attempt);
        if self.is_nonblocking() {
            wait::checkpoint();
            return operation.try_now();
        }
        if host::is_hosted() {
            match wait::wait_deadline(reason, deadline, |context| operation.poll(context)) {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(Failure::Io(error))) => return Err(error),
                Err(wait::TimedOut) => return Err(io::ErrorKind::TimedOut.into()),
                // A scheduler that can park tasks but does not wait for descriptors.
                Ok(Err(Failure::NoDriver)) => {}
            }
        }
        operation.block_thread(deadline)
    }
}

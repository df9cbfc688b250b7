//! The one way to wait.
//!
//! A waiting operation is written once, as a closure that is polled with a [`Context`] and leaves
//! the waker where the event will find it. These functions drive it:
//!
//! - on a thread that a scheduler [hosts](crate::host), the current task parks and the thread goes
//!   on with other work;
//! - on any other thread, the thread parks;
//! - a future does not come here: it polls the same operation under its executor's waker.
//!
//! A wait may be woken for nothing; the operation is then polled again. Each wait names its
//! [`Reason`] and its caller's line, for dumps. Each is a point where a cancelled task ends, and
//! where a task whose time slice is over lets others run.

pub mod cancel;
mod parker;
mod reason;

pub use cancel::Cancelled;
pub use parker::Parker;
pub use reason::Reason;

use crate::host::{self, Host};
use crate::sync::Arc;
use std::fmt;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What is waited for, and where.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// The kind of event.
    pub reason: Reason,
    /// The line that waits.
    pub location: &'static Location<'static>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.reason, self.location)
    }
}

/// The time was over before the event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for TimedOut {}

/// Why a wait ended without its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The deadline passed.
    TimedOut,
    /// The current task was asked to end.
    Cancelled,
}

/// The point in time `timeout` from now; `None`, which means never, where that cannot be told.
#[must_use]
pub fn deadline_after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Waits until `operation` is ready.
///
/// A cancelled task unwinds from here, unless it is panicking already.
#[track_caller]
#[inline]
pub fn wait<T>(reason: Reason, operation: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let site = Site {
        reason,
        location: Location::caller(),
    };
    match plain(site, None, operation) {
        Ok(value) => value,
        Err(TimedOut) => unreachable!("a wait without deadline timed out"),
    }
}

/// Waits until `operation` is ready, at most until `deadline`; `None` is for ever.
///
/// The operation is polled once more after the deadline, so an event that came in time is not
/// missed. A cancelled task unwinds from here, unless it is panicking already.
///
/// # Errors
/// The deadline passed first.
#[track_caller]
#[inline]
pub fn wait_deadline<T>(
    reason: Reason,
    deadline: Option<Instant>,
    operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, TimedOut> {
    plain(
        Site {
            reason,
            location: Location::caller(),
        },
        deadline,
        operation,
    )
}

/// Waits until `operation` is ready, until `deadline` or until the current task is cancelled,
/// whichever is first. Never unwinds by itself.
///
/// # Errors
/// Which of the other two it was.
#[track_caller]
#[inline]
pub fn wait_interruptible<T>(
    reason: Reason,
    deadline: Option<Instant>,
    operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Interrupt> {
    run(
        Site {
            reason,
            location: Location::caller(),
        },
        deadline,
        operation,
        true,
    )
}

/// Drives a future to its end: the current green thread or OS thread waits.
///
/// Also inside another future's poll: under a scheduler only the polling task waits.
///
/// ```
/// assert_eq!(weftwork_core::block_on(async { 1 + 1 }), 2);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    wait(Reason::BLOCK_ON, |context| future.as_mut().poll(context))
}

/// Lets others run if the time slice of the current task is over, and ends the task if it was
/// cancelled. For loops that compute without waiting.
pub fn checkpoint() {
    if try_checkpoint().is_err() && cancel::may_unwind() {
        cancel::unwind();
    }
}

/// As [`checkpoint`], but tells of the cancellation instead of unwinding.
///
/// # Errors
/// The current task was asked to end.
pub fn try_checkpoint() -> Result<(), Cancelled> {
    host::with(|host| host.map_or(Ok(()), Host::checkpoint))
}

#[inline]
fn plain<T>(
    site: Site,
    deadline: Option<Instant>,
    operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, TimedOut> {
    match run(site, deadline, operation, cancel::UNWINDS) {
        Ok(value) => Ok(value),
        Err(Interrupt::TimedOut) => Err(TimedOut),
        // `run` reports this only where unwinding is possible.
        Err(Interrupt::Cancelled) => cancel::unwind(),
    }
}

#[inline]
fn run<T>(
    site: Site,
    deadline: Option<Instant>,
    operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    interruptible: bool,
) -> Result<T, Interrupt> {
    host::with(|host| match host {
        Some(host) => hosted(host, site, deadline, operation, interruptible),
        None => on_thread(deadline, operation),
    })
}

#[inline]
fn hosted<T>(
    host: &dyn Host,
    site: Site,
    deadline: Option<Instant>,
    mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    interruptible: bool,
) -> Result<T, Interrupt> {
    // SAFETY: `Host::waker` promises a pointer that is valid while the current task runs, and the
    // task is here until this returns.
    let waker = unsafe { host.waker().as_ref() };
    let mut context = Context::from_waker(waker);
    // A task that unwinds already cannot be unwound again: its destructors wait undisturbed.
    let interruptible = interruptible && !std::thread::panicking();
    if host.checkpoint().is_err() && interruptible {
        return Err(Interrupt::Cancelled);
    }
    loop {
        if let Poll::Ready(value) = operation(&mut context) {
            return Ok(value);
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Interrupt::TimedOut);
        }
        host.park(site, deadline, interruptible)
            .map_err(|Cancelled| Interrupt::Cancelled)?;
    }
}

#[inline]
fn on_thread<T>(
    deadline: Option<Instant>,
    mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Interrupt> {
    // Most operations are ready at once: look before making a parker.
    if let Poll::Ready(value) = operation(&mut Context::from_waker(Waker::noop())) {
        return Ok(value);
    }
    let (parker, waker) = local_parker();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = operation(&mut context) {
            return Ok(value);
        }
        if !parker.park(deadline) {
            return match operation(&mut context) {
                Poll::Ready(value) => Ok(value),
                Poll::Pending => Err(Interrupt::TimedOut),
            };
        }
    }
}

/// The calling thread's parker. One is kept per thread; a wait inside a wait (in a waker's or an
/// operation's own code) or during the thread's exit gets a fresh one.
#[cfg(not(weftwork_loom))]
fn local_parker() -> (Arc<Parker>, Waker) {
    thread_local! {
        static LOCAL: (Arc<Parker>, Waker) = new_parker();
    }
    LOCAL
        .try_with(Clone::clone)
        .unwrap_or_else(|_| new_parker())
}

#[cfg(weftwork_loom)]
fn local_parker() -> (Arc<Parker>, Waker) {
    new_parker()
}

fn new_parker() -> (Arc<Parker>, Waker) {
    let parker = Arc::new(Parker::new());
    let waker = parker.waker();
    (parker, waker)
}

//! The one way to wait.
//!
//! A waiting operation is written once, as a closure that is polled with a [`Context`] and leaves
//! the waker where the event will find it. These functions drive it:
//!
//! - on a thread that a scheduler [hosts](crate::host), the current task parks and the thread goes
//!   on with other work;
//! - on any other thread, the thread parks; who has lent it may [say how](on_lent_thread);
//! - a future does not come here: it polls the same operation under its executor's waker.
//!
//! A wait may be woken for nothing; the operation is then polled again. Each wait names its
//! [`Reason`] and its caller's line, for dumps. Each is a point where a cancelled task ends, and
//! where a task whose time slice is over lets others run; and each panics where waiting is
//! [forbidden](forbid()).
//!
//! The protocol, and why no wake is lost: `docs/design/waiting.md`.

pub mod cancel;
mod forbid;
mod lent;
mod local;
mod look;
mod parker;
pub mod queue;
mod reason;

pub use cancel::Cancelled;
pub use forbid::{Forbidden, assert_may_wait, forbid, may_wait};
pub use lent::on_lent_thread;
pub use look::is_first_look;
pub use parker::Parker;
pub use reason::Reason;

use crate::host::{self, Host};
use local::LocalParker;
use look::LOOK;
use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll};
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

impl fmt::Display for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interrupt::TimedOut => TimedOut.fmt(f),
            Interrupt::Cancelled => Cancelled.fmt(f),
        }
    }
}

impl std::error::Error for Interrupt {}

/// The point in time `timeout` from now; `None`, which means never, where that cannot be told. Now is what
/// the host of the calling thread [says](host::now) it is.
#[must_use]
pub fn deadline_after(timeout: Duration) -> Option<Instant> {
    host::now().checked_add(timeout)
}

/// Waits until `operation` is ready.
///
/// `operation` is polled at once, and again after each wake. It leaves the context's waker where the
/// event will find it before it looks for the event, as [`Future::poll`] does. It may wait in turn.
///
/// A cancelled task unwinds from here, unless it is panicking already.
///
/// # Panics
/// The operation is not ready, and waiting is [forbidden](forbid()) here. So do all waits of this module.
///
/// ```
/// use std::sync::Mutex;
/// use std::task::{Poll, Waker};
/// use weftwork_core::wait::{Reason, wait};
///
/// static MAILBOX: Mutex<(Option<u32>, Option<Waker>)> = Mutex::new((None, None));
///
/// let sender = std::thread::spawn(|| {
///     let mut mailbox = MAILBOX.lock().unwrap();
///     mailbox.0 = Some(7);
///     let waiter = mailbox.1.take();
///     drop(mailbox);
///     waiter.into_iter().for_each(Waker::wake);
/// });
/// let letter = wait(Reason::new("mailbox"), |context| {
///     let mut mailbox = MAILBOX.lock().unwrap();
///     match mailbox.0.take() {
///         Some(letter) => Poll::Ready(letter),
///         None => {
///             mailbox.1 = Some(context.waker().clone());
///             Poll::Pending
///         }
///     }
/// });
/// assert_eq!(letter, 7);
/// sender.join().unwrap();
/// ```
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
///
/// ```
/// use std::task::Poll;
/// use std::time::Duration;
/// use weftwork_core::TimedOut;
/// use weftwork_core::wait::{Reason, deadline_after, wait_deadline};
///
/// let deadline = deadline_after(Duration::from_millis(1));
/// let never = wait_deadline(Reason::SLEEP, deadline, |_| Poll::<()>::Pending);
/// assert_eq!(never, Err(TimedOut));
/// ```
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

/// As [`wait_deadline`], for an operation that finds out under a lock that it has to wait, and leaves
/// its waker, that of [`Host::waker`], under the same hold.
///
/// `register` does that. It is called once, with the host whose current task is about to park, or with
/// `None` on a thread that has none: there the operation is polled as ever. It does not count against
/// the time slice: call [`checkpoint`] before the lock is taken.
///
/// # Errors
/// The deadline passed first.
#[track_caller]
#[inline]
pub fn wait_registered<T>(
    reason: Reason,
    deadline: Option<Instant>,
    register: impl FnOnce(Option<&dyn Host>),
    operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, TimedOut> {
    let site = Site {
        reason,
        location: Location::caller(),
    };
    let waited = host::with(|host| {
        register(host);
        match host {
            Some(host) => {
                let interruptible = cancel::UNWINDS && !std::thread::panicking();
                let forbidden = !may_wait();
                park_until_ready(host, site, deadline, operation, interruptible, forbidden)
            }
            None => on_thread(site, deadline, operation),
        }
    });
    match waited {
        Ok(value) => Ok(value),
        Err(Interrupt::TimedOut) => Err(TimedOut),
        Err(Interrupt::Cancelled) => cancel::unwind(),
    }
}

/// Waits until `operation` is ready, until `deadline` or until the current task is cancelled,
/// whichever is first. Never unwinds by itself. What the `try_` forms of waiting calls are made of.
///
/// # Errors
/// Which of the other two it was.
///
/// ```
/// use std::task::Poll;
/// use std::time::Instant;
/// use weftwork_core::wait::{Interrupt, Reason, wait_interruptible};
///
/// let now = Some(Instant::now());
/// let never = wait_interruptible(Reason::PARK, now, |_| Poll::<()>::Pending);
/// assert_eq!(never, Err(Interrupt::TimedOut));
/// ```
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

/// Waits until `operation` is ready, whether or not the current task is cancelled meanwhile.
///
/// For waits that must not be left: what is waited for uses something of the caller's. So it waits also
/// where waiting is [forbidden](forbid()), instead of panicking: who lends something asks
/// [`assert_may_wait`] before.
#[track_caller]
#[inline]
pub fn wait_shielded<T>(reason: Reason, operation: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let site = Site {
        reason,
        location: Location::caller(),
    };
    let waited = if may_wait() {
        run(site, None, operation, false)
    } else {
        forbid::lifted(|| run(site, None, operation, false))
    };
    match waited {
        Ok(value) => value,
        Err(_) => unreachable!("a shielded wait without deadline was interrupted"),
    }
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

/// Calls `wake`, and lets the future that it wakes run before the caller goes on: for who is about to wait
/// for what that one does, and may find it done.
///
/// Under a scheduler, if the future is one that this thread would poll, it is polled at once, on a stack of
/// its own, until it is pending, ready, or parks inside its poll: so the caller is kept from its time limit
/// by nothing but what the future computes. False: it was not, and is woken as ever; so it is where no
/// scheduler hosts the thread, where waiting is [forbidden](forbid()), while the thread panics, when the
/// time slice of the caller is over, and when others have been waiting for their turn.
///
/// ```
/// assert!(!weftwork_core::wait::hand_over(|| ()));
/// ```
#[inline]
pub fn hand_over(wake: impl FnOnce()) -> bool {
    let mut wake = Some(wake);
    let mut call = || {
        if let Some(wake) = wake.take() {
            wake();
        }
    };
    host::with(|host| match host {
        Some(host) if may_wait() && !std::thread::panicking() => host.hand_over(&mut call),
        _ => {
            call();
            false
        }
    })
}

/// Lets others run if the time slice of the current task is over, and ends the task if it was
/// cancelled. For loops that compute without waiting. Where no scheduler hosts the thread, and where
/// waiting is [forbidden](forbid()), it does nothing.
///
/// ```
/// let mut sum = 0_u64;
/// for n in 0..10_000 {
///     sum += n * n;
///     if n % 1024 == 0 {
///         weftwork_core::wait::checkpoint();
///     }
/// }
/// assert_eq!(sum, 333_283_335_000);
/// ```
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
    host::with(|host| match host {
        Some(host) if may_wait() => host.checkpoint(),
        _ => Ok(()),
    })
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
        None => on_thread(site, deadline, operation),
    })
}

#[inline]
fn hosted<T>(
    host: &dyn Host,
    site: Site,
    deadline: Option<Instant>,
    operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    interruptible: bool,
) -> Result<T, Interrupt> {
    // A task that unwinds already cannot be unwound again: its destructors wait undisturbed.
    let interruptible = interruptible && !std::thread::panicking();
    let forbidden = !may_wait();
    if !forbidden && host.checkpoint().is_err() && interruptible {
        return Err(Interrupt::Cancelled);
    }
    park_until_ready(host, site, deadline, operation, interruptible, forbidden)
}

#[inline]
fn park_until_ready<T>(
    host: &dyn Host,
    site: Site,
    deadline: Option<Instant>,
    mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    interruptible: bool,
    forbidden: bool,
) -> Result<T, Interrupt> {
    // SAFETY: `Host::waker` promises a pointer that is valid while the current task runs, and the
    // task is here until this returns.
    let waker = unsafe { host.waker().as_ref() };
    let mut context = Context::from_waker(waker);
    loop {
        let parks = PARKS.get();
        if let Poll::Ready(value) = operation(&mut context) {
            return Ok(value);
        }
        if deadline.is_some_and(|deadline| deadline <= host.now()) {
            return last_look(operation, &mut context);
        }
        if PARKS.get() != parks {
            // The operation waited in turn: with the same waker, so it may have taken a wake that
            // was meant for us. Look again.
            continue;
        }
        let parked = forbid::park(site, forbidden, || host.park(site, deadline, interruptible));
        PARKS.set(PARKS.get().wrapping_add(1));
        parked.map_err(|Cancelled| Interrupt::Cancelled)?;
    }
}

thread_local! {
    /// How often tasks were parked on this thread. If it changes while an operation is polled, then
    /// so did something inside the operation (or in a task that ran meanwhile, which is harmless).
    static PARKS: Cell<u64> = const { Cell::new(0) };
}

/// Polls after the deadline, for an event that came in time.
fn last_look<T>(
    mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    context: &mut Context<'_>,
) -> Result<T, Interrupt> {
    match operation(context) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(Interrupt::TimedOut),
    }
}

#[inline]
fn on_thread<T>(
    site: Site,
    deadline: Option<Instant>,
    mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Interrupt> {
    // Most operations are ready at once: look before making a parker.
    if let Poll::Ready(value) = operation(&mut Context::from_waker(&LOOK)) {
        return Ok(value);
    }
    let local = LocalParker::take();
    let (parker, waker) = local.get();
    let mut context = Context::from_waker(waker);
    loop {
        if let Poll::Ready(value) = operation(&mut context) {
            return Ok(value);
        }
        // Asked here too: a wait that is woken all the time finds its token at every park.
        let over = deadline.is_some_and(|deadline| deadline <= Instant::now());
        let park = || lent::sleep(|| parker.park(deadline));
        if over || !forbid::park(site, !may_wait(), park) {
            return last_look(operation, &mut context);
        }
    }
}

//! Making channels and clocks.

use crate::channel::Channel;
use crate::channel::state::UNBOUNDED;
use crate::clock::Clock;
use crate::{Receiver, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;

fn ends<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(capacity));
    (
        Sender::from_channel(Arc::clone(&channel)),
        Receiver::from_channel(channel),
    )
}

/// Makes a channel that holds any number of messages: sending never waits.
///
/// ```
/// let (s, r) = weftwork_csp::unbounded();
/// s.send("hello").unwrap();
/// assert_eq!(r.recv(), Ok("hello"));
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(UNBOUNDED)
}

/// Makes a channel that holds at most `cap` messages.
///
/// With capacity 0 it holds none: a send returns when a receiver has the message (a rendezvous, as in
/// Hoare's CSP). Memory is allocated as messages come, not for the capacity: any number is allowed.
///
/// ```
/// let (s, r) = weftwork_csp::bounded(0);
/// let sender = std::thread::spawn(move || s.send(7));
/// assert_eq!(r.recv(), Ok(7));
/// sender.join().unwrap().unwrap();
/// ```
#[must_use]
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    // The largest number stands for no limit; nobody can tell the difference.
    ends(cap.min(UNBOUNDED - 1))
}

/// Makes a receiver of one message, the time it is due, after `duration`. A duration that no clock can
/// tell is for ever.
///
/// ```
/// use std::time::Duration;
/// use weftwork_csp::{after, bounded, select};
///
/// let (_s, r) = bounded::<i32>(0);
/// let timeout = Duration::from_millis(1);
/// select! {
///     recv(r) -> _ => unreachable!("nobody sends"),
///     recv(after(timeout)) -> due => assert!(due.is_ok()),
/// }
/// ```
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant> {
    Receiver::from_clock(Clock::once(deadline_after(duration), |due| due))
}

/// Makes a receiver of one message, `when`, at that time.
#[must_use]
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver::from_clock(Clock::once(Some(when), |due| due))
}

/// Makes a receiver of a message every `duration`: the time it is due. What is not received before the
/// next one is due is left out.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let ticker = weftwork_csp::tick(Duration::from_millis(2));
/// ticker.recv().unwrap();
/// ticker.recv().unwrap();
/// assert!(start.elapsed() >= Duration::from_millis(4));
/// ```
#[must_use]
pub fn tick(duration: Duration) -> Receiver<Instant> {
    Receiver::from_clock(Clock::every(duration, |due| due))
}

/// Makes a receiver that never gets a message, and is never disconnected: an arm that is switched off.
///
/// ```
/// use weftwork_csp::{TryRecvError, never};
///
/// assert_eq!(never::<i32>().try_recv(), Err(TryRecvError::Empty));
/// ```
#[must_use]
pub const fn never<T>() -> Receiver<T> {
    Receiver::never()
}

//! Waiting for a permit.
//!
//! Invariant: the machine is pinned from its first step, and left before it goes.

use super::room::Refused;
use super::{OwnedPermit, Permit};
use crate::Sender;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::select::{Machine, SelectHandle, Step, Token};
use crate::waiting::Node;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::wait::{Reason, TimedOut, checkpoint, deadline_after, wait_deadline};

/// The word in reports for what waits for a permit.
const RESERVE: Reason = Reason::new("reserve");

/// A select with one arm, which sends.
struct Reserving<'a, T> {
    sender: &'a Sender<T>,
    machine: Machine<[Node; 1]>,
}

impl<'a, T> Reserving<'a, T> {
    fn new(sender: &'a Sender<T>, is_future: bool) -> Self {
        Reserving {
            sender,
            machine: Machine::new([const { Node::new() }], is_future),
        }
    }

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Permit<'a, T>, SendError<()>>> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let arm: &dyn SelectHandle = this.sender;
        loop {
            // SAFETY: pinned with `self`, whose drop cleans up; the arm is the same each time, and
            // outlives it.
            match unsafe { this.machine.step(&[(arm, 0)], context) } {
                Poll::Ready(Step::Selected(_, token)) => {
                    if let Some(reserved) = keep(this.sender, &token) {
                        return Poll::Ready(reserved);
                    }
                }
                // Only receivers wait for a hand-over.
                Poll::Ready(Step::Matched) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Stops waiting. Returns the permit if it came first.
    fn leave(self: Pin<&mut Self>) -> Option<Result<Permit<'a, T>, SendError<()>>> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let (_, token) = this.machine.leave(&[(this.sender, 0)])?;
        keep(this.sender, &token)
    }
}

impl<T> Drop for Reserving<'_, T> {
    fn drop(&mut self) {
        self.machine.clean_up(&[(self.sender, 0)]);
    }
}

/// Makes a permit of what was selected. `None`: it was too late for that, by some milliseconds.
fn keep<'a, T>(
    sender: &'a Sender<T>,
    token: &Token,
) -> Option<Result<Permit<'a, T>, SendError<()>>> {
    match sender.channel().keep(token) {
        Ok(()) => Some(Ok(Permit::new(sender))),
        Err(Refused::Ended) => Some(Err(SendError(()))),
        Err(Refused::Full) => None,
    }
}

/// Waits for a permit of a channel. Made by [`Sender::reserve_async`].
///
/// It takes nothing before it is ready: dropping it has no effect but that the next in line is told of
/// the room that it was told of. Also an arm of `select!`.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReserveFuture<'a, T>(Reserving<'a, T>);

impl<'a, T> Future for ReserveFuture<'a, T> {
    type Output = Result<Permit<'a, T>, SendError<()>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: a part of `self`, pinned as that is.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll(context)
    }
}

impl<T> Event for ReserveFuture<'_, T> {}

impl<T> fmt::Debug for ReserveFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("ReserveFuture { .. }")
    }
}

/// Permits: room first, the message later.
impl<T> Sender<T> {
    /// Takes room for one message, and waits until there is some: the green thread, or the OS thread,
    /// that calls. With capacity 0 it waits for a receiver, and sets it aside.
    ///
    /// Those who wait are told in the order in which they came, together with those who wait in
    /// [`send`](Self::send); a `try_send` that comes between may be quicker, then they wait again. A
    /// green thread that is cancelled while it waits unwinds, and holds nothing.
    ///
    /// # Errors
    /// The channel is disconnected or closed.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded(1);
    /// s.send(1).unwrap();
    /// let receiver = std::thread::spawn(move || r.iter().collect::<Vec<_>>());
    /// let permit = s.reserve().unwrap();
    /// // Made only now that it can be sent for certain.
    /// permit.send(1 + 1).unwrap();
    /// drop(s);
    /// assert_eq!(receiver.join().unwrap(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        match self.reserve_until(None) {
            Ok(permit) => Ok(permit),
            Err(SendTimeoutError::Timeout(()) | SendTimeoutError::Disconnected(())) => {
                Err(SendError(()))
            }
        }
    }

    /// Takes room for one message, if there is some now.
    ///
    /// # Errors
    /// There is none, with capacity 0 no receiver that waits; or the channel is disconnected or closed,
    /// which is said even if it is full.
    ///
    /// ```
    /// use weftwork_csp::{TrySendError, bounded};
    ///
    /// let (s, _r) = bounded::<i32>(1);
    /// let permit = s.try_reserve().unwrap();
    /// assert_eq!(s.try_reserve().unwrap_err(), TrySendError::Full(()));
    /// drop(permit);
    /// assert!(s.try_reserve().is_ok());
    /// s.close();
    /// assert_eq!(s.try_reserve().unwrap_err(), TrySendError::Disconnected(()));
    /// ```
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        match self.channel().try_reserve() {
            Ok(()) => Ok(Permit::new(self)),
            Err(Refused::Full) => Err(TrySendError::Full(())),
            Err(Refused::Ended) => Err(TrySendError::Disconnected(())),
        }
    }

    /// As [`reserve`](Self::reserve), at most for `timeout`; one that no clock can tell is for ever.
    ///
    /// # Errors
    /// The time is over, or the channel is disconnected or closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_csp::{SendTimeoutError, bounded};
    ///
    /// let (s, _r) = bounded::<i32>(0);
    /// let late = s.reserve_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(late, SendTimeoutError::Timeout(()));
    /// ```
    #[track_caller]
    pub fn reserve_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Permit<'_, T>, SendTimeoutError<()>> {
        self.reserve_until(deadline_after(timeout))
    }

    /// As [`reserve`](Self::reserve), at most until `deadline`.
    ///
    /// # Errors
    /// As [`reserve_timeout`](Self::reserve_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (s, _r) = weftwork_csp::bounded(1);
    /// let permit = s.reserve_deadline(Instant::now()).unwrap();
    /// permit.send(1).unwrap();
    /// assert!(s.reserve_deadline(Instant::now()).unwrap_err().is_timeout());
    /// ```
    #[track_caller]
    pub fn reserve_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Permit<'_, T>, SendTimeoutError<()>> {
        self.reserve_until(Some(deadline))
    }

    /// Takes room for one message, and waits for it as a future, under any executor.
    ///
    /// Cancel-safe: a future that is dropped before it is ready has taken nothing, so a message made
    /// after it is never lost.
    ///
    /// # Errors
    /// The output is that of [`reserve`](Self::reserve).
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded(1);
    /// weftwork_core::block_on(async {
    ///     let permit = s.reserve_async().await.unwrap();
    ///     permit.send("made when there was room").unwrap();
    /// });
    /// assert_eq!(r.recv(), Ok("made when there was room"));
    /// ```
    pub fn reserve_async(&self) -> ReserveFuture<'_, T> {
        ReserveFuture(Reserving::new(self, true))
    }

    /// As [`reserve`](Self::reserve), and puts the sender into the permit. As a future:
    /// `s.reserve_async().await?.into_owned()`.
    ///
    /// # Errors
    /// The channel is disconnected or closed; here is the sender back.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded(1);
    /// let permit = s.reserve_owned().unwrap();
    /// permit.send(1).unwrap();
    /// assert_eq!(r.recv(), Ok(1));
    /// ```
    #[track_caller]
    pub fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<Sender<T>>> {
        // The room is kept: by what is made below.
        let reserved = self.reserve().map(std::mem::forget);
        match reserved {
            Ok(()) => Ok(OwnedPermit::new(self)),
            Err(SendError(())) => Err(SendError(self)),
        }
    }

    /// As [`try_reserve`](Self::try_reserve), and puts the sender into the permit.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve); here is the sender back.
    ///
    /// ```
    /// let (s, _r) = weftwork_csp::bounded(1);
    /// s.send(1).unwrap();
    /// let s = s.try_reserve_owned().unwrap_err().into_inner();
    /// assert_eq!(s.len(), 1);
    /// ```
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Sender<T>>> {
        match self.channel().try_reserve() {
            Ok(()) => Ok(OwnedPermit::new(self)),
            Err(Refused::Full) => Err(TrySendError::Full(self)),
            Err(Refused::Ended) => Err(TrySendError::Disconnected(self)),
        }
    }

    #[track_caller]
    fn reserve_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Permit<'_, T>, SendTimeoutError<()>> {
        // It counts against the time slice, and a cancelled task ends here.
        checkpoint();
        match self.try_reserve() {
            Ok(permit) => return Ok(permit),
            Err(TrySendError::Disconnected(())) => return Err(SendTimeoutError::Disconnected(())),
            Err(TrySendError::Full(())) => {}
        }
        let mut reserving = pin!(Reserving::new(self, false));
        let waited = wait_deadline(RESERVE, deadline, |context| {
            reserving.as_mut().poll(context)
        });
        let reserved = match waited {
            Ok(reserved) => reserved,
            Err(TimedOut) => match reserving.as_mut().leave() {
                Some(reserved) => reserved,
                None => return Err(SendTimeoutError::Timeout(())),
            },
        };
        reserved.map_err(SendTimeoutError::from)
    }
}

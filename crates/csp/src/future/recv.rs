//! A receive as a future.

use crate::Receiver;
use crate::channel::receiving::Receiving;
use crate::clock::{Clock, SleepUntil};
use crate::error::RecvError;
use crate::receiver::Flavor;
use crate::waiting::Role;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use weftwork_core::Event;

/// A receive, as a future. Made by [`Receiver::recv_async`].
///
/// Dropping it loses no message.
#[must_use = "a future does nothing unless it is awaited"]
pub struct RecvFuture<'a, T>(Kind<'a, T>);

enum Kind<'a, T> {
    Channel(Receiving<'a, T>),
    Clock(&'a Clock<T>, Option<SleepUntil>),
    Never,
}

impl<'a, T> RecvFuture<'a, T> {
    pub(crate) fn new(receiver: &'a Receiver<T>) -> Self {
        RecvFuture(match receiver.flavor() {
            Flavor::Channel(channel) => Kind::Channel(Receiving::new(channel, Role::ReceiveFuture)),
            Flavor::Clock(clock) => Kind::Clock(clock, None),
            Flavor::Never => Kind::Never,
        })
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: what is pinned in the enum stays where it is: only `poll` of each part sees it.
        match unsafe { &mut self.get_unchecked_mut().0 } {
            Kind::Channel(receiving) => {
                // SAFETY: pinned as a part of `self`.
                unsafe { Pin::new_unchecked(receiving) }.poll(context)
            }
            Kind::Clock(clock, sleep) => poll_clock(clock, sleep, context).map(Ok),
            Kind::Never => Poll::Pending,
        }
    }
}

/// Waits for a clock's message, asleep in `sleep`.
pub(crate) fn poll_clock<T>(
    clock: &Clock<T>,
    sleep: &mut Option<SleepUntil>,
    context: &mut Context<'_>,
) -> Poll<T> {
    loop {
        if let Some(message) = clock.try_take() {
            *sleep = None;
            return Poll::Ready(message);
        }
        let due = clock.due();
        let slept = sleep.get_or_insert_with(|| SleepUntil::new(due));
        ready!(Pin::new(&mut *slept).poll(context));
        *sleep = None;
    }
}

impl<T> Event for RecvFuture<'_, T> {}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvFuture { .. }")
    }
}

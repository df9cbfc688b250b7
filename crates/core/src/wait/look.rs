//! The waker of a first look.
//!
//! A wait on a thread looks once before it makes a waker of its own. Operations ask whether a poll is
//! that look, to leave nothing behind then. `Waker::noop` would not do: it is a constant, of which each
//! crate and each unit of code may have a copy at an address of its own, so that `will_wake` may say no.

use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |_| RawWaker::new(ptr::null(), &VTABLE),
    |_| {},
    |_| {},
    |_| {},
);

/// Wakes nobody. There is one in a program.
// SAFETY: the functions of the table do nothing, whatever the data.
pub(super) static LOOK: Waker = unsafe { Waker::from_raw(RawWaker::new(ptr::null(), &VTABLE)) };

/// Says whether `waker` is the one with which a wait on a thread looks before it makes its own.
///
/// It wakes nobody, and the operation is polled again with another at once: so it need not leave this
/// one anywhere.
///
/// ```
/// use std::task::Poll;
/// use weftwork_core::wait::{Reason, is_first_look, wait};
///
/// let mut looks = Vec::new();
/// wait(Reason::new("example"), |context| {
///     looks.push(is_first_look(context.waker()));
///     if looks.len() == 2 { Poll::Ready(()) } else { Poll::Pending }
/// });
/// assert_eq!(looks, [true, false]);
/// ```
#[must_use]
#[inline]
pub fn is_first_look(waker: &Waker) -> bool {
    waker.will_wake(&LOOK)
}

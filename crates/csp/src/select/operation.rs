//! A selection: an arm that was chosen, and what it has in hand until it is completed.

use super::event::EventArm;
use super::handle::{SelectHandle, Token};
use crate::error::{RecvError, SendError};
use crate::lock;
use crate::reason::CloseReason;
use crate::waiting::Packet;
use crate::{Receiver, Sender};
use std::fmt;
use weftwork_core::Event;

/// An operation that was selected, and must be completed with the handle it was added with.
///
/// A message to be received is in hand; for one to be sent there is room, or a receiver, set aside. So
/// completing never waits. Until then others do not get what was set aside. If the operation is forgotten
/// (`std::mem::forget`), a thread that waits to send goes on after some milliseconds, by taking it, and a
/// blocked select that was set aside looks at its other arms again. Selects and futures that wait to send
/// do not take it: they go on with the next room, or the next receiver.
///
/// # Panics
/// When it is dropped without having been completed, unless the thread panics already. What it had in
/// hand goes back to the channel first.
#[must_use = "a selected operation must be completed"]
pub struct SelectedOperation<'a> {
    index: usize,
    handle: &'a dyn SelectHandle,
    token: Option<Token>,
    packet: Packet,
}

impl<'a> SelectedOperation<'a> {
    pub(crate) fn new(
        index: usize,
        handle: &'a dyn SelectHandle,
        token: Token,
        packet: Packet,
    ) -> Self {
        SelectedOperation {
            index,
            handle,
            token: Some(token),
            packet,
        }
    }

    /// The number of the operation, as [`Select::send`](crate::Select::send) and
    /// [`recv`](crate::Select::recv) gave it.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send.
    ///
    /// # Errors
    /// The channel is disconnected or closed; here is the message back.
    ///
    /// # Panics
    /// If `s` is not the handle the operation was added with, or a clone of it.
    ///
    /// ```
    /// use weftwork_csp::{Select, bounded};
    ///
    /// let (s, r) = bounded(1);
    /// let mut select = Select::new();
    /// let number = select.send(&s);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), number);
    /// operation.send(&s, 5).unwrap();
    /// assert_eq!(r.recv(), Ok(5));
    /// ```
    pub fn send<T>(mut self, s: &Sender<T>, msg: T) -> Result<(), SendError<T>> {
        assert!(
            s.address() == self.handle.address(),
            "passed a sender that wasn't selected"
        );
        let token = self.token.take().expect("completed once");
        s.channel().send_selected(token, msg).map_err(SendError)
    }

    /// Completes a receive.
    ///
    /// # Errors
    /// The channel is empty and disconnected or closed.
    ///
    /// # Panics
    /// If `r` is not the handle the operation was added with, or a clone of it.
    pub fn recv<T>(mut self, r: &Receiver<T>) -> Result<T, RecvError> {
        assert!(
            r.address() == self.handle.address(),
            "passed a receiver that wasn't selected"
        );
        self.token = None;
        // SAFETY: the handle is that of the arm, so what its channel's sender, or the handle itself,
        // has put there is a `T`.
        unsafe { self.packet.take::<T>() }.ok_or(RecvError)
    }

    /// Completes an event: its output.
    #[doc(hidden)]
    pub fn event<E: Event>(mut self, arm: &EventArm<E>) -> E::Output {
        self.token = None;
        arm.take_output().expect("the event was chosen")
    }

    /// Completes the wait for the end of a channel: the reason.
    #[doc(hidden)]
    #[must_use]
    pub fn closed(mut self) -> Option<CloseReason> {
        match self.token.take() {
            Some(Token::Closed(reason)) => reason,
            _ => None,
        }
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(token) = self.token.take().filter(|_| !lock::is_gone()) else {
            return;
        };
        self.handle.release(token, &mut self.packet);
        if !std::thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

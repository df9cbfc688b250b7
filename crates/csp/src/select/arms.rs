//! How the macros find the handle in an arm.
//!
//! An arm names a handle, or an `Option` of a handle or of a reference to one. The macros call these
//! methods with the traits in scope, so that the compiler looks behind references and smart pointers
//! as it does in `handle.recv()`. `None` disables the arm.
//!
//! The methods' names are long because a caller's own trait may have a `receiver` method, too.

use super::ClosedArm;
use crate::{Receiver, Sender};

/// What `recv` arms receive from.
pub trait ReceiverArm {
    /// What is received.
    type Message;

    /// The handle, unless the arm is disabled.
    fn select_receiver(&self) -> Option<&Receiver<Self::Message>>;
}

impl<T> ReceiverArm for Receiver<T> {
    type Message = T;

    fn select_receiver(&self) -> Option<&Receiver<T>> {
        Some(self)
    }
}

impl<T> ReceiverArm for Option<Receiver<T>> {
    type Message = T;

    fn select_receiver(&self) -> Option<&Receiver<T>> {
        self.as_ref()
    }
}

impl<T> ReceiverArm for Option<&Receiver<T>> {
    type Message = T;

    fn select_receiver(&self) -> Option<&Receiver<T>> {
        *self
    }
}

/// What `send` arms send to.
pub trait SenderArm {
    /// What is sent.
    type Message;

    /// The handle, unless the arm is disabled.
    fn select_sender(&self) -> Option<&Sender<Self::Message>>;
}

impl<T> SenderArm for Sender<T> {
    type Message = T;

    fn select_sender(&self) -> Option<&Sender<T>> {
        Some(self)
    }
}

impl<T> SenderArm for Option<Sender<T>> {
    type Message = T;

    fn select_sender(&self) -> Option<&Sender<T>> {
        self.as_ref()
    }
}

impl<T> SenderArm for Option<&Sender<T>> {
    type Message = T;

    fn select_sender(&self) -> Option<&Sender<T>> {
        *self
    }
}

/// What `closed` arms wait for.
pub trait ClosableArm {
    /// The end of the handle's channel, unless the arm is disabled.
    fn select_closed(&self) -> Option<ClosedArm<'_>>;
}

impl<T> ClosableArm for Sender<T> {
    fn select_closed(&self) -> Option<ClosedArm<'_>> {
        Some(ClosedArm::new(self))
    }
}

impl<T> ClosableArm for Receiver<T> {
    fn select_closed(&self) -> Option<ClosedArm<'_>> {
        Some(ClosedArm::new(self))
    }
}

impl<H: ClosableArm> ClosableArm for Option<H> {
    fn select_closed(&self) -> Option<ClosedArm<'_>> {
        self.as_ref()?.select_closed()
    }
}

impl<H: ClosableArm> ClosableArm for &H {
    fn select_closed(&self) -> Option<ClosedArm<'_>> {
        (**self).select_closed()
    }
}

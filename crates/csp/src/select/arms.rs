//! What the macros accept as a handle.
//!
//! The macros call the methods with the traits in scope, so that the compiler looks behind references
//! and smart pointers as it does in `handle.recv()`. The names are long because a trait of the caller's
//! may have a `receiver` method, too.

use super::handle::{Enlisted, Me, SelectHandle, Token};
use crate::channel::Channel;
use crate::reason::CloseReason;
use crate::waiting::{List, Node, Packet, Role, Signal};
use crate::{Receiver, Sender};
use std::fmt;
use std::pin::Pin;
use std::task::Context;

/// Gives the receiver of a `recv` arm; `None` disables the arm.
pub trait ReceiverArm {
    /// What is received.
    type Message;
    /// Gives the receiver.
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

/// Gives the sender of a `send` arm; `None` disables the arm.
pub trait SenderArm {
    /// What is sent.
    type Message;
    /// Gives the sender.
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

/// Gives what a `closed` arm waits for; `None` disables the arm.
pub trait ClosableArm {
    /// What is received or sent.
    type Message;
    /// Gives the arm.
    fn select_closed(&self) -> Option<ClosedArm<'_, Self::Message>>;
}

impl<T> ClosableArm for Sender<T> {
    type Message = T;
    fn select_closed(&self) -> Option<ClosedArm<'_, T>> {
        Some(ClosedArm(self.channel()))
    }
}

impl<T> ClosableArm for Receiver<T> {
    type Message = T;
    fn select_closed(&self) -> Option<ClosedArm<'_, T>> {
        Some(ClosedArm(self.channel()?))
    }
}

impl<T> ClosableArm for Option<Sender<T>> {
    type Message = T;
    fn select_closed(&self) -> Option<ClosedArm<'_, T>> {
        self.as_ref()?.select_closed()
    }
}

impl<T> ClosableArm for Option<Receiver<T>> {
    type Message = T;
    fn select_closed(&self) -> Option<ClosedArm<'_, T>> {
        self.as_ref()?.select_closed()
    }
}

impl<T> ClosableArm for Option<&Sender<T>> {
    type Message = T;
    fn select_closed(&self) -> Option<ClosedArm<'_, T>> {
        self.as_ref()?.select_closed()
    }
}

impl<T> ClosableArm for Option<&Receiver<T>> {
    type Message = T;
    fn select_closed(&self) -> Option<ClosedArm<'_, T>> {
        self.as_ref()?.select_closed()
    }
}

/// The end of a channel, as an arm.
pub struct ClosedArm<'a, T>(&'a Channel<T>);

impl<T> ClosedArm<'_, T> {
    fn reason(&self) -> Option<Option<CloseReason>> {
        let state = self.0.lock();
        (state.ends != 0).then(|| state.reason.clone())
    }
}

impl<T> SelectHandle for ClosedArm<'_, T> {
    fn attempt(&self, _: &mut Packet, _: Option<&mut Context<'_>>) -> Option<Token> {
        self.reason().map(Token::Closed)
    }

    fn enlist(&self, me: Me<'_>, node: Pin<&Node>, arm: usize) -> Enlisted {
        let mut state = self.0.lock();
        if state.ends != 0 {
            let Some(claim) = me.signal.try_claim() else {
                return Enlisted::Chosen;
            };
            let reason = state.reason.clone();
            drop(state);
            claim.withdraw();
            return Enlisted::Done(Token::Closed(reason));
        }
        node.prepare(Role::Observe, arm, me.signal, std::ptr::null_mut());
        // SAFETY: pinned, not linked, prepared; delisted before the select ends.
        unsafe { state.queues.push_back(List::CloseWatchers, node.get_ref()) };
        Enlisted::Waits
    }

    fn observe(&self, signal: &Signal, node: Pin<&Node>, arm: usize) -> bool {
        let mut state = self.0.lock();
        if state.ends != 0 {
            return false;
        }
        node.prepare(Role::Observe, arm, signal, std::ptr::null_mut());
        // SAFETY: as above.
        unsafe { state.queues.push_back(List::CloseWatchers, node.get_ref()) };
        true
    }

    fn delist(&self, node: &Node) -> bool {
        self.0.lock().queues.remove(node)
    }

    fn is_ready(&self) -> bool {
        self.0.is_closed()
    }

    fn release(&self, _: Token, _: &mut Packet) {}

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

impl<T> fmt::Debug for ClosedArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("ClosedArm { .. }")
    }
}

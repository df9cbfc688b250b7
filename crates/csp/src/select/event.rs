//! An event as an arm.
//!
//! Invariants
//! 1. `event` and `output` belong to whoever has set `busy`.
//! 2. The event is reached through `Pinned` only, which is made of a pinned arm only.

use super::handle::{Enlisted, Me, SelectHandle, Token};
use crate::waiting::{Node, Packet, Signal};
use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use weftwork_core::Event;
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_core::sync::cell::UnsafeCell;

/// Holds an event while a select waits for it, and its output afterwards. It belongs to one select at a
/// time: two that wait for it at once may miss it.
pub struct EventArm<E: Event> {
    busy: AtomicBool,
    event: UnsafeCell<E>,
    output: UnsafeCell<Option<E::Output>>,
    _pinned: PhantomPinned,
}

// SAFETY: the cells keep the automatic one away; `busy` lets one thread at a time reach them, so that
// what must hold is what sending the two takes.
unsafe impl<E: Event + Send> Sync for EventArm<E> where E::Output: Send {}

#[repr(transparent)]
struct Pinned<E: Event>(EventArm<E>);

impl<E: Event> EventArm<E> {
    /// Makes an arm of an event.
    pub fn new(event: E) -> Self {
        EventArm {
            busy: AtomicBool::new(false),
            event: UnsafeCell::new(event),
            output: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// The handle for a select.
    pub fn handle(self: Pin<&Self>) -> &dyn SelectHandle
    where
        E: Sized,
    {
        let this: *const EventArm<E> = self.get_ref();
        // SAFETY: `Pinned` is transparent, so the pointer is good for it, for as long as `self` is.
        unsafe { &*this.cast::<Pinned<E>>() }
    }

    fn alone<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        struct Free<'a>(&'a AtomicBool);
        impl Drop for Free<'_> {
            fn drop(&mut self) {
                // Release: pairs with the Acquire below, of the next one.
                self.0.store(false, Ordering::Release);
            }
        }
        // Acquire: pairs with the Release above.
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        let _free = Free(&self.busy);
        Some(f())
    }

    /// The output, of an event that was chosen.
    pub(crate) fn take_output(&self) -> Option<E::Output> {
        self.alone(|| {
            // SAFETY: alone (invariant 1).
            self.output.with_mut(|output| unsafe { (*output).take() })
        })
        .flatten()
    }
}

impl<E: Event> SelectHandle for Pinned<E> {
    fn attempt(&self, _: &mut Packet, context: Option<&mut Context<'_>>) -> Option<Token> {
        let mut unwoken = Context::from_waker(Waker::noop());
        let context = context.unwrap_or(&mut unwoken);
        let ready = self.0.alone(|| {
            // SAFETY: alone (invariant 1), and pinned (invariant 2).
            let polled = self
                .0
                .event
                .with_mut(|event| unsafe { Pin::new_unchecked(&mut *event).poll(context) });
            match polled {
                Poll::Ready(output) => {
                    // SAFETY: alone.
                    self.0
                        .output
                        .with_mut(|cell| unsafe { *cell = Some(output) });
                    true
                }
                Poll::Pending => false,
            }
        });
        // Asked by itself, from inside its own poll, it is not ready.
        ready.unwrap_or(false).then_some(Token::Event)
    }

    fn enlist(&self, _: Me<'_>, _: Pin<&Node>, _: usize) -> Enlisted {
        Enlisted::Waits
    }

    fn observe(&self, _: &Signal, _: Pin<&Node>, _: usize) -> bool {
        true
    }

    fn delist(&self, _: &Node) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        false
    }

    fn release(&self, _: Token, _: &mut Packet) {}

    fn is_event(&self) -> bool {
        true
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

impl<E: Event> fmt::Debug for EventArm<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("EventArm { .. }")
    }
}

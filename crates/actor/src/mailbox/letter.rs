//! Letters: what lies in a mailbox. One allocation each, the message in line behind the header.
//!
//! Invariants
//! 1. A [`Letter`] owns its envelope: it is opened once, by the function of its class, or discarded.
//! 2. `next` belongs to whoever owns the letter; in the inbox, to the consumer once it was pushed.
//! 3. The class of an envelope is one made for its type of payload.

use crate::cell::CellRef;
use crate::mailbox::{Priority, pool};
use crate::panics;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use weftwork_core::sync::cell::UnsafeCell;

/// Starts every envelope (`repr(C)`, first field).
pub(crate) struct Node {
    next: UnsafeCell<*mut Node>,
    class: &'static Class,
}

/// What depends on the type of a letter.
pub(crate) struct Class {
    pub(crate) kind: Kind,
    /// The name of the message's type; none for what is no loss to a sender.
    pub(crate) name: Option<fn() -> &'static str>,
    /// Hands the letter to the actor. The caller runs the actor and passes its cell; the letter is one
    /// for actors of that cell's type.
    pub(crate) deliver: unsafe fn(Letter, &CellRef) -> Delivery,
    /// Drops the payload and the envelope.
    pub(crate) discard: unsafe fn(NonNull<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something of the user's.
    Message(Priority),
    /// A [`Signal`](crate::signal::Signal).
    Signal,
}

/// The rest of a handler, if it is asynchronous. It borrows from the cell of its actor, which outlives it.
pub(crate) type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How far a delivery got.
pub(crate) enum Delivery {
    /// The handler has returned.
    Done,
    /// The handler goes on in this future.
    Awaits(Handling),
}

#[repr(C)]
struct Envelope<P> {
    node: Node,
    payload: P,
}

/// A letter in somebody's hand.
pub(crate) struct Letter(NonNull<Node>);

// SAFETY: a payload is `Send`, as `new` wants; the rest of a node is its owner's (invariant 2).
unsafe impl Send for Letter {}

impl Letter {
    #[inline]
    pub(crate) fn new<P: Send + 'static>(class: &'static Class, payload: P) -> Letter {
        let place = pool::take::<Envelope<P>>();
        let node = Node {
            next: UnsafeCell::new(ptr::null_mut()),
            class,
        };
        // SAFETY: memory for an envelope, and ours.
        unsafe { place.write(Envelope { node, payload }) };
        Letter(place.cast())
    }

    #[inline]
    pub(crate) fn class(&self) -> &'static Class {
        // SAFETY: the letter owns the envelope (invariant 1).
        unsafe { Node::class(self.0) }
    }

    /// What tells the letter from all others, as long as it is there.
    #[cfg(all(feature = "testing", not(weftwork_loom)))]
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// Takes the payload out.
    ///
    /// # Safety
    /// The letter was made with a payload of this type.
    #[inline]
    pub(crate) unsafe fn open<P>(self) -> P {
        let place = self.into_raw().cast::<Envelope<P>>();
        // SAFETY: made by `new` with this type, says the caller, and owned by us: it is moved out, and the
        // memory given back.
        unsafe {
            let envelope = place.read();
            pool::give_back(place);
            envelope.payload
        }
    }

    /// Looks at the payload.
    ///
    /// # Safety
    /// As for [`open`](Self::open).
    pub(crate) unsafe fn peek<P>(&self) -> &P {
        // SAFETY: as in `open`; borrowed with the letter.
        unsafe { &self.0.cast::<Envelope<P>>().as_ref().payload }
    }

    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<Node> {
        let node = self.0;
        std::mem::forget(self);
        node
    }

    /// # Safety
    /// The node comes from `into_raw` and was not taken back since.
    #[inline]
    pub(crate) unsafe fn from_raw(node: NonNull<Node>) -> Letter {
        Letter(node)
    }

    /// The `discard` of a class for payloads `P`.
    ///
    /// # Safety
    /// The node is the caller's and starts an envelope of this type.
    pub(crate) unsafe fn discard<P>(node: NonNull<Node>) {
        // SAFETY: as in `open`.
        drop(unsafe { Letter(node).open::<P>() });
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        let discard = self.class().discard;
        // A panic of a message's drop harms nobody else.
        // SAFETY: the letter owns the node, whose class fits it (invariants 1 and 3).
        let _ = panics::catch(|| unsafe { discard(self.0) });
    }
}

impl Node {
    /// # Safety
    /// The node is alive.
    #[inline]
    pub(crate) unsafe fn class(node: NonNull<Node>) -> &'static Class {
        // SAFETY: alive; the class never changes.
        unsafe { node.as_ref() }.class
    }

    /// # Safety
    /// The node is the caller's (invariant 2).
    #[inline]
    pub(crate) unsafe fn next(node: NonNull<Node>) -> *mut Node {
        // SAFETY: alive and the caller's.
        unsafe { node.as_ref().next.with(|next| *next) }
    }

    /// # Safety
    /// The node is the caller's (invariant 2).
    #[inline]
    pub(crate) unsafe fn set_next(node: NonNull<Node>, to: *mut Node) {
        // SAFETY: alive and the caller's.
        unsafe { node.as_ref().next.with_mut(|next| *next = to) }
    }
}

//! The place of a blocked operation in a channel's queues.
//!
//! A node lies in the frame or future that waits, and is linked into at most one queue of one channel.
//!
//! Invariants
//! 1. All fields in `Cell`s belong to whoever holds the lock of the channel, from the moment the node
//!    is linked until it is not; before and after that, to the owner. The owner may ask whether it is
//!    still linked only under that lock.
//! 2. A linked node is alive and does not move: its owner unlinks it before it goes.
//! 3. `signal` and `place` point into the same frame or future as the node, or one that outlives it.

use super::{Signal, signal::Outcome};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomPinned;
use std::ptr;
use std::task::Waker;

/// What an operation is, as far as the other side must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A thread that waits for a value: `place` is where to write it.
    Receive,
    /// As `Receive`, of a future, which may be dropped when it has the value.
    ReceiveFuture,
    /// Waits to be rid of a value: `place` is where to read it from.
    Send,
    /// An arm of a blocked select that receives: `place` is its packet.
    SelectReceive,
    /// As `SelectReceive`, of a future.
    SelectReceiveFuture,
    /// An arm of a blocked select that sends: there is no value before it is chosen.
    SelectSend,
    /// As `SelectSend`, of a future.
    SelectSendFuture,
    /// Only wants to know: of a change, or of the end.
    Observe,
}

/// The queues of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum List {
    /// Threads that receive, alone or by a select: served first, in the order of their arrival.
    Receivers,
    /// Futures that receive, and observers: told to look.
    ReceiveWatchers,
    /// Operations that send: values, and arms of threads' selects.
    Senders,
    /// Futures that would send by a select, and observers: told to look.
    SendWatchers,
    /// Receivers that a select has chosen as takers of the value it is about to send.
    Matched,
    /// Those who wait for the channel's end.
    CloseWatchers,
}

const LISTS: usize = 6;

pub struct Node {
    previous: Cell<*const Node>,
    next: Cell<*const Node>,
    list: Cell<Option<List>>,
    role: Cell<Role>,
    arm: Cell<usize>,
    signal: Cell<*const Signal>,
    place: Cell<*mut ()>,
    _pinned: PhantomPinned,
}

// SAFETY: the cells and pointers keep the automatic ones away. The channel's lock orders all accesses
// (invariant 1); what the pointers lead to is sent only if the channel's messages may be.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) const fn new() -> Self {
        Node {
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            list: Cell::new(None),
            role: Cell::new(Role::Observe),
            arm: Cell::new(0),
            signal: Cell::new(ptr::null()),
            place: Cell::new(ptr::null_mut()),
            _pinned: PhantomPinned,
        }
    }

    /// Says what the node stands for. By the owner, of a node that is not linked.
    #[inline]
    pub(crate) fn prepare(&self, role: Role, arm: usize, signal: &Signal, place: *mut ()) {
        self.role.set(role);
        self.arm.set(arm);
        self.signal.set(signal);
        self.place.set(place);
    }

    #[inline]
    pub(crate) fn role(&self) -> Role {
        self.role.get()
    }

    #[inline]
    pub(crate) fn arm(&self) -> usize {
        self.arm.get()
    }

    #[inline]
    pub(crate) fn place(&self) -> *mut () {
        self.place.get()
    }

    #[inline]
    pub(crate) fn list(&self) -> Option<List> {
        self.list.get()
    }

    #[inline]
    pub(crate) fn signal_address(&self) -> *const Signal {
        self.signal.get()
    }

    /// The word of the operation.
    ///
    /// # Safety
    /// The node is, or was under the same hold of the channel's lock, linked; and no outcome was
    /// stated since, after which the frame may be gone.
    #[inline]
    pub(crate) unsafe fn signal<'a>(&self) -> &'a Signal {
        // SAFETY: it lives as long as the linked node (invariants 2 and 3).
        unsafe { &*self.signal.get() }
    }

    /// States the outcome of an operation that waits at this channel only.
    ///
    /// # Safety
    /// The caller holds the channel's lock and has just unlinked the node, whose role is none of a
    /// select's, or which was in `Matched`. Node and frame may be gone when this returns.
    #[inline]
    pub(crate) unsafe fn settle(&self, outcome: Outcome) -> Option<Waker> {
        // SAFETY: says the caller.
        unsafe { self.signal().settle(outcome) }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: *const Node,
    last: *const Node,
}

/// The queues of one channel, guarded by its lock.
#[derive(Debug)]
pub(crate) struct Queues([Ends; LISTS]);

// SAFETY: the pointers keep the automatic one away; the nodes are `Sync` and alive (invariant 2).
unsafe impl Send for Queues {}

impl Queues {
    pub(crate) const fn new() -> Self {
        Queues(
            [Ends {
                first: ptr::null(),
                last: ptr::null(),
            }; LISTS],
        )
    }

    #[inline]
    pub(crate) fn is_empty(&self, list: List) -> bool {
        self.0[list as usize].first.is_null()
    }

    /// The first node of a queue. Alive while it is linked (invariant 2).
    #[inline]
    pub(crate) fn first<'a>(&self, list: List) -> Option<&'a Node> {
        // SAFETY: a linked node is alive (invariant 2).
        unsafe { self.0[list as usize].first.as_ref() }
    }

    /// The node after a linked one.
    #[inline]
    pub(crate) fn after<'a>(&self, node: &Node) -> Option<&'a Node> {
        debug_assert!(node.list.get().is_some());
        // SAFETY: as above; `next` of a linked node is linked, or null.
        unsafe { node.next.get().as_ref() }
    }

    /// Links a node at the end.
    ///
    /// # Safety
    /// The node is pinned and not linked, was prepared, and its owner unlinks it from this channel
    /// before it goes.
    #[inline]
    pub(crate) unsafe fn push_back(&mut self, list: List, node: &Node) {
        debug_assert!(node.list.get().is_none());
        let ends = &mut self.0[list as usize];
        node.list.set(Some(list));
        node.next.set(ptr::null());
        node.previous.set(ends.last);
        // SAFETY: a linked node is alive (invariant 2).
        match unsafe { ends.last.as_ref() } {
            Some(last) => last.next.set(node),
            None => ends.first = node,
        }
        ends.last = node;
    }

    /// Links a node at the front.
    ///
    /// # Safety
    /// As [`push_back`](Self::push_back).
    pub(crate) unsafe fn push_front(&mut self, list: List, node: &Node) {
        debug_assert!(node.list.get().is_none());
        let ends = &mut self.0[list as usize];
        node.list.set(Some(list));
        node.previous.set(ptr::null());
        node.next.set(ends.first);
        // SAFETY: a linked node is alive (invariant 2).
        match unsafe { ends.first.as_ref() } {
            Some(first) => first.previous.set(node),
            None => ends.last = node,
        }
        ends.first = node;
    }

    /// Unlinks a node, if it is linked into one of these queues.
    #[inline]
    pub(crate) fn remove(&mut self, node: &Node) -> bool {
        let Some(list) = node.list.take() else {
            return false;
        };
        let ends = &mut self.0[list as usize];
        let (previous, next) = (node.previous.get(), node.next.get());
        // SAFETY: neighbours of a linked node are linked, hence alive (invariant 2).
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => {
                debug_assert!(ptr::eq(ends.first, node), "unlinked from another channel");
                ends.first = next;
            }
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => ends.last = previous,
        }
        true
    }

    /// Unlinks the first node.
    #[inline]
    pub(crate) fn pop_front<'a>(&mut self, list: List) -> Option<&'a Node> {
        let node = self.first(list)?;
        self.remove(node);
        Some(node)
    }
}

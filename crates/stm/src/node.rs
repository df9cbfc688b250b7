//! The value of a variable at one version: a node.
//!
//! Writers never change a value in place. They publish a new node, which points to the one it replaces.
//! So whoever holds a pointer to a node, and is pinned, reads it in peace.
//!
//! Invariants
//! 1. A node is private to the [`Fresh`] that owns it, until it is published with [`Fresh::publish`]. From
//!    then on nobody writes to it until its memory is reclaimed.
//! 2. A published node is replaced at most once. Who replaced it retires it, with the version of the
//! 2. A published node is replaced at most once. Who replaced it retires it, with the stamp of the replacement
//!    already taken; so whoever was pinned before may still follow `previous` to it.
//! 3. A [`NodeRef`] to a published node is kept only by whoever has been pinned since it found the node, in
//!    the variable or behind a node newer than the clock it has read since the pin; so the node is alive.
//!    A `NodeRef` to a private node is kept no longer than the attempt, which keeps the `Fresh`.
//! 4. A node's address is a multiple of 8: the two lowest bits of a pointer to it are free for flags.

use crate::canary::is_gone;
use crate::reclaim;
use std::alloc::Layout;
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};
use weftwork_core::sync::cell::UnsafeCell;

/// Drops the value of a node and says what memory it had.
pub(crate) type Dispose = unsafe fn(NonNull<u8>) -> Layout;

/// What the nodes of all types begin with.
#[repr(C)]
pub(crate) struct Header {
    stamp: UnsafeCell<Stamp>,
}

#[derive(Clone, Copy)]
struct Stamp {
    version: u64,
    previous: *const Header,
}

#[repr(C)]
struct Node<T> {
    header: Header,
    value: T,
}

/// A node that somebody else owns (invariant 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeRef(NonNull<Header>);

impl NodeRef {
    /// # Safety
    /// `node` is a node, and is used as invariant 3 has it.
    #[inline]
    pub(crate) unsafe fn new(node: NonNull<Header>) -> NodeRef {
        NodeRef(node)
    }

    #[inline]
    pub(crate) fn as_ptr(self) -> *mut Header {
        self.0.as_ptr()
    }

    #[inline]
    fn stamp(self) -> Stamp {
        // SAFETY: the node is alive (invariant 3), and nobody writes to one that was published, or owns the
        // private one and is us (invariant 1).
        unsafe { self.0.as_ref().stamp.with(|stamp| *stamp) }
    }

    /// The time of the commit that published the node; 0 for the first one of a variable.
    #[inline]
    pub(crate) fn version(self) -> u64 {
        self.stamp().version
    }

    /// The node that this one replaced.
    ///
    /// Only for whoever was pinned before it read a clock that is behind this node's version: then that node
    /// was retired after the pin (invariant 2).
    #[inline]
    pub(crate) fn previous(self) -> Option<NodeRef> {
        NonNull::new(self.stamp().previous.cast_mut()).map(NodeRef)
    }

    /// The value of the node.
    ///
    /// # Safety
    /// The node is of a `T`, and for as long as `'a` nobody reclaims or discards it.
    #[inline]
    pub(crate) unsafe fn value<'a, T>(self) -> &'a T {
        let node = self.0.cast::<Node<T>>().as_ptr();
        // SAFETY: the caller promises the type and that the node lives. The value is not written to after
        // the node was made.
        unsafe { &(*node).value }
    }
}

/// A node that nobody else has seen.
pub(crate) struct Fresh {
    node: NonNull<Header>,
    dispose: Dispose,
}

impl Fresh {
    /// Makes a node of `value`. One that is to be published needs a `T` that threads may share.
    #[inline]
    pub(crate) fn new<T: 'static>(value: T) -> Fresh {
        let node = reclaim::allocate(Layout::new::<Node<T>>()).cast::<Node<T>>();
        let header = Header {
            stamp: UnsafeCell::new(Stamp {
                version: 0,
                previous: ptr::null(),
            }),
        };
        // SAFETY: the memory is of the layout of a node, and ours alone.
        unsafe { node.write(Node { header, value }) };
        Fresh {
            node: node.cast(),
            dispose: dispose::<T>,
        }
    }

    /// Where the node is; its value does not move while it is owned here, nor when it is published.
    #[inline]
    pub(crate) fn node(&self) -> NodeRef {
        NodeRef(self.node)
    }

    /// How nodes of this type are disposed of.
    #[inline]
    pub(crate) fn dispose(&self) -> Dispose {
        self.dispose
    }

    /// Stamps the node and gives it away, to be stored where others find it.
    #[inline]
    pub(crate) fn publish(self, version: u64, previous: Option<NodeRef>) -> NodeRef {
        let this = ManuallyDrop::new(self);
        let previous = previous.map_or(ptr::null(), |node| node.as_ptr().cast_const());
        let stamp = Stamp { version, previous };
        // SAFETY: nobody else has seen the node (invariant 1).
        unsafe { this.node.as_ref().stamp.with_mut(|to| *to = stamp) };
        NodeRef(this.node)
    }
}

impl Drop for Fresh {
    #[inline]
    fn drop(&mut self) {
        if is_gone() {
            return;
        }
        // SAFETY: the node is ours alone, and is given up here.
        unsafe { discard(NodeRef(self.node), self.dispose) };
    }
}

/// Drops the value of `node` and gives its memory back at once.
///
/// # Safety
/// Nobody else uses the node, now or later, and it is of the type that `dispose` is for.
#[inline]
pub(crate) unsafe fn discard(node: NodeRef, dispose: Dispose) {
    let node = node.0.cast::<u8>();
    // SAFETY: promised by the caller.
    let layout = unsafe { dispose(node) };
    // SAFETY: the memory came from `allocate` with this layout, and the value is gone.
    unsafe { reclaim::release(node, layout) };
}

/// # Safety
/// `node` is of a `T`, and is not used after this.
pub(crate) unsafe fn dispose<T>(node: NonNull<u8>) -> Layout {
    if mem::needs_drop::<T>() {
        let node = node.cast::<Node<T>>().as_ptr();
        // SAFETY: promised by the caller.
        unsafe { ptr::drop_in_place(&raw mut (*node).value) };
    }
    Layout::new::<Node<T>>()
}

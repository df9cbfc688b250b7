//! The value of a variable at one version: a node.
//!
//! Writers never change a value in place. They publish a new node, which points to the one it replaces.
//! So whoever holds a pointer to a node, and is pinned, reads it in peace.
//!
//! Invariants
//! 1. A node is private to the [`Fresh`] that owns it, until it is published with [`Fresh::publish`]. From
//!    then on nobody writes to it until its memory is reclaimed.
//! 2. A published node is replaced at most once. Who replaced it retires it, with the version of the
//!    replacement already taken from the clock; so whoever was pinned before may still follow `prev` to it.
//! 3. A node's address is a multiple of 8: the two lowest bits of a pointer to it are free for flags.

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

impl Header {
    /// The time of the commit that published the node; 0 for the first one of a variable.
    ///
    /// # Safety
    /// `this` was published, the caller has seen that (invariant 1) and is pinned since.
    #[inline]
    pub(crate) unsafe fn version(this: NonNull<Header>) -> u64 {
        // SAFETY: the node is alive while the caller is pinned, and nobody writes to it.
        unsafe { this.as_ref().stamp.with(|stamp| (*stamp).version) }
    }

    /// The node that this one replaced.
    ///
    /// # Safety
    /// As for [`version`](Self::version). The result may be followed only by a thread that was pinned
    /// before it read a clock that is behind this node's version (invariant 2).
    #[inline]
    pub(crate) unsafe fn previous(this: NonNull<Header>) -> Option<NonNull<Header>> {
        // SAFETY: the node is alive while the caller is pinned, and nobody writes to it.
        let previous = unsafe { this.as_ref().stamp.with(|stamp| (*stamp).previous) };
        NonNull::new(previous.cast_mut())
    }

    /// The value of the node.
    ///
    /// # Safety
    /// The node is of a `T`, and for as long as `'a` nobody reclaims or discards it.
    #[inline]
    pub(crate) unsafe fn value<'a, T>(this: NonNull<Header>) -> &'a T {
        let node = this.cast::<Node<T>>().as_ptr();
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
    /// Makes a node of `value`.
    #[inline]
    pub(crate) fn new<T: Send + Sync + 'static>(value: T) -> Fresh {
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
    pub(crate) fn node(&self) -> NonNull<Header> {
        self.node
    }

    /// How nodes of this type are disposed of.
    #[inline]
    pub(crate) fn dispose(&self) -> Dispose {
        self.dispose
    }

    /// Stamps the node and gives it away, to be stored where others find it.
    #[inline]
    pub(crate) fn publish(
        self,
        version: u64,
        previous: Option<NonNull<Header>>,
    ) -> NonNull<Header> {
        let this = ManuallyDrop::new(self);
        let previous = previous.map_or(ptr::null(), |node| node.as_ptr().cast_const());
        let stamp = Stamp { version, previous };
        // SAFETY: nobody else has seen the node (invariant 1).
        unsafe { this.node.as_ref().stamp.with_mut(|to| *to = stamp) };
        this.node
    }
}

impl Drop for Fresh {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the node is ours alone, and is given up here.
        unsafe { discard(self.node, self.dispose) };
    }
}

/// Drops the value of `node` and gives its memory back at once.
///
/// # Safety
/// Nobody else uses the node, now or later, and it is of the type that `dispose` is for.
#[inline]
pub(crate) unsafe fn discard(node: NonNull<Header>, dispose: Dispose) {
    let node = node.cast::<u8>();
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

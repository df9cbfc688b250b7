//! Memory reclamation: when a replaced node may be dropped, and where its memory goes.
//!
//! Readers follow pointers to immutable nodes without counting them, so whoever unlinks a node may
//! not drop it before every reader that could have its address is gone. Readers *pin* themselves;
//! an unlinked node is *retired*; it is *reclaimed* once three epochs have begun since its retirer
//! was pinned. The scheme is epoch-based reclamation (Fraser, "Practical lock-freedom", 2004) with a
//! limbo and magazines of memory (Bonwick and Adams, "Magazines and Vmem", 2001) for each thread,
//! so that in the steady state a retired node becomes the thread's next new node and no allocator
//! is called.
//!
//! # Invariants
//!
//! 1. While a participant is pinned in epoch `e`, the global epoch is `e` or `e + 1` (`epoch`).
//! 2. A node retired by a participant that is pinned in `e` is reclaimed only when the global epoch
//!    is at least `e + GRACE`. Then nobody who could have found it is pinned (`docs/design/stm-reclamation.md`).
//! 3. No `reclaim` function, which is user code, runs while its thread is pinned, while one of our
//!    locks is held, or while a limbo or pool is borrowed: they are called one by one, each node
//!    already taken out.
//! 4. They do not nest: what one of them retires goes to the limbo. One that waits keeps its thread
//!    from collecting meanwhile, not from pinning and retiring.
//! 5. Every participant is in the list of records for ever; a record has at most one owner.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `epoch` | the global epoch, the records, the handshake of pin and advance |
//! | `limbo` | retired nodes in the order they were retired |
//! | `pool` | free memory by size class |
//! | `domain` | what the participants share |
//! | `local` | one participant: pinning, collecting, dying |
//! | `thread` | the calling thread's participant |

mod domain;
mod epoch;
mod limbo;
mod local;
mod pool;
mod thread;

use std::alloc::Layout;
use std::any::Any;
use std::ptr::NonNull;
use std::time::Duration;

#[allow(unused_imports, reason = "models and tests make their own")]
pub(crate) use domain::Domain;
#[allow(unused_imports, reason = "as above")]
pub(crate) use local::{Local, Pin};

/// Makes a constructor `const`, except under loom, whose atomics have no such constructor.
macro_rules! const_unless_modelled {
    ($(#[$meta:meta])* $vis:vis fn $name:ident() -> $out:ty $body:block) => {
        #[cfg(not(weftwork_loom))]
        $(#[$meta])*
        $vis const fn $name() -> $out $body
        #[cfg(weftwork_loom)]
        $(#[$meta])*
        $vis fn $name() -> $out $body
    };
}
use const_unless_modelled;

/// Whether a model has failed and unwinds: loom is not to be touched any more, by no drop either.
#[inline(always)]
fn is_failed_model() -> bool {
    cfg!(weftwork_loom) && std::thread::panicking()
}

/// Pins the calling thread: nothing that it can find from now on is reclaimed before the pin is dropped.
///
/// Pins nest; only the outermost costs more than a count. Dropping the outermost may reclaim nodes
/// of this thread and of dead ones, and resumes the first panic of a value's `Drop`, unless
/// the thread is unwinding, when it reclaims nothing.
#[inline]
pub(crate) fn pin() -> Pin {
    thread::with(Local::pin)
}

/// Takes memory for a node out of the thread's pool. It is not zeroed.
///
/// Up to 128 bytes, aligned to 16, come from the pool; anything else from the global allocator.
#[inline]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    if pool::is_pooled(layout) {
        thread::with(|local| local.allocate(layout))
    } else {
        pool::from_system(layout)
    }
}

/// Gives back memory that no other thread has seen. The value in it is gone already.
///
/// # Safety
///
/// `ptr` came from [`allocate`] with this `layout`, nobody uses it, and it is given back once.
#[inline]
pub(crate) unsafe fn release(ptr: NonNull<u8>, layout: Layout) {
    if pool::is_pooled(layout) {
        // SAFETY: the caller's promise, and the layout is a pooled one.
        thread::with(|local| unsafe { local.release(ptr, layout) });
    } else {
        // SAFETY: the caller's promise; `allocate` took it from the system, too.
        unsafe { pool::to_system(ptr, layout) };
    }
}

/// Hands over an unlinked node: `reclaim` is called with it once nobody can hold it any more.
///
/// `reclaim` drops the value and returns the layout that the memory was allocated with. It is called
/// on any thread, outside of every pin of that thread, and may itself pin, retire and panic. A panic
/// of the value's drop is best given to [`panicked`], for a `reclaim` that panics itself names no
/// layout: its node's memory, though no other node, is lost. Either way the first panic of a
/// collection comes out of the `Pin` or [`flush`] that called it, after the other nodes.
///
/// # Safety
///
/// - `ptr` came from [`allocate`], and `reclaim` returns the layout it was allocated with.
/// - While `pin` has been held, the caller has made the node unreachable for whoever pins from now
///   on, and retires it once. Threads that are pinned may still read it.
/// - `reclaim` may be called with `ptr` on any thread.
#[inline]
pub(crate) unsafe fn retire(
    pin: &Pin,
    ptr: NonNull<u8>,
    reclaim: unsafe fn(NonNull<u8>) -> Layout,
) {
    // SAFETY: the caller's promises are passed on.
    unsafe { pin.retire(ptr, reclaim) };
}

/// Keeps the panic of a value's drop, caught by a `reclaim` function, for the end of the collection.
///
/// The first one of a collection goes on from there; later ones are dropped. Where the thread's locals are
/// being dropped already, all are.
#[allow(dead_code, reason = "until nodes use it")]
pub(crate) fn panicked(payload: Box<dyn Any + Send>) {
    local::panicked(payload);
}

/// Reclaims now what nobody can hold any more, of this thread's nodes and of dead threads' ones.
///
/// Transactions collect on their own, but lazily: up to about a hundred replaced values wait for the
/// thread's next transactions. This drops those values now, on this thread, as far as no transaction
/// or snapshot that is still running could read them. It blocks on nothing. Called inside of a
/// transaction, from a value's `Drop`, or while the thread is unwinding, it does nothing.
///
/// # Panics
///
/// If the `Drop` of a value panics: the others are dropped first, then the first panic goes on.
pub fn flush() {
    thread::with(Local::flush);
}

/// What waits for reclamation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Replaced nodes that are not reclaimed yet.
    pub nodes: usize,
    /// Memory that the pools took from the allocator, whether it is in use, free or in a backlog.
    pub pool_bytes: usize,
    /// How far the oldest pin is behind the newest epoch: 1 if it holds the next epoch up, else 0.
    pub epochs_behind: u64,
    /// For how long a pin has been in the way of the next epoch, if one is: it is at least as old.
    pub stalled_for: Option<Duration>,
    /// Threads that take part now.
    pub participants: usize,
}

/// Counts what waits for reclamation: a look at each thread that takes part, without stopping any.
pub(crate) fn backlog() -> Backlog {
    thread::with(|local| local.domain().backlog())
}

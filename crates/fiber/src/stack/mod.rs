//! Stacks: reserved slots of address space, guarded at their low end, paid for page by page.
//!
//! One slot, `slot` bytes long and aligned to that:
//!
//! ```text
//!   slot + size  +---------------------+
//!                | colour, 0..=960 B   |  a multiple of 64 that depends on the slot
//!   top()      ->+---------------------+
//!                | usable: the kernel  |
//!                | adds a page when it |
//!                | is touched          |
//!   limit()    ->+---------------------+
//!                | guard, 16 KiB       |  any access is a fault
//!   slot         +---------------------+
//! ```
//!
//! Invariants:
//!
//! 1. A slot is in exactly one place: inside one [`Stack`], in its class's `hot` or `cold` list, or
//!    not yet carved from its slab.
//! 2. The guard of a slot is installed before the slot is first handed out and stays until its slab
//!    is unmapped.
//! 3. A slab is unmapped only when none of its slots is inside a `Stack`; every `Stack` holds its
//!    pool, and so its slab.
//! 4. The bookkeeping lies outside of the slots: managing a stack touches none of its pages.
//!
//! The design and its figures are in `docs/design/stacks.md`.

mod class;
mod config;
mod error;
pub(crate) mod guard;
mod pages;
mod pool;
pub(crate) mod slab;
pub(crate) mod table;

use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;

pub use class::SizeClass;
pub use config::{GuardMode, PoolConfig, StackStats};
pub use error::StackError;
pub use pool::StackPool;

use crate::annotate::StackId;
use slab::Slab;

/// Owns one stack, and gives it back to its pool when dropped.
///
/// A stack is only memory. Dropping it while a flow of control is running or suspended on it leaves
/// that flow of control without its frames; [`Fiber`](crate::Fiber) never does so, and users of
/// [`Context`](crate::Context) promise not to.
///
/// # Examples
///
/// ```
/// use weftwork_fiber::{SizeClass, StackPool};
///
/// let stack = StackPool::default().allocate(SizeClass::KIB_64)?;
/// assert_eq!(stack.top().as_ptr().addr() % 64, 0);
/// assert_eq!(stack.usable(), stack.top().as_ptr().addr() - stack.limit().addr());
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
pub struct Stack {
    pool: Arc<pool::Shared>,
    slab: &'static Slab,
    /// The lowest address of the slot, inside its guard.
    slot: NonNull<u8>,
    /// The slot's number in its class.
    number: u32,
    class: SizeClass,
    /// Set but for moments at both ends of the stack's life.
    id: Option<StackId>,
}

// SAFETY: `slot` is what keeps `Stack` from being `Send`. It is the address of memory that this
// value owns alone, and that is bound to no thread.
unsafe impl Send for Stack {}

// SAFETY: the safe methods that take `&self` read the fields, which do not change, and ask the
// kernel about the memory; none of them reads or writes the memory itself.
unsafe impl Sync for Stack {}

impl Stack {
    /// Returns the end of the usable memory: the address above the highest usable byte.
    ///
    /// It is a multiple of 64. It is offset by up to 960 bytes, depending on the slot, so that the
    /// busy ends of many stacks do not compete for the same sets of the first-level cache.
    #[must_use]
    pub fn top(&self) -> NonNull<u8> {
        let size = self.class.slot_size();
        let colour = slab::colour(self.slot.as_ptr().addr(), self.class);
        // SAFETY: the result lies inside the slot: the colour is smaller than its usable part.
        unsafe { self.slot.add(size - colour) }
    }

    /// Returns the lowest usable address. Below it lies the guard.
    #[must_use]
    pub fn limit(&self) -> *mut u8 {
        self.slot.as_ptr().wrapping_add(self.slab.guard_size())
    }

    /// Returns the number of usable bytes, from [`Stack::limit`] to [`Stack::top`].
    #[must_use]
    pub fn usable(&self) -> usize {
        self.top().as_ptr().addr() - self.limit().addr()
    }

    /// Returns the size class.
    #[must_use]
    pub fn class(&self) -> SizeClass {
        self.class
    }

    /// Tells the overflow report whether the describe hook may be called for this stack.
    ///
    /// A stack comes from its pool without a description. Set it once the hook can make sense of
    /// what lies below [`Stack::top`]; see [`overflow::set_describe`](crate::overflow::set_describe).
    pub fn set_described(&self, described: bool) {
        self.slab.set_flag(self.number, slab::DESCRIBED, described);
    }

    /// Marks the stack as a segment of the stack whose limit is stored in its highest word.
    pub(crate) fn set_segment(&self) {
        self.slab.set_flag(self.number, slab::SEGMENT, true);
    }

    /// Returns the number of bytes from the lowest page that is in memory up to the top: the
    /// high-water mark since the pages were last given back.
    ///
    /// Costs one system call or more. Returns 0 if the kernel does not tell.
    #[must_use]
    pub fn resident(&self) -> usize {
        let end = self.slot.as_ptr().wrapping_add(self.class.slot_size());
        match pages::residency(self.limit(), end).lowest {
            Some(lowest) => self.top().as_ptr().addr().saturating_sub(lowest.addr()),
            None => 0,
        }
    }

    /// Gives the pages that lie wholly below `sp` back to the kernel, and returns how many bytes
    /// were in memory there.
    ///
    /// Costs two system calls. A page that is touched again comes back zeroed. An `sp` outside of
    /// the stack gives back nothing. `sp` should leave room for what a suspended frame may use below
    /// its stack pointer; 128 bytes (the red zone of x86_64) are added here.
    ///
    /// # Safety
    ///
    /// Nobody uses the stack below `sp`: no flow of control is running on it, and the one that is
    /// suspended on it, if any, was suspended with a stack pointer not below `sp`.
    pub unsafe fn trim_below(&self, sp: *const u8) -> usize {
        const RED_ZONE: usize = 128;
        let limit = self.limit();
        let end = sp.addr().saturating_sub(RED_ZONE) & !(pages::page_size() - 1);
        if sp.addr() > self.top().as_ptr().addr() || end <= limit.addr() {
            return 0;
        }
        let end = limit.with_addr(end);
        let residency = pages::residency(limit, end);
        let Some(lowest) = residency.lowest else {
            return 0;
        };
        // SAFETY: the range lies inside this stack's usable memory, and the caller promises that
        // nobody uses it.
        let given = unsafe { pages::give_back(&[pages::Range::new(lowest, end)]) };
        if given { residency.bytes } else { 0 }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Checkers learn that the stack is gone before somebody else can be given it.
        self.id = None;
        self.slab.clear_flags(self.number);
        self.pool.release(self.class, self.number);
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("top", &self.top())
            .field("limit", &self.limit())
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

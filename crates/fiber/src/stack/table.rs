//! From an address to its slab, without a lock: a two-level table over the address space.
//!
//! An entry stands for one [`CHUNK`]. Leaves are allocated when needed and never freed, so that a
//! signal handler may read the table at any moment.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::io;

use super::slab::{CHUNK, Slab};

/// The bits of a user-space address that the kernel hands out unless asked for more.
const ADDRESS_BITS: u32 = 48;
const LEAF_BITS: u32 = 11;
const ROOT_BITS: u32 = ADDRESS_BITS - CHUNK.trailing_zeros() - LEAF_BITS;

type Leaf = [AtomicPtr<Slab>; 1 << LEAF_BITS];

static ROOT: [AtomicPtr<Leaf>; 1 << ROOT_BITS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; 1 << ROOT_BITS];

/// Enters a slab for all chunks of `[base, base + length)`.
pub(crate) fn insert(base: usize, length: usize, slab: &'static Slab) -> io::Result<()> {
    let last = base
        .checked_add(length - 1)
        .ok_or(io::ErrorKind::OutOfMemory)?;
    if last >> ADDRESS_BITS != 0 {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    for address in (base..=last).step_by(CHUNK) {
        entry_or_insert(address).store(ptr::from_ref(slab).cast_mut(), Ordering::Release); // pairs with Acquire in `lookup`
    }
    Ok(())
}

/// Removes what [`insert`] entered.
pub(crate) fn remove(base: usize, length: usize) {
    for address in (base..base + length).step_by(CHUNK) {
        entry_or_insert(address).store(ptr::null_mut(), Ordering::Release); // pairs with Acquire in `lookup`
    }
}

/// Finds the slab that contains `address`. Async-signal-safe.
pub(crate) fn lookup(address: usize) -> Option<&'static Slab> {
    let leaf = ROOT.get(root_index(address))?.load(Ordering::Acquire); // pairs with AcqRel in `entry_or_insert`
    // SAFETY: a leaf is null or was leaked by `entry_or_insert`, fully initialised.
    let leaf = unsafe { leaf.as_ref() }?;
    let slab = leaf[leaf_index(address)].load(Ordering::Acquire); // pairs with Release in `insert`
    // SAFETY: an entry is null or comes from a `&'static Slab`.
    unsafe { slab.as_ref() }
}

fn entry_or_insert(address: usize) -> &'static AtomicPtr<Slab> {
    let slot = &ROOT[root_index(address)];
    let mut leaf = slot.load(Ordering::Acquire); // pairs with AcqRel below
    if leaf.is_null() {
        let fresh: *mut Leaf = Box::into_raw(Box::new(
            [const { AtomicPtr::new(ptr::null_mut()) }; 1 << LEAF_BITS],
        ));
        // AcqRel: publishes the fresh leaf, or shows the one of whoever was faster.
        leaf = match slot.compare_exchange(
            ptr::null_mut(),
            fresh,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => fresh,
            Err(faster) => {
                // SAFETY: `fresh` came from `Box::into_raw` above and was not published.
                drop(unsafe { Box::from_raw(fresh) });
                faster
            }
        };
    }
    // SAFETY: not null, and leaked: whether by us or by somebody else, leaves are never freed.
    let leaf = unsafe { &*leaf };
    &leaf[leaf_index(address)]
}

fn root_index(address: usize) -> usize {
    (address / CHUNK) >> LEAF_BITS
}

fn leaf_index(address: usize) -> usize {
    (address / CHUNK) & ((1 << LEAF_BITS) - 1)
}

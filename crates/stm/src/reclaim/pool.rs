//! Memory for nodes: free blocks by size class, in magazines of each thread and a common depot.
//!
//! A magazine is a list of free blocks, linked through the blocks themselves. A thread has two for
//! each class. It takes from the loaded one and puts into it; only when both are empty, or both
//! full, it goes to the depot, to swap whole magazines under the lock. A thread that allocates what
//! another one frees is thus served with the other's magazines, and no memory is taken from the
//! allocator while the depot has any. Memory goes back to the allocator with the depot only.
//!
//! 1. A block is in one magazine or in the hands of one caller.
//! 2. Blocks of a class have its size, and lie at multiples of it in slabs aligned to `ALIGN`; so
//!    they are aligned to `BLOCK_ALIGN`.
//! 3. In debug builds, a free block is full of `POISON` behind its link, and is looked at when it is
//!    taken: whoever writes to a node that he has lost is found.
//!
//! Under AddressSanitizer, Miri and loom nothing is pooled, so that these see what is freed.

use super::const_unless_modelled;
use std::alloc::{self, Layout};
use std::mem;
use std::ptr::{self, NonNull};
use weftwork_core::sync::Mutex;

// Outside the models: a size that is only reported.
use std::sync::atomic::{AtomicUsize as Count, Ordering};

/// The sizes of the classes.
const SIZES: [usize; 6] = [16, 32, 48, 64, 96, 128];

/// The class of a size, by the number of 16-byte steps it needs.
const CLASSES: [u8; 9] = [0, 0, 1, 2, 3, 4, 4, 5, 5];

/// What each block is aligned to.
const BLOCK_ALIGN: usize = 16;

/// Blocks in a full magazine.
const FULL: usize = 64;

/// Blocks that are cut from a slab at a time.
const CUT: usize = 32;

/// What is taken from the allocator at a time, and how it is aligned.
const SLAB: usize = 32 * 1024;
const ALIGN: usize = 128;

/// What fills a free block in debug builds.
const POISON: u8 = 0xa7;

/// A size class: an index of `SIZES`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class(u8);

/// Whether memory of this layout comes out of a pool.
#[inline]
pub(super) const fn is_pooled(layout: Layout) -> bool {
    !cfg!(any(miri, weftwork_asan, weftwork_loom)) && has_class(layout)
}

#[inline]
const fn has_class(layout: Layout) -> bool {
    layout.size() <= SIZES[SIZES.len() - 1] && layout.align() <= BLOCK_ALIGN
}

/// The class of a layout that has one.
#[inline]
pub(super) const fn class_of(layout: Layout) -> Class {
    debug_assert!(has_class(layout), "a layout of a pool");
    Class(CLASSES[layout.size().div_ceil(16)])
}

/// Takes memory from the global allocator.
pub(super) fn from_system(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0, "a node has a header");
    // SAFETY: the layout is not of size zero.
    let ptr = unsafe { alloc::alloc(layout) };
    NonNull::new(ptr).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// Gives memory back to the global allocator.
///
/// # Safety
///
/// It came from [`from_system`] with this layout, and nobody uses it.
pub(super) unsafe fn to_system(ptr: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise.
    unsafe { alloc::dealloc(ptr.as_ptr(), layout) };
}

/// A free block. The rest of it is not initialized, or poisoned.
#[derive(Debug)]
struct Block {
    next: *mut Block,
}

/// Free blocks of one class.
#[derive(Debug)]
struct Magazine {
    head: *mut Block,
    len: usize,
}

// SAFETY: the pointer takes it away; what it leads to belongs to the magazine alone (invariant 1).
unsafe impl Send for Magazine {}

impl Magazine {
    const EMPTY: Magazine = Magazine {
        head: ptr::null_mut(),
        len: 0,
    };

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.head)?;
        // SAFETY: a block of the magazine is ours, and its link was written by `push`.
        self.head = unsafe { block.as_ref().next };
        self.len -= 1;
        Some(block.cast())
    }

    /// # Safety
    ///
    /// `block` is a block of this magazine's class, and the caller gives it up.
    #[inline]
    unsafe fn push(&mut self, block: NonNull<u8>) {
        let block = block.cast::<Block>();
        // SAFETY: the block is ours now, and large and aligned enough (invariant 2).
        unsafe { block.write(Block { next: self.head }) };
        self.head = block.as_ptr();
        self.len += 1;
    }
}

/// A thread's magazines of one class.
#[derive(Debug)]
struct Rack {
    loaded: Magazine,
    /// Full or empty, except where a thread's last magazines or a short slab came by.
    spare: Magazine,
}

/// The free memory of one thread.
#[derive(Debug)]
pub(super) struct Pool([Rack; SIZES.len()]);

impl Pool {
    pub(super) const fn new() -> Self {
        const EMPTY: Rack = Rack {
            loaded: Magazine::EMPTY,
            spare: Magazine::EMPTY,
        };
        Pool([EMPTY; SIZES.len()])
    }

    /// Takes a block.
    #[inline]
    pub(super) fn take(&mut self, class: Class, depot: &Depot) -> NonNull<u8> {
        let rack = &mut self.0[usize::from(class.0)];
        let block = match rack.loaded.pop() {
            Some(block) => block,
            None => Self::refill(rack, class, depot),
        };
        // SAFETY: the block was in a magazine and is ours.
        unsafe { check_poison(block, class) };
        block
    }

    #[cold]
    fn refill(rack: &mut Rack, class: Class, depot: &Depot) -> NonNull<u8> {
        if rack.spare.len > 0 {
            mem::swap(&mut rack.loaded, &mut rack.spare);
        } else {
            rack.loaded = depot.take(class);
        }
        rack.loaded.pop().expect("a magazine that was not empty")
    }

    /// Puts a block back.
    ///
    /// # Safety
    ///
    /// It came from the `take` of a pool of the same depot with the same class, and the caller gives
    /// it up.
    #[inline]
    pub(super) unsafe fn give(&mut self, block: NonNull<u8>, class: Class, depot: &Depot) {
        let rack = &mut self.0[usize::from(class.0)];
        if rack.loaded.len >= FULL {
            Self::unload(rack, class, depot);
        }
        // SAFETY: the caller's promise, twice.
        unsafe {
            poison(block, class);
            rack.loaded.push(block);
        }
    }

    #[cold]
    fn unload(rack: &mut Rack, class: Class, depot: &Depot) {
        mem::swap(&mut rack.loaded, &mut rack.spare);
        if rack.loaded.len > 0 {
            depot.give(class, mem::replace(&mut rack.loaded, Magazine::EMPTY));
        }
    }

    /// Gives all memory to the depot.
    pub(super) fn clear(&mut self, depot: &Depot) {
        for (class, rack) in (0..).map(Class).zip(&mut self.0) {
            for magazine in [&mut rack.loaded, &mut rack.spare] {
                if magazine.len > 0 {
                    depot.give(class, mem::replace(magazine, Magazine::EMPTY));
                }
            }
        }
    }
}

/// What the depot has of one class.
#[derive(Debug)]
struct Store {
    magazines: Vec<Magazine>,
    /// The part of the newest slab that is not cut yet.
    uncut: *mut u8,
    uncut_blocks: usize,
    slabs: Vec<NonNull<u8>>,
}

// SAFETY: the pointers take it away; the slabs belong to the store, and nobody else cuts them.
unsafe impl Send for Store {}

impl Store {
    const fn new() -> Self {
        Store {
            magazines: Vec::new(),
            uncut: ptr::null_mut(),
            uncut_blocks: 0,
            slabs: Vec::new(),
        }
    }
}

/// Free memory that no thread has in its magazines.
#[derive(Debug)]
pub(super) struct Depot {
    stores: [Mutex<Store>; SIZES.len()],
    reserved: Count,
}

impl Depot {
    const_unless_modelled! {
        pub(super) fn new() -> Self {
            Depot {
                stores: [
                    Mutex::new(Store::new()),
                    Mutex::new(Store::new()),
                    Mutex::new(Store::new()),
                    Mutex::new(Store::new()),
                    Mutex::new(Store::new()),
                    Mutex::new(Store::new()),
                ],
                reserved: Count::new(0),
            }
        }
    }

    /// Bytes in slabs.
    pub(super) fn reserved(&self) -> usize {
        // Relaxed: only reported.
        self.reserved.load(Ordering::Relaxed)
    }

    fn give(&self, class: Class, magazine: Magazine) {
        let mut store = self.stores[usize::from(class.0)].lock();
        store.magazines.push(magazine);
    }

    /// A magazine that is not empty.
    fn take(&self, class: Class) -> Magazine {
        let mut store = self.stores[usize::from(class.0)].lock();
        match store.magazines.pop() {
            Some(magazine) => magazine,
            None => self.cut(&mut store, class),
        }
    }

    /// Makes a magazine of blocks that have not been used yet.
    fn cut(&self, store: &mut Store, class: Class) -> Magazine {
        let size = SIZES[usize::from(class.0)];
        if store.uncut_blocks == 0 {
            let slab = from_system(SLAB_LAYOUT);
            store.slabs.push(slab);
            store.uncut = slab.as_ptr();
            store.uncut_blocks = SLAB / size;
            // Relaxed: only reported.
            self.reserved.fetch_add(SLAB, Ordering::Relaxed);
        }
        let count = store.uncut_blocks.min(CUT);
        let mut magazine = Magazine::EMPTY;
        for n in (0..count).rev() {
            // SAFETY: the slab has `uncut_blocks` more blocks from `uncut` on, none of them null, and
            // `count` of them leave the uncut part below.
            unsafe {
                let block = NonNull::new_unchecked(store.uncut.add(n * size));
                poison(block, class);
                magazine.push(block);
            }
        }
        store.uncut_blocks -= count;
        // SAFETY: as above; at most one past the end.
        store.uncut = unsafe { store.uncut.add(count * size) };
        magazine
    }
}

const SLAB_LAYOUT: Layout = match Layout::from_size_align(SLAB, ALIGN) {
    Ok(layout) => layout,
    Err(_) => panic!("the layout of a slab"),
};

impl Drop for Depot {
    fn drop(&mut self) {
        if super::is_failed_model() {
            return;
        }
        for store in &self.stores {
            for slab in mem::take(&mut store.lock().slabs) {
                // SAFETY: it came from `from_system` with this layout; whoever has blocks or pools
                // of this depot keeps it alive.
                unsafe { to_system(slab, SLAB_LAYOUT) };
            }
        }
    }
}

/// The part of a block behind its link.
///
/// # Safety
///
/// `block` is a block of `class`.
unsafe fn behind_link(block: NonNull<u8>, class: Class) -> (NonNull<u8>, usize) {
    let link = size_of::<Block>();
    // SAFETY: a block is larger than its link.
    (
        unsafe { block.add(link) },
        SIZES[usize::from(class.0)] - link,
    )
}

/// Fills a free block.
///
/// # Safety
///
/// `block` is a block of `class` that belongs to the caller.
#[inline]
unsafe fn poison(block: NonNull<u8>, class: Class) {
    if cfg!(debug_assertions) {
        // SAFETY: the caller's promise.
        unsafe {
            let (rest, len) = behind_link(block, class);
            rest.write_bytes(POISON, len);
        }
    }
}

/// Asserts that nobody has written to a block since `poison`.
///
/// # Safety
///
/// As for [`poison`], which was called for it.
#[inline]
unsafe fn check_poison(block: NonNull<u8>, class: Class) {
    if cfg!(debug_assertions) {
        // SAFETY: the caller's promise; `poison` has initialized it.
        let rest = unsafe {
            let (rest, len) = behind_link(block, class);
            NonNull::slice_from_raw_parts(rest, len).as_ref()
        };
        assert!(
            rest.iter().all(|&byte| byte == POISON),
            "a node was written to after it had been reclaimed"
        );
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn class(size: usize) -> Class {
        class_of(Layout::from_size_align(size, 8).unwrap())
    }

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for size in 1..=128 {
            let class = usize::from(class(size).0);
            assert!(SIZES[class] >= size, "{size}");
            assert!(class == 0 || SIZES[class - 1] < size, "{size}");
        }
    }

    #[test]
    fn what_is_large_or_strictly_aligned_is_not_pooled() {
        assert!(has_class(Layout::from_size_align(128, 16).unwrap()));
        assert!(!has_class(Layout::from_size_align(129, 8).unwrap()));
        assert!(!has_class(Layout::from_size_align(64, 32).unwrap()));
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let depot = Depot::new();
        let mut pool = Pool::new();
        for size in SIZES {
            let class = class(size);
            let blocks: Vec<_> = (0..2000).map(|_| pool.take(class, &depot)).collect();
            let mut at: Vec<_> = blocks.iter().map(|block| block.addr().get()).collect();
            at.sort_unstable();
            assert!(at.iter().all(|at| at % BLOCK_ALIGN == 0));
            assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= size));
            for block in blocks {
                // SAFETY: it came from `take` above and is given back once.
                unsafe { pool.give(block, class, &depot) };
            }
        }
        pool.clear(&depot);
    }

    #[test]
    fn the_block_that_was_given_last_is_taken_first() {
        let depot = Depot::new();
        let mut pool = Pool::new();
        let block = pool.take(class(32), &depot);
        // SAFETY: it came from `take` and is given back once.
        unsafe { pool.give(block, class(32), &depot) };
        assert_eq!(pool.take(class(32), &depot), block);
    }

    #[test]
    fn one_that_takes_and_one_that_gives_share_the_memory() {
        let depot = Depot::new();
        let (mut takes, mut gives) = (Pool::new(), Pool::new());
        let mut seen = HashSet::new();
        for _ in 0..200 {
            for _ in 0..FULL {
                let block = takes.take(class(48), &depot);
                seen.insert(block);
                // SAFETY: it came from a pool of this depot.
                unsafe { gives.give(block, class(48), &depot) };
            }
        }
        assert!(seen.len() <= 5 * FULL, "{} blocks", seen.len());
        assert_eq!(depot.reserved(), SLAB);
    }

    #[test]
    fn a_pool_that_ends_leaves_its_memory_to_the_next() {
        let depot = Depot::new();
        for _ in 0..100 {
            let mut pool = Pool::new();
            let blocks: Vec<_> = (0..300).map(|_| pool.take(class(64), &depot)).collect();
            for block in blocks {
                // SAFETY: it came from `take` above.
                unsafe { pool.give(block, class(64), &depot) };
            }
            pool.clear(&depot);
        }
        assert_eq!(depot.reserved(), SLAB);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "written to after it had been reclaimed")]
    fn a_write_to_a_reclaimed_block_is_found() {
        let depot = Depot::new();
        let mut pool = Pool::new();
        let block = pool.take(class(32), &depot);
        // SAFETY: it came from `take`. The write is the bug that is to be found; the memory is still
        // the depot's.
        unsafe {
            pool.give(block, class(32), &depot);
            block.add(16).write(1);
        }
        pool.take(class(32), &depot);
    }
}

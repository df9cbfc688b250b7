//! The memory of tasks: a small cache per thread in front of the allocator.
//!
//! Tasks are made and freed by the million, all of a few sizes, often a thousand at a time: more than
//! an allocator keeps at hand. Freed blocks of a few small size classes go on a list of the
//! freeing thread, up to a bound, and are taken from there again. Where a tool watches the memory
//! (sanitizers, valgrind, loom) every block comes from the allocator and goes back to it, so that the
//! tool sees each task's life.
//!
//! Invariants
//! 1. A block on a list is free, of the list's class, and starts with the next block's address.
//! 2. A block is allocated with its class's layout, whatever list it has been on since.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Block sizes: such that a block and the word an allocator keeps with it fill whole units of 16
/// bytes, in steps fine enough that a million tasks waste little. A task of a small closure takes the
/// second.
const CLASSES: [usize; 6] = [104, 120, 136, 152, 184, 248];
/// What all blocks are aligned to.
const ALIGN: usize = 16;
/// How many free blocks a thread keeps per class.
const KEEP: usize = 2048;

const WATCHED: bool = cfg!(any(
    weftwork_loom,
    weftwork_asan,
    weftwork_tsan,
    weftwork_valgrind,
    miri
));

struct List {
    head: Cell<*mut Free>,
    len: Cell<usize>,
}

struct Free {
    next: *mut Free,
}

struct Cache([List; CLASSES.len()]);

thread_local! {
    static CACHE: Cache = const {
        Cache([const { List { head: Cell::new(ptr::null_mut()), len: Cell::new(0) } }; CLASSES.len()])
    };
}

/// The class for a layout, if one fits.
const fn class_of(layout: Layout) -> Option<usize> {
    if WATCHED || layout.align() > ALIGN {
        return None;
    }
    let mut class = 0;
    while class < CLASSES.len() {
        if layout.size() <= CLASSES[class] {
            return Some(class);
        }
        class += 1;
    }
    None
}

fn class_layout(class: usize) -> Layout {
    Layout::from_size_align(CLASSES[class], ALIGN).expect("the classes are small")
}

/// Memory for a `T`.
#[inline]
pub(super) fn take<T>() -> NonNull<T> {
    let layout = const { Layout::new::<T>() };
    let Some(class) = (const { class_of(Layout::new::<T>()) }) else {
        return fresh(layout).cast();
    };
    // A thread that is going away has no cache any more.
    let cached = CACHE.try_with(|cache| {
        let list = &cache.0[class];
        let head = NonNull::new(list.head.get())?;
        // SAFETY: a block on the list is free and holds the next one's address (invariant 1).
        list.head.set(unsafe { head.as_ref() }.next);
        list.len.set(list.len.get() - 1);
        Some(head)
    });
    match cached {
        Ok(Some(block)) => block.cast(),
        _ => fresh(class_layout(class)).cast(),
    }
}

/// Gives back what [`take`] gave.
///
/// # Safety
/// `block` comes from `take::<T>`, its value has been dropped, and it is not used any more.
#[inline]
pub(super) unsafe fn give_back<T>(block: NonNull<T>) {
    let Some(class) = (const { class_of(Layout::new::<T>()) }) else {
        // SAFETY: allocated by `take` with this layout; zero-sized tasks do not exist.
        return unsafe { dealloc(block.as_ptr().cast(), const { Layout::new::<T>() }) };
    };
    let block = block.cast::<Free>();
    let kept = CACHE.try_with(|cache| {
        let list = &cache.0[class];
        if list.len.get() >= KEEP {
            return false;
        }
        // SAFETY: the block is free, large enough for an address and aligned for one.
        unsafe {
            block.write(Free {
                next: list.head.get(),
            })
        };
        list.head.set(block.as_ptr());
        list.len.set(list.len.get() + 1);
        true
    });
    if kept != Ok(true) {
        // SAFETY: allocated with its class's layout (invariant 2).
        unsafe { dealloc(block.as_ptr().cast(), class_layout(class)) };
    }
}

fn fresh(layout: Layout) -> NonNull<u8> {
    // SAFETY: a task is not zero-sized: it starts with a header.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

impl Drop for Cache {
    fn drop(&mut self) {
        for (class, list) in self.0.iter().enumerate() {
            let mut next = list.head.replace(ptr::null_mut());
            while let Some(block) = NonNull::new(next) {
                // SAFETY: blocks on the list are free, hold the next one's address, and were
                // allocated with their class's layout (invariants 1 and 2).
                unsafe {
                    next = block.as_ref().next;
                    dealloc(block.as_ptr().cast(), class_layout(class));
                }
            }
        }
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_was_given_back_is_the_next_one_taken() {
        let first = take::<[u64; 12]>();
        // SAFETY: just taken, holds nothing.
        unsafe { give_back(first) };
        let second = take::<[u64; 13]>();
        assert!(WATCHED || first.addr() == second.addr());
        // SAFETY: just taken, holds nothing.
        unsafe { give_back(second) };
    }

    #[test]
    fn a_thread_keeps_a_bounded_number_of_blocks() {
        std::thread::spawn(|| {
            let blocks: Vec<_> = (0..2 * KEEP).map(|_| take::<[u64; 20]>()).collect();
            for block in blocks {
                // SAFETY: taken above, holds nothing.
                unsafe { give_back(block) };
            }
            let kept = CACHE.with(|cache| cache.0[4].len.get());
            assert_eq!(kept, if WATCHED { 0 } else { KEEP });
        })
        .join()
        .unwrap();
    }
}

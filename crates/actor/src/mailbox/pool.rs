//! The memory of letters: free blocks at hand, in front of the allocator.
//!
//! Letters are made by one thread and opened by another, by the million, all of a few sizes. A thread keeps
//! freed blocks in batches; a batch too many goes to a shelf of the process, where a thread without any
//! takes it. So blocks flow back to those who send, a batch at a time, and the allocator sees little of it.
//! Where a tool watches the memory (sanitizers, valgrind, loom) every block comes from the allocator and goes
//! back to it, so that the tool sees each letter's life.
//!
//! Invariants
//! 1. A block on a list is free, of the list's class, and starts with the next one's address, or null.
//! 2. The first block of a batch on the shelf holds the next batch's address in its second word.
//! 3. A block is allocated with its class's layout, whatever list it has been on since.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Sizes of blocks: with the word that an allocator keeps with each they fill whole units of 16 bytes.
const CLASSES: [usize; 4] = [40, 56, 88, 120];
const ALIGN: usize = 16;

const WATCHED: bool = cfg!(any(
    weftwork_loom,
    weftwork_asan,
    weftwork_tsan,
    weftwork_valgrind,
    miri
));

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

/// Memory for a `T`, which is not zero-sized.
#[inline]
pub(crate) fn take<T>() -> NonNull<T> {
    match const { class_of(Layout::new::<T>()) } {
        Some(class) => match lists::take(class) {
            Some(block) => block.cast(),
            None => fresh(class_layout(class)).cast(),
        },
        None => fresh(const { Layout::new::<T>() }).cast(),
    }
}

/// Gives back what [`take`] gave.
///
/// # Safety
/// `block` comes from `take::<T>`, its value was moved out or dropped, and it is not used any more.
#[inline]
pub(crate) unsafe fn give_back<T>(block: NonNull<T>) {
    match const { class_of(Layout::new::<T>()) } {
        // SAFETY: free now, and of this class, says the caller.
        Some(class) => unsafe { lists::give_back(class, block.cast()) },
        // SAFETY: allocated by `take` with this layout.
        None => unsafe { dealloc(block.as_ptr().cast(), const { Layout::new::<T>() }) },
    }
}

#[cold]
fn fresh(layout: Layout) -> NonNull<u8> {
    // SAFETY: a letter is not zero-sized: it starts with a header.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// The block is free, of this class, and on no list.
unsafe fn free(class: usize, block: NonNull<Free>) {
    // SAFETY: allocated with its class's layout (invariant 3).
    unsafe { dealloc(block.as_ptr().cast(), class_layout(class)) }
}

/// A free block: the next one of its list, and for the first of a batch the next batch.
#[cfg_attr(weftwork_loom, expect(dead_code, reason = "no block is kept"))]
struct Free {
    next: Option<NonNull<Free>>,
    next_batch: Option<NonNull<Free>>,
}

#[cfg(weftwork_loom)]
mod lists {
    use super::{Free, NonNull};

    pub(super) fn take(_: usize) -> Option<NonNull<Free>> {
        None
    }

    pub(super) unsafe fn give_back(class: usize, block: NonNull<Free>) {
        // SAFETY: the caller's contract.
        unsafe { super::free(class, block) }
    }
}

#[cfg(not(weftwork_loom))]
mod lists {
    use super::{CLASSES, Free, NonNull, free};
    use std::cell::Cell;
    use weftwork_core::sync::Mutex;

    /// How many blocks make a batch.
    const BATCH: usize = 64;
    /// How many batches the shelf keeps per class.
    const SHELF: usize = 64;

    type Head = Option<NonNull<Free>>;

    #[derive(Clone, Copy)]
    struct Batches {
        first: Head,
        count: usize,
    }

    struct Shelf(Mutex<[Batches; CLASSES.len()]>);

    // SAFETY: the pointers keep the automatic ones away. Blocks on the shelf are owned by it, and are reached
    // under the lock alone.
    unsafe impl Sync for Shelf {}

    static SHELVES: Shelf = Shelf(Mutex::new(
        [Batches {
            first: None,
            count: 0,
        }; CLASSES.len()],
    ));

    /// A thread's blocks of one class: those it takes from and gives to, and a full batch in reserve.
    struct List {
        head: Cell<Head>,
        len: Cell<usize>,
        reserve: Cell<Head>,
    }

    struct Lists([List; CLASSES.len()]);

    thread_local! {
        static LISTS: Lists = const {
            Lists([const {
                List { head: Cell::new(None), len: Cell::new(0), reserve: Cell::new(None) }
            }; CLASSES.len()])
        };
    }

    #[inline]
    pub(super) fn take(class: usize) -> Option<NonNull<Free>> {
        // A thread that is going away has no lists any more.
        LISTS
            .try_with(|lists| {
                let list = &lists.0[class];
                let block = list.head.get().or_else(|| refill(list, class))?;
                // SAFETY: a block on the list is free and holds the next one's address (invariant 1).
                list.head.set(unsafe { block.as_ref() }.next);
                list.len.set(list.len.get() - 1);
                Some(block)
            })
            .ok()?
    }

    #[cold]
    fn refill(list: &List, class: usize) -> Head {
        let batch = list.reserve.take().or_else(|| {
            let mut shelves = SHELVES.0.lock();
            let shelf = &mut shelves[class];
            let first = shelf.first?;
            // SAFETY: on the shelf, hence free, and the first of its batch (invariant 2).
            shelf.first = unsafe { first.as_ref() }.next_batch;
            shelf.count -= 1;
            Some(first)
        })?;
        list.head.set(Some(batch));
        list.len.set(BATCH);
        Some(batch)
    }

    /// # Safety
    /// The block is free, of this class, and on no list.
    #[inline]
    pub(super) unsafe fn give_back(class: usize, block: NonNull<Free>) {
        let kept = LISTS.try_with(|lists| {
            let list = &lists.0[class];
            if list.len.get() == BATCH {
                put_away(list, class);
            }
            let free = Free {
                next: list.head.get(),
                next_batch: None,
            };
            // SAFETY: free, and as large as two words: the smallest class is.
            unsafe { block.write(free) };
            list.head.set(Some(block));
            list.len.set(list.len.get() + 1);
        });
        if kept.is_err() {
            // SAFETY: the caller's contract.
            unsafe { super::free(class, block) };
        }
    }

    /// Makes a full list the reserve, and puts the reserve on the shelf.
    #[cold]
    fn put_away(list: &List, class: usize) {
        let full = list.head.take();
        list.len.set(0);
        if let Some(batch) = list.reserve.replace(full) {
            let mut shelves = SHELVES.0.lock();
            let shelf = &mut shelves[class];
            if shelf.count < SHELF {
                // SAFETY: a full batch of ours; its first block is free.
                unsafe { (*batch.as_ptr()).next_batch = shelf.first };
                shelf.first = Some(batch);
                shelf.count += 1;
                return;
            }
            drop(shelves);
            release(Some(batch), class);
        }
    }

    fn release(mut head: Head, class: usize) {
        while let Some(block) = head {
            // SAFETY: a list of ours: free blocks, each with the next one's address.
            unsafe {
                head = block.as_ref().next;
                free(class, block);
            }
        }
    }

    impl Drop for Lists {
        fn drop(&mut self) {
            for (class, list) in self.0.iter().enumerate() {
                release(list.head.take(), class);
                release(list.reserve.take(), class);
            }
        }
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;
    use weftwork_core::sync::thread;

    #[test]
    fn blocks_that_another_thread_gave_back_are_used_again() {
        let other = thread::spawn(move || {
            let blocks: Vec<_> = (0..384).map(|_| take::<[u64; 15]>()).collect();
            for block in blocks {
                // SAFETY: taken above, holds nothing.
                unsafe { give_back(block) };
            }
        });
        other.join().unwrap();
        let again: Vec<_> = (0..192).map(|_| take::<[u64; 15]>()).collect();
        let mut addresses: Vec<_> = again.iter().map(|block| block.addr()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 192, "a block was given out twice");
        for block in again {
            // SAFETY: taken above, holds nothing.
            unsafe { give_back(block) };
        }
    }
}

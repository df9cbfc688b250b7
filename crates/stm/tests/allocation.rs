//! A transaction allocates nothing in the long run. Alone in its process: another's pin would hold memory back.
//!
//! Not under AddressSanitizer, where nothing is pooled, so that it sees what is freed.

#![cfg(not(any(weftwork_loom, weftwork_asan)))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;
use weftwork_stm::{TVar, atomically};
use weftwork_testkit::watchdog;

/// Counts the allocations of the threads that ask for it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_transaction_allocates_nothing_once_its_thread_is_warm() {
    let _dog = watchdog(Duration::from_secs(60));
    let vars = [TVar::new(1_u64), TVar::new(2)];
    let transfer = || {
        atomically(|tx| {
            let a = *vars[0].get(tx)?;
            let b = *vars[1].get(tx)?;
            vars[0].set(tx, b)?;
            vars[1].set(tx, a)
        });
        atomically(|tx| Ok(vars[0].get(tx)? + vars[1].get(tx)?));
    };
    for _ in 0..10_000 {
        transfer();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..10_000 {
        transfer();
    }
    // Others' pins may hold memory back for a while: not one in a hundred transactions may notice.
    let allocations = ALLOCATIONS.get() - before;
    assert!(
        allocations < 200,
        "{allocations} allocations in 20000 transactions"
    );
}

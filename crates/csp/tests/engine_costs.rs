//! What a channel and a blocked operation cost in memory, counted by the allocator.

#![cfg(not(weftwork_loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;
use weftwork_csp::{Receiver, Sender, bounded, select, unbounded};
use weftwork_testkit::watchdog;

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is going away counts no more.
        let _ = ALLOCATED.try_with(|count| {
            let (times, bytes) = count.get();
            count.set((times + 1, bytes + layout.size()));
        });
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `f`, and tells how often and how many bytes it has allocated on this thread.
fn allocations<R>(f: impl FnOnce() -> R) -> (R, usize, usize) {
    let (times, bytes) = ALLOCATED.get();
    let result = f();
    let (times_after, bytes_after) = ALLOCATED.get();
    (result, times_after - times, bytes_after - bytes)
}

#[test]
fn an_empty_channel_is_one_allocation_of_at_most_256_bytes() {
    let makers: [fn() -> (Sender<u64>, Receiver<u64>); 3] =
        [|| bounded(0), || bounded(1_000_000), unbounded];
    for make in makers {
        let (_ends, times, bytes) = allocations(make);
        assert_eq!(times, 1);
        assert!(bytes <= 256, "{bytes}");
    }
}

#[test]
fn a_blocked_operation_allocates_nothing() {
    const ROUNDS: u64 = 500;
    let _dog = watchdog(Duration::from_secs(60));
    let (to, from_us) = bounded::<u64>(0);
    let (back, to_us) = bounded::<u64>(0);
    let (_silent, silence) = bounded::<u64>(0);
    let echo = std::thread::spawn(move || {
        let turn = |_| {
            let n = from_us.recv().unwrap();
            back.send(n).unwrap();
        };
        (0..10).for_each(turn);
        allocations(|| (0..2 * ROUNDS).for_each(turn)).1
    });
    let plain = |n| {
        to.send(n).unwrap();
        assert_eq!(to_us.recv(), Ok(n));
    };
    let selecting = |n| {
        select! {
            send(to, n) -> sent => sent.unwrap(),
            recv(silence) -> _ => unreachable!("nobody sends"),
        }
        let received = select! {
            recv(silence) -> _ => unreachable!("nobody sends"),
            recv(to_us) -> received => received.unwrap(),
        };
        assert_eq!(received, n);
    };
    // The first waits of a thread make its parker.
    (0..10).for_each(plain);
    let ((), times, _) = allocations(|| {
        (0..ROUNDS).for_each(plain);
        (0..ROUNDS).for_each(selecting);
    });
    assert_eq!(times, 0, "ours");
    assert_eq!(echo.join().unwrap(), 0, "theirs");
}

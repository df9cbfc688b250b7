//! Asks allocate nothing: letters and answers lie in memory that the thread keeps.
//!
//! Where a tool watches the memory, each letter has memory of its own: see `src/mailbox/pool.rs`.

#![cfg(not(any(weftwork_asan, weftwork_tsan, weftwork_valgrind)))]

use std::alloc::{GlobalAlloc, Layout, System as Allocator};
use std::cell::Cell;
use std::time::Duration;
use weftwork_actor::{Actor, Addr, Context, Handler, InitError, Options, start};
use weftwork_sched::Runtime;
use weftwork_testkit::with_watchdog;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the allocations of each thread.
struct Counting;

// SAFETY: passes everything on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract.
        unsafe { Allocator.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { Allocator.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what it is told and asked.
struct Clerk(u64);

#[derive(Debug, PartialEq)]
struct Count;

impl Actor for Clerk {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Clerk(0))
    }
}

impl Handler<Count> for Clerk {
    type Reply = u64;
    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// One worker, so that all is counted by one thread, which also keeps what it has freed. An actor that sleeps
/// is polled by the ask; one that was told something is in the queue, so that the ask has to wait, with a
/// timer. On a busy machine the scheduler may let the first kind wait, too. The rounds before the count make
/// room for whatever either needs: the wheel's for the first timer, and what the worker makes when it looks at
/// its oldest task for the first time, which it does once in some hundred rounds.
#[test]
fn an_ask_allocates_nothing_once_its_thread_has_memory_for_letters() {
    with_watchdog(Duration::from_secs(60), || {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let start = || start::<Clerk>(runtime.handle(), (), Options::new()).unwrap();
        let (sleeping, queued): (Addr<Clerk>, Addr<Clerk>) = (start(), start());
        let counted = runtime.run(|| {
            let round = || {
                sleeping.ask(Count).unwrap();
                queued.tell(Count).unwrap();
                queued.ask(Count).unwrap();
            };
            (0..5000).for_each(|_| round());
            let before = ALLOCATIONS.get();
            (0..1000).for_each(|_| round());
            ALLOCATIONS.get() - before
        });
        assert_eq!(counted, 0);
        assert_eq!(sleeping.ask(Count), Ok(6001));
        assert_eq!(queued.ask(Count), Ok(12_001));
    });
}

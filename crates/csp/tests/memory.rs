//! What channels keep, and what waiting costs, in bytes of the heap.
//!
//! The numbers D13, D14 and D54 are those of a survey of issue trackers: selects that left entries
//! behind in channels that stayed quiet, polls that added one each, timers that outlived their loop.

mod support;

use weftwork_csp as channel;

use channel::{Select, after, bounded, never, select, tick, unbounded};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;
use support::{open, watched};

/// Counts what each thread takes and gives back, so that tests do not see each other.
struct Counting;

#[derive(Clone, Copy, Default)]
struct Counts {
    bytes: isize,
    allocations: usize,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { bytes: 0, allocations: 0 }) };
}

fn count(bytes: isize) {
    let mut counts = COUNTS.get();
    counts.bytes += bytes;
    counts.allocations += usize::from(bytes > 0);
    COUNTS.set(counts);
}

// SAFETY: all is passed on to the allocator of the system; the counts need no allocation, because
// they are made before the thread starts and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` has kept, and how often it asked, on this thread.
fn cost<R>(work: impl FnOnce() -> R) -> (R, Counts) {
    let before = COUNTS.get();
    let result = work();
    let after = COUNTS.get();
    let cost = Counts {
        bytes: after.bytes - before.bytes,
        allocations: after.allocations - before.allocations,
    };
    (result, cost)
}

/// Does `work` a few times, to make what is made once, then many times: nothing more may be kept.
#[track_caller]
fn keeps_nothing(work: impl Fn()) {
    watched(|| {
        (0..50).for_each(|_| work());
        let ((), cost) = cost(|| (0..1_000).for_each(|_| work()));
        assert_eq!(cost.bytes, 0, "{} allocations", cost.allocations);
    });
}

const MOMENT: Duration = Duration::from_micros(1);
const FAR: Duration = Duration::from_secs(3_600);

#[test]
fn an_empty_channel_is_small() {
    for capacity in [Some(0), Some(1), None] {
        let (handles, cost) = cost(|| open::<u64>(capacity));
        assert!(cost.bytes <= 256, "{} bytes for {capacity:?}", cost.bytes);
        drop(handles);
    }
}

#[test]
fn a_channel_gives_everything_back() {
    for capacity in [Some(0), Some(1), Some(100), None] {
        keeps_nothing(|| {
            let (s, r) = open(capacity);
            for n in 0..capacity.unwrap_or(100) {
                s.send(Box::new(n)).unwrap();
            }
            let _ = r.try_recv();
        });
    }
}

#[test]
fn a_queue_that_is_kept_short_does_not_grow() {
    let (s, r) = unbounded();
    keeps_nothing(|| {
        for n in 0..64 {
            s.send(n).unwrap();
            assert_eq!(r.recv(), Ok(n));
        }
    });
}

#[test]
fn a_select_that_gives_up_leaves_nothing_behind_in_its_channels() {
    // D13, D14.
    let (s, r) = bounded::<u8>(0);
    let (full, _r) = bounded(1);
    full.send(1).unwrap();
    keeps_nothing(|| {
        select! {
            recv(r) -> _ => unreachable!("nobody sends"),
            send(full, 2) -> _ => unreachable!("it is full"),
            default(MOMENT) => {}
        }
        let mut select = Select::new();
        select.recv(&r);
        select.send(&s);
        assert!(select.try_select().is_err());
        assert!(select.select_timeout(MOMENT).is_err());
        assert!(select.ready_timeout(MOMENT).is_err());
        assert!(r.recv_timeout(MOMENT).is_err());
        assert!(full.send_timeout(2, MOMENT).is_err());
    });
}

#[test]
fn a_select_that_chooses_leaves_nothing_behind_in_the_others() {
    // D13.
    let (s, r) = unbounded();
    let (_idle_s, idle) = bounded::<u8>(0);
    let (full, _r) = bounded(1);
    full.send(1).unwrap();
    keeps_nothing(|| {
        s.send(1).unwrap();
        select! {
            recv(idle) -> _ => unreachable!("nobody sends"),
            recv(r) -> message => assert_eq!(message, Ok(1)),
            send(full, 2) -> _ => unreachable!("it is full"),
        }
    });
}

#[test]
fn timers_in_a_loop_are_gone_with_their_turn() {
    // D54: each turn left a timer behind that lived for an hour.
    let (s, r) = unbounded();
    keeps_nothing(|| {
        s.send(1).unwrap();
        select! {
            recv(r) -> message => assert_eq!(message, Ok(1)),
            recv(after(FAR)) -> _ => unreachable!("an hour has not passed"),
            recv(tick(FAR)) -> _ => unreachable!("an hour has not passed"),
        }
        select! {
            recv(after(FAR)) -> _ => unreachable!("an hour has not passed"),
            recv(never::<u8>()) -> _ => unreachable!("never"),
            default(MOMENT) => {}
        }
    });
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    // D14.
    let (s, r) = bounded(1);
    keeps_nothing(|| {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(pin!(r.recv_async()).poll(&mut context).is_pending());
        }
        s.send(1).unwrap();
        for _ in 0..3 {
            let mut sending = pin!(s.send_async(2));
            assert!(sending.as_mut().poll(&mut context).is_pending());
            assert!(sending.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(r.try_recv(), Ok(1));
    });
}

#[test]
fn an_operation_that_waits_allocates_nothing() {
    watched(|| {
        let (s, r) = bounded(1);
        let (_rendezvous_s, rendezvous) = bounded::<u8>(0);
        s.send(1).unwrap();
        let wait = || {
            assert!(s.send_timeout(2, MOMENT).is_err());
            assert!(rendezvous.recv_timeout(MOMENT).is_err());
        };
        // What a thread needs to sleep is made at its first wait.
        wait();
        let ((), cost) = cost(|| (0..100).for_each(|_| wait()));
        assert_eq!(cost.allocations, 0);
        drop(r);
    });
}

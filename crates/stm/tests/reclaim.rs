//! Reclamation: what is retired is dropped once, not too early, not under a pin, and not too late.
//!
//! The module is internal, so its files are a part of this test.

#![allow(clippy::disallowed_types, reason = "tests wait with std's means")]

#[allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    unused_imports,
    reason = "files of the library"
)]
#[path = "../src/reclaim/mod.rs"]
mod reclaim;

use reclaim::{Domain, Local, Pin};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

type Action = Box<dyn FnOnce() + Send>;

/// A node whose drop does something.
struct Node {
    _header: u64,
    action: Option<Action>,
}

unsafe fn bury(node: NonNull<u8>) -> Layout {
    // SAFETY: `retire` below wrote it.
    let node = unsafe { node.cast::<Node>().read() };
    if let Some(action) = node.action
        && let Err(panic) = catch_unwind(AssertUnwindSafe(action))
    {
        reclaim::panicked(panic);
    }
    Layout::new::<Node>()
}

fn retire(local: &Local, pin: &Pin, action: impl FnOnce() + Send + 'static) {
    let ptr = local.allocate(Layout::new::<Node>());
    // SAFETY: the memory is for a `Node`, is found by nobody, and is retired once.
    unsafe {
        ptr.cast::<Node>().write(Node {
            _header: 7,
            action: Some(Box::new(action)),
        });
        pin.retire(ptr, bury);
    }
}

/// Adds one to a counter that is shared with the test.
fn counting(counter: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static {
    let counter = Arc::clone(counter);
    move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

#[test]
fn what_is_retired_is_reclaimed_once_by_flush() {
    let local = Local::of(Arc::new(Domain::new()));
    let dropped = Arc::new(AtomicUsize::new(0));
    let pin = local.pin();
    (0..10).for_each(|_| retire(&local, &pin, counting(&dropped)));
    local.flush();
    assert_eq!(count(&dropped), 0, "reclaimed under the pin");
    drop(pin);
    assert_eq!(local.domain().backlog().nodes, 10);
    local.flush();
    assert_eq!(count(&dropped), 10);
    assert_eq!(local.domain().backlog().nodes, 0);
    local.flush();
    assert_eq!(count(&dropped), 10);
}

#[test]
fn the_backlog_of_one_that_is_never_held_up_is_bounded() {
    let local = Local::of(Arc::new(Domain::new()));
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut most = 0;
    for _ in 0..10_000 {
        retire(&local, &local.pin(), counting(&dropped));
        most = most.max(local.domain().backlog().nodes);
    }
    assert!(most <= 512, "{most} nodes waited");
    assert_eq!(local.domain().backlog().nodes + count(&dropped), 10_000);
    let pool = local.domain().backlog().pool_bytes;
    assert!(pool <= 32 * 1024, "{pool} bytes");
}

#[test]
fn one_that_only_reads_still_reclaims_its_last_nodes() {
    let local = Local::of(Arc::new(Domain::new()));
    let dropped = Arc::new(AtomicUsize::new(0));
    retire(&local, &local.pin(), counting(&dropped));
    for _ in 0..1000 {
        drop(local.pin());
    }
    assert_eq!(count(&dropped), 1);
}

#[test]
fn a_pin_holds_up_what_is_retired_after_it_and_is_reported() {
    let domain = Arc::new(Domain::new());
    let writer = Local::of(Arc::clone(&domain));
    let reader = Local::of(Arc::clone(&domain));
    let dropped = Arc::new(AtomicUsize::new(0));
    assert_eq!(domain.backlog().participants, 2);
    let stalled = reader.pin();
    for _ in 0..1000 {
        retire(&writer, &writer.pin(), counting(&dropped));
    }
    writer.flush();
    let backlog = domain.backlog();
    assert_eq!((count(&dropped), backlog.nodes), (0, 1000));
    assert_eq!(backlog.epochs_behind, 1);
    assert!(backlog.stalled_for.is_some());

    drop(stalled);
    writer.flush();
    let backlog = domain.backlog();
    assert_eq!((count(&dropped), backlog.nodes), (1000, 0));
    assert_eq!((backlog.epochs_behind, backlog.stalled_for), (0, None));
}

#[test]
fn repin_lets_go_and_a_nested_one_does_not() {
    let domain = Arc::new(Domain::new());
    let writer = Local::of(Arc::clone(&domain));
    let reader = Local::of(Arc::clone(&domain));
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut outer = reader.pin();
    retire(&writer, &writer.pin(), counting(&dropped));
    let mut inner = reader.pin();
    for _ in 0..5 {
        inner.repin();
        writer.flush();
    }
    assert_eq!(count(&dropped), 0);
    drop(inner);
    for _ in 0..5 {
        outer.repin();
        writer.flush();
    }
    assert_eq!(count(&dropped), 1);
}

#[test]
fn a_reclaim_may_pin_retire_and_flush_and_does_not_nest() {
    let local = Local::of(Arc::new(Domain::new()));
    let depth = Arc::new(AtomicUsize::new(0));
    let dropped = Arc::new(AtomicUsize::new(0));
    // The test's thread is the only one that uses it, in the reclaims, too.
    struct Here(*const Local);
    // SAFETY: as said.
    unsafe impl Send for Here {}
    impl Here {
        fn get(&self) -> &Local {
            // SAFETY: `local` lives to the end of the test.
            unsafe { &*self.0 }
        }
    }
    for _ in 0..50 {
        let (here, depth) = (Here(&raw const local), Arc::clone(&depth));
        let dropped = Arc::clone(&dropped);
        retire(&local, &local.pin(), move || {
            assert_eq!(depth.fetch_add(1, Ordering::Relaxed), 0, "reclaims nest");
            for _ in 0..200 {
                retire(here.get(), &here.get().pin(), counting(&dropped));
            }
            here.get().flush();
            depth.fetch_sub(1, Ordering::Relaxed);
        });
    }
    local.flush();
    local.flush();
    assert_eq!(count(&dropped), 50 * 200);
    assert_eq!(local.domain().backlog().nodes, 0);
}

#[test]
fn a_reclaim_that_panics_loses_no_other_node_and_the_first_panic_comes_out() {
    let local = Local::of(Arc::new(Domain::new()));
    let dropped = Arc::new(AtomicUsize::new(0));
    {
        let pin = local.pin();
        retire(&local, &pin, counting(&dropped));
        retire(&local, &pin, || panic!("the first"));
        retire(&local, &pin, counting(&dropped));
        retire(&local, &pin, || panic!("the second"));
        retire(&local, &pin, counting(&dropped));
    }
    let panic = catch_unwind(AssertUnwindSafe(|| local.flush())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the first"));
    assert_eq!((count(&dropped), local.domain().backlog().nodes), (3, 0));
    // It works as before.
    retire(&local, &local.pin(), counting(&dropped));
    local.flush();
    assert_eq!(count(&dropped), 4);
}

#[test]
fn a_reclaim_that_panics_itself_loses_its_own_memory_only() {
    unsafe fn panics(node: NonNull<u8>) -> Layout {
        // SAFETY: it was allocated below, with this layout. No layout comes of this call, so that
        // the memory is ours to give back.
        unsafe { std::alloc::dealloc(node.as_ptr(), Layout::new::<[u64; 64]>()) };
        panic!("of the reclaim itself");
    }
    let local = Local::of(Arc::new(Domain::new()));
    let dropped = Arc::new(AtomicUsize::new(0));
    {
        let pin = local.pin();
        retire(&local, &pin, counting(&dropped));
        let node = local.allocate(Layout::new::<[u64; 64]>());
        // SAFETY: nobody finds it, and it is retired once.
        unsafe { pin.retire(node, panics) };
        retire(&local, &pin, counting(&dropped));
    }
    let panic = catch_unwind(AssertUnwindSafe(|| local.flush())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"of the reclaim itself"));
    assert_eq!((count(&dropped), local.domain().backlog().nodes), (2, 0));
}

#[test]
fn nothing_is_reclaimed_while_the_thread_unwinds() {
    let local = Local::of(Arc::new(Domain::new()));
    let dropped = Arc::new(AtomicUsize::new(0));
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let pin = local.pin();
        for _ in 0..1000 {
            retire(&local, &pin, || panic!("a second panic would abort"));
        }
        retire(&local, &pin, counting(&dropped));
        panic!("of the body");
    }));
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"of the body"));
    assert_eq!(local.domain().backlog().nodes, 1001);
    catch_unwind(AssertUnwindSafe(|| local.flush())).unwrap_err();
    assert_eq!(count(&dropped), 1);
}

#[test]
fn what_a_dead_thread_has_retired_is_reclaimed_by_another() {
    let domain = Arc::new(Domain::new());
    let dropped = Arc::new(AtomicUsize::new(0));
    let local = Local::of(Arc::clone(&domain));
    for _ in 0..3 {
        let (domain, dropped) = (Arc::clone(&domain), Arc::clone(&dropped));
        let dying = move || {
            let local = Local::of(domain);
            (0..20).for_each(|_| retire(&local, &local.pin(), counting(&dropped)));
        };
        thread::spawn(dying).join().unwrap();
    }
    assert_eq!((count(&dropped), domain.backlog().nodes), (0, 60));
    local.flush();
    assert_eq!((count(&dropped), domain.backlog().nodes), (60, 0));
}

#[test]
fn the_last_one_of_a_domain_leaves_nothing() {
    let dropped = Arc::new(AtomicUsize::new(0));
    {
        let local = Local::of(Arc::new(Domain::new()));
        (0..20).for_each(|_| retire(&local, &local.pin(), counting(&dropped)));
    }
    assert_eq!(count(&dropped), 20);
}

#[test]
fn one_that_allocates_and_one_that_retires_do_not_grow_the_memory() {
    let domain = Arc::new(Domain::new());
    let (give, take) = mpsc::sync_channel::<usize>(64);
    let dropped = Arc::new(AtomicUsize::new(0));
    let consumer = thread::spawn({
        let domain = Arc::clone(&domain);
        move || {
            let local = Local::of(domain);
            for at in take {
                let node = NonNull::new(std::ptr::with_exposed_provenance_mut::<u8>(at));
                // SAFETY: the producer wrote a `Node` there and gave it away.
                unsafe { local.pin().retire(node.unwrap(), bury) };
            }
            local.flush();
        }
    });
    let local = Local::of(Arc::clone(&domain));
    for _ in 0..50_000 {
        let node = local.allocate(Layout::new::<Node>());
        let action: Option<Action> = Some(Box::new(counting(&dropped)));
        // SAFETY: the memory is for a `Node`.
        unsafe { node.cast::<Node>().write(Node { _header: 0, action }) };
        give.send(node.as_ptr().expose_provenance()).unwrap();
    }
    drop(give);
    consumer.join().unwrap();
    local.flush();
    assert_eq!((count(&dropped), domain.backlog().nodes), (50_000, 0));
    let pool = domain.backlog().pool_bytes;
    assert!(pool <= 4 * 32 * 1024, "{pool} bytes");
}

#[test]
fn readers_never_see_a_node_that_is_reclaimed() {
    use std::sync::atomic::AtomicPtr;
    const ALIVE: u64 = 0x5555_aaaa_5555_aaaa;
    unsafe fn wipe(node: NonNull<u8>) -> Layout {
        // SAFETY: it is a number that this test has put there.
        unsafe { node.cast::<u64>().write(0) };
        Layout::new::<[u64; 4]>()
    }
    let domain = Arc::new(Domain::new());
    let make = |local: &Local| {
        let node = local.allocate(Layout::new::<[u64; 4]>()).cast::<u64>();
        // SAFETY: the memory is for four numbers.
        unsafe { node.write(ALIVE) };
        node.as_ptr()
    };
    let first = Local::of(Arc::clone(&domain));
    let head = AtomicPtr::new(make(&first));
    let start = Barrier::new(4);
    let total = Mutex::new(0_u64);
    thread::scope(|scope| {
        for writes in [true, true, false, false] {
            let (domain, head, start, total) = (&domain, &head, &start, &total);
            scope.spawn(move || {
                let local = Local::of(Arc::clone(domain));
                start.wait();
                let mut pin = local.pin();
                for n in 0..if cfg!(miri) { 100 } else { 20_000_u64 } {
                    match n % 3 {
                        0 => pin.repin(),
                        _ => {
                            drop(pin);
                            pin = local.pin();
                        }
                    }
                    let seen = if writes {
                        let new = make(&local);
                        let old = head.swap(new, Ordering::AcqRel);
                        // SAFETY: it was unlinked here, and is retired once.
                        unsafe { pin.retire(NonNull::new(old).unwrap().cast(), wipe) };
                        old
                    } else {
                        head.load(Ordering::Acquire)
                    };
                    for _ in 0..n % 8 {
                        // SAFETY: it was found, or retired, under this pin.
                        assert_eq!(unsafe { seen.read_volatile() }, ALIVE);
                    }
                }
                drop(pin);
                *total.lock().unwrap() += 1;
            });
        }
    });
    assert_eq!(*total.lock().unwrap(), 4);
    let last = NonNull::new(head.into_inner()).unwrap().cast();
    // SAFETY: it came from `allocate`, and the threads that could use it have ended.
    unsafe { first.release(last, Layout::new::<[u64; 4]>()) };
}

mod of_the_thread {
    //! The functions that the transactions use, with the participant of the calling thread.

    use super::*;
    use std::cell::Cell;
    use weftwork_testkit::watchdog;

    fn retire(action: impl FnOnce() + Send + 'static) {
        let pin = reclaim::pin();
        let node = reclaim::allocate(Layout::new::<Node>());
        // SAFETY: the memory is for a `Node`, is found by nobody, and is retired once.
        unsafe {
            node.cast::<Node>().write(Node {
                _header: 7,
                action: Some(Box::new(action)),
            });
            reclaim::retire(&pin, node, bury);
        }
    }

    /// Flushes until the other tests of this process have let it happen.
    fn flush_until(counter: &AtomicUsize, n: usize) {
        let _dog = watchdog(Duration::from_secs(60));
        while count(counter) < n {
            reclaim::flush();
            thread::yield_now();
        }
        assert_eq!(count(counter), n);
    }

    #[test]
    fn nodes_of_every_size_and_alignment_come_and_go() {
        for size in [1, 16, 31, 32, 33, 48, 64, 96, 97, 128, 129, 4096] {
            for align in [1, 8, 16, 32, 256] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let nodes = [(); 100].map(|()| reclaim::allocate(layout));
                for (n, node) in nodes.iter().enumerate() {
                    assert!(node.addr().get().is_multiple_of(align));
                    // SAFETY: it is `size` bytes and ours.
                    unsafe { node.write_bytes(n as u8, size) };
                }
                for (n, node) in nodes.into_iter().enumerate() {
                    // SAFETY: as above; it was written to, and is given back once.
                    unsafe {
                        let bytes = NonNull::slice_from_raw_parts(node, size);
                        assert!(bytes.as_ref().iter().all(|&byte| byte == n as u8));
                        reclaim::release(node, layout);
                    }
                }
            }
        }
    }

    #[test]
    fn a_thread_that_ends_leaves_its_nodes_to_the_others() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let action = counting(&dropped);
        thread::spawn(|| retire(action)).join().unwrap();
        flush_until(&dropped, 1);
    }

    #[test]
    fn the_drop_of_a_thread_local_may_come_after_the_participants_end() {
        struct Late(Cell<Option<Arc<AtomicUsize>>>);
        impl Drop for Late {
            fn drop(&mut self) {
                let dropped = self.0.take().expect("it was set");
                // Several uses in one pin, and some without any.
                let outer = reclaim::pin();
                retire(counting(&dropped));
                retire(counting(&dropped));
                drop(outer);
                let layout = Layout::new::<Node>();
                let node = reclaim::allocate(layout);
                // SAFETY: it has just been allocated.
                unsafe { reclaim::release(node, layout) };
                reclaim::flush();
                retire(counting(&dropped));
            }
        }
        thread_local! {
            static LATE: Late = const { Late(Cell::new(None)) };
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        thread::spawn({
            let dropped = Arc::clone(&dropped);
            move || {
                // What is used first is dropped last.
                LATE.with(|late| late.0.set(Some(Arc::clone(&dropped))));
                retire(counting(&dropped));
            }
        })
        .join()
        .unwrap();
        flush_until(&dropped, 4);
    }

    #[test]
    fn a_panic_of_a_drop_comes_out_of_the_pin_that_collects() {
        let dropped = Arc::new(AtomicUsize::new(0));
        // A thread of its own: others could take the panic for theirs.
        let (panics, dropped) = thread::spawn(move || {
            let mut panics = 0;
            for n in 0..1000 {
                let action = counting(&dropped);
                let run = catch_unwind(AssertUnwindSafe(|| {
                    retire(move || {
                        action();
                        assert!(n != 3, "of the value's drop");
                    });
                }));
                panics += usize::from(run.is_err());
            }
            flush_until(&dropped, 1000);
            (panics, dropped)
        })
        .join()
        .unwrap();
        assert_eq!((panics, count(&dropped)), (1, 1000));
    }
}

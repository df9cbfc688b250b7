//! A program that starts actors for ever does not grow: a million of them (in a release build), with messages,
//! links, monitors, timers, names and groups, leave nothing behind.
//!
//! It counts the bytes that are allocated, so it has this one test. Under AddressSanitizer its check of leaks
//! is the whole of it: the tool keeps freed memory back, and the pools are off.

use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;
use weftwork_actor::groups::Scope;
use weftwork_actor::registry::Registry;
use weftwork_actor::{
    Actor, Addr, Context, DeferredHandler, Handler, InitError, Options, Pid, Reason, ReplyTo,
    System, start,
};
use weftwork_sched::Runtime;
use weftwork_testkit::{Counted, DropCounter, iters, watchdog};

/// The heap, with a count of what is allocated.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: the system's allocator does it all, as it wants it done; a count is kept besides.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's contract.
        unsafe { Heap.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's contract.
        unsafe { Heap.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

/// One of many.
struct Mayfly {
    kept: Option<ReplyTo<u64>>,
    _state: Counted<u64>,
}

impl Actor for Mayfly {
    type Args = Counted<u64>;
    fn init(state: Counted<u64>, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Mayfly {
            kept: None,
            _state: state,
        })
    }
}

#[derive(Clone, Copy)]
enum Do {
    Nothing,
    Link,
    Monitor,
    Timer,
    Child,
    Stash,
    Continue,
    Stop,
}

const ALL: [Do; 8] = [
    Do::Nothing,
    Do::Link,
    Do::Monitor,
    Do::Timer,
    Do::Child,
    Do::Stash,
    Do::Continue,
    Do::Stop,
];

/// What one is to do, perhaps with another one.
struct Order(Do, Pid, Counted<u64>);

impl Handler<Order> for Mayfly {
    type Reply = ();
    fn handle(&mut self, Order(work, other, counted): Order, ctx: &mut Context<Self>) {
        match work {
            Do::Nothing => {}
            // It may have ended: then there is no link, or a down at once.
            Do::Link => drop(ctx.link(&other)),
            Do::Monitor => drop(ctx.monitor(&other)),
            Do::Timer => {
                let hour = Duration::from_secs(3600);
                ctx.send_after(hour, Order(Do::Nothing, other, counted));
            }
            Do::Child => drop(ctx.spawn_link::<Mayfly>(counted, Options::new())),
            Do::Stash => ctx.stash(Order(Do::Nothing, other, counted)),
            Do::Continue => ctx.continue_with(Order(Do::Nothing, other, counted)),
            Do::Stop => ctx.stop(Reason::Normal),
        }
    }
}

/// A question that is kept until the end.
struct Keep;

impl DeferredHandler<Keep> for Mayfly {
    type Reply = u64;
    fn handle(&mut self, _: Keep, reply: ReplyTo<u64>, _: &mut Context<Self>) {
        self.kept = Some(reply);
    }
}

/// Starts and ends so many, a few at a time.
fn live_and_die(system: &System, many: usize, drops: &DropCounter) {
    let (names, groups) = (Registry::new(), Scope::new());
    let mut before: Option<Addr<Mayfly>> = None;
    for n in 0..many {
        let mut options = Options::new();
        if n % 4 == 0 {
            options = options.register(names.clone(), format!("mayfly {n}"));
        }
        let counted = drops.track(n as u64);
        let mayfly = start::<Mayfly>(system, counted, options).unwrap();
        if n % 4 == 1 {
            groups.join("mayflies", &mayfly.pid()).unwrap();
        }
        let other = before.as_ref().unwrap_or(&mayfly).pid();
        // It may have gone with the one that it was linked to, or stopped.
        for m in 0..2 {
            let work = ALL[(n / 3 + m * 5) % ALL.len()];
            let order = Order(work, other.clone(), drops.track(n as u64));
            drop(mayfly.try_tell(order));
        }
        if n % 16 == 2 {
            drop(mayfly.ask_timeout(Keep, Duration::from_micros(20)));
        }
        if let Some(before) = before.replace(mayfly) {
            match n % 3 {
                0 => before.kill(),
                1 => before.stop(Reason::Shutdown),
                _ => before.pid().exit(Reason::other("evening")),
            }
        }
    }
    if let Some(last) = before {
        let end = last.pid().watch();
        last.kill();
        end.wait_down();
    }
    while drops.live() > 0 {
        std::thread::yield_now();
    }
    assert!(names.registered().is_empty());
    assert!(groups.groups().is_empty());
}

#[test]
fn actors_leave_nothing_behind_however_many_there_were() {
    let _dog = watchdog(Duration::from_secs(240));
    let full = if cfg!(debug_assertions) {
        200_000
    } else {
        1_000_000
    };
    // The tool slows each down, and finds a leak in fewer.
    let short = if cfg!(weftwork_asan) { 20_000 } else { 100_000 };
    let many = iters(full, short, 1_000);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let system = System::new(runtime.handle());
    let drops = DropCounter::new();
    // Pools and tables grow to the size that they keep.
    live_and_die(&system, many / 5, &drops);
    let before = LIVE.load(Ordering::Relaxed);
    live_and_die(&system, many - many / 5, &drops);
    let grown = LIVE.load(Ordering::Relaxed) - before;
    println!("{many} actors, and {grown} bytes more than after a fifth of them");
    if cfg!(not(weftwork_asan)) {
        // Less than one byte for each; the pools breathe.
        assert!(grown < 1 << 19, "{grown} bytes");
    }
    drops.assert_none_live();
}

//! Measures what stacks and switches cost on this machine; the figures of `docs/design` come from
//! here.
//!
//! ```text
//! cargo run --release -p weftwork-fiber --example fiber_costs -- switch
//! cargo run --release -p weftwork-fiber --example fiber_costs -- create
//! cargo run --release -p weftwork-fiber --example fiber_costs -- parked [COUNT]
//! ```

use std::ptr;
use std::time::Instant;

use weftwork_fiber::{Context, Fiber, PoolConfig, SizeClass, Stack, StackPool, Suspender, switch};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("switch") => switches(),
        Some("create") => creation(),
        Some("parked") => {
            let count = arguments
                .get(1)
                .map_or(Ok(1_000_000), |count| count.parse());
            parked(count.expect("COUNT is a number"));
        }
        _ => {
            eprintln!("usage: fiber_costs switch | create | parked [COUNT]");
            std::process::exit(2);
        }
    }
}

/// Prints the best of several runs of `count` operations.
fn measure(name: &str, count: u32, mut run: impl FnMut(u32)) {
    let best = (0..7)
        .map(|_| {
            let start = Instant::now();
            run(count);
            start.elapsed()
        })
        .min()
        .expect("several runs");
    println!(
        "{name}: {:.2} ns",
        best.as_nanos() as f64 / f64::from(count)
    );
}

/// A thread and a flow of control that switch to each other.
struct Pair {
    thread: Context,
    flow: Context,
}

unsafe extern "C" fn bounce(pair: *mut ()) -> ! {
    // SAFETY: `switches` passes a pair that outlives the measurement.
    let pair = unsafe { &*pair.cast::<Pair>() };
    loop {
        // SAFETY: the thread waits in its switch.
        unsafe { switch(&pair.flow, &pair.thread) };
    }
}

fn switches() {
    let stack = StackPool::global()
        .allocate(SizeClass::default())
        .expect("a stack");
    let pair = Pair {
        thread: Context::for_thread(),
        flow: Context::for_thread(),
    };
    let arg = ptr::from_ref(&pair).cast_mut().cast();
    // SAFETY: the stack is ours, and is given back after the last switch.
    unsafe {
        pair.flow
            .prepare(stack.top().as_ptr(), stack.limit(), bounce, arg)
    };
    measure("switch there and back, raw", 10_000_000, |count| {
        for _ in 0..count {
            // SAFETY: the flow is fresh or waits in its switch.
            unsafe { switch(&pair.thread, &pair.flow) };
        }
    });
    let mut fiber = Fiber::new(|suspender: &Suspender<u32, u32>, mut value| -> () {
        loop {
            value = suspender.suspend(value);
        }
    })
    .expect("a fiber");
    measure("resume and suspend, Fiber", 10_000_000, |count| {
        for value in 0..count {
            assert_eq!(fiber.resume(value).into_yield(), Some(value));
        }
    });
}

fn creation() {
    let pool = StackPool::new(PoolConfig::new());
    measure("take a hot stack and give it back", 1_000_000, |count| {
        for _ in 0..count {
            drop(pool.allocate(SizeClass::KIB_256).expect("a stack"));
        }
    });
    measure(
        "create a fiber, run it to its end, drop it",
        1_000_000,
        |count| {
            for _ in 0..count {
                let mut fiber = Fiber::new(|_: &Suspender<u32, ()>, value| value).expect("a fiber");
                assert_eq!(fiber.resume(7).into_return(), Some(7));
            }
        },
    );
    // Few enough that all runs together stay within the budget of mappings.
    for (name, force) in [("MADV_GUARD_INSTALL", false), ("mprotect", true)] {
        measure(
            &format!("take a new stack, untouched, guarded by {name}"),
            3_000,
            |count| {
                let pool = StackPool::new(PoolConfig::new().force_mprotect(force));
                let stacks: Vec<Stack> = (0..count)
                    .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
                    .collect();
                // Unmapping is not measured.
                std::mem::forget((pool, stacks));
            },
        );
    }
}

/// Suspends many fibers and prints what the kernel says that they cost.
fn parked(count: usize) {
    let before = status();
    let start = Instant::now();
    let mut fibers = Vec::with_capacity(count);
    for number in 0..count {
        let stack = StackPool::global()
            .allocate(SizeClass::KIB_256)
            .expect("a stack");
        let body = move |suspender: &Suspender<(), usize>, ()| {
            suspender.suspend(number);
            number
        };
        let mut fiber = Fiber::with_stack(stack, body).expect("a fiber");
        assert_eq!(fiber.resume(()).into_yield(), Some(number));
        fibers.push(fiber);
    }
    let after = status();
    let per_fiber = |kib: usize| kib as f64 * 1024.0 / count as f64;
    println!(
        "suspended {count} fibers in {:.2} s",
        start.elapsed().as_secs_f64()
    );
    println!("resident set: {:.0} B each", per_fiber(after.0 - before.0));
    println!("page tables: {:.0} B each", per_fiber(after.1 - before.1));
    println!("mappings of the process: {}", mappings());
    let start = Instant::now();
    for (number, fiber) in fibers.iter_mut().enumerate() {
        assert_eq!(fiber.resume(()).into_return(), Some(number));
    }
    drop(fibers);
    println!(
        "resumed and dropped them in {:.2} s",
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    StackPool::global().trim();
    let (resident, tables) = status();
    println!("trimmed in {:.2} s", start.elapsed().as_secs_f64());
    println!(
        "left: {} KiB resident, {} KiB page tables",
        resident, tables
    );
}

/// Returns the resident set and the page tables of this process, in KiB.
fn status() -> (usize, usize) {
    let text = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let field = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a known field");
        let number = line.split_whitespace().nth(1).expect("a value");
        number.parse::<usize>().expect("a number")
    };
    (field("VmRSS:"), field("VmPTE:"))
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .expect("the kernel tells")
        .lines()
        .count()
}

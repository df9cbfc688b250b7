//! Giving memory back: high-water marks, trimming, unmapping.

use weftwork_fiber::{Fiber, PoolConfig, SizeClass, Stack, StackPool, Suspender, remaining_stack};

/// The size of a page.
fn page() -> usize {
    // SAFETY: no requirement.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a page has a size")
}

/// Touches the `bytes` below the top.
fn touch(stack: &Stack, bytes: usize) {
    let top = stack.top().as_ptr();
    for offset in (1..=bytes).step_by(page()).chain([bytes]) {
        // SAFETY: the stack is ours, nothing runs on it, and `bytes` is less than it has.
        unsafe { top.sub(offset).write(1) };
    }
}

/// Uses at least `bytes` of the stack.
#[inline(never)]
fn use_stack(bytes: usize) -> usize {
    let frame = std::hint::black_box([1_u8; 1024]);
    let rest = if bytes > 1024 {
        use_stack(bytes - 1024)
    } else {
        0
    };
    rest + usize::from(std::hint::black_box(frame)[0])
}

#[test]
fn the_high_water_mark_is_the_lowest_page_touched() {
    let stack = StackPool::default()
        .allocate(SizeClass::KIB_256)
        .expect("a stack");
    assert_eq!(stack.resident(), 0);
    touch(&stack, 1);
    assert!(
        (1..=page()).contains(&stack.resident()),
        "{}",
        stack.resident()
    );
    touch(&stack, 100 * 1024);
    let resident = stack.resident();
    assert!(
        (100 * 1024..=100 * 1024 + page()).contains(&resident),
        "{resident}"
    );
}

#[test]
fn a_fresh_fiber_touches_one_page() {
    let stack = StackPool::default()
        .allocate(SizeClass::KIB_256)
        .expect("a stack");
    let mut fiber = Fiber::with_stack(stack, |suspender: &Suspender<(), ()>, ()| {
        suspender.suspend(());
    })
    .expect("a fiber");
    assert!(fiber.stack().resident() <= page());
    fiber.resume(());
    // Unoptimised frames may be larger than a page; optimised ones are not.
    if cfg!(not(debug_assertions)) && cfg!(not(weftwork_asan)) {
        assert!(
            fiber.stack().resident() <= page(),
            "{}",
            fiber.stack().resident()
        );
    }
}

#[test]
fn trimming_below_a_stack_pointer_keeps_what_is_above() {
    let stack = StackPool::default()
        .allocate(SizeClass::KIB_256)
        .expect("a stack");
    touch(&stack, 200 * 1024);
    touch(&stack, 50 * 1024);
    let top = stack.top().as_ptr();
    // SAFETY: inside the stack.
    let sp = unsafe { top.sub(50 * 1024) };
    // SAFETY: nothing runs on the stack.
    let given = unsafe { stack.trim_below(sp) };
    assert!(
        given >= 140 * 1024 && given.is_multiple_of(page()),
        "{given}"
    );
    let resident = stack.resident();
    assert!(
        (50 * 1024..52 * 1024 + 2 * page()).contains(&resident),
        "{resident}"
    );
    // SAFETY: as above; both bytes are inside the stack.
    unsafe {
        assert_eq!(top.sub(50 * 1024).read(), 1);
        assert_eq!(top.sub(200 * 1024).read(), 0);
    }
    // SAFETY: nothing runs on the stack.
    assert_eq!(unsafe { stack.trim_below(stack.limit()) }, 0);
    // SAFETY: as above; the address is outside of the stack.
    assert_eq!(unsafe { stack.trim_below(top.wrapping_add(1 << 20)) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { stack.trim_below(std::ptr::null()) }, 0);
}

#[test]
fn a_suspended_fiber_survives_trimming_below_it() {
    let mut fiber = Fiber::new(|suspender: &Suspender<*const u8, (usize, usize)>, _| {
        let kept = std::hint::black_box([7_u8; 3000]);
        assert!(use_stack(64 * 1024) >= 64);
        let left = remaining_stack().expect("a fiber stack has a limit");
        suspender.suspend((left, 0));
        assert_eq!(std::hint::black_box(kept), [7_u8; 3000]);
        assert!(use_stack(64 * 1024) >= 64);
    })
    .expect("a fiber");
    let (left, _) = fiber.resume(std::ptr::null()).unwrap_yield();
    let before = fiber.stack().resident();
    // The fiber's frames end near the place where it asked what is left; be generous.
    let sp = fiber.stack().limit().wrapping_add(left - 4 * 1024);
    // SAFETY: the fiber is suspended in a frame close to the one that asked.
    let given = unsafe { fiber.stack().trim_below(sp) };
    // AddressSanitizer keeps large variables elsewhere.
    assert!(given > 32 * 1024 || cfg!(weftwork_asan), "{given}");
    assert_eq!(fiber.stack().resident(), before - given);
    fiber.resume(std::ptr::null()).unwrap_return();
}

#[test]
fn trim_gives_pages_back_and_keeps_the_hottest() {
    let pool = StackPool::new(PoolConfig::new().keep_hot(3));
    let stacks: Vec<_> = (0..10)
        .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
        .collect();
    for stack in &stacks {
        touch(stack, 20 * 1024);
    }
    drop(stacks);
    assert_eq!(pool.stats().hot, 10);
    assert_eq!(pool.trim(), 7);
    assert_eq!((pool.stats().hot, pool.stats().cold), (3, 7));
    let stacks: Vec<_> = (0..10)
        .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
        .collect();
    let resident: Vec<bool> = stacks.iter().map(|stack| stack.resident() > 0).collect();
    assert_eq!(
        resident,
        [
            true, true, true, false, false, false, false, false, false, false
        ]
    );
    // Their guards are still there: only the usable part was given back.
    for stack in &stacks {
        touch(stack, stack.usable());
    }
}

#[test]
fn a_full_cache_gives_pages_back_by_itself() {
    let pool = StackPool::new(PoolConfig::new().max_cached(100));
    let stacks: Vec<_> = (0..1000)
        .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
        .collect();
    drop(stacks);
    let stats = pool.stats();
    assert!(stats.hot <= 101, "{stats:?}");
    assert_eq!(stats.hot + stats.cold, 1000);
    let pool = StackPool::new(PoolConfig::new().max_cached(0));
    drop(pool.allocate(SizeClass::KIB_64).expect("a stack"));
    assert_eq!((pool.stats().hot, pool.stats().cold), (0, 1));
}

#[test]
fn trim_unmaps_slabs_without_stacks_and_they_come_back() {
    let class = SizeClass::at_least(10 << 20).expect("a class");
    let slots = 4; // of 16 MiB, in 64 MiB
    let pool = StackPool::new(PoolConfig::new().keep_hot(0));
    for _ in 0..3 {
        let mut stacks: Vec<_> = (0..5 * slots)
            .map(|_| pool.allocate(class).expect("a stack"))
            .collect();
        assert_eq!(pool.stats().slabs, 5);
        let kept = stacks.remove(0);
        touch(&kept, 4096);
        drop(stacks);
        pool.trim();
        let stats = pool.stats();
        assert_eq!((stats.slabs, stats.in_use, stats.cold), (1, 1, slots - 1));
        assert!(kept.resident() > 0);
        drop(kept);
        pool.trim();
        let stats = pool.stats();
        assert_eq!((stats.slabs, stats.mapped, stats.in_use), (0, 0, 0));
    }
}

#[test]
fn protected_guards_are_counted_until_their_slab_is_unmapped() {
    let class = SizeClass::at_least(10 << 20).expect("a class");
    let config = PoolConfig::new()
        .force_mprotect(true)
        .mprotect_budget(4)
        .keep_hot(0);
    let pool = StackPool::new(config);
    for _ in 0..3 {
        let stacks: Vec<_> = (0..4)
            .map(|_| pool.allocate(class).expect("a stack"))
            .collect();
        assert!(pool.allocate(class).is_err());
        assert_eq!(pool.stats().protected, 4);
        drop(stacks);
        pool.trim();
        assert_eq!(pool.stats().protected, 0);
    }
}

//! The stack pool: slots, colours, reuse, limits.

use std::collections::HashSet;
use std::sync::mpsc;

use weftwork_fiber::{GuardMode, PoolConfig, SizeClass, Stack, StackError, StackPool};

/// Writes to the first and the last word of the usable memory.
fn touch(stack: &Stack) {
    let first = stack.limit().cast::<u64>();
    // SAFETY: the stack is ours, and nothing runs on it.
    unsafe {
        first.write(1);
        let last = stack.top().as_ptr().cast::<u64>().sub(1);
        last.write(2);
        assert_eq!((first.read(), last.read()), (1, 2));
    }
}

#[test]
fn a_stack_is_usable_from_its_limit_to_its_top() {
    let pool = StackPool::default();
    for class in [SizeClass::KIB_64, SizeClass::KIB_256, SizeClass::MIB_1] {
        let stacks: Vec<_> = (0..40)
            .map(|_| pool.allocate(class).expect("a stack"))
            .collect();
        for stack in &stacks {
            touch(stack);
            assert_eq!(stack.top().as_ptr().addr() % 64, 0);
            assert!(stack.usable() >= class.slot_size() - 17 * 1024);
            assert_eq!(stack.class(), class);
        }
    }
}

#[test]
fn stacks_do_not_overlap() {
    let pool = StackPool::default();
    let stacks: Vec<_> = (0..100)
        .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
        .collect();
    let mut ranges: Vec<_> = stacks
        .iter()
        .map(|stack| (stack.limit().addr(), stack.top().as_ptr().addr()))
        .collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(
            pair[0].1 + 16 * 1024 <= pair[1].0,
            "no room for a guard: {pair:?}"
        );
    }
}

#[test]
fn tops_of_neighbours_have_different_colours_within_the_first_kibibyte() {
    let pool = StackPool::default();
    let stacks: Vec<_> = (0..64)
        .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
        .collect();
    let colours: Vec<usize> = stacks
        .iter()
        .map(|stack| {
            stack.top().as_ptr().addr().next_multiple_of(64 * 1024) - stack.top().as_ptr().addr()
        })
        .collect();
    assert!(
        colours
            .iter()
            .all(|colour| *colour < 1024 && colour % 64 == 0),
        "{colours:?}"
    );
    assert_eq!(colours.iter().collect::<HashSet<_>>().len(), 16);
    assert!(
        colours.windows(2).all(|pair| pair[0] != pair[1]),
        "{colours:?}"
    );
}

#[test]
fn the_stack_given_back_last_is_handed_out_first() {
    let pool = StackPool::default();
    let stacks: Vec<_> = (0..10)
        .map(|_| pool.allocate(SizeClass::KIB_256).expect("a stack"))
        .collect();
    let tops: Vec<_> = stacks.iter().map(Stack::top).collect();
    drop(stacks); // in order, so the last one is the hottest
    let again: Vec<_> = (0..10)
        .map(|_| pool.allocate(SizeClass::KIB_256).expect("a stack"))
        .collect();
    assert!(again.iter().map(Stack::top).eq(tops.into_iter().rev()));
}

#[test]
fn classes_do_not_mix() {
    let pool = StackPool::default();
    let small = pool.allocate(SizeClass::KIB_64).expect("a stack").top();
    let large = pool.allocate(SizeClass::MIB_1).expect("a stack");
    assert_ne!(large.top(), small);
    assert!(large.usable() > 1000 * 1024);
}

#[test]
fn a_slab_larger_than_usual_serves_very_large_stacks() {
    let class = SizeClass::at_least(100 << 20).expect("a class");
    assert_eq!(class.slot_size(), 128 << 20);
    let pool = StackPool::default();
    let stacks = [
        pool.allocate(class).expect("a stack"),
        pool.allocate(class).expect("a stack"),
    ];
    stacks.iter().for_each(touch);
    assert_eq!(pool.stats().mapped, 256 << 20);
}

#[test]
fn a_stack_outlives_its_pool() {
    let pool = StackPool::default();
    let stack = pool.allocate(SizeClass::KIB_64).expect("a stack");
    drop(pool);
    touch(&stack);
}

#[test]
fn a_stack_may_be_dropped_by_another_thread() {
    let pool = StackPool::default();
    let stack = pool.allocate(SizeClass::KIB_64).expect("a stack");
    let top = stack.top().as_ptr().addr();
    std::thread::spawn(move || {
        touch(&stack);
        drop(stack);
    })
    .join()
    .expect("the thread ends well");
    assert_eq!(
        pool.allocate(SizeClass::KIB_64)
            .expect("a stack")
            .top()
            .as_ptr()
            .addr(),
        top
    );
}

#[test]
fn absurd_sizes_have_clear_errors() {
    assert!(matches!(SizeClass::at_least(0), Err(StackError::Zero)));
    assert!(matches!(
        SizeClass::at_least(usize::MAX),
        Err(StackError::TooLarge { requested: usize::MAX, largest }) if largest > 1 << 35
    ));
    assert_eq!(
        SizeClass::at_least(1).expect("a class"),
        SizeClass::SMALLEST
    );
    let message = SizeClass::at_least(0)
        .expect_err("zero is refused")
        .to_string();
    assert_eq!(message, "a stack of zero bytes was asked for");
}

#[test]
fn every_class_holds_what_was_asked_for() {
    let pool = StackPool::default();
    for bytes in [
        1,
        1000,
        47 * 1024,
        48 * 1024,
        64 * 1024,
        1 << 20,
        (1 << 20) + 1,
        3 << 20,
    ] {
        let class = SizeClass::at_least(bytes).expect("a class");
        assert!(
            pool.allocate(class).expect("a stack").usable() >= bytes,
            "{bytes}"
        );
    }
}

#[test]
fn a_guard_that_leaves_nothing_is_an_error_and_others_work() {
    let pool = StackPool::new(PoolConfig::new().guard(60 * 1024));
    assert!(matches!(
        pool.allocate(SizeClass::KIB_64),
        Err(StackError::GuardTooLarge { guard, slot }) if guard == 60 * 1024 && slot == 64 * 1024
    ));
    let stack = pool
        .allocate(SizeClass::KIB_256)
        .expect("a larger slot has room");
    assert!(stack.usable() >= 195 * 1024);
    let pool = StackPool::new(PoolConfig::new().guard(usize::MAX));
    assert!(matches!(
        pool.allocate(SizeClass::LARGEST),
        Err(StackError::GuardTooLarge { .. })
    ));
    let pool = StackPool::new(PoolConfig::new().guard(0));
    touch(
        &pool
            .allocate(SizeClass::KIB_64)
            .expect("no guard at all is not to be had"),
    );
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn the_budget_of_protected_guards_is_an_error_and_loses_nothing() {
    let config = PoolConfig::new().force_mprotect(true).mprotect_budget(5);
    let pool = StackPool::new(config);
    assert_eq!(pool.stats().guard_mode, GuardMode::Protection);
    let mut stacks: Vec<_> = (0..5)
        .map(|_| pool.allocate(SizeClass::KIB_64).expect("within the budget"))
        .collect();
    for class in [SizeClass::KIB_64, SizeClass::KIB_256] {
        let error = pool.allocate(class).expect_err("beyond the budget");
        assert!(matches!(error, StackError::Budget { stacks: 5 }), "{error}");
        assert!(error.to_string().contains("vm.max_map_count"), "{error}");
    }
    stacks.iter().for_each(touch);
    stacks.pop();
    let stack = pool
        .allocate(SizeClass::KIB_64)
        .expect("one was given back");
    assert_eq!(pool.stats().in_use, 5);
    assert_eq!(pool.stats().protected, 5);
    drop((stacks, stack));
    assert_eq!(pool.stats().protected, 5);
}

#[test]
fn a_pool_is_shared_between_threads() {
    let pool = StackPool::default();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (pool, sender) = (pool.clone(), sender.clone());
            scope.spawn(move || {
                for round in 0..200 {
                    let stacks: Vec<_> = (0..round % 7 + 1)
                        .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
                        .collect();
                    stacks.iter().for_each(touch);
                    if round % 3 == 0 {
                        stacks
                            .into_iter()
                            .for_each(|stack| sender.send(stack).expect("open"));
                    } else if round % 10 == 1 {
                        pool.trim();
                    }
                }
            });
        }
        drop(sender);
        for stack in receiver {
            touch(&stack);
        }
    });
    let stats = pool.stats();
    assert_eq!(stats.in_use, 0);
    assert!(stats.hot + stats.cold <= 1024 * stats.slabs);
}

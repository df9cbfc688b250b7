//! Any order of allocating, giving back and trimming, against a model.

use std::collections::HashMap;

use proptest::prelude::*;
use weftwork_fiber::{PoolConfig, SizeClass, Stack, StackPool};

#[derive(Clone, Debug)]
enum Step {
    Allocate(SizeClass),
    /// Gives back the stack at this position, modulo the number of stacks.
    Free(usize),
    Trim,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let class = prop_oneof![
        Just(SizeClass::KIB_64),
        Just(SizeClass::KIB_256),
        Just(SizeClass::MIB_1),
        Just(SizeClass::at_least(30 << 20).expect("a class")),
    ];
    let step = prop_oneof![
        5 => class.prop_map(Step::Allocate),
        4 => any::<usize>().prop_map(Step::Free),
        1 => Just(Step::Trim),
    ];
    proptest::collection::vec(step, 1..200)
}

/// The word at the top of a stack.
fn mark(stack: &Stack) -> *mut u64 {
    stack.top().as_ptr().cast::<u64>().wrapping_sub(1)
}

fn check(config: PoolConfig, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let pool = StackPool::new(config);
    let mut stacks: Vec<(Stack, u64)> = Vec::new();
    let mut owners: HashMap<usize, u64> = HashMap::new();
    for (value, step) in (0_u64..).zip(steps) {
        match step {
            Step::Allocate(class) => {
                let stack = pool.allocate(class).expect("a stack");
                let owner = owners.insert(stack.top().as_ptr().addr(), value);
                prop_assert_eq!(owner, None, "a stack was handed out twice");
                // SAFETY: the stack is ours, and nothing runs on it.
                unsafe { mark(&stack).write(value) };
                stacks.push((stack, value));
            }
            Step::Free(position) if !stacks.is_empty() => {
                let (stack, _) = stacks.swap_remove(position % stacks.len());
                owners.remove(&stack.top().as_ptr().addr());
            }
            Step::Free(_) => {}
            Step::Trim => {
                pool.trim();
            }
        }
        let stats = pool.stats();
        prop_assert_eq!(stats.in_use, stacks.len());
        for (stack, value) in &stacks {
            // SAFETY: as above.
            prop_assert_eq!(unsafe { mark(stack).read() }, *value);
        }
    }
    drop(stacks);
    pool.trim();
    prop_assert_eq!(pool.stats().in_use, 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn stacks_are_exclusive_and_keep_their_contents(steps in steps()) {
        check(PoolConfig::new().keep_hot(2), steps)?;
    }

    #[test]
    fn they_do_so_with_protected_guards_and_a_small_cache(steps in steps()) {
        check(PoolConfig::new().force_mprotect(true).max_cached(3).keep_hot(0), steps)?;
    }
}

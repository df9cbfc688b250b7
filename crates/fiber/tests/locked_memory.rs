//! A process that locks its memory gets guards by `mprotect`. Alone in its process, for it locks it.

// Checkers map far more than can be locked.
#![cfg(all(
    target_os = "linux",
    not(any(weftwork_asan, weftwork_tsan, weftwork_valgrind))
))]

use weftwork_fiber::{Fiber, GuardMode, SizeClass, StackError, StackPool, Suspender};

#[test]
fn locked_memory_gets_protected_guards_for_the_rest_of_the_processes_life() {
    let pool = StackPool::default();
    let early = pool.allocate(SizeClass::KIB_64).expect("a stack");
    let mode = pool.stats().guard_mode;

    // SAFETY: locking what will be mapped changes no contents.
    let locked = unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) } == 0;
    let late = pool.allocate(SizeClass::MIB_1);
    // SAFETY: as above.
    unsafe { libc::munlockall() };
    let late = match late {
        Ok(late) => late,
        // Without privileges a process may lock less than a slab.
        Err(StackError::Kernel(error)) => {
            println!("this process may not lock a slab: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    if locked {
        assert_eq!(pool.stats().guard_mode, GuardMode::Protection);
        assert!(pool.stats().protected >= 1);
    } else {
        assert_eq!(pool.stats().guard_mode, mode);
    }

    // Stacks of both kinds work, and so do those that come afterwards.
    let last = pool.allocate(SizeClass::KIB_256).expect("a stack");
    for stack in [early, late, last] {
        let mut fiber = Fiber::with_stack(stack, |suspender: &Suspender<(), u32>, ()| {
            suspender.suspend(1);
        })
        .expect("a fiber");
        assert_eq!(fiber.next(), Some(1));
        assert_eq!(fiber.next(), None);
    }
    assert_eq!(pool.stats().in_use, 0);
}

//! Running on a further segment when the stack is nearly used up.

use std::panic::{self, AssertUnwindSafe};

use weftwork_fiber::{
    Fiber, FiberState, SizeClass, StackError, StackPool, Suspender, grow, remaining_stack, try_grow,
};

const RED_ZONE: usize = 24 * 1024;

/// Recurses `levels` deep with frames of a kilobyte, calling `last` at the end.
fn deep<R>(levels: usize, last: &mut dyn FnMut() -> R) -> R {
    let ballast = std::hint::black_box([levels as u8; 1024]);
    let result = grow(RED_ZONE, 128 * 1024, || match levels {
        0 => last(),
        _ => deep(levels - 1, last),
    });
    assert!(
        std::hint::black_box(ballast)
            .iter()
            .all(|byte| *byte == levels as u8)
    );
    result
}

/// Runs a closure in a fiber with a small stack.
fn in_small_fiber<R: 'static>(f: impl FnOnce() -> R + 'static) -> R {
    let stack = StackPool::global()
        .allocate(SizeClass::KIB_64)
        .expect("a stack");
    let mut fiber = Fiber::with_stack(stack, |_: &Suspender<(), ()>, ()| f()).expect("a fiber");
    fiber.resume(()).unwrap_return()
}

#[test]
fn recursion_goes_far_beyond_the_slot() {
    assert_eq!(in_small_fiber(|| deep(5_000, &mut || 17)), 17);
}

#[test]
fn recursion_goes_beyond_a_threads_own_stack() {
    let thread = std::thread::Builder::new().stack_size(128 * 1024);
    let thread = thread.spawn(|| deep(5_000, &mut || 18)).expect("a thread");
    assert_eq!(thread.join().expect("the thread ends well"), 18);
}

#[test]
fn enough_stack_means_no_segment() {
    in_small_fiber(|| {
        let before = remaining_stack().expect("a fiber stack has a limit");
        let inside = grow(1024, 1 << 20, remaining_stack).expect("as before");
        assert!(before.abs_diff(inside) < 8 * 1024, "{before} {inside}");
    });
}

#[test]
fn the_segment_has_the_size_asked_for() {
    for size in [1, 100_000, 1 << 20, 5 << 20] {
        let left = grow(usize::MAX, size, remaining_stack).expect("a segment has a limit");
        // What frames between have used is small.
        assert!(left + 8 * 1024 >= size, "{left} {size}");
    }
    assert_eq!(remaining_stack(), None);
}

#[test]
fn a_panic_leaves_the_segments() {
    let before = remaining_stack();
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        deep(1_000, &mut || panic::resume_unwind(Box::new("at the end")));
    }));
    let payload = result.expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"at the end"));
    assert_eq!(remaining_stack(), before);
}

#[test]
fn a_fiber_is_suspended_and_resumed_on_a_segment() {
    let stack = StackPool::global()
        .allocate(SizeClass::KIB_64)
        .expect("a stack");
    let mut fiber = Fiber::with_stack(stack, |suspender: &Suspender<u32, Option<usize>>, first| {
        let mut sum = first;
        deep(300, &mut || {
            for _ in 0..3 {
                sum += suspender.suspend(remaining_stack());
            }
        });
        sum
    })
    .expect("a fiber");
    for value in 1..=3 {
        let left = fiber
            .resume(value)
            .unwrap_yield()
            .expect("a segment has a limit");
        assert!(left < 256 * 1024);
        assert_eq!(remaining_stack(), None);
        grow(usize::MAX, 1 << 20, || {
            assert!(remaining_stack().is_some_and(|left| left > 900 * 1024));
        });
    }
    assert_eq!(fiber.resume(4), FiberState::Return(10));
}

#[test]
#[cfg(panic = "unwind")]
fn a_fiber_suspended_on_segments_is_unwound() {
    let mut fiber = Fiber::new(|suspender: &Suspender<(), ()>, ()| {
        let text = String::from("dropped by unwinding");
        deep(2_000, &mut || suspender.suspend(()));
        drop(text);
    })
    .expect("a fiber");
    fiber.resume(());
    drop(fiber);
    assert_eq!(remaining_stack(), None);
}

#[test]
fn a_backtrace_crosses_a_segment() {
    #[inline(never)]
    fn below_the_segment() -> String {
        let trace = grow(usize::MAX, 1 << 20, || {
            std::backtrace::Backtrace::force_capture().to_string()
        });
        std::hint::black_box(trace)
    }

    let trace = below_the_segment();
    let (call, below) = (trace.find("call_on"), trace.rfind("below_the_segment\n"));
    assert!(call.is_some() && below.is_some() && call < below, "{trace}");
}

#[test]
fn a_size_that_cannot_be_had_hands_the_closure_back() {
    let text = String::from("not lost");
    let error = try_grow(usize::MAX, 0, move || text).expect_err("zero is refused");
    assert!(matches!(error.reason(), StackError::Zero), "{error}");
    assert_eq!(error.into_inner()(), "not lost");
    let error = try_grow(usize::MAX, usize::MAX, || 5).expect_err("too large");
    assert!(
        matches!(error.reason(), StackError::TooLarge { .. }),
        "{error}"
    );
    assert_eq!(error.into_inner()(), 5);
}

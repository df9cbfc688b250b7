//! The safe coroutine: passing values, finishing, panics, backtraces.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use weftwork_fiber::{Fiber, FiberState, SizeClass, StackError, StackPool, Suspender};

#[test]
fn values_pass_in_and_out_in_order() {
    let mut fiber = Fiber::new(|suspender: &Suspender<String, usize>, first: String| {
        let second = suspender.suspend(first.len());
        let third = suspender.suspend(second.len());
        [first, second, third].concat()
    })
    .expect("a fiber");
    assert!(!fiber.is_started());
    assert_eq!(fiber.resume("a".to_owned()), FiberState::Yield(1));
    assert!(fiber.is_started());
    assert_eq!(fiber.resume("bc".to_owned()), FiberState::Yield(2));
    assert!(!fiber.is_finished());
    assert_eq!(
        fiber.resume("def".to_owned()),
        FiberState::Return("abcdef".to_owned())
    );
    assert!(fiber.is_finished());
}

#[test]
fn large_and_aligned_values_pass() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    #[repr(align(256))]
    struct Block([u64; 512]);

    let mut fiber = Fiber::new(|suspender: &Suspender<Block, Block>, first: Block| {
        assert_eq!((&raw const first).addr() % 256, 0);
        suspender.suspend(first)
    })
    .expect("a fiber");
    assert_eq!(
        fiber.resume(Block([1; 512])),
        FiberState::Yield(Block([1; 512]))
    );
    assert_eq!(
        fiber.resume(Block([2; 512])),
        FiberState::Return(Block([2; 512]))
    );
}

#[test]
fn a_fiber_resumes_another_one() {
    let mut outer = Fiber::new(|suspender: &Suspender<(), u32>, ()| {
        let inner = Fiber::new(|suspender: &Suspender<(), u32>, ()| {
            for value in 0..3 {
                suspender.suspend(value);
            }
        })
        .expect("a fiber");
        for value in inner {
            suspender.suspend(value * 10);
        }
    })
    .expect("a fiber");
    assert_eq!(outer.by_ref().collect::<Vec<_>>(), [0, 10, 20]);
    assert_eq!(outer.next(), None);
}

#[test]
fn many_fibers_interleave() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let mut fibers: Vec<_> = (0..100)
        .map(|name| {
            let log = log.clone();
            Fiber::new(move |suspender: &Suspender<(), ()>, ()| {
                for turn in 0..10 {
                    log.borrow_mut().push((turn, name));
                    suspender.suspend(());
                }
            })
            .expect("a fiber")
        })
        .collect();
    for _ in 0..11 {
        for fiber in &mut fibers {
            fiber.resume(());
        }
    }
    assert!(fibers.iter().all(Fiber::is_finished));
    let expected: Vec<_> = (0..10)
        .flat_map(|turn| (0..100).map(move |name| (turn, name)))
        .collect();
    assert_eq!(*log.borrow(), expected);
}

#[test]
fn a_panic_goes_on_in_the_resumer() {
    let mut fiber = Fiber::new(|suspender: &Suspender<(), ()>, ()| {
        suspender.suspend(());
        panic::resume_unwind(Box::new(42_u32));
    })
    .expect("a fiber");
    fiber.resume(());
    let result = panic::catch_unwind(AssertUnwindSafe(|| fiber.resume(())));
    let payload = result.expect_err("the panic propagates");
    assert_eq!(payload.downcast_ref::<u32>(), Some(&42));
    assert!(fiber.is_finished());
    assert!(!std::thread::panicking());
}

#[test]
fn a_panic_crosses_nested_fibers() {
    let mut outer = Fiber::new(|_: &Suspender<(), ()>, ()| {
        let mut inner = Fiber::new(|_: &Suspender<(), ()>, ()| {
            panic::resume_unwind(Box::new("deep"));
        })
        .expect("a fiber");
        inner.resume(());
    })
    .expect("a fiber");
    let result = panic::catch_unwind(AssertUnwindSafe(|| outer.resume(())));
    assert_eq!(
        result.expect_err("it panics").downcast_ref::<&str>(),
        Some(&"deep")
    );
}

#[test]
#[should_panic(expected = "the caller must not resume it after `Return` or a panic")]
fn resuming_a_finished_fiber_blames_the_caller() {
    let mut fiber = Fiber::new(|_: &Suspender<(), ()>, ()| ()).expect("a fiber");
    assert_eq!(fiber.resume(()), FiberState::Return(()));
    fiber.resume(());
}

#[test]
fn a_finished_iterator_stays_finished_after_a_panic() {
    let mut fiber = Fiber::new(|_: &Suspender<(), u8>, ()| {
        panic::resume_unwind(Box::new(()));
    })
    .expect("a fiber");
    assert!(panic::catch_unwind(AssertUnwindSafe(|| fiber.next())).is_err());
    assert_eq!(fiber.next(), None);
    assert_eq!(fiber.next(), None);
}

#[test]
fn a_closure_that_does_not_fit_is_handed_back_with_the_stack() {
    let stack = StackPool::default()
        .allocate(SizeClass::KIB_64)
        .expect("a stack");
    let top = stack.top();
    let ballast = [7_u8; 60 * 1024];
    let error = Fiber::with_stack(stack, move |_: &Suspender<(), ()>, ()| ballast.len())
        .expect_err("the closure is larger than the stack");
    assert!(matches!(error.reason(), StackError::TooSmall { needed, usable } if needed > usable));
    let (_, body, stack) = error.into_parts();
    let stack = stack.expect("the stack comes back");
    assert_eq!(stack.top(), top);
    drop(stack);

    let large = SizeClass::at_least(256 * 1024).expect("a class");
    let stack = StackPool::default().allocate(large).expect("a stack");
    let mut fiber = Fiber::with_stack(stack, body).expect("the closure fits now");
    assert_eq!(fiber.resume(()), FiberState::Return(60 * 1024));
}

#[test]
fn a_backtrace_goes_on_in_the_resumer() {
    #[inline(never)]
    fn the_resumer_is_here(fiber: &mut Fiber<(), (), String>) -> FiberState<(), String> {
        let state = fiber.resume(());
        std::hint::black_box(state)
    }

    let mut fiber = Fiber::new(|suspender: &Suspender<(), ()>, ()| {
        suspender.suspend(());
        std::backtrace::Backtrace::force_capture().to_string()
    })
    .expect("a fiber");
    fiber.resume(());
    let trace = the_resumer_is_here(&mut fiber).unwrap_return();
    let position = |name: &str| {
        trace
            .find(name)
            .unwrap_or_else(|| panic!("no {name} in\n{trace}"))
    };
    assert!(
        position("start_linked") < position("the_resumer_is_here"),
        "{trace}"
    );
    // The chain goes on to the root of the thread.
    assert!(
        position("the_resumer_is_here") < position("__rust_begin_short_backtrace"),
        "{trace}"
    );
}

#[test]
fn a_stack_is_reused_after_its_fiber() {
    let pool = StackPool::default();
    let stack = pool.allocate(SizeClass::KIB_64).expect("a stack");
    let top = stack.top();
    let fiber = Fiber::with_stack(stack, |_: &Suspender<(), ()>, ()| ()).expect("a fiber");
    let stack = fiber
        .into_stack()
        .expect("a fresh fiber gives its stack back");
    assert_eq!(stack.top(), top);
    let mut fiber = Fiber::with_stack(stack, |suspender: &Suspender<(), ()>, ()| {
        suspender.suspend(());
    })
    .expect("a fiber");
    fiber.resume(());
    drop(fiber);
    assert_eq!(pool.stats().in_use, 0);
    assert_eq!(
        pool.allocate(SizeClass::KIB_64).expect("a stack").top(),
        top
    );
}

#[test]
fn a_fiber_in_a_thread_local_is_unwound_when_its_thread_ends() {
    struct Report(std::sync::mpsc::Sender<()>);
    impl Drop for Report {
        fn drop(&mut self) {
            self.0.send(()).expect("the test waits");
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<Fiber<(), (), ()>>> = const { RefCell::new(None) };
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut fiber = Fiber::new(move |suspender: &Suspender<(), ()>, ()| {
            let _report = Report(sender);
            suspender.suspend(());
        })
        .expect("a fiber");
        fiber.resume(());
        KEPT.set(Some(fiber));
    })
    .join()
    .expect("the thread ends well");
    assert_eq!(receiver.try_recv(), Ok(()));
}

#[test]
fn thread_locals_are_those_of_the_thread() {
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }
    let mut fiber = Fiber::new(|suspender: &Suspender<(), u32>, ()| {
        loop {
            COUNT.set(COUNT.get() + 1);
            suspender.suspend(COUNT.get());
        }
    })
    .expect("a fiber");
    assert_eq!(fiber.resume(()), FiberState::<u32, ()>::Yield(1));
    COUNT.set(10);
    assert_eq!(fiber.resume(()), FiberState::Yield(11));
    assert_eq!(COUNT.get(), 11);
}

#[test]
fn a_suspender_may_be_called_from_a_nested_fiber() {
    // The whole nest is suspended and resumed as one. A thread-local pointer stands for what scoped
    // thread-local variables let safe code do.
    thread_local! {
        static OUTER: Cell<*const Suspender<u32, u32>> = const { Cell::new(std::ptr::null()) };
    }
    let mut outer = Fiber::new(|suspender: &Suspender<u32, u32>, first| {
        OUTER.set(suspender);
        let mut inner = Fiber::new(|_: &Suspender<u32, u32>, value| {
            // SAFETY: the outer fiber waits for this one, so its suspender exists.
            unsafe { (*OUTER.get()).suspend(value + 1) }
        })
        .expect("a fiber");
        inner.resume(first).unwrap_return()
    })
    .expect("a fiber");
    assert_eq!(outer.resume(1), FiberState::Yield(2));
    assert_eq!(outer.resume(7), FiberState::Return(7));
}

#[test]
#[should_panic(expected = "its suspender was called from outside")]
fn a_suspender_that_was_smuggled_out_is_refused() {
    let mut fiber = Fiber::new(|suspender: &Suspender<(), *const Suspender<(), ()>>, ()| {
        // The types differ; only the address counts, which scoped thread-local variables let safe
        // code carry out of the fiber.
        suspender.suspend(std::ptr::from_ref(suspender).cast());
    })
    .expect("a fiber");
    let smuggled = fiber.resume(()).unwrap_yield();
    let smuggled = smuggled.cast::<Suspender<(), *const Suspender<(), ()>>>();
    // SAFETY: the fiber is suspended, so its suspender exists.
    unsafe { (*smuggled).suspend(std::ptr::null()) };
}

//! Dropping a suspended fiber unwinds it.

#![cfg(panic = "unwind")]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use weftwork_fiber::{Fiber, FiberState, SizeClass, StackPool, Suspender};

/// Adds one to a counter when dropped.
struct Count(Rc<Cell<u32>>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn counter() -> (Rc<Cell<u32>>, impl Fn() -> Count) {
    let count = Rc::new(Cell::new(0));
    let shared = count.clone();
    (count, move || Count(shared.clone()))
}

#[test]
fn dropping_a_suspended_fiber_runs_the_destructors_on_its_stack() {
    let (dropped, count) = counter();
    let captured = count();
    let mut fiber = Fiber::new(move |suspender: &Suspender<Count, ()>, first| {
        let _captured = captured;
        let _second = suspender.suspend(());
        let _boxed = Box::new(first);
        suspender.suspend(());
        unreachable!("the fiber is not resumed any more");
    })
    .expect("a fiber");
    let _: FiberState<(), ()> = fiber.resume(count());
    fiber.resume(count());
    assert_eq!(dropped.get(), 0);
    drop(fiber);
    assert_eq!(dropped.get(), 3);
    assert!(!std::thread::panicking());
}

#[test]
fn dropping_a_fresh_fiber_drops_the_closure_and_runs_nothing() {
    let (dropped, count) = counter();
    let captured = count();
    let fiber = Fiber::new(move |_: &Suspender<(), ()>, ()| {
        let _captured = &captured;
        unreachable!("the fiber is never resumed");
    })
    .expect("a fiber");
    let _: &Fiber<(), (), ()> = &fiber;
    drop(fiber);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn dropping_a_finished_fiber_drops_nothing_twice() {
    let (dropped, count) = counter();
    let mut fiber =
        Fiber::new(|suspender: &Suspender<Count, Count>, first| suspender.suspend(first))
            .expect("a fiber");
    let yielded = fiber.resume(count());
    let returned = fiber.resume(count());
    drop(fiber);
    assert_eq!(dropped.get(), 0);
    drop((yielded, returned));
    assert_eq!(dropped.get(), 2);
}

#[test]
fn a_fiber_that_catches_the_unwinding_is_made_to_panic_again() {
    let (dropped, count) = counter();
    let caught = Rc::new(Cell::new(0));
    let catches = caught.clone();
    let value = count();
    let mut fiber = Fiber::new(move |suspender: &Suspender<(), ()>, ()| {
        let _value = value;
        for _ in 0..3 {
            if panic::catch_unwind(AssertUnwindSafe(|| suspender.suspend(()))).is_err() {
                catches.set(catches.get() + 1);
            }
        }
        suspender.suspend(());
        unreachable!("suspending does not return while the fiber is dropped");
    })
    .expect("a fiber");
    let _: FiberState<(), ()> = fiber.resume(());
    drop(fiber);
    assert_eq!(caught.get(), 3);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_fiber_may_return_although_it_is_unwound() {
    let (dropped, count) = counter();
    let value = count();
    let mut fiber = Fiber::new(move |suspender: &Suspender<(), ()>, ()| {
        let _ = panic::catch_unwind(AssertUnwindSafe(|| suspender.suspend(())));
        value
    })
    .expect("a fiber");
    let _: FiberState<(), Count> = fiber.resume(());
    drop(fiber);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_panic_of_a_destructor_goes_on_in_whoever_drops_the_fiber() {
    let pool = StackPool::default();
    let stack = pool.allocate(SizeClass::default()).expect("a stack");
    let mut fiber = Fiber::with_stack(stack, |suspender: &Suspender<(), ()>, ()| {
        if panic::catch_unwind(AssertUnwindSafe(|| suspender.suspend(()))).is_err() {
            panic::resume_unwind(Box::new("changed my mind"));
        }
    })
    .expect("a fiber");
    fiber.resume(());
    let result = panic::catch_unwind(AssertUnwindSafe(|| drop(fiber)));
    let payload = result.expect_err("the panic propagates");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"changed my mind"));
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn a_panic_of_a_fresh_closures_destructor_goes_on_and_loses_no_stack() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic::resume_unwind(Box::new("bomb"));
        }
    }
    let pool = StackPool::default();
    let stack = pool.allocate(SizeClass::default()).expect("a stack");
    let bomb = Bomb;
    let fiber = Fiber::with_stack(stack, move |_: &Suspender<(), ()>, ()| {
        let _bomb = &bomb;
    })
    .expect("a fiber");
    let result = panic::catch_unwind(AssertUnwindSafe(|| drop(fiber)));
    assert_eq!(
        result.expect_err("it panics").downcast_ref::<&str>(),
        Some(&"bomb")
    );
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn fibers_are_unwound_while_their_owner_is_unwinding() {
    let (dropped, count) = counter();
    let value = count();
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut fiber = Fiber::new(move |suspender: &Suspender<(), ()>, ()| {
            let _value = value;
            suspender.suspend(());
        })
        .expect("a fiber");
        fiber.resume(());
        panic::resume_unwind(Box::new("owner"));
    }));
    assert_eq!(
        result.expect_err("it panics").downcast_ref::<&str>(),
        Some(&"owner")
    );
    assert_eq!(dropped.get(), 1);
    assert!(!std::thread::panicking());
}

#[test]
fn a_fiber_runs_inside_a_destructor_that_unwinding_calls() {
    struct Resumes(Fiber<(), u32, ()>, Rc<Cell<u32>>);
    impl Drop for Resumes {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            self.1.set(self.0.resume(()).unwrap_yield());
        }
    }
    let seen = Rc::new(Cell::new(0));
    let fiber = Fiber::new(|suspender: &Suspender<(), u32>, ()| {
        suspender.suspend(5);
    })
    .expect("a fiber");
    let resumes = Resumes(fiber, seen.clone());
    let result = panic::catch_unwind(AssertUnwindSafe(move || {
        let _resumes = resumes;
        panic::resume_unwind(Box::new(()));
    }));
    assert!(result.is_err());
    assert_eq!(seen.get(), 5);
}

#[test]
fn suspending_from_a_destructor_while_unwinding_is_refused() {
    struct Suspends(*const Suspender<(), ()>, Rc<Cell<bool>>);
    impl Drop for Suspends {
        fn drop(&mut self) {
            let suspender = self.0;
            // SAFETY: the suspender lives as long as the closure's call.
            let call = || unsafe { (*suspender).suspend(()) };
            self.1
                .set(panic::catch_unwind(AssertUnwindSafe(call)).is_err());
        }
    }
    let refused = Rc::new(Cell::new(false));
    let result = refused.clone();
    let mut fiber = Fiber::new(move |suspender: &Suspender<(), ()>, ()| {
        let _suspends = Suspends(suspender, result);
        panic::resume_unwind(Box::new(()));
    })
    .expect("a fiber");
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| fiber.resume(())));
    let _: Result<FiberState<(), ()>, _> = outcome;
    assert!(refused.get());
    assert!(fiber.is_finished());
}

#[test]
fn a_forgotten_fiber_keeps_its_stack_out_of_the_pool() {
    let pool = StackPool::default();
    let stack = pool.allocate(SizeClass::KIB_64).expect("a stack");
    let top = stack.top();
    let mut fiber = Fiber::with_stack(stack, |suspender: &Suspender<(), ()>, ()| {
        suspender.suspend(());
    })
    .expect("a fiber");
    fiber.resume(());
    let forgotten = ManuallyDrop::new(fiber);
    assert_eq!(pool.stats().in_use, 1);
    assert_ne!(
        pool.allocate(SizeClass::KIB_64).expect("a stack").top(),
        top
    );
    // Not forgotten for ever: leak checkers watch this test.
    drop(ManuallyDrop::into_inner(forgotten));
    assert_eq!(pool.stats().in_use, 0);
}

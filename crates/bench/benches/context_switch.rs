//! Context switches, beside corosensei's: a resume and a suspend, that is two switches.

use criterion::{Criterion, criterion_group, criterion_main};
use weftwork_fiber::{Context, SizeClass, Stack, StackPool, switch};

/// The thread and a flow of control that switches back whenever it is switched to.
struct Pair {
    thread: Context,
    other: Context,
    /// Given back to its pool only after both contexts are out of use.
    _stack: Stack,
}

/// Switches back to the thread, for ever.
///
/// # Safety
///
/// `pair` is a `Pair` that lives as long as this flow of control is resumed.
unsafe extern "C" fn back_and_forth(pair: *mut ()) -> ! {
    // SAFETY: the caller of this function promises a live pair.
    let pair = unsafe { &*pair.cast::<Pair>() };
    loop {
        // SAFETY: both contexts live in the pair; the thread is suspended in its own `switch`,
        // on this same thread, and holds nothing that matters here.
        unsafe { switch(&pair.other, &pair.thread) };
    }
}

fn bare_switch(criterion: &mut Criterion) {
    let stack = StackPool::global()
        .allocate(SizeClass::default())
        .expect("one stack");
    let (top, limit) = (stack.top().as_ptr(), stack.limit());
    let pair = Box::into_raw(Box::new(Pair {
        thread: Context::for_thread(),
        other: Context::for_thread(),
        _stack: stack,
    }));
    // SAFETY: the stack is owned by the pair, and used by this flow of control alone; the pair is
    // alive and no mutable reference to it exists.
    unsafe {
        (*pair)
            .other
            .prepare(top, limit, back_and_forth, pair.cast())
    };
    criterion.bench_function("switch/weftwork-fiber, bare", |bencher| {
        bencher.iter(|| {
            // SAFETY: `other` is fresh or suspended in its loop, and was started by this thread;
            // the pair outlives the switch.
            unsafe { switch(&raw const (*pair).thread, &raw const (*pair).other) };
        });
    });
    // SAFETY: the other flow of control is suspended, owns nothing, and is never resumed again, so
    // its stack may go back.
    drop(unsafe { Box::from_raw(pair) });
}

fn fiber(criterion: &mut Criterion) {
    use weftwork_fiber::{Fiber, FiberState, Suspender};
    let mut fiber = Fiber::new(|suspender: &Suspender<u64, u64>, mut value| {
        while value != 0 {
            value = suspender.suspend(value);
        }
    })
    .expect("one stack");
    criterion.bench_function("switch/weftwork-fiber, Fiber", |bencher| {
        bencher.iter(|| assert!(matches!(fiber.resume(1), FiberState::Yield(1))));
    });
    assert!(matches!(fiber.resume(0), FiberState::Return(())));
}

fn corosensei(criterion: &mut Criterion) {
    use corosensei::{Coroutine, CoroutineResult};
    let mut coroutine = Coroutine::new(|yielder, mut value: u64| {
        while value != 0 {
            value = yielder.suspend(value);
        }
    });
    criterion.bench_function("switch/corosensei", |bencher| {
        bencher.iter(|| assert!(matches!(coroutine.resume(1), CoroutineResult::Yield(1))));
    });
    assert!(matches!(coroutine.resume(0), CoroutineResult::Return(())));
}

/// A whole life: a stack (from the pool, or the last round's), one suspension, and the end.
fn life(criterion: &mut Criterion) {
    use weftwork_fiber::{Fiber, FiberState, Suspender};
    criterion.bench_function("life/weftwork-fiber, stack from the pool", |bencher| {
        bencher.iter(|| {
            let body = |suspender: &Suspender<u64, u64>, value| suspender.suspend(value);
            let mut fiber = Fiber::new(body).expect("one stack");
            assert!(matches!(fiber.resume(1), FiberState::Yield(1)));
            assert!(matches!(fiber.resume(2), FiberState::Return(2)));
        });
    });
    criterion.bench_function("life/weftwork-fiber, own stack kept", |bencher| {
        let mut kept = StackPool::global().allocate(SizeClass::default()).ok();
        bencher.iter(|| {
            let body = |suspender: &Suspender<u64, u64>, value| suspender.suspend(value);
            let stack = kept.take().expect("put back by the last round");
            let mut fiber = Fiber::with_stack(stack, body).expect("it fits");
            assert!(matches!(fiber.resume(1), FiberState::Yield(1)));
            assert!(matches!(fiber.resume(2), FiberState::Return(2)));
            kept = fiber.into_stack();
        });
    });
    criterion.bench_function("life/corosensei, own stack kept", |bencher| {
        use corosensei::stack::DefaultStack;
        use corosensei::{Coroutine, CoroutineResult};
        let mut kept = Some(DefaultStack::default());
        bencher.iter(|| {
            let stack = kept.take().expect("put back by the last round");
            let mut coroutine =
                Coroutine::with_stack(stack, |yielder, value: u64| yielder.suspend(value));
            assert!(matches!(coroutine.resume(1), CoroutineResult::Yield(1)));
            assert!(matches!(coroutine.resume(2), CoroutineResult::Return(2)));
            kept = Some(coroutine.into_stack());
        });
    });
}

criterion_group!(benches, bare_switch, fiber, corosensei, life);
criterion_main!(benches);

//! The symmetric switch between contexts.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use weftwork_fiber::{Context, SizeClass, Stack, StackPool, remaining_stack, switch, switch_final};

type Body = Box<dyn FnOnce(&Flow)>;

/// A flow of control that runs a closure, and the thread to which it comes back.
struct Flow {
    context: Context,
    thread: *const Context,
    body: Cell<Option<Body>>,
    stack: Stack,
}

impl Flow {
    fn new(thread: &Context, body: impl FnOnce(&Flow) + 'static) -> Box<Flow> {
        let stack = StackPool::global()
            .allocate(SizeClass::default())
            .expect("a stack");
        let flow = Box::new(Flow {
            context: Context::for_thread(),
            thread,
            body: Cell::new(Some(Box::new(body))),
            stack,
        });
        let arg = ptr::from_ref(&*flow).cast_mut().cast();
        let (top, limit) = (flow.stack.top().as_ptr(), flow.stack.limit());
        // SAFETY: the stack belongs to `flow`, whose address does not change.
        unsafe { flow.context.prepare(top, limit, run, arg) };
        flow
    }

    /// Switches from the flow back to the thread.
    fn pause(&self) {
        // SAFETY: the thread waits in `resume`.
        unsafe { switch(&self.context, self.thread) };
    }

    /// Switches from the thread to the flow.
    fn resume(&self) {
        // SAFETY: tests resume fresh and suspended flows only, from the thread of their own.
        unsafe { switch(self.thread, &self.context) };
    }
}

unsafe extern "C" fn run(flow: *mut ()) -> ! {
    // SAFETY: `Flow::new` passes a flow that lives until it is finished.
    let flow = unsafe { &*flow.cast::<Flow>() };
    flow.body.take().expect("a flow starts once")(flow);
    // SAFETY: the thread waits in `resume`, and nobody resumes a finished flow.
    unsafe { switch_final(&flow.context, flow.thread) }
}

#[test]
fn values_in_registers_and_on_the_stack_survive_a_switch() {
    let thread = Context::for_thread();
    let flow = Flow::new(&thread, |flow| {
        let mut sum = 0_u64;
        let mut product = 1.0_f64;
        for turn in 1..=1000_u64 {
            sum += turn;
            product *= 1.001;
            flow.pause();
        }
        assert_eq!(sum, 500_500);
        assert!((product - 1.001_f64.powi(1000)).abs() < 1e-9);
    });
    let (mut a, mut b, mut c) = (1_u64, 2_u64, 0.5_f64);
    for turn in 0..1001 {
        a = a.wrapping_mul(3) ^ turn;
        b += a & 7;
        c += 0.25;
        flow.resume();
    }
    let (mut x, mut y, mut z) = (1_u64, 2_u64, 0.5_f64);
    for turn in 0..1001 {
        x = x.wrapping_mul(3) ^ turn;
        y += x & 7;
        z += 0.25;
    }
    assert_eq!((a, b), (x, y));
    assert!((c - z).abs() < 1e-12);
}

#[test]
fn two_fibers_switch_to_each_other_without_the_thread() {
    let thread = Context::for_thread();
    let order = Rc::new(RefCell::new(Vec::new()));
    let other: Rc<Cell<*const Context>> = Rc::new(Cell::new(ptr::null()));
    let pong_log = order.clone();
    let ping_context = other.clone();
    let pong = Flow::new(&thread, move |flow| {
        for turn in 0..3 {
            pong_log.borrow_mut().push(format!("pong {turn}"));
            // SAFETY: ping waits in its switch to us.
            unsafe { switch(&flow.context, ping_context.get()) };
        }
    });
    let ping_log = order.clone();
    let pong_context: *const Context = &pong.context;
    let ping = Flow::new(&thread, move |flow| {
        for turn in 0..3 {
            ping_log.borrow_mut().push(format!("ping {turn}"));
            // SAFETY: pong is fresh or waits in its switch to us.
            unsafe { switch(&flow.context, pong_context) };
        }
        ping_log.borrow_mut().push("done".to_owned());
    });
    other.set(&ping.context);
    ping.resume();
    pong.resume(); // lets pong finish
    assert_eq!(
        *order.borrow(),
        [
            "ping 0", "pong 0", "ping 1", "pong 1", "ping 2", "pong 2", "done"
        ]
    );
}

#[test]
fn remaining_stack_follows_the_running_flow() {
    assert_eq!(remaining_stack(), None);
    let thread = Context::for_thread();
    let flow = Flow::new(&thread, |flow| {
        let left = remaining_stack().expect("a fiber stack has a limit");
        assert!(left < flow.stack.usable());
        assert!(left > flow.stack.usable() / 2);
        let local = 0_u8;
        let by_hand = (&raw const local)
            .addr()
            .wrapping_sub(flow.stack.limit().addr());
        // AddressSanitizer keeps variables elsewhere.
        assert!(left.abs_diff(by_hand) < 16 * 1024 || cfg!(weftwork_asan));
        flow.pause();
        assert!(remaining_stack().is_some());
    });
    flow.resume();
    assert_eq!(remaining_stack(), None);
    flow.resume();
    assert_eq!(remaining_stack(), None);
}

#[test]
fn a_finished_stack_may_be_prepared_again() {
    let thread = Context::for_thread();
    let count = Rc::new(Cell::new(0));
    let flow = Flow::new(&thread, |_| {});
    flow.resume();
    for _ in 0..100 {
        let counter = count.clone();
        flow.body.set(Some(Box::new(move |flow: &Flow| {
            flow.pause();
            counter.set(counter.get() + 1);
        })));
        let arg = ptr::from_ref(&*flow).cast_mut().cast();
        let (top, limit) = (flow.stack.top().as_ptr(), flow.stack.limit());
        // SAFETY: the flow is finished, so its stack is free.
        unsafe { flow.context.prepare(top, limit, run, arg) };
        flow.resume();
        flow.resume();
    }
    assert_eq!(count.get(), 100);
}

#[test]
fn the_stack_is_aligned_in_a_fresh_flow() {
    let thread = Context::for_thread();
    let flow = Flow::new(&thread, |_| {
        #[repr(align(64))]
        struct Aligned([u8; 64]);
        let aligned = Aligned([7; 64]);
        assert_eq!((&raw const aligned).addr() % 64, 0);
        assert!(aligned.0.iter().all(|byte| *byte == 7));
        // Formatting floats uses aligned vector moves in practice.
        assert_eq!(format!("{:.3}", 2.0_f64.sqrt()), "1.414");
    });
    flow.resume();
}

#[test]
fn a_panic_is_caught_at_the_base() {
    let thread = Context::for_thread();
    let flow = Flow::new(&thread, |_| {
        let caught = std::panic::catch_unwind(|| {
            std::panic::resume_unwind(Box::new("payload"));
        });
        let payload = caught.expect_err("it panicked");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"payload"));
    });
    flow.resume();
    assert!(!std::thread::panicking());
}

#[test]
fn a_backtrace_ends_cleanly_at_the_base() {
    let thread = Context::for_thread();
    let trace = Rc::new(Cell::new(String::new()));
    let result = trace.clone();
    let flow = Flow::new(&thread, move |_| {
        result.set(std::backtrace::Backtrace::force_capture().to_string());
    });
    flow.resume();
    let trace = trace.take();
    // The frame of the closure, by its file: its name has no path in it where only lines are kept.
    assert!(trace.contains("switch.rs"), "{trace}");
    assert!(trace.contains("run"), "{trace}");
    // The frames of the thread are not on this stack.
    assert!(!trace.contains("Flow::resume"), "{trace}");
    let last = trace.lines().last().unwrap_or_default();
    assert!(
        last.contains("weftwork_fiber::arch::") && last.ends_with("::start"),
        "{trace}"
    );
}

#[cfg(debug_assertions)]
mod contracts {
    use super::*;

    #[test]
    #[should_panic(expected = "running, finished or was never prepared")]
    fn a_switch_to_an_empty_context_is_found_out() {
        let (from, to) = (Context::for_thread(), Context::for_thread());
        // SAFETY: debug builds check the broken contract before anything happens.
        unsafe { switch(&from, &to) };
    }

    #[test]
    fn a_switch_from_a_foreign_thread_is_found_out() {
        struct Share(*const Context);
        // SAFETY: the test's threads use the context one after the other.
        unsafe impl Send for Share {}

        let thread = Context::for_thread();
        let flow = Flow::new(&thread, |flow| {
            flow.pause();
        });
        flow.resume();
        let share = Share(&flow.context);
        let result = std::thread::spawn(move || {
            let share = share;
            let here = Context::for_thread();
            // SAFETY: debug builds check the broken contract before anything happens.
            unsafe { switch(&here, share.0) };
        })
        .join();
        let payload = result.expect_err("the foreign thread panics");
        let message = payload.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(message.contains("started by another thread"), "{message}");
    }
}

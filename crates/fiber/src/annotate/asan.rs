//! AddressSanitizer: the stack bounds of every flow of control, and its fake stack.
//!
//! Invariant: the bounds of a shadow are those of the stack on which its flow of control was last
//! running. They are set by `prepare`, and afterwards by whoever arrives from it, out of what the
//! sanitizer itself knew; this is how the bounds of a thread's own stack and of grown segments are
//! learned.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;

unsafe extern "C" {
    fn __sanitizer_start_switch_fiber(
        fake_stack_save: *mut *mut c_void,
        bottom: *const c_void,
        size: usize,
    );
    fn __sanitizer_finish_switch_fiber(
        fake_stack_save: *mut c_void,
        bottom_old: *mut *const c_void,
        size_old: *mut usize,
    );
    fn __asan_unpoison_memory_region(address: *const c_void, size: usize);
}

std::thread_local! {
    /// The flow of control that was left last, while it can still be resumed.
    static LEFT: Cell<*const Shadow> = const { Cell::new(ptr::null()) };
}

/// What AddressSanitizer wants kept for one flow of control.
#[derive(Debug)]
pub(super) struct Shadow {
    bottom: Cell<*const c_void>,
    size: Cell<usize>,
    fake_stack: Cell<*mut c_void>,
}

impl Shadow {
    pub(super) const fn new() -> Shadow {
        Shadow {
            bottom: Cell::new(ptr::null()),
            size: Cell::new(0),
            fake_stack: Cell::new(ptr::null_mut()),
        }
    }

    pub(super) fn prepare(&self, top: *mut u8, limit: *mut u8) {
        renew(top, limit);
        self.bottom.set(limit.cast());
        self.size.set(top.addr() - limit.addr());
        self.fake_stack.set(ptr::null_mut());
    }
}

#[inline(always)]
pub(super) fn leave(from: &Shadow, to: &Shadow) {
    LEFT.set(from);
    // SAFETY: the save word outlives the suspension, as part of the suspended context; the bounds
    // are those of the stack that is switched to next.
    unsafe {
        __sanitizer_start_switch_fiber(from.fake_stack.as_ptr(), to.bottom.get(), to.size.get());
    }
}

#[inline(always)]
pub(super) fn leave_forever(to: &Shadow) {
    LEFT.set(ptr::null());
    // SAFETY: a null save word makes the sanitizer free the fake stack of the finished side; the
    // bounds are those of the stack that is switched to next.
    unsafe { __sanitizer_start_switch_fiber(ptr::null_mut(), to.bottom.get(), to.size.get()) };
}

#[inline(always)]
pub(super) fn arrive(on: &Shadow) {
    finish(on.fake_stack.get());
}

#[inline(always)]
pub(super) fn arrive_at_base() {
    finish(ptr::null_mut());
}

#[inline(always)]
fn finish(fake_stack: *mut c_void) {
    let mut bottom = ptr::null();
    let mut size = 0;
    // SAFETY: called right after a switch that `leave` or `leave_forever` announced, with the fake
    // stack saved when this side was left; both results may be written.
    unsafe { __sanitizer_finish_switch_fiber(fake_stack, &mut bottom, &mut size) };
    let left = LEFT.replace(ptr::null());
    if !left.is_null() {
        // SAFETY: the context that was left is suspended, so it cannot have been dropped yet.
        let left = unsafe { &*left };
        left.bottom.set(bottom);
        left.size.set(size);
    }
}

pub(super) fn renew(top: *mut u8, limit: *mut u8) {
    // SAFETY: the range is a stack of ours that nobody runs on; only its shadow is written.
    unsafe { __asan_unpoison_memory_region(limit.cast(), top.addr() - limit.addr()) };
}

/// A call on another stack.
#[derive(Debug)]
pub(super) struct Segment {
    bottom: *const c_void,
    size: usize,
    fake_stack: *mut c_void,
}

impl Segment {
    #[inline(always)]
    pub(super) fn enter(top: *mut u8, limit: *mut u8) -> Segment {
        let mut segment = Segment {
            bottom: ptr::null(),
            size: 0,
            fake_stack: ptr::null_mut(),
        };
        // SAFETY: the save word is kept in `segment` until `left`; the bounds are those of the
        // stack that is entered next.
        unsafe {
            __sanitizer_start_switch_fiber(
                &mut segment.fake_stack,
                limit.cast(),
                top.addr() - limit.addr(),
            );
        }
        segment
    }

    #[inline(always)]
    pub(super) fn entered(&mut self) {
        // SAFETY: called right after the step that `enter` announced, on a stack without a fake
        // stack; both results may be written.
        unsafe {
            __sanitizer_finish_switch_fiber(ptr::null_mut(), &mut self.bottom, &mut self.size);
        }
    }

    #[inline(always)]
    pub(super) fn leave(&mut self) {
        // SAFETY: a null save word frees the segment's fake stack; the bounds are those of the
        // stack from which the segment was entered.
        unsafe { __sanitizer_start_switch_fiber(ptr::null_mut(), self.bottom, self.size) };
    }

    #[inline(always)]
    pub(super) fn left(self) {
        // SAFETY: called right after the step that `leave` announced, with the fake stack that
        // `enter` saved; the results may be left out.
        unsafe {
            __sanitizer_finish_switch_fiber(self.fake_stack, ptr::null_mut(), ptr::null_mut());
        }
    }
}

//! ThreadSanitizer: one fiber of its own for every flow of control.
//!
//! Invariant: the fiber of a shadow exists from `prepare` until the flow of control is finished or
//! its shadow dropped. A fiber cannot destroy itself, so a finished one is destroyed by whoever
//! arrives next on the same thread.

use core::cell::Cell;
use core::ffi::{c_uint, c_void};
use core::ptr;

unsafe extern "C" {
    fn __tsan_get_current_fiber() -> *mut c_void;
    fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
    fn __tsan_destroy_fiber(fiber: *mut c_void);
    fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
}

/// Switches order memory accesses: flows of control of one thread never run at the same time.
/// by the code around the switch, as between threads.
const SYNC: c_uint = 0;

std::thread_local! {
    /// The fiber that was left for ever and awaits its destruction.
    static FINISHED: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

/// What ThreadSanitizer wants kept for one flow of control.
#[derive(Debug)]
pub(super) struct Shadow {
    fiber: Cell<*mut c_void>,
    created: Cell<bool>,
}

impl Shadow {
    pub(super) const fn new() -> Shadow {
        Shadow {
            fiber: Cell::new(ptr::null_mut()),
            created: Cell::new(false),
        }
    }

    pub(super) fn prepare(&self) {
        self.destroy();
        // SAFETY: no requirement.
        self.fiber.set(unsafe { __tsan_create_fiber(0) });
        self.created.set(true);
    }

    fn destroy(&self) {
        if self.created.replace(false) {
            // SAFETY: the fiber was created by `prepare`, was not destroyed since `created` was
            // still set, and is not running, for a running flow of control cannot be prepared or
            // dropped.
            unsafe { __tsan_destroy_fiber(self.fiber.replace(ptr::null_mut())) };
        }
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        self.destroy();
    }
}

#[inline(always)]
pub(super) fn leave(from: &Shadow, to: &Shadow) {
    // SAFETY: no requirement.
    from.fiber.set(unsafe { __tsan_get_current_fiber() });
    // SAFETY: `to` is suspended or fresh, so its fiber exists; the switch follows at once.
    unsafe { __tsan_switch_to_fiber(to.fiber.get(), SYNC) };
}

#[inline(always)]
pub(super) fn leave_forever(from: &Shadow, to: &Shadow) {
    if from.created.replace(false) {
        FINISHED.set(from.fiber.replace(ptr::null_mut()));
    }
    // SAFETY: `to` is suspended or fresh, so its fiber exists; the switch follows at once.
    unsafe { __tsan_switch_to_fiber(to.fiber.get(), SYNC) };
}

#[inline(always)]
pub(super) fn arrive() {
    let finished = FINISHED.replace(ptr::null_mut());
    if !finished.is_null() {
        // SAFETY: the fiber was handed over by `leave_forever`, and we run on another one.
        unsafe { __tsan_destroy_fiber(finished) };
    }
}

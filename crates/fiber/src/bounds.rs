//! The limit of the stack on which the calling thread is running.
//!
//! One thread-local word: the lowest usable address of the current fiber stack or grown segment,
//! or null on the thread's own stack. `switch` and `grow` keep it.

use core::cell::Cell;
use core::ptr;

use crate::arch;

std::thread_local! {
    static LIMIT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

/// Sets the limit and returns the previous one.
#[inline(always)]
pub(crate) fn replace_limit(limit: *mut u8) -> *mut u8 {
    LIMIT.with(|current| current.replace(limit))
}

/// Returns the limit of the current stack, null on a thread's own stack.
#[inline(always)]
pub(crate) fn limit() -> *mut u8 {
    LIMIT.with(Cell::get)
}

/// Returns an address that identifies the calling thread among the living.
#[cfg(debug_assertions)]
pub(crate) fn thread() -> *const () {
    LIMIT.with(|limit| ptr::from_ref(limit).cast())
}

/// Returns the number of bytes left on the current fiber stack, or `None` on a thread's own stack.
///
/// On a segment entered by [`grow`](crate::grow) it is what is left of the segment. It costs one
/// read of a thread-local variable.
///
/// # Examples
///
/// ```
/// assert_eq!(weftwork_fiber::remaining_stack(), None);
///
/// let mut fiber = weftwork_fiber::Fiber::new(|_: &weftwork_fiber::Suspender<(), ()>, ()| {
///     weftwork_fiber::remaining_stack()
/// })?;
/// assert!(fiber.resume(()).unwrap_return().is_some_and(|bytes| bytes > 16 * 1024));
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
#[inline]
#[must_use]
pub fn remaining_stack() -> Option<usize> {
    let limit = limit();
    if limit.is_null() {
        return None;
    }
    Some(arch::stack_pointer().addr().saturating_sub(limit.addr()))
}

//! Growing: running a closure on a further segment of stack when the current one is nearly used up.
//!
//! A segment is a [`Stack`] of the global pool. Its highest word holds the limit of the stack from
//! which it was entered, so that an overflow of the segment can be reported for the flow of control
//! it belongs to. The closure may switch away and back: the limit of the segment is kept with the
//! suspended context like any other.

use core::any::Any;
use core::cell::Cell;
use core::fmt;
use std::panic::{self, AssertUnwindSafe};

use crate::annotate::Segment;
use crate::stack::{SizeClass, Stack, StackError, StackPool};
use crate::{arch, bounds, remaining_stack};

/// The part of a segment above the closure's frames: the outer stack's limit.
const HEADER: usize = 16;

/// Runs `f`, on a segment of `size` bytes or more if less than `red_zone` bytes are left of the
/// current stack.
///
/// Call it at the turn of a deep recursion. It works on fiber stacks, on segments, and on threads'
/// own stacks. When enough is left it costs a read of a thread-local variable. Otherwise it takes a
/// segment from a pool, which is given back when `f` ends.
///
/// `f` may suspend the fiber it runs on. Panics propagate.
///
/// # Panics
///
/// If no segment can be had; [`try_grow`] gives an error instead.
///
/// # Examples
///
/// ```
/// fn depth(levels: usize) -> usize {
///     weftwork_fiber::grow(32 * 1024, 1024 * 1024, || match levels {
///         0 => 0,
///         _ => 1 + depth(levels - 1),
///     })
/// }
///
/// let mut fiber = weftwork_fiber::Fiber::new(
///     |_: &weftwork_fiber::Suspender<(), ()>, ()| depth(20_000),
/// )?;
/// assert_eq!(fiber.resume(()).unwrap_return(), 20_000);
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
#[inline]
pub fn grow<R>(red_zone: usize, size: usize, f: impl FnOnce() -> R) -> R {
    match try_grow(red_zone, size, f) {
        Ok(value) => value,
        Err(error) => no_segment(error.reason()),
    }
}

#[cold]
#[inline(never)]
fn no_segment(reason: &StackError) -> ! {
    panic!("the stack cannot grow: {reason}")
}

/// Runs `f` like [`grow`], and hands it back if no segment can be had.
///
/// # Errors
///
/// The reason of the failure, with `f`, which has not run.
#[inline]
pub fn try_grow<R, F: FnOnce() -> R>(
    red_zone: usize,
    size: usize,
    f: F,
) -> Result<R, GrowError<F>> {
    let left = remaining_stack().or_else(thread_stack::remaining);
    if left.is_some_and(|left| left >= red_zone) {
        Ok(f())
    } else {
        on_segment(size, f)
    }
}

/// The error of [`try_grow`]: no segment could be had.
pub struct GrowError<F> {
    reason: StackError,
    f: F,
}

impl<F> GrowError<F> {
    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &StackError {
        &self.reason
    }

    /// Returns the closure, which has not run.
    #[must_use]
    pub fn into_inner(self) -> F {
        self.f
    }
}

impl<F> fmt::Debug for GrowError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrowError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Display for GrowError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stack cannot grow: {}", self.reason)
    }
}

impl<F> std::error::Error for GrowError<F> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// A call on a segment. The caller's side fills `f`, the segment's side replaces it by `result`.
struct Call<F, R> {
    f: Cell<Option<F>>,
    result: Cell<Option<Result<R, Box<dyn Any + Send>>>>,
    annotation: Segment,
}

#[cold]
#[inline(never)]
fn on_segment<R, F: FnOnce() -> R>(size: usize, f: F) -> Result<R, GrowError<F>> {
    let segment = match segment(size) {
        Ok(segment) => segment,
        Err(reason) => return Err(GrowError { reason, f }),
    };
    let (top, limit) = (segment.top().as_ptr().wrapping_sub(HEADER), segment.limit());
    let outer = bounds::replace_limit(limit);
    // SAFETY: the header lies inside the segment, which is ours, and is aligned.
    unsafe { top.cast::<*mut u8>().write(outer) };
    segment.set_segment();
    let mut call = Call {
        f: Cell::new(Some(f)),
        result: Cell::new(None),
        annotation: Segment::enter(top, limit),
    };
    // SAFETY: `top` is a multiple of 16, and the segment below it is ours. `run` does not unwind,
    // and gets the call that it expects.
    unsafe { arch::call_on(top, run::<F, R>, (&raw mut call).cast()) };
    call.annotation.left();
    bounds::replace_limit(outer);
    drop(segment);
    match call.result.take().expect("the call has ended") {
        Ok(value) => Ok(value),
        Err(payload) => panic::resume_unwind(payload),
    }
}

fn segment(size: usize) -> Result<Stack, StackError> {
    if size == 0 {
        return Err(StackError::Zero);
    }
    StackPool::global().allocate(SizeClass::at_least(size.saturating_add(HEADER))?)
}

/// Runs on the segment.
unsafe extern "C" fn run<F: FnOnce() -> R, R>(call: *mut ()) {
    // SAFETY: `on_segment` passes its call, and touches it only after this function.
    let call = unsafe { &mut *call.cast::<Call<F, R>>() };
    call.annotation.entered();
    let f = call.f.take().expect("a call runs once");
    call.result
        .set(Some(panic::catch_unwind(AssertUnwindSafe(f))));
    call.annotation.leave();
}

/// Reads the limit of the outer stack from the header of the segment that ends at `top`.
///
/// # Safety
///
/// `top` is the top of a segment that is in use.
pub(crate) unsafe fn outer_limit(top: usize) -> usize {
    // SAFETY: the caller's promise: `on_segment` has written the word.
    unsafe { core::ptr::with_exposed_provenance::<usize>(top - HEADER).read() }
}

/// The stack that the operating system gave to a thread.
mod thread_stack {
    use core::cell::Cell;

    use crate::arch;

    std::thread_local! {
        /// The lowest usable address; 0: not asked for yet; `usize::MAX`: unknown.
        static LIMIT: Cell<usize> = const { Cell::new(0) };
    }

    /// Returns how much is left, if the system tells.
    pub(super) fn remaining() -> Option<usize> {
        let mut limit = LIMIT.get();
        if limit == 0 {
            limit = ask().unwrap_or(usize::MAX);
            LIMIT.set(limit);
        }
        (limit != usize::MAX).then(|| arch::stack_pointer().addr().saturating_sub(limit))
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn ask() -> Option<usize> {
        let mut attributes = core::mem::MaybeUninit::uninit();
        let (mut start, mut guard) = (core::ptr::null_mut(), 0);
        // SAFETY: the attributes are initialised by the first call, read by the others if that was
        // a success, and then destroyed; all results may be written.
        let known = unsafe {
            if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
                return None;
            }
            let mut size = 0;
            let known = libc::pthread_attr_getstack(attributes.as_ptr(), &mut start, &mut size)
                == 0
                && libc::pthread_attr_getguardsize(attributes.as_ptr(), &mut guard) == 0;
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            known
        };
        // Some systems count the guard to the stack: assume so.
        known.then(|| start.addr() + guard)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn ask() -> Option<usize> {
        None
    }
}

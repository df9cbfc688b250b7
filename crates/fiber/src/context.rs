//! Flows of control and the switch between them.
//!
//! A [`Context`] is one suspended flow of control: a thread's own, or one that runs on a stack of
//! its own. [`switch`] suspends the running one into a context and resumes another.
//!
//! Invariants:
//!
//! 1. `sp` is the stack pointer to resume, as the architecture's `switch` or `prepare` left it. It
//!    means nothing while the flow of control is running. Builds with debug assertions keep a flag
//!    that tells, so that a context which is resumed twice is found out.
//! 2. `sp` and `pc` are the first two words, so that a context can be the frame record of a linked
//!    base: the resumer of a [`Fiber`](crate::Fiber) is such a context.
//! 3. `limit` is the lowest usable address of the stack on which the flow of control was suspended,
//!    or null on a thread's own stack. The limit of the running one is in `bounds`.
//! 4. A flow of control that has started is resumed only by the thread that started it: compiled
//!    code keeps addresses of thread-local variables in registers and on the stack. Builds with
//!    debug assertions check it.

use core::cell::Cell;
use core::fmt;
use core::ptr;

use crate::annotate::{self, Shadow};
use crate::arch::{self, Base, Entry, FrameRecord};
use crate::bounds;

/// Holds one suspended flow of control: its stack pointer and the limit of its stack.
///
/// A context is filled by [`Context::prepare`] (a fresh one) or by [`switch`] (the one that is
/// suspended). It does not own the stack, and dropping it runs nothing on that stack.
///
/// # Examples
///
/// ```
/// use weftwork_fiber::{Context, SizeClass, StackPool, switch, switch_final};
///
/// struct Pair {
///     thread: Context,
///     fiber: Context,
/// }
///
/// unsafe extern "C" fn entry(pair: *mut ()) -> ! {
///     // SAFETY: `main` passes a pair that outlives this flow of control.
///     let pair = unsafe { &*pair.cast::<Pair>() };
///     // SAFETY: the thread waits in its `switch`, and this flow of control is never resumed.
///     unsafe { switch_final(&pair.fiber, &pair.thread) }
/// }
///
/// let stack = StackPool::default().allocate(SizeClass::default())?;
/// let mut pair = Pair { thread: Context::for_thread(), fiber: Context::for_thread() };
/// let arg = (&raw mut pair).cast();
/// // SAFETY: the stack is ours, and lives until the fiber is finished.
/// unsafe { pair.fiber.prepare(stack.top().as_ptr(), stack.limit(), entry, arg) };
/// // SAFETY: `fiber` is fresh, and belongs to this thread.
/// unsafe { switch(&pair.thread, &pair.fiber) };
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
#[repr(C)]
pub struct Context {
    sp: Cell<*mut u8>,
    pc: Cell<*const u8>,
    limit: Cell<*mut u8>,
    /// Whether `sp` may be resumed.
    #[cfg(debug_assertions)]
    suspended: Cell<bool>,
    /// The thread that started the flow of control; null before that.
    #[cfg(debug_assertions)]
    owner: Cell<*const ()>,
    shadow: Shadow,
}

impl Context {
    /// Creates the context of the calling thread's own flow of control, to be filled when the
    /// thread first switches away.
    ///
    /// It also serves as an empty context, for [`Context::prepare`].
    #[must_use]
    pub const fn for_thread() -> Context {
        Context {
            sp: Cell::new(ptr::null_mut()),
            pc: Cell::new(ptr::null()),
            limit: Cell::new(ptr::null_mut()),
            #[cfg(debug_assertions)]
            suspended: Cell::new(false),
            #[cfg(debug_assertions)]
            owner: Cell::new(ptr::null()),
            shadow: Shadow::new(),
        }
    }

    /// Makes this the context of a fresh flow of control, which runs `entry(arg)` on the stack
    /// `[limit, top)` when it is first switched to.
    ///
    /// `top` is rounded down to 16 bytes. Less than 64 bytes are written below it. Backtraces end
    /// at the base of the stack. An unwinding panic that leaves `entry` aborts the process, as with
    /// any `extern "C"` function.
    ///
    /// # Safety
    ///
    /// - The memory `[limit, top)` is writable, is used by nobody else until the flow of control has
    ///   left for ever, and is large enough for what `entry` does.
    /// - If this context held a suspended flow of control, that one is never resumed, and what its
    ///   frames own is given up.
    pub unsafe fn prepare(&self, top: *mut u8, limit: *mut u8, entry: Entry, arg: *mut ()) {
        let top = top.map_addr(|address| address & !15);
        self.shadow.prepare(top, limit);
        let record = top
            .wrapping_sub(size_of::<FrameRecord>())
            .cast::<FrameRecord>();
        // SAFETY: the record lies at the end of the stack, which the caller gives us; `top` is
        // aligned.
        unsafe {
            record.write(FrameRecord {
                next: ptr::null_mut(),
                pc: ptr::null(),
            })
        };
        // SAFETY: the record's address is aligned as `top` is, the stack continues below it, and
        // the record lives as long as the stack.
        let sp = unsafe { arch::prepare(record.cast(), Base::Root, entry, arg, record) };
        self.fill(sp, limit);
    }

    /// Like [`Context::prepare`], but backtraces go on in `resumer`, into which whoever resumes
    /// this flow of control must suspend.
    ///
    /// # Safety
    ///
    /// As for [`Context::prepare`], and `resumer` lives, at its address, as long as the stack.
    pub(crate) unsafe fn prepare_linked(
        &self,
        top: *mut u8,
        limit: *mut u8,
        entry: Entry,
        arg: *mut (),
        resumer: *const Context,
    ) {
        let top = top.map_addr(|address| address & !15);
        // SAFETY: the caller passes a live context.
        unsafe { &*resumer }.pc.set(arch::linked_pc());
        self.shadow.prepare(top, limit);
        // SAFETY: `top` is aligned, the stack lies below it, and `resumer`, which begins like a
        // frame record (invariant 2), lives as long as the stack.
        let sp = unsafe { arch::prepare(top, Base::Linked, entry, arg, resumer.cast()) };
        self.fill(sp, limit);
    }

    fn fill(&self, sp: *mut u8, limit: *mut u8) {
        self.sp.set(sp);
        self.limit.set(limit);
        #[cfg(debug_assertions)]
        self.suspended.set(true);
        #[cfg(debug_assertions)]
        self.owner.set(ptr::null());
    }

    /// Returns the stack pointer at which the flow of control is suspended.
    ///
    /// Everything below it on the same stack is unused; see
    /// [`Stack::trim_below`](crate::Stack::trim_below). The value means nothing while the flow of
    /// control is running.
    #[must_use]
    pub fn stack_pointer(&self) -> *const u8 {
        self.sp.get()
    }

    /// Checks invariants 1 and 4 for a context that is about to be resumed.
    #[inline(always)]
    fn check_resumed(&self) {
        #[cfg(debug_assertions)]
        {
            assert!(
                self.suspended.replace(false),
                "switch to a context that is running, finished or was never prepared: \
                 the caller of `switch` broke its contract"
            );
            let thread = bounds::thread();
            let owner = self.owner.replace(thread);
            assert!(
                owner.is_null() || owner == thread,
                "switch to a context that was started by another thread: \
                 the caller of `switch` broke its contract"
            );
        }
    }

    /// Notes, for these checks, that the flow of control is about to be suspended.
    #[inline(always)]
    fn note_suspended(&self) {
        #[cfg(debug_assertions)]
        {
            self.suspended.set(true);
            self.owner.set(bounds::thread());
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("sp", &self.sp.get())
            .field("limit", &self.limit.get())
            .finish_non_exhaustive()
    }
}

/// Suspends the running flow of control into `from` and resumes `to`.
///
/// Returns when somebody switches to `from`. It is inlined, and the compiler saves only the
/// registers that are in use. The floating-point control registers are not switched.
///
/// # Panics
///
/// In builds with debug assertions, if `to` is not suspended, or was started by another thread.
///
/// # Safety
///
/// - `from` and `to` are valid until the switch is done, and `from` until it is resumed.
/// - `to` is fresh or suspended, and its stack is intact.
/// - If `to` has started before, then on the calling thread; if not, whatever its `entry` and `arg`
///   refer to may be used on the calling thread.
/// - The code around the call may be suspended: it holds nothing that the flows of control which run
///   meanwhile may not meet, such as a lock that they take.
#[inline(always)]
pub unsafe fn switch(from: *const Context, to: *const Context) {
    // SAFETY: the caller passes valid contexts. All fields are cells, so shared references suffice.
    let (from, to) = unsafe { (&*from, &*to) };
    to.check_resumed();
    from.note_suspended();
    from.limit.set(bounds::replace_limit(to.limit.get()));
    annotate::leave(&from.shadow, &to.shadow);
    // SAFETY: both words lie in valid contexts. What is resumed is, as the caller promises, fresh or
    // suspended on an intact stack, and belongs to this thread.
    unsafe { arch::switch(from.sp.as_ptr(), to.sp.as_ptr()) };
    annotate::arrive(&from.shadow);
}

/// Leaves the running flow of control for ever and resumes `to`.
///
/// As soon as `to` runs, nobody uses the stack that was left, and it may be given back or prepared
/// anew. Nothing on that stack is dropped: the caller's frames must own nothing any more.
///
/// `from` is the context of the flow of control that ends. It is not used after `to` runs.
///
/// # Panics
///
/// As [`switch`].
///
/// # Safety
///
/// As for [`switch`], and nobody switches to `from` unless it is prepared anew.
#[inline(always)]
pub unsafe fn switch_final(from: *const Context, to: *const Context) -> ! {
    // SAFETY: the caller passes valid contexts.
    let (from, to) = unsafe { (&*from, &*to) };
    to.check_resumed();
    bounds::replace_limit(to.limit.get());
    annotate::leave_forever(&from.shadow, &to.shadow);
    // From here on nothing may be kept in variables on the stack: AddressSanitizer has taken its
    // part of it back.
    // SAFETY: as in `switch`. The stack pointer that is saved is not used.
    unsafe { arch::switch(from.sp.as_ptr(), to.sp.as_ptr()) };
    // Somebody resumed a flow of control that had ended. Its stack may belong to another by now:
    // nothing may run here.
    std::process::abort()
}

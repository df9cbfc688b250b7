//! The part of a context switch that depends on the processor.
//!
//! Each architecture is one file with the same contents, so that the files can be read side by side:
//!
//! - `switch(save, resume)`: suspends the current flow of control and resumes another;
//! - `prepare(top, start, arg, entry, record)`: writes the frame from which the first `switch` starts;
//! - `start` and `start_linked`: the code at the base of every stack, with its unwinding rules;
//! - `call_on(top, f, data)`: calls `f(data)` on another stack and comes back;
//! - `stack_pointer()`: the current stack pointer.
//!
//! Invariants, which the unwinding rules, `Context` and `Fiber` build on:
//!
//! 1. The saved frame begins with a frame record, `{frame pointer, return address}`, at the saved
//!    stack pointer. A saved stack pointer can therefore itself serve as a frame pointer.
//! 2. The caller's stack pointer is the saved stack pointer plus a constant of the architecture, which
//!    the unwinding rules of `start_linked` contain.
//! 3. `switch` neither calls nor is called: it is inlined, and tells the compiler that every
//!    register it does not save itself is lost.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "weftwork-fiber has no context switch for this architecture; it supports x86_64 and aarch64"
);

/// A function that may be the first on a stack. It never returns.
pub type Entry = unsafe extern "C" fn(*mut ()) -> !;

/// Which code lies at the base of a fresh stack.
#[derive(Clone, Copy)]
pub(crate) enum Base {
    /// Backtraces end here.
    Root,
    /// Backtraces go on in the flow of control whose saved stack pointer is kept in the frame
    /// record.
    Linked,
}

/// The frame record at the base of a stack, where the frame pointer of the base code points.
///
/// For [`Base::Root`] both words are zero, which is how a frame-pointer chain ends. For
/// [`Base::Linked`] the first word is the saved stack pointer of the resumer, hence (invariant 1)
/// the address of the next frame record, and the second any address in the base code.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct FrameRecord {
    pub(crate) next: *mut u8,
    pub(crate) pc: *const u8,
}

//! Reporting stack overflows: a signal handler that recognises the guards of our stacks.
//!
//! Without it an overflow ends the process by a bare SIGSEGV. With it the process is aborted after a
//! message that names the stack, its size and, if a runtime has set a hook, the flow of control.
//!
//! Two things are needed: [`install`], once per process, and a [`ThreadGuard`] on every thread that
//! runs fibers, because a handler cannot run on the stack that has overflowed.
//!
//! Invariants:
//!
//! 1. The handler allocates nothing, takes no lock, and reads only tables that are never freed.
//! 2. A fault is ours if, and only if, its *address* lies in the guard of a slot that is in use. The
//!    signal's code does not tell: it is `SEGV_MAPERR` with guards of one kind and `SEGV_ACCERR`
//!    with the other.
//! 3. Every other fault goes to the handler that was there before, as if we were not.

mod alternate;
mod handler;
mod report;

pub use alternate::ThreadGuard;
pub use handler::{install, set_describe};
pub use report::Report;

//! Stacks and context switches for stackful coroutines.
//!
//! Two levels:
//!
//! - [`Fiber`] is the safe one: a closure with a stack of its own that can be suspended in the
//!   middle and resumed, by the thread that created it.
//! - [`StackPool`], [`Context`] and [`switch`] are what a scheduler builds on: stacks whose memory
//!   is paid for by the page, a million of them if need be, and a symmetric switch of a few
//!   instructions. Switching is `unsafe`.
//!
//! Both have [`grow`] for deep recursion, and [`overflow`] for a readable report when a stack is too
//! small after all.
//!
//! ```
//! use weftwork_fiber::{Fiber, FiberState, Suspender};
//!
//! let mut fiber = Fiber::new(|suspender: &Suspender<u32, u32>, first| {
//!     let second = suspender.suspend(first + 1);
//!     second * 10
//! })?;
//! assert_eq!(fiber.resume(1), FiberState::Yield(2));
//! assert_eq!(fiber.resume(5), FiberState::Return(50));
//! # Ok::<(), weftwork_fiber::StackError>(())
//! ```
//!
//! # Rules that hold everywhere
//!
//! - A flow of control that has started stays on its thread. Compiled code keeps the addresses of
//!   thread-local variables across calls, and safe code holds values that are bound to a thread.
//! - Flows of control of one thread share its thread-local variables. A library that assumes that
//!   closures nest on a thread (scoped thread-local variables) can be misled by them.
//! - A suspended flow of control is never thrown away: it is unwound, or its stack is never used
//!   again.
//!
//! # Platforms
//!
//! x86_64 and aarch64, on Linux. Other Unix systems compile, with guards made by `mprotect`.
//!
//! # Checkers
//!
//! Built with `--cfg weftwork_asan`, `--cfg weftwork_tsan` or `--cfg weftwork_valgrind` the crate
//! announces its stacks and switches to AddressSanitizer, ThreadSanitizer or valgrind.

mod annotate;
mod arch;
mod bounds;
mod context;
mod fiber;
mod grow;
pub mod overflow;
mod stack;

pub use arch::Entry;
pub use bounds::remaining_stack;
pub use context::{Context, switch, switch_final};
pub use fiber::{Fiber, FiberError, FiberState, Suspender};
pub use grow::{GrowError, grow, try_grow};
pub use stack::{GuardMode, PoolConfig, SizeClass, Stack, StackError, StackPool, StackStats};

//! Stacks and context switches for stackful coroutines.

mod annotate;
mod arch;
mod bounds;
mod context;
mod stack;

pub use arch::Entry;
pub use bounds::remaining_stack;
pub use context::{Context, switch, switch_final};
pub use stack::{GuardMode, PoolConfig, SizeClass, Stack, StackError, StackPool, StackStats};

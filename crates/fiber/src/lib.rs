//! Stacks and context switches for stackful coroutines.

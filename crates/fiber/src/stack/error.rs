//! Why there is no stack.

use core::fmt;
use std::io;

/// The reason why a stack could not be had.
///
/// Nothing is lost by a failure: the pool is as before, and the request may be repeated when stacks
/// have been given back.
#[derive(Debug)]
#[non_exhaustive]
pub enum StackError {
    /// A stack of zero bytes was asked for.
    Zero,
    /// A stack was asked for that is larger than the largest size class.
    TooLarge {
        /// The size asked for, in bytes.
        requested: usize,
        /// The largest size that can be had, in bytes.
        largest: usize,
    },
    /// A stack was given that is too small for its use.
    TooSmall {
        /// The number of bytes needed.
        needed: usize,
        /// The number of bytes that the stack has.
        usable: usize,
    },
    /// The guard leaves too little of the slot.
    GuardTooLarge {
        /// The size of the guard, in bytes.
        guard: usize,
        /// The size of the slot, in bytes.
        slot: usize,
    },
    /// Guards have to be made by `mprotect` here, which takes two mappings each, and no more stacks
    /// fit into what the process may have.
    Budget {
        /// The number of stacks that may exist.
        stacks: usize,
    },
    /// The kernel refused memory or a guard.
    Kernel(io::Error),
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StackError::Zero => write!(f, "a stack of zero bytes was asked for"),
            StackError::TooLarge { requested, largest } => write!(
                f,
                "a stack of {requested} bytes was asked for, the largest has {largest} bytes"
            ),
            StackError::TooSmall { needed, usable } => {
                write!(
                    f,
                    "a stack of {usable} bytes was given, {needed} bytes are needed"
                )
            }
            StackError::GuardTooLarge { guard, slot } => write!(
                f,
                "a guard of {guard} bytes leaves too little of a stack slot of {slot} bytes"
            ),
            StackError::Budget { stacks } => write!(
                f,
                "all {stacks} stacks that can be guarded are in use: this kernel or process needs \
                 two memory mappings for each, and vm.max_map_count limits them"
            ),
            StackError::Kernel(error) => write!(f, "the kernel refused a stack: {error}"),
        }
    }
}

impl std::error::Error for StackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StackError::Kernel(error) => Some(error),
            _ => None,
        }
    }
}

//! The door in an ordinary build: std's atomics and threads, `parking_lot`'s locks.

pub use parking_lot::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};
pub use std::sync::Arc;

/// Atomic integers, pointers and fences, as in [`std::sync::atomic`].
pub mod atomic {
    pub use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Spin hints, as in [`std::hint`].
pub mod hint {
    pub use std::hint::spin_loop;
}

/// OS threads, as in [`std::thread`].
pub mod thread {
    pub use std::thread::{Builder, JoinHandle, Thread, current, park, park_timeout, spawn};
    pub use std::thread::{ThreadId, yield_now};
}

/// Interior mutability that loom can watch.
pub mod cell {
    /// A [`std::cell::UnsafeCell`] whose accesses go through closures, so that loom can check them.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Wraps `value`.
        pub const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// Calls `f` with a pointer for reading; the caller dereferences it under its own proof.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls `f` with a pointer for writing; the caller dereferences it under its own proof.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }

        /// Unwraps the value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }
}

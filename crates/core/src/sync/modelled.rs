//! The door under loom: the same names, each operation a step of the model.
//!
//! Loom has no clock. A wait with a time limit is modelled as a wait that may also end at once,
//! which visits both outcomes; at a condition variable, which a model can wake in time by other
//! means, as one that does end at once.

pub use loom::sync::Arc;
// Statics and thread-locals of a model: each execution has its own.
pub use loom::{lazy_static, thread_local};

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

/// Atomic integers, pointers and fences, as loom models them.
pub mod atomic {
    pub use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Spin hints, as loom models them.
pub mod hint {
    pub use loom::hint::spin_loop;
}

/// Threads of the model.
pub mod thread {
    pub use loom::thread::{Builder, JoinHandle, Thread, current, park, spawn, yield_now};
    pub use std::thread::ThreadId;
}

/// Interior mutability that loom watches.
pub mod cell {
    pub use loom::cell::UnsafeCell;
}

/// A lock with `parking_lot`'s signatures over loom's.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

/// Access to the value of a locked [`Mutex`].
#[derive(Debug)]
pub struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>, &'a Mutex<T>);

impl<T> Mutex<T> {
    /// Makes an unlocked mutex.
    pub fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(|e| e.into_inner())), self)
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|g| MutexGuard(Some(g), self))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("guard is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("guard is held")
    }
}

/// A condition variable with `parking_lot`'s signatures over loom's.
#[derive(Debug, Default)]
pub struct Condvar(loom::sync::Condvar);

impl Condvar {
    /// Makes a condition variable nobody waits on.
    pub fn new() -> Self {
        Condvar(loom::sync::Condvar::new())
    }

    /// Releases the lock, waits for a notification, takes the lock again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("guard is held");
        guard.0 = Some(self.0.wait(held).unwrap_or_else(|e| e.into_inner()));
    }

    /// Releases the lock, lets others have it, takes it again: here the time is over at once.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> WaitTimeoutResult {
        drop(guard.0.take());
        guard.0 = Some(guard.1.0.lock().unwrap_or_else(|e| e.into_inner()));
        WaitTimeoutResult(())
    }

    /// As [`wait_until`](Self::wait_until).
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) -> WaitTimeoutResult {
        drop(guard.0.take());
        guard.0 = Some(guard.1.0.lock().unwrap_or_else(|e| e.into_inner()));
        WaitTimeoutResult(())
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// How a wait with a time limit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult(());

impl WaitTimeoutResult {
    /// Whether the time was over: here it always is.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        true
    }
}

//! Locks, semaphores, notifications and cancellation that serve OS threads, green threads and
//! futures alike.
//!
//! ```
//! use weftwork_sync::Mutex;
//!
//! static TOTAL: Mutex<u32> = Mutex::new(0);
//!
//! let thread = std::thread::spawn(|| *TOTAL.lock() += 1);
//! weftwork_core::block_on(async {
//!     *TOTAL.lock_async().await += 1;
//! });
//! thread.join().unwrap();
//! assert_eq!(*TOTAL.lock(), 2);
//! ```
#![doc(test(attr(deny(warnings))))]

mod barrier;
mod condvar;
#[cfg(not(weftwork_loom))]
mod context;
mod holder;
mod mutex;
mod notify;
mod once;
mod project;
mod reason;
mod rwlock;
mod semaphore;
mod wait_group;
mod waiting;

pub use barrier::{Barrier, BarrierFuture, BarrierWaitResult};
pub use condvar::{Condvar, WaitFuture};
#[cfg(not(weftwork_loom))]
pub use context::{AfterFunc, Canceler, Cause, Context, ContextError, Done};
pub use holder::{Holder, Party};
pub use mutex::{LockFuture, MappedMutexGuard, Mutex, MutexGuard, PoisonError};
pub use notify::{Notified, Notify};
pub use once::{LazyLock, Once, OnceLock, OnceState};
pub use rwlock::{ReadFuture, RwLock, RwLockReadGuard, RwLockWriteGuard, WriteFuture};
pub use semaphore::{
    AcquireError, AcquireFuture, AcquireOwnedFuture, AcquireTimeoutError, OwnedSemaphorePermit,
    Semaphore, SemaphorePermit, TryAcquireError,
};
pub use wait_group::{NotDone, WaitGroup, WaitGroupFuture};
pub use weftwork_core::TimedOut;

/// A cell that is written once: another name of [`OnceLock`].
pub type OnceCell<T> = OnceLock<T>;

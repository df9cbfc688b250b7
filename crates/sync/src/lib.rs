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
//!
//! Each type may be used from all three at once, with or without a runtime, and under any executor:
//!
//! | type | names and meaning of | for |
//! | --- | --- | --- |
//! | [`Mutex`], [`RwLock`], [`Condvar`] | std, `parking_lot` | a value, and a change of it |
//! | [`Semaphore`] | tokio | a number of permits, of which one may take several |
//! | [`Notify`] | tokio | "something has happened" |
//! | [`Barrier`], [`WaitGroup`] | std; crossbeam and Go | the others to arrive, or to be done |
//! | [`Once`], [`OnceLock`], [`LazyLock`] | std | something that is done once |
//! | [`Context`] | Go | when to stop, and why |
//!
//! *Calls.* `try_x` never waits, `x` waits, `x_timeout` and `x_deadline` wait that long, `x_async` gives a
//! future. A green thread that waits lets its worker go on; an OS thread sleeps. A deadline that cannot be
//! told is never reached.
//!
//! *Cancellation.* A cancelled green thread unwinds from a call that has to wait. It, a dropped future and one
//! whose time is over give what was set aside for them to the next in line. The futures are
//! [events](weftwork_core::Event), except that of [`Condvar::wait_async`], and so may be arms of a select.
//!
//! *Re-entrance.* No code of the user's, be it a waker, a drop or a callback, runs under a lock of this crate.
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

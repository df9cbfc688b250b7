//! A lock for many readers or one writer.

mod guard;
mod raw;

pub use guard::{RwLockReadGuard, RwLockWriteGuard};

use crate::holder::Holder;
use crate::project::project;
use raw::{Kind, Phases, RawRwLock};
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;
use weftwork_core::wait::queue::Waiter;
use weftwork_core::{Event, TimedOut};

/// A value that many may read at once, or one may change.
///
/// *Fairness.* Phases alternate: while writers wait, new readers wait as well; when the readers inside
/// have left, one writer gets in; when it leaves, all readers that wait by then do. So neither starves
/// the other. A thread that reads already and reads again may therefore wait for itself, if a writer
/// came in between: do not nest reads.
///
/// *Cancellation.* The turn of one that is cancelled or dropped goes to the next. There is no poisoning.
///
/// ```
/// use weftwork_sync::RwLock;
///
/// let routes = RwLock::new(vec!["a"]);
/// routes.write().push("b");
/// let (one, other) = (routes.read(), routes.read());
/// assert_eq!(one.len(), other.len());
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    // Outside the models: loom's cell holds sized values only. The models lock a watched cell.
    value: std::cell::UnsafeCell<T>,
}

// SAFETY: what takes the automatic impl away is the cell. A writer has the value to itself, on
// whatever thread: `T: Send`. Readers share it: `T: Sync`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// Makes an unlocked lock.
    ///
    /// ```
    /// static LIMIT: weftwork_sync::RwLock<u32> = weftwork_sync::RwLock::new(8);
    /// assert_eq!(*LIMIT.read(), 8);
    /// ```
    #[cfg(not(weftwork_loom))]
    pub const fn new(value: T) -> Self {
        RwLock {
            raw: RawRwLock::new(),
            value: std::cell::UnsafeCell::new(value), // Outside the models: as above.
        }
    }

    /// Makes an unlocked lock.
    #[cfg(weftwork_loom)]
    pub fn new(value: T) -> Self {
        RwLock {
            raw: RawRwLock::new(),
            value: std::cell::UnsafeCell::new(value), // Outside the models: as above.
        }
    }

    /// Unwraps the value.
    ///
    /// ```
    /// assert_eq!(weftwork_sync::RwLock::new(3).into_inner(), 3);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, waiting if need be.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// assert_eq!(*lock.read(), 1);
    /// ```
    #[track_caller]
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let locked = self.raw.lock(Kind::Read, None);
        debug_assert!(locked.is_ok(), "there is no deadline");
        RwLockReadGuard::new(self)
    }

    /// Locks for reading if that is possible at once and nobody waits.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// let _guard = lock.write();
    /// assert!(lock.try_read().is_none());
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let locked = self.raw.try_lock(Kind::Read);
        locked.then(|| RwLockReadGuard::new(self))
    }

    /// Locks for reading, waiting for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = weftwork_sync::RwLock::new(1);
    /// let _guard = lock.write();
    /// assert!(lock.read_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn read_timeout(&self, timeout: Duration) -> Result<RwLockReadGuard<'_, T>, TimedOut> {
        self.raw.lock(Kind::Read, deadline_after(timeout))?;
        Ok(RwLockReadGuard::new(self))
    }

    /// Locks for reading, waiting until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// assert!(lock.read_deadline(std::time::Instant::now()).is_ok());
    /// ```
    #[track_caller]
    pub fn read_deadline(&self, deadline: Instant) -> Result<RwLockReadGuard<'_, T>, TimedOut> {
        self.raw.lock(Kind::Read, Some(deadline))?;
        Ok(RwLockReadGuard::new(self))
    }

    /// Gives a future that locks for reading. It joins the line at its first poll; the lock may be
    /// handed to it, so one that is not going to be polled is to be dropped.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// weftwork_core::block_on(async {
    ///     assert_eq!(*lock.read_async().await, 1);
    /// });
    /// ```
    pub fn read_async(&self) -> ReadFuture<'_, T> {
        ReadFuture {
            lock: self,
            waiter: self.raw.waiter(Kind::Read),
        }
    }

    /// Locks for writing, waiting if need be.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// *lock.write() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[track_caller]
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let locked = self.raw.lock(Kind::Write, None);
        debug_assert!(locked.is_ok(), "there is no deadline");
        self.write_guard(Location::caller())
    }

    /// Locks for writing if that is possible at once and nobody waits.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// let _guard = lock.read();
    /// assert!(lock.try_write().is_none());
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let location = Location::caller();
        let locked = self.raw.try_lock(Kind::Write);
        locked.then(|| self.write_guard(location))
    }

    /// Locks for writing, waiting for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = weftwork_sync::RwLock::new(1);
    /// let _guard = lock.read();
    /// assert!(lock.write_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn write_timeout(&self, timeout: Duration) -> Result<RwLockWriteGuard<'_, T>, TimedOut> {
        self.raw.lock(Kind::Write, deadline_after(timeout))?;
        Ok(self.write_guard(Location::caller()))
    }

    /// Locks for writing, waiting until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// assert!(lock.write_deadline(std::time::Instant::now()).is_ok());
    /// ```
    #[track_caller]
    pub fn write_deadline(&self, deadline: Instant) -> Result<RwLockWriteGuard<'_, T>, TimedOut> {
        self.raw.lock(Kind::Write, Some(deadline))?;
        Ok(self.write_guard(Location::caller()))
    }

    /// Gives a future that locks for writing. It joins the line at its first poll; the lock may be
    /// handed to it, so one that is not going to be polled is to be dropped.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// weftwork_core::block_on(async {
    ///     *lock.write_async().await += 1;
    /// });
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[track_caller]
    pub fn write_async(&self) -> WriteFuture<'_, T> {
        WriteFuture {
            lock: self,
            waiter: self.raw.waiter(Kind::Write),
            location: Location::caller(),
        }
    }

    fn write_guard(&self, location: &'static Location<'static>) -> RwLockWriteGuard<'_, T> {
        self.raw.note().set(location);
        RwLockWriteGuard::new(self)
    }

    /// Borrows the value: nobody else can have it.
    ///
    /// ```
    /// let mut lock = weftwork_sync::RwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether somebody holds the lock just now, for reading or writing.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// let _guard = lock.read();
    /// assert!(lock.is_locked() && !lock.is_locked_exclusive());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked(Kind::Read)
    }

    /// Whether somebody holds the lock for writing just now.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// let _guard = lock.write();
    /// assert!(lock.is_locked_exclusive());
    /// ```
    pub fn is_locked_exclusive(&self) -> bool {
        self.raw.is_locked(Kind::Write)
    }

    /// The writer that holds the lock, and the line that took it. A report, as
    /// [`Mutex::holder`](crate::Mutex::holder). Readers are not noted.
    ///
    /// ```
    /// let lock = weftwork_sync::RwLock::new(1);
    /// let _guard = lock.write();
    /// assert_eq!(lock.holder().unwrap().party, weftwork_sync::Party::current());
    /// ```
    pub fn holder(&self) -> Option<Holder> {
        let holder = self.raw.note().get();
        holder.filter(|_| self.is_locked_exclusive())
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        match self.try_read() {
            Some(value) => out.field("value", &&*value),
            None => out.field("value", &format_args!("<locked>")),
        };
        out.finish_non_exhaustive()
    }
}

// A writer that panics leaves the value as it is, as a mutex does.
impl<T: ?Sized> std::panic::RefUnwindSafe for RwLock<T> {}
impl<T: ?Sized> std::panic::UnwindSafe for RwLock<T> {}

/// Locks for reading: see [`RwLock::read_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct ReadFuture<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    waiter: Waiter<'a, Phases>,
}

impl<'a, T: ?Sized> Future for ReadFuture<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let lock = self.lock;
        let polled = lock
            .raw
            .poll_lock(project!(self.waiter), Kind::Read, context);
        polled.map(|()| RwLockReadGuard::new(lock))
    }
}

impl<T: ?Sized> Event for ReadFuture<'_, T> {}

impl<T: ?Sized> fmt::Debug for ReadFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadFuture").finish_non_exhaustive()
    }
}

/// Locks for writing: see [`RwLock::write_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct WriteFuture<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    waiter: Waiter<'a, Phases>,
    location: &'static Location<'static>,
}

impl<'a, T: ?Sized> Future for WriteFuture<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (lock, location) = (self.lock, self.location);
        let polled = lock
            .raw
            .poll_lock(project!(self.waiter), Kind::Write, context);
        polled.map(|()| lock.write_guard(location))
    }
}

impl<T: ?Sized> Event for WriteFuture<'_, T> {}

impl<T: ?Sized> fmt::Debug for WriteFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteFuture").finish_non_exhaustive()
    }
}

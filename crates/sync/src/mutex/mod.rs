//! A mutex for whoever waits: an OS thread, a green thread, a future.

mod guard;
mod poison;
mod raw;

pub use guard::{MappedMutexGuard, MutexGuard};
pub use poison::PoisonError;

use crate::holder::Holder;
use crate::project::project;
use poison::Poison;
pub(crate) use raw::{Acquire, RawMutex};
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;
use weftwork_core::{Event, TimedOut};

/// A value that one at a time may use.
///
/// The same mutex may be locked by OS threads, green threads and futures. Who waits for it parks:
/// an OS thread after a short spin, a green thread at once, which lets its worker go on.
///
/// *Fairness.* A free lock goes to whoever comes first, also past those who wait, because that keeps
/// everybody running. Those who wait do so in the order they came, and are woken one at a time. One
/// that lost 32 times or has waited for half a millisecond gets the lock handed over. So nobody
/// starves, and the lock is not passed from sleeper to sleeper when it is busy. (After the eventual
/// fairness of WebKit's and Go's locks.)
///
/// *Cancellation.* A cancelled green thread unwinds from a `lock` that has to wait; its turn goes to
/// the next. So it does if the future of [`lock_async`](Self::lock_async) is dropped.
///
/// *Poisoning* is off: a mutex whose holder panicked is unlocked as by any other end of the guard.
/// [`Mutex::poisoning`] makes one that remembers it.
///
/// *Not re-entrant.* Whoever locks a mutex that it holds already waits for itself.
///
/// ```
/// use weftwork_sync::Mutex;
///
/// static TOTAL: Mutex<u32> = Mutex::new(0);
///
/// std::thread::scope(|s| {
///     for n in 1..=4 {
///         s.spawn(move || *TOTAL.lock() += n);
///     }
/// });
/// assert_eq!(*TOTAL.lock(), 10);
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    // Outside the models: loom's cell holds sized values only. The models lock a watched cell.
    value: std::cell::UnsafeCell<T>,
}

// SAFETY: what takes the automatic impl away is the cell. The lock lets one party at a time use the
// value, on whatever thread: so `T` must be `Send`, and need not be `Sync`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// Makes an unlocked mutex.
    ///
    /// ```
    /// static NAMES: weftwork_sync::Mutex<Vec<&str>> = weftwork_sync::Mutex::new(Vec::new());
    /// NAMES.lock().push("Ada");
    /// ```
    #[cfg(not(weftwork_loom))]
    #[inline]
    pub const fn new(value: T) -> Self {
        Mutex {
            raw: RawMutex::new(Poison::never()),
            value: std::cell::UnsafeCell::new(value), // Outside the models: as above.
        }
    }

    /// Makes an unlocked mutex.
    #[cfg(weftwork_loom)]
    pub fn new(value: T) -> Self {
        Mutex {
            raw: RawMutex::new(Poison::never()),
            value: std::cell::UnsafeCell::new(value), // Outside the models: as above.
        }
    }

    /// Makes an unlocked mutex that remembers if a holder panics, or unwinds because its task is
    /// cancelled.
    ///
    /// From then on [`lock`](Self::lock) and its kin panic, naming the line where the holder had
    /// taken the lock, and [`lock_checked`](Self::lock_checked) hands the guard back in an error,
    /// until [`clear_poison`](Self::clear_poison). On a thread that is panicking already they give the
    /// lock as it is, because a second panic would end the process.
    ///
    /// ```
    /// use weftwork_sync::Mutex;
    ///
    /// let balance = Mutex::poisoning(100);
    /// let panicked = std::panic::catch_unwind(|| {
    ///     let _balance = balance.lock();
    ///     panic!("half way");
    /// });
    /// assert!(panicked.is_err() && balance.is_poisoned());
    /// let repaired = balance.lock_checked().unwrap_err().into_inner();
    /// balance.clear_poison();
    /// drop(repaired);
    /// assert_eq!(*balance.lock(), 100);
    /// ```
    #[cfg(not(weftwork_loom))]
    pub const fn poisoning(value: T) -> Self {
        Mutex {
            raw: RawMutex::new(Poison::clean()),
            value: std::cell::UnsafeCell::new(value), // Outside the models: as above.
        }
    }

    /// Makes an unlocked mutex that remembers if a holder panics.
    #[cfg(weftwork_loom)]
    pub fn poisoning(value: T) -> Self {
        Mutex {
            raw: RawMutex::new(Poison::clean()),
            value: std::cell::UnsafeCell::new(value), // Outside the models: as above.
        }
    }

    /// Unwraps the value, poisoned or not.
    ///
    /// ```
    /// assert_eq!(weftwork_sync::Mutex::new(3).into_inner(), 3);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, waiting for it if need be.
    ///
    /// # Panics
    /// It is poisoned.
    ///
    /// ```
    /// let mutex = weftwork_sync::Mutex::new(1);
    /// *mutex.lock() += 1;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.raw.lock();
        self.expect_clean(Location::caller())
    }

    /// Locks the mutex if it is free. Never waits; may take the lock before those who wait.
    ///
    /// # Panics
    /// It is poisoned.
    ///
    /// ```
    /// let mutex = weftwork_sync::Mutex::new(1);
    /// let _guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let location = Location::caller();
        self.raw.try_lock().then(|| self.expect_clean(location))
    }

    /// Locks the mutex, waiting for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// # Panics
    /// It is poisoned.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mutex = weftwork_sync::Mutex::new(1);
    /// let _guard = mutex.lock_timeout(Duration::from_millis(1)).unwrap();
    /// assert!(mutex.lock_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<'_, T>, TimedOut> {
        self.lock_until(deadline_after(timeout))
    }

    /// Locks the mutex, waiting until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first.
    ///
    /// # Panics
    /// It is poisoned.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let mutex = weftwork_sync::Mutex::new(1);
    /// assert!(mutex.lock_deadline(Instant::now()).is_ok());
    /// ```
    #[track_caller]
    pub fn lock_deadline(&self, deadline: Instant) -> Result<MutexGuard<'_, T>, TimedOut> {
        self.lock_until(Some(deadline))
    }

    #[track_caller]
    fn lock_until(&self, deadline: Option<Instant>) -> Result<MutexGuard<'_, T>, TimedOut> {
        self.raw.lock_deadline(deadline)?;
        Ok(self.expect_clean(Location::caller()))
    }

    /// Gives a future that locks the mutex.
    ///
    /// It joins the line at its first poll. Dropping it gives its turn to the next. While it is kept
    /// but not polled, the lock may be handed to it: a future that is not going to be polled is to be
    /// dropped. The guard does not leave its thread, so a future that may is not to hold it across an
    /// `.await`.
    ///
    /// # Panics
    /// The poll panics if the mutex is poisoned.
    ///
    /// ```
    /// let mutex = weftwork_sync::Mutex::new(1);
    /// weftwork_core::block_on(async {
    ///     *mutex.lock_async().await += 1;
    /// });
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    #[track_caller]
    pub fn lock_async(&self) -> LockFuture<'_, T> {
        LockFuture {
            mutex: self,
            acquire: Acquire::new(&self.raw),
            location: Location::caller(),
        }
    }

    /// Locks the mutex, waiting for it if need be, and says if it is poisoned.
    ///
    /// # Errors
    /// It is poisoned: the error has the guard.
    ///
    /// ```
    /// let mutex = weftwork_sync::Mutex::poisoning(1);
    /// assert_eq!(*mutex.lock_checked().unwrap(), 1);
    /// ```
    #[track_caller]
    pub fn lock_checked(&self) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
        self.raw.lock();
        let guard = self.guard(Location::caller());
        let poison = self.raw.poison();
        if poison.is_poisoned() {
            return Err(PoisonError::new(guard, poison.location()));
        }
        Ok(guard)
    }

    /// The caller has just taken the lock.
    #[inline]
    pub(crate) fn guard(&self, location: &'static Location<'static>) -> MutexGuard<'_, T> {
        self.raw.note_holder(location);
        MutexGuard::new(self)
    }

    #[inline]
    fn expect_clean(&self, location: &'static Location<'static>) -> MutexGuard<'_, T> {
        let guard = self.guard(location);
        // A second panic would end the process: a destructor gets the lock as it is.
        if self.raw.poison().is_poisoned() && !std::thread::panicking() {
            refuse(guard, location);
        }
        guard
    }

    /// Ends a wait at a condition variable: the caller has the lock again.
    pub(crate) fn check_poison_after_wait(&self, was_poisoned: bool) {
        let poison = self.raw.poison();
        if !was_poisoned && poison.is_poisoned() && !std::thread::panicking() {
            panic!("mutex {}", PoisonError::new((), poison.location()));
        }
    }

    /// The mutex without its value, for a condition variable.
    pub(crate) fn raw(&self) -> &RawMutex {
        &self.raw
    }

    /// Borrows the value: nobody else can have it.
    ///
    /// ```
    /// let mut mutex = weftwork_sync::Mutex::new(1);
    /// *mutex.get_mut() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether somebody holds the lock just now.
    ///
    /// ```
    /// let mutex = weftwork_sync::Mutex::new(1);
    /// let _guard = mutex.lock();
    /// assert!(mutex.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }

    /// Who holds the lock, and the line that took it. A report: where the lock changes hands
    /// meanwhile, it may name the holder before.
    ///
    /// ```
    /// let mutex = weftwork_sync::Mutex::new(1);
    /// let _guard = mutex.lock();
    /// assert!(mutex.holder().unwrap().location.file().ends_with(".rs"));
    /// ```
    pub fn holder(&self) -> Option<Holder> {
        self.raw.holder()
    }

    /// Whether a holder panicked, where the mutex was made to remember that.
    ///
    /// ```
    /// assert!(!weftwork_sync::Mutex::new(1).is_poisoned());
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.raw.poison().is_poisoned()
    }

    /// Forgets that a holder panicked.
    ///
    /// ```
    /// weftwork_sync::Mutex::poisoning(1).clear_poison();
    /// ```
    pub fn clear_poison(&self) {
        self.raw.poison().clear();
    }
}

/// Ends a `lock` of a poisoned mutex, which is unlocked again.
#[cold]
fn refuse<T: ?Sized>(guard: MutexGuard<'_, T>, location: &'static Location<'static>) -> ! {
    let poisoned_at = MutexGuard::mutex(&guard).raw.poison().location();
    // Unlocked before the panic: it is not the holder's.
    drop(guard);
    let error = PoisonError::new((), poisoned_at);
    panic!("mutex {error}; locked again at {location}");
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        if self.raw.try_lock() {
            out.field("value", &&*MutexGuard::new(self));
        } else {
            out.field("value", &format_args!("<locked>"));
        }
        out.finish_non_exhaustive()
    }
}

// A holder that panics leaves the value as it is, and says so where it was asked to.
impl<T: ?Sized> std::panic::RefUnwindSafe for Mutex<T> {}
impl<T: ?Sized> std::panic::UnwindSafe for Mutex<T> {}

/// Locks a mutex: see [`Mutex::lock_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct LockFuture<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    acquire: Acquire<'a>,
    location: &'static Location<'static>,
}

impl<'a, T: ?Sized> Future for LockFuture<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (mutex, location) = (self.mutex, self.location);
        let polled = project!(self.acquire).poll(context);
        polled.map(|()| mutex.expect_clean(location))
    }
}

impl<T: ?Sized> Event for LockFuture<'_, T> {}

impl<T: ?Sized> fmt::Debug for LockFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockFuture").finish_non_exhaustive()
    }
}

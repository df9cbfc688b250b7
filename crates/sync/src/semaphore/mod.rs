//! A counting semaphore: permits in any number, first come, first served.

mod error;
mod permit;
mod raw;

pub use error::{AcquireError, AcquireTimeoutError, TryAcquireError};
pub use permit::{OwnedSemaphorePermit, SemaphorePermit};

use crate::project::project;
use crate::{reason, waiting};
use raw::{Permits, Refused};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;
use weftwork_core::wait::queue::{Lane, WaitQueue, Waiter};
use weftwork_core::{Event, TimedOut};

/// A number of permits, of which one may take several at once.
///
/// *Fairness.* Strictly first come, first served: while somebody waits nobody takes permits past it,
/// though there may be enough for a smaller request. So a big request is not starved by small ones.
///
/// *Cancellation.* Permits set aside for one that is cancelled or dropped go to the next.
///
/// *Closing.* After [`close`](Self::close) every acquisition fails, waiting or new. It stays closed,
/// whatever is added, given back or forgotten.
///
/// ```
/// use weftwork_sync::Semaphore;
///
/// let slots = Semaphore::new(3);
/// let two = slots.acquire(2).unwrap();
/// assert!(slots.try_acquire(2).is_err());
/// drop(two);
/// assert_eq!(slots.available_permits(), 3);
/// ```
pub struct Semaphore {
    queue: WaitQueue<Permits>,
}

impl Semaphore {
    /// The most permits that a semaphore can have.
    pub const MAX_PERMITS: usize = raw::MAX;

    /// Makes a semaphore with so many permits.
    ///
    /// # Panics
    /// There are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// ```
    /// assert_eq!(weftwork_sync::Semaphore::new(2).available_permits(), 2);
    /// ```
    #[cfg(not(weftwork_loom))]
    pub const fn new(permits: usize) -> Self {
        assert!(permits <= Self::MAX_PERMITS, "too many permits");
        let (word, state) = raw::queue(permits);
        Semaphore {
            queue: WaitQueue::with_shared(word, state),
        }
    }

    /// Makes a semaphore with so many permits.
    #[cfg(weftwork_loom)]
    pub fn new(permits: usize) -> Self {
        assert!(permits <= Self::MAX_PERMITS, "too many permits");
        let (word, state) = raw::queue(permits);
        Semaphore {
            queue: WaitQueue::with_shared(word, state),
        }
    }

    /// Takes `n` permits, waiting for them if need be.
    ///
    /// # Errors
    /// The semaphore is closed.
    ///
    /// ```
    /// let semaphore = weftwork_sync::Semaphore::new(1);
    /// let permit = semaphore.acquire(1).unwrap();
    /// assert_eq!(permit.count(), 1);
    /// ```
    #[track_caller]
    pub fn acquire(&self, n: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        match self.take_until(n, None) {
            Ok(()) => Ok(SemaphorePermit::new(self, n)),
            Err(_) => Err(AcquireError(())),
        }
    }

    /// Takes `n` permits if there are so many and nobody waits. Never waits.
    ///
    /// # Errors
    /// Which of these does not hold, or that the semaphore is closed.
    ///
    /// ```
    /// use weftwork_sync::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// assert_eq!(semaphore.try_acquire(2).unwrap_err(), TryAcquireError::NoPermits);
    /// ```
    #[inline]
    pub fn try_acquire(&self, n: usize) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(n)?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes `n` permits, waiting for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first, or the semaphore is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_sync::{AcquireTimeoutError, Semaphore};
    ///
    /// let semaphore = Semaphore::new(0);
    /// let error = semaphore.acquire_timeout(1, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error, AcquireTimeoutError::TimedOut);
    /// ```
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        n: usize,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.take_until(n, deadline_after(timeout))?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes `n` permits, waiting until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first, or the semaphore is closed.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let semaphore = weftwork_sync::Semaphore::new(1);
    /// assert!(semaphore.acquire_deadline(1, Instant::now()).is_ok());
    /// ```
    #[track_caller]
    pub fn acquire_deadline(
        &self,
        n: usize,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.take_until(n, Some(deadline))?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Gives a future that takes `n` permits. It joins the line at its first poll.
    ///
    /// Once it is first in line, permits are set aside for it: one that is not going to be polled is
    /// to be dropped.
    ///
    /// ```
    /// let semaphore = weftwork_sync::Semaphore::new(1);
    /// weftwork_core::block_on(async {
    ///     let permit = semaphore.acquire_async(1).await.unwrap();
    ///     assert_eq!(permit.count(), 1);
    /// });
    /// ```
    pub fn acquire_async(&self, n: usize) -> AcquireFuture<'_> {
        AcquireFuture {
            semaphore: self,
            n,
            waiter: Waiter::new(&self.queue, n),
        }
    }

    /// As [`acquire`](Self::acquire); the permits keep the semaphore alive.
    ///
    /// # Errors
    /// The semaphore is closed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weftwork_sync::Semaphore;
    ///
    /// let permit = Arc::new(Semaphore::new(1)).acquire_owned(1).unwrap();
    /// assert_eq!(permit.count(), 1);
    /// ```
    #[track_caller]
    pub fn acquire_owned(self: Arc<Self>, n: usize) -> Result<OwnedSemaphorePermit, AcquireError> {
        match self.take_until(n, None) {
            Ok(()) => Ok(OwnedSemaphorePermit::new(self, n)),
            Err(_) => Err(AcquireError(())),
        }
    }

    /// As [`try_acquire`](Self::try_acquire); the permits keep the semaphore alive.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weftwork_sync::Semaphore;
    ///
    /// assert!(Arc::new(Semaphore::new(1)).try_acquire_owned(2).is_err());
    /// ```
    pub fn try_acquire_owned(
        self: Arc<Self>,
        n: usize,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_take(n)?;
        Ok(OwnedSemaphorePermit::new(self, n))
    }

    /// As [`acquire_async`](Self::acquire_async); future and permits keep the semaphore alive.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weftwork_sync::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = weftwork_core::block_on(semaphore.acquire_owned_async(1)).unwrap();
    /// assert_eq!(permit.count(), 1);
    /// ```
    pub fn acquire_owned_async(self: Arc<Self>, n: usize) -> AcquireOwnedFuture {
        AcquireOwnedFuture {
            waiter: Waiter::owned(Arc::clone(&self), |owner| &owner.queue, Lane::First, n),
            semaphore: self,
            n,
        }
    }

    #[inline]
    fn try_take(&self, n: usize) -> Result<(), TryAcquireError> {
        raw::try_take(self.queue.shared(), n).map_err(|refused| match refused {
            Refused::Closed => TryAcquireError::Closed,
            Refused::TooFew => TryAcquireError::NoPermits,
        })
    }

    #[track_caller]
    #[inline]
    fn take_until(&self, n: usize, deadline: Option<Instant>) -> Result<(), AcquireTimeoutError> {
        match self.try_take(n) {
            Ok(()) => Ok(()),
            Err(TryAcquireError::Closed) => Err(AcquireTimeoutError::Closed),
            Err(TryAcquireError::NoPermits) => self.take_slow(n, deadline),
        }
    }

    #[track_caller]
    #[cold]
    fn take_slow(&self, n: usize, deadline: Option<Instant>) -> Result<(), AcquireTimeoutError> {
        let mut waiter = pin!(Waiter::new(&self.queue, n));
        let taken = waiting::wait_until(reason::SEMAPHORE, deadline, |context| {
            raw::poll_take(waiter.as_mut(), n, context)
        });
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => Err(AcquireTimeoutError::Closed),
            Err(TimedOut) => Err(AcquireTimeoutError::TimedOut),
        }
    }

    /// Makes `n` new permits. Also a closed semaphore counts them.
    ///
    /// # Panics
    /// There would be more than [`MAX_PERMITS`](Self::MAX_PERMITS) free ones.
    ///
    /// ```
    /// let semaphore = weftwork_sync::Semaphore::new(1);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    pub fn add_permits(&self, n: usize) {
        assert!(raw::add(&self.queue, n), "too many permits");
    }

    /// Destroys up to `n` free permits, and says how many.
    ///
    /// ```
    /// let semaphore = weftwork_sync::Semaphore::new(3);
    /// assert_eq!(semaphore.forget(5), 3);
    /// ```
    pub fn forget(&self, n: usize) -> usize {
        raw::forget(&self.queue, n)
    }

    /// How many permits are free.
    ///
    /// ```
    /// assert_eq!(weftwork_sync::Semaphore::new(3).available_permits(), 3);
    /// ```
    pub fn available_permits(&self) -> usize {
        raw::available(&self.queue)
    }

    /// Closes the semaphore: those who wait are woken with an error, and nobody gets permits any more.
    /// Permits that are held stay valid.
    ///
    /// ```
    /// let semaphore = weftwork_sync::Semaphore::new(3);
    /// semaphore.close();
    /// assert!(semaphore.acquire(1).is_err());
    /// ```
    pub fn close(&self) {
        raw::close(&self.queue);
    }

    /// Whether it has been closed.
    ///
    /// ```
    /// assert!(!weftwork_sync::Semaphore::new(3).is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        raw::is_closed(&self.queue)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Takes permits: see [`Semaphore::acquire_async`].
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct AcquireFuture<'a> {
    semaphore: &'a Semaphore,
    n: usize,
    waiter: Waiter<'a, Permits>,
}

impl<'a> Future for AcquireFuture<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (semaphore, n) = (self.semaphore, self.n);
        let polled = raw::poll_take(project!(self.waiter), n, context);
        polled.map(|given| {
            given
                .then(|| SemaphorePermit::new(semaphore, n))
                .ok_or(AcquireError(()))
        })
    }
}

impl Event for AcquireFuture<'_> {}

/// Takes permits: see [`Semaphore::acquire_owned_async`].
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct AcquireOwnedFuture {
    semaphore: Arc<Semaphore>,
    n: usize,
    waiter: Waiter<'static, Permits>,
}

impl Future for AcquireOwnedFuture {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let n = self.n;
        let polled = raw::poll_take(project!(self.waiter), n, context);
        polled.map(|given| {
            given
                .then(|| OwnedSemaphorePermit::new(Arc::clone(&self.semaphore), n))
                .ok_or(AcquireError(()))
        })
    }
}

impl Event for AcquireOwnedFuture {}

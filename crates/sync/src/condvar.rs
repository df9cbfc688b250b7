//! A condition variable for the mutex of this crate.
//!
//! A waiter joins the queue while it holds the mutex, and unlocks it afterwards. So whoever changes
//! the condition under the mutex and notifies then finds the waiter in the queue: `queued` is read
//! without the queue's lock, but not without the mutex before.

use crate::mutex::{Acquire, Mutex, MutexGuard, RawMutex};
use crate::project::project;
use crate::{reason, waiting};
use std::fmt;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use weftwork_core::TimedOut;
use weftwork_core::sync::atomic::{AtomicU32, Ordering};
use weftwork_core::wait::deadline_after;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};

/// Lets those who hold a [`Mutex`] wait for a change of its value.
///
/// A wait gives the mutex up, and has it again when it returns, however it ends. It may return though
/// nobody notified: look at the condition again, or use [`wait_while`](Self::wait_while). Waiters are
/// notified in the order they came. A notification given to one that is cancelled or whose time is
/// over goes to the next.
///
/// ```
/// use weftwork_sync::{Condvar, Mutex};
///
/// static READY: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
///
/// let other = std::thread::spawn(|| {
///     *READY.0.lock() = true;
///     READY.1.notify_one();
/// });
/// let mut ready = READY.0.lock();
/// while !*ready {
///     READY.1.wait(&mut ready);
/// }
/// drop(ready);
/// other.join().unwrap();
/// ```
pub struct Condvar {
    queue: WaitQueue<Waiting>,
}

struct Waiting;

impl Line for Waiting {
    /// Whether somebody waits: 1 or 0. Changes with the queue locked.
    type Shared = AtomicU32;
    type Ask = ();
    type Token = ();

    fn left(queue: &mut Locked<'_, Self>, _: Lane) {
        update(queue);
    }

    fn returned(queue: &mut Locked<'_, Self>, (): ()) {
        let _ = queue.notify(Lane::First, ());
        update(queue);
    }
}

fn update(queue: &Locked<'_, Waiting>) {
    let queued = u32::from(!queue.is_empty(Lane::First));
    // Relaxed: the mutex orders it, see the head of the file.
    queue.shared().store(queued, Ordering::Relaxed);
}

impl Condvar {
    /// Makes a condition variable that nobody waits on.
    ///
    /// ```
    /// static CHANGED: weftwork_sync::Condvar = weftwork_sync::Condvar::new();
    /// CHANGED.notify_all();
    /// ```
    #[cfg(not(weftwork_loom))]
    pub const fn new() -> Self {
        Condvar {
            queue: WaitQueue::with_shared(AtomicU32::new(0), Waiting),
        }
    }

    /// Makes a condition variable that nobody waits on.
    #[cfg(weftwork_loom)]
    pub fn new() -> Self {
        Condvar {
            queue: WaitQueue::with_shared(AtomicU32::new(0), Waiting),
        }
    }

    /// Wakes the one that waits longest, if somebody does. Says whether somebody did.
    ///
    /// ```
    /// assert!(!weftwork_sync::Condvar::new().notify_one());
    /// ```
    pub fn notify_one(&self) -> bool {
        // Relaxed: see the head of the file.
        if self.queue.shared().load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut queue = self.queue.lock();
        let served = queue.notify(Lane::First, ()).is_ok();
        update(&queue);
        served
    }

    /// Wakes all that wait.
    ///
    /// ```
    /// weftwork_sync::Condvar::new().notify_all();
    /// ```
    pub fn notify_all(&self) {
        // Relaxed: see the head of the file.
        if self.queue.shared().load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut queue = self.queue.lock();
        queue.notify_all(Lane::First, || ());
        update(&queue);
    }

    /// Gives the mutex up, waits for a notification, and takes the mutex again.
    ///
    /// A cancelled green thread unwinds from here, with the mutex locked: its guard unlocks it.
    ///
    /// # Panics
    /// The mutex was poisoned meanwhile.
    ///
    /// ```
    /// use weftwork_sync::{Condvar, Mutex};
    ///
    /// let (done, changed) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         *done.lock() = true;
    ///         changed.notify_all();
    ///     });
    ///     let mut done = done.lock();
    ///     while !*done {
    ///         changed.wait(&mut done);
    ///     }
    /// });
    /// ```
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        let waited = self.wait_until(guard, None);
        debug_assert!(waited.is_ok(), "there is no deadline");
    }

    /// Waits for as long as `condition` holds.
    ///
    /// ```
    /// use weftwork_sync::{Condvar, Mutex};
    ///
    /// let (left, changed) = (Mutex::new(3), Condvar::new());
    /// std::thread::scope(|s| {
    ///     for _ in 0..3 {
    ///         s.spawn(|| {
    ///             *left.lock() -= 1;
    ///             changed.notify_one();
    ///         });
    ///     }
    ///     changed.wait_while(&mut left.lock(), |left| *left > 0);
    /// });
    /// ```
    #[track_caller]
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// As [`wait`](Self::wait), for at most `timeout`. Taking the mutex again may take longer.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_sync::{Condvar, Mutex};
    ///
    /// let mutex = Mutex::new(());
    /// let waited = Condvar::new().wait_timeout(&mut mutex.lock(), Duration::from_millis(1));
    /// assert!(waited.is_err());
    /// ```
    #[track_caller]
    pub fn wait_timeout<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> Result<(), TimedOut> {
        self.wait_until(guard, deadline_after(timeout))
    }

    /// As [`wait`](Self::wait), until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first.
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_sync::{Condvar, Mutex};
    ///
    /// let mutex = Mutex::new(());
    /// let waited = Condvar::new().wait_deadline(&mut mutex.lock(), Instant::now());
    /// assert!(waited.is_err());
    /// ```
    #[track_caller]
    pub fn wait_deadline<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> Result<(), TimedOut> {
        self.wait_until(guard, Some(deadline))
    }

    /// Waits for as long as `condition` holds, for at most `timeout`.
    ///
    /// # Errors
    /// The condition still held when the time was over.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_sync::{Condvar, Mutex};
    ///
    /// let mutex = Mutex::new(1);
    /// let waited = Condvar::new().wait_timeout_while(
    ///     &mut mutex.lock(),
    ///     Duration::from_millis(1),
    ///     |n| *n == 1,
    /// );
    /// assert!(waited.is_err());
    /// ```
    #[track_caller]
    pub fn wait_timeout_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), TimedOut> {
        let deadline = deadline_after(timeout);
        while condition(guard) {
            if self.wait_until(guard, deadline).is_err() {
                return if condition(guard) {
                    Err(TimedOut)
                } else {
                    Ok(())
                };
            }
        }
        Ok(())
    }

    #[track_caller]
    fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Option<Instant>,
    ) -> Result<(), TimedOut> {
        let mutex = MutexGuard::mutex(guard);
        let was_poisoned = mutex.is_poisoned();
        // Dropped last, and also if the wait unwinds: the guard is there and says it is locked.
        let mut relock = Relock {
            mutex: mutex.raw(),
            is_unlocked: false,
            location: Location::caller(),
        };
        let mut waiter = pin!(Waiter::new(&self.queue, ()));
        let waited = waiting::wait_until(reason::CONDVAR, deadline, |context| {
            let polled = self.poll_wait(waiter.as_mut(), context, relock.is_unlocked);
            if !relock.is_unlocked {
                relock.is_unlocked = true;
                relock.mutex.unlock();
            }
            polled
        });
        // A notification that came too late to be looked at goes to the next, before this waits for
        // the mutex.
        let waited = waited.or(waiter.as_mut().leave().ok_or(TimedOut));
        drop(relock);
        mutex.check_poison_after_wait(was_poisoned);
        waited
    }

    /// Joins the queue, or looks whether it has been notified.
    fn poll_wait(
        &self,
        waiter: Pin<&mut Waiter<'_, Waiting>>,
        context: &mut Context<'_>,
        has_joined: bool,
    ) -> Poll<()> {
        if has_joined {
            return waiter.poll(context);
        }
        waiter.poll_or(context, |queue| {
            // Relaxed: see the head of the file.
            queue.shared().store(1, Ordering::Relaxed);
            None
        })
    }

    /// Gives a future that gives the mutex up at its first poll, waits for a notification, and has the
    /// mutex again when it is ready.
    ///
    /// If it is dropped before that, the mutex is not taken, and a notification that it was given
    /// goes to the next. The future may go to another thread, guard and all.
    ///
    /// # Panics
    /// The poll panics if the mutex was poisoned meanwhile.
    ///
    /// ```
    /// use weftwork_sync::{Condvar, Mutex};
    ///
    /// static READY: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    ///
    /// let other = std::thread::spawn(|| {
    ///     *READY.0.lock() = true;
    ///     READY.1.notify_one();
    /// });
    /// weftwork_core::block_on(async {
    ///     let mut ready = READY.0.lock_async().await;
    ///     while !*ready {
    ///         ready = READY.1.wait_async(ready).await;
    ///     }
    /// });
    /// other.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait_async<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> WaitFuture<'a, T> {
        let mutex = MutexGuard::mutex(&guard);
        WaitFuture {
            condvar: self,
            mutex,
            waiter: Waiter::new(&self.queue, ()),
            acquire: Acquire::new(mutex.raw()),
            was_poisoned: mutex.is_poisoned(),
            guard: Some(guard),
            stage: Stage::Waiting,
            location: Location::caller(),
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// Takes the mutex again if it was given up.
struct Relock<'a> {
    mutex: &'a RawMutex,
    is_unlocked: bool,
    location: &'static Location<'static>,
}

impl Drop for Relock<'_> {
    fn drop(&mut self) {
        if self.is_unlocked {
            self.mutex.relock();
            self.mutex.note_holder(self.location);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Locking,
    Done,
}

/// Waits for a notification: see [`Condvar::wait_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct WaitFuture<'a, T: ?Sized> {
    condvar: &'a Condvar,
    mutex: &'a Mutex<T>,
    /// Until the first poll.
    guard: Option<MutexGuard<'a, T>>,
    waiter: Waiter<'a, Waiting>,
    acquire: Acquire<'a>,
    stage: Stage,
    was_poisoned: bool,
    location: &'static Location<'static>,
}

// SAFETY: what takes the automatic impl away is the guard, which is kept on its thread for the sake
// of reports alone. Here it is only dropped, and so the mutex unlocked, which any thread may do; it
// leads to the value, hence `T: Send`.
unsafe impl<T: ?Sized + Send> Send for WaitFuture<'_, T> {}

impl<'a, T: ?Sized> Future for WaitFuture<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.stage == Stage::Waiting {
            let has_joined = self.guard.is_none();
            let condvar = self.condvar;
            let polled = condvar.poll_wait(project!(self.waiter), context, has_joined);
            // SAFETY: the guard is not pinned by anybody: it is `Unpin`.
            drop(unsafe { self.as_mut().get_unchecked_mut() }.guard.take());
            ready!(polled);
            self.as_mut().set_stage(Stage::Locking);
        }
        ready!(project!(self.acquire).poll(context));
        self.as_mut().set_stage(Stage::Done);
        let guard = self.mutex.guard(self.location);
        self.mutex.check_poison_after_wait(self.was_poisoned);
        Poll::Ready(guard)
    }
}

impl<T: ?Sized> WaitFuture<'_, T> {
    fn set_stage(self: Pin<&mut Self>, stage: Stage) {
        // SAFETY: nothing that is pinned is touched.
        unsafe { self.get_unchecked_mut() }.stage = stage;
    }
}

impl<T: ?Sized> Drop for WaitFuture<'_, T> {
    fn drop(&mut self) {
        if self.stage == Stage::Locking {
            self.condvar.notify_one();
        }
    }
}

impl<T: ?Sized> fmt::Debug for WaitFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFuture")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

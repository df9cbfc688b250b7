//! A notification: one stored permit, and those who wait for one.
//!
//! Invariants
//! 1. `QUEUED` is set while somebody waits; it changes with the queue locked, and `PERMIT` is not set
//!    beside it.
//! 2. The rest of the word counts the calls of `notify_waiters`. Whoever was made before such a call
//!    is notified by it, in the queue or not.

use crate::project::project;
use crate::{reason, waiting};
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::wait::deadline_after;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};
use weftwork_core::{Event, TimedOut};

/// A notification that nobody has taken. Set by `notify_one`; excludes a queue.
const PERMIT: usize = 1;
/// Somebody waits. Set by who joins; excludes a permit.
const QUEUED: usize = 2;
/// One call of `notify_waiters`.
const CALL: usize = 4;

struct Waiting;

/// What a waiter is woken with.
enum News {
    /// A permit of its own.
    One,
    /// A call for all.
    All,
}

impl Line for Waiting {
    type Shared = AtomicUsize;
    type Ask = ();
    type Token = News;

    fn left(queue: &mut Locked<'_, Self>, _: Lane) {
        update(queue);
    }

    fn returned(queue: &mut Locked<'_, Self>, token: News) {
        if let News::One = token {
            notify_queued(queue);
        }
    }
}

fn update(queue: &Locked<'_, Waiting>) {
    if queue.is_empty(Lane::First) {
        // Relaxed: the bit orders nothing.
        queue.shared().fetch_and(!QUEUED, Ordering::Relaxed);
    }
}

/// Notifies the first in line, or stores a permit.
fn notify_queued(queue: &mut Locked<'_, Waiting>) {
    if queue.notify(Lane::First, News::One).is_err() {
        // Release: pairs with the Acquire in `Notified::try_take`.
        queue.shared().fetch_or(PERMIT, Ordering::Release);
    }
    update(queue);
}

/// Tells one waiter, or all, that something has happened, without saying what.
///
/// [`notify_one`](Self::notify_one) wakes the one that waits longest. If nobody waits, it stores a
/// permit, one at most, and the next wait ends at once. (The semantics are those of tokio's type of
/// the same name.) A notification given to one that is cancelled or dropped goes to the next.
///
/// ```
/// use weftwork_sync::Notify;
///
/// static NEWS: Notify = Notify::new();
///
/// let reader = std::thread::spawn(|| NEWS.wait());
/// NEWS.notify_one();
/// reader.join().unwrap();
/// ```
pub struct Notify {
    queue: WaitQueue<Waiting>,
}

impl Notify {
    /// Makes one without a permit.
    ///
    /// ```
    /// static NEWS: weftwork_sync::Notify = weftwork_sync::Notify::new();
    /// NEWS.notify_one();
    /// NEWS.wait();
    /// ```
    #[cfg(not(weftwork_loom))]
    pub const fn new() -> Self {
        Notify {
            queue: WaitQueue::with_shared(AtomicUsize::new(0), Waiting),
        }
    }

    /// Makes one without a permit.
    #[cfg(weftwork_loom)]
    pub fn new() -> Self {
        Notify {
            queue: WaitQueue::with_shared(AtomicUsize::new(0), Waiting),
        }
    }

    /// Wakes the one that waits longest, or stores a permit for the next one that waits.
    ///
    /// What was done before the call is seen by who takes the notification; also if there was a permit
    /// already.
    ///
    /// ```
    /// let news = weftwork_sync::Notify::new();
    /// news.notify_one();
    /// news.notify_one(); // There is one permit at most.
    /// news.wait();
    /// assert!(news.wait_timeout(std::time::Duration::from_millis(1)).is_err());
    /// ```
    pub fn notify_one(&self) {
        let word = self.queue.shared();
        // Relaxed: the exchange orders.
        let mut now = word.load(Ordering::Relaxed);
        while now & QUEUED == 0 {
            // Release: pairs with the Acquire in `Notified::try_take`. Done also where the permit is
            // there already, to release what was done since.
            match word.compare_exchange_weak(
                now,
                now | PERMIT,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
        notify_queued(&mut self.queue.lock());
    }

    /// Wakes all that wait now, and completes every [`Notified`] that was made before. Stores nothing.
    ///
    /// ```
    /// let news = weftwork_sync::Notify::new();
    /// let before = news.notified();
    /// news.notify_waiters();
    /// weftwork_core::block_on(before);
    /// ```
    pub fn notify_waiters(&self) {
        let word = self.queue.shared();
        // Relaxed: the exchange orders.
        let mut now = word.load(Ordering::Relaxed);
        while now & QUEUED == 0 {
            let then = now.wrapping_add(CALL);
            // Release: pairs with the Acquire in `Notified::try_take`.
            match word.compare_exchange_weak(now, then, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
        let mut queue = self.queue.lock();
        // Release: as above.
        word.fetch_add(CALL, Ordering::Release);
        queue.notify_all(Lane::First, || News::All);
        update(&queue);
    }

    /// Waits for a notification.
    ///
    /// ```
    /// let news = weftwork_sync::Notify::new();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| news.notify_one());
    ///     news.wait();
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        let waited = self.wait_until(None);
        debug_assert!(waited.is_ok(), "there is no deadline");
    }

    /// Waits for a notification, for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// let news = weftwork_sync::Notify::new();
    /// assert!(news.wait_timeout(std::time::Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), TimedOut> {
        self.wait_until(deadline_after(timeout))
    }

    /// Waits for a notification, until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first.
    ///
    /// ```
    /// let news = weftwork_sync::Notify::new();
    /// assert!(news.wait_deadline(std::time::Instant::now()).is_err());
    /// ```
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), TimedOut> {
        self.wait_until(Some(deadline))
    }

    #[track_caller]
    fn wait_until(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let notified = self.notified();
        if notified.try_take() {
            return Ok(());
        }
        let mut notified = pin!(notified);
        waiting::wait_until(reason::NOTIFY, deadline, |context| {
            notified.as_mut().poll(context)
        })
    }

    /// Gives a future that waits for a notification. It joins the line at its first poll, but a
    /// [`notify_waiters`](Self::notify_waiters) counts for it from now on.
    ///
    /// ```
    /// let news = weftwork_sync::Notify::new();
    /// news.notify_one();
    /// weftwork_core::block_on(news.notified());
    /// ```
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            waiter: Waiter::new(&self.queue, ()),
            // Acquire: as in `try_take`.
            calls: self.queue.shared().load(Ordering::Acquire) / CALL,
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Notify::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}

/// Waits for a notification: see [`Notify::notified`].
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    waiter: Waiter<'a, Waiting>,
    /// The count of calls when it was made.
    calls: usize,
}

impl Notified<'_> {
    /// Joins the line without being polled: a [`Notify::notify_one`] from now on may be for this.
    /// Says whether it is notified already; then the next poll is ready.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// let news = weftwork_sync::Notify::new();
    /// let mut first = pin!(news.notified());
    /// assert!(!first.as_mut().enable());
    /// news.notify_one();
    /// assert!(first.as_mut().enable());
    /// weftwork_core::block_on(first);
    /// ```
    pub fn enable(mut self: Pin<&mut Self>) -> bool {
        if self.waiter.is_busy() {
            return self.waiter.is_served();
        }
        let mut context = Context::from_waker(Waker::noop());
        if self.as_mut().poll(&mut context).is_pending() {
            return false;
        }
        // Keep what was taken for the poll to come: the count of calls is what a poll looks at first.
        // SAFETY: `calls` is not pinned.
        unsafe { self.get_unchecked_mut() }.calls = usize::MAX;
        true
    }

    /// Whether a call for all has come, or a permit is there, which is taken then.
    fn try_take(&self) -> bool {
        let word = self.notify.queue.shared();
        // Acquire, throughout: pairs with the Release in `notify_one` and `notify_waiters`.
        let mut now = word.load(Ordering::Acquire);
        loop {
            if now / CALL != self.calls {
                return true;
            }
            if now & PERMIT == 0 {
                return false;
            }
            match word.compare_exchange_weak(
                now,
                now & !PERMIT,
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.waiter.is_busy() && self.try_take() {
            return Poll::Ready(());
        }
        let calls = self.calls;
        let polled = project!(self.waiter).poll_or(context, |queue| {
            let word = queue.shared();
            // As in `try_take`.
            let mut now = word.load(Ordering::Acquire);
            loop {
                if now / CALL != calls {
                    return Some(News::All);
                }
                let (then, news) = if now & PERMIT != 0 {
                    (now & !PERMIT, Some(News::One))
                } else {
                    (now | QUEUED, None)
                };
                // Canary: announced without looking whether a permit came meanwhile.
                #[cfg(weftwork_canary)]
                if news.is_none() && canary::is(Step::Of("notify_announce")) {
                    word.fetch_or(QUEUED, Ordering::Relaxed);
                    return None;
                }
                match word.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Acquire) {
                    Ok(_) => return news,
                    Err(other) => now = other,
                }
            }
        });
        polled.map(|_| ())
    }
}

impl Event for Notified<'_> {}

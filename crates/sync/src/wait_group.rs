//! A group that others wait for: a count that comes to nothing.

use crate::project::project;
use crate::{reason, waiting};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::wait::deadline_after;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};

/// Somebody waits. Set by who joins the queue; excludes a last member that tells nobody.
const QUEUED: usize = 1;
/// One member.
const ONE: usize = 2;

struct Members {
    /// The members, and `QUEUED`.
    word: AtomicUsize,
    /// Those of them that came by `add`.
    added: AtomicUsize,
}

struct Waiting;

impl Line for Waiting {
    type Shared = Members;
    type Ask = ();
    type Token = ();
    // The bit may stay: then the last member looks in vain.
    fn left(_: &mut Locked<'_, Self>, _: Lane) {}
    fn returned(_: &mut Locked<'_, Self>, (): ()) {}
}

/// A group of parties, and a wait for the end of them all.
///
/// Each handle is a member: clone one for each party, which drops it when it is done, and
/// [`wait`](Self::wait) with the last. Or count by hand, with [`add`](Self::add) and
/// [`done`](Self::done). (As in crossbeam, and as in Go.)
///
/// ```
/// use weftwork_sync::WaitGroup;
///
/// let group = WaitGroup::new();
/// for n in 0..4 {
///     let member = group.clone();
///     std::thread::spawn(move || {
///         assert!(n < 4);
///         drop(member);
///     });
/// }
/// group.wait();
/// ```
pub struct WaitGroup {
    group: Arc<WaitQueue<Waiting>>,
}

impl WaitGroup {
    /// Makes a group of one: this handle.
    ///
    /// ```
    /// weftwork_sync::WaitGroup::new().wait();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let members = Members {
            word: AtomicUsize::new(ONE),
            added: AtomicUsize::new(0),
        };
        WaitGroup {
            group: Arc::new(WaitQueue::with_shared(members, Waiting)),
        }
    }

    /// Counts `n` members more, each to be ended by a [`done`](Self::done).
    ///
    /// ```
    /// let group = weftwork_sync::WaitGroup::new();
    /// group.add(2);
    /// group.done();
    /// group.done();
    /// group.wait();
    /// ```
    pub fn add(&self, n: usize) {
        // Relaxed, both: whoever adds is a member, so the count is not at its end.
        self.group.shared().added.fetch_add(n, Ordering::Relaxed);
        self.group
            .shared()
            .word
            .fetch_add(n * ONE, Ordering::Relaxed);
    }

    /// Ends a member that was counted by [`add`](Self::add).
    ///
    /// # Panics
    /// There is none.
    ///
    /// ```
    /// let group = weftwork_sync::WaitGroup::new();
    /// group.add(1);
    /// group.done();
    /// ```
    pub fn done(&self) {
        // Relaxed, both: `leave` orders.
        let ended =
            self.group
                .shared()
                .added
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |added| {
                    added.checked_sub(1)
                });
        assert!(ended.is_ok(), "`done` without an `add`");
        leave(&self.group);
    }

    /// Gives this handle up and waits until the group has no member.
    ///
    /// What the members did before they ended is seen after it. If it is left because the green
    /// thread was cancelled, nothing is to be put right.
    ///
    /// ```
    /// let group = weftwork_sync::WaitGroup::new();
    /// let member = group.clone();
    /// std::thread::spawn(|| drop(member));
    /// group.wait();
    /// ```
    #[track_caller]
    pub fn wait(self) {
        let mut wait = pin!(self.wait_async());
        waiting::wait(reason::WAIT_GROUP, |context| wait.as_mut().poll(context));
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first: the error has a handle, which is a member again.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let group = weftwork_sync::WaitGroup::new();
    /// let member = group.clone();
    /// let group = group.wait_timeout(Duration::from_millis(1)).unwrap_err().into_inner();
    /// drop(member);
    /// group.wait();
    /// ```
    #[track_caller]
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), NotDone> {
        self.wait_until(deadline_after(timeout))
    }

    /// As [`wait`](Self::wait), until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first: the error has a handle, which is a member again.
    ///
    /// ```
    /// let group = weftwork_sync::WaitGroup::new();
    /// assert!(group.wait_deadline(std::time::Instant::now()).is_ok());
    /// ```
    #[track_caller]
    pub fn wait_deadline(self, deadline: Instant) -> Result<(), NotDone> {
        self.wait_until(Some(deadline))
    }

    #[track_caller]
    fn wait_until(self, deadline: Option<Instant>) -> Result<(), NotDone> {
        let group = Arc::clone(&self.group);
        let mut wait = pin!(self.wait_async());
        waiting::wait_until(reason::WAIT_GROUP, deadline, |context| {
            wait.as_mut().poll(context)
        })
        .map_err(|_| NotDone(join(&group)))
    }

    /// Gives this handle up, and gives a future that is ready when the group has no member.
    ///
    /// ```
    /// let group = weftwork_sync::WaitGroup::new();
    /// let member = group.clone();
    /// std::thread::spawn(|| drop(member));
    /// weftwork_core::block_on(group.wait_async());
    /// ```
    pub fn wait_async(self) -> WaitGroupFuture {
        WaitGroupFuture {
            // The handle is given up at the end of this.
            waiter: Waiter::owned(Arc::clone(&self.group), |group| group, Lane::First, ()),
            group: Arc::clone(&self.group),
        }
    }
}

fn join(group: &Arc<WaitQueue<Waiting>>) -> WaitGroup {
    // Relaxed: nothing is passed on by joining.
    group.shared().word.fetch_add(ONE, Ordering::Relaxed);
    WaitGroup {
        group: Arc::clone(group),
    }
}

fn leave(group: &WaitQueue<Waiting>) {
    let word = &group.shared().word;
    // AcqRel: each member releases what it did, and the last one, which tells the others, acquires it.
    if word.fetch_sub(ONE, Ordering::AcqRel) == ONE | QUEUED {
        let mut queue = group.lock();
        // Relaxed: the tokens order.
        word.fetch_and(!QUEUED, Ordering::Relaxed);
        queue.notify_all(Lane::First, || ());
    }
}

impl Clone for WaitGroup {
    fn clone(&self) -> Self {
        join(&self.group)
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        leave(&self.group);
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        WaitGroup::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a report.
        let members = self.group.shared().word.load(Ordering::Relaxed) / ONE;
        f.debug_struct("WaitGroup")
            .field("members", &members)
            .finish_non_exhaustive()
    }
}

/// The time was over before the group was done: has a handle to go on with.
#[derive(Debug)]
pub struct NotDone(WaitGroup);

impl NotDone {
    /// Gives the handle.
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_sync::WaitGroup;
    ///
    /// let group = WaitGroup::new();
    /// let member = group.clone();
    /// let group = group.wait_deadline(Instant::now()).unwrap_err().into_inner();
    /// drop(member);
    /// group.wait();
    /// ```
    #[must_use]
    pub fn into_inner(self) -> WaitGroup {
        self.0
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out waiting for a group")
    }
}

impl std::error::Error for NotDone {}

/// Waits for a group: see [`WaitGroup::wait_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct WaitGroupFuture {
    waiter: Waiter<'static, Waiting>,
    group: Arc<WaitQueue<Waiting>>,
}

impl Future for WaitGroupFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Acquire, here and below: pairs with the release in `leave`.
        if !self.waiter.is_busy() && self.group.shared().word.load(Ordering::Acquire) < ONE {
            return Poll::Ready(());
        }
        project!(self.waiter).poll_or(context, |queue| {
            let word = &queue.shared().word;
            let announce = |now: usize| (now >= ONE).then_some(now | QUEUED);
            let announced = word.fetch_update(Ordering::Acquire, Ordering::Acquire, announce);
            announced.is_err().then_some(())
        })
    }
}

impl Event for WaitGroupFuture {}

impl fmt::Debug for WaitGroupFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroupFuture").finish_non_exhaustive()
    }
}

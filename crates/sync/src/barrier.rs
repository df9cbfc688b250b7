//! A barrier: nobody goes on until so many have arrived.

use crate::project::project;
use crate::{reason, waiting};
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};
use weftwork_core::{Event, TimedOut};

/// Lets a number of parties wait for each other, again and again.
///
/// One that is cancelled, dropped or timed out while it waits has not arrived: the others wait for
/// another in its place.
///
/// ```
/// use weftwork_sync::Barrier;
///
/// let barrier = Barrier::new(3);
/// std::thread::scope(|s| {
///     let parties: Vec<_> = (0..3).map(|_| s.spawn(|| barrier.wait().is_leader())).collect();
///     let leaders = parties.into_iter().map(|party| party.join().unwrap());
///     assert_eq!(leaders.filter(|is_leader| *is_leader).count(), 1);
/// });
/// ```
pub struct Barrier {
    queue: WaitQueue<Arrivals>,
}

struct Arrivals {
    wanted: usize,
    /// Those that wait. All of them are in the queue.
    arrived: usize,
}

impl Line for Arrivals {
    type Shared = ();
    type Ask = ();
    /// Whether it is the leader.
    type Token = bool;

    fn left(queue: &mut Locked<'_, Self>, _: Lane) {
        queue.arrived -= 1;
    }

    fn returned(_: &mut Locked<'_, Self>, _: bool) {
        // All had arrived, this one too: the others have gone on.
    }
}

/// Says of one that has passed a [`Barrier`] whether it was the leader.
///
/// ```
/// assert!(weftwork_sync::Barrier::new(1).wait().is_leader());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this was the last to arrive: one of each round is.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    /// Makes a barrier for `n` parties; none are as good as one.
    ///
    /// ```
    /// weftwork_sync::Barrier::new(0).wait();
    /// ```
    #[cfg(not(weftwork_loom))]
    pub const fn new(n: usize) -> Self {
        Barrier {
            queue: WaitQueue::new(Arrivals {
                wanted: n,
                arrived: 0,
            }),
        }
    }

    /// Makes a barrier for `n` parties; none are as good as one.
    #[cfg(weftwork_loom)]
    pub fn new(n: usize) -> Self {
        Barrier {
            queue: WaitQueue::new(Arrivals {
                wanted: n,
                arrived: 0,
            }),
        }
    }

    /// Waits until so many have arrived.
    ///
    /// ```
    /// let barrier = weftwork_sync::Barrier::new(2);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| barrier.wait());
    ///     barrier.wait();
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let mut arrival = pin!(self.wait_async());
        waiting::wait(reason::BARRIER, |context| arrival.as_mut().poll(context))
    }

    /// Waits until so many have arrived, for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first: the caller has not arrived.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let barrier = weftwork_sync::Barrier::new(2);
    /// assert!(barrier.wait_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, TimedOut> {
        self.wait_until(deadline_after(timeout))
    }

    /// Waits until so many have arrived, until `deadline` at most.
    ///
    /// # Errors
    /// The deadline passed first: the caller has not arrived.
    ///
    /// ```
    /// let barrier = weftwork_sync::Barrier::new(2);
    /// assert!(barrier.wait_deadline(std::time::Instant::now()).is_err());
    /// ```
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<BarrierWaitResult, TimedOut> {
        self.wait_until(Some(deadline))
    }

    #[track_caller]
    fn wait_until(&self, deadline: Option<Instant>) -> Result<BarrierWaitResult, TimedOut> {
        let mut arrival = pin!(self.wait_async());
        let waited = waiting::wait_until(reason::BARRIER, deadline, |context| {
            arrival.as_mut().poll(context)
        });
        // All may have arrived since it was looked at last: then so has this one.
        waited.or_else(|timed_out| {
            let served = project!(arrival.waiter).leave();
            served.map(BarrierWaitResult).ok_or(timed_out)
        })
    }

    /// Gives a future that arrives at its first poll and is ready when so many have arrived.
    ///
    /// ```
    /// let barrier = weftwork_sync::Barrier::new(1);
    /// assert!(weftwork_core::block_on(barrier.wait_async()).is_leader());
    /// ```
    pub fn wait_async(&self) -> BarrierFuture<'_> {
        BarrierFuture {
            waiter: Waiter::new(&self.queue, ()),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

/// Arrives at a barrier: see [`Barrier::wait_async`].
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct BarrierFuture<'a> {
    waiter: Waiter<'a, Arrivals>,
}

impl Future for BarrierFuture<'_> {
    type Output = BarrierWaitResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        let polled = project!(self.waiter).poll_or(context, |barrier| {
            if barrier.arrived + 1 < barrier.wanted {
                barrier.arrived += 1;
                return None;
            }
            barrier.arrived = 0;
            // In one go: between rounds nobody of the next may be counted. The wakers of more than
            // a handful are collected in memory of their own.
            while barrier.notify(Lane::First, false).is_ok() {}
            Some(true)
        });
        polled.map(BarrierWaitResult)
    }
}

impl Event for BarrierFuture<'_> {}

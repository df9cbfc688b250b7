//! Waiting for time to pass: sleeps, limits, intervals.
//!
//! A green thread's timer is in its worker's wheel, an OS thread's is the thread's own. A future's
//! is in the wheel of the worker that polled it first. Nothing fires early; how late depends on what
//! the worker is doing.

use crate::runtime::Handle;
use crate::shared::Shared;
use crate::worker;
use std::fmt;
use std::future::poll_fn;
use std::panic::{Location, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::sync::Arc;
use weftwork_core::task::{self, Meta};
use weftwork_core::wait::{self, Reason, Site, TimedOut, cancel, deadline_after};
use weftwork_reactor::TimerKey;

/// Waits for `duration`. A duration without end waits for ever.
///
/// A cancelled task unwinds from here.
#[track_caller]
pub fn sleep(duration: Duration) {
    let deadline = deadline_after(duration);
    let slept = wait::wait_deadline(Reason::SLEEP, deadline, |_| Poll::<()>::Pending);
    debug_assert_eq!(slept, Err(TimedOut));
}

/// Waits until `deadline`; returns at once if it has passed.
#[track_caller]
pub fn sleep_until(deadline: Instant) {
    let slept = wait::wait_deadline(Reason::SLEEP, Some(deadline), |_| Poll::<()>::Pending);
    debug_assert_eq!(slept, Err(TimedOut));
}

/// Runs `work` as a child task and waits for it, at most for `limit`; then cancels it.
///
/// `work` may borrow, because the child has ended when this returns: a child that is over its limit
/// unwinds from where it waits, or at its next [`checkpoint`](crate::checkpoint), and that is waited
/// for. A cancellation of the caller is passed on in the same way. On a thread outside of a runtime
/// the limit cannot be enforced by cancelling; there it needs an [entered](Handle::enter) runtime.
///
/// # Errors
/// The time was over and the child did not end by itself.
///
/// # Panics
/// If `work` does, with its payload; outside of a runtime; if the runtime that was entered has ended.
///
/// ```
/// use std::time::Duration;
/// use weftwork_sched::{sleep, timeout};
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// rt.run(|| {
///     assert_eq!(timeout(Duration::from_secs(60), || 5), Ok(5));
///     assert!(timeout(Duration::from_millis(1), || sleep(Duration::MAX)).is_err());
/// });
/// ```
#[track_caller]
pub fn timeout<F, T>(limit: Duration, work: F) -> Result<T, TimedOut>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let meta = Meta::at(Location::caller());
    wait::assert_may_wait(Site {
        reason: Reason::JOIN,
        location: Location::caller(),
    });
    let Some(handle) = Handle::current() else {
        panic!("timeout called outside of a runtime: call it from a task, or enter a runtime")
    };
    // SAFETY: everything is `Send`. What is borrowed outlives this call, which returns or unwinds
    // only after the shielded wait for the task below, or its output.
    let (task, mut child) = unsafe { task::closure_unchecked(meta, work) };
    crate::spawn::queue(&handle.shared, task);
    let joined = wait::wait_interruptible(Reason::JOIN, deadline_after(limit), |context| {
        Pin::new(&mut child).poll(context)
    });
    let (joined, interrupted) = match joined {
        Ok(joined) => (joined, None),
        Err(why) => {
            child.cancel();
            let joined =
                wait::wait_shielded(Reason::JOIN, |context| Pin::new(&mut child).poll(context));
            (joined, Some(why))
        }
    };
    match (joined.map_err(task::JoinError::try_into_panic), interrupted) {
        (Err(Ok(payload)), _) => resume_unwind(payload),
        (_, Some(wait::Interrupt::Cancelled)) if cancel::may_unwind() => cancel::unwind(),
        (Ok(value), _) => Ok(value),
        (Err(Err(_)), Some(_)) => Err(TimedOut),
        // Cancelled by somebody else: the runtime ends, and with it the caller if it is a task of it.
        (Err(Err(_)), None) => {
            let ours = worker::with(|worker| worker.is_some_and(|w| w.belongs_to(&handle.shared)));
            assert!(ours, "the runtime was shut down before the work ended");
            if cancel::may_unwind() {
                cancel::unwind()
            }
            Err(TimedOut)
        }
    }
}

/// A future that is ready when its time has come. Made by [`sleep_async`].
///
/// Dropping it disarms its timer at once.
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    deadline: Option<Instant>,
    armed: Option<Armed>,
}

struct Armed {
    shared: Arc<Shared>,
    home: usize,
    key: TimerKey,
}

/// Waits for `duration`, as a future. A duration without end is never ready.
///
/// Its timer is that of the runtime that polls it first, or that was
/// [entered](Handle::enter) on the polling thread, so it works under a foreign executor too.
///
/// # Panics
/// When first polled outside of a runtime.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// rt.block_on(async {
///     weftwork_sched::sleep_async(std::time::Duration::from_millis(1)).await;
/// });
/// ```
pub fn sleep_async(duration: Duration) -> Sleep {
    Sleep {
        deadline: deadline_after(duration),
        armed: None,
    }
}

impl Sleep {
    /// A future that is ready at `deadline`.
    pub fn until(deadline: Instant) -> Sleep {
        Sleep {
            deadline: Some(deadline),
            armed: None,
        }
    }

    /// When it is ready; `None` is never.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn disarm(&mut self) {
        if let Some(armed) = self.armed.take() {
            drop(armed.shared.homes[armed.home].disarm(armed.key));
        }
    }
}

// It takes nothing before its time has come, and a dropped timer is disarmed.
impl Event for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        if deadline <= Instant::now() {
            // The timer has fired, or does at its worker's next look, and then wakes for nothing.
            self.armed = None;
            return Poll::Ready(());
        }
        // Polled again before its time: by another task perhaps, or on another worker. The old timer
        // goes, rather than that every sleep keeps a waker to compare.
        self.disarm();
        let waker = context.waker();
        let armed = worker::with(|worker| {
            let (shared, home) = match worker {
                Some(worker) => (Arc::clone(&worker.shared), worker.index()),
                None => match Handle::current() {
                    Some(handle) => (handle.shared, 0),
                    None => panic!("sleep_async polled outside of a runtime: enter one first"),
                },
            };
            let (key, earlier) = shared.homes[home].arm(shared.clock.at(deadline), waker.clone());
            if earlier && worker.is_none() {
                shared.homes[home].kick();
            }
            Armed { shared, home, key }
        });
        self.armed = Some(armed);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Polls `work` until it is ready, at most for `limit`; then drops it.
///
/// # Errors
/// The time was over first.
///
/// # Panics
/// When polled outside of a runtime, as [`sleep_async`].
pub async fn timeout_async<W: Future>(limit: Duration, work: W) -> Result<W::Output, TimedOut> {
    let mut work = pin!(work);
    let mut sleep = pin!(sleep_async(limit));
    poll_fn(|context| {
        if let Poll::Ready(value) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        sleep.as_mut().poll(context).map(|()| Err(TimedOut))
    })
    .await
}

/// What an [`Interval`] does about ticks that nobody waited for in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTicks {
    /// Gives them all, one after the other without a wait, until it is back on time.
    #[default]
    Burst,
    /// Gives one, and counts the next period from then.
    Delay,
    /// Gives one, and skips to the next multiple of the period.
    Skip,
}

/// Ticks at a fixed period. Made by [`interval`].
#[derive(Debug)]
pub struct Interval {
    next: Option<Instant>,
    period: Duration,
    missed: MissedTicks,
}

/// Makes an interval; its first tick is at once.
///
/// # Panics
/// If `period` is zero.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// rt.run(|| {
///     let start = Instant::now();
///     let mut ticks = weftwork_sched::interval(Duration::from_millis(2));
///     for _ in 0..3 {
///         ticks.tick();
///     }
///     assert!(start.elapsed() >= Duration::from_millis(4));
/// });
/// ```
#[must_use]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval's period must not be zero");
    Interval {
        next: Some(Instant::now()),
        period,
        missed: MissedTicks::default(),
    }
}

impl Interval {
    /// Sets what to do about missed ticks.
    #[must_use]
    pub fn missed_ticks(mut self, policy: MissedTicks) -> Self {
        self.missed = policy;
        self
    }

    /// Waits for the next tick and returns the time it was due.
    ///
    /// A tick that a cancellation interrupts is not lost.
    #[track_caller]
    pub fn tick(&mut self) -> Instant {
        match self.next {
            Some(next) => {
                sleep_until(next);
                self.advance(next)
            }
            None => loop {
                sleep(Duration::MAX);
            },
        }
    }

    /// Waits for the next tick, as a future.
    pub async fn tick_async(&mut self) -> Instant {
        match self.next {
            Some(next) => {
                Sleep::until(next).await;
                self.advance(next)
            }
            None => std::future::pending().await,
        }
    }

    fn advance(&mut self, due: Instant) -> Instant {
        self.next = match self.missed {
            MissedTicks::Burst => due.checked_add(self.period),
            MissedTicks::Delay => Instant::now().checked_add(self.period),
            MissedTicks::Skip => {
                let late = Instant::now().saturating_duration_since(due).as_nanos();
                let periods = late / self.period.as_nanos() + 1;
                u32::try_from(periods)
                    .ok()
                    .and_then(|periods| self.period.checked_mul(periods))
                    .and_then(|time| due.checked_add(time))
            }
        };
        due
    }
}

//! Timers for code outside of any runtime: a future under a foreign executor, a deadline of a tree of
//! contexts. Waits of threads and tasks do not come here: they park with a deadline.
//!
//! One OS thread serves the process. It is started by the first timer, and sleeps without a limit
//! while there is none.
//!
//! Invariants
//! 1. `entries` holds the wakers of the timers that have neither fired nor been dropped.
//! 2. The thread holds the lock, or sleeps until `alarm`, or is calling wakers and looks at `entries`
//!    again before it sleeps. Whoever adds an entry before `alarm` wakes it.
//! 3. Wakers are cloned, called and dropped without the lock.

use crate::event::Event;
use crate::sync::thread;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::wait::deadline_after;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Orders the entries by time, and among equals by age.
type Key = (Instant, u64);

struct Schedule {
    entries: BTreeMap<Key, Waker>,
    next_id: u64,
    has_thread: bool,
    /// Until when the thread sleeps; `None` if it does not sleep, or sleeps without a limit and says
    /// so in `is_idle`.
    alarm: Option<Instant>,
    is_idle: bool,
}

static SCHEDULE: Mutex<Schedule> = Mutex::new(Schedule {
    entries: BTreeMap::new(),
    next_id: 0,
    has_thread: false,
    alarm: None,
    is_idle: false,
});

static CHANGED: Condvar = Condvar::new();

/// Calls `waker` once, at `deadline` or as soon after it as the timer thread gets to run, unless the
/// [`Timer`] is dropped first. Never early.
///
/// # Panics
/// This is the first timer of the process, and the system refuses the thread.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
/// use weftwork_core::timer;
/// use weftwork_core::wait::Parker;
///
/// let parker = Arc::new(Parker::new());
/// let deadline = Instant::now() + Duration::from_millis(1);
/// let _timer = timer::call_at(deadline, parker.waker());
/// assert!(parker.park(None));
/// assert!(Instant::now() >= deadline);
/// ```
#[must_use = "a timer that is dropped does not fire"]
pub fn call_at(deadline: Instant, waker: Waker) -> Timer {
    let mut schedule = SCHEDULE.lock();
    if !schedule.has_thread {
        if let Err(error) = start() {
            drop(schedule);
            panic!("the timer thread cannot be started: {error}");
        }
        schedule.has_thread = true;
    }
    let key = (deadline, schedule.next_id);
    schedule.next_id += 1;
    schedule.entries.insert(key, waker);
    if schedule.is_idle || schedule.alarm.is_some_and(|alarm| deadline < alarm) {
        schedule.is_idle = false;
        schedule.alarm = None;
        CHANGED.notify_one();
    }
    Timer { key }
}

fn start() -> std::io::Result<()> {
    let builder = thread::Builder::new().name("weftwork-timer".into());
    builder.spawn(serve).map(drop)
}

/// The timer thread.
fn serve() {
    let mut schedule = SCHEDULE.lock();
    loop {
        let now = Instant::now();
        match schedule.entries.first_entry() {
            Some(first) if first.key().0 <= now => {
                let waker = first.remove();
                MutexGuard::unlocked(&mut schedule, || {
                    // A waker of the user's may panic; the other timers go on.
                    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
                });
            }
            Some(first) => {
                let alarm = first.key().0;
                schedule.alarm = Some(alarm);
                CHANGED.wait_until(&mut schedule, alarm);
                schedule.alarm = None;
            }
            None => {
                schedule.is_idle = true;
                CHANGED.wait(&mut schedule);
                schedule.is_idle = false;
            }
        }
    }
}

/// A waker that is to be called at some time. Dropping it calls that off.
pub struct Timer {
    key: Key,
}

impl Timer {
    /// When the waker is called.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.key.0
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waker = SCHEDULE.lock().entries.remove(&self.key);
        // The lock is released by now.
        drop(waker);
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

/// Gives a future that is ready at `deadline`, never earlier.
///
/// It may be polled by any executor, and is an [`Event`]. Dropping it leaves nothing behind.
///
/// ```
/// use std::time::{Duration, Instant};
/// use weftwork_core::timer::sleep_until;
///
/// let deadline = Instant::now() + Duration::from_millis(2);
/// weftwork_core::block_on(sleep_until(deadline));
/// assert!(Instant::now() >= deadline);
/// ```
pub fn sleep_until(deadline: Instant) -> SleepUntil {
    SleepUntil::new(Some(deadline))
}

/// Gives a future that is ready when `duration` is over, never earlier; one so long that its end
/// cannot be told is never over.
///
/// ```
/// use std::time::Duration;
///
/// weftwork_core::block_on(weftwork_core::timer::sleep(Duration::from_millis(1)));
/// ```
pub fn sleep(duration: Duration) -> SleepUntil {
    SleepUntil::new(deadline_after(duration))
}

/// Is ready at a point in time: see [`sleep_until`].
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct SleepUntil {
    deadline: Option<Instant>,
    /// There once a poll was pending, with the waker that it holds.
    timer: Option<(Timer, Waker)>,
}

impl SleepUntil {
    /// Makes a future that is ready at `deadline`; `None` is never.
    pub fn new(deadline: Option<Instant>) -> Self {
        SleepUntil {
            deadline,
            timer: None,
        }
    }

    /// When it is ready; `None` is never.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Future for SleepUntil {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        if Instant::now() >= deadline {
            self.timer = None;
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !(self.timer.as_ref()).is_some_and(|(_, old)| old.will_wake(waker)) {
            // The old timer, if any, is called off by the assignment.
            self.timer = Some((call_at(deadline, waker.clone()), waker.clone()));
        }
        Poll::Pending
    }
}

impl Event for SleepUntil {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_timer_leaves_no_entry() {
        let far = Instant::now() + Duration::from_secs(3600);
        let timer = call_at(far, Waker::noop().clone());
        let key = timer.key;
        assert!(SCHEDULE.lock().entries.contains_key(&key));
        drop(timer);
        assert!(!SCHEDULE.lock().entries.contains_key(&key));
    }
}

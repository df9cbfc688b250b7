//! Receivers of points in time: `after`, `at`, `tick`.
//!
//! There is no timer behind them, and no thread: a clock is the time of its next message, and whoever
//! receives from it waits until then. So one that nobody waits for costs nothing, and nothing is left
//! behind by one that is dropped early.

use std::fmt;
use std::task::Poll;
use std::time::{Duration, Instant};
use weftwork_core::sync::Mutex;
use weftwork_core::wait::{Reason, TimedOut, wait_deadline};

#[cfg(weftwork_loom)]
pub(crate) use modelled::SleepUntil;
#[cfg(not(weftwork_loom))]
pub(crate) use weftwork_core::timer::SleepUntil;

pub(crate) struct Clock<T> {
    /// When the next message is due; `None`: there is none to come.
    next: Mutex<Option<Instant>>,
    /// From one message to the next; `None`: there is one only.
    period: Option<Duration>,
    message: fn(Instant) -> T,
}

impl<T> Clock<T> {
    pub(crate) fn once(due: Option<Instant>, message: fn(Instant) -> T) -> Self {
        Clock {
            next: Mutex::new(due),
            period: None,
            message,
        }
    }

    pub(crate) fn every(period: Duration, message: fn(Instant) -> T) -> Self {
        Clock {
            next: Mutex::new(Instant::now().checked_add(period)),
            period: Some(period),
            message,
        }
    }

    /// When the next message is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        *self.next.lock()
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// Takes the message if it is due.
    pub(crate) fn try_take(&self) -> Option<T> {
        let mut next = self.next.lock();
        let due = (*next)?;
        let now = Instant::now();
        if now < due {
            return None;
        }
        // A message that was not received in time is not made up for: the next comes a period later.
        *next = self
            .period
            .and_then(|period| now.max(due).checked_add(period));
        drop(next);
        Some((self.message)(due))
    }

    /// Waits for a message, until `deadline`.
    #[track_caller]
    pub(crate) fn receive(&self, deadline: Option<Instant>) -> Result<T, TimedOut> {
        loop {
            if let Some(message) = self.try_take() {
                return Ok(message);
            }
            let due = self.due();
            let until = match (due, deadline) {
                (Some(due), Some(deadline)) => Some(due.min(deadline)),
                (due, deadline) => due.or(deadline),
            };
            let late = wait_deadline(Reason::new("clock"), until, |_| Poll::<()>::Pending);
            debug_assert_eq!(late, Err(TimedOut));
            if let Some(message) = self.try_take() {
                return Ok(message);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(TimedOut);
            }
        }
    }
}

impl<T> fmt::Debug for Clock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("due", &self.due())
            .finish_non_exhaustive()
    }
}

/// A model has no thread of timers: a future's time is over when it is looked at, or not at all.
#[cfg(weftwork_loom)]
mod modelled {
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Instant;

    #[derive(Debug)]
    pub(crate) struct SleepUntil(Option<Instant>);

    impl SleepUntil {
        pub(crate) fn new(deadline: Option<Instant>) -> Self {
            SleepUntil(deadline)
        }

        pub(crate) fn deadline(&self) -> Option<Instant> {
            self.0
        }
    }

    impl Future for SleepUntil {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            match self.0 {
                Some(deadline) if deadline <= Instant::now() => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }
    }
}

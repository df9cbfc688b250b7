//! The clock that an actor goes by: the system's, or a test's if its executor has one.
//!
//! Whoever waits for an actor, or for something of its, waits by the actor's clock.

use crate::cell::Header;
use crate::executor::Engine;
use crate::hooks::{self, Hooks};
use crate::pid::Pid;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use weftwork_core::wait::{self, Reason, TimedOut};
use weftwork_csp::oneshot::{self, RecvTimeoutError};

#[cfg(not(weftwork_loom))]
use weftwork_core::timer::{SleepUntil, Timer, call_at};

/// Whose clock.
#[derive(Clone, Copy)]
pub(crate) struct Clock<'a>(Option<&'a Hooks>);

impl Header {
    /// The clock that the actor goes by.
    #[inline]
    pub(crate) fn clock(&self) -> Clock<'_> {
        Clock(self.hooks())
    }
}

impl Pid {
    /// The clock that the actor goes by; outside of actors, the system's.
    pub(crate) fn clock(&self) -> Clock<'_> {
        Clock(self.cell().and_then(|cell| cell.hooks()))
    }
}

impl<'a> Clock<'a> {
    /// The system's.
    #[cfg(weftwork_loom)]
    pub(crate) const SYSTEM: Clock<'static> = Clock(None);

    /// The clock of the actors of an executor.
    pub(crate) fn of(engine: &'a dyn Engine) -> Self {
        Clock(engine.hooks())
    }

    #[inline]
    pub(crate) fn now(self) -> Instant {
        match self.0 {
            None => Instant::now(),
            Some(hooks) => hooks.now(),
        }
    }

    /// The point in time `timeout` from now; `None`, which means never, where that cannot be told.
    #[inline]
    pub(crate) fn deadline_after(self, timeout: Duration) -> Option<Instant> {
        match self.0 {
            None => wait::deadline_after(timeout),
            Some(hooks) => hooks.now().checked_add(timeout),
        }
    }

    /// How long it is until `deadline`; `None` is for ever.
    pub(crate) fn left(self, deadline: Option<Instant>) -> Duration {
        deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(self.now())
        })
    }

    /// Waits until `operation` is ready, at most until `deadline`: core's wait, by this clock.
    ///
    /// # Errors
    /// The deadline passed first.
    #[track_caller]
    #[inline]
    pub(crate) fn wait<T>(
        self,
        reason: Reason,
        deadline: Option<Instant>,
        mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, TimedOut> {
        if self.0.is_none() {
            return wait::wait_deadline(reason, deadline, operation);
        }
        let mut sleep = Sleep::until(self, deadline);
        wait::wait(reason, |context| {
            if let Poll::Ready(value) = operation(context) {
                return Poll::Ready(Ok(value));
            }
            sleep.poll(context).map(|()| Err(TimedOut))
        })
    }

    /// Receives, waiting at most until `deadline`.
    ///
    /// # Errors
    /// The deadline passed first, or the sender is gone.
    #[track_caller]
    #[inline]
    pub(crate) fn receive<T>(
        self,
        receiver: &mut oneshot::Receiver<T>,
        deadline: Option<Instant>,
    ) -> Result<T, RecvTimeoutError> {
        match (self.0, deadline) {
            (None, Some(deadline)) => receiver.recv_deadline(deadline),
            // No clock can tell the end: for ever.
            (None, None) => receiver.recv_timeout(Duration::MAX),
            (Some(_), deadline) => {
                let received = self.wait(Reason::new("answer"), deadline, |context| {
                    Pin::new(&mut *receiver).poll(context)
                });
                match received {
                    Ok(received) => received.map_err(|_| RecvTimeoutError::Disconnected),
                    Err(TimedOut) => Err(RecvTimeoutError::Timeout),
                }
            }
        }
    }

    /// Waits for `future`, at most for `timeout`; `None` if the time was over first.
    pub(crate) async fn within<F: Future>(
        self,
        timeout: Option<Duration>,
        future: F,
    ) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let deadline = timeout.and_then(|timeout| self.deadline_after(timeout));
        let mut sleep = Sleep::until(self, deadline);
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            sleep.poll(context).map(|()| None)
        })
        .await
    }

    /// Calls `waker` at `deadline`, unless the alarm is dropped first.
    #[cfg(not(weftwork_loom))]
    pub(crate) fn call_at(self, deadline: Instant, waker: Waker) -> Alarm {
        match self.0 {
            None => Alarm::System(call_at(deadline, waker)),
            Some(hooks) => Alarm::Hooked(hooks.call_at(deadline, waker)),
        }
    }
}

/// A wake that is to come. Dropping it calls that off.
#[cfg(not(weftwork_loom))]
pub(crate) enum Alarm {
    System(Timer),
    Hooked(hooks::Alarm),
}

#[cfg(not(weftwork_loom))]
impl Alarm {
    pub(crate) fn deadline(&self) -> Instant {
        match self {
            Alarm::System(timer) => timer.deadline(),
            Alarm::Hooked(alarm) => alarm.deadline(),
        }
    }
}

/// Is over at a deadline, by some clock; without one, never.
struct Sleep<'a> {
    /// `None`: the clock is the system's.
    hooks: Option<&'a Hooks>,
    deadline: Option<Instant>,
    #[cfg(not(weftwork_loom))]
    system: SleepUntil,
    alarm: Option<(hooks::Alarm, Waker)>,
}

impl<'a> Sleep<'a> {
    fn until(clock: Clock<'a>, deadline: Option<Instant>) -> Self {
        Sleep {
            hooks: clock.0,
            deadline,
            #[cfg(not(weftwork_loom))]
            system: SleepUntil::new(deadline),
            alarm: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(hooks) = self.hooks else {
            return self.poll_system(context);
        };
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        if hooks.now() >= deadline {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !(self.alarm.as_ref()).is_some_and(|(_, old)| old.will_wake(waker)) {
            let alarm = hooks.call_at(deadline, waker.clone());
            self.alarm = Some((alarm, waker.clone()));
            // It may have been moved on, by another thread, before the alarm was set.
            if hooks.now() >= deadline {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    #[cfg(not(weftwork_loom))]
    fn poll_system(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.system).poll(context)
    }

    /// A model has no clock: time does not pass.
    #[cfg(weftwork_loom)]
    fn poll_system(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

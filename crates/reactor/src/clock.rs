//! Monotonic nanoseconds since an origin: the time a [`Wheel`](crate::Wheel) counts in.
//!
//! A `u64` of nanoseconds lasts 584 years. Every conversion saturates: an instant before the origin
//! is 0, a deadline beyond the range is [`Clock::NEVER`].

use std::time::{Duration, Instant};

/// A monotonic clock that counts nanoseconds since it was made.
///
/// Copies of one clock agree with each other; clocks made apart have different origins.
///
/// ```
/// use std::time::Duration;
/// use weftwork_reactor::Clock;
///
/// let clock = Clock::new();
/// let deadline = clock.deadline(Duration::from_millis(5));
/// assert!(deadline >= clock.now_ns());
/// assert_eq!(clock.deadline(Duration::MAX), Clock::NEVER);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// The deadline that no clock reaches.
    pub const NEVER: u64 = u64::MAX;

    /// Starts a clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Clock {
            origin: Instant::now(),
        }
    }

    /// Starts a clock that counts from `origin`.
    #[must_use]
    pub fn since(origin: Instant) -> Self {
        Clock { origin }
    }

    /// Reads the clock: nanoseconds since the origin, by `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.at(Instant::now())
    }

    /// Converts an instant; one before the origin is 0.
    #[must_use]
    pub fn at(&self, instant: Instant) -> u64 {
        nanoseconds(instant.saturating_duration_since(self.origin))
    }

    /// Returns the deadline that lies `timeout` from now, or [`NEVER`](Self::NEVER) if that is out
    /// of range.
    #[must_use]
    pub fn deadline(&self, timeout: Duration) -> u64 {
        self.now_ns().saturating_add(nanoseconds(timeout))
    }

    /// Returns the instant of `ns`, or `None` if the platform cannot represent it.
    #[must_use]
    pub fn instant(&self, ns: u64) -> Option<Instant> {
        self.origin.checked_add(Duration::from_nanos(ns))
    }

    /// Returns how long after `now_ns` the deadline lies: zero if it has passed, `None` for
    /// [`NEVER`](Self::NEVER). It is the timeout to hand to [`Poller::wait`](crate::Poller::wait).
    #[must_use]
    pub fn remaining(now_ns: u64, deadline_ns: u64) -> Option<Duration> {
        (deadline_ns != Self::NEVER)
            .then(|| Duration::from_nanos(deadline_ns.saturating_sub(now_ns)))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

/// The whole nanoseconds of `duration`, at most `u64::MAX`.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

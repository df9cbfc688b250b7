//! Restarts in a sliding window.
//!
//! OTP counts in whole seconds, so that its window is up to a second longer than the period. Here the window
//! is the period to the nanosecond: a restart counts as long as it is not older than that.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Window {
    max: u32,
    period: Duration,
    /// The restarts in the window, oldest first; at most one more than allowed.
    times: VecDeque<Instant>,
}

impl Window {
    pub(crate) fn new(max: u32, period: Duration) -> Self {
        Window {
            max,
            period,
            times: VecDeque::new(),
        }
    }

    /// Counts a restart. False: it is one too many.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        while (self.times.front())
            .is_some_and(|time| now.saturating_duration_since(*time) > self.period)
        {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.times.len() <= self.max as usize
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn n_restarts_are_allowed_in_a_period_and_the_next_is_not() {
        let now = Instant::now();
        let mut window = Window::new(2, 10 * MS);
        assert!(window.allows(now));
        assert!(window.allows(now + 10 * MS));
        assert!(!window.allows(now + 10 * MS));
    }

    #[test]
    fn a_restart_leaves_the_window_a_nanosecond_after_the_period() {
        let now = Instant::now();
        let mut window = Window::new(1, 10 * MS);
        assert!(window.allows(now));
        assert!(window.allows(now + 10 * MS + Duration::from_nanos(1)));
    }

    #[test]
    fn no_gap_between_restarts_resets_the_count() {
        // Two in any 300 ms: one every 250 ms is never too many; one every 149 ms is.
        let now = Instant::now();
        let mut window = Window::new(2, 300 * MS);
        assert!((0..50).all(|n| window.allows(now + n * 250 * MS)));
        let mut window = Window::new(2, 300 * MS);
        assert!(!(0..3).all(|n| window.allows(now + n * 149 * MS)));
    }

    #[test]
    fn an_intensity_of_zero_allows_none() {
        assert!(!Window::new(0, MS).allows(Instant::now()));
    }
}

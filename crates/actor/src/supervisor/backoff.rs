//! How long to wait before a restart.

use std::time::Duration;

/// Waits that double from restart to restart.
///
/// Before the n-th restart in a row it waits `min * 2^(n-1)`, at most `max`, and then a random part of
/// that, up to the jitter, more, so that children that failed together do not come back together. A child
/// that ran for the reset time begins anew.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::supervisor::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10))
///     .jitter(0.2)
///     .reset_after(Duration::from_secs(60));
/// # let _ = backoff;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    jitter: f64,
    reset: Duration,
}

impl Backoff {
    /// Waits from `min` to `max`, with a jitter of a tenth; begins anew after half their sum.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        Backoff {
            min,
            max,
            jitter: 0.1,
            reset: min.saturating_add(max) / 2,
        }
    }

    /// Sets how large a part of the wait may be added at random: 0 for none, 1 for up to the same again.
    #[must_use]
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// Sets after how long a run the waits begin anew.
    #[must_use]
    pub fn reset_after(mut self, stable: Duration) -> Self {
        self.reset = stable;
        self
    }

    pub(crate) fn is_possible(&self) -> bool {
        self.min <= self.max && (0.0..=1.0).contains(&self.jitter)
    }

    /// Whether a child that ran for so long begins anew.
    pub(crate) fn is_stable(&self, ran: Duration) -> bool {
        ran >= self.reset
    }

    /// The wait after so many in a row, with a random number from 0 to 1.
    pub(crate) fn wait(&self, before: u32, random: f64) -> Duration {
        let doubled = 2_u32.checked_pow(before).map(|n| self.min.checked_mul(n));
        let wait = doubled
            .flatten()
            .map_or(self.max, |wait| wait.min(self.max));
        let part = (self.jitter * random).clamp(0.0, 1.0);
        // Whole numbers: a `Duration` cannot be multiplied beyond its end without a panic.
        let more = wait.as_nanos().min(u128::from(u64::MAX)) as f64 * part;
        wait.saturating_add(Duration::from_nanos(more as u64))
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_only_adds() {
        let backoff = Backoff::new(MS, 10 * MS).jitter(0.5);
        let waits: Vec<_> = (0..6).map(|n| backoff.wait(n, 0.0)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10].map(|n| n * MS));
        assert_eq!(backoff.wait(1, 1.0), 3 * MS);
        assert_eq!(backoff.wait(u32::MAX, 0.0), 10 * MS);
        assert_eq!(
            Backoff::new(MS, Duration::MAX).wait(u32::MAX, 1.0),
            Duration::MAX
        );
    }

    #[test]
    fn impossible_waits_are_found() {
        assert!(Backoff::new(MS, MS).is_possible());
        assert!(!Backoff::new(2 * MS, MS).is_possible());
        assert!(!Backoff::new(MS, MS).jitter(f64::NAN).is_possible());
        assert!(!Backoff::new(MS, MS).jitter(-0.1).is_possible());
    }

    #[test]
    fn a_stable_run_is_half_of_the_sum_of_the_waits_by_default() {
        let backoff = Backoff::new(MS, 9 * MS);
        assert!(backoff.is_stable(5 * MS));
        assert!(!backoff.is_stable(4 * MS));
    }
}

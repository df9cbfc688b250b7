//! What every implementation of a workload shares: sizes, the sequence of sleeps, expected results.

use std::time::Duration;

/// `spawn_join` spawns this many tasks, joins them, and goes on.
pub(crate) const BATCH: u64 = 1000;

/// `skynet`: every node but a leaf has this many children.
pub(crate) const FAN_OUT: u64 = 10;

/// `parked`: how long the parked tasks are left alone before the memory is read.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);

/// `idle_waiters`: how long the waiters are left alone before they are watched. A runtime may give
/// back, in steps, what it needed to start them.
pub(crate) const SETTLE_WAITERS: Duration = Duration::from_millis(2500);

/// `parked`: how often the driver looks whether all tasks are parked.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// `echo`: bytes that a server reads at once.
pub(crate) const ECHO_BUFFER: usize = 1024;

/// `echo`: length of the accept queue.
pub(crate) const BACKLOG: i32 = 4096;

/// Returns the sizes of the batches into which `n` is cut.
pub(crate) fn batches(n: u64) -> impl Iterator<Item = u64> {
    (0..n)
        .step_by(BATCH as usize)
        .map(move |done| BATCH.min(n - done))
}

/// Returns the sum of 0 .. `n`: of the leaves of `skynet`, of what is sent over channels.
pub(crate) fn sum_below(n: u64) -> u64 {
    n * n.saturating_sub(1) / 2
}

/// Returns the values below `n` that `producer`, one of `producers`, sends.
pub(crate) fn share(producer: usize, producers: usize, n: u64) -> impl Iterator<Item = u64> + Send {
    (producer as u64..n).step_by(producers)
}

/// Returns the largest power of [`FAN_OUT`] not above `n`: the number of leaves of a full tree.
pub(crate) fn full_tree(n: u64) -> u64 {
    FAN_OUT.pow(n.max(1).ilog(FAN_OUT))
}

/// Returns the `n`-th Fibonacci number, iteratively.
pub(crate) fn fibonacci(n: u64) -> u64 {
    let (mut this, mut next) = (0, 1);
    for _ in 0..n {
        (this, next) = (next, this + next);
    }
    this
}

/// Returns how many calls of the recursive Fibonacci function of `n` fork (those with `n >= 2`).
pub(crate) fn fibonacci_forks(n: u64) -> u64 {
    fibonacci(n + 1).max(2) - 1
}

/// The sleeps of `timer`: the same sequence for every peer, of every language.
#[derive(Debug)]
pub(crate) struct Sleeps {
    state: u64,
    span: u64,
}

impl Sleeps {
    /// Makes the sequence, spread over `span_ms` milliseconds.
    pub(crate) fn new(span_ms: u64) -> Self {
        Sleeps {
            state: 0x9E37_79B9_7F4A_7C15,
            span: span_ms * 1_000_000,
        }
    }
}

impl Iterator for Sleeps {
    type Item = Duration;

    /// Draws from a xorshift generator (Marsaglia, 2003), which is quick to write in any language.
    fn next(&mut self) -> Option<Duration> {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let nanoseconds = (u128::from(self.state >> 32) * u128::from(self.span)) >> 32;
        Some(Duration::from_nanos(nanoseconds as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up() {
        assert_eq!(batches(2500).collect::<Vec<_>>(), [1000, 1000, 500]);
        assert_eq!(batches(1000).sum::<u64>(), 1000);
        assert_eq!(batches(1).sum::<u64>(), 1);
    }

    #[test]
    fn the_shares_of_all_producers_are_the_values_below_n() {
        for n in [0, 3, 10, 11] {
            let mut sent: Vec<_> = (0..4).flat_map(|producer| share(producer, 4, n)).collect();
            assert_eq!(sent.iter().sum::<u64>(), sum_below(n));
            sent.sort_unstable();
            assert!(sent.into_iter().eq(0..n));
        }
    }

    #[test]
    fn fibonacci_forks_count_the_inner_calls() {
        fn inner_calls(n: u64) -> u64 {
            if n < 2 {
                0
            } else {
                1 + inner_calls(n - 1) + inner_calls(n - 2)
            }
        }
        for n in 2..20 {
            assert_eq!(fibonacci_forks(n), inner_calls(n), "fib({n})");
        }
    }

    #[test]
    fn a_full_tree_is_a_power_of_the_fan_out() {
        assert_eq!(full_tree(1), 1);
        assert_eq!(full_tree(99_999), 10_000);
        assert_eq!(full_tree(1_000_000), 1_000_000);
    }

    #[test]
    fn sleeps_stay_within_their_span_and_spread_over_it() {
        let sleeps: Vec<_> = Sleeps::new(1000).take(10_000).collect();
        assert!(sleeps.iter().all(|&sleep| sleep < Duration::from_secs(1)));
        let below_half = sleeps
            .iter()
            .filter(|&&sleep| sleep < Duration::from_millis(500))
            .count();
        assert!((4_000..6_000).contains(&below_half), "{below_half}");
    }
}

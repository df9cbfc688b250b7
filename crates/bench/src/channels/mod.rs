//! The workloads over channels, written once for every channel.
//!
//! `blocking` holds those of channels that block the thread, green or not, that uses them;
//! `futures` those of channels that are awaited, as tasks on tokio. Each library implements the
//! trait of its kind, in `crate::peers` and `crate::weft`.
//!
//! 1. All producers together send 0 .. `n`, each its share, so every consumer's sum can be checked.
//! 2. A consumer ends when the last sender is gone, so a library that loses the news of that hangs,
//!    and one that loses a message gives a wrong sum.

pub(crate) mod blocking;
pub(crate) mod futures;

use std::time::Duration;

use crate::cli::Run;
use crate::measure::Measurement;
use crate::setting::{Capacity, Sides};

/// `select`: so many channels.
pub(crate) const ARMS: usize = 4;

/// `idle_waiters`: so many of them wait at one channel.
pub(crate) const WAITERS_PER_CHANNEL: u64 = 4;

/// `mpmc`, `mpsc`, `select`: capacity where none is asked for.
const CAPACITY: Capacity = Capacity::Bounded(128);

/// `pingpong`: capacity where none is asked for.
const CAPACITY_OF_PINGPONG: Capacity = Capacity::Bounded(1);

/// Returns the sides that are asked for, or `producers` and `consumers`.
fn sides(run: &Run, producers: usize, consumers: usize) -> Sides {
    Sides {
        producers: run.producers.unwrap_or(producers),
        consumers: run.consumers.unwrap_or(consumers),
    }
}

/// Makes the measurement of `n` messages, or round trips, over channels.
fn messages(n: u64, elapsed: Duration, capacity: Capacity) -> Measurement {
    Measurement::new(n, n, elapsed).with("cap", capacity.number() as f64)
}

/// Adds the number of tasks on either side.
fn between(measurement: Measurement, sides: Sides) -> Measurement {
    measurement
        .with("producers", sides.producers as f64)
        .with("consumers", sides.consumers as f64)
}

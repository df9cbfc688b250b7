//! Waiting for time to pass: sleeps, limits and intervals, each for green threads and OS threads and,
//! under a name with `_async`, for futures.

pub use weftwork_core::wait::TimedOut;
pub use weftwork_sched::{
    Interval, MissedTicks, Sleep, interval, sleep, sleep_async, sleep_until, timeout, timeout_async,
};

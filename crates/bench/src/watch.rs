//! Watching a process that should do nothing.

use std::thread;
use std::time::{Duration, Instant};

use crate::cli::Run;
use crate::measure::Measurement;
use crate::process::{cpu_time, voluntary_switches};

/// Leaves this process alone for `settle`, then watches it for `--span-ms`: how often its threads wake, and their CPU time.
///
/// A thread that wakes must go to sleep again, which the kernel counts as a voluntary context
/// switch. The calling thread itself sleeps once within the time, and that one is taken off.
pub(crate) fn idleness(run: &Run, n: u64, settle: Duration) -> Measurement {
    thread::sleep(settle);
    let span = Duration::from_millis(run.span_ms);
    // Reading the switches of a thousand threads takes CPU time, which is not theirs: the inner
    // pair of readings is that of the CPU time.
    let switches = voluntary_switches().expect("/proc is readable");
    let cpu = cpu_time();
    let start = Instant::now();
    thread::sleep(span);
    let watched = start.elapsed().as_secs_f64();
    let cpu = cpu_time() - cpu;
    let own = 1;
    let switches = voluntary_switches().expect("/proc is readable") - switches - own;
    Measurement::untimed(n)
        .with("wakeups_per_s", switches as f64 / watched)
        .with("cpu_us_per_s", cpu.as_secs_f64() * 1e6 / watched)
}

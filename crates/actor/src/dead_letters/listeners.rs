//! Who listens to dead letters, and how much of them each gets.
//!
//! A bucket for each listener holds one second's worth. What a listener's own mailbox drops is not told to
//! it. There is one list in the process; the threads of a model, which cannot have a static lock, have none.

use super::stream::{Cause, DeadLetter, IS_ON};
use crate::cell::CellRef;
use crate::recipient::Recipient;
use std::cell::Cell;
// Outside the models: a switch.
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use weftwork_core::sync::Mutex;

struct Listener {
    to: Recipient<DeadLetter>,
    bucket: Bucket,
}

/// Lets so many through per second.
struct Bucket {
    per_second: f64,
    level: f64,
    filled: Instant,
    skipped: u64,
}

impl Bucket {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Bucket {
            per_second,
            level: per_second,
            filled: now,
            skipped: 0,
        }
    }

    /// Lets one through, with the count of those that were not; or counts it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let passed = now
            .saturating_duration_since(self.filled)
            .min(Duration::from_secs(1));
        self.level = (self.level + passed.as_secs_f64() * self.per_second).min(self.per_second);
        self.filled = now;
        if self.level < 1.0 {
            self.skipped += 1;
            return None;
        }
        self.level -= 1.0;
        Some(std::mem::take(&mut self.skipped))
    }
}

static LISTENERS: Mutex<Vec<Listener>> = Mutex::new(Vec::new());

pub(super) fn add(to: &Recipient<DeadLetter>, per_second: u32) {
    LISTENERS.lock().push(Listener {
        to: to.clone(),
        bucket: Bucket::new(per_second, Instant::now()),
    });
}

thread_local! {
    /// A report is on its way: what it leads to is not reported.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Tells the listeners whose measure is not full. Not called under a lock.
pub(super) fn tell(cell: &CellRef, message: &'static str, cause: Cause) {
    if BUSY.replace(true) {
        return;
    }
    // A waker may panic below.
    let _done = Done;
    let now = Instant::now();
    let mut dead = Vec::new();
    let mut chosen = Vec::new();
    {
        let mut listeners = LISTENERS.lock();
        dead.extend(listeners.extract_if(.., |one| !one.to.is_alive()));
        // Relaxed: a switch, for reports to come.
        IS_ON.store(!listeners.is_empty(), Ordering::Relaxed);
        for listener in listeners.iter_mut() {
            if let Some(skipped) = listener.bucket.take(now) {
                chosen.push((listener.to.clone(), skipped));
            }
        }
    }
    drop(dead);
    for (to, skipped) in chosen {
        let letter = DeadLetter {
            to: cell.pid(),
            message,
            cause,
            skipped,
        };
        // Full: then it is one that the listener misses.
        drop(to.try_tell(letter));
    }
}

struct Done;

impl Drop for Done {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_measure_through_and_counts_the_rest() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, start);
        let took = |bucket: &mut Bucket, at| bucket.take(start + Duration::from_millis(at));
        let burst: Vec<_> = (0..5).map(|_| took(&mut bucket, 0)).collect();
        assert_eq!(burst, [Some(0), Some(0), Some(0), None, None]);
        // A third of a second fills one in.
        assert_eq!(took(&mut bucket, 340), Some(2));
        assert_eq!(took(&mut bucket, 341), None);
        // However long it was quiet, it holds one second's worth.
        let burst: Vec<_> = (0..4).map(|_| took(&mut bucket, 60_000)).collect();
        assert_eq!(burst, [Some(1), Some(0), Some(0), None]);
        assert_eq!(Bucket::new(0, start).take(start), Some(0));
    }
}

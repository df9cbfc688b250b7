//! Many parked green threads: what each costs, and waking them all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::{JoinHandle, Thread, current, drive, park, sleep, spawn};
use crate::cli::Run;
use crate::measure::{self, Measurement};
use crate::process::Footprint;
use crate::workload::{LOOK_AGAIN, SETTLE};

pub(super) fn parked(run: &Run) -> Measurement {
    let n = run.n_or(100_000);
    drive(run, move || {
        let parked = Arc::new(AtomicU64::new(0));
        let released = Arc::new(AtomicBool::new(false));
        let mut handles: Vec<JoinHandle<()>> = Vec::with_capacity(n as usize);
        let before = Footprint::now();
        let start = Instant::now();
        // Each task tells how it can be woken; the peers have a channel each instead.
        let threads: Arc<[OnceLock<Thread>]> = (0..n).map(|_| OnceLock::new()).collect();
        for index in 0..n as usize {
            let (parked, released) = (parked.clone(), released.clone());
            let threads = threads.clone();
            handles.push(spawn(move || {
                threads[index]
                    .set(current())
                    .expect("each has a place of its own");
                drop(threads);
                parked.fetch_add(1, Ordering::Release);
                while !released.load(Ordering::Acquire) {
                    park();
                }
            }));
        }
        while parked.load(Ordering::Acquire) < n {
            sleep(LOOK_AGAIN);
        }
        let spawn = start.elapsed();
        sleep(SETTLE);
        let held = Footprint::now();
        let start = Instant::now();
        released.store(true, Ordering::Release);
        for thread in &threads[..] {
            thread.get().expect("all have told").unpark();
        }
        for handle in handles {
            handle.join().unwrap();
        }
        measure::parked(n, spawn, start.elapsed(), before, held)
    })
}

//! Many parked green threads: what each costs, and waking them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::{JoinHandle, drive, park, sleep, spawn};
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
        for _ in 0..n {
            let (parked, released) = (parked.clone(), released.clone());
            handles.push(spawn(move || {
                parked.fetch_add(1, Ordering::Relaxed);
                while !released.load(Ordering::Acquire) {
                    park();
                }
            }));
        }
        while parked.load(Ordering::Relaxed) < n {
            sleep(LOOK_AGAIN);
        }
        let spawn = start.elapsed();
        sleep(SETTLE);
        let held = Footprint::now();
        let start = Instant::now();
        released.store(true, Ordering::Release);
        for handle in &handles {
            handle.thread().unpark();
        }
        for handle in handles {
            handle.join().unwrap();
        }
        measure::parked(n, spawn, start.elapsed(), before, held)
    })
}

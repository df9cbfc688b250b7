//! The monitor's sleep in every interleaving: it does not sleep beside a worker that is awake.

#![cfg(weftwork_loom)]

mod models;

use models::{run, weaken};
use std::sync::Arc;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_sched::protocol::MonitorSleep;
use weftwork_testkit::model;

struct World {
    monitor: MonitorSleep,
    /// Workers asleep, read as weakly as the idle word is.
    sleepers: AtomicUsize,
}

impl World {
    fn new(sleepers: usize) -> Arc<Self> {
        Arc::new(World {
            monitor: MonitorSleep::new(),
            sleepers: AtomicUsize::new(sleepers),
        })
    }

    /// As a worker that wakes up.
    fn wake_up(&self) {
        // Relaxed: the fences of the protocol must do.
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
        self.monitor.note_awake();
    }
}

fn sleep_against_wake(name: &str) {
    model(name, 15, || {
        let world = World::new(1);
        let worker = run(&world, World::wake_up);
        let monitor = &world.monitor;
        monitor.sleep(|| {
            // Relaxed: the fences of the protocol must do.
            world.sleepers.load(Ordering::Relaxed) == 1
        });
        worker.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_worker_that_wakes_up_sees_the_monitor_asleep() {
    weaken!("monitor: fence of the worker");
    sleep_against_wake("wake_up against the monitor's sleep");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_the_monitor_sees_a_worker_awake() {
    weaken!("monitor: fence of the monitor");
    sleep_against_wake("the monitor's sleep against wake_up");
}

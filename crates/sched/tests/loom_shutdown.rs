//! Counting for a shutdown in every interleaving: a task is refused, or it is seen.

#![cfg(weftwork_loom)]

mod models;

use models::{run, weaken};
use std::sync::Arc;
use weftwork_core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use weftwork_sched::protocol::{Gate, Phase, bump, living};
use weftwork_testkit::model;

#[derive(Default)]
struct Counts {
    queued: AtomicU64,
    run: AtomicU64,
}

struct World {
    gate: Gate,
    workers: [Counts; 2],
    /// A queue with room for one task.
    queue: AtomicU32,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(World {
            gate: Gate::new(),
            workers: [Counts::default(), Counts::default()],
            queue: AtomicU32::new(0),
        })
    }

    fn live(&self) -> u64 {
        let counts = self.workers.iter().map(|w| (&w.queued, &w.run));
        living(&self.gate, counts, || 0)
    }

    /// As a worker: takes and runs the task that another worker queued, if it is there.
    fn run_stolen(&self) {
        // Acquire: what a steal does.
        if self.queue.swap(0, Ordering::Acquire) == 1 {
            bump(&self.workers[1].run);
        }
    }
}

fn spawn_against_shutdown(name: &str) {
    model(name, 5, || {
        let world = World::new();
        let spawner = run(&world, |world| world.gate.admit());
        world.gate.raise(Phase::Closing);
        let quiet = world.live() == 0;
        let admitted = spawner.join().unwrap();
        assert!(!(quiet && admitted), "a task was let in and not seen");
        assert_eq!(world.live(), u64::from(admitted));
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "not seen"))]
fn canary_a_spawner_sees_the_phase_or_is_seen() {
    weaken!("live: fence of the spawner");
    spawn_against_shutdown("admit against raise");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "not seen"))]
fn canary_a_shutdown_sees_the_task_or_is_seen() {
    weaken!("live: fence of the shutdown");
    spawn_against_shutdown("raise against admit");
}

/// Worker 0 runs a task that spawns another, which worker 1 steals and runs; the first goes on.
fn a_parent_lives_on(name: &str) {
    model(name, 20, || {
        let world = World::new();
        bump(&world.workers[0].queued);
        let thief = run(&world, World::run_stolen);
        let shutdown = run(&world, World::live);
        bump(&world.workers[0].queued);
        // Release: what a push does.
        world.queue.store(1, Ordering::Release);
        let live = shutdown.join().unwrap();
        thief.join().unwrap();
        assert!(live > 0, "the parent lives and is not seen");
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "not seen"))]
fn canary_what_ends_between_the_sums_counts_as_living() {
    weaken!("live: living");
    a_parent_lives_on("living against spawn and run");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "not seen"))]
fn canary_a_run_that_is_seen_shows_what_was_queued_before_it() {
    weaken!("live: bump");
    a_parent_lives_on("run against living");
}

//! The blocking pool's queue in every interleaving: no job is left in it with nobody coming.
//!
//! A thread's keep-alive is over at once here, whenever the others let it be (see the door), or never.

#![cfg(weftwork_loom)]
#![allow(
    clippy::disallowed_types,
    reason = "the list of threads is outside of the model"
)]

mod models;

use models::{Sleeper, run, weaken};
use std::sync::Arc;
use std::time::Duration;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::thread;
use weftwork_sched::protocol::PoolQueue;
use weftwork_testkit::model;

struct World {
    queue: PoolQueue<()>,
    done: AtomicUsize,
    /// Woken when two are done.
    all_done: Sleeper,
    /// Threads made, to be joined.
    threads: std::sync::Mutex<Vec<thread::JoinHandle<()>>>,
    keep_alive: Option<Duration>,
}

impl World {
    fn new(max: usize, keep_alive: Option<Duration>) -> Arc<Self> {
        Arc::new(World {
            queue: PoolQueue::new(max),
            done: AtomicUsize::new(0),
            all_done: Sleeper::new(),
            threads: std::sync::Mutex::default(),
            keep_alive,
        })
    }

    fn serve(&self) {
        self.queue.serve(self.keep_alive, |()| {
            // Relaxed: a check after the joins.
            if self.done.fetch_add(1, Ordering::Relaxed) == 1 {
                self.all_done.wake();
            }
        });
    }

    fn submit(this: &Arc<World>) -> bool {
        let submitted = this.queue.submit((), || {
            let thread = run(this, World::serve);
            this.threads.lock().unwrap().push(thread);
            true
        });
        submitted.is_ok()
    }

    /// Waits for the threads; then every job that was let in has been run.
    fn assert_done(&self, jobs: usize) {
        loop {
            let thread = self.threads.lock().unwrap().pop();
            match thread {
                Some(thread) => thread.join().unwrap(),
                None => break,
            }
        }
        assert_eq!(self.queue.threads(), 0);
        let done = self.done.load(Ordering::Relaxed);
        assert_eq!(done, jobs, "a job was left with nobody coming");
    }
}

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "nobody coming"))]
fn canary_a_thread_that_was_called_does_not_leave() {
    weaken!("pool_queue: late");
    model("submit against the keep-alive", 5, || {
        let world = World::new(1, AT_ONCE);
        assert!(World::submit(&world));
        assert!(World::submit(&world));
        world.assert_done(2);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_thread_looks_into_the_queue_under_the_lock_under_which_it_rests() {
    weaken!("pool_queue: rest");
    model("submit against going to rest", 5, || {
        let world = World::new(1, None);
        assert!(World::submit(&world));
        assert!(World::submit(&world));
        world.all_done.sleep();
        world.queue.close();
        world.assert_done(2);
    });
}

#[test]
fn close_runs_what_was_let_in_and_refuses_the_rest() {
    model("submit against close", 40, || {
        let world = World::new(2, None);
        let spawner = run(&world, {
            let world = Arc::clone(&world);
            move |_: &World| [World::submit(&world), World::submit(&world)]
        });
        world.queue.close();
        let jobs = spawner.join().unwrap();
        assert!(jobs[0] || !jobs[1], "refused, then let in");
        world.assert_done(jobs.iter().filter(|&&job| job).count());
    });
}

#[test]
fn a_job_whose_thread_cannot_be_made_comes_back_itself() {
    model("no thread against another submit", 8, || {
        let world = World::new(1, AT_ONCE);
        let other = run(&world, {
            let world = Arc::clone(&world);
            move |_: &World| World::submit(&world)
        });
        let alone = world.queue.submit((), || false).is_err();
        assert!(other.join().unwrap(), "paid for another's bad luck");
        world.assert_done(if alone { 1 } else { 2 });
    });
}

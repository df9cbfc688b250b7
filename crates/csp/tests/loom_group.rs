//! The group in every interleaving: spawning against cancelling, ends of tasks against waiting.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]
#![allow(
    clippy::disallowed_types,
    reason = "the executor is no part of the protocol: its lock stands outside the model"
)]

mod held;

use held::Held;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use weftwork_core::sync::{Arc as ModelArc, thread};
use weftwork_core::{Refused, Spawn, Task};
use weftwork_csp::group::{Group, GroupError, ThreadPerTask};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// Keeps the tasks. Std's lock: the executor is no part of the protocol.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Vec<Task>>>);

impl Spawn for Queue {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.0.lock().unwrap().push(task);
        Ok(())
    }
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the task went on"))]
fn canary_a_task_that_is_spawned_while_its_group_is_cancelled_is_cancelled() {
    weaken!("group_register");
    model("group: spawn against cancel", 33, || {
        let queue = Queue::default();
        let group = Held::new(ModelArc::new(Group::<_, &str>::new(&queue)));
        let other = thread::spawn({
            let group = Held::new(ModelArc::clone(&group));
            move || {
                group.cancel();
                group.release()
            }
        });
        let is_in = group.spawn(|| Ok(())).is_ok();
        drop(other.join().unwrap());
        let tasks = std::mem::take(&mut *queue.0.lock().unwrap());
        tasks.into_iter().for_each(Task::run);
        let outcome = group.wait_deadline(Instant::now()).unwrap();
        assert_eq!(outcome.is_err(), is_in, "the task went on");
        drop(group.release());
    });
}

#[test]
fn a_group_is_waited_for_until_its_last_task_has_ended() {
    model("group: the ends of two tasks against wait", 18000, || {
        let group = Group::new(&ThreadPerTask);
        // The second one may come too late, or be cancelled.
        let first = group.spawn(|| Err("failed")).is_ok();
        let _ = group.spawn(|| Ok(()));
        assert!(first);
        assert_eq!(group.wait(), Err(GroupError::Failed("failed")));
    });
}

#[test]
fn a_spawner_that_waits_for_room_is_told_of_it() {
    model(
        "group: the end of a task against a spawn that waits",
        5000,
        || {
            let group = Group::<_, &str>::with_limit(&ThreadPerTask, 1);
            group.spawn(|| Ok(())).unwrap();
            group.spawn(|| Ok(())).unwrap();
            assert_eq!(group.wait(), Ok(()));
        },
    );
}

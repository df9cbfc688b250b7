//! Tasks made of closures: run, output, detachment, cancellation, panics.

#![cfg(not(weftwork_loom))]

use std::panic::{catch_unwind, panic_any, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weftwork_core::JoinError;
use weftwork_core::task;
use weftwork_testkit::{DropCounter, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// Panics when it is dropped.
struct Grenade(&'static str);

impl Drop for Grenade {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            resume_unwind(Box::new(self.0));
        }
    }
}

fn text(error: JoinError) -> &'static str {
    *error.into_panic().downcast::<&'static str>().unwrap()
}

#[test]
fn run_gives_the_output_to_the_joiner() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| String::from("done"));
        assert!(!handle.is_finished());
        task.run();
        assert!(handle.is_finished());
        assert_eq!(handle.join().unwrap(), "done");
    });
}

#[test]
fn a_zero_sized_and_a_large_output_arrive_whole() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| ());
        task.run();
        handle.join().unwrap();

        let (task, handle) = task::closure(|| [7_u64; 4096]);
        task.run();
        assert!(handle.join().unwrap().iter().all(|n| *n == 7));
    });
}

#[test]
fn the_captures_are_dropped_before_the_joiner_is_told() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let held = drops.track(());
        let (task, handle) = task::closure(move || drop(held));
        let runner = std::thread::spawn(move || task.run());
        handle.join().unwrap();
        drops.assert_none_live();
        runner.join().unwrap();
    });
}

#[test]
fn an_output_is_dropped_once_however_the_handle_ends() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let make = || {
            let output = drops.track(());
            task::closure(move || output)
        };

        // Joined.
        let (task, handle) = make();
        task.run();
        let output = handle.join().unwrap();
        drops.assert_live(1);
        drop(output);
        drops.assert_none_live();

        // Detached before the run.
        let (task, handle) = make();
        drop(handle);
        drops.assert_live(1);
        task.run();
        drops.assert_none_live();

        // Detached after it, with and without somebody else looking at the task.
        let (task, handle) = make();
        task.run();
        drops.assert_live(1);
        drop(handle);
        drops.assert_none_live();

        let (task, handle) = make();
        let watcher = handle.task_ref();
        task.run();
        drop(handle);
        drops.assert_none_live();
        assert!(watcher.is_finished());

        // Never taken from a handle that waited.
        let (task, handle) = make();
        let handle = handle
            .join_timeout(Duration::ZERO)
            .unwrap_err()
            .into_inner();
        task.run();
        drop(handle);
        drops.assert_none_live();
        assert_eq!(drops.created(), 5);
    });
}

#[test]
fn a_task_dropped_unrun_is_cancelled_and_its_joiner_told() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let held = drops.track(());
        let (task, handle) = task::closure(move || drop(held));
        let joiner = std::thread::spawn(move || handle.join());
        drop(task);
        let error = joiner.join().unwrap().unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic());
        drops.assert_none_live();
    });
}

#[test]
fn a_task_cancelled_before_it_starts_never_runs() {
    with_watchdog(LIMIT, || {
        let ran = Arc::new(AtomicBool::new(false));
        let drops = DropCounter::new();
        let held = drops.track(());
        let (task, handle) = task::closure({
            let ran = Arc::clone(&ran);
            move || {
                let _held = held;
                ran.store(true, Ordering::SeqCst);
            }
        });
        handle.cancel();
        assert!(!handle.is_finished(), "cancellation waits for the executor");
        assert!(handle.task_ref().is_cancelled());
        drops.assert_live(1);
        task.run();
        drops.assert_none_live();
        assert!(!ran.load(Ordering::SeqCst));
        assert!(handle.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_cancellation_that_comes_during_or_after_the_run_leaves_the_output() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| 5);
        task.run();
        handle.cancel();
        handle.cancel();
        assert_eq!(handle.join().unwrap(), 5);

        let (task, handle) = task::closure(|| 5);
        let task_ref = handle.task_ref();
        // A closure that never waits is not interrupted.
        let (outer, outer_handle) = task::closure(move || {
            task_ref.cancel();
            6
        });
        outer_handle.task_ref().clone().cancel();
        drop(outer);
        assert!(outer_handle.join().unwrap_err().is_cancelled());
        task.run();
        assert_eq!(handle.join().unwrap(), 5);
    });
}

#[test]
fn a_panic_becomes_the_join_error_with_message_number_and_place() {
    with_watchdog(LIMIT, || {
        let what = String::from("luck");
        let line = line!() + 1;
        let (task, handle) = task::closure(move || -> u32 { panic!("no {what}") });
        let id = handle.id();
        task.run();
        let error = handle.join().unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.id(), id);
        assert_eq!(error.spawned_at().file(), file!());
        assert_eq!(error.spawned_at().line(), line);
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("task {id} spawned at {}:{line}:", file!())),
            "{shown}"
        );
        assert!(shown.ends_with("panicked: no luck"), "{shown}");
        assert!(format!("{error:?}").contains("no luck"));
        let payload = error.try_into_panic().unwrap();
        assert_eq!(*payload.downcast::<String>().unwrap(), "no luck");
    });
}

#[test]
fn a_panic_with_any_payload_is_handed_over() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| resume_unwind(Box::new(42_u8)));
        task.run();
        let error: JoinError = Result::<(), _>::unwrap_err(handle.join());
        assert!(error.to_string().ends_with("panicked"), "{error}");
        assert_eq!(*error.into_panic().downcast::<u8>().unwrap(), 42);
    });
}

#[test]
fn into_panic_of_a_cancelled_task_panics_and_try_into_panic_gives_the_error_back() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| ());
        drop(task);
        let error = handle.join().unwrap_err();
        assert!(error.to_string().ends_with("was cancelled"), "{error}");
        let error = error.try_into_panic().unwrap_err();
        let caught = catch_unwind(std::panic::AssertUnwindSafe(|| error.into_panic())).unwrap_err();
        let message = caught.downcast::<String>().unwrap();
        assert!(message.starts_with("into_panic called on a task that did not panic"));
    });
}

#[test]
fn a_panic_in_a_captured_destructor_is_the_tasks_panic() {
    with_watchdog(LIMIT, || {
        // While it runs.
        let grenade = Grenade("in a capture");
        let (task, handle) = task::closure(move || {
            let _grenade = &grenade;
        });
        task.run();
        assert_eq!(text(handle.join().unwrap_err()), "in a capture");

        // While it is dropped unrun.
        let grenade = Grenade("in a capture, unrun");
        let (task, handle) = task::closure(move || {
            let _grenade = &grenade;
        });
        drop(task);
        assert_eq!(text(handle.join().unwrap_err()), "in a capture, unrun");
    });
}

#[test]
fn a_panic_in_the_destructor_of_an_output_nobody_takes_does_not_leave_the_task() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| Grenade("in the output"));
        drop(handle);
        task.run();

        let (task, handle) = task::closure(|| Grenade("in the output"));
        let watcher = handle.task_ref();
        task.run();
        drop(handle);
        assert!(watcher.is_finished());

        // Taken: it is the joiner's.
        let (task, handle) = task::closure(|| Grenade("in the output"));
        task.run();
        let output = handle.join().unwrap();
        assert!(catch_unwind(std::panic::AssertUnwindSafe(|| drop(output))).is_err());
    });
}

#[test]
fn a_panic_in_the_destructor_of_a_panic_payload_does_not_leave_the_task() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| resume_unwind(Box::new(Grenade("in the payload"))));
        drop::<task::JoinHandle<()>>(handle);
        task.run();

        let (task, handle) = task::closure(|| resume_unwind(Box::new(Grenade("in the payload"))));
        task.run();
        drop::<task::JoinHandle<()>>(handle);

        // And of that payload's payload.
        struct Twice;
        impl Drop for Twice {
            fn drop(&mut self) {
                panic_any(Grenade("again"));
            }
        }
        let (task, handle) = task::closure(|| Twice);
        drop(handle);
        task.run();
    });
}

#[test]
fn a_raw_pointer_carries_the_task() {
    with_watchdog(LIMIT, || {
        let (task, handle) = task::closure(|| 3);
        let pointer = task.into_raw();
        // SAFETY: from `into_raw`, once.
        let task = unsafe { weftwork_core::Task::from_raw(pointer) };
        assert!(format!("{task:?}").contains("closures.rs"));
        task.run();
        assert_eq!(handle.join().unwrap(), 3);
    });
}

#[test]
fn a_thread_bound_closure_borrows_from_its_scope() {
    with_watchdog(LIMIT, || {
        let mut local = std::rc::Rc::new(1);
        {
            let place = std::rc::Rc::get_mut(&mut local).unwrap();
            let work = || {
                *place += 1;
                std::rc::Rc::new(*place)
            };
            // SAFETY: run, joined and its output dropped on this thread, before the borrow ends.
            let (task, handle) = unsafe { task::closure_unchecked(task::Meta::new(), work) };
            task.run();
            assert_eq!(*handle.join().unwrap(), 2);
        }
        assert_eq!(*local, 2);
    });
}

//! Groups: the first failure, panics, limits, cancellation, what executors do to tasks.

#![cfg(not(weftwork_loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use weftwork_core::sync::Mutex;
use weftwork_core::{Refused, Spawn, Task};
use weftwork_csp::group::{Group, GroupError, NotSpawned, ThreadPerTask};
use weftwork_csp::{bounded, never, oneshot};
use weftwork_sched::{Handle, Runtime};
use weftwork_testkit::{DropCounter, iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs tasks on tokio.
#[derive(Clone)]
struct Tokio(tokio::runtime::Handle);

impl Spawn for Tokio {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.0.spawn_blocking(move || task.run());
        Ok(())
    }
}

/// Drops every task.
#[derive(Clone)]
struct Forgetful;

impl Spawn for Forgetful {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        drop(task);
        Ok(())
    }
}

/// Refuses every task.
#[derive(Clone)]
struct Full;

impl Spawn for Full {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        Err(Refused(task))
    }
}

fn runtime() -> Runtime {
    Runtime::builder().workers(2).build().unwrap()
}

#[test]
fn a_group_waits_for_all_its_tasks_on_every_executor() {
    fn run<S: Spawn + Clone + Send + Sync + 'static>(spawner: &S) {
        let done = Arc::new(AtomicUsize::new(0));
        let group = Group::<_, String>::new(spawner);
        for _ in 0..4 {
            let (one, other) = (Arc::clone(&done), Arc::clone(&done));
            let work = move || {
                one.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            group.spawn(work).unwrap();
            let work = async move {
                other.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            group.spawn_future(work).unwrap();
        }
        assert_eq!(group.wait(), Ok(()));
        assert_eq!(done.load(Ordering::Relaxed), 8);
    }
    let _dog = watchdog(PATIENCE);
    run(&ThreadPerTask);
    run(runtime().handle());
    let tokio = tokio::runtime::Runtime::new().unwrap();
    run(&Tokio(tokio.handle().clone()));
    // A group without tasks is done.
    assert_eq!(Group::<_, String>::new(&ThreadPerTask).wait(), Ok(()));
}

#[test]
fn the_first_error_cancels_the_rest_and_is_what_wait_gives() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let drops = DropCounter::new();
    let group = Group::new(runtime.handle());
    for _ in 0..3 {
        let held = drops.track(());
        group
            .spawn(move || {
                let _held = held;
                never::<()>().recv().map_err(|_| "no such end")
            })
            .unwrap();
        let held = drops.track(());
        group
            .spawn_future(async move {
                let _held = held;
                std::future::pending().await
            })
            .unwrap();
    }
    group.spawn(|| Err("the first")).unwrap();
    assert_eq!(group.wait(), Err(GroupError::Failed("the first")));
    drops.assert_none_live();
}

#[test]
fn a_panic_surfaces_with_its_payload_and_no_error_hides_it() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let group = Group::<Handle, String>::new(runtime.handle());
    group
        .spawn(|| std::panic::resume_unwind(Box::new(7)))
        .unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&7));

    // On a thread, which cannot be cancelled: it panics after the error of the other task.
    let group = Arc::new(Group::new(&ThreadPerTask));
    let late = Arc::clone(&group);
    let (tell, told) = std::sync::mpsc::channel();
    let work = move || {
        // Before that the error would end it unstarted.
        tell.send(()).unwrap();
        while !late.is_cancelled() {
            std::thread::yield_now();
        }
        std::panic::resume_unwind(Box::new("late"))
    };
    group.spawn(work).unwrap();
    told.recv().unwrap();
    group.spawn(|| Err("early")).unwrap();
    let waiting = || group.wait_timeout(Duration::MAX);
    let payload = catch_unwind(AssertUnwindSafe(waiting)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"late"));
}

#[test]
fn no_more_tasks_run_than_the_limit_says() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let group = Group::<_, String>::with_limit(runtime.handle(), 3);
    for _ in 0..iters(500, 100, 20) {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        let work = move || {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            weftwork_sched::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        group.spawn(work).unwrap();
    }
    assert_eq!(group.wait(), Ok(()));
    assert!(most.load(Ordering::SeqCst) <= 3);
}

#[test]
fn a_full_group_hands_the_work_back_and_a_spawner_that_waits_is_let_in() {
    let _dog = watchdog(PATIENCE);
    let (finish, finished) = oneshot::channel::<()>();
    let group = Group::<_, String>::with_limit(&ThreadPerTask, 1);
    group
        .spawn(move || finished.recv().map_err(|e| e.to_string()))
        .unwrap();
    let refused = group.try_spawn(|| Ok(())).unwrap_err();
    assert!(refused.is_full() && refused.into_work().is_some());
    let group = Arc::new(group);
    let waiting = std::thread::spawn({
        let group = Arc::clone(&group);
        move || group.spawn(|| Ok(())).is_ok()
    });
    finish.send(()).unwrap();
    assert!(waiting.join().unwrap());
    assert_eq!(Arc::into_inner(group).unwrap().wait(), Ok(()));
}

#[test]
fn a_spawner_that_waits_hears_of_the_end_of_the_group() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let group = Arc::new(Group::<_, String>::with_limit(runtime.handle(), 1));
    group
        .spawn(|| never().recv().map_err(|e| e.to_string()))
        .unwrap();
    let waiting = std::thread::spawn({
        let group = Arc::clone(&group);
        move || group.spawn(|| Ok(())).map_err(|e| e.is_cancelled())
    });
    group.cancel();
    assert_eq!(waiting.join().unwrap(), Err(true));
    assert!(group.try_spawn(|| Ok(())).unwrap_err().is_cancelled());
    assert_eq!(
        Arc::into_inner(group).unwrap().wait(),
        Err(GroupError::Cancelled)
    );
}

#[test]
fn work_that_an_executor_drops_is_not_taken_for_done() {
    let _dog = watchdog(PATIENCE);
    let group = Group::<_, String>::new(&Forgetful);
    let spawned = group.spawn(|| Ok(()));
    assert!(spawned.is_ok());
    assert_eq!(group.wait(), Err(GroupError::Cancelled));

    let group = Group::<_, String>::new(&Full);
    let spawned = group.spawn(|| Ok(()));
    assert!(matches!(spawned, Err(NotSpawned::Refused)));
    assert_eq!(group.wait(), Err(GroupError::Cancelled));
}

#[test]
fn a_dropped_group_cancels_its_tasks() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let (held, released) = bounded::<()>(0);
    let group = Group::<_, String>::new(runtime.handle());
    group
        .spawn(move || {
            let _held = held;
            never().recv().map_err(|e| e.to_string())
        })
        .unwrap();
    drop(group);
    assert!(released.recv().is_err());
}

#[test]
fn a_group_may_be_waited_for_a_while_and_in_futures() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let (finish, finished) = oneshot::channel::<()>();
    let group = Group::<_, String>::new(runtime.handle());
    group
        .spawn(move || finished.recv().map_err(|e| e.to_string()))
        .unwrap();
    assert!(group.wait_timeout(Duration::from_millis(1)).is_err());
    assert_eq!(group.len(), 1);
    finish.send(()).unwrap();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(tokio.block_on(group.wait_async()), Ok(()));
}

#[test]
fn errors_of_a_group_are_kept_or_dropped_once() {
    let _dog = watchdog(PATIENCE);
    let drops = DropCounter::new();
    let group = Group::new(&ThreadPerTask);
    for n in 0..4 {
        let error = drops.track(n);
        // The group may be at its end already.
        drop(group.spawn(move || Err(error)));
    }
    assert!(matches!(group.wait(), Err(GroupError::Failed(_))));
    drops.assert_none_live();
}

/// An executor that keeps what it is given, and runs nothing.
#[derive(Clone, Default)]
struct Drawer(Arc<Mutex<Vec<Task>>>);

impl Spawn for Drawer {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.0.lock().push(task);
        Ok(())
    }
}

#[test]
fn the_group_of_tasks_that_never_began_ends_after_what_they_own_is_dropped() {
    struct LooksAtTheGroup(Arc<Mutex<Option<Group<Drawer, ()>>>>);
    impl Drop for LooksAtTheGroup {
        fn drop(&mut self) {
            let group = self.0.lock();
            assert_eq!(group.as_ref().unwrap().len(), 1, "the task is not over");
        }
    }
    for as_future in [false, true] {
        let drawer = Drawer::default();
        let place = Arc::new(Mutex::new(Some(Group::new(&drawer))));
        let owned = LooksAtTheGroup(Arc::clone(&place));
        {
            let group = place.lock();
            let group = group.as_ref().unwrap();
            if as_future {
                let work = async move {
                    let _owned = owned;
                    Ok(())
                };
                group.spawn_future(work).unwrap();
            } else {
                let work = move || {
                    let _owned = owned;
                    Ok(())
                };
                group.spawn(work).unwrap();
            }
        }
        let task = drawer.0.lock().pop();
        drop(task);
        let group = place.lock().take().unwrap();
        assert_eq!(group.wait(), Err(GroupError::Cancelled));
    }
}

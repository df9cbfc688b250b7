//! What tells tasks apart, and what belongs to one: numbers, names, origins, local values.

#![cfg(not(weftwork_loom))]

mod queue;

use queue::Queue;
use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::{Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;
use weftwork_core::task::{self, Meta, TaskRef};
use weftwork_core::{JoinHandle, Task};
use weftwork_testkit::{DropCounter, iters, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn numbers_are_unique_across_threads() {
    with_watchdog(LIMIT, || {
        // More than a thread takes at a time.
        let each = iters(10_000, 10_000, 5_000);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    (0..each)
                        .map(|_| task::closure(|| ()).1.id())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for id in thread.join().unwrap() {
                assert!(seen.insert(id), "{id} was given twice");
                assert_eq!(id.to_string(), id.get().to_string());
            }
        }
        assert_eq!(seen.len(), 4 * each);
    });
}

#[test]
fn a_task_has_the_name_and_the_origin_it_was_given() {
    with_watchdog(LIMIT, || {
        let line = line!() + 1;
        let (task, handle) = task::closure_at(Meta::new().named("weaver"), || 1);
        let looks = [handle.task_ref(), task.task_ref(), task.task_ref().clone()];
        for look in &looks {
            assert_eq!(look.name(), Some("weaver"));
            assert_eq!(look.id(), handle.id());
            assert_eq!(look, &looks[0]);
            assert_eq!(look.spawned_at().line(), line);
            assert!(!look.is_finished() && !look.is_cancelled() && !look.is_polling());
        }
        assert_eq!(handle.name(), Some("weaver"));
        // SAFETY: `task` keeps it alive.
        let (id, name, at) = unsafe { task.raw().describe() };
        assert_eq!((id, name, at.line()), (handle.id(), Some("weaver"), line));
        let shown = format!("{task:?} {handle:?}");
        assert_eq!(shown.matches("weaver").count(), 2, "{shown}");
        task.run();
        // The name outlives the run, for reports.
        assert_eq!(handle.name(), Some("weaver"));

        let (task, other) = task::closure_at(Meta::at(handle.spawned_at()), || ());
        assert_eq!(other.name(), None);
        assert_eq!(other.spawned_at().line(), line);
        assert_ne!(other.task_ref(), looks[0]);
        drop(task);
    });
}

#[test]
fn a_task_without_a_name_may_get_locals_while_others_read_its_name() {
    with_watchdog(LIMIT, || {
        let (task, handle) = with_own(|own| own.with(key::<u32>(), || 5_u32, |n| *n));
        let watcher = handle.task_ref();
        let reader = std::thread::spawn(move || {
            while !watcher.is_finished() {
                assert_eq!(watcher.name(), None);
            }
        });
        task.run();
        assert_eq!(handle.join().unwrap(), 5);
        reader.join().unwrap();
    });
}

/// A key per type.
fn key<T: 'static>() -> TypeId {
    TypeId::of::<T>()
}

/// A task whose closure gets its own task-local values.
fn with_own<T: Send + 'static>(
    work: impl FnOnce(&task::Locals) -> T + Send + 'static,
) -> (Task, JoinHandle<T>) {
    let own = Arc::new(OnceLock::<TaskRef>::new());
    let (task, handle) = task::closure({
        let own = Arc::clone(&own);
        move || {
            let raw = own.get().unwrap().raw();
            // SAFETY: this is the run, and the reference does not leave it.
            work(unsafe { raw.locals() })
        }
    });
    own.set(task.task_ref()).unwrap();
    (task, handle)
}

#[test]
fn a_local_is_made_at_its_first_use_and_kept() {
    with_watchdog(LIMIT, || {
        let (task, handle) = with_own(|own| {
            let next = || own.with(key::<u8>(), || Cell::new(1), |n| n.replace(n.get() + 1));
            let other = own.with(key::<u16>(), || "other", |s| *s);
            (next(), next(), next(), other)
        });
        task.run();
        assert_eq!(handle.join().unwrap(), (1, 2, 3, "other"));
    });
}

#[test]
fn making_a_local_may_use_locals() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let (task, handle) = with_own({
            let drops = drops.clone();
            move |own| {
                // Another one, and the very same: then the inner value stays.
                let make_inner = || drops.track("inner");
                let seen = own.with(
                    key::<u8>(),
                    || {
                        own.with(key::<u16>(), || drops.track("other"), |_| ());
                        own.with(key::<u8>(), make_inner, |_| ());
                        drops.track("outer")
                    },
                    |value| {
                        // And while one is in use; the list may move.
                        for _ in 0..4 {
                            own.with(key::<[u8; 1]>(), || 1, |_| ());
                            own.with(key::<[u8; 2]>(), || 2, |_| ());
                            own.with(key::<[u8; 3]>(), || 3, |_| ());
                        }
                        **value
                    },
                );
                drops.assert_live(2);
                seen
            }
        });
        task.run();
        assert_eq!(handle.join().unwrap(), "inner");
        drops.assert_none_live();
    });
}

#[test]
fn a_local_whose_making_panics_is_not_there() {
    with_watchdog(LIMIT, || {
        let (task, handle) = with_own(|own| {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                own.with(
                    key::<u8>(),
                    || -> u8 { resume_unwind(Box::new(())) },
                    |_| (),
                );
            }));
            assert!(caught.is_err());
            own.with(key::<u8>(), || 2_u8, |n| *n)
        });
        task.run();
        assert_eq!(handle.join().unwrap(), 2);
    });
}

#[test]
fn locals_are_dropped_at_the_end_of_the_task_before_its_joiner_is_told() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let (task, handle) = with_own({
            let drops = drops.clone();
            move |own| own.with(key::<u8>(), || drops.track(()), |_| ())
        });
        let runner = std::thread::spawn(move || task.run());
        handle.join().unwrap();
        drops.assert_none_live();
        runner.join().unwrap();
    });
}

#[test]
fn panics_of_locals_destructors_stay_inside_and_stop_no_other() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            resume_unwind(Box::new(()));
        }
    }
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let (task, handle) = with_own({
            let drops = drops.clone();
            move |own| {
                own.with(key::<u8>(), || Grenade, |_| ());
                own.with(key::<u16>(), || Grenade, |_| ());
                own.with(key::<u32>(), || drops.track(()), |_| ());
                1
            }
        });
        task.run();
        assert_eq!(handle.join().unwrap(), 1);
        drops.assert_none_live();
    });
}

#[test]
fn a_locals_destructor_may_make_locals_but_not_for_ever() {
    thread_local! {
        static RUNNING: RefCell<Option<TaskRef>> = const { RefCell::new(None) };
        static CUT: Cell<usize> = const { Cell::new(0) };
    }
    /// Makes another of itself when it is dropped. The one that is forgotten at last holds no memory.
    struct Hydra;
    impl Hydra {
        fn grow() {
            let task = RUNNING.with_borrow(|task| task.as_ref().unwrap().raw());
            // SAFETY: called in the run alone, and the reference does not leave it.
            let own = unsafe { task.locals() };
            own.with(key::<Hydra>(), || Hydra, |_| ());
        }
    }
    impl Drop for Hydra {
        fn drop(&mut self) {
            CUT.set(CUT.get() + 1);
            Hydra::grow();
        }
    }
    with_watchdog(LIMIT, || {
        // One that makes a single other.
        struct Once(TaskRef, DropCounter);
        impl Drop for Once {
            fn drop(&mut self) {
                // SAFETY: dropped in the run, and the reference does not leave it.
                let own = unsafe { self.0.raw().locals() };
                own.with(key::<u8>(), || self.1.track(()), |_| ());
            }
        }
        let drops = DropCounter::new();
        let own = Arc::new(Mutex::new(None::<TaskRef>));
        let (task, handle) = task::closure({
            let (own, drops) = (Arc::clone(&own), drops.clone());
            move || {
                let own = own.lock().unwrap().take().unwrap();
                // SAFETY: this is the run.
                let locals = unsafe { own.raw().locals() };
                locals.with(key::<Once>(), || Once(own.clone(), drops), |_| ());
            }
        });
        *own.lock().unwrap() = Some(task.task_ref());
        task.run();
        handle.join().unwrap();
        drops.assert_none_live();

        let (task, handle) = task::closure(Hydra::grow);
        RUNNING.set(Some(task.task_ref()));
        task.run();
        handle.join().unwrap();
        RUNNING.take();
        assert!((2..=16).contains(&CUT.get()));
    });
}

#[test]
fn a_futures_locals_live_from_poll_to_poll_and_end_with_it() {
    with_watchdog(LIMIT, || {
        let drops = DropCounter::new();
        let queue = Queue::default();
        let own = Arc::new(OnceLock::<TaskRef>::new());
        let mut polls = 0;
        let (task, handle) = task::future(
            {
                let (own, drops) = (Arc::clone(&own), drops.clone());
                std::future::poll_fn(move |context| {
                    let raw = own.get().unwrap().raw();
                    // SAFETY: this is the run.
                    let locals = unsafe { raw.locals() };
                    polls += 1;
                    let value = locals.with(key::<u8>(), || drops.track(polls), |n| **n);
                    assert_eq!(value, 1);
                    context.waker().wake_by_ref();
                    if polls == 3 {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
            },
            queue.clone(),
        );
        own.set(task.task_ref()).unwrap();
        task.run();
        drops.assert_live(1);
        // Each poll on a thread of its own.
        while let Some((task, _)) = queue.pop() {
            std::thread::spawn(move || task.run()).join().unwrap();
        }
        drops.assert_none_live();
        assert_eq!(drops.created(), 1);
        handle.join().unwrap();
    });
}

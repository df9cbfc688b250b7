//! The builder: what it refuses, what it names, what it calls.

mod support;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{AMPLE, watched};
use weftwork_core::sync::Mutex;
use weftwork_sched::{Builder, Runtime, spawn, yield_now};

fn refused(name: &str, builder: Builder) {
    for error in [
        builder.build().map(drop).expect_err(name),
        builder.build_local().map(drop).expect_err(name),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

#[test]
fn values_without_sense_are_refused_by_name() {
    watched(|| {
        let new = Runtime::builder;
        refused("0 workers", new().workers(0));
        refused("1025 workers", new().workers(1025));
        refused("workers", new().workers(usize::MAX));
        refused("stack_size", new().stack_size(usize::MAX));
        refused("stack_size", new().stack_size(0));
        refused("0 blocking threads", new().max_blocking_threads(0));
        refused("blocking threads", new().max_blocking_threads(usize::MAX));
        refused("name", new().name("a\0b"));
        refused("stuck_after", new().stuck_after(Duration::ZERO));
    });
}

#[test]
fn extreme_values_with_sense_work() {
    watched(|| {
        let rt = Runtime::builder()
            .workers(64)
            .stack_size(1)
            .max_blocking_threads(1)
            .blocking_keep_alive(Duration::MAX)
            .stuck_after(Duration::MAX)
            .unwind_limit(Duration::MAX)
            .name("")
            .build()
            .unwrap();
        assert_eq!(rt.stats().workers, 64);
        let sum = rt.run(|| {
            let tasks: Vec<_> = (0..200)
                .map(|n| {
                    spawn(move || {
                        yield_now();
                        weftwork_sched::blocking(|| n)
                    })
                })
                .collect();
            tasks
                .into_iter()
                .map(|task| task.join().unwrap())
                .sum::<i32>()
        });
        assert_eq!(sum, 19_900);
        let report = rt.shutdown(Duration::MAX);
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn a_tiny_stack_still_carries_ordinary_tasks() {
    watched(|| {
        let rt = Runtime::builder().workers(1).stack_size(1).build().unwrap();
        let text = rt.run(|| {
            let caught = std::panic::catch_unwind(|| panic!("formatted {}", 1));
            assert!(caught.is_err());
            spawn(|| format!("{:?}", vec![1.5; 3])).join().unwrap()
        });
        assert_eq!(text, "[1.5, 1.5, 1.5]");
    });
}

#[test]
fn every_thread_calls_its_hooks_once_around_its_tasks() {
    watched(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (start, stop) = (Arc::clone(&log), Arc::clone(&log));
        let rt = Runtime::builder()
            .workers(3)
            .on_thread_start(move |index| {
                let here = std::thread::current().id();
                start.lock().push(("start", index, here));
            })
            .on_thread_stop(move |index| {
                let here = std::thread::current().id();
                stop.lock().push(("stop", index, here));
            })
            .build()
            .unwrap();
        assert_eq!(rt.run(|| 1), 1);
        assert!(rt.shutdown(AMPLE).is_clean());
        let log = log.lock();
        assert_eq!(log.len(), 6);
        for index in 0..3 {
            let mine: Vec<_> = log.iter().filter(|entry| entry.1 == index).collect();
            assert_eq!((mine[0].0, mine[1].0), ("start", "stop"));
            assert_eq!(mine[0].2, mine[1].2);
        }
    });
}

#[test]
fn threads_are_named_after_the_runtime() {
    watched(|| {
        let rt = Runtime::builder().workers(1).name("loom").build().unwrap();
        let name = || std::thread::current().name().map(String::from);
        assert_eq!(rt.run(name).as_deref(), Some("loom-0"));
        let pool = rt.run(|| weftwork_sched::blocking(name));
        assert_eq!(pool.as_deref(), Some("loom-blocking"));
    });
}

#[test]
fn one_builder_builds_many() {
    watched(|| {
        let hooks = Arc::new(AtomicUsize::new(0));
        let there = Arc::clone(&hooks);
        let builder = Runtime::builder().workers(2).on_thread_start(move |_| {
            there.fetch_add(1, Ordering::SeqCst);
        });
        for _ in 0..3 {
            let rt = builder.build().unwrap();
            assert_eq!(rt.run(|| spawn(|| 2).join().unwrap()), 2);
            assert!(rt.shutdown(AMPLE).is_clean());
        }
        assert_eq!(hooks.load(Ordering::SeqCst), 6);
        assert!(format!("{builder:?}").contains("workers"));
    });
}

#[test]
fn the_default_has_a_worker_per_processor() {
    watched(|| {
        let rt = Runtime::new().unwrap();
        let expected = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(rt.stats().workers, expected);
        assert!(format!("{rt:?}").contains("Runtime"));
    });
}

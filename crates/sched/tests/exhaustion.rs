//! Running out: of address space for stacks, of descriptors, of threads.
//!
//! The limits are a process's, so each test runs again in a process of its own.

#![cfg(target_os = "linux")]
// AddressSanitizer reserves terabytes of address space: a limit on it ends the process at once.
#![cfg(not(weftwork_asan))]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{AMPLE, Count, watched};
use weftwork_core::sync::Mutex;
use weftwork_sched::{Runtime, sleep, spawn_async};

const ROLE: &str = "WEFTWORK_TEST_EXHAUSTION";
const THREAD: u64 = 256 << 20;

/// Runs `body` in a process of its own: the same test of the same binary, run again.
fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(ROLE).is_some() {
        return body();
    }
    watched(|| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, "child")
            // A thread is a large piece of address space and nothing else is, so that a limit can
            // refuse threads and leave room for everything small.
            .env("RUST_MIN_STACK", THREAD.to_string())
            .env("MALLOC_ARENA_MAX", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {text}", output.status);
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    });
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let both = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: a valid pointer to a limit that is read.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const both) }, 0);
}

fn address_space() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn tasks_without_a_stack_wait_until_others_end() {
    alone("tasks_without_a_stack_wait_until_others_end", || {
        watched(|| {
            for workers in [1, 2] {
                let warnings = Arc::new(Mutex::new(Vec::new()));
                let there = Arc::clone(&warnings);
                let rt = Runtime::builder()
                    .workers(workers)
                    .on_warning(move |text| there.lock().push(text.to_string()))
                    .build()
                    .unwrap();
                rt.run(|| ());
                // Room for some hundreds of stacks and no more.
                if workers == 1 {
                    limit(libc::RLIMIT_AS, address_space() + (1 << 30));
                }
                let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let tasks: Vec<_> = (0..20_000)
                    .map(|n| {
                        let (most, now) = (Arc::clone(&most), Arc::clone(&now));
                        rt.spawn(move || {
                            most.fetch_max(
                                now.fetch_add(1, Ordering::SeqCst) + 1,
                                Ordering::SeqCst,
                            );
                            sleep(std::time::Duration::from_millis(20));
                            now.fetch_sub(1, Ordering::SeqCst);
                            n
                        })
                    })
                    .collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.join().unwrap(), n);
                }
                let most = most.load(Ordering::SeqCst);
                assert!(
                    (1..20_000).contains(&most),
                    "{most} stacks at once: no limit was met"
                );
                let report = rt.shutdown(AMPLE);
                assert!(report.is_clean(), "{report}");
                let warnings = warnings.lock();
                let stacks = warnings.iter().filter(|text| text.contains("no stack"));
                assert_eq!(stacks.count(), 1, "{warnings:?}");
            }
        });
    });
}

#[test]
fn a_runtime_without_stacks_still_ends_what_waits() {
    alone("a_runtime_without_stacks_still_ends_what_waits", || {
        watched(|| {
            let rt = Runtime::builder()
                .workers(1)
                .on_warning(|_| ())
                .build()
                .unwrap();
            rt.run(|| ());
            limit(libc::RLIMIT_AS, address_space() + (1 << 29));
            let started = Arc::new(Count::new());
            let tasks: Vec<_> = (0..20_000)
                .map(|_| {
                    let there = Arc::clone(&started);
                    rt.spawn(move || {
                        there.add();
                        loop {
                            weftwork_sched::park();
                        }
                    })
                })
                .collect();
            // All stacks are taken by tasks that wait for ever; a shutdown unwinds them.
            started.wait_for(1);
            // The worker has come to its end when it goes on sleeping and nothing starts any more.
            let mut seen = (started.get(), rt.stats().sleeps);
            loop {
                let now = (started.get(), rt.stats().sleeps);
                if now.0 != seen.0 {
                    seen = now;
                } else if now.1 >= seen.1 + 3 {
                    break;
                }
                std::thread::yield_now();
            }
            assert!((1..20_000).contains(&started.get()));
            let report = rt.shutdown(std::time::Duration::ZERO);
            assert_eq!((report.abandoned(), report.stuck_threads()), (0, 0));
            assert_eq!(report.cancelled().len(), 20_000);
            for task in tasks {
                assert!(task.join().unwrap_err().is_cancelled());
            }
        });
    });
}

#[test]
fn building_without_descriptors_is_an_error_and_leaves_nothing_behind() {
    alone(
        "building_without_descriptors_is_an_error_and_leaves_nothing_behind",
        || {
            watched(|| {
                let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
                let before = threads();
                let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
                limit(libc::RLIMIT_NOFILE, open + 8);
                let error = Runtime::builder()
                    .workers(64)
                    .build()
                    .map(drop)
                    .unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                assert_eq!(threads(), before);
                // One that needs fewer works after that.
                let rt = Runtime::builder().workers(1).build().unwrap();
                assert_eq!(rt.run(|| spawn_async(async { 5 }).join().unwrap()), 5);
                assert!(rt.shutdown(AMPLE).is_clean());
            });
        },
    );
}

#[test]
fn building_without_threads_is_an_error_and_ends_those_that_started() {
    alone(
        "building_without_threads_is_an_error_and_ends_those_that_started",
        || {
            watched(|| {
                let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
                let before = threads();
                limit(libc::RLIMIT_AS, address_space() + 9 * THREAD + THREAD / 2);
                let start = std::time::Instant::now();
                let error = Runtime::builder()
                    .workers(500)
                    .build()
                    .map(drop)
                    .unwrap_err();
                assert!(error.raw_os_error().is_some(), "{error}");
                // Those that did start are joined, not given up on after a wait of seconds.
                assert!(start.elapsed() < std::time::Duration::from_secs(4));
                while threads() > before {
                    std::thread::yield_now();
                }
            });
        },
    );
}

#[test]
fn blocking_without_a_thread_runs_in_place() {
    alone("blocking_without_a_thread_runs_in_place", || {
        watched(|| {
            let rt = Runtime::builder().workers(1).build().unwrap();
            rt.run(|| ());
            limit(libc::RLIMIT_AS, address_space() + THREAD / 2);
            let same = rt.run(|| {
                let here = std::thread::current().id();
                weftwork_sched::blocking(|| std::thread::current().id()) == here
            });
            assert!(same, "the pool had a thread: the limit was not met");
            let alone = rt.handle().spawn_blocking(|| ()).join();
            assert!(alone.unwrap_err().is_cancelled());
        });
    });
}

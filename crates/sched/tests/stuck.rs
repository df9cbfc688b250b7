//! Workers that are kept by a task, and runtimes with nothing to do.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use support::{AMPLE, Count, watched};
use weftwork_core::sync::Mutex;
use weftwork_reactor::{Direction, Interest};
use weftwork_sched::{
    Runtime, TaskBuilder, current_driver, sleep, sleep_async, spawn, spawn_async, yield_now,
};

/// Keeps a worker until `go`, without a runtime call, as soon as all of `before` has been done on it.
fn keep_a_worker(rt: &Runtime, go: &Arc<AtomicBool>, before: impl FnOnce() + Send + 'static) {
    let (go, kept) = (Arc::clone(go), Arc::new(Count::new()));
    let there = Arc::clone(&kept);
    drop(rt.spawn(move || {
        before();
        there.add();
        while !go.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }));
    kept.wait_for(1);
}

#[test]
fn queued_tasks_of_a_stuck_worker_are_run_by_the_other() {
    watched(|| {
        let rt = support::runtime(2);
        let go = Arc::new(AtomicBool::new(false));
        let done = Arc::new(Count::new());
        let there = Arc::clone(&done);
        keep_a_worker(&rt, &go, move || {
            for _ in 0..10 {
                let (green, future) = (Arc::clone(&there), Arc::clone(&there));
                drop(spawn(move || green.add()));
                drop(spawn_async(async move { future.add() }));
            }
        });
        done.wait_for(20);
        go.store(true, Ordering::SeqCst);
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn a_future_that_was_woken_last_is_run_by_the_other() {
    watched(|| {
        let rt = support::runtime(2);
        let (go, done) = (Arc::new(AtomicBool::new(false)), Arc::new(Count::new()));
        let there = Arc::clone(&done);
        let waiting = rt.spawn_async(async move {
            there.reached(1).await;
            there.add();
        });
        while rt.stats().runs == 0 {
            std::thread::yield_now();
        }
        let there = Arc::clone(&done);
        // The wake puts it where the waker's own worker would run it next.
        keep_a_worker(&rt, &go, move || there.add());
        waiting.join().unwrap();
        go.store(true, Ordering::SeqCst);
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn timers_of_futures_on_a_stuck_worker_fire() {
    watched(|| {
        let rt = support::runtime(2);
        let go = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        keep_a_worker(&rt, &go, move || {
            // Polled on this worker, so its timer is in this worker's wheel, whoever polls it next.
            let mut sleep = Box::pin(sleep_async(Duration::from_millis(1)));
            weftwork_sched::block_on(std::future::poll_fn(|context| {
                assert!(sleep.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            }));
            tell.send(sleep).unwrap();
        });
        // Awaited where its waker is not the first: that re-arms it. One that is spawned stays.
        rt.block_on(told.recv().unwrap());
        go.store(true, Ordering::SeqCst);
        assert!(rt.shutdown(AMPLE).is_clean());

        let rt = support::runtime(2);
        let go = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        keep_a_worker(&rt, &go, move || {
            let started = Arc::new(Count::new());
            let there = Arc::clone(&started);
            let sleeper = spawn_async(async move {
                there.add();
                sleep_async(Duration::from_millis(1)).await;
            });
            // On this worker or, stolen, on the other: most often on this one.
            started.wait_for(1);
            tell.send(sleeper).unwrap();
        });
        told.recv().unwrap().join().unwrap();
        go.store(true, Ordering::SeqCst);
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn a_socket_registered_with_a_stuck_worker_is_served() {
    watched(|| {
        let rt = support::runtime(2);
        let go = Arc::new(AtomicBool::new(false));
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let (tell, told) = mpsc::channel();
        keep_a_worker(&rt, &go, move || {
            let driver = current_driver().expect("a task's driver");
            let registration = driver
                .register(near.as_raw_fd(), Interest::READABLE)
                .unwrap();
            tell.send((registration, near)).unwrap();
        });
        let (registration, mut near) = told.recv().unwrap();
        let reader = rt.spawn_async(async move {
            let mut bytes = [0; 4];
            let read = std::future::poll_fn(|context| {
                registration.poll_io(Direction::Read, context, || near.read(&mut bytes))
            });
            assert_eq!(read.await.unwrap(), 4);
            registration.deregister().unwrap();
            bytes
        });
        far.write_all(b"ping").unwrap();
        assert_eq!(&reader.join().unwrap(), b"ping");
        go.store(true, Ordering::SeqCst);
        assert!(rt.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn a_stuck_task_is_named_once_per_episode() {
    watched(|| {
        let (told, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Count::new()));
        let (told_there, count_there) = (Arc::clone(&told), Arc::clone(&count));
        let rt = Runtime::builder()
            .workers(1)
            .stuck_after(Duration::from_millis(1))
            .on_stuck(move |stuck| {
                told_there.lock().push(stuck.clone());
                count_there.add();
            })
            .build()
            .unwrap();
        let spin = |until: usize| {
            let count = Arc::clone(&count);
            move || {
                while count.get() < until {
                    std::hint::spin_loop();
                }
            }
        };
        let (named, child, unnamed) = (spin(1), spin(2), spin(3));
        let ids = rt.run(move || {
            let task = TaskBuilder::named("hog").spawn(named);
            let first = task.id();
            task.join().unwrap();
            // Started by its joiner, on the joiner's stack.
            let task = spawn(child);
            let second = task.id();
            task.join().unwrap();
            let task = spawn(unnamed);
            let third = task.id();
            while !task.is_finished() {
                yield_now();
            }
            [first, second, third]
        });
        assert!(rt.shutdown(AMPLE).is_clean());
        let told = told.lock();
        let numbers: Vec<u64> = told.iter().map(|stuck| stuck.task()).collect();
        for id in ids {
            assert!(numbers.contains(&id.get()), "{ids:?} {numbers:?}");
        }
        let hog = told
            .iter()
            .find(|stuck| stuck.task() == ids[0].get())
            .unwrap();
        assert_eq!((hog.worker(), hog.name()), (0, Some("hog")));
        assert_eq!(hog.spawned_at().file(), file!());
        assert!(hog.since() >= Duration::from_millis(1));
        let text = hog.to_string();
        assert!(
            text.contains("'hog' spawned at") && text.contains("stuck"),
            "{text}"
        );
    });
}

#[test]
fn without_a_stuck_hook_the_warning_says_it() {
    watched(|| {
        let (text, count) = (Arc::new(Mutex::new(String::new())), Arc::new(Count::new()));
        let (text_there, count_there) = (Arc::clone(&text), Arc::clone(&count));
        let rt = Runtime::builder()
            .workers(2)
            .stuck_after(Duration::from_millis(1))
            .on_warning(move |warning| {
                text_there.lock().push_str(warning);
                count_there.add();
            })
            .build()
            .unwrap();
        let there = Arc::clone(&count);
        rt.run(move || {
            while there.get() == 0 {
                std::hint::spin_loop();
            }
        });
        assert!(rt.shutdown(AMPLE).is_clean());
        let text = text.lock();
        assert!(
            text.contains("stuck in task") && text.contains("checkpoint()"),
            "{text}"
        );
    });
}

#[test]
fn waiting_tasks_and_checkpoints_are_not_stuck() {
    watched(|| {
        let reports = Arc::new(Count::new());
        let there = Arc::clone(&reports);
        let rt = Runtime::builder()
            .workers(2)
            .stuck_after(Duration::from_secs(5))
            .on_stuck(move |_| there.add())
            .build()
            .unwrap();
        rt.run(|| {
            sleep(Duration::from_millis(30));
            weftwork_sched::blocking(|| std::thread::sleep(Duration::from_millis(30)));
        });
        assert!(rt.shutdown(AMPLE).is_clean());
        assert_eq!(reports.get(), 0);
    });
}

/// How often the threads of that name have gone to sleep or were switched away, by the kernel.
#[cfg(target_os = "linux")]
fn switches(name: &str) -> Vec<(String, u64)> {
    let mut threads = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let comm = read("comm").trim_end().to_string();
        if !comm.starts_with(name) {
            continue;
        }
        let count = read("status")
            .lines()
            .filter_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .filter_map(|count| count.trim().parse::<u64>().ok())
            .sum();
        threads.push((comm, count));
    }
    threads.sort();
    threads
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_runtime_wakes_up_never() {
    watched(|| {
        for rests in [false, true] {
            let name = if rests { "idle-local" } else { "idle-threads" };
            let builder = Runtime::builder().workers(2).name(name);
            // With parked tasks and suspended futures, which need nobody.
            let work = || {
                drop(spawn(|| {
                    loop {
                        weftwork_sched::park();
                    }
                }));
                drop(spawn_async(std::future::pending::<()>()));
                sleep(Duration::from_millis(1));
            };
            let (mut threads, mut local) = (None, None);
            if rests {
                local = Some(builder.build_local().unwrap());
                local.as_ref().unwrap().run(work);
            } else {
                threads = Some(builder.build().unwrap());
                threads.as_ref().unwrap().run(work);
            }
            // The monitor looks a few times more before it sleeps: when a second has passed without
            // a switch, it has gone to sleep. A runtime that is never idle never gets there.
            // (A thread has its name a moment after its start.)
            let expected = if rests { 1 } else { 3 };
            let mut before = switches(name);
            while before.len() < expected {
                before = switches(name);
            }
            assert_eq!(before.len(), expected);
            let mut tries = 0;
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let after = switches(name);
                if after == before {
                    break;
                }
                tries += 1;
                assert!(tries < 5, "woke up: {before:?} {after:?}");
                before = after;
            }
            drop((threads, local));
        }
    });
}

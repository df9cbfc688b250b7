//! The end of a runtime: what it waits for, what it cancels, what it reports, what it leaves.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Poll, Waker};
use std::thread::ThreadId;
use std::time::Duration;
use support::{AMPLE, Count, OnDrop, runtime, watched};
use weftwork_core::wait::Reason;
use weftwork_sched::{
    Runtime, TaskBuilder, block_on, join, park, sleep, sleep_async, spawn, spawn_async,
    spawn_local, spawn_local_async, yield_now,
};
use weftwork_testkit::{DropCounter, iters};

const NOW: Duration = Duration::ZERO;

#[test]
fn it_waits_for_what_ends_within_the_grace() {
    watched(|| {
        for workers in [1, 2] {
            let rt = runtime(workers);
            let done = Arc::new(Count::new());
            for n in 0..20 {
                let there = Arc::clone(&done);
                drop(rt.spawn(move || {
                    sleep(Duration::from_micros(100 * n));
                    // Tasks of a runtime that closes may still spawn.
                    spawn(move || there.add()).join().unwrap();
                }));
                let there = Arc::clone(&done);
                drop(rt.spawn_async(async move {
                    sleep_async(Duration::from_micros(100 * n)).await;
                    there.add();
                }));
            }
            let report = rt.shutdown(AMPLE);
            assert!(report.is_clean(), "{report}");
            assert_eq!(done.get(), 40);
            assert_eq!(report.to_string(), "all tasks had ended");
        }
    });
}

#[test]
fn leftovers_are_cancelled_and_listed_with_name_line_and_wait() {
    watched(|| {
        for workers in [1, 2] {
            let rt = runtime(workers);
            let ready = Arc::new(Count::new());
            let spawned = rt.run(|| {
                let line = line!();
                let tasks = [
                    TaskBuilder::named("parked").spawn({
                        let ready = Arc::clone(&ready);
                        move || {
                            ready.add();
                            loop {
                                park();
                            }
                        }
                    }),
                    TaskBuilder::named("asleep").spawn({
                        let ready = Arc::clone(&ready);
                        move || {
                            ready.add();
                            sleep(Duration::MAX);
                        }
                    }),
                    TaskBuilder::named("suspended").spawn_async({
                        let ready = Arc::clone(&ready);
                        async move {
                            ready.add();
                            std::future::pending::<()>().await;
                        }
                    }),
                    TaskBuilder::named("polling").spawn_async({
                        let ready = Arc::clone(&ready);
                        async move {
                            ready.add();
                            block_on(std::future::pending::<()>());
                        }
                    }),
                ];
                drop(spawn_local({
                    let ready = Arc::clone(&ready);
                    move || {
                        ready.add();
                        loop {
                            park();
                        }
                    }
                }));
                drop(spawn_local_async({
                    let ready = Arc::clone(&ready);
                    async move {
                        ready.add();
                        std::future::pending::<()>().await;
                    }
                }));
                ready.wait_for(6);
                (tasks, line)
            });
            // All have begun; a look at the counters tells that they have gone to wait.
            let (tasks, line) = spawned;
            while rt.stats().sleeping < workers {
                std::thread::yield_now();
            }
            let ids: Vec<_> = tasks.iter().map(|task| task.id()).collect();
            let report = rt.shutdown(NOW);
            assert_eq!(
                (report.abandoned(), report.stuck_threads()),
                (0, 0),
                "{report}"
            );
            assert_eq!(report.cancelled().len(), 6, "{report}");
            assert!(!report.is_clean());
            let find = |name: &str| {
                let mut named = report.cancelled().iter().filter(|l| l.name() == Some(name));
                let found = named.next().expect(name);
                assert!(named.next().is_none(), "{name} is listed twice");
                assert_eq!(found.spawned_at().file(), file!());
                assert!(found.spawned_at().line() > line);
                found
            };
            let parked = find("parked");
            assert_eq!(parked.id(), ids[0]);
            let site = parked.waited_for().unwrap();
            assert_eq!(site.reason, Reason::PARK);
            assert_eq!(site.location.file(), file!());
            assert_eq!(find("asleep").waited_for().unwrap().reason, Reason::SLEEP);
            assert!(find("suspended").waited_for().is_none());
            assert_eq!(
                find("polling").waited_for().unwrap().reason,
                Reason::BLOCK_ON
            );
            let text = report.to_string();
            assert!(
                text.starts_with("6 cancelled, 0 abandoned, 0 threads stuck"),
                "{text}"
            );
            assert!(text.contains("'parked' spawned at") && text.contains("waiting: park at"));
            for task in tasks {
                assert!(task.join().unwrap_err().is_cancelled());
            }
        }
    });
}

#[test]
fn tasks_that_were_not_started_are_listed_and_dropped() {
    watched(|| {
        let rt = runtime(1);
        let drops = DropCounter::new();
        let (started, go) = (Arc::new(Count::new()), Arc::new(AtomicBool::new(false)));
        let (started_there, go_there) = (Arc::clone(&started), Arc::clone(&go));
        let busy = rt.spawn(move || {
            started_there.add();
            while !go_there.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
        });
        started.wait_for(1);
        // Behind the busy one, on the only worker.
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let held = drops.track(());
                rt.spawn(move || drop(held))
            })
            .collect();
        let closer = std::thread::spawn(move || rt.shutdown(NOW));
        // Told when all are cancelled, or else at once: both are in order.
        go.store(true, Ordering::SeqCst);
        let report = closer.join().unwrap();
        busy.join().unwrap();
        let ended = waiting.into_iter().filter(|_| true).map(|task| task.join());
        let cancelled = ended.filter(|ended| ended.as_ref().is_err_and(|e| e.is_cancelled()));
        assert_eq!(
            cancelled.count(),
            report.cancelled().len().min(10),
            "{report}"
        );
        assert_eq!(
            (report.abandoned(), report.stuck_threads()),
            (0, 0),
            "{report}"
        );
        drops.assert_none_live();
    });
}

/// Tells the thread on which it was dropped.
struct SaysWhere(mpsc::Sender<(ThreadId, ThreadId)>, Option<ThreadId>);

impl Drop for SaysWhere {
    fn drop(&mut self) {
        let here = std::thread::current().id();
        self.0.send((self.1.unwrap_or(here), here)).unwrap();
    }
}

#[test]
fn every_destructor_runs_once_and_on_its_own_thread() {
    watched(|| {
        for _ in 0..iters(20, 5, 1) {
            let rt = runtime(4);
            let drops = DropCounter::new();
            let (tell, told) = mpsc::channel();
            let ready = Arc::new(Count::new());
            let tasks = 40;
            for n in 0..tasks {
                let (held, tell, ready) = (drops.track(()), tell.clone(), Arc::clone(&ready));
                match n % 4 {
                    0 => drop(rt.spawn(move || {
                        let _held = held;
                        let _where = SaysWhere(tell, Some(std::thread::current().id()));
                        ready.add();
                        loop {
                            park();
                        }
                    })),
                    1 => drop(rt.spawn_async(async move {
                        let _held = held;
                        let _where = SaysWhere(tell, None);
                        ready.add();
                        std::future::pending::<()>().await;
                    })),
                    2 => drop(rt.spawn(move || {
                        ready.add();
                        let here = std::thread::current().id();
                        let local = spawn_local_async(async move {
                            let _held = held;
                            let _where = SaysWhere(tell, Some(here));
                            std::future::pending::<()>().await;
                        });
                        drop(local);
                    })),
                    _ => drop(rt.spawn(move || {
                        ready.add();
                        join(
                            || sleep(Duration::MAX),
                            || {
                                let _held = held;
                                let _where = SaysWhere(tell, Some(std::thread::current().id()));
                                sleep(Duration::MAX);
                            },
                        );
                    })),
                }
            }
            drop(tell);
            ready.wait_for(tasks);
            let report = rt.shutdown(NOW);
            assert_eq!(
                (report.abandoned(), report.stuck_threads()),
                (0, 0),
                "{report}"
            );
            for (began, ended) in told {
                assert_eq!(began, ended);
            }
            drops.assert_none_live();
        }
    });
}

#[test]
fn a_joiner_in_place_is_cancelled_with_the_joined() {
    watched(|| {
        let rt = runtime(1);
        let ready = Arc::new(Count::new());
        let there = Arc::clone(&ready);
        let outer = rt.spawn(move || {
            let inner = spawn(move || {
                there.add();
                loop {
                    park();
                }
            });
            assert!(inner.join().is_err());
            // Not cancelled itself, it would wait here until it is given up.
            loop {
                park();
            }
        });
        ready.wait_for(1);
        let report = rt.shutdown(NOW);
        assert_eq!(report.abandoned(), 0, "{report}");
        assert!(outer.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_runtime_dropped_by_one_of_its_own_tasks_ends() {
    watched(|| {
        for workers in [1, 2] {
            let rt = runtime(workers);
            let handle = rt.handle().clone();
            let drops = DropCounter::new();
            let held = drops.track(());
            let other = rt.spawn(move || {
                let _held = held;
                loop {
                    park();
                }
            });
            let (give, given) = mpsc::channel::<Runtime>();
            let owner = rt.spawn(move || {
                let rt = loop {
                    match given.try_recv() {
                        Ok(rt) => break rt,
                        Err(_) => yield_now(),
                    }
                };
                drop(rt);
                // From here on this task is cancelled as any other.
                loop {
                    park();
                }
            });
            give.send(rt).unwrap();
            assert!(owner.join().unwrap_err().is_cancelled());
            assert!(other.join().unwrap_err().is_cancelled());
            drops.assert_none_live();
            assert!(handle.spawn(|| ()).join().unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_shutdown_by_one_of_its_own_tasks_panics_and_still_ends_the_runtime() {
    watched(|| {
        let rt = runtime(1);
        let (give, given) = mpsc::channel::<Runtime>();
        let owner = rt.spawn(move || {
            let rt = loop {
                match given.try_recv() {
                    Ok(rt) => break rt,
                    Err(_) => yield_now(),
                }
            };
            rt.shutdown(NOW)
        });
        give.send(rt).unwrap();
        let error = owner.join().unwrap_err();
        assert!(error.is_panic(), "{error}");
        assert!(
            error.to_string().contains("would wait for itself"),
            "{error}"
        );
    });
}

#[test]
fn a_spawn_after_the_end_tells_of_a_cancellation() {
    watched(|| {
        let rt = runtime(1);
        let handle = rt.handle().clone();
        let _entered = rt.enter();
        let drops = DropCounter::new();
        drop(rt);
        let held = drops.track(());
        assert!(
            handle
                .spawn(move || drop(held))
                .join()
                .unwrap_err()
                .is_cancelled()
        );
        let held = drops.track(());
        let future = handle.spawn_async(async move { drop(held) });
        assert!(future.join().unwrap_err().is_cancelled());
        let held = drops.track(());
        let pool = handle.spawn_blocking(move || drop(held));
        assert!(pool.join().unwrap_err().is_cancelled());
        let held = drops.track(());
        assert!(spawn(move || drop(held)).join().unwrap_err().is_cancelled());
        weftwork_sched::scope(|s| {
            assert!(s.spawn(|| ()).join().unwrap_err().is_cancelled());
        });
        let refused = weftwork_core::Spawn::spawn_fn(&handle, || ()).unwrap_err();
        drop(refused);
        drops.assert_none_live();
        let stats = handle.stats();
        assert_eq!((stats.live, stats.workers), (0, 1));
        assert!(!format!("{handle:?}").is_empty());
    });
}

#[test]
fn wakers_that_outlive_the_runtime_do_nothing() {
    watched(|| {
        for _ in 0..iters(50, 20, 3) {
            let rt = runtime(2);
            let (tell, told) = mpsc::channel::<Waker>();
            let gone = Arc::new(AtomicBool::new(false));
            let ready = Arc::new(Count::new());
            for n in 0..8 {
                let (tell, ready) = (tell.clone(), Arc::clone(&ready));
                let mut sent = false;
                let wait = std::future::poll_fn(move |context| {
                    if !std::mem::replace(&mut sent, true) {
                        tell.send(context.waker().clone()).unwrap();
                        ready.add();
                    }
                    Poll::<()>::Pending
                });
                if n % 2 == 0 {
                    drop(rt.spawn(move || block_on(wait)));
                } else {
                    drop(rt.spawn_async(wait));
                }
            }
            drop(tell);
            ready.wait_for(8);
            let wakers: Arc<Vec<Waker>> = Arc::new(told.iter().take(8).collect());
            let foreign: Vec<_> = (0..2)
                .map(|_| {
                    let (wakers, gone) = (Arc::clone(&wakers), Arc::clone(&gone));
                    std::thread::spawn(move || {
                        // While it ends, and after.
                        let mut after = 0;
                        while after < 3 {
                            after += u32::from(gone.load(Ordering::SeqCst));
                            for waker in wakers.iter() {
                                waker.wake_by_ref();
                                drop(waker.clone());
                            }
                        }
                    })
                })
                .collect();
            let report = rt.shutdown(NOW);
            gone.store(true, Ordering::SeqCst);
            assert_eq!(
                (report.abandoned(), report.stuck_threads()),
                (0, 0),
                "{report}"
            );
            foreign
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            drop(wakers);
        }
    });
}

#[test]
fn runs_and_spawns_during_a_shutdown_end_or_are_refused() {
    watched(|| {
        for _ in 0..iters(100, 30, 5) {
            let rt = Arc::new(runtime(2));
            let drops = DropCounter::new();
            let start = Arc::new(Barrier::new(3));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (handle, drops, start) =
                        (rt.handle().clone(), drops.clone(), Arc::clone(&start));
                    std::thread::spawn(move || {
                        start.wait();
                        let mut refused = false;
                        while !refused {
                            let held = drops.track(());
                            let task = handle.spawn(move || {
                                yield_now();
                                drop(held);
                            });
                            let held = drops.track(());
                            let future = handle.spawn_async(async move {
                                sleep_async(Duration::from_nanos(1)).await;
                                drop(held);
                            });
                            refused = task.join().is_err() | future.join().is_err();
                        }
                    })
                })
                .collect();
            start.wait();
            let rt = Arc::into_inner(rt).unwrap();
            std::thread::yield_now();
            let report = rt.shutdown(NOW);
            assert_eq!(
                (report.abandoned(), report.stuck_threads()),
                (0, 0),
                "{report}"
            );
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            drops.assert_none_live();
        }
    });
}

#[test]
fn a_run_on_a_runtime_that_ends_panics_or_returns() {
    watched(|| {
        for round in 0..iters(50, 20, 5) {
            let rt = runtime(1);
            let ready = Arc::new(Count::new());
            let (handle, there) = (rt.handle().clone(), Arc::clone(&ready));
            let outside = std::thread::spawn(move || {
                let _entered = handle.enter();
                let local = 5;
                weftwork_sched::scope(|s| {
                    let child = s.spawn(|| {
                        there.add();
                        if round % 2 == 0 {
                            loop {
                                park();
                            }
                        }
                        local
                    });
                    child.join()
                })
            });
            ready.wait_for(1);
            drop(rt);
            match outside.join().unwrap() {
                Ok(value) => assert_eq!(value, 5),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
    });
}

#[test]
fn a_runtime_is_shut_down_from_a_task_of_another() {
    watched(|| {
        let outer = runtime(1);
        let inner = runtime(2);
        let drops = DropCounter::new();
        let held = drops.track(());
        let ready = Arc::new(Count::new());
        let there = Arc::clone(&ready);
        drop(inner.spawn_async(async move {
            let _held = held;
            there.add();
            std::future::pending::<()>().await;
        }));
        ready.wait_for(1);
        let abandoned = outer.run(move || {
            // A suspended future of the outer runtime, in its registry.
            let mine = spawn_async(std::future::pending::<()>());
            yield_now();
            let report = inner.shutdown(NOW);
            mine.cancel();
            assert!(mine.join().unwrap_err().is_cancelled());
            report.abandoned()
        });
        assert_eq!(abandoned, 0);
        drops.assert_none_live();
        assert!(outer.shutdown(AMPLE).is_clean());
    });
}

#[test]
fn many_runtimes_live_side_by_side() {
    watched(|| {
        let runtimes: Vec<_> = (0..iters(20, 10, 4)).map(|_| runtime(2)).collect();
        let sum = AtomicUsize::new(0);
        std::thread::scope(|s| {
            for rt in &runtimes {
                let sum = &sum;
                s.spawn(move || {
                    rt.run(|| {
                        weftwork_sched::scope(|s| {
                            for _ in 0..10 {
                                s.spawn(|| {
                                    yield_now();
                                    sum.fetch_add(1, Ordering::Relaxed);
                                });
                            }
                        });
                    });
                });
            }
        });
        assert_eq!(sum.into_inner(), 10 * runtimes.len());
        for rt in runtimes {
            assert!(rt.shutdown(AMPLE).is_clean());
        }
    });
}

#[test]
fn tasks_of_two_runtimes_wait_for_each_other() {
    watched(|| {
        let (a, b) = (Arc::new(runtime(1)), Arc::new(runtime(1)));
        let there = Arc::clone(&b);
        let (handle_a, handle_b) = (a.handle().clone(), b.handle().clone());
        let n = a.run(move || {
            let deep = there.run(|| handle_a.spawn(|| 1).join().unwrap() + 1);
            let future = handle_b.spawn_async(async { 3 });
            drop(there);
            deep + block_on(future).unwrap()
        });
        assert_eq!(n, 5);
        for rt in [a, b] {
            assert!(Arc::into_inner(rt).unwrap().shutdown(AMPLE).is_clean());
        }
    });
}

#[test]
fn destructors_that_spawn_during_the_end_lose_nothing() {
    struct Spawns(Option<weftwork_testkit::Counted<()>>, Arc<Count>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let held = self.0.take();
            let there = Arc::clone(&self.1);
            drop(spawn(move || {
                let _held = held;
                let _ended = OnDrop(&there);
                loop {
                    park();
                }
            }));
        }
    }
    watched(|| {
        let rt = runtime(2);
        let drops = DropCounter::new();
        let ready = Arc::new(Count::new());
        for _ in 0..4 {
            let spawns = Spawns(Some(drops.track(())), Arc::clone(&ready));
            let there = Arc::clone(&ready);
            drop(rt.spawn(move || {
                let _spawns = spawns;
                there.add();
                loop {
                    park();
                }
            }));
        }
        ready.wait_for(4);
        let report = rt.shutdown(NOW);
        assert_eq!(
            (report.abandoned(), report.stuck_threads()),
            (0, 0),
            "{report}"
        );
        drops.assert_none_live();
    });
}

#[test]
fn no_thread_is_left_behind() {
    watched(|| {
        let name = "left-behind";
        let rt = Runtime::builder().workers(3).name(name).build().unwrap();
        rt.run(|| weftwork_sched::blocking(|| ()));
        let threads = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let comm = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
            let names = tasks.flatten().filter_map(|task| comm(task).ok());
            names.filter(|thread| thread.starts_with(name)).count()
        };
        // A thread has its name a moment after its start.
        while threads() < 5 {
            std::thread::yield_now();
        }
        drop(rt);
        // The pool's thread was told to leave, and leaves in its own time.
        while threads() > 0 {
            std::thread::yield_now();
        }
    });
}

//! OS threads, green threads, futures and the tasks of another executor wait for one another.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use weftwork::prelude::*;
use weftwork::task::Task;
use weftwork::time::{sleep_async, timeout_async};
use weftwork::{LocalRuntime, Refused, Spawn, Thread, current, park, spawn_local_async, wait};
use weftwork_testkit::{iters, with_watchdog};

const LIMIT: Duration = Duration::from_secs(120);

fn with_runtime(workers: usize, test: impl FnOnce(&Runtime)) {
    with_watchdog(LIMIT, || {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        test(&rt);
        let report = rt.shutdown(Duration::from_secs(30));
        assert!(report.is_clean(), "{report}");
    });
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}

/// A rendezvous written once: one party waits for a number that another gives.
#[derive(Default)]
struct Slot(Mutex<(Option<u32>, Option<Waker>)>);

impl Slot {
    fn give(&self, number: u32) {
        let waker = {
            let mut slot = self.0.lock().unwrap();
            slot.0 = Some(number);
            slot.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_take(&self, context: &mut std::task::Context<'_>) -> Poll<u32> {
        let mut slot = self.0.lock().unwrap();
        match slot.0.take() {
            Some(number) => Poll::Ready(number),
            None => {
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// On a green thread or an OS thread.
    fn take(&self) -> u32 {
        wait::wait(wait::Reason::new("slot"), |context| self.poll_take(context))
    }

    /// Under any executor.
    async fn take_async(&self) -> u32 {
        poll_fn(|context| self.poll_take(context)).await
    }
}

#[test]
fn an_os_thread_joins_green_threads_and_futures() {
    with_runtime(2, |rt| {
        assert_eq!(rt.spawn(|| 1).join().unwrap(), 1);
        assert_eq!(rt.spawn_async(async { 2 }).join().unwrap(), 2);
        let handle = rt.handle().clone();
        let thread = thread::spawn(move || {
            let _entered = handle.enter();
            spawn(|| spawn_async(async { 3 }).join().unwrap())
                .join()
                .unwrap()
        });
        assert_eq!(thread.join().unwrap(), 3);
    });
}

#[test]
fn a_green_thread_joins_an_os_thread_without_keeping_its_worker() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let (give, take) = mpsc::channel();
            let os_thread = thread::spawn(move || take.recv().unwrap());
            // The one worker is needed for the other green thread to give.
            let joiner = spawn(|| blocking(|| os_thread.join().unwrap()));
            yield_now();
            spawn(move || give.send(7).unwrap()).join().unwrap();
            assert_eq!(joiner.join().unwrap(), 7);
        });
    });
}

#[test]
fn an_os_thread_and_a_green_thread_park_and_unpark_each_other() {
    let rounds = iters(2_000, 500, 20);
    with_runtime(1, |rt| {
        let turn = Arc::new(AtomicU32::new(0));
        let os: Thread = current();
        assert!(os.id().is_none());
        let play = move |me: u32, turn: &AtomicU32, other: &Thread| {
            for _ in 0..rounds {
                while turn.load(Ordering::Acquire) != me {
                    park();
                }
                turn.store(1 - me, Ordering::Release);
                other.unpark();
            }
        };
        let (tell, told) = mpsc::channel();
        let shared = Arc::clone(&turn);
        let green = rt.spawn(move || {
            tell.send(current()).unwrap();
            play(1, &shared, &os);
        });
        play(0, &turn, &told.recv().unwrap());
        green.join().unwrap();
    });
}

#[test]
fn a_foreign_task_awaits_green_threads_and_futures() {
    with_runtime(2, |rt| {
        let tokio = tokio_runtime();
        let handle = rt.handle().clone();
        let sum = tokio.block_on(async move {
            let green = handle.spawn(|| {
                sleep(Duration::from_millis(1));
                1
            });
            let future = handle.spawn_async(async { 2 });
            let both = tokio::spawn(async move { green.await.unwrap() + future.await.unwrap() });
            both.await.unwrap()
        });
        assert_eq!(sum, 3);
    });
}

#[test]
fn green_threads_and_our_futures_await_foreign_tasks() {
    with_runtime(1, |rt| {
        let tokio = tokio_runtime();
        let foreign = tokio.handle().clone();
        rt.run(move || {
            let slow = foreign.spawn(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                5
            });
            // Parks this green thread; the worker goes on.
            let waiter = spawn(move || block_on(slow).unwrap());
            let (give, take) = tokio::sync::oneshot::channel();
            let future = spawn_async(take);
            foreign.spawn(async move { give.send(6) });
            assert_eq!(waiter.join().unwrap() + future.join().unwrap().unwrap(), 11);
        });
    });
}

#[test]
fn one_operation_serves_every_kind_of_waiter() {
    with_runtime(1, |rt| {
        let tokio = tokio_runtime();
        let slots: Arc<[Slot; 5]> = Arc::default();
        let at = |n: usize| {
            let slots = Arc::clone(&slots);
            move || (slots, n)
        };
        let (a, b, c, d) = (at(1), at(2), at(3), at(4));
        let os_thread = thread::spawn(move || {
            let (slots, n) = a();
            slots[n].give(slots[n - 1].take() + 1);
        });
        let green = rt.spawn(move || {
            let (slots, n) = b();
            slots[n].give(slots[n - 1].take() + 1);
        });
        let future = rt.spawn_async(async move {
            let (slots, n) = c();
            slots[n].give(slots[n - 1].take_async().await + 1);
        });
        let foreign = tokio.spawn(async move {
            let (slots, n) = d();
            slots[n].give(slots[n - 1].take_async().await + 1);
        });
        slots[0].give(10);
        assert_eq!(slots[4].take(), 14);
        os_thread.join().unwrap();
        green.join().unwrap();
        future.join().unwrap();
        tokio.block_on(foreign).unwrap();
    });
}

#[test]
fn a_future_that_blocks_in_a_poll_parks_itself_alone() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let (slot, other) = (Arc::new(Slot::default()), Arc::new(Slot::default()));
            let (take, give) = (Arc::clone(&slot), Arc::clone(&other));
            let future = spawn_async(async move {
                let first = take.take();
                give.give(first + 1);
                sleep_async(Duration::from_millis(1)).await;
                first
            });
            yield_now();
            slot.give(1);
            assert_eq!(other.take(), 2);
            assert_eq!(future.join().unwrap(), 1);
        });
    });
}

#[test]
fn our_timers_and_limits_work_under_a_foreign_executor() {
    with_runtime(1, |rt| {
        let _entered = rt.enter();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        tokio.block_on(async {
            sleep_async(Duration::from_millis(1)).await;
            let late = timeout_async(Duration::from_millis(1), std::future::pending::<()>()).await;
            assert!(late.is_err());
        });
    });
}

#[test]
fn a_foreign_executor_runs_our_tasks() {
    #[derive(Clone)]
    struct Blocking(tokio::runtime::Handle);

    impl Spawn for Blocking {
        fn spawn_task(&self, task: Task) -> Result<(), Refused> {
            self.0.spawn_blocking(move || task.run());
            Ok(())
        }
    }

    with_watchdog(LIMIT, || {
        let tokio = tokio_runtime();
        let executor = Blocking(tokio.handle().clone());
        let slot = Arc::new(Slot::default());
        let taker = Arc::clone(&slot);
        let closure = executor.spawn_fn(move || taker.take()).unwrap();
        let future = executor.spawn_future(async move {
            slot.give(8);
            9
        });
        assert_eq!(future.unwrap().join().unwrap(), 9);
        assert_eq!(tokio.block_on(closure).unwrap(), 8);
    });
}

#[test]
fn two_runtimes_join_each_other() {
    with_runtime(1, |a| {
        with_runtime(1, |b| {
            let other = b.handle().clone();
            let sum = a.run(move || {
                let there = other.spawn(|| 20);
                let here = spawn(|| 22);
                there.join().unwrap() + here.join().unwrap()
            });
            assert_eq!(sum, 42);
            assert_eq!(a.run(|| b.run(|| 5)), 5);
        });
    });
}

#[test]
fn a_local_runtime_takes_tasks_from_other_threads_while_it_runs() {
    with_watchdog(LIMIT, || {
        let rt: LocalRuntime = Runtime::builder().build_local().unwrap();
        let handle = rt.handle().clone();
        let slot = Arc::new(Slot::default());
        let give = Arc::clone(&slot);
        let helper = thread::spawn(move || handle.spawn(move || give.give(3)).join().unwrap());
        let here = thread::current().id();
        let got = rt.run(|| {
            // Neither of these could be sent.
            let slot = &slot;
            let local = spawn_local_async(async move { thread::current().id() });
            assert_eq!(local.join().unwrap(), here);
            slot.take()
        });
        assert_eq!(got, 3);
        helper.join().unwrap();
        assert!(rt.shutdown(Duration::from_secs(30)).is_clean());
    });
}

/// A socket belongs to no runtime: what it registered with one that has ended, it registers anew.
#[test]
fn a_stream_goes_on_in_another_runtime_when_its_own_has_ended() {
    use std::io::{Read, Write};
    with_watchdog(Duration::from_secs(60), || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let near = weftwork::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = std::sync::Arc::new(near);
        let (mut far, _) = listener.accept().unwrap();
        for round in 0..3_u8 {
            let rt = Runtime::builder().workers(1).build().unwrap();
            let stream = near.clone();
            let reader = rt.spawn(move || {
                let mut byte = [0];
                (&*stream).read_exact(&mut byte).unwrap();
                byte[0]
            });
            // Written only when the reader has parked for it.
            while rt.stats().switches == 0 {
                std::thread::yield_now();
            }
            far.write_all(&[round]).unwrap();
            assert_eq!(reader.join().unwrap(), round);
        }
    });
}

//! One trait for executors: tokio in both flavours, a thread per task, one queue.

#![cfg(not(weftwork_loom))]

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::ThreadId;
use std::time::Duration;
use weftwork_core::{JoinHandle, Refused, Spawn, Task, block_on};
use weftwork_testkit::{DropCounter, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// Tokio's pool for calls that block: for closures.
#[derive(Clone)]
struct TokioBlocking(tokio::runtime::Handle);

impl Spawn for TokioBlocking {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.0.spawn_blocking(|| task.run());
        Ok(())
    }
}

/// Tokio's workers: for futures.
#[derive(Clone)]
struct Tokio(tokio::runtime::Handle);

impl Spawn for Tokio {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.0.spawn(async move { task.run() });
        Ok(())
    }
}

#[derive(Clone)]
struct ThreadPerTask;

impl Spawn for ThreadPerTask {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        std::thread::spawn(move || task.run());
        Ok(())
    }
}

/// One thread that runs what is in one queue, until the queue is closed.
#[derive(Clone)]
struct OneQueue(Arc<Mutex<Option<Sender<Task>>>>, ThreadId);

impl OneQueue {
    fn start() -> (OneQueue, std::thread::JoinHandle<()>) {
        let (send, tasks): (_, Receiver<Task>) = channel();
        let thread = std::thread::spawn(move || tasks.into_iter().for_each(Task::run));
        let queue = OneQueue(Arc::new(Mutex::new(Some(send))), thread.thread().id());
        (queue, thread)
    }

    fn close(&self) {
        self.0.lock().unwrap().take();
    }
}

impl Spawn for OneQueue {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        match &*self.0.lock().unwrap() {
            Some(send) => send.send(task).map_err(|e| Refused(e.0)),
            None => Err(Refused(task)),
        }
    }
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

/// A future that yields `n` times.
fn yields(mut n: usize) -> impl Future<Output = ()> + Send {
    poll_fn(move |context| {
        if n == 0 {
            return Poll::Ready(());
        }
        n -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// What every executor of closures must do.
fn closures_run_on(executor: &impl Spawn) {
    let drops = DropCounter::new();
    let outputs: Vec<JoinHandle<_>> = (0..20)
        .map(|n| {
            let output = drops.track(n);
            executor.spawn_fn(move || output).unwrap()
        })
        .collect();
    for (n, handle) in outputs.into_iter().enumerate() {
        assert_eq!(*handle.join().unwrap(), n);
    }
    drops.assert_none_live();

    let line = line!() + 1;
    let failing = executor.spawn_fn(|| resume_unwind(Box::new("on purpose")));
    let error: weftwork_core::JoinError = Result::<(), _>::unwrap_err(failing.unwrap().join());
    assert!(error.is_panic());
    assert_eq!(error.spawned_at().line(), line);
    assert_eq!(executor.spawn_fn(|| 1).unwrap().join().unwrap(), 1);
}

/// What every executor of futures must do.
fn futures_run_on<S: Spawn + Clone + Send + Sync + 'static>(executor: &S) {
    let sum = executor.spawn_future({
        let executor = executor.clone();
        async move {
            let parts: Vec<_> = (0..10_usize)
                .map(|n| {
                    executor
                        .spawn_future(async move {
                            yields(n).await;
                            n
                        })
                        .unwrap()
                })
                .collect();
            let mut sum = 0;
            for part in parts {
                sum += part.await.unwrap();
            }
            sum
        }
    });
    assert_eq!(block_on(sum.unwrap()).unwrap(), 45);

    let drops = DropCounter::new();
    let held = drops.track(());
    let sleeper = executor.spawn_future(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    let sleeper = sleeper.unwrap();
    sleeper.cancel();
    assert!(sleeper.join().unwrap_err().is_cancelled());
    drops.assert_none_live();
}

#[test]
fn tokio_runs_closures_in_its_blocking_pool() {
    with_watchdog(LIMIT, || {
        let runtime = tokio();
        let executor = TokioBlocking(runtime.handle().clone());
        closures_run_on(&executor);
        // They may wait for each other there.
        let first = executor.spawn_fn(|| 1).unwrap();
        let second = executor.spawn_fn(|| first.join().unwrap() + 1).unwrap();
        assert_eq!(second.join().unwrap(), 2);
    });
}

#[test]
fn tokio_runs_futures_on_its_workers() {
    with_watchdog(LIMIT, || {
        let runtime = tokio();
        let executor = Tokio(runtime.handle().clone());
        futures_run_on(&executor);
        // A handle is awaited by tokio's own tasks, and tokio's handles by ours.
        let ours = executor.spawn_future(yields(3)).unwrap();
        let theirs = runtime.spawn(async { ours.await.is_ok() });
        let both = executor.spawn_future(async { theirs.await.unwrap() });
        assert!(both.unwrap().join().unwrap());
    });
}

#[test]
fn a_tokio_runtime_that_shuts_down_cancels_what_it_holds() {
    with_watchdog(LIMIT, || {
        let runtime = tokio();
        let executor = Tokio(runtime.handle().clone());
        drop(runtime);
        let handle = executor.spawn_future(async { 1 }).unwrap();
        assert!(handle.join().unwrap_err().is_cancelled());
        let blocking = TokioBlocking(executor.0);
        let handle = blocking.spawn_fn(|| 1).unwrap();
        assert!(handle.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_thread_per_task_runs_both() {
    with_watchdog(LIMIT, || {
        closures_run_on(&ThreadPerTask);
        futures_run_on(&ThreadPerTask);
    });
}

#[test]
fn one_queue_runs_both_in_order() {
    with_watchdog(LIMIT, || {
        let (executor, thread) = OneQueue::start();
        closures_run_on(&executor);
        futures_run_on(&executor);

        let order = Arc::new(Mutex::new(Vec::new()));
        let handles: Vec<_> = (0..5)
            .map(|n| {
                let order = Arc::clone(&order);
                let home = executor.1;
                executor
                    .spawn_fn(move || {
                        assert_eq!(std::thread::current().id(), home);
                        order.lock().unwrap().push(n);
                    })
                    .unwrap()
            })
            .collect();
        handles.into_iter().for_each(|h| h.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        executor.close();
        thread.join().unwrap();
    });
}

#[test]
fn an_executor_that_takes_no_more_gives_the_task_back() {
    with_watchdog(LIMIT, || {
        let (executor, thread) = OneQueue::start();
        executor.close();
        thread.join().unwrap();
        let drops = DropCounter::new();
        let held = drops.track(());
        let refused = executor.spawn_fn(move || drop(held)).unwrap_err();
        assert_eq!(refused.to_string(), "executor takes no more tasks");
        assert!(format!("{refused:?}").contains("spawning.rs"));
        drops.assert_live(1);
        // Run it here instead: nobody joins it.
        refused.into_inner().run();
        drops.assert_none_live();
    });
}

#[test]
fn a_wake_that_the_executor_refuses_cancels_the_future() {
    with_watchdog(LIMIT, || {
        let (executor, thread) = OneQueue::start();
        let (send, wakers) = channel();
        let handle = executor.spawn_future(poll_fn(move |context| {
            send.send(context.waker().clone()).unwrap();
            Poll::<()>::Pending
        }));
        let waker = wakers.recv().unwrap();
        executor.close();
        thread.join().unwrap();
        waker.wake();
        assert!(handle.unwrap().join().unwrap_err().is_cancelled());
    });
}

#[test]
fn an_executor_may_be_a_trait_object() {
    with_watchdog(LIMIT, || {
        let executor: Box<dyn Spawn> = Box::new(ThreadPerTask);
        let (task, handle) = weftwork_core::task::closure(|| 2);
        executor.spawn_task(task).unwrap();
        assert_eq!(handle.join().unwrap(), 2);
    });
}

//! What the tests of the locks share: parties of every kind, and polls by hand.

#![allow(dead_code, reason = "each test uses some of it")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use weftwork_sched::Runtime;

/// A runtime of two workers.
pub(crate) fn runtime() -> Runtime {
    Runtime::builder().workers(2).build().unwrap()
}

/// Polls without a waker that wakes.
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts the calls of a waker.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn waker() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), count.into())
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs `blocking` on two OS threads and four green threads, and the future of `asynchronous` in four
/// tasks of another runtime, at once. Gives how many that were.
pub(crate) fn all_kinds<F>(
    blocking: impl Fn() + Send + Sync + Clone + 'static,
    asynchronous: impl Fn() -> F,
) -> u64
where
    F: Future<Output = ()> + Send + 'static,
{
    let foreign = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let ours = runtime();
    let tasks: Vec<_> = (0..4).map(|_| foreign.spawn(asynchronous())).collect();
    let threads: Vec<_> = (0..2)
        .map(|_| std::thread::spawn(blocking.clone()))
        .collect();
    ours.run(move || {
        let green: Vec<_> = (0..4)
            .map(|_| weftwork_sched::spawn(blocking.clone()))
            .collect();
        for thread in green {
            thread.join().unwrap();
        }
    });
    for thread in threads {
        thread.join().unwrap();
    }
    foreign.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    10
}

/// Waits until `condition` holds; a test's watchdog ends it if that never happens.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

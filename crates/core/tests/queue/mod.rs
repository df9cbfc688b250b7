//! The least executor: a queue of tasks that the test runs when it likes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use weftwork_core::Task;
use weftwork_core::task::{Cause, Schedule};

/// Keeps the tasks that were scheduled, with the cause.
#[derive(Clone, Default)]
pub(crate) struct Queue(Arc<Mutex<VecDeque<(Task, Cause)>>>);

impl Schedule for Queue {
    fn schedule(&self, task: Task, cause: Cause) {
        self.0.lock().unwrap().push_back((task, cause));
    }
}

impl Queue {
    /// Takes the oldest task.
    pub(crate) fn pop(&self) -> Option<(Task, Cause)> {
        self.0.lock().unwrap().pop_front()
    }

    /// Runs what is queued until nothing is; returns how many runs that took.
    #[allow(dead_code)] // Not every test that has a queue drains it.
    pub(crate) fn drain(&self) -> usize {
        let mut runs = 0;
        while let Some((task, _)) = self.pop() {
            task.run();
            runs += 1;
        }
        runs
    }
}

/// A waker that counts its calls.
#[derive(Default)]
pub(crate) struct Calls(std::sync::atomic::AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[allow(dead_code)] // Not every test that has a queue counts wakes.
impl Calls {
    /// A counter and its waker.
    pub(crate) fn new() -> (Arc<Calls>, Waker) {
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        (calls, waker)
    }

    /// How often the waker was called.
    pub(crate) fn get(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Polls once with `waker`.
#[allow(dead_code)] // As above.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}

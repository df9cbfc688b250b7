//! The queue of the blocking pool, and the count of the threads that serve it.
//!
//! One queue under one lock: a call here costs a thread switch anyway, and the lock leaves no state
//! between "queued" and "somebody was told" in which a job can be forgotten.
//!
//! Invariants, whenever the lock is free
//! 1. `called <= idle <= threads <= max`.
//! 2. A job in the queue has somebody who comes: an idle thread that was called for it, or a thread
//!    that is busy and looks into the queue before it rests. So `queue.len() <= called + busy`, or
//!    all threads there can be are called or busy.
//! 3. A thread leaves only with the queue empty, under the lock under which it looked.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::{Condvar, Mutex};

/// See the module's page.
pub struct PoolQueue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    max: usize,
}

struct State<T> {
    queue: VecDeque<T>,
    threads: usize,
    /// Threads that wait for `arrived`.
    idle: usize,
    /// Idle threads that were told to come and have not come yet.
    called: usize,
    closed: bool,
}

impl<T> PoolQueue<T> {
    /// An empty queue, served by at most `max` threads.
    pub fn new(max: usize) -> Self {
        PoolQueue {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                threads: 0,
                idle: 0,
                called: 0,
                closed: false,
            }),
            arrived: Condvar::new(),
            max,
        }
    }

    /// Gives a job to an idle thread, to a new one, or to those that are busy.
    ///
    /// `make_thread` makes a thread that calls [`serve`](Self::serve), and tells whether it could. It
    /// is called under the lock: a job that relied on a thread which then was not made would wait
    /// for ever.
    ///
    /// # Errors
    /// The queue is closed, or has no thread and cannot get one; the job comes back.
    pub fn submit(&self, job: T, make_thread: impl FnOnce() -> bool) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(job);
        }
        if state.called < state.idle {
            state.called += 1;
            state.queue.push_back(job);
            self.arrived.notify_one();
            return Ok(());
        }
        if state.threads < self.max && make_thread() {
            state.threads += 1;
        }
        if state.threads == 0 {
            return Err(job);
        }
        state.queue.push_back(job);
        Ok(())
    }

    /// Runs jobs until there were none for `keep_alive`, or until the queue is closed and empty.
    pub fn serve(&self, keep_alive: Option<Duration>, mut run: impl FnMut(T)) {
        let mut state = self.state.lock();
        loop {
            while let Some(job) = state.queue.pop_front() {
                drop(state);
                run(job);
                state = self.state.lock();
            }
            if state.closed {
                break;
            }
            // Canary: a thread that goes to rest without having looked under the same lock.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("pool_queue: rest")) {
                drop(state);
                state = self.state.lock();
            }
            state.idle += 1;
            let deadline = keep_alive.and_then(|time| Instant::now().checked_add(time));
            let called = loop {
                if state.called > 0 {
                    state.called -= 1;
                    break true;
                }
                if state.closed {
                    break false;
                }
                let late = match deadline {
                    Some(deadline) => self.arrived.wait_until(&mut state, deadline).timed_out(),
                    None => {
                        self.arrived.wait(&mut state);
                        false
                    }
                };
                // Canary: a thread that leaves on time, although it was called meanwhile.
                #[cfg(weftwork_canary)]
                if late && canary::is(Step::Of("pool_queue: late")) {
                    break false;
                }
                if late && state.called == 0 {
                    break false;
                }
            };
            state.idle -= 1;
            #[cfg(weftwork_canary)]
            if !called && canary::is(Step::Of("pool_queue: late")) {
                break;
            }
            if !called && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Lets the threads go. Jobs in the queue are run first; jobs that come later are refused.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.state.lock().threads
    }
}

impl<T> fmt::Debug for PoolQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolQueue")
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}

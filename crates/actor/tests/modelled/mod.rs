//! An executor for models: a queue whose tasks the model itself runs, where it likes.

#![allow(dead_code, unreachable_pub, reason = "each model uses a part")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use weftwork_actor::{Actor, Addr, Options, start_async};
use weftwork_core::sync::{Condvar, Mutex};
use weftwork_core::{Refused, Spawn, Task};

/// What must not be dropped while a model fails: its drop would go on with the model, and panic.
pub struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub fn new(value: T) -> Self {
        Held(Some(value))
    }

    pub fn release(mut self) -> T {
        self.0.take().expect("taken here alone")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

impl<T> std::ops::Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("not released")
    }
}

impl<T> std::ops::DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("not released")
    }
}

/// The tasks that wait to be run. A waker puts one here; who runs them waits for it.
pub struct Queue(Held<Arc<(Mutex<Vec<Task>>, Condvar)>>);

impl Default for Queue {
    fn default() -> Self {
        Queue(Held::new(Arc::default()))
    }
}

impl Clone for Queue {
    fn clone(&self) -> Self {
        Queue(Held::new(Arc::clone(&self.0)))
    }
}

impl Spawn for Queue {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.inner().0.lock().push(task);
        self.inner().1.notify_one();
        Ok(())
    }
}

impl Queue {
    fn inner(&self) -> &(Mutex<Vec<Task>>, Condvar) {
        &self.0
    }

    /// Runs tasks until `is_done`. Waits for the next one: a wake that is lost is a deadlock.
    pub fn run_until(&self, is_done: impl Fn() -> bool) {
        while !is_done() {
            let task = {
                let mut tasks = self.inner().0.lock();
                loop {
                    match tasks.pop() {
                        Some(task) => break task,
                        None => self.inner().1.wait(&mut tasks),
                    }
                }
            };
            task.run();
        }
    }

    /// Starts an actor, whose `init` runs here.
    pub fn start<A: Actor>(&self, args: A::Args, options: Options) -> Held<Addr<A>> {
        let mut starting = pin!(start_async::<A>(self, args, options));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(started) = starting.as_mut().poll(&mut context) {
                return Held::new(started.expect("it starts"));
            }
            let task = self.inner().0.lock().pop().expect("its task is queued");
            task.run();
        }
    }
}

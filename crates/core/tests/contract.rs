//! The sequential contract of a future's task, against a model that fits on a page.

#![cfg(not(weftwork_loom))]

mod queue;

use proptest::prelude::*;
use queue::{Calls, Queue, poll};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use weftwork_core::task::{self, Cause, TaskRef};
use weftwork_core::{JoinHandle, Task};
use weftwork_testkit::{DropCounter, watchdog};

/// What one poll does, besides storing its waker.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    wakes: bool,
    cancels: bool,
    ends: bool,
    panics: bool,
}

#[derive(Debug, Clone)]
enum Op {
    /// Runs the queued task, if one is.
    Run(Behaviour),
    /// Drops the queued task, if one is.
    Abandon,
    WakeByRef,
    WakeByValue,
    DropWaker,
    Cancel,
    PollHandle,
    DropHandle,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let flag = |weight| prop::bool::weighted(weight);
    let behaviour = (flag(0.3), flag(0.1), flag(0.15), flag(0.05)).prop_map(
        |(wakes, cancels, ends, panics)| Behaviour {
            wakes,
            cancels,
            ends,
            panics,
        },
    );
    prop::collection::vec(
        prop_oneof![
            6 => behaviour.prop_map(Op::Run),
            1 => Just(Op::Abandon),
            3 => Just(Op::WakeByRef),
            3 => Just(Op::WakeByValue),
            2 => Just(Op::DropWaker),
            1 => Just(Op::Cancel),
            3 => Just(Op::PollHandle),
            1 => Just(Op::DropHandle),
        ],
        0..40,
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Output,
    Panic,
    Cancelled,
}

/// The task as a caller sees it.
#[derive(Debug, Default)]
struct Model {
    queued: Option<Option<Cause>>,
    cancelled: bool,
    end: Option<End>,
    joiner_waits: bool,
    joiner_calls: usize,
}

impl Model {
    fn wake(&mut self) {
        if self.end.is_none() && self.queued.is_none() {
            self.queued = Some(Some(Cause::Woken));
        }
    }

    fn finish(&mut self, end: End) {
        self.queued = None;
        self.end = Some(end);
        if self.joiner_waits {
            self.joiner_calls += 1;
        }
    }

    fn run(&mut self, now: Behaviour) {
        self.queued = None;
        if self.cancelled {
            return self.finish(End::Cancelled);
        }
        self.cancelled |= now.cancels;
        if now.panics {
            self.finish(End::Panic);
        } else if now.ends {
            self.finish(End::Output);
        } else if self.cancelled {
            self.finish(End::Cancelled);
        } else if now.wakes {
            self.queued = Some(Some(Cause::Yielded));
        }
    }
}

/// The real thing, and what the test holds of it.
struct Real {
    queue: Queue,
    fresh: Option<Task>,
    handle: Option<JoinHandle<weftwork_testkit::Counted<()>>>,
    /// Keeps the future reachable, as the model assumes.
    watcher: TaskRef,
    next: Arc<Mutex<Option<Behaviour>>>,
    /// The future's own way to cancel its task.
    own: Arc<Mutex<Option<TaskRef>>>,
    wakers: Arc<Mutex<Vec<Waker>>>,
    drops: DropCounter,
    joiner: (Arc<Calls>, Waker),
}

impl Real {
    fn new() -> Real {
        let drops = DropCounter::new();
        let queue = Queue::default();
        let next = Arc::new(Mutex::new(None::<Behaviour>));
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::new(Mutex::new(None::<TaskRef>));
        let held = drops.track(());
        let (task, handle) = task::future(
            {
                let (next, wakers) = (Arc::clone(&next), Arc::clone(&wakers));
                let (own, drops) = (Arc::clone(&own), drops.clone());
                poll_fn(move |context| {
                    let _ = &held;
                    let now = next.lock().unwrap().take().unwrap();
                    wakers.lock().unwrap().push(context.waker().clone());
                    if now.wakes {
                        context.waker().wake_by_ref();
                    }
                    if now.cancels {
                        own.lock().unwrap().as_ref().unwrap().cancel();
                    }
                    if now.panics {
                        std::panic::resume_unwind(Box::new("on purpose"));
                    }
                    if now.ends {
                        Poll::Ready(drops.track(()))
                    } else {
                        Poll::Pending
                    }
                })
            },
            queue.clone(),
        );
        let watcher = handle.task_ref();
        *own.lock().unwrap() = Some(handle.task_ref());
        Real {
            queue,
            fresh: Some(task),
            handle: Some(handle),
            watcher,
            next,
            own,
            wakers,
            drops,
            joiner: Calls::new(),
        }
    }

    fn pop(&mut self) -> Option<(Task, Option<Cause>)> {
        let fresh = self.fresh.take().map(|task| (task, None));
        fresh.or_else(|| self.queue.pop().map(|(task, cause)| (task, Some(cause))))
    }
}

proptest! {
    #[test]
    fn a_task_does_what_the_model_says(ops in ops()) {
        let _dog = watchdog(Duration::from_secs(60));
        let mut real = Real::new();
        // A fresh task is in the hand of its spawner: queued, with no cause.
        let mut model = Model { queued: Some(None), ..Model::default() };
        for op in ops {
            match op {
                Op::Run(_) | Op::Abandon => {
                    let queued = real.pop();
                    prop_assert_eq!(queued.as_ref().map(|(_, cause)| *cause), model.queued);
                    prop_assert!(real.queue.pop().is_none());
                    let Some((task, _)) = queued else { continue };
                    if let Op::Run(now) = op {
                        *real.next.lock().unwrap() = Some(now);
                        task.run();
                        real.next.lock().unwrap().take();
                        model.run(now);
                    } else {
                        drop(task);
                        model.finish(End::Cancelled);
                    }
                }
                Op::WakeByRef => {
                    if let Some(waker) = real.wakers.lock().unwrap().last() {
                        waker.wake_by_ref();
                        model.wake();
                    }
                }
                Op::WakeByValue => {
                    if let Some(waker) = real.wakers.lock().unwrap().pop() {
                        waker.wake();
                        model.wake();
                    }
                }
                Op::DropWaker => {
                    real.wakers.lock().unwrap().pop();
                }
                Op::Cancel => {
                    real.watcher.cancel();
                    if model.end.is_none() {
                        model.cancelled = true;
                        model.wake();
                    }
                }
                Op::PollHandle => {
                    let Some(mut handle) = real.handle.take() else { continue };
                    match poll(&mut handle, &real.joiner.1) {
                        Poll::Pending => {
                            prop_assert_eq!(model.end, None);
                            model.joiner_waits = true;
                            real.handle = Some(handle);
                        }
                        Poll::Ready(Ok(_)) => prop_assert_eq!(model.end, Some(End::Output)),
                        Poll::Ready(Err(e)) => prop_assert_eq!(
                            model.end,
                            Some(if e.is_panic() { End::Panic } else { End::Cancelled })
                        ),
                    }
                }
                Op::DropHandle => {
                    real.handle = None;
                    model.joiner_waits = false;
                }
            }
            prop_assert_eq!(real.watcher.is_finished(), model.end.is_some());
            prop_assert_eq!(real.watcher.is_cancelled(), model.cancelled);
            prop_assert_eq!(real.joiner.0.get(), model.joiner_calls);
            let live = match model.end {
                // The future.
                None => 1,
                // The output, while somebody may take it.
                Some(End::Output) => usize::from(real.handle.is_some()),
                Some(_) => 0,
            };
            prop_assert_eq!(real.drops.live(), live);
        }
        // Whatever is left goes with the last reference.
        let Real { queue, fresh, handle, watcher, own, wakers, drops, .. } = real;
        wakers.lock().unwrap().clear();
        own.lock().unwrap().take();
        drop((watcher, handle, fresh, queue.pop()));
        drops.assert_none_live();
    }
}

//! The task's state word in every interleaving.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::{Arc as ModelArc, thread};
use weftwork_core::task::{self, Cause, JoinHandle, Schedule, TaskRef};
use weftwork_core::{JoinError, Task};
use weftwork_testkit::{DropCounter, model};

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:ident) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::$step);
    };
}

/// Holds the tasks that were scheduled. Std's lock: the queue is no part of the protocol, and must
/// not order what the task's word has to order.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Vec<(Task, Cause)>>>);

impl Schedule for Queue {
    fn schedule(&self, task: Task, cause: Cause) {
        self.0.lock().unwrap().push((task, cause));
    }
}

impl Queue {
    fn take(&self) -> Vec<(Task, Cause)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Runs what is queued until nothing is; returns how many tasks were run.
    fn drain(&self) -> usize {
        let mut runs = 0;
        loop {
            let tasks = self.take();
            if tasks.is_empty() {
                return runs;
            }
            for (task, _) in tasks {
                task.run();
                runs += 1;
            }
        }
    }
}

/// A waker that counts its calls, outside the model.
#[derive(Default)]
struct Calls(Count);

impl Calls {
    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Is leaked if the model fails while it is held: its drop would go on with the model.
struct Held<T>(ManuallyDrop<T>);

impl<T> Held<T> {
    fn new(value: T) -> Self {
        Held(ManuallyDrop::new(value))
    }

    fn release(mut self) -> T {
        // SAFETY: taken once: `self` is forgotten.
        let value = unsafe { ManuallyDrop::take(&mut self.0) };
        std::mem::forget(self);
        value
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        }
    }
}

impl<T> Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

fn poll<T>(handle: &mut JoinHandle<T>, calls: &Arc<Calls>) -> Poll<Result<T, JoinError>> {
    let waker = Waker::from(Arc::clone(calls));
    std::pin::Pin::new(handle).poll(&mut Context::from_waker(&waker))
}

/// A future that is pending until the flag is set. The waker it is first polled with goes to the
/// slot; the flag is Relaxed, so that only the task's word orders it.
fn until(
    flag: &ModelArc<AtomicBool>,
    slot: &Arc<Mutex<Option<Waker>>>,
) -> impl Future<Output = ()> + Send + 'static {
    let (flag, slot) = (ModelArc::clone(flag), Arc::clone(slot));
    poll_fn(move |context| {
        let mut slot = slot.lock().unwrap();
        if slot.is_none() {
            *slot = Some(context.waker().clone());
        }
        // Relaxed: the wake orders it.
        if flag.load(Ordering::Relaxed) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the wake was lost"))]
fn canary_a_wake_during_the_end_of_a_poll_is_not_lost() {
    weaken!(WakeByRef);
    model("wake against end of poll", 56, || {
        let queue = Queue::default();
        let flag = ModelArc::new(AtomicBool::new(false));
        let slot = Arc::new(Mutex::new(None));
        let (task, handle) = task::future(until(&flag, &slot), queue.clone());
        task.run();
        let waker = slot.lock().unwrap().clone().unwrap();
        // One wake to have it polled again, and the real one while it is.
        waker.wake_by_ref();
        let (task, cause) = queue.take().pop().unwrap();
        assert_eq!(cause, Cause::Woken);
        let other = thread::spawn(move || {
            // Relaxed: the wake orders it.
            flag.store(true, Ordering::Relaxed);
            waker.wake_by_ref();
            drop(waker);
        });
        task.run();
        other.join().unwrap();
        queue.drain();
        assert!(handle.is_finished(), "the wake was lost");
        slot.lock().unwrap().take();
    });
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "the task is in the queue twice")
)]
fn canary_two_wakes_queue_the_task_once() {
    weaken!(WakeByValue);
    model("wake against wake", 15, || {
        let queue = Queue::default();
        let flag = ModelArc::new(AtomicBool::new(false));
        let slot = Arc::new(Mutex::new(None));
        let (task, handle) = task::future(until(&flag, &slot), queue.clone());
        task.run();
        let waker = slot.lock().unwrap().clone().unwrap();
        let other = thread::spawn({
            let waker = waker.clone();
            move || waker.wake()
        });
        waker.wake();
        other.join().unwrap();
        let mut queued = queue.take();
        if queued.len() != 1 {
            // Dropping both would complete the task twice.
            std::mem::forget(queued);
            panic!("the task is in the queue twice");
        }
        // Relaxed: this thread alone.
        flag.store(true, Ordering::Relaxed);
        queued.pop().unwrap().0.run();
        assert!(handle.is_finished());
        slot.lock().unwrap().take();
    });
}

#[test]
fn two_wakes_of_different_kinds_are_both_seen_by_the_poll_that_follows() {
    model("wake by value against wake by reference", 126, || {
        let queue = Queue::default();
        let flags = ModelArc::new((AtomicBool::new(false), AtomicBool::new(false)));
        let slot = Arc::new(Mutex::new(None::<Waker>));
        let (task, handle) = task::future(
            poll_fn({
                let (flags, slot) = (ModelArc::clone(&flags), Arc::clone(&slot));
                move |context| {
                    *slot.lock().unwrap() = Some(context.waker().clone());
                    // Relaxed, both: the wakes order them.
                    match (
                        flags.0.load(Ordering::Relaxed),
                        flags.1.load(Ordering::Relaxed),
                    ) {
                        (true, true) => Poll::Ready(()),
                        _ => Poll::Pending,
                    }
                }
            }),
            queue.clone(),
        );
        task.run();
        let waker = slot.lock().unwrap().clone().unwrap();
        let other = thread::spawn({
            let (flags, waker) = (ModelArc::clone(&flags), waker.clone());
            move || {
                flags.0.store(true, Ordering::Relaxed);
                waker.wake();
            }
        });
        flags.1.store(true, Ordering::Relaxed);
        waker.wake_by_ref();
        queue.drain();
        other.join().unwrap();
        queue.drain();
        assert!(handle.is_finished(), "one of the wakes was not seen");
        drop(waker);
        slot.lock().unwrap().take();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_poll_sees_what_the_poll_before_it_wrote_on_another_thread() {
    weaken!(Suspend);
    model("poll after poll", 12, || {
        let queue = Queue::default();
        let slot = Arc::new(Mutex::new(None::<Waker>));
        let stored = ModelArc::new(AtomicBool::new(false));
        let mut polls = 0;
        let (task, handle) = task::future(
            poll_fn({
                let (slot, stored) = (Arc::clone(&slot), ModelArc::clone(&stored));
                move |context| {
                    polls += 1;
                    if polls == 2 {
                        return Poll::Ready(polls);
                    }
                    *slot.lock().unwrap() = Some(context.waker().clone());
                    // Relaxed: says when to look, orders nothing.
                    stored.store(true, Ordering::Relaxed);
                    Poll::Pending
                }
            }),
            queue.clone(),
        );
        let handle = Held::new(handle);
        let other = thread::spawn(move || task.run());
        // Relaxed, and std's lock gives no order in the model: the task's word is all there is.
        if stored.load(Ordering::Relaxed) {
            slot.lock().unwrap().take().unwrap().wake();
            // Here if the first poll had ended, else below.
            queue.drain();
        }
        other.join().unwrap();
        if let Some(waker) = slot.lock().unwrap().take() {
            waker.wake();
        }
        queue.drain();
        assert_eq!(handle.release().try_join().unwrap().unwrap(), 2);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the joiner sleeps for ever"))]
fn canary_a_joiner_that_registers_during_completion_is_woken_or_told() {
    weaken!(SetJoinWaker);
    model("completion against registration", 15, || {
        let (task, mut handle) = task::closure(|| 7);
        let calls = Arc::new(Calls::default());
        let runner = thread::spawn(move || task.run());
        let first = poll(&mut handle, &calls);
        runner.join().unwrap();
        match first {
            Poll::Ready(output) => assert_eq!(output.unwrap(), 7),
            Poll::Pending => {
                assert_eq!(calls.get(), 1, "the joiner sleeps for ever");
                assert!(matches!(poll(&mut handle, &calls), Poll::Ready(Ok(7))));
            }
        }
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_the_output_is_visible_to_who_sees_the_end() {
    weaken!(Complete);
    model("completion against a look", 5, || {
        // Loom looks for interleavings at the last access to a location, and the runner looks at
        // the word before it changes it. These two make it try both orders; they order nothing.
        let gate = ModelArc::new(AtomicBool::new(false));
        let (task, handle) = task::closure({
            let gate = ModelArc::clone(&gate);
            move || {
                gate.swap(true, Ordering::Relaxed);
                7
            }
        });
        let mut handle = Held::new(handle);
        let runner = thread::spawn(move || task.run());
        gate.swap(true, Ordering::Relaxed);
        let calls = Arc::new(Calls::default());
        let mut taken = false;
        if handle.is_finished() {
            assert!(matches!(poll(&mut handle, &calls), Poll::Ready(Ok(7))));
            taken = true;
        }
        runner.join().unwrap();
        if !taken {
            assert!(matches!(poll(&mut handle, &calls), Poll::Ready(Ok(7))));
        }
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_replaced_waker_is_not_touched_by_the_runner() {
    weaken!(UnsetJoinWaker);
    model("completion against a replaced waker", 48, || {
        let (task, handle) = task::closure(|| 7);
        let mut handle = Held::new(handle);
        let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
        assert!(poll(&mut handle, &first).is_pending());
        let runner = thread::spawn(move || task.run());
        let again = poll(&mut handle, &second);
        runner.join().unwrap();
        match again {
            Poll::Ready(output) => assert_eq!(output.unwrap(), 7),
            Poll::Pending => {
                assert_eq!((first.get(), second.get()), (0, 1));
                assert!(matches!(poll(&mut handle, &second), Poll::Ready(Ok(7))));
            }
        }
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the cancellation was lost"))]
fn canary_a_cancellation_at_the_end_of_a_poll_is_not_lost() {
    weaken!(Cancel);
    model("cancel against poll of a future", 32, || {
        let queue = Queue::default();
        let drops = DropCounter::new();
        let held = drops.track(());
        let keep = Arc::new(Mutex::new(None));
        let (task, handle) = task::future(
            poll_fn({
                let keep = Arc::clone(&keep);
                move |context| {
                    let _ = &held;
                    *keep.lock().unwrap() = Some(context.waker().clone());
                    Poll::<()>::Pending
                }
            }),
            queue.clone(),
        );
        let canceller = thread::spawn({
            let task = handle.task_ref();
            move || task.cancel()
        });
        task.run();
        canceller.join().unwrap();
        queue.drain();
        assert!(handle.is_finished(), "the cancellation was lost");
        drops.assert_none_live();
        assert!(handle.try_join().unwrap().unwrap_err().is_cancelled());
        keep.lock().unwrap().take();
    });
}

#[test]
fn a_cancelled_future_is_not_dropped_while_it_is_polled() {
    model("cancel against poll that writes", 139, || {
        let queue = Queue::default();
        let place = UnsafeCell::new(0);
        let (task, handle) = task::future(
            poll_fn(move |context| {
                // SAFETY: loom checks that nobody else has access.
                place.with_mut(|n| unsafe { *n += 1 });
                context.waker().wake_by_ref();
                // SAFETY: as above.
                match place.with(|n| unsafe { *n }) {
                    2 => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }),
            queue.clone(),
        );
        let canceller = thread::spawn({
            let task = handle.task_ref();
            move || task.cancel()
        });
        task.run();
        queue.drain();
        canceller.join().unwrap();
        queue.drain();
        match handle.try_join().unwrap() {
            Ok(()) => {}
            Err(e) => assert!(e.is_cancelled()),
        }
    });
}

#[test]
fn a_closure_that_is_cancelled_as_it_starts_runs_whole_or_not_at_all() {
    model("cancel against run of a closure", 12, || {
        let drops = DropCounter::new();
        let held = drops.track(5);
        let (task, handle) = task::closure(move || *held);
        let runner = thread::spawn(move || task.run());
        handle.cancel();
        runner.join().unwrap();
        drops.assert_none_live();
        match handle.try_join().unwrap() {
            Ok(n) => assert_eq!(n, 5),
            Err(e) => assert!(e.is_cancelled()),
        }
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "nobody dropped the output"))]
fn canary_the_output_of_a_detached_task_is_dropped_once() {
    weaken!(DropHandle);
    model("handle drop against completion", 47, || {
        let drops = DropCounter::new();
        let output = drops.track(());
        let (task, handle) = task::closure(move || output);
        let watcher = handle.task_ref();
        let runner = thread::spawn(move || task.run());
        drop(handle);
        runner.join().unwrap();
        // `live` fails where one was dropped twice.
        assert_eq!(drops.live(), 0, "nobody dropped the output");
        assert!(watcher.is_finished());
    });
}

#[test]
fn a_handle_dropped_with_its_waker_in_place_leaves_no_waker_behind() {
    model("waiting handle drop against completion", 150, || {
        let drops = DropCounter::new();
        let output = drops.track(());
        let (task, mut handle) = task::closure(move || output);
        let calls = Arc::new(Calls::default());
        assert!(poll(&mut handle, &calls).is_pending());
        let runner = thread::spawn(move || task.run());
        drop(handle);
        runner.join().unwrap();
        assert_eq!(drops.live(), 0);
        assert_eq!(Arc::strong_count(&calls), 1, "the waker leaked");
        assert!(calls.get() <= 1);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_an_unreachable_future_is_dropped_once_after_its_last_poll() {
    weaken!(DropRef);
    model("last waker drop against runner", 8, || {
        let drops = DropCounter::new();
        let held = drops.track(());
        let slot = Arc::new(Mutex::new(None));
        let stored = ModelArc::new(AtomicBool::new(false));
        let place = UnsafeCell::new(0);
        let (task, handle) = task::future(
            poll_fn({
                let (slot, stored) = (Arc::clone(&slot), ModelArc::clone(&stored));
                move |context| {
                    let _ = &held;
                    *slot.lock().unwrap() = Some(context.waker().clone());
                    // Relaxed: says when to look, orders nothing.
                    stored.store(true, Ordering::Relaxed);
                    // SAFETY: loom checks that nobody else has access.
                    place.with_mut(|n| unsafe { *n += 1 });
                    Poll::<()>::Pending
                }
            }),
            Queue::default(),
        );
        drop(handle);
        let runner = thread::spawn(move || task.run());
        // Before, during or after the poll, as far as it can be.
        if stored.load(Ordering::Relaxed) {
            let waker = slot.lock().unwrap().take();
            drop(waker);
        }
        runner.join().unwrap();
        let late = slot.lock().unwrap().take();
        drop(late);
        assert_eq!(drops.live(), 0, "the future leaked");
    });
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "the runner sleeps through its cancellation")
)]
fn canary_a_parking_runner_sees_the_cancellation_or_is_woken() {
    weaken!(CancelRunner);
    model("set_runner against cancel", 6, || {
        // The closure stands for a host that parks its task.
        let own = Arc::new(Mutex::new(None::<TaskRef>));
        let (task, handle) = task::closure({
            let own = Arc::clone(&own);
            move || {
                let task = own.lock().unwrap().take().unwrap();
                let canceller = thread::spawn({
                    let task = task.clone();
                    move || task.cancel()
                });
                let calls = Arc::new(Calls::default());
                // SAFETY: this closure runs the task.
                unsafe { task.raw().set_runner(&Waker::from(Arc::clone(&calls))) };
                // SAFETY: alive by `task`.
                let sleeps = !unsafe { task.raw().is_cancelled() };
                canceller.join().unwrap();
                (sleeps, calls.get())
            }
        });
        *own.lock().unwrap() = Some(task.task_ref());
        task.run();
        let (sleeps, calls) = handle.try_join().unwrap().unwrap();
        assert!(
            !sleeps || calls == 1,
            "the runner sleeps through its cancellation"
        );
    });
}

/// Tells when it is dropped; its queueing call checks that this was not during the call.
struct Fragile {
    queue: Queue,
    dropped: Arc<std::sync::atomic::AtomicBool>,
    step: ModelArc<AtomicBool>,
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.dropped.store(true, SeqCst);
    }
}

impl Schedule for Fragile {
    fn schedule(&self, task: Task, cause: Cause) {
        // Own copies: if the claim is wrong, `self` is gone below.
        let (queue, dropped) = (self.queue.clone(), Arc::clone(&self.dropped));
        let step = ModelArc::clone(&self.step);
        queue.schedule(task, cause);
        // Relaxed: gives the others a turn.
        step.store(true, Ordering::Relaxed);
        assert!(
            !dropped.load(SeqCst),
            "the schedule was dropped during its call"
        );
    }
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "the schedule was dropped during its call")
)]
fn canary_a_schedule_outlives_its_call() {
    weaken!(ScheduleHold);
    model("schedule against run", 6, || {
        let queue = Queue::default();
        let step = ModelArc::new(AtomicBool::new(false));
        let mut polls = 0;
        let (task, handle) = task::future(
            poll_fn(move |context| {
                polls += 1;
                context.waker().wake_by_ref();
                if polls == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }),
            Fragile {
                queue: queue.clone(),
                dropped: Arc::default(),
                step: ModelArc::clone(&step),
            },
        );
        drop(handle);
        let first = thread::spawn(move || task.run());
        // Relaxed: gives the other a turn.
        step.load(Ordering::Relaxed);
        // If the first poll's reschedule is under way: run the task to its end meanwhile.
        queue.drain();
        first.join().unwrap();
        queue.drain();
    });
}

#[test]
fn a_schedule_outlives_the_call_of_a_waker_that_is_kept() {
    model("wake by reference against run", 4, || {
        let queue = Queue::default();
        let step = ModelArc::new(AtomicBool::new(false));
        let slot = Arc::new(Mutex::new(None));
        let put = Arc::clone(&slot);
        let mut polls = 0;
        let (task, handle) = task::future(
            poll_fn(move |context| {
                polls += 1;
                if polls == 2 {
                    return Poll::Ready(());
                }
                *put.lock().unwrap() = Some(context.waker().clone());
                Poll::Pending
            }),
            Fragile {
                queue: queue.clone(),
                dropped: Arc::default(),
                step: ModelArc::clone(&step),
            },
        );
        drop(handle);
        task.run();
        let waker: Waker = slot.lock().unwrap().take().expect("it was polled");
        let other = thread::spawn(move || waker.wake_by_ref());
        // Relaxed: gives the other a turn.
        step.load(Ordering::Relaxed);
        // If the wake is under way: run the task to its end meanwhile.
        queue.drain();
        other.join().unwrap();
        queue.drain();
    });
}

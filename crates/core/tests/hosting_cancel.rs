//! Tasks that are cancelled where a fake scheduler hosts them, and what their destructors may do.

#![cfg(not(weftwork_loom))]

mod fake_host;
mod queue;

use fake_host::{Event, FakeHost};
use queue::{Queue, poll};
use std::cell::Cell;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;
use weftwork_core::task;
use weftwork_core::wait::{
    Interrupt, Reason, cancel, checkpoint, try_checkpoint, wait, wait_interruptible,
};
use weftwork_core::{Cancelled, block_on, host};
use weftwork_testkit::{DropCounter, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_cancelled_task_unwinds_from_its_wait_and_drops_what_it_holds() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.at_park(FakeHost::cancel_current);
        let drops = DropCounter::new();
        let held = drops.track(());
        let (task, handle) = task::closure(move || {
            let _held = held;
            let caught = catch_unwind(|| Event::default().wait());
            let payload = caught.unwrap_err();
            assert!(cancel::is_cancel_unwind(&*payload));
            assert!(!cancel::is_cancel_unwind(&String::from("another")));
            resume_unwind(payload);
        });
        fake.run(task);
        drops.assert_none_live();
        let error: weftwork_core::JoinError = Result::<(), _>::unwrap_err(handle.join());
        assert!(error.is_cancelled() && !error.is_panic());
    });
}

#[test]
fn a_cancellation_from_another_thread_wakes_the_runner() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (task, handle) = task::closure(|| Event::default().wait());
        let task_ref = handle.task_ref();
        fake.at_park(move |fake| {
            std::thread::spawn(move || task_ref.cancel())
                .join()
                .unwrap();
            assert!(fake.token.0.load(Ordering::SeqCst), "the runner was woken");
        });
        fake.run(task);
        assert!(handle.join().unwrap_err().is_cancelled());
        assert_eq!(
            Arc::strong_count(&fake.token),
            2,
            "the task kept the runner's waker"
        );
    });
}

#[test]
fn a_caught_cancellation_is_met_again_at_the_next_wait() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.at_park(FakeHost::cancel_current);
        let (task, handle) = task::closure(|| {
            assert!(catch_unwind(|| Event::default().wait()).is_err());
            assert!(catch_unwind(|| wait(Reason::PARK, |_| Poll::Ready(()))).is_err());
            assert!(catch_unwind(checkpoint).is_err());
            assert_eq!(try_checkpoint(), Err(Cancelled));
            7
        });
        fake.run(task);
        assert_eq!(handle.join().unwrap(), 7, "it may still end by itself");
        assert_eq!(fake.parks().len(), 1);
    });
}

#[test]
fn an_interruptible_wait_tells_of_the_cancellation() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.at_park(FakeHost::cancel_current);
        let (task, handle) = task::closure(|| {
            let event = Event::default();
            let wait = || wait_interruptible(Reason::PARK, None, |context| event.poll(context));
            (wait(), wait())
        });
        fake.run(task);
        let cancelled = Err(Interrupt::Cancelled);
        assert_eq!(handle.join().unwrap(), (cancelled, cancelled));
    });
}

#[test]
fn a_cancellation_prints_nothing() {
    thread_local! {
        static HOOKS: Cell<usize> = const { Cell::new(0) };
    }
    with_watchdog(LIMIT, || {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            HOOKS.set(HOOKS.get() + 1);
            previous(info);
        }));
        let fake = FakeHost::new();
        fake.at_park(FakeHost::cancel_current);
        let (task, handle) = task::closure(|| Event::default().wait());
        fake.run(task);
        assert!(handle.join().unwrap_err().is_cancelled());
        assert_eq!(HOOKS.get(), 0);
    });
}

/// Waits for the event when it is dropped.
struct WaitsInDrop(Event);

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        self.0.wait();
    }
}

#[test]
fn destructors_wait_undisturbed_while_a_cancelled_task_unwinds() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.at_park(FakeHost::cancel_current);
        fake.at_park({
            let event = event.clone();
            move |_| event.set()
        });
        let guard = WaitsInDrop(event.clone());
        let (task, handle) = task::closure(move || {
            let _guard = guard;
            Event::default().wait();
        });
        fake.run(task);
        assert!(handle.join().unwrap_err().is_cancelled());
        assert!(event.0.0.load(Ordering::SeqCst), "the destructor waited");
        let interruptible: Vec<_> = fake.parks().iter().map(|p| p.interruptible).collect();
        assert_eq!(interruptible, [true, false]);
    });
}

#[test]
fn destructors_wait_undisturbed_while_a_task_panics() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.at_park({
            let event = event.clone();
            move |fake| {
                fake.cancel_current();
                event.set();
            }
        });
        let guard = WaitsInDrop(event);
        let (task, handle) = task::closure(move || {
            let _guard = guard;
            resume_unwind(Box::new("own panic"));
        });
        fake.run(task);
        let error: weftwork_core::JoinError = Result::<(), _>::unwrap_err(handle.join());
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "own panic");
    });
}

#[test]
fn destructors_wait_undisturbed_when_a_cancelled_task_is_dropped_whole() {
    with_watchdog(LIMIT, || {
        // Before its start, and a future between two polls.
        let fake = FakeHost::new();
        let event = Event::default();
        let set = |event: &Event| {
            let event = event.clone();
            move |_: &FakeHost| event.set()
        };
        fake.at_park(set(&event));
        let guard = WaitsInDrop(event);
        let (task, handle) = task::closure(move || drop(guard));
        handle.cancel();
        fake.run(task);
        assert!(handle.join().unwrap_err().is_cancelled());

        let event = Event::default();
        let queue = Queue::default();
        let guard = WaitsInDrop(event.clone());
        let (task, handle) = task::future(
            async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            },
            queue.clone(),
        );
        fake.run(task);
        handle.cancel();
        fake.at_park(set(&event));
        fake.run(queue.pop().unwrap().0);
        assert!(handle.join().unwrap_err().is_cancelled());
        assert_eq!(fake.parks().len(), 2);
    });
}

#[test]
fn a_wait_inside_a_poll_is_cancelled_with_its_task() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.at_park(FakeHost::cancel_current);
        let (task, handle) = task::future(
            async {
                block_on(std::future::pending::<()>());
            },
            Queue::default(),
        );
        fake.run(task);
        assert!(handle.join().unwrap_err().is_cancelled());
    });
}

/// Looks at the current task when it is dropped, as a log line would.
struct AsksForCurrent<'a>(&'a AtomicBool);

impl Drop for AsksForCurrent<'_> {
    fn drop(&mut self) {
        host::with(|host| {
            let current = host.unwrap().current().unwrap();
            // SAFETY: the current task is being run.
            let task = unsafe { current.upgrade() };
            assert!(task.id().get() > 0);
            drop(task);
            self.0.store(true, Ordering::SeqCst);
        });
    }
}

#[test]
fn the_destructors_of_an_unreachable_future_see_their_task() {
    with_watchdog(LIMIT, || {
        static SEEN: AtomicBool = AtomicBool::new(false);
        let drops = DropCounter::new();
        let held = drops.track(());
        let guard = AsksForCurrent(&SEEN);
        let (task, handle) = task::future(
            async move {
                let _held = (held, guard);
                std::future::pending::<()>().await;
            },
            Queue::default(),
        );
        drop(handle);
        FakeHost::new().run(task);
        assert!(SEEN.load(Ordering::SeqCst));
        drops.assert_none_live();
    });
}

#[test]
fn the_destructors_of_a_detached_output_and_of_task_locals_see_their_task() {
    with_watchdog(LIMIT, || {
        static OUTPUT: AtomicBool = AtomicBool::new(false);
        static LOCAL: AtomicBool = AtomicBool::new(false);
        let (task, handle) = task::closure(|| {
            host::with(|host| {
                let current = host.unwrap().current().unwrap();
                // SAFETY: this is the run, and the reference does not leave it.
                let locals = unsafe { current.locals() };
                let key = std::any::TypeId::of::<AsksForCurrent<'static>>();
                locals.with(key, || AsksForCurrent(&LOCAL), |_| ());
            });
            AsksForCurrent(&OUTPUT)
        });
        drop(handle);
        FakeHost::new().run(task);
        assert!(OUTPUT.load(Ordering::SeqCst) && LOCAL.load(Ordering::SeqCst));
    });
}

#[test]
fn a_joiner_freed_by_the_end_of_its_task_may_look_at_it() {
    with_watchdog(LIMIT, || {
        static SEEN: AtomicBool = AtomicBool::new(false);
        let slot = Arc::new(Mutex::new(None));
        // The joiner takes the output and lets the handle go while it is being woken: its waker is
        // the last thing that goes, with the task it waited for.
        struct Takes(
            Arc<Mutex<Option<task::JoinHandle<u8>>>>,
            #[allow(dead_code)] AsksForCurrent<'static>,
        );
        impl Wake for Takes {
            fn wake(self: Arc<Self>) {
                let handle = self.0.lock().unwrap().take().unwrap();
                assert_eq!(handle.try_join().unwrap().unwrap(), 1);
            }
        }
        let (task, mut handle) = task::closure(|| 1);
        let waker = Waker::from(Arc::new(Takes(Arc::clone(&slot), AsksForCurrent(&SEEN))));
        assert!(poll(&mut handle, &waker).is_pending());
        drop(waker);
        *slot.lock().unwrap() = Some(handle);
        FakeHost::new().run(task);
        assert!(SEEN.load(Ordering::SeqCst));
    });
}

//! Waits on a thread that a scheduler hosts: here a fake one, which runs one task and does what its
//! script says whenever the task parks.

#![cfg(not(weftwork_loom))]

mod queue;

use queue::{Queue, poll};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};
use weftwork_core::host::{self, Host};
use weftwork_core::task::{self, RawTask};
use weftwork_core::wait::{
    Interrupt, Reason, Site, cancel, checkpoint, forbid, may_wait, try_checkpoint, wait,
    wait_deadline, wait_interruptible,
};
use weftwork_core::{Cancelled, Task, TimedOut, block_on};
use weftwork_testkit::{DropCounter, with_watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// The token that the waker of the fake's only context leaves.
#[derive(Default)]
struct Token(AtomicBool);

impl Wake for Token {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug, Clone, Copy)]
struct Parked {
    site: Site,
    deadline: Option<Instant>,
    interruptible: bool,
}

type Step = Box<dyn FnOnce(&FakeHost)>;

struct FakeHost {
    token: Arc<Token>,
    waker: Waker,
    current: Cell<Option<RawTask>>,
    can_park: Cell<bool>,
    parks: RefCell<Vec<Parked>>,
    checkpoints: Cell<usize>,
    script: RefCell<VecDeque<Step>>,
    next: RefCell<Option<Task>>,
}

impl FakeHost {
    fn new() -> FakeHost {
        let token = Arc::new(Token::default());
        FakeHost {
            waker: Waker::from(Arc::clone(&token)),
            token,
            current: Cell::new(None),
            can_park: Cell::new(true),
            parks: RefCell::default(),
            checkpoints: Cell::new(0),
            script: RefCell::default(),
            next: RefCell::default(),
        }
    }

    /// Adds what happens at one more park that finds no token.
    fn at_park(&self, step: impl FnOnce(&FakeHost) + 'static) {
        self.script.borrow_mut().push_back(Box::new(step));
    }

    /// Runs `work` on this thread with the host entered.
    fn hosting<R>(&self, work: impl FnOnce() -> R) -> R {
        let this: &dyn Host = self;
        // SAFETY: the guard is dropped here, before `self` can end; the cast lengthens the trait
        // object's lifetime no further than that.
        let _entered = unsafe {
            host::enter(std::mem::transmute::<
                NonNull<dyn Host + '_>,
                NonNull<dyn Host + 'static>,
            >(NonNull::from(this)))
        };
        work()
    }

    /// Runs `task` as the current task.
    fn run(&self, task: Task) {
        self.hosting(|| {
            let before = self.current.replace(Some(task.raw()));
            task.run();
            self.current.set(before);
        });
    }

    fn is_cancelled(&self) -> bool {
        // SAFETY: the current task is being run.
        self.current
            .get()
            .is_some_and(|task| unsafe { task.is_cancelled() })
    }

    fn cancel_current(&self) {
        // SAFETY: the current task is being run.
        unsafe { self.current.get().unwrap().upgrade() }.cancel();
    }

    fn parks(&self) -> Vec<Parked> {
        self.parks.borrow().clone()
    }
}

// SAFETY: the waker is a field that lives as long as the host and is never replaced.
unsafe impl Host for FakeHost {
    fn can_park(&self) -> bool {
        self.can_park.get()
    }

    fn waker(&self) -> NonNull<Waker> {
        NonNull::from(&self.waker)
    }

    fn park(
        &self,
        site: Site,
        deadline: Option<Instant>,
        interruptible: bool,
    ) -> Result<(), Cancelled> {
        self.parks.borrow_mut().push(Parked {
            site,
            deadline,
            interruptible,
        });
        if let Some(task) = self.current.get() {
            // SAFETY: the current task is being run.
            unsafe { task.set_runner(&self.waker) };
        }
        if interruptible && self.is_cancelled() {
            return Err(Cancelled);
        }
        if !self.token.0.swap(false, Ordering::SeqCst) {
            let step = self.script.borrow_mut().pop_front();
            step.expect("the task parks, and nobody is left to wake it")(self);
            self.token.0.store(false, Ordering::SeqCst);
        }
        if interruptible && self.is_cancelled() {
            return Err(Cancelled);
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<(), Cancelled> {
        self.checkpoints.set(self.checkpoints.get() + 1);
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    fn run_if_next(&self, task: RawTask) -> bool {
        let next = self.next.borrow_mut().take_if(|next| next.raw() == task);
        match next {
            Some(next) => {
                let before = self.current.replace(Some(task));
                next.run();
                self.current.set(before);
                true
            }
            None => false,
        }
    }

    fn current(&self) -> Option<RawTask> {
        self.current.get()
    }
}

/// A flag to wait for.
#[derive(Clone, Default)]
struct Event(Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Event {
    fn set(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        let waker = self.0.1.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut std::task::Context<'_>) -> Poll<()> {
        if self.0.0.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        *self.0.1.lock().unwrap() = Some(context.waker().clone());
        Poll::Pending
    }

    #[track_caller]
    fn wait(&self) {
        wait(Reason::PARK, |context| self.poll(context));
    }
}

#[test]
fn a_wait_parks_with_its_reason_and_its_callers_line() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.at_park({
            let event = event.clone();
            move |_| event.set()
        });
        let line = line!() + 1;
        fake.hosting(|| event.wait());
        let [parked] = fake.parks()[..] else {
            panic!("parked {} times", fake.parks().len());
        };
        assert_eq!(parked.site.reason, Reason::PARK);
        assert_eq!(parked.site.location.file(), file!());
        assert_eq!(parked.site.location.line(), line);
        assert_eq!(
            parked.site.to_string(),
            format!("park at {}", parked.site.location)
        );
        assert_eq!((parked.deadline, parked.interruptible), (None, true));
        assert_eq!(fake.checkpoints.get(), 1);
        assert!(!host::is_hosted(), "the host left with its guard");
    });
}

#[test]
fn join_and_block_on_name_themselves_and_their_caller() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (task, handle) = task::closure(|| 1);
        fake.at_park(move |_| task.run());
        let line = line!() + 1;
        assert_eq!(fake.hosting(|| handle.join()).unwrap(), 1);
        let (task, handle) = task::closure(|| 1);
        fake.at_park(move |_| task.run());
        fake.hosting(|| block_on(handle)).unwrap();
        let (task, handle) = task::closure(|| 1);
        fake.at_park(move |_| task.run());
        let far = Duration::from_secs(3600);
        fake.hosting(|| handle.join_timeout(far)).unwrap().unwrap();

        let parks = fake.parks();
        assert_eq!(parks.len(), 3);
        assert_eq!(parks[0].site.reason, Reason::JOIN);
        assert_eq!(parks[0].site.location.line(), line);
        assert_eq!(parks[1].site.reason, Reason::BLOCK_ON);
        assert_eq!(parks[1].site.location.line(), line + 3);
        assert_eq!(parks[2].site.reason, Reason::JOIN);
        assert!(parks[2].deadline.unwrap() > Instant::now());
        assert!(parks.iter().all(|p| p.site.location.file() == file!()));
    });
}

#[test]
fn join_runs_a_task_in_place_if_the_host_would_start_it_next() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (task, handle) = task::closure(|| 1);
        *fake.next.borrow_mut() = Some(task);
        assert_eq!(fake.hosting(|| handle.join()).unwrap(), 1);
        assert!(fake.parks().is_empty());
    });
}

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

#[test]
fn a_wait_inside_an_operation_does_not_eat_its_wake() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (outer, inner) = (Event::default(), Event::default());
        fake.at_park({
            let (outer, inner) = (outer.clone(), inner.clone());
            move |_| {
                // One token for both: the inner wait takes it.
                outer.set();
                inner.set();
            }
        });
        // A further park would find the script empty.
        fake.hosting(|| {
            wait(Reason::PARK, |context| {
                let out = outer.poll(context);
                inner.wait();
                out
            });
        });
        assert_eq!(fake.parks().len(), 1);
    });
}

#[test]
fn a_deadline_goes_to_the_host_and_a_last_look_follows_it() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let deadline = Instant::now() + Duration::from_millis(1);
        let sleep_past = move |_: &FakeHost| {
            while Instant::now() < deadline {
                std::thread::yield_now();
            }
        };
        fake.at_park(|_| {});
        fake.at_park(sleep_past);
        let out =
            fake.hosting(|| wait_deadline(Reason::SLEEP, Some(deadline), |_| Poll::<()>::Pending));
        assert_eq!(out, Err(TimedOut));
        assert!(Instant::now() >= deadline);
        assert!(fake.parks().iter().all(|p| p.deadline == Some(deadline)));

        // The event comes between the look and the reading of the clock.
        let mut polls = 0;
        let out = fake.hosting(|| {
            wait_deadline(Reason::SLEEP, Some(deadline), |_| {
                polls += 1;
                if polls == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        });
        assert_eq!(out, Ok(()));
    });
}

#[test]
fn a_host_that_cannot_park_is_passed_over() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.can_park.set(false);
        fake.hosting(|| {
            assert!(!host::is_hosted());
            let event = Event::default();
            let other = std::thread::spawn({
                let event = event.clone();
                move || event.set()
            });
            event.wait();
            checkpoint();
            other.join().unwrap();
        });
        assert!(fake.parks().is_empty());
        assert_eq!(fake.checkpoints.get(), 0);
    });
}

#[test]
fn without_parks_the_thread_and_brings_the_host_back() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        fake.hosting(|| {
            let event = Event::default();
            let other = std::thread::spawn({
                let event = event.clone();
                move || event.set()
            });
            host::without(|| {
                assert!(!host::is_hosted());
                event.wait();
            });
            other.join().unwrap();
            assert!(host::is_hosted());
            let caught = catch_unwind(|| host::without(|| resume_unwind(Box::new(()))));
            assert!(caught.is_err());
            assert!(host::is_hosted(), "also after a panic");
        });
        assert!(fake.parks().is_empty());
    });
}

#[test]
fn hosts_nest() {
    with_watchdog(LIMIT, || {
        let (outer, inner) = (FakeHost::new(), FakeHost::new());
        let (a, b) = (Event::default(), Event::default());
        for (fake, event) in [(&inner, &a), (&outer, &b)] {
            let event = event.clone();
            fake.at_park(move |_| event.set());
        }
        outer.hosting(|| {
            inner.hosting(|| a.wait());
            b.wait();
        });
        assert_eq!((outer.parks().len(), inner.parks().len()), (1, 1));
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

/// What a panic says that `work` ends with.
fn message_of<R>(work: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).err();
    *payload.expect("nobody waits here").downcast().unwrap()
}

#[test]
fn where_waiting_is_forbidden_a_task_neither_parks_nor_counts_its_slice() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.hosting(|| {
            let _guard = forbid("transaction", Location::caller());
            let message = message_of(|| event.wait());
            assert!(
                message.contains("inside the transaction begun at"),
                "{message}"
            );
            checkpoint();
            assert_eq!(try_checkpoint(), Ok(()));
            event.set();
            event.wait();
        });
        assert!(fake.parks().is_empty());
        assert_eq!(fake.checkpoints.get(), 0);
        fake.hosting(checkpoint);
        assert_eq!(fake.checkpoints.get(), 1);
    });
}

#[test]
fn where_waiting_is_forbidden_a_join_runs_no_other_task() {
    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let (task, handle) = task::closure(|| 1);
        *fake.next.borrow_mut() = Some(task);
        fake.hosting(|| {
            let _guard = forbid("transaction", Location::caller());
            assert!(message_of(|| handle.join()).starts_with("join at "));
        });
        assert!(fake.next.borrow().is_some());
    });
}

#[test]
fn a_destructor_that_unwinds_where_waiting_is_forbidden_parks_and_others_may_wait_meanwhile() {
    struct Waits(Event);

    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.wait();
            assert!(!may_wait());
        }
    }

    with_watchdog(LIMIT, || {
        let fake = FakeHost::new();
        let event = Event::default();
        fake.at_park({
            let event = event.clone();
            move |_| {
                assert!(may_wait());
                event.set();
            }
        });
        let unwound = fake.hosting(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let _guard = forbid("transaction", Location::caller());
                let _waits = Waits(event);
                resume_unwind(Box::new(3_u8));
            }))
        });
        assert_eq!(*unwound.unwrap_err().downcast::<u8>().unwrap(), 3);
        let [parked] = fake.parks()[..] else {
            panic!("parked {} times", fake.parks().len());
        };
        assert!(!parked.interruptible);
        assert!(may_wait());
    });
}

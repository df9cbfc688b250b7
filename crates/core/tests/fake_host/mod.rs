//! A fake scheduler: it runs one task on the calling thread and does what its script says whenever the
//! task parks.

#![allow(dead_code, reason = "each test uses a part")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::Instant;
use weftwork_core::host::{self, Host};
use weftwork_core::task::RawTask;
use weftwork_core::wait::{Reason, Site, wait};
use weftwork_core::{Cancelled, Task};

/// The token that the waker of the fake's only context leaves.
#[derive(Default)]
pub(crate) struct Token(pub(crate) AtomicBool);

impl Wake for Token {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a park was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parked {
    pub(crate) site: Site,
    pub(crate) deadline: Option<Instant>,
    pub(crate) interruptible: bool,
}

type Step = Box<dyn FnOnce(&FakeHost)>;

/// Hosts a thread: runs one task at a time.
pub(crate) struct FakeHost {
    pub(crate) token: Arc<Token>,
    waker: Waker,
    current: Cell<Option<RawTask>>,
    pub(crate) can_park: Cell<bool>,
    parks: RefCell<Vec<Parked>>,
    pub(crate) checkpoints: Cell<usize>,
    pub(crate) hand_overs: Cell<usize>,
    script: RefCell<VecDeque<Step>>,
    pub(crate) next: RefCell<Option<Task>>,
}

impl FakeHost {
    pub(crate) fn new() -> FakeHost {
        let token = Arc::new(Token::default());
        FakeHost {
            waker: Waker::from(Arc::clone(&token)),
            token,
            current: Cell::new(None),
            can_park: Cell::new(true),
            parks: RefCell::default(),
            checkpoints: Cell::new(0),
            hand_overs: Cell::new(0),
            script: RefCell::default(),
            next: RefCell::default(),
        }
    }

    /// Adds what happens at one more park that finds no token.
    pub(crate) fn at_park(&self, step: impl FnOnce(&FakeHost) + 'static) {
        self.script.borrow_mut().push_back(Box::new(step));
    }

    /// Runs `work` on this thread with the host entered.
    pub(crate) fn hosting<R>(&self, work: impl FnOnce() -> R) -> R {
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
    pub(crate) fn run(&self, task: Task) {
        self.hosting(|| {
            let before = self.current.replace(Some(task.raw()));
            task.run();
            self.current.set(before);
        });
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: the current task is being run.
        self.current
            .get()
            .is_some_and(|task| unsafe { task.is_cancelled() })
    }

    pub(crate) fn cancel_current(&self) {
        // SAFETY: the current task is being run.
        unsafe { self.current.get().unwrap().upgrade() }.cancel();
    }

    pub(crate) fn parks(&self) -> Vec<Parked> {
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

    fn hand_over(&self, wake: &mut dyn FnMut()) -> bool {
        self.hand_overs.set(self.hand_overs.get() + 1);
        wake();
        true
    }

    fn current(&self) -> Option<RawTask> {
        self.current.get()
    }
}

/// A flag to wait for.
#[derive(Clone, Default)]
pub(crate) struct Event(pub(crate) Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Event {
    pub(crate) fn set(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        let waker = self.0.1.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn poll(&self, context: &mut std::task::Context<'_>) -> Poll<()> {
        if self.0.0.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        *self.0.1.lock().unwrap() = Some(context.waker().clone());
        Poll::Pending
    }

    #[track_caller]
    pub(crate) fn wait(&self) {
        wait(Reason::PARK, |context| self.poll(context));
    }
}

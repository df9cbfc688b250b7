//! A worker: one OS thread's share of the runtime, used by that thread alone.
//!
//! The worker's loop runs on carriers (see [`carrier`](crate::carrier)). At any time one carrier of
//! the worker is running; the others are *ready* (in the ring), *idle* (suspended in the loop), or
//! *parked* (in no list). The thread's own stack, the root, starts the first carrier and is otherwise
//! used only when no stack is to be had: then it resumes ready carriers and starts nothing.
//!
//! Invariants
//! 1. Nothing here is touched by another thread; what others may touch is in [`Home`].
//! 2. No `RefCell` is borrowed across a switch or across foreign code (wakers, tasks, hooks).
//! 3. A carrier in the ring is not parked: whoever put it there cleared the flag, or it never was set.
//! 4. `current` names the flow of control that is running. It changes only in `switch`.
//! 5. A carrier that leaves its stack for ever is put into `zombie` and freed by whoever runs next.

mod hand_over;
mod host;
mod linger;
mod ready;
mod run;
mod search;
mod sleep;
mod stop;

pub use stop::Leftover;

use crate::carrier::{Carrier, Label, release};
use crate::fork_join::Job;
use crate::home::{Home, Published};
use crate::item::Item;
use crate::shared::Shared;
use crossbeam_deque as deque;
use ready::Ready;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::task::Waker;
use std::time::Instant;
use weftwork_core::sync::Arc;
use weftwork_core::task::{RawTask, Task};
use weftwork_fiber::{Context, StackError, switch};
use weftwork_reactor::Events;

/// How many checkpoints a task passes before others get a turn.
const BUDGET: u32 = 128;
/// How many idle carriers a worker keeps.
const MAX_IDLE: usize = 64;
/// Stack that must be left to run a joined task in place.
const IN_PLACE_STACK: usize = 32 << 10;

/// See the module's page.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    index: usize,
    home: NonNull<Home>,
    root: Context,
    current: Cell<Option<NonNull<Carrier>>>,
    ready: Ready,
    idle: Cell<Option<NonNull<Carrier>>>,
    idle_len: Cell<usize>,
    zombie: Cell<Option<NonNull<Carrier>>>,
    /// Whom a retiring carrier switches back to.
    retirer: Cell<Option<NonNull<Carrier>>>,
    /// All carriers of this worker.
    carriers: Cell<Option<NonNull<Carrier>>>,
    fresh: deque::Worker<Item>,
    woken: deque::Worker<Item>,
    lifo_runs: Cell<u32>,
    hand_over: hand_over::HandOver,
    /// Ready carriers resumed since a queued task had its turn.
    carrier_turns: Cell<u32>,
    /// Queued tasks run.
    task_turns: Cell<u32>,
    /// Thread-bound tasks that are to be run.
    local: RefCell<VecDeque<Task>>,
    events: RefCell<Events>,
    due: RefCell<Vec<Waker>>,
    /// When timers fired last, by the runtime's clock.
    fired_at: Cell<u64>,
    searching: Cell<bool>,
    linger: linger::Linger,
    /// It has stolen something since it last went to sleep.
    hasty: Cell<bool>,
    tick: Cell<u64>,
    next_check: Cell<u64>,
    check_every: Cell<u64>,
    checked_at: Cell<Instant>,
    budget: Cell<u32>,
    random: Cell<u64>,
    /// Set while wakers are called from the loop's own work: they must not park.
    no_park: Cell<bool>,
    /// Told to the loop: go back to the root.
    to_root: Cell<bool>,
    stopping: Cell<bool>,
    /// In `run_until`: when to leave although tasks are left.
    stop_at: Cell<Option<Option<Instant>>>,
}

thread_local! {
    static WORKER: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

/// Calls `f` with the worker of the calling thread.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: `Entered` keeps the pointer in place only while the worker lives, on its thread. A
    // task that is switched away inside `f` is resumed on this thread, while the worker lives, or
    // not at all.
    f(unsafe { WORKER.get().as_ref() })
}

/// The two ends of a worker's queues that are made before the worker: it is built on its thread.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) fresh: deque::Worker<Item>,
    pub(crate) woken: deque::Worker<Item>,
}

impl Queues {
    pub(crate) fn new() -> Self {
        Queues {
            fresh: deque::Worker::new_lifo(),
            woken: deque::Worker::new_fifo(),
        }
    }
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, queues: Queues) -> Self {
        let home = NonNull::from(&shared.homes[index]);
        let events = Events::with_capacity(shared.config.event_capacity);
        Worker {
            index,
            home,
            root: Context::for_thread(),
            current: Cell::new(None),
            ready: Ready::new(),
            idle: Cell::new(None),
            idle_len: Cell::new(0),
            zombie: Cell::new(None),
            retirer: Cell::new(None),
            carriers: Cell::new(None),
            fresh: queues.fresh,
            woken: queues.woken,
            lifo_runs: Cell::new(0),
            hand_over: hand_over::HandOver::new(),
            carrier_turns: Cell::new(0),
            task_turns: Cell::new(0),
            local: RefCell::new(VecDeque::new()),
            events: RefCell::new(events),
            due: RefCell::new(Vec::new()),
            fired_at: Cell::new(0),
            searching: Cell::new(false),
            linger: linger::Linger::new(shared.config.cpus),
            hasty: Cell::new(false),
            tick: Cell::new(0),
            next_check: Cell::new(sleep::CHECK_FIRST),
            check_every: Cell::new(sleep::CHECK_FIRST),
            checked_at: Cell::new(Instant::now()),
            budget: Cell::new(BUDGET),
            random: Cell::new((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            no_park: Cell::new(false),
            to_root: Cell::new(false),
            stopping: Cell::new(false),
            stop_at: Cell::new(None),
            shared,
        }
    }

    #[inline]
    pub(crate) fn home(&self) -> &Home {
        // SAFETY: it lies in `shared`, which this worker holds.
        unsafe { self.home.as_ref() }
    }

    #[inline]
    pub(crate) fn is_home(&self, home: &Home) -> bool {
        ptr::eq(self.home.as_ptr(), home)
    }

    #[inline]
    pub(crate) fn belongs_to(&self, shared: &Shared) -> bool {
        ptr::eq(&raw const *self.shared, shared)
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The running carrier, if what runs on it may park.
    #[inline]
    pub(crate) fn busy_carrier(&self) -> Option<NonNull<Carrier>> {
        let carrier = self.current.get()?;
        // SAFETY: the running carrier is alive.
        (unsafe { carrier.as_ref() }.busy.get() && !self.no_park.get()).then_some(carrier)
    }

    /// The task that is running.
    #[inline]
    pub(crate) fn current_task(&self) -> Option<RawTask> {
        // SAFETY: the running carrier is alive.
        self.current
            .get()
            .and_then(|carrier| unsafe { carrier.as_ref() }.task.get())
    }

    /// Queues a new task.
    #[inline]
    pub(crate) fn push_fresh(&self, task: Task) {
        let published = &self.home().published;
        Published::bump(&published.queued);
        Published::bump(&published.epoch);
        self.fresh.push(Item::task(task));
        self.shared.work_published();
    }

    /// Offers the second half of a fork-join.
    ///
    /// # Safety
    /// As for [`Item::job`].
    #[inline]
    pub(crate) unsafe fn push_job(&self, job: NonNull<Job>) {
        Published::bump(&self.home().published.epoch);
        // SAFETY: the caller's contract.
        self.fresh.push(unsafe { Item::job(job) });
        self.shared.work_published();
    }

    /// Takes a job back if it is still the newest entry. The caller then owns it.
    #[inline]
    pub(crate) fn take_back(&self, job: NonNull<Job>) -> bool {
        match self.fresh.pop() {
            Some(item) if item.is_job(job) => {
                std::mem::forget(item);
                true
            }
            Some(item) => {
                self.fresh.push(item);
                false
            }
            None => false,
        }
    }

    /// Queues a future that was woken on this thread.
    pub(crate) fn push_woken(&self, task: Task) {
        Published::bump(&self.home().published.queued);
        if let Some(task) = self.hand_over.catch(task) {
            self.push_next(task);
        }
    }

    /// Makes a future the one that runs next. It is counted.
    fn push_next(&self, task: Task) {
        if let Some(before) = self.home().next_up.replace(task) {
            self.push_behind(before);
        }
    }

    /// Queues a future that yielded, behind all others.
    pub(crate) fn push_yielded(&self, task: Task) {
        Published::bump(&self.home().published.queued);
        self.push_behind(task);
    }

    fn push_behind(&self, task: Task) {
        self.woken.push(Item::task(task));
        self.shared.work_published();
    }

    /// Queues a thread-bound task.
    pub(crate) fn push_local(&self, task: Task) {
        Published::bump(&self.home().published.queued);
        self.local.borrow_mut().push_back(task);
    }

    /// Wakes a carrier of this worker.
    #[inline]
    pub(crate) fn wake_here(&self, carrier: NonNull<Carrier>, token: bool) {
        // SAFETY: alive, as the callers hold a reference or are its worker.
        let this = unsafe { carrier.as_ref() };
        if token {
            this.token.set(true);
        }
        Published::bump(&self.home().published.epoch);
        if this.parked.replace(false) {
            self.ready.push(carrier);
        } else {
            this.notified.set(true);
        }
    }

    /// Suspends the running flow of control and resumes `to`, the root if none.
    ///
    /// # Safety
    /// `to` is suspended and this worker's; what resumes the caller has been arranged.
    #[inline]
    unsafe fn switch(&self, to: Option<NonNull<Carrier>>) {
        let from = self.current.replace(to);
        debug_assert_ne!(from, to, "a switch to oneself");
        // SAFETY: carriers in `current` and `to` are alive.
        let (from, to) = unsafe { (self.context(from), self.context(to)) };
        let published = &self.home().published;
        Published::bump(&published.epoch);
        published.set_label(self.label());
        // SAFETY: both are contexts of this thread; `to` is suspended, says the caller. What runs
        // meanwhile meets no borrow of ours (invariant 2).
        unsafe { switch(from, to) };
        self.bury();
    }

    /// # Safety
    /// The carrier is alive.
    #[inline]
    unsafe fn context(&self, carrier: Option<NonNull<Carrier>>) -> *const Context {
        match carrier {
            // SAFETY: alive, says the caller.
            Some(carrier) => unsafe { &raw const (*carrier.as_ptr()).context },
            None => &raw const self.root,
        }
    }

    fn label(&self) -> Label {
        match self.current.get() {
            // SAFETY: the running carrier is alive.
            Some(carrier) => unsafe { carrier.as_ref() }.label.get(),
            None => Label::none(),
        }
    }

    /// Frees the carrier that has just left its stack for ever.
    #[inline]
    fn bury(&self) {
        if let Some(zombie) = self.zombie.take() {
            self.unlist(zombie);
            // SAFETY: it has left its stack, and the worker's reference is given up.
            unsafe { release(zombie) };
        }
    }

    /// A carrier to run the loop: an idle one, else a new one.
    fn loop_carrier(&self) -> Result<NonNull<Carrier>, StackError> {
        if let Some(carrier) = self.idle.get() {
            // SAFETY: idle carriers are alive.
            self.idle.set(unsafe { carrier.as_ref() }.next.take());
            self.idle_len.set(self.idle_len.get() - 1);
            return Ok(carrier);
        }
        let class = self.shared.config.stack_class;
        let carrier = Carrier::create(&self.shared, self.home(), class, run::carrier_main)?;
        self.list(carrier);
        Ok(carrier)
    }

    fn push_idle(&self, carrier: NonNull<Carrier>) {
        let next = self.idle.replace(Some(carrier));
        // SAFETY: it is the one that runs.
        unsafe { carrier.as_ref() }.next.set(next);
        self.idle_len.set(self.idle_len.get() + 1);
    }

    /// Puts a new carrier on the list of all.
    fn list(&self, carrier: NonNull<Carrier>) {
        let head = self.carriers.replace(Some(carrier));
        // SAFETY: listed carriers are alive; these fields are ours.
        unsafe {
            carrier.as_ref().following.set(head);
            if let Some(head) = head {
                head.as_ref().previous.set(Some(carrier));
            }
        }
        Published::bump(&self.home().published.carriers);
    }

    /// Takes a carrier off the list of all.
    fn unlist(&self, carrier: NonNull<Carrier>) {
        // SAFETY: listed carriers are alive; these fields are ours.
        unsafe {
            let (previous, following) = (
                carrier.as_ref().previous.take(),
                carrier.as_ref().following.take(),
            );
            match previous {
                Some(previous) => previous.as_ref().following.set(following),
                None => self.carriers.set(following),
            }
            if let Some(following) = following {
                following.as_ref().previous.set(previous);
            }
        }
    }

    /// Calls `f` with every carrier of the worker.
    fn each_carrier(&self, mut f: impl FnMut(&Carrier)) {
        let mut next = self.carriers.get();
        while let Some(carrier) = next {
            // SAFETY: listed carriers are alive.
            let carrier = unsafe { carrier.as_ref() };
            next = carrier.following.get();
            f(carrier);
        }
    }

    /// A number from xorshift64 (Marsaglia 2003): only to choose victims.
    fn random(&self) -> usize {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x as usize
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// Makes a worker the calling thread's, until dropped.
#[must_use = "the worker leaves when the guard is dropped"]
pub(crate) struct Entered {
    before: *const Worker,
    _host: weftwork_core::host::Entered,
}

impl Worker {
    /// # Safety
    /// The worker stays where it is until the guard is dropped, on this thread.
    pub(crate) unsafe fn enter(&self) -> Entered {
        let host: NonNull<dyn weftwork_core::host::Host + '_> = NonNull::from(self);
        // SAFETY: only the lifetime changes. The host is used until the guard is dropped, which the
        // caller promises the worker outlives.
        let host: NonNull<dyn weftwork_core::host::Host> = unsafe { std::mem::transmute(host) };
        // SAFETY: valid until the guard is dropped, says the caller; guards nest by construction.
        let host = unsafe { weftwork_core::host::enter(host) };
        Entered {
            before: WORKER.replace(self),
            _host: host,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        WORKER.set(self.before);
    }
}

//! Running something once: one word, and a queue for those who wait for whoever runs it.
//!
//! Invariants
//! 1. Whoever moves the word to `RUNNING` runs the initialization, and moves it on when that ends,
//!    however it ends.
//! 2. `COMPLETE` is final.
//! 3. `QUEUED` is set beside `RUNNING` alone, with the queue locked.

use crate::holder::Party;
use crate::{reason, waiting};
use std::pin::pin;
// Outside the models: for the message about re-entrance, read by the party that wrote it.
use std::sync::atomic::AtomicU64;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU32, Ordering};
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};

/// Nobody has begun, or an initialization failed that may be tried again.
const INCOMPLETE: u32 = 0;
/// Somebody runs the initialization. Excludes another.
const RUNNING: u32 = 1;
/// It has run. Final.
const COMPLETE: u32 = 2;
/// It panicked, and is not to be tried again unless forced.
const POISONED: u32 = 3;
/// Somebody waits for the end of the run.
const QUEUED: u32 = 4;

pub(super) struct RawOnce {
    queue: WaitQueue<Waiting>,
}

pub(super) struct Word {
    state: AtomicU32,
    runner: AtomicU64,
}

struct Waiting;

impl Line for Waiting {
    type Shared = Word;
    type Ask = ();
    type Token = ();
    // The bit may stay: then the runner looks in vain.
    fn left(_: &mut Locked<'_, Self>, _: Lane) {}
    fn returned(_: &mut Locked<'_, Self>, (): ()) {}
}

/// What a caller is to do.
pub(super) enum Turn<'a> {
    /// Run the initialization.
    Run(Run<'a>),
    /// Nothing: it has run.
    Complete,
    /// Nothing can be done: it panicked before.
    Poisoned,
}

impl RawOnce {
    #[cfg(not(weftwork_loom))]
    pub(super) const fn new() -> Self {
        RawOnce {
            queue: WaitQueue::with_shared(Word::with(INCOMPLETE), Waiting),
        }
    }

    #[cfg(not(weftwork_loom))]
    pub(super) const fn complete() -> Self {
        RawOnce {
            queue: WaitQueue::with_shared(Word::with(COMPLETE), Waiting),
        }
    }

    #[cfg(weftwork_loom)]
    pub(super) fn new() -> Self {
        RawOnce {
            queue: WaitQueue::with_shared(Word::with(INCOMPLETE), Waiting),
        }
    }

    #[cfg(weftwork_loom)]
    pub(super) fn complete() -> Self {
        RawOnce {
            queue: WaitQueue::with_shared(Word::with(COMPLETE), Waiting),
        }
    }

    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        // Acquire: pairs with the Release of the runner's end, in `Run::drop`.
        self.queue.shared().state.load(Ordering::Acquire) == COMPLETE
    }

    pub(super) fn is_poisoned(&self) -> bool {
        // Acquire: as above.
        self.queue.shared().state.load(Ordering::Acquire) == POISONED
    }

    /// Forgets that it ran; the caller has it to itself.
    pub(super) fn reset(&mut self) {
        // Relaxed: nobody else is here.
        self.queue
            .shared()
            .state
            .store(INCOMPLETE, Ordering::Relaxed);
    }

    /// Takes the turn to run, if it is to be had, or waits for the end of whoever has it.
    /// `forced`: also after a panic.
    #[track_caller]
    pub(super) fn begin(&self, forced: bool) -> Turn<'_> {
        let word = self.queue.shared();
        // Acquire, throughout: pairs with the Release of a runner's end.
        let mut now = word.state.load(Ordering::Acquire);
        loop {
            match now {
                COMPLETE => return Turn::Complete,
                POISONED if !forced => return Turn::Poisoned,
                INCOMPLETE | POISONED => {
                    match word.state.compare_exchange(
                        now,
                        RUNNING,
                        Ordering::Acquire,
                        Ordering::Acquire,
                    ) {
                        Ok(_) => return Turn::Run(Run::new(self, now == POISONED)),
                        Err(other) => now = other,
                    }
                }
                _ => {
                    self.wait_for_runner();
                    now = word.state.load(Ordering::Acquire);
                }
            }
        }
    }

    /// Waits until nobody runs the initialization.
    #[track_caller]
    #[cold]
    fn wait_for_runner(&self) {
        let word = self.queue.shared();
        // A model's threads are one party.
        // Relaxed: what the caller itself wrote, it sees.
        let me = Party::current().word();
        if !cfg!(weftwork_loom) && word.runner.load(Ordering::Relaxed) == me {
            panic!("an initialization asked for its own result");
        }
        let mut waiter = pin!(Waiter::new(&self.queue, ()));
        waiting::wait(reason::ONCE, |context| {
            waiter.as_mut().poll_or(context, |queue| {
                let state = &queue.shared().state;
                // Canary: announced by a store, over an end that came meanwhile.
                #[cfg(weftwork_canary)]
                if canary::is(Step::Of("once_announce")) {
                    return (state.fetch_or(QUEUED, Ordering::Relaxed) & RUNNING == 0)
                        .then_some(());
                }
                let announce = |now: u32| (now & !QUEUED == RUNNING).then_some(now | QUEUED);
                // Relaxed: `begin` looks again.
                let announced = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, announce);
                announced.is_err().then_some(())
            })
        });
    }
}

impl Word {
    #[cfg(not(weftwork_loom))]
    const fn with(state: u32) -> Self {
        Word {
            state: AtomicU32::new(state),
            runner: AtomicU64::new(0),
        }
    }

    #[cfg(weftwork_loom)]
    fn with(state: u32) -> Self {
        Word {
            state: AtomicU32::new(state),
            runner: AtomicU64::new(0),
        }
    }
}

/// The turn to run the initialization. Its drop says how that ended: see `end_as`.
pub(super) struct Run<'a> {
    once: &'a RawOnce,
    end: u32,
    was_poisoned: bool,
}

impl<'a> Run<'a> {
    fn new(once: &'a RawOnce, was_poisoned: bool) -> Self {
        let me = Party::current().word();
        // Relaxed: only who wrote it recognizes it.
        once.queue.shared().runner.store(me, Ordering::Relaxed);
        Run {
            once,
            end: INCOMPLETE,
            was_poisoned,
        }
    }

    pub(super) fn was_poisoned(&self) -> bool {
        self.was_poisoned
    }

    /// Where this is dropped before `complete`, nobody is to try again.
    pub(super) fn poison_unless_complete(&mut self) {
        self.end = POISONED;
    }

    /// The initialization is done.
    pub(super) fn complete(mut self) {
        self.end = COMPLETE;
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let word = self.once.queue.shared();
        // Relaxed: as in `new`.
        word.runner.store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `is_complete` and `begin`.
        let before = word.state.swap(self.end, Ordering::Release);
        if before & QUEUED != 0 {
            self.once.queue.lock().notify_all(Lane::First, || ());
        }
    }
}

//! The word of a blocked operation: who may commit it, and what came of it.
//!
//! An operation that waits at one channel is committed under that channel's lock, and its word only
//! carries the news. A select waits at several channels, each with a lock of its own, so its word is
//! what decides: whoever moves it from `WAITING` to `BUSY` has the select to itself, and says with the
//! next store how it stands.
//!
//! ```text
//!              publish                try_claim                finish
//!      IDLE ------------> WAITING <------------> BUSY ------------------> FIRED(arm)
//!        ^                          abandon        |                      MATCHED(arm)
//!        |                                         +--------------------> DONE(arm)
//!        +----------------- owner: withdraw, or after it has read the outcome
//! ```
//!
//! Invariants
//! 1. Only the owner moves the word away from `IDLE`, and from an outcome back to `IDLE`. The one
//!    exception is `MATCHED`, whose node lies in a queue of a channel: under that channel's lock the
//!    hand-over moves it on to `DONE`, or to `FIRED`.
//! 2. `waker` belongs to the owner while the word is `IDLE` or an outcome, and to the claimer while it
//!    is `BUSY`; of an operation at one channel, to whoever holds that channel's lock.
//! 3. `BUSY` lasts for a few instructions, in which nobody waits for a channel's lock. So it may be
//!    waited for under one.
//! 4. The store of an outcome is the claimer's last touch: the frame may be gone right after it.
//! 5. What a green thread leaves is not counted: it is good while its frame is, that is until an outcome
//!    is stored. Whoever stores one from another thread counts it before; from the same thread the waiter
//!    is not running, so it is woken on the spot. That wake is the scheduler's own code, which waits for
//!    nothing: it may be called under a channel's lock.

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

use std::fmt;
use std::ptr::NonNull;
use std::task::Waker;
use weftwork_core::host::{self, Host};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::{hint, thread};

/// The owner does not wait. Set by the owner.
const IDLE: usize = 0;
/// The operation may be committed by anybody. Set by the owner, and by a claimer that gives up.
const WAITING: usize = 1;
/// Somebody, perhaps the owner, is about to say how it stands. Excludes every other claim.
const BUSY: usize = 2;
/// The arm may be ready: the owner is to look there first. Set by a claimer.
const FIRED: usize = 3;
/// A select that sends has chosen this receiver and will hand its value over. Set by a claimer.
const MATCHED: usize = 4;
/// The arm is done: the value has changed hands. Set by a claimer.
const DONE: usize = 5;

/// What of the word says how it stands; the arm's number lies above.
const KIND: usize = 7;
const ARM_SHIFT: u32 = KIND.count_ones();

/// How a blocked operation stands, as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Idle,
    Waiting,
    Fired(usize),
    Matched(usize),
    Done(usize),
}

/// An outcome, as a claimer states it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome(usize);

impl Outcome {
    pub(crate) const fn fired(arm: usize) -> Self {
        Outcome(arm << ARM_SHIFT | FIRED)
    }

    pub(crate) const fn matched(arm: usize) -> Self {
        Outcome(arm << ARM_SHIFT | MATCHED)
    }

    pub(crate) const fn done(arm: usize) -> Self {
        Outcome(arm << ARM_SHIFT | DONE)
    }
}

/// See the module's page.
pub struct Signal {
    word: AtomicUsize,
    waker: UnsafeCell<Left>,
}

/// What a waiter leaves to be woken by.
enum Left {
    Nothing,
    Waker(Waker),
    /// The waker of a green thread, and the address of its host.
    Hosted(NonNull<Waker>, *const ()),
}

impl Left {
    fn take(&mut self) -> Left {
        std::mem::replace(self, Left::Nothing)
    }

    fn wakes_same(&self, waker: &Waker) -> bool {
        match self {
            Left::Nothing => false,
            Left::Waker(left) => left.will_wake(waker),
            // SAFETY: good until an outcome is stored (invariant 5); the caller has the right to that.
            Left::Hosted(left, _) => unsafe { left.as_ref() }.will_wake(waker),
        }
    }
}

// SAFETY: `waker` keeps the automatic one away; who may reach it is invariant 2, and a waker is
// `Send + Sync`.
unsafe impl Send for Signal {}
// SAFETY: as above.
unsafe impl Sync for Signal {}

impl Signal {
    pub(crate) fn new() -> Self {
        Signal {
            word: AtomicUsize::new(IDLE),
            waker: UnsafeCell::new(Left::Nothing),
        }
    }

    /// Lets others commit the operation. By the owner, whose word is `IDLE`.
    #[inline]
    pub(crate) fn publish(&self, waker: Waker) {
        self.publish_left(Left::Waker(waker));
    }

    /// As [`publish`](Self::publish), by the task that is current at `host`, which stays in the frame
    /// the signal is in until the word has an outcome, or is withdrawn.
    #[inline]
    pub(crate) fn publish_hosted(&self, host: &dyn Host) {
        let address = std::ptr::from_ref(host).cast();
        self.publish_left(Left::Hosted(host.waker(), address));
    }

    #[inline]
    fn publish_left(&self, left: Left) {
        // SAFETY: IDLE, so the waker is the owner's (invariant 2).
        self.waker.with_mut(|cell| unsafe {
            debug_assert!(
                matches!(*cell, Left::Nothing),
                "an idle operation keeps no waker"
            );
            *cell = left;
        });
        // Release: pairs with the Acquire in `try_claim`, for the waker.
        self.word.store(WAITING, Ordering::Release);
    }

    /// How the operation stands. Passes over `BUSY`, which does not last.
    #[inline]
    pub(crate) fn status(&self) -> Status {
        loop {
            // Acquire: pairs with the Release in `settle`: the value that came with the outcome.
            let word = self.word.load(Ordering::Acquire);
            let arm = word >> ARM_SHIFT;
            return match word & KIND {
                IDLE => Status::Idle,
                WAITING => Status::Waiting,
                FIRED => Status::Fired(arm),
                MATCHED => Status::Matched(arm),
                DONE => Status::Done(arm),
                _ => {
                    relax();
                    continue;
                }
            };
        }
    }

    /// Whether there is an outcome, or about to be one. For a spin, which looks at nothing else.
    #[inline]
    pub(crate) fn has_moved(&self) -> bool {
        // Relaxed: a hint; `status` follows.
        self.word.load(Ordering::Relaxed) & KIND > BUSY
    }

    /// Takes the right to say how it stands, if the operation waits. Fails if it does not any more.
    pub(crate) fn try_claim(&self) -> Option<Claim<'_>> {
        loop {
            // Canary: a claim that looks before it leaps: two may have it.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("signal: try_claim")) {
                if self.word.load(Ordering::Acquire) != WAITING {
                    return None;
                }
                self.word.store(BUSY, Ordering::Release);
                return Some(Claim(self));
            }
            // Acquire: pairs with the Release in `publish` and `settle`, for the waker. Relaxed on
            // failure: nothing is read on the strength of it.
            match self
                .word
                .compare_exchange(WAITING, BUSY, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(Claim(self)),
                Err(BUSY) => relax(),
                Err(_) => return None,
            }
        }
    }

    /// Stops others from committing the operation. By the owner. False: there is an outcome already.
    #[inline]
    pub(crate) fn withdraw(&self) -> bool {
        match self.try_claim() {
            Some(claim) => {
                claim.withdraw();
                self.reset();
                true
            }
            None => self.status() == Status::Idle,
        }
    }

    /// Leaves another waker. By the owner, of an operation that waits. False: there is an outcome.
    ///
    /// The clone and the drop are the caller's to do where nobody is kept from claiming.
    pub(crate) fn set_waker(&self, waker: &mut Option<Waker>) -> bool {
        let Some(claim) = self.try_claim() else {
            return false;
        };
        let left = waker.take().map_or(Left::Nothing, Left::Waker);
        // SAFETY: BUSY by us (invariant 2).
        let before = claim
            .0
            .waker
            .with_mut(|cell| unsafe { std::mem::replace(&mut *cell, left) });
        claim.abandon();
        drop(before);
        true
    }

    /// Whether the waker that is left here wakes the same task as `waker`. By the owner. False, too, if
    /// there is an outcome.
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        let Some(claim) = self.try_claim() else {
            return false;
        };
        // SAFETY: BUSY by us (invariant 2).
        let same = claim
            .0
            .waker
            .with(|cell| unsafe { (*cell).wakes_same(waker) });
        claim.abandon();
        same
    }

    /// The owner has read the outcome, and waits no more.
    #[inline]
    pub(crate) fn reset(&self) {
        // SAFETY: an outcome, so the waker is the owner's (invariant 2).
        drop(self.waker.with_mut(|cell| unsafe { (*cell).take() }));
        // Relaxed: the owner's own next `publish` releases.
        self.word.store(IDLE, Ordering::Relaxed);
    }

    /// States the outcome. Wakes the owner, or returns the waker that does, to be called later.
    ///
    /// # Safety
    /// The caller has the right to: it has claimed the word; or the operation waits at one channel
    /// only, or is `MATCHED`, and the caller holds the lock of that channel, in one of whose queues
    /// the node was. The frame may be gone when this returns.
    #[inline]
    pub(crate) unsafe fn settle(&self, outcome: Outcome) -> Option<Waker> {
        // SAFETY: the caller's right is that to the waker (invariant 2).
        let waker = match self.waker.with_mut(|cell| unsafe { (*cell).take() }) {
            Left::Waker(waker) => Some(waker),
            Left::Hosted(waker, host) => {
                // SAFETY: no outcome is stored yet, so the owner's frame, and its task, are there
                // (invariant 5).
                let waker = unsafe { waker.as_ref() };
                if host == host::address() {
                    waker.wake_by_ref();
                    None
                } else {
                    Some(waker.clone())
                }
            }
            Left::Nothing => None,
        };
        // Canary: the outcome is seen, what came with it is not.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("signal: settle")) {
            self.word.store(outcome.0, Ordering::Relaxed); // Relaxed: that is the canary.
            return waker;
        }
        // Release: pairs with the Acquire in `status`, for the value; with that in `try_claim`.
        self.word.store(outcome.0, Ordering::Release);
        waker
    }

    /// States that a select's value will come, and leaves the waker where it is for that.
    ///
    /// # Safety
    /// As [`settle`](Self::settle), but the frame stays: its owner leaves only under the lock.
    pub(crate) unsafe fn promise(&self) {
        // Release: as in `settle`.
        self.word.store(Outcome::matched(0).0, Ordering::Release);
    }

    /// Leaves a waker with a matched operation, or with one that waits at one channel only, and gives
    /// back the one before.
    ///
    /// # Safety
    /// The caller is the owner and holds the lock of the channel in one of whose queues the node is.
    pub(crate) unsafe fn leave_waker(&self, waker: Waker) -> Option<Waker> {
        // SAFETY: under that lock the waker is ours (invariants 1 and 2).
        let before = self
            .waker
            .with_mut(|cell| unsafe { std::mem::replace(&mut *cell, Left::Waker(waker)) });
        match before {
            Left::Waker(waker) => Some(waker),
            Left::Nothing | Left::Hosted(..) => None,
        }
    }

    /// Whether the waker left by a matched operation, or one that waits at one channel only, would
    /// wake the task of `waker`.
    ///
    /// # Safety
    /// As [`leave_waker`](Self::leave_waker).
    pub(crate) unsafe fn wakes_same(&self, waker: &Waker) -> bool {
        // SAFETY: as above.
        self.waker.with(|cell| unsafe { (*cell).wakes_same(waker) })
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// The right to say how an operation stands. To be used up: a claim that is leaked blocks others.
#[derive(Debug)]
#[must_use = "an operation that stays claimed blocks others"]
pub(crate) struct Claim<'a>(&'a Signal);

impl Claim<'_> {
    /// States the outcome. What goes with it was written before. Returns the waker, to be called.
    #[inline]
    pub(crate) fn finish(self, outcome: Outcome) -> Option<Waker> {
        // SAFETY: claimed.
        unsafe { self.0.settle(outcome) }
    }

    /// States the outcome of the caller's own operation: nobody is woken.
    pub(crate) fn finish_own(self, outcome: Outcome) {
        // SAFETY: BUSY by us (invariant 2).
        let left = self.0.waker.with_mut(|cell| unsafe { (*cell).take() });
        // Release: as in `settle`.
        self.0.word.store(outcome.0, Ordering::Release);
        drop(left);
    }

    /// The caller's own operation waits no more. Its waker stays until [`Signal::reset`]: its drop may
    /// be an executor's code, and the caller may hold a channel's lock.
    pub(crate) fn withdraw(self) {
        // Release: as in `settle`.
        self.0.word.store(IDLE, Ordering::Release);
    }

    /// Gives the claim up: the operation waits on.
    pub(crate) fn abandon(self) {
        // Release: pairs with the Acquire in the next `try_claim`.
        self.0.word.store(WAITING, Ordering::Release);
    }
}

/// What came of claiming two operations at once.
#[derive(Debug)]
pub(crate) enum Pair<'a, 'b> {
    Both(Claim<'a>, Claim<'b>),
    /// The first one does not wait any more.
    FirstGone,
    /// The second one does not wait any more; the first waits on.
    SecondGone,
}

/// Claims two operations, or neither. They are claimed in the order of their addresses: so those who
/// wait for a claim to be used up form no circle, as with locks (Havender 1968).
pub(crate) fn claim_pair<'a, 'b>(first: &'a Signal, second: &'b Signal) -> Pair<'a, 'b> {
    // Canary: each claims itself first, and both find the other busy.
    #[cfg(weftwork_canary)]
    let in_order = canary::is(Step::Of("signal: claim_pair"))
        || std::ptr::from_ref(first).addr() < std::ptr::from_ref(second).addr();
    #[cfg(not(weftwork_canary))]
    let in_order = std::ptr::from_ref(first).addr() < std::ptr::from_ref(second).addr();
    if in_order {
        let Some(one) = first.try_claim() else {
            return Pair::FirstGone;
        };
        match second.try_claim() {
            Some(two) => Pair::Both(one, two),
            None => {
                one.abandon();
                Pair::SecondGone
            }
        }
    } else {
        let Some(two) = second.try_claim() else {
            return Pair::SecondGone;
        };
        match first.try_claim() {
            Some(one) => Pair::Both(one, two),
            None => {
                two.abandon();
                Pair::FirstGone
            }
        }
    }
}

/// Waits for somebody who is at work on another thread.
fn relax() {
    if cfg!(weftwork_loom) {
        thread::yield_now();
    } else {
        for _ in 0..8 {
            hint::spin_loop();
        }
        // Whoever was interrupted in the middle needs a processor, perhaps this one.
        thread::yield_now();
    }
}

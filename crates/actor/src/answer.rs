//! The place for one answer: the [`Asker`] waits for it, the [`Giver`] gives it.
//!
//! It is a oneshot channel without what an ask has no use for: nobody waits for an asker to leave, so there
//! is one waker. Its memory is that of letters, of which every thread keeps some, so an ask whose answer is
//! there at once costs two read-modify-writes at most and no allocation. It cannot lie in the asker's frame:
//! an asker leaves when its time is over or its task is cancelled, and the giver may come later.
//!
//! | bit | set by | says |
//! | --- | --- | --- |
//! | `GIVEN` | giver, once | the answer is in the place |
//! | `DROPPED` | giver, once, instead of `GIVEN` | there will be none |
//! | `WAITS` | asker; cleared by who takes the waker | the asker's waker is in the place |
//! | `GIVER_GONE`, `ASKER_GONE` | each, as its last step | it touches the place no more |
//!
//! Invariants
//! 1. The giver is *done* once `GIVEN` or `DROPPED` is set. `WAITS` is set only while it is not.
//! 2. The cell of the answer is the giver's until `GIVEN` is set, then the asker's.
//! 3. The cell of the waker is nobody's while `WAITS` is set. Whoever clears the bit owns it: the asker, to
//!    take its waker back, or the giver in the step in which it gets done. Otherwise it is the asker's.
//! 4. Of two that are gone the second frees the place, with what is in it.
//!
//! Protocol: each step is one read-modify-write of the word. An asker that leaves its waker after the giver
//! got done finds that in the same step and looks again; one that left it before is found by the giver. So
//! no wake is lost. The bad interleaving, the canary `answer_announce`:
//!
//! ```text
//!   asker                                giver
//!   looks: nothing
//!                                        word |= GIVEN; nobody waits, leaves
//!   word := WAITS, without a look        -- the asker sleeps for ever --
//! ```
//!
//! Every step of one end acquires what the other end released in its own: that is the partner of each
//! ordering here.

use crate::clock::Clock;
use crate::mailbox::pool;
use std::fmt;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU32, Ordering};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::wait::{self, Reason, TimedOut};

const ANSWER: Reason = Reason::new("answer");

const GIVEN: u32 = 1;
const DROPPED: u32 = 1 << 1;
const WAITS: u32 = 1 << 2;
const GIVER_GONE: u32 = 1 << 3;
const ASKER_GONE: u32 = 1 << 4;

/// The giver is done.
const DONE: u32 = GIVEN | DROPPED;

struct Place<R> {
    word: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
    answer: UnsafeCell<Option<R>>,
}

/// The end that gives the answer. Dropping it says that there will be none.
pub struct Giver<R>(NonNull<Place<R>>);

/// The end that waits for the answer. As a future it is ready with `None` if there will be none.
pub struct Asker<R>(NonNull<Place<R>>);

// SAFETY: the pointer takes the automatic implementation away. Through it an end reaches the word, which is
// atomic, and cells that the word gives to one end at a time; the answer moves between threads, hence
// `R: Send`. Wakers are `Send`.
unsafe impl<R: Send> Send for Giver<R> {}
// SAFETY: as above; a shared one only loads the word.
unsafe impl<R: Send> Sync for Giver<R> {}
// SAFETY: as for `Giver`.
unsafe impl<R: Send> Send for Asker<R> {}
// SAFETY: as above; nothing can be done with a shared one.
unsafe impl<R: Send> Sync for Asker<R> {}

/// Makes a place and its two ends.
#[inline]
#[must_use]
pub fn place<R>() -> (Giver<R>, Asker<R>) {
    let place = pool::take::<Place<R>>();
    // SAFETY: memory for a place, and ours.
    unsafe {
        place.write(Place {
            word: AtomicU32::new(0),
            waker: UnsafeCell::new(None),
            answer: UnsafeCell::new(None),
        });
    }
    (Giver(place), Asker(place))
}

/// The order of the steps, see the head.
fn step_order() -> Ordering {
    // Canary: the cells are handed over without order.
    #[cfg(weftwork_canary)]
    if canary::is(Step::Of("answer_order")) {
        return Ordering::Relaxed;
    }
    // AcqRel: pairs with itself at the other end.
    Ordering::AcqRel
}

impl<R> Place<R> {
    /// # Safety
    /// The cell is the caller's (invariant 3).
    unsafe fn take_waker(&self) -> Option<Waker> {
        // SAFETY: as the caller says.
        self.waker.with_mut(|waker| unsafe { (*waker).take() })
    }

    /// # Safety
    /// The cell is the caller's (invariant 2).
    unsafe fn take_answer(&self) -> Option<R> {
        // SAFETY: as the caller says.
        self.answer.with_mut(|answer| unsafe { (*answer).take() })
    }
}

/// Frees a place.
///
/// # Safety
/// Both ends are gone, and the caller is the second of them (invariant 4).
unsafe fn free<R>(place: NonNull<Place<R>>) {
    // SAFETY: exclusive, so the cells are ours; made by `place`, and not used any more.
    let left = unsafe {
        let this = place.as_ref();
        let left = (this.take_waker(), this.take_answer());
        place.drop_in_place();
        pool::give_back(place);
        left
    };
    // Code of the user's, now that all is done.
    drop(left);
}

/// The last step of the giver.
///
/// # Safety
/// The caller is the giver, not done yet, and gives itself up. If `outcome` is `GIVEN` the answer is in its
/// cell.
#[inline]
unsafe fn finish<R>(place: NonNull<Place<R>>, outcome: u32) {
    // SAFETY: the giver is not gone (invariant 4).
    let this = unsafe { place.as_ref() };
    // Relaxed: only the starting guess for the exchange below.
    let mut seen = this.word.load(Ordering::Relaxed);
    loop {
        let next = if seen & WAITS == 0 {
            seen | outcome | GIVER_GONE
        } else {
            (seen & !WAITS) | outcome
        };
        // The order: see the head.
        match (this.word).compare_exchange_weak(seen, next, step_order(), Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    if seen & ASKER_GONE != 0 {
        // SAFETY: it had left, and so have we just now.
        return unsafe { free(place) };
    }
    if seen & WAITS != 0 {
        // SAFETY: we have cleared the bit (invariant 3).
        let waker = unsafe { this.take_waker() };
        // The order: see the head.
        if this.word.fetch_or(GIVER_GONE, step_order()) & ASKER_GONE != 0 {
            // SAFETY: as above.
            unsafe { free(place) };
        }
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<R> Giver<R> {
    /// Gives the answer, and wakes the asker if it waits. If it is gone the answer is dropped.
    #[inline]
    pub fn give(self, answer: R) {
        let place = ManuallyDrop::new(self).0;
        // SAFETY: the giver is not gone, and not done: the cell is its own (invariants 2 and 4). It is given
        // up here.
        unsafe {
            (place.as_ref().answer).with_mut(|cell| *cell = Some(answer));
            finish(place, GIVEN);
        }
    }

    /// Whether the asker is gone.
    #[must_use]
    pub fn is_forgotten(&self) -> bool {
        // SAFETY: the giver is not gone.
        let word = &unsafe { self.0.as_ref() }.word;
        // Relaxed: a report.
        word.load(Ordering::Relaxed) & ASKER_GONE != 0
    }
}

impl<R> Drop for Giver<R> {
    fn drop(&mut self) {
        // SAFETY: it is not done, else it would have been consumed, and is given up here.
        unsafe { finish(self.0, DROPPED) }
    }
}

impl<R> Asker<R> {
    fn place(&self) -> &Place<R> {
        // SAFETY: the asker is not gone.
        unsafe { self.0.as_ref() }
    }

    /// Takes the answer if it is there; `None` says that there will be none, or that it was taken.
    #[inline]
    pub fn look(&mut self) -> Poll<Option<R>> {
        let place = self.place();
        // Acquire: see the head.
        let seen = place.word.load(Ordering::Acquire);
        if seen & GIVEN != 0 {
            // SAFETY: given, so the cell is ours (invariant 2).
            Poll::Ready(unsafe { place.take_answer() })
        } else if seen & DROPPED != 0 {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }

    /// Takes the answer, or leaves the context's waker for the giver.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<R>> {
        let looked = self.look();
        if looked.is_ready() || wait::is_first_look(context.waker()) || self.register(context) {
            return looked;
        }
        // The giver got done meanwhile.
        self.look()
    }

    /// Leaves a waker. False: the giver is done and does not call it.
    fn register(&mut self, context: &Context<'_>) -> bool {
        if !self.withdraw() {
            return false;
        }
        let place = self.place();
        let new = context.waker().clone();
        // SAFETY: `WAITS` is clear, and only we set it (invariant 3).
        let before = (place.waker).with_mut(|waker| unsafe { (*waker).replace(new) });
        let is_left = self.announce();
        // SAFETY: `WAITS` was not set, so the giver has not taken the cell and never will.
        let late = (!is_left).then(|| unsafe { place.take_waker() });
        // Code of the user's, now that all is done.
        drop((before, late));
        is_left
    }

    /// Sets `WAITS`. False: the giver is done.
    fn announce(&self) -> bool {
        let word = &self.place().word;
        // Canary: the asker looks, and says afterwards that it waits.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("answer_announce")) {
            let is_open = word.load(Ordering::Acquire) & DONE == 0;
            if is_open {
                word.fetch_or(WAITS, Ordering::AcqRel);
            }
            return is_open;
        }
        // Acquire, also of a failure: see the head.
        let mut seen = word.load(Ordering::Acquire);
        while seen & DONE == 0 {
            match word.compare_exchange_weak(seen, seen | WAITS, step_order(), Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Clears `WAITS`: the cell of the waker is ours. False: the giver is done.
    fn withdraw(&self) -> bool {
        let word = &self.place().word;
        // Acquire, also of a failure: see the head.
        let mut seen = word.load(Ordering::Acquire);
        while seen & DONE == 0 {
            if seen & WAITS == 0 {
                return true;
            }
            // Canary: the waker is taken back while the giver takes it.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("answer_withdraw")) {
                word.fetch_and(!WAITS, Ordering::AcqRel);
                return true;
            }
            match word.compare_exchange_weak(seen, seen & !WAITS, step_order(), Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Waits for the answer until `deadline`, for ever without one.
    ///
    /// # Errors
    /// The time was over first.
    #[cfg(weftwork_loom)]
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<R>, TimedOut> {
        self.wait_by(Clock::SYSTEM, deadline)
    }

    /// As `wait`, by this clock.
    #[track_caller]
    pub(crate) fn wait_by(
        &mut self,
        clock: Clock<'_>,
        deadline: Option<Instant>,
    ) -> Result<Option<R>, TimedOut> {
        /// Takes the waker back at the end of the wait, however it ends.
        struct Waiting<'a, R>(&'a mut Asker<R>);
        impl<R> Drop for Waiting<'_, R> {
            fn drop(&mut self) {
                if self.0.withdraw() {
                    // SAFETY: `WAITS` is clear, and only we set it (invariant 3).
                    drop(unsafe { self.0.place().take_waker() });
                }
            }
        }
        let waiting = Waiting(self);
        clock.wait(ANSWER, deadline, |context| waiting.0.poll(context))
    }
}

impl<R> Future for Asker<R> {
    type Output = Option<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<R>> {
        Asker::poll(&mut self, context)
    }
}

impl<R> Drop for Asker<R> {
    #[inline]
    fn drop(&mut self) {
        let place = self.place();
        // Acquire: pairs with the giver's last step; the place is ours alone then.
        if place.word.load(Ordering::Acquire) & GIVER_GONE != 0 {
            // SAFETY: the giver is gone, and so are we.
            return unsafe { free(self.0) };
        }
        // SAFETY: `WAITS` is clear then, and only we set it (invariant 3).
        let waker = (self.withdraw()).then(|| unsafe { place.take_waker() });
        // The order: see the head.
        if leave(&place.word) & GIVER_GONE != 0 {
            // SAFETY: as above.
            unsafe { free(self.0) };
        }
        drop(waker);
    }
}

/// The last step of the asker. Returns what was there before.
fn leave(word: &AtomicU32) -> u32 {
    // Canary: the asker looks whether it is the last one, and leaves afterwards.
    #[cfg(weftwork_canary)]
    if canary::is(Step::Of("answer_leave")) {
        let before = word.load(Ordering::Acquire);
        word.fetch_or(ASKER_GONE, Ordering::AcqRel);
        return before;
    }
    word.fetch_or(ASKER_GONE, step_order())
}

impl<R> fmt::Debug for Giver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Giver").finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Asker<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

//! The task state word: who may run, wake, cancel, join and free a task.
//!
//! One word holds six flags and a reference count, so that every decision which depends on two of
//! them is one read-modify-write.
//!
//! Invariants
//! 1. At most one [`Task`](super::Task) handle exists per task, and it exists exactly while
//!    `SCHEDULED` is set and `RUNNING` is not, or while it is being run.
//! 2. `RUNNING` and `COMPLETE` exclude each other; after `COMPLETE` neither `RUNNING` nor
//!    `SCHEDULED` is ever set again.
//! 3. The stage (closure, future or output) belongs to the runner until `COMPLETE` is set, then to
//!    the join handle while `HANDLE` is set, then to whoever holds the last reference.
//! 4. The joiner's waker belongs to the join handle while `JOIN_WAKER` is clear and `COMPLETE` is
//!    clear; with `JOIN_WAKER` set it is read-only until `COMPLETE`, then the runner's to wake.
//! 5. References: one for the `Task` handle, one for the join handle, one per waker, one per
//!    [`TaskRef`](super::TaskRef), one for the length of a call that queues the task. The memory is
//!    freed when the count reaches zero.
//!
//! Why a wake is not lost against the end of a poll: the wake sets `SCHEDULED` by a read-modify-
//! write on this word and the runner leaves `RUNNING` by another on the same word. Whichever comes
//! second sees the first: either the runner finds `SCHEDULED` and queues the task again, or the
//! wake finds the task idle and queues it.
//!
//! The transitions, the bad interleavings and why they cannot happen: `docs/design/task-state.md`.

#[cfg(weftwork_canary)]
use crate::canary::{self, Step};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Set by creation and by a wake, cleared when a poll starts or the task completes: the task is in
/// a queue, or will be put there when the poll under way ends. Excludes a second queue entry.
pub(super) const SCHEDULED: usize = 1 << 0;
/// Set by the runner for the length of one poll. Excludes a second runner.
pub(super) const RUNNING: usize = 1 << 1;
/// Set by the runner, once: the output, or the fact of the cancellation, is in the stage.
pub(super) const COMPLETE: usize = 1 << 2;
/// Set by the join handle or the runtime: the task shall end at its next waiting point. Never
/// cleared.
pub(super) const CANCELLED: usize = 1 << 3;
/// Set at creation, cleared by the join handle's drop: somebody may still take the output.
pub(super) const HANDLE: usize = 1 << 4;
/// Set and cleared by the join handle: the joiner's waker is in place. Not cleared after `COMPLETE`.
pub(super) const JOIN_WAKER: usize = 1 << 5;
/// One reference.
pub(super) const REF: usize = 1 << 6;

/// What a runner that takes up a scheduled future shall do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Start {
    /// Poll it.
    Run,
    /// Drop it: it was cancelled before this poll.
    Cancel,
}

/// What a runner shall do after a poll that was not ready.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Idle {
    /// Nothing: the task sleeps until a wake; the runner's reference is gone.
    Asleep,
    /// Drop the future and complete: the runner's is the only reference, so nothing can ever wake
    /// it. The task stays `RUNNING` and the runner keeps the reference: the future's destructors
    /// may ask for the current task.
    Unreachable,
    /// Queue it again: it was woken during the poll. The runner's reference goes with it; a second
    /// one was added, see [`Wake::Schedule`].
    Reschedule,
    /// Drop the future and complete: it was cancelled during the poll. The task stays `RUNNING`.
    Cancel,
}

/// What a waker shall do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Wake {
    /// Nothing more.
    Done,
    /// Queue the task. One reference goes with the `Task`. Another one must hold the cell, and with it
    /// the schedule, until the queueing call returns: by then another thread may have run the task and
    /// given up the first. A wake that keeps its waker has that one's; otherwise a second reference was
    /// added, which is the caller's.
    Schedule,
    /// Free the task: the waker held the last reference.
    Free,
}

/// What a completed run shall do.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(super) struct Completed(usize);

impl Completed {
    /// A joiner waits: wake it.
    pub(super) fn has_joiner(self) -> bool {
        self.0 & JOIN_WAKER != 0
    }

    /// Nobody can take the output: drop it.
    pub(super) fn is_detached(self) -> bool {
        self.0 & HANDLE == 0
    }
}

/// The word.
#[derive(Debug)]
pub(super) struct State(AtomicUsize);

impl State {
    /// The state of a fresh task: in hand of its spawner, joinable.
    pub(super) fn new() -> Self {
        State(AtomicUsize::new(SCHEDULED | HANDLE | (2 * REF)))
    }

    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        // Acquire: pairs with the release in `complete`, so that the output is visible.
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        // Relaxed: a flag on its own; nothing is read on the strength of it.
        self.0.load(Ordering::Relaxed) & CANCELLED != 0
    }

    /// Whether the run is over or going on: for reports.
    pub(super) fn is_running(&self) -> bool {
        // Relaxed: a report.
        self.0.load(Ordering::Relaxed) & RUNNING != 0
    }

    /// `SCHEDULED` to `RUNNING`, by the owner of the `Task` handle.
    pub(super) fn start(&self) -> Start {
        // AcqRel: acquires what the waker did before it set SCHEDULED (partner: `wake_*`), and the
        // last poll's writes (partner: `suspend`); released again by `suspend` or `complete`.
        let before = self.0.fetch_xor(SCHEDULED | RUNNING, Ordering::AcqRel);
        debug_assert_eq!(before & (SCHEDULED | RUNNING | COMPLETE), SCHEDULED);
        if before & CANCELLED == 0 {
            Start::Run
        } else {
            Start::Cancel
        }
    }

    /// `RUNNING` to idle, or back to `SCHEDULED` if woken meanwhile.
    pub(super) fn suspend(&self) -> Idle {
        // Canary: a poll that publishes nothing to the next runner.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Suspend) {
            // Relaxed: that is the canary.
            let before = self.0.fetch_and(!RUNNING, Ordering::Relaxed);
            return if before & SCHEDULED != 0 {
                self.add_ref();
                Idle::Reschedule
            } else {
                // Relaxed: that is the canary.
                self.0.fetch_sub(REF, Ordering::Relaxed);
                Idle::Asleep
            };
        }
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert_eq!(now & (RUNNING | COMPLETE), RUNNING);
            let (next, answer) = if now & CANCELLED != 0 {
                // Stay RUNNING: the caller drops the future and completes. Acquire what the
                // canceller did by falling through to the exchange.
                (now & !SCHEDULED, Idle::Cancel)
            } else if now & SCHEDULED != 0 {
                ((now & !RUNNING) + REF, Idle::Reschedule)
            } else if now < 2 * REF {
                // Nobody else can reach the word; the exchange is for its acquire.
                (now, Idle::Unreachable)
            } else {
                ((now & !RUNNING) - REF, Idle::Asleep)
            };
            // AcqRel: publishes this poll's writes to the next runner (partner: `start`); acquires
            // what the owners of dropped references did (partner: `drop_ref`).
            match self
                .0
                .compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return answer,
                Err(seen) => now = seen,
            }
        }
    }

    /// To `COMPLETE`, by the runner (of a future or of a closure), which keeps its reference.
    #[inline]
    pub(super) fn complete(&self) -> Completed {
        // Canary: an end that does not publish the output.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Complete) {
            // Relaxed: that is the canary.
            let before = self.0.fetch_or(COMPLETE, Ordering::Relaxed);
            return Completed(self.0.fetch_and(!(SCHEDULED | RUNNING), Ordering::Relaxed) | before);
        }
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert_eq!(now & COMPLETE, 0);
            let next = (now & !(SCHEDULED | RUNNING)) | COMPLETE;
            // AcqRel: releases the output to the joiner (partner: `is_complete`, `drop_handle`),
            // acquires the joiner's waker (partner: `set_join_waker`).
            match self
                .0
                .compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Completed(next),
                Err(seen) => now = seen,
            }
        }
    }

    /// [`complete`](Self::complete) and [`drop_ref`](Self::drop_ref) in one step, for the common
    /// case of a joinable task with no joiner waiting yet. False: it was not that case, nothing
    /// changed.
    #[inline]
    pub(super) fn complete_and_leave(&self) -> bool {
        // Canary: as in `complete`, which it then takes.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Complete) {
            return false;
        }
        // Relaxed: only the starting guess for the exchange below.
        let now = self.0.load(Ordering::Relaxed);
        if now & (HANDLE | JOIN_WAKER) != HANDLE || now < 2 * REF {
            return false;
        }
        let next = ((now & !(SCHEDULED | RUNNING)) | COMPLETE) - REF;
        // AcqRel: releases the output, as in `complete`.
        self.0
            .compare_exchange(now, next, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// A wake that gives up its waker's reference.
    pub(super) fn wake_by_value(&self) -> Wake {
        // Canary: two wakes may both find the task idle.
        #[cfg(weftwork_canary)]
        if canary::is(Step::WakeByValue) {
            let seen = self.0.load(Ordering::Acquire);
            if seen & (COMPLETE | SCHEDULED | RUNNING) == 0 {
                self.0.fetch_or(SCHEDULED, Ordering::AcqRel);
                self.add_ref();
                return Wake::Schedule;
            }
        }
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let (next, answer) = if now & (COMPLETE | SCHEDULED) != 0 {
                let next = now - REF;
                (next, if next < REF { Wake::Free } else { Wake::Done })
            } else if now & RUNNING != 0 {
                ((now | SCHEDULED) - REF, Wake::Done)
            } else {
                ((now | SCHEDULED) + REF, Wake::Schedule)
            };
            // AcqRel: releases what the waker's owner did to the next poll (partner: `start`), even
            // when the task is queued already; acquires before a free (partner: `drop_ref`).
            match self
                .0
                .compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return answer,
                Err(seen) => now = seen,
            }
        }
    }

    /// A wake that keeps the waker, whose reference holds the cell while the task is queued: one is added.
    ///
    /// The context of a poll lends the runner's reference, but finds the task running or complete: it is
    /// never told to queue.
    #[inline]
    pub(super) fn wake_by_ref(&self) -> Wake {
        // Canary: a wake that finds the task running, and leaves its mark when the poll is over.
        #[cfg(weftwork_canary)]
        if canary::is(Step::WakeByRef) && self.0.load(Ordering::Acquire) & RUNNING != 0 {
            self.0.fetch_or(SCHEDULED, Ordering::AcqRel);
            return Wake::Done;
        }
        self.schedule_with(0, REF)
    }

    /// Asks the task to end. `Schedule` if it sleeps and has to be run once more to do so: two references
    /// are added.
    pub(super) fn cancel(&self) -> Wake {
        // Canary: a cancellation that finds the task running, and leaves its mark when the poll is
        // over.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Cancel) && self.0.load(Ordering::Acquire) & RUNNING != 0 {
            self.0.fetch_or(CANCELLED | SCHEDULED, Ordering::AcqRel);
            return Wake::Done;
        }
        self.schedule_with(CANCELLED, 2 * REF)
    }

    #[inline]
    fn schedule_with(&self, flag: usize, references: usize) -> Wake {
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            if now & COMPLETE != 0 {
                return Wake::Done;
            }
            let (next, answer) = if now & (SCHEDULED | RUNNING) == 0 {
                ((now | SCHEDULED | flag) + references, Wake::Schedule)
            } else {
                (now | SCHEDULED | flag, Wake::Done)
            };
            // AcqRel: as in `wake_by_value`.
            match self
                .0
                .compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return answer,
                Err(seen) => now = seen,
            }
        }
    }

    /// Publishes the joiner's waker. False: the task is complete, the waker was not needed.
    pub(super) fn set_join_waker(&self) -> bool {
        // Canary: a joiner that does not look whether the task ended before it left its waker.
        #[cfg(weftwork_canary)]
        if canary::is(Step::SetJoinWaker) {
            self.0.fetch_or(JOIN_WAKER, Ordering::AcqRel);
            return true;
        }
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert_eq!(now & HANDLE, HANDLE);
            debug_assert!(now & JOIN_WAKER == 0 || cfg!(weftwork_canary));
            if now & COMPLETE != 0 {
                // Acquire on the way out: the output is read next (partner: `complete`).
                return !self.is_complete();
            }
            // AcqRel: releases the waker to the runner (partner: `complete`).
            match self.0.compare_exchange_weak(
                now,
                now | JOIN_WAKER,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
    }

    /// Takes the joiner's waker back, to replace it. False: the task is complete, the waker is the
    /// runner's.
    pub(super) fn unset_join_waker(&self) -> bool {
        // Canary: a joiner that replaces its waker without taking it back first.
        #[cfg(weftwork_canary)]
        if canary::is(Step::UnsetJoinWaker) {
            return !self.is_complete();
        }
        // Relaxed: only the starting guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert_eq!(now & HANDLE, HANDLE);
            if now & COMPLETE != 0 {
                // Acquire on the way out: the output is read next (partner: `complete`).
                return !self.is_complete();
            }
            // AcqRel: keeps the next write of the waker after this.
            match self.0.compare_exchange_weak(
                now,
                now & !JOIN_WAKER,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
    }

    #[inline]
    pub(super) fn has_join_waker(&self) -> bool {
        // Relaxed: only the join handle, which asks, changes this bit.
        self.0.load(Ordering::Relaxed) & JOIN_WAKER != 0
    }

    /// Ends the join handle's claim on the output. True: the task is complete, so dropping the
    /// output is the handle's duty.
    pub(super) fn drop_handle(&self) -> bool {
        // Canary: a handle that decides before it leaves.
        #[cfg(weftwork_canary)]
        if canary::is(Step::DropHandle) {
            let complete = self.is_complete();
            self.0.fetch_and(!HANDLE, Ordering::AcqRel);
            return complete;
        }
        // AcqRel: acquires the output (partner: `complete`).
        self.0.fetch_and(!HANDLE, Ordering::AcqRel) & COMPLETE != 0
    }

    /// Whether the caller, who owns a reference, owns the only one and the task is complete: nobody
    /// else can reach it any more, and it may be freed without another read-modify-write.
    #[inline]
    pub(super) fn is_last_of_complete(&self) -> bool {
        // Acquire: pairs with the releases of the references dropped before.
        let now = self.0.load(Ordering::Acquire);
        now & COMPLETE != 0 && now < 2 * REF
    }

    #[inline]
    pub(super) fn add_ref(&self) {
        // Relaxed: a reference is made from a reference, which keeps the task alive.
        let before = self.0.fetch_add(REF, Ordering::Relaxed);
        if before > isize::MAX as usize {
            // Two to the fifty-seven references: only a leak in a loop gets here.
            std::process::abort();
        }
    }

    /// Gives a reference up. True: it was the last, the caller frees the task.
    #[inline]
    pub(super) fn drop_ref(&self) -> bool {
        // Canary: the one that frees does not see what the others did.
        #[cfg(weftwork_canary)]
        if canary::is(Step::DropRef) {
            // Relaxed: that is the canary.
            return self.0.fetch_sub(REF, Ordering::Relaxed) < 2 * REF;
        }
        // AcqRel: releases this owner's accesses to the one that frees (same method, last caller).
        let before = self.0.fetch_sub(REF, Ordering::AcqRel);
        debug_assert!(before >= REF);
        before < 2 * REF
    }
}

//! A task that wakes a future because it is about to wait for it hands the worker over: the future is polled
//! at once, on another carrier, and then the task goes on. If the future has done what the task would have
//! waited for, that saves it the wait: no timer, no waker, no queue.
//!
//! The task is put before all others in the ring, and the carrier that runs the loop polls the future before
//! it looks for other work. So when the future is pending or ready, or parks in its poll, the task is what
//! comes next, as long as it is not the turn of others: the rules of the loop hold. Each of the two has a
//! stack of its own, so neither waits for the other: one that is cancelled, or whose time is over, goes on
//! while the other is parked.
//!
//! Invariants
//! 1. `caught` is filled between a wake and the switch that follows it at once, and emptied by the carrier
//!    that is switched to.
//! 2. Who hands over is not parked: it is running or in the ring.

use super::Worker;
use crate::carrier::Carrier;
use std::cell::Cell;
use std::ptr::NonNull;
use weftwork_core::sync::atomic::Ordering;
use weftwork_core::task::Task;

/// How often in a row, while others wait for their turn.
const IN_A_ROW: u32 = 7;

/// See the module's page.
pub(super) struct HandOver {
    is_wanted: Cell<bool>,
    caught: Cell<Option<Task>>,
    /// How often the worker was handed over since it was last asked whether others wait.
    in_a_row: Cell<u32>,
}

impl HandOver {
    pub(super) const fn new() -> Self {
        HandOver {
            is_wanted: Cell::new(false),
            caught: Cell::new(None),
            in_a_row: Cell::new(0),
        }
    }

    /// Keeps a future that was woken, if one is wanted; else here it is.
    #[inline]
    pub(super) fn catch(&self, task: Task) -> Option<Task> {
        if !self.is_wanted.get() {
            return Some(task);
        }
        self.is_wanted.set(false);
        self.caught.replace(Some(task))
    }

    /// What is to be polled before anything else.
    #[inline]
    pub(super) fn take(&self) -> Option<Task> {
        self.caught.take()
    }
}

impl Worker {
    /// See [`Host::hand_over`](weftwork_core::host::Host::hand_over).
    pub(super) fn wake_and_run(&self, wake: &mut dyn FnMut()) -> bool {
        /// Nothing is wanted any more, even if the waker panics.
        struct Wanted<'a>(&'a Cell<bool>);
        impl Drop for Wanted<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        let Some(me) = self.may_hand_over() else {
            wake();
            return false;
        };
        let this = &self.hand_over;
        this.is_wanted.set(true);
        let wanted = Wanted(&this.is_wanted);
        wake();
        drop(wanted);
        let Some(task) = this.take() else {
            return false;
        };
        let Ok(next) = self.loop_carrier() else {
            self.push_next(task);
            return false;
        };
        this.caught.set(Some(task));
        let budget = self.budget.get();
        self.ready.push_front(me);
        // SAFETY: idle or new, hence suspended, and ours. We are in the ring, to be resumed by the loop.
        unsafe { self.switch(Some(next)) };
        self.budget.set(budget - 1);
        true
    }

    /// The running carrier, if it may hand over. Where it may not, its next wait lets others run, or ends.
    #[inline]
    fn may_hand_over(&self) -> Option<NonNull<Carrier>> {
        let me = self.busy_carrier()?;
        let in_a_row = self.hand_over.in_a_row.get() + 1;
        let is_their_turn = in_a_row > IN_A_ROW;
        self.hand_over
            .in_a_row
            .set(if is_their_turn { 0 } else { in_a_row });
        if is_their_turn && (!self.ready.is_empty() || self.has_own_tasks()) {
            return None;
        }
        // Relaxed: a hint.
        let is_over = self.budget.get() <= 1 || self.home().preempt.load(Ordering::Relaxed);
        // SAFETY: the running carrier is alive.
        (!is_over && !unsafe { me.as_ref() }.is_cancelled()).then_some(me)
    }
}

//! What the worker does for the task that is current: park it, count its time, run what it joins.
//!
//! Parking is a flag and a switch: to the next ready carrier, else to one that runs the loop. Nothing
//! is shared and nothing has to be done on the other side of the switch, because a wake from another
//! thread goes through the inbox of this worker, which looks there only after the switch.

use super::{BUDGET, IN_PLACE_STACK, Worker};
use crate::carrier::Carrier;
use crate::home::Published;
use crate::item::Unpacked;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Instant;
use weftwork_core::host::Host;
use weftwork_core::task::RawTask;
use weftwork_core::wait::{Cancelled, Reason, Site};
use weftwork_fiber::remaining_stack;

// SAFETY: the waker lies in the running carrier, which lives at least until the task that is on it
// ends; the task never leaves it.
unsafe impl Host for Worker {
    #[inline]
    fn can_park(&self) -> bool {
        self.busy_carrier().is_some()
    }

    #[inline]
    fn waker(&self) -> NonNull<Waker> {
        NonNull::from(self.running().waker())
    }

    #[inline]
    fn park(
        &self,
        site: Site,
        deadline: Option<Instant>,
        interruptible: bool,
    ) -> Result<(), Cancelled> {
        let this = self.running();
        if let Some(task) = this.task.get() {
            // SAFETY: the task is being run, by us.
            unsafe { task.set_runner(this.waker()) };
        }
        // SAFETY: the tasks below are being run, by us.
        this.each_joiner(|task| unsafe { task.set_runner(this.waker()) });
        if interruptible && this.is_cancelled() {
            return Err(Cancelled);
        }
        let timer = deadline.map(|deadline| {
            let home = self.home();
            home.arm(self.shared.clock.at(deadline), this.waker().clone())
                .0
        });
        if !this.notified.replace(false) {
            this.site.set(Some(site));
            this.shielded
                .set(!interruptible && may_have_lent(site.reason));
            this.trimmed.set(false);
            this.parked.set(true);
            self.leave();
            this.site.set(None);
            this.notified.set(false);
        }
        if let Some(timer) = timer {
            drop(self.home().disarm(timer));
        }
        Ok(())
    }

    #[inline]
    fn checkpoint(&self) -> Result<(), Cancelled> {
        Published::bump(&self.home().published.epoch);
        let budget = self.budget.get() - 1;
        self.budget.set(budget);
        if budget == 0 || self.slice_is_over() {
            self.give_way();
        }
        if self.running().is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    fn run_if_next(&self, task: RawTask) -> bool {
        if remaining_stack().is_none_or(|left| left < IN_PLACE_STACK) {
            return false;
        }
        match self.fresh.pop() {
            Some(item) if item.is(task.pointer()) => {
                if let Unpacked::Task(task) = item.unpack() {
                    self.run_in_place(task);
                }
                true
            }
            Some(item) => {
                self.fresh.push(item);
                false
            }
            None => false,
        }
    }

    #[inline]
    fn hand_over(&self, wake: &mut dyn FnMut()) -> bool {
        self.wake_and_run(wake)
    }

    fn current(&self) -> Option<RawTask> {
        self.current_task()
    }
}

/// Whether a wait that cannot be left may be for somebody who uses what the waiting task has lent: the
/// calls that let closures borrow wait for these reasons. (A destructor that waits while its task
/// unwinds cannot be left either, but has lent nothing by it.)
fn may_have_lent(reason: Reason) -> bool {
    [
        Reason::SCOPE,
        Reason::FORK_JOIN,
        Reason::BLOCKING,
        Reason::JOIN,
    ]
    .contains(&reason)
}

impl Worker {
    /// The carrier that runs. Only called by tasks.
    #[inline]
    fn running(&self) -> &Carrier {
        let carrier = self.current.get().expect("tasks run on carriers");
        // SAFETY: the running carrier is alive, and the task that asks does not outlive its stay.
        unsafe { carrier.as_ref() }
    }

    /// Switches from a carrier that is parked, or in the ring, to whatever comes next.
    #[inline]
    fn leave(&self) {
        let tick = self.tick.get() + 1;
        self.tick.set(tick);
        let next = if tick >= self.next_check.get() || self.home().inbox.has_mail() {
            None
        } else if self.tasks_turn() && self.has_own_tasks() {
            self.tasks_first();
            None
        } else {
            self.ready.pop()
        };
        Published::bump(&self.home().published.switches);
        // No ready carrier, or others than ready carriers are to have a turn: run the loop. Without
        // a stack for it the root does so.
        let next = next.or_else(|| self.loop_carrier().ok());
        // SAFETY: ready, idle, new, or the root: suspended and ours. We are resumed by a wake or
        // from the ring.
        unsafe { self.switch(next) };
        self.budget.set(BUDGET);
    }

    /// Yields after so many calls that the turns of the loop, which are counted as short, tell nothing
    /// about the time: a task that always finds something to read takes one turn for all of them.
    #[cold]
    fn give_way(&self) {
        if self.check_is_due() {
            self.next_check.set(self.tick.get());
        }
        self.yield_now();
    }

    /// Lets everything else that is ready have a turn.
    pub(crate) fn yield_now(&self) {
        self.budget.set(BUDGET);
        let Some(me) = self.busy_carrier() else {
            return;
        };
        let tick = self.tick.get() + 1;
        self.tick.set(tick);
        if tick >= self.next_check.get() {
            self.check_clock();
            if let Some(item) = self.take_injected() {
                self.woken.push(item);
            }
        }
        if self.home().inbox.has_mail() {
            self.take_mail();
        }
        if self.to_root.get() {
            self.ready.push(me);
            // SAFETY: the root is suspended while a carrier runs. We are in the ring, to be resumed
            // if the worker runs again.
            unsafe { self.switch(None) };
            return;
        }
        let tasks = (self.tasks_turn() || self.ready.is_empty()) && self.has_own_tasks();
        let next = if tasks {
            self.tasks_first();
            self.loop_carrier().ok()
        } else {
            self.ready.pop()
        };
        let Some(next) = next else { return };
        self.ready.push(me);
        // SAFETY: ready, idle or new: suspended and ours. We are in the ring. A carrier that took
        // itself out of it cannot be `next`: it was running.
        unsafe { self.switch(Some(next)) };
        self.budget.set(BUDGET);
    }

    /// Whether what runs on this worker was asked to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: the running carrier is alive.
        self.current
            .get()
            .is_some_and(|carrier| unsafe { carrier.as_ref() }.is_cancelled())
    }

    /// The running carrier's user-level token: taken if there is one.
    #[inline]
    pub(crate) fn take_token(&self) -> bool {
        let this = self.running();
        let taken = this.token.replace(false);
        if taken && let Some(joiner) = this.joiners.get() {
            // SAFETY: it lies in a frame of the running stack.
            unsafe { joiner.as_ref() }.token.set(true);
        }
        taken
    }
}

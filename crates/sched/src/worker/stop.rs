//! The end of a worker: every task on its carriers is cancelled, then the loop runs until nothing is
//! left, then the carriers end.

use super::Worker;
use crate::home::Published;
use crate::shared::Phase;
use std::fmt;
use std::panic::Location;
use std::time::Instant;
use weftwork_core::TaskId;
use weftwork_core::task::{Task, TaskRef};
use weftwork_core::wait::Site;

/// A task that had not ended when its runtime did, and was ended by it.
#[derive(Debug, Clone)]
pub struct Leftover {
    id: TaskId,
    name: Option<Box<str>>,
    spawned_at: &'static Location<'static>,
    waited_for: Option<Site>,
}

impl Leftover {
    pub(crate) fn new(task: &TaskRef, waited_for: Option<Site>) -> Self {
        Leftover {
            id: task.id(),
            name: task.name().map(Into::into),
            spawned_at: task.spawned_at(),
            waited_for,
        }
    }

    /// The number of the task.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The name its spawner gave it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned.
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// What it waited for, and where, if it was a green thread that was parked.
    #[must_use]
    pub fn waited_for(&self) -> Option<Site> {
        self.waited_for
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " '{name}'")?;
        }
        write!(f, " spawned at {}", self.spawned_at)?;
        if let Some(site) = self.waited_for {
            write!(f, ", waiting: {site}")?;
        }
        Ok(())
    }
}

impl Worker {
    /// Cancels, once, every task that has started on this worker.
    pub(super) fn begin_stop(&self) {
        if self.stopping.replace(true) {
            return;
        }
        let mut tasks = Vec::new();
        self.each_carrier(|carrier| {
            if let Some(task) = carrier.task.get() {
                let site = if carrier.parked.get() {
                    carrier.site.get()
                } else {
                    None
                };
                // SAFETY: a task on a carrier is being run, hence alive.
                tasks.push((unsafe { task.upgrade() }, site));
            }
            // SAFETY: as above.
            carrier.each_joiner(|task| tasks.push((unsafe { task.upgrade() }, None)));
        });
        // Cancelling calls wakers, which may change the list of carriers: hence in a second step.
        for (task, site) in &tasks {
            self.shared
                .suspended
                .note_leftover(Leftover::new(task, *site));
            task.cancel();
        }
    }

    /// Cancels a task that has started and that the stop did not see, and notes it as left over.
    #[cold]
    pub(crate) fn cancel_overlooked(&self, task: &TaskRef) {
        if !task.is_cancelled() {
            self.shared
                .suspended
                .note_leftover(Leftover::new(task, None));
        }
        task.cancel();
    }

    /// Cancels a queued task of a runtime that stops: its run is then its end.
    #[cold]
    pub(super) fn cancel_queued(&self, task: &Task) {
        let task = task.task_ref();
        if !task.is_cancelled() {
            self.shared
                .suspended
                .note_leftover(Leftover::new(&task, None));
        }
        task.cancel();
    }

    /// Whether the loop shall end.
    pub(super) fn must_leave(&self) -> bool {
        if let Some(deadline) = self.stop_at.get() {
            let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            return late || self.shared.live() == 0;
        }
        self.shared.phase() == Phase::Exiting
    }

    /// Whether a task that would not end is still on one of this worker's stacks.
    pub(crate) fn has_left_behind(&self) -> bool {
        let mut any = false;
        self.each_carrier(|carrier| any |= carrier.busy.get());
        any
    }

    /// Whether a task waits for something that may be using what it has lent: a scope's children, the
    /// other half of a fork-join, a closure in the blocking pool.
    pub(crate) fn has_lent(&self) -> bool {
        let mut any = false;
        self.each_carrier(|carrier| {
            any |= carrier.busy.get() && carrier.parked.get() && carrier.shielded.get();
        });
        any
    }

    /// Drops what is still queued, after the loop has ended for good, and ends the idle carriers.
    /// Carriers with tasks that would not end are left as they are, and leaked on purpose.
    pub(crate) fn clear(&self) {
        loop {
            let item = self.fresh.pop().or_else(|| self.woken.pop());
            let task = self
                .home()
                .next_up
                .take()
                .or_else(|| self.local.borrow_mut().pop_front());
            if item.is_none() && task.is_none() {
                break;
            }
            drop(item);
            drop(task);
            Published::bump(&self.home().published.run);
        }
        self.retire_idle(0);
        self.bury();
        self.open_mail(self.home().inbox.close());
    }
}

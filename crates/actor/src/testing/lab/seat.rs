//! How waits of this crate and the others come to the lab: the host of a seat's thread.

use super::turns::{TEST, Turns};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;
use weftwork_core::Task;
use weftwork_core::host::{self, Entered, Host};
use weftwork_core::task::RawTask;
use weftwork_core::wait::{Cancelled, Site};

/// What a thread of the lab runs, and how it is woken.
pub(super) struct Place {
    turns: Arc<Turns>,
    seat: usize,
    waker: Waker,
    current: Cell<Option<RawTask>>,
}

/// Wakes whoever waits on a seat.
struct Bell {
    turns: Arc<Turns>,
    seat: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.turns.ring(self.seat);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.turns.ring(self.seat);
    }
}

thread_local! {
    /// The number of the seat of this thread; none is the test's, or no lab's.
    static SEAT: Cell<usize> = const { Cell::new(TEST) };
}

/// Runs `f` on a seat: from now on what waits on this thread lets others run.
pub(super) fn occupy<R>(turns: &Arc<Turns>, seat: usize, f: impl FnOnce(&Place) -> R) -> R {
    let bell = Bell {
        turns: Arc::clone(turns),
        seat,
    };
    let place = Place {
        turns: Arc::clone(turns),
        seat,
        waker: Waker::from(Arc::new(bell)),
        current: Cell::new(None),
    };
    let host: NonNull<dyn Host> = NonNull::from(&place);
    let before = SEAT.replace(seat);
    // SAFETY: `place` outlives the guard, which is dropped first, on this thread, and after all guards that
    // are made in `f`: those are in calls that have returned or unwound by then.
    let _guard = unsafe { host::enter(host) };
    let _leave = Leave { _guard, before };
    f(&place)
}

/// Leaves a seat.
struct Leave {
    _guard: Entered,
    before: usize,
}

impl Drop for Leave {
    fn drop(&mut self) {
        SEAT.set(self.before);
    }
}

/// The worker's seat that this thread is, if it is one.
pub(super) fn current() -> Option<usize> {
    Some(SEAT.get()).filter(|seat| *seat != TEST)
}

impl Place {
    /// Runs a task.
    pub(super) fn run(&self, task: Task) {
        self.current.set(Some(task.raw()));
        task.run();
        self.current.set(None);
    }

    fn is_cancelled(&self) -> bool {
        // SAFETY: set by `run` for as long as the task runs, so it is alive.
        (self.current.get()).is_some_and(|task| unsafe { task.is_cancelled() })
    }
}

// SAFETY: the waker is a field that does not change, of a place that outlives whatever runs on its thread.
unsafe impl Host for Place {
    fn can_park(&self) -> bool {
        true
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
        if interruptible && let Some(task) = self.current.get() {
            // SAFETY: we run the task.
            unsafe { task.set_runner(&self.waker) };
            if self.is_cancelled() {
                return Err(Cancelled);
            }
        }
        let alarm = deadline.map(|due| self.turns.clock.call_at(due, self.waker.clone()));
        self.turns.wait(self.seat, site);
        drop(alarm);
        if interruptible && self.is_cancelled() {
            return Err(Cancelled);
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            return Err(Cancelled);
        }
        Ok(())
    }

    fn run_if_next(&self, _: RawTask) -> bool {
        // What is next is drawn.
        false
    }

    fn current(&self) -> Option<RawTask> {
        self.current.get()
    }

    fn now(&self) -> Instant {
        self.turns.clock.now()
    }
}

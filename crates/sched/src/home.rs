//! The part of a worker that other threads may touch: where its mail arrives, what of its work can
//! be taken, and what it last said about itself.

use crate::carrier::Label;
use crate::inbox::Inbox;
use crate::item::Item;
use crate::next_up::NextUp;
use crossbeam_deque::Stealer;
use crossbeam_utils::CachePadded;
use std::panic::Location;
use std::task::Waker;
use weftwork_core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use weftwork_core::sync::{Arc, Mutex};
use weftwork_core::task::Task;
use weftwork_reactor::{Driver, TimerKey, Wheel};

/// See the module's page.
pub(crate) struct Home {
    pub(crate) index: usize,
    pub(crate) inbox: CachePadded<Inbox>,
    pub(crate) driver: Arc<Driver>,
    /// The worker's timers; also advanced by the monitor while the worker is stuck.
    pub(crate) wheel: Mutex<Wheel<Waker>>,
    /// New tasks and halves of fork-joins: the owner takes the newest, thieves the oldest.
    pub(crate) fresh: Stealer<Item>,
    /// Woken futures, first come, first served.
    pub(crate) woken: Stealer<Item>,
    /// The future that was woken last: run next, while the data is hot.
    pub(crate) next_up: NextUp,
    /// Woken thread-bound tasks from other threads.
    pub(crate) local_mail: Mutex<Vec<Task>>,
    pub(crate) has_local_mail: AtomicBool,
    /// Set by the monitor: the running task's time slice is over. Cleared by the worker.
    pub(crate) preempt: AtomicBool,
    /// Set by the monitor: the worker gives unused pages of its parked stacks back before it sleeps.
    pub(crate) sweep: AtomicBool,
    pub(crate) published: Published,
}

/// What the owner writes and others read: the counts of [`live`](crate::live), others for reports, and
/// what runs.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Goes up with every task run and every switch.
    pub(crate) epoch: AtomicU64,
    /// Tasks put into queues by this worker, at their spawn or a wake.
    pub(crate) queued: AtomicU64,
    /// Tasks taken out of queues, whoever put them there, and run to the end of that run.
    pub(crate) run: AtomicU64,
    pub(crate) steals: AtomicU64,
    pub(crate) switches: AtomicU64,
    pub(crate) sleeps: AtomicU64,
    pub(crate) carriers: AtomicU64,
    /// Whether the worker is in its poller, or about to be.
    pub(crate) asleep: AtomicBool,
    running_id: AtomicU64,
    running_from: AtomicPtr<Location<'static>>,
}

impl Published {
    /// Adds to a count that only the calling thread writes.
    #[inline]
    pub(crate) fn bump(count: &AtomicU64) {
        crate::live::bump(count);
    }

    /// Says what runs now.
    #[inline]
    pub(crate) fn set_label(&self, label: Label) {
        // Relaxed: a report may pair one task's number with another's line; it is read twice.
        self.running_id.store(label.id, Ordering::Relaxed);
        self.running_from.store(
            std::ptr::from_ref(label.spawned_at).cast_mut(),
            Ordering::Relaxed,
        );
    }

    /// What ran last; `None` in the loop.
    pub(crate) fn label(&self) -> Option<Label> {
        // Relaxed: see `set_label`.
        let id = self.running_id.load(Ordering::Relaxed);
        let from = self.running_from.load(Ordering::Relaxed);
        // SAFETY: null at first, and since then only ever made from a `&'static Location`.
        let spawned_at = unsafe { from.as_ref() }?;
        (id != 0).then_some(Label { id, spawned_at })
    }
}

impl Home {
    pub(crate) fn wake_poller(&self) {
        // The write to the eventfd fails only if the descriptor is gone: that of a worker that has
        // ended and looks at nothing any more.
        let _ = self.driver.wake();
    }

    /// Makes the worker look around.
    pub(crate) fn kick(&self) {
        if self.inbox.kick() {
            self.wake_poller();
        }
    }

    /// Arms a timer, from any thread. `earlier`: the worker sleeps too long for it.
    pub(crate) fn arm(&self, deadline_ns: u64, waker: Waker) -> (TimerKey, bool) {
        let mut wheel = self.wheel.lock();
        let earlier = wheel.next_deadline().is_none_or(|next| deadline_ns < next);
        (wheel.insert(deadline_ns, waker), earlier)
    }

    /// Disarms a timer; its waker, if it had not fired.
    pub(crate) fn disarm(&self, key: TimerKey) -> Option<Waker> {
        self.wheel.lock().cancel(key)
    }

    /// Hands a thread-bound task to the worker.
    pub(crate) fn post_local(&self, task: Task) {
        self.local_mail.lock().push(task);
        // Relaxed: ordered by the kick, which the owner takes before it looks.
        self.has_local_mail.store(true, Ordering::Relaxed);
        self.kick();
    }
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Home")
            .field("index", &self.index)
            .field("published", &self.published)
            .finish_non_exhaustive()
    }
}

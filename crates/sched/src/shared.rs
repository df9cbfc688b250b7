//! What all workers of one runtime share.

use crate::blocking::Pool;
use crate::builder::Config;
use crate::home::Home;
use crate::idle::Idle;
use crate::item::Item;
use crate::live::{self, Gate};
use crate::monitor_sleep::MonitorSleep;
use crate::registry::{Key, Registry};
use crate::worker::Leftover;
use crossbeam_deque::Injector;
use crossbeam_utils::CachePadded;
use std::collections::HashMap;
use std::task::Waker;
use weftwork_core::TaskId;
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use weftwork_core::task::{Task, TaskRef};
use weftwork_fiber::StackPool;
use weftwork_reactor::Clock;

pub(crate) use crate::live::Phase;

/// See the module's page.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) homes: Box<[Home]>,
    pub(crate) injector: CachePadded<Injector<Item>>,
    pub(crate) idle: CachePadded<Idle>,
    pub(crate) stacks: StackPool,
    pub(crate) clock: Clock,
    gate: CachePadded<Gate>,
    pub(crate) suspended: Registry,
    /// Names of the living named tasks, for reports by number.
    pub(crate) names: Mutex<HashMap<TaskId, Box<str>>>,
    pub(crate) blocking: Pool,
    pub(crate) monitor: MonitorSleep,
    /// Who waits in a shutdown for the end of the tasks, or of the workers.
    pub(crate) shutdown_waits: Mutex<Vec<Waker>>,
    /// Whether a worker's thread stays behind with the stacks of tasks that would not end.
    pub(crate) lingering: AtomicBool,
    /// Workers that have left their loops.
    pub(crate) exited: AtomicUsize,
    /// Whether the exhaustion of stacks has been reported.
    pub(crate) out_of_stacks: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        homes: Box<[Home]>,
        stacks: StackPool,
        clock: Clock,
        blocking: Pool,
    ) -> Self {
        Shared {
            injector: CachePadded::new(Injector::new()),
            idle: CachePadded::new(Idle::new(homes.len())),
            stacks,
            clock,
            gate: CachePadded::new(Gate::new()),
            suspended: Registry::new(homes.len()),
            names: Mutex::new(HashMap::new()),
            blocking,
            monitor: MonitorSleep::new(),
            shutdown_waits: Mutex::new(Vec::new()),
            lingering: AtomicBool::new(false),
            exited: AtomicUsize::new(0),
            out_of_stacks: AtomicBool::new(false),
            config,
            homes,
        }
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.gate.phase()
    }

    /// Raises the phase and makes every worker look at it.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.gate.raise(phase);
        for home in &self.homes {
            // Relaxed: a hint to look at the phase.
            home.preempt.store(true, Ordering::Relaxed);
            home.kick();
        }
        self.monitor.wake();
    }

    /// Wakes a sleeping worker for work that was just published, if the policy says so.
    #[inline]
    pub(crate) fn work_published(&self) {
        if self.homes.len() > 1
            && let Some(index) = self.idle.wake_one()
        {
            self.homes[index].kick();
        }
    }

    /// Queues a task for any worker, from a thread that is none.
    pub(crate) fn inject(&self, task: Task) {
        self.gate.count();
        self.push_injected(task);
    }

    /// Queues a task that a thread outside spawned.
    ///
    /// # Errors
    /// The runtime has closed; the task comes back.
    pub(crate) fn inject_spawned(&self, task: Task) -> Result<(), Task> {
        if !self.gate.admit() {
            return Err(task);
        }
        self.push_injected(task);
        Ok(())
    }

    /// Queues a task that was counted.
    fn push_injected(&self, task: Task) {
        self.injector.push(Item::task(task));
        if self.homes.len() == 1 {
            self.homes[0].kick();
        } else {
            self.work_published();
        }
    }

    /// Notes the first suspension of a future, during its poll. A shutdown that has been through the
    /// registry before that has raised the phase before: under the registry's lock one of the two
    /// sees the other.
    pub(crate) fn register(&self, worker: usize, task: TaskRef) -> Key {
        let key = self.suspended.insert(worker, task.clone());
        if self.phase() >= Phase::Stopping && !task.is_cancelled() {
            self.suspended.note_leftover(Leftover::new(&task, None));
            task.cancel();
        }
        key
    }

    /// Hands a thread-bound task to its worker, from another thread.
    pub(crate) fn post_local(&self, worker: usize, task: Task) {
        self.gate.count();
        self.homes[worker].post_local(task);
    }

    /// How many tasks are queued, running, parked or suspended. Exact when it is zero.
    pub(crate) fn live(&self) -> u64 {
        let workers = self.homes.iter();
        let workers = workers.map(|home| (&home.published.queued, &home.published.run));
        live::living(&self.gate, workers, || self.suspended.len())
    }

    /// How many tasks will be left behind. [`live`](Self::live) counts a registered future that is in
    /// its poll as running too.
    pub(crate) fn unended(&self) -> u64 {
        self.live().saturating_sub(self.suspended.polling())
    }

    /// Says that a worker has nothing to do, for a shutdown that waits for the end of the tasks.
    pub(crate) fn note_quiet(&self) {
        if self.phase() >= Phase::Closing && self.live() == 0 {
            self.wake_shutdown();
        }
    }

    /// Makes a waiting shutdown look again.
    pub(crate) fn wake_shutdown(&self) {
        let waiting = std::mem::take(&mut *self.shutdown_waits.lock());
        for waker in waiting {
            waker.wake();
        }
    }

    /// The name of a living task.
    pub(crate) fn name_of(&self, id: u64) -> Option<Box<str>> {
        let names = self.names.lock();
        names
            .iter()
            .find(|(key, _)| key.get() == id)
            .map(|(_, name)| name.clone())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .field("homes", &self.homes)
            .field("phase", &self.phase())
            .field("live", &self.live())
            .finish_non_exhaustive()
    }
}

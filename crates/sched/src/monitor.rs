//! The monitor: a thread that looks after workers which do not look after themselves.
//!
//! While any worker is awake it looks at all of them every few milliseconds. One whose epoch has not
//! moved between looks, and which is not in its poller, is *stuck*: a task keeps it without a runtime
//! call. Its time slice is ended (it yields at its next runtime call), its poller and timers are
//! served from here, and a sleeping worker is woken to take its queued tasks, which can be stolen as
//! always. What cannot be helped are the carriers parked there: they wait for their thread.
//!
//! When all workers sleep the monitor does too (see [`monitor_sleep`](crate::monitor_sleep)): an idle
//! runtime wakes nobody.

use crate::foreign;
use crate::home::Home;
use crate::item::Item;
use crate::shared::{Phase, Shared};
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};
use weftwork_core::sync::atomic::Ordering;
use weftwork_reactor::Events;

/// The time between two looks.
const PERIOD: Duration = Duration::from_millis(5);
/// A task may keep its worker this long before others take over what can be taken.
const SLICE: Duration = Duration::from_millis(10);
/// Looks that find everybody asleep before the monitor sleeps too, or begins to think of memory.
const IDLE_LOOKS: u32 = 4;
/// Further looks, and the time between them, before an idle runtime gives memory back: a second.
const SHRINK_LOOKS: u32 = 8;
const SHRINK_NAP: Duration = Duration::from_millis(125);
/// Fewer stacks than this are not worth the trouble.
const SHRINK_FROM: usize = 256;

/// A task that keeps its worker: what [`Builder::on_stuck`](crate::Builder::on_stuck) is told.
#[derive(Debug, Clone)]
pub struct Stuck {
    worker: usize,
    task: u64,
    name: Option<Box<str>>,
    spawned_at: &'static Location<'static>,
    since: Duration,
}

impl Stuck {
    /// The number of the worker.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The number of the task.
    #[must_use]
    pub fn task(&self) -> u64 {
        self.task
    }

    /// The name of the task.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where the task was spawned.
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// How long the task has not made a runtime call, about.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} is stuck in task {}", self.worker, self.task)?;
        if let Some(name) = &self.name {
            write!(f, " '{name}'")?;
        }
        write!(
            f,
            " spawned at {}: no runtime call for {} ms; use blocking() or checkpoint()",
            self.spawned_at,
            self.since.as_millis()
        )
    }
}

struct Seen {
    epoch: u64,
    since: Instant,
    reported: bool,
}

pub(crate) fn run(shared: &Shared) {
    let start = Instant::now();
    let mut seen: Vec<Seen> = shared
        .homes
        .iter()
        .map(|_| Seen {
            epoch: 0,
            since: start,
            reported: false,
        })
        .collect();
    let mut events = Events::with_capacity(64);
    let mut due = Vec::new();
    let mut idle = IdleTime::new();
    while shared.phase() != Phase::Exiting {
        let everybody_sleeps = || shared.idle.sleepers() == shared.homes.len();
        if everybody_sleeps() {
            match idle.next(shared) {
                IdleStep::Nap(time) => shared.monitor.nap(time),
                IdleStep::Shrink => shrink(shared),
                IdleStep::Sleep => {
                    shared
                        .monitor
                        .sleep(|| everybody_sleeps() && shared.phase() != Phase::Exiting);
                    let now = Instant::now();
                    seen.iter_mut().for_each(|seen| seen.since = now);
                }
            }
            continue;
        }
        idle.over();
        shared.monitor.nap(PERIOD);
        let now = Instant::now();
        for (home, seen) in shared.homes.iter().zip(&mut seen) {
            // Relaxed, both: hints; a wrong one costs a look more or less.
            let epoch = home.published.epoch.load(Ordering::Relaxed);
            if epoch != seen.epoch || home.published.asleep.load(Ordering::Relaxed) {
                *seen = Seen {
                    epoch,
                    since: now,
                    reported: false,
                };
                continue;
            }
            let stuck_for = now.duration_since(seen.since);
            if stuck_for < SLICE {
                continue;
            }
            take_over(shared, home, &mut events, &mut due);
            if stuck_for >= shared.config.stuck_after && !seen.reported {
                seen.reported = true;
                report(shared, home, stuck_for);
            }
        }
    }
}

/// What the monitor does while everybody sleeps.
enum IdleStep {
    Nap(Duration),
    Shrink,
    Sleep,
}

/// How long the runtime has been idle, and whether it has given memory back since.
struct IdleTime {
    looks: u32,
    /// What the workers had done when memory was given back last.
    shrunk_at: u64,
}

impl IdleTime {
    fn new() -> Self {
        IdleTime {
            looks: 0,
            shrunk_at: 0,
        }
    }

    fn over(&mut self) {
        self.looks = 0;
    }

    fn next(&mut self, shared: &Shared) -> IdleStep {
        self.looks += 1;
        if self.looks < IDLE_LOOKS {
            return IdleStep::Nap(PERIOD);
        }
        // Relaxed: a change that is overlooked is seen at the next idle time.
        let done = |home: &Home| home.published.epoch.load(Ordering::Relaxed);
        let done = shared.homes.iter().map(done).sum();
        let stacks = shared.stacks.stats();
        if done == self.shrunk_at || stacks.in_use + stacks.hot < SHRINK_FROM {
            self.looks = 0;
            return IdleStep::Sleep;
        }
        if self.looks < IDLE_LOOKS + SHRINK_LOOKS {
            return IdleStep::Nap(SHRINK_NAP);
        }
        self.looks = 0;
        self.shrunk_at = done;
        IdleStep::Shrink
    }
}

/// Gives memory of an idle runtime back: the pages of stacks in the pool, in one batch from here; the
/// unused pages of parked stacks by their workers, which look for them before they sleep again.
fn shrink(shared: &Shared) {
    shared.stacks.trim();
    for home in &shared.homes {
        // Relaxed: ordered by the kick.
        home.sweep.store(true, Ordering::Relaxed);
        home.kick();
    }
}

/// Serves what a stuck worker does not, and sees that its queued tasks find somebody.
fn take_over(shared: &Shared, home: &Home, events: &mut Events, due: &mut Vec<std::task::Waker>) {
    // Relaxed: a hint.
    home.preempt.store(true, Ordering::Relaxed);
    // An error shows at the worker itself, at its next look.
    let _ = foreign::call(|| home.driver.turn(events, Some(Duration::ZERO)));
    {
        let mut wheel = home.wheel.lock();
        if !wheel.is_empty() {
            wheel.advance(shared.clock.now_ns(), due);
        }
    }
    for waker in due.drain(..) {
        foreign::call(|| waker.wake());
    }
    if let Some(task) = home.next_up.take() {
        // Counted when it was woken.
        shared.injector.push(Item::task(task));
    }
    if !home.fresh.is_empty() || !home.woken.is_empty() || !shared.injector.is_empty() {
        shared.work_published();
    }
}

fn report(shared: &Shared, home: &Home, since: Duration) {
    let Some(label) = home.published.label() else {
        return;
    };
    let stuck = Stuck {
        worker: home.index,
        task: label.id,
        name: shared.name_of(label.id),
        spawned_at: label.spawned_at,
        since,
    };
    foreign::call(|| match &shared.config.on_stuck {
        Some(hook) => hook(&stuck),
        None => (shared.config.on_warning)(&stuck.to_string()),
    });
}

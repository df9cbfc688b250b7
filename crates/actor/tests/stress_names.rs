//! Names and groups while their actors come and go: nobody finds one whose end was told before he looked,
//! and what a monitor of groups lists and hears adds up to what there is.

mod storm;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use storm::{Crowd, Dice, breathe, end, on_both};
use weftwork_actor::groups::{Change, Event, GroupMonitor, Scope};
use weftwork_actor::registry::{DuplicateRegistry, RegisterError, Registry};
use weftwork_actor::{Actor, Context, InitError, Options, Pid, StartError, System, start};
use weftwork_core::sync::Mutex;
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

const NAMES: usize = 16;
const GROUPS: usize = 4;

fn name(n: usize) -> String {
    format!("n{n}")
}

fn group(n: usize) -> String {
    format!("g{n}")
}

/// Has the name and is in the groups that others give it.
struct Bearer;

impl Actor for Bearer {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Bearer)
    }
}

/// The tables, and the ends that were told, with the time of each.
#[derive(Clone, Default)]
struct Town {
    names: Registry,
    crowd: DuplicateRegistry,
    scope: Scope,
    clock: Arc<AtomicU64>,
    ends: Arc<Mutex<HashMap<u64, u64>>>,
    is_over: Arc<AtomicBool>,
}

impl Town {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel)
    }

    /// Ends an actor, waits until that is told, and notes it.
    fn bury(&self, pid: &Pid, way: usize) {
        let watch = pid.watch();
        drop(end(pid, way));
        watch.wait_down();
        let now = self.now();
        self.ends.lock().entry(pid.number()).or_insert(now);
    }

    /// Asserts that nobody of those was known to be dead at the time.
    fn assert_living(&self, found: &[Pid], since: u64) {
        let ends = self.ends.lock();
        for pid in found {
            let end = ends.get(&pid.number());
            assert!(end.is_none_or(|end| *end > since), "{pid} was dead");
        }
    }
}

/// Gives birth, names and groups, takes them again, and buries.
struct Clerk {
    town: Town,
    system: System,
    dice: Dice,
    living: Vec<Pid>,
}

impl Clerk {
    fn work(&mut self) {
        let (n, g) = (self.dice.below(NAMES), self.dice.below(GROUPS));
        match self.dice.below(8) {
            0..=2 => {
                let options = Options::new().register(self.town.names.clone(), name(n));
                match start::<Bearer>(&self.system, (), options) {
                    Ok(bearer) => self.living.push(bearer.pid()),
                    Err(StartError::AlreadyStarted(holder)) => drop(end(&holder, n)),
                    // Somebody has found its name before it was there.
                    Err(StartError::Failed(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            3 => {
                let options = Options::new().register(self.town.crowd.clone(), "all");
                let bearer = start::<Bearer>(&self.system, (), options).unwrap();
                match self.town.names.register(name(n), &bearer.pid()) {
                    Ok(()) | Err(RegisterError::Dead) => {}
                    Err(RegisterError::Taken(holder)) => drop(end(&holder, n)),
                    Err(error) => panic!("{error}"),
                }
                self.living.push(bearer.pid());
            }
            4 | 5 => {
                if let Some(pid) = self.living.last() {
                    let _ = self.town.scope.join(group(g), pid);
                    let _ = self.town.scope.join(group((g + n) % GROUPS), pid);
                }
            }
            6 => {
                if let Some(pid) = self.living.first() {
                    let _ = self.town.scope.leave(&group(g), pid);
                }
                if n == 0 {
                    let held = self.town.names.unregister(&name(g));
                    self.living.extend(held);
                }
            }
            _ => {}
        }
        if self.living.len() > 8 {
            let at = self.dice.below(self.living.len());
            let pid = self.living.swap_remove(at);
            self.town.bury(&pid, n);
        }
    }

    fn close(mut self) {
        for pid in self.living.drain(..) {
            self.town.bury(&pid, 0);
        }
    }
}

/// Looks names and members up until the end.
fn observe(town: &Town, mut dice: Dice) {
    while !town.is_over.load(Ordering::Acquire) {
        let since = town.now();
        let found: Vec<Pid> = match dice.below(6) {
            0 | 1 => {
                let found = town.names.whereis(&name(dice.below(NAMES)));
                found.into_iter().collect()
            }
            2 => town.crowd.whereare("all"),
            3 => town.scope.members(&group(dice.below(GROUPS))),
            4 => {
                let all = town.names.registered();
                all.into_iter().map(|(_, pid)| pid).collect()
            }
            _ => {
                // Monitors come and go.
                let (monitor, members) = town.scope.monitor(group(dice.below(GROUPS)));
                let mut book = Book::default();
                book.list(&members);
                book.hear(&monitor);
                members
            }
        };
        town.assert_living(&found, since);
        breathe();
    }
}

/// How often each is in each group, by what was listed and heard.
#[derive(Default)]
struct Book(HashMap<Pid, u64>);

impl Book {
    fn list(&mut self, members: &[Pid]) {
        for pid in members {
            *self.0.entry(pid.clone()).or_default() += 1;
        }
    }

    fn apply(&mut self, event: Event) {
        let count = self.0.entry(event.pid).or_default();
        *count = match event.change {
            Change::Join => *count + 1,
            Change::Leave => count.checked_sub(1).expect("one leaves who has joined"),
        };
    }

    fn hear(&mut self, monitor: &GroupMonitor) {
        while let Ok(event) = monitor.try_recv() {
            self.apply(event);
        }
    }
}

fn nobody_finds_the_dead_and_monitors_have_no_gaps(runtime: &Runtime, system: &System) {
    let each = iters(8_000, 2_000, 50);
    let town = Town::default();
    let monitors: Vec<_> = (0..GROUPS).map(|n| town.scope.monitor(group(n))).collect();
    let working = Arc::new(AtomicU64::new(3));
    let mut crowd = Crowd::new(runtime);
    let clerk = |seed: u64| {
        let (town, working) = (town.clone(), Arc::clone(&working));
        let mut clerk = Clerk {
            town: town.clone(),
            system: system.clone(),
            dice: Dice::new(seed),
            living: Vec::new(),
        };
        move || {
            for _ in 0..each {
                clerk.work();
            }
            clerk.close();
            if working.fetch_sub(1, Ordering::AcqRel) == 1 {
                town.is_over.store(true, Ordering::Release);
            }
        }
    };
    crowd.thread(clerk(1));
    crowd.thread(clerk(2));
    crowd.green(clerk(3));
    let (a, b) = (town.clone(), town.clone());
    crowd.thread(move || observe(&a, Dice::new(4)));
    crowd.green(move || observe(&b, Dice::new(5)));
    crowd.join();
    assert!(town.names.registered().is_empty());
    assert!(town.crowd.names().is_empty());
    assert!(town.scope.groups().is_empty());
    for (monitor, members) in &monitors {
        let mut book = Book::default();
        book.list(members);
        book.hear(monitor);
        assert!(book.0.values().all(|count| *count == 0), "a gap");
    }
}

fn main() {
    let _dog = watchdog(Duration::from_secs(180));
    on_both(
        "names and groups",
        nobody_finds_the_dead_and_monitors_have_no_gaps,
    );
}

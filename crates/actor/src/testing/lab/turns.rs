//! Who runs next: one at a time, drawn by the seed.
//!
//! A *seat* is an OS thread of the lab: the thread of the test is the first, the others are workers. One seat
//! at a time has the *turn*, and it alone runs; the others sleep. So all that happens is a sequence, and what
//! comes next depends on the draws alone. A worker is one more stack, not one more runner: a handler that
//! waits stays on its seat, and the turn goes on without it.
//!
//! Invariants
//! 1. `turn` names the seat that runs; only the holder of the turn passes it on, with the lock held.
//! 2. A seat that waits in a handler says so in `waits`, and is in `ready` once it was rung: then it is drawn
//!    like a task. A worker without a task is in `free`.
//! 3. The thread of the test gets the turn when it was drawn, or when nothing is ready: then it moves the
//!    clock, goes on, or finds that nobody can.
//! 4. Tasks are run, dropped and woken without the lock.

use super::seat;
use crate::testing::ManualClock;
use crate::testing::random::Random;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use weftwork_core::sync::{Condvar, Mutex, MutexGuard, thread};
use weftwork_core::task::TaskRef;
use weftwork_core::wait::Site;
use weftwork_core::{Refused, Spawn, Task};

/// The seat of the thread of the test.
pub(super) const TEST: usize = 0;

pub(super) struct Turns {
    pub(super) clock: ManualClock,
    state: Mutex<State>,
}

struct State {
    random: Random,
    ready: Vec<Ready>,
    seats: Vec<Seat>,
    /// Workers without a task.
    free: Vec<usize>,
    turn: usize,
    /// The tasks that have not ended, by address, with their age.
    tasks: HashMap<usize, (u64, TaskRef)>,
    ages: u64,
    /// How many turns there were since the test last ran, and how many there may be.
    turns: u64,
    limit: u64,
    phase: Phase,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The lab ends: no new tasks.
    Closing,
    /// Free workers leave.
    Closed,
}

/// What may come next.
enum Ready {
    Task(Task),
    /// A seat that was rung while it waited.
    Seat(usize),
}

struct Seat {
    bell: Arc<Condvar>,
    /// Somebody wants it to go on: the next wait returns at once.
    is_rung: bool,
    waits: Option<Site>,
    /// What it is to run.
    task: Option<Task>,
    /// What it runs, if that is known.
    who: Option<Arc<str>>,
}

impl Seat {
    fn new() -> Self {
        Seat {
            bell: Arc::new(Condvar::new()),
            is_rung: false,
            waits: None,
            task: None,
            who: None,
        }
    }
}

impl Turns {
    pub(super) fn new(seed: u64, clock: ManualClock) -> Arc<Self> {
        Arc::new(Turns {
            clock,
            state: Mutex::new(State {
                random: Random::new(seed, 0),
                ready: Vec::new(),
                seats: vec![Seat::new()],
                free: Vec::new(),
                turn: TEST,
                tasks: HashMap::new(),
                ages: 0,
                turns: 0,
                limit: 1_000_000,
                phase: Phase::Open,
                threads: Vec::new(),
            }),
        })
    }

    pub(super) fn set_limit(&self, limit: u64) {
        self.state.lock().limit = limit;
    }

    /// Says what the seat runs, for reports.
    pub(super) fn names(&self, seat: usize, who: Option<Arc<str>>) {
        self.state.lock().seats[seat].who = who;
    }

    /// Lets a seat go on, now or at its next wait. By wakers.
    pub(super) fn ring(&self, seat: usize) {
        let mut state = self.state.lock();
        let one = &mut state.seats[seat];
        one.is_rung = true;
        if one.waits.take().is_some() {
            state.ready.push(Ready::Seat(seat));
        }
    }

    /// Waits in a handler, or in the test, until the seat is rung.
    ///
    /// # Panics
    /// On the seat of the test: nothing can run, and no alarm is set.
    pub(super) fn wait(self: &Arc<Self>, seat: usize, site: Site) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.seats[seat].is_rung) {
            return;
        }
        state.seats[seat].waits = Some(site);
        if seat == TEST {
            state.turns = 0;
        }
        loop {
            self.pass(&mut state, seat);
            wait_for_turn(&mut state, seat);
            if std::mem::take(&mut state.seats[seat].is_rung) {
                return;
            }
            // Nothing is ready (invariant 3); or too much has run.
            let is_over = state.turns > state.limit;
            if is_over || !MutexGuard::unlocked(&mut state, || self.fire()) {
                state.seats[seat].waits = None;
                let report = state.report(site, is_over);
                drop(state);
                panic!("{report}");
            }
        }
    }

    /// Moves the clock to the next alarm, and fires all that is due then.
    fn fire(&self) -> bool {
        self.clock.advance_to_next().is_some()
    }

    /// Lets all run that can, at the present time. By the test. False: there is no end to it.
    pub(super) fn run_until_idle(self: &Arc<Self>) -> bool {
        let mut state = self.state.lock();
        state.turns = 0;
        self.pass(&mut state, TEST);
        wait_for_turn(&mut state, TEST);
        state.turns <= state.limit
    }

    /// Gives the turn to whoever is drawn. The caller has it, and is not free.
    fn pass(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, seat: usize) {
        let next = match state.draw() {
            None => TEST,
            Some(Ready::Seat(seat)) => seat,
            Some(Ready::Task(task)) => {
                let seat = state.free.pop().unwrap_or_else(|| self.hire(state));
                state.seats[seat].task = Some(task);
                seat
            }
        };
        state.give(seat, next);
    }

    /// As `pass`, by a worker that has nothing to do. Whatever comes, it may run it itself.
    fn pass_free(state: &mut State, seat: usize) {
        let next = match state.draw() {
            None => TEST,
            Some(Ready::Seat(seat)) => seat,
            Some(Ready::Task(task)) => {
                state.seats[seat].task = Some(task);
                seat
            }
        };
        if next != seat {
            state.free.push(seat);
        }
        state.give(seat, next);
    }

    /// Adds a worker.
    fn hire(self: &Arc<Self>, state: &mut State) -> usize {
        let seat = state.seats.len();
        state.seats.push(Seat::new());
        let turns = Arc::clone(self);
        let worker = thread::Builder::new()
            .name("weftwork-lab".into())
            .spawn(move || turns.work(seat));
        let worker = worker.expect("the system gives a thread to a lab");
        state.threads.push(worker);
        seat
    }

    /// The life of a worker.
    fn work(self: &Arc<Self>, seat: usize) {
        seat::occupy(self, seat, |place| {
            let mut state = self.state.lock();
            loop {
                if !wait_for_turn(&mut state, seat) {
                    return;
                }
                let Some(task) = state.seats[seat].task.take() else {
                    unreachable!("a worker that waits for a task gets the turn with one")
                };
                let key = key_of(&task);
                MutexGuard::unlocked(&mut state, || place.run(task));
                let is_over = (state.tasks.get(&key)).is_some_and(|(_, task)| task.is_finished());
                let over = is_over.then(|| state.tasks.remove(&key));
                // What is left of the task is dropped.
                MutexGuard::unlocked(&mut state, || drop(over));
                state.seats[seat].is_rung = false;
                state.seats[seat].who = None;
                Self::pass_free(&mut state, seat);
            }
        });
    }

    /// Ends the lab: cancels all tasks and lets them end. Says how many could not: their threads stay.
    pub(super) fn close(self: &Arc<Self>) -> usize {
        self.state.lock().phase = Phase::Closing;
        loop {
            let mut tasks: Vec<_> = self.state.lock().tasks.values().cloned().collect();
            tasks.sort_by_key(|(age, _)| *age);
            for (_, task) in &tasks {
                task.cancel();
            }
            drop(tasks);
            self.run_until_idle();
            self.sweep();
            // Whoever is left waits where it cannot be interrupted: perhaps for a time.
            if self.state.lock().tasks.is_empty() || !self.fire() {
                break;
            }
        }
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        let left = state.tasks.len();
        let (tasks, ready) = (
            std::mem::take(&mut state.tasks),
            std::mem::take(&mut state.ready),
        );
        let free = state.free.clone();
        for seat in &free {
            state.seats[*seat].bell.notify_one();
        }
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        drop((tasks, ready));
        self.clock.clear();
        for (at, worker) in threads.into_iter().enumerate() {
            // The first seat has no thread of ours. One that waits for ever is left alone.
            if free.contains(&(at + 1)) {
                let _ = worker.join();
            }
        }
        left
    }

    /// Forgets the tasks that were dropped instead of run to their end.
    fn sweep(&self) {
        let mut state = self.state.lock();
        let all = std::mem::take(&mut state.tasks).into_iter();
        let (over, rest): (HashMap<_, _>, _) = all.partition(|(_, (_, task))| task.is_finished());
        state.tasks = rest;
        drop(state);
        drop(over);
    }
}

/// Sleeps until the seat has the turn. False: it never will, and shall leave.
fn wait_for_turn(state: &mut MutexGuard<'_, State>, seat: usize) -> bool {
    let bell = Arc::clone(&state.seats[seat].bell);
    while state.turn != seat {
        if state.phase == Phase::Closed && state.free.contains(&seat) {
            return false;
        }
        bell.wait(state);
    }
    true
}

impl State {
    /// Draws what comes next.
    fn draw(&mut self) -> Option<Ready> {
        self.turns += 1;
        if self.ready.is_empty() || self.turns > self.limit {
            return None;
        }
        let at = self.random.below(self.ready.len());
        Some(self.ready.swap_remove(at))
    }

    fn give(&mut self, from: usize, to: usize) {
        self.turn = to;
        if from != to {
            self.seats[to].bell.notify_one();
        }
    }

    /// Why the test cannot go on.
    fn report(&self, site: Site, is_over: bool) -> String {
        let why = if is_over {
            format!("and after {} turns there is no end in sight", self.limit)
        } else {
            "nothing can run, and no alarm is set".into()
        };
        let mut text = format!("the test waits for {site}, {why}");
        for seat in &self.seats[TEST + 1..] {
            if let Some(site) = seat.waits {
                let who = seat.who.as_deref().unwrap_or("a task");
                let _ = write!(text, "\n  {who} waits for {site}");
            }
        }
        text
    }
}

fn key_of(task: &Task) -> usize {
    task.raw().pointer().addr().get()
}

/// The lab as an executor.
#[derive(Clone)]
pub(super) struct Player(pub(super) Arc<Turns>);

impl Spawn for Player {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        let mut state = self.0.state.lock();
        let key = key_of(&task);
        if !state.tasks.contains_key(&key) {
            if state.phase != Phase::Open {
                drop(state);
                return Err(Refused(task));
            }
            state.ages += 1;
            let age = state.ages;
            state.tasks.insert(key, (age, task.task_ref()));
        }
        state.ready.push(Ready::Task(task));
        Ok(())
    }
}

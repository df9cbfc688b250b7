//! What several threads did in small random transactions has a sequential explanation: each commit
//! is one operation on the whole state, and so is what an attempt saw that did not commit (opacity).

mod support;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use support::{Dice, on_threads, watched};
use weftwork_stm::{Stm, TVar, Tx, abort, atomically, snapshot, try_atomically};
use weftwork_testkit::{History, Model, Operation, check, iters};

const VARS: usize = 3;

/// What one transaction, or one attempt of it, did, in order.
#[derive(Clone, Debug)]
enum Event {
    Read(usize, u32),
    Write(usize, u32),
    /// One more than whatever is there.
    Count(usize),
}

/// All variables. An operation carries what it read, so it has no further answer.
#[derive(Debug)]
struct State;

impl Model for State {
    type State = [u32; VARS];
    type Op = Vec<Event>;
    type Ret = ();

    fn initial(&self) -> Self::State {
        [0; VARS]
    }

    fn step(
        &self,
        state: &Self::State,
        events: &Vec<Event>,
        _: Option<&()>,
    ) -> Option<Self::State> {
        let mut after = *state;
        for event in events {
            match *event {
                Event::Read(var, seen) if after[var] == seen => {}
                Event::Read(..) => return None,
                Event::Write(var, value) => after[var] = value,
                Event::Count(var) => after[var] += 1,
            }
        }
        Some(after)
    }
}

/// A part of a body.
#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Write(usize, u32),
    /// Writes what it read, plus one in the lowest bits.
    Bump(usize),
    /// A branch that is left: its reads stay, its writes do not.
    Left(Vec<Step>),
    /// Adds one, as a change that commutes.
    Count(usize),
    Yield,
}

fn steps(dice: &mut Dice, fresh: &mut u32, depth: u32) -> Vec<Step> {
    (0..1 + dice.below(4))
        .map(|_| {
            let var = dice.below(VARS as u64) as usize;
            match dice.below(9) {
                0..=2 => Step::Read(var),
                3 => {
                    *fresh += 16;
                    Step::Write(var, *fresh)
                }
                4 | 5 => Step::Bump(var),
                6 if depth > 0 => Step::Left(steps(dice, fresh, depth - 1)),
                7 => Step::Count(var),
                _ => Step::Yield,
            }
        })
        .collect()
}

/// One attempt, as its body notes it.
#[derive(Debug)]
struct Attempt {
    began: u64,
    events: Vec<Event>,
    /// The time after the last event.
    ended: u64,
}

/// The notes of one thread.
struct Notes<'a> {
    clock: &'a AtomicU64,
    log: usize,
    attempts: RefCell<Vec<Attempt>>,
    history: RefCell<History<Vec<Event>, ()>>,
}

impl Notes<'_> {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel)
    }

    fn begin(&self) {
        let began = self.now();
        self.attempts.borrow_mut().push(Attempt {
            began,
            events: Vec::new(),
            ended: began,
        });
    }

    fn note(&self, event: Event) {
        let now = self.now();
        let mut attempts = self.attempts.borrow_mut();
        let attempt = attempts.last_mut().expect("it has begun");
        attempt.events.push(event);
        attempt.ended = now;
    }

    /// Forgets what was written since there were `length` events, but not what was read.
    fn leave(&self, length: usize) {
        let mut attempts = self.attempts.borrow_mut();
        let events = &mut attempts.last_mut().expect("it has begun").events;
        let branch = events.split_off(length);
        events.extend(reads_of_others(&branch));
    }

    /// Enters the attempts of a transaction into the history. The last one took effect as a whole, if
    /// `committed`; of each other, what it read was there at some time of its run.
    fn finish(&self, committed: bool) {
        let mut attempts = self.attempts.take();
        let last = committed.then(|| attempts.pop().expect("it has run"));
        let mut history = self.history.borrow_mut();
        let mut enter = |op, called, ended| {
            history.push(Operation {
                log: self.log,
                op,
                called,
                returned: Some(((), ended)),
            });
        };
        for attempt in attempts {
            let reads = reads_of_others(&attempt.events);
            enter(reads, attempt.began, attempt.ended);
        }
        if let Some(last) = last {
            enter(last.events, last.began, self.now());
        }
    }
}

/// The reads of `events`, without those of what the events themselves have written before.
fn reads_of_others(events: &[Event]) -> Vec<Event> {
    let mut written = Vec::new();
    let mut reads = Vec::new();
    for event in events {
        match *event {
            Event::Read(var, _) if !written.contains(&var) => reads.push(event.clone()),
            Event::Read(..) => {}
            Event::Write(var, _) | Event::Count(var) => written.push(var),
        }
    }
    reads
}

fn perform(tx: &Tx, vars: &[TVar<u32>; VARS], notes: &Notes<'_>, steps: &[Step]) -> Stm<()> {
    let read = |var: usize| -> Stm<u32> {
        let seen = *vars[var].get(tx)?;
        notes.note(Event::Read(var, seen));
        Ok(seen)
    };
    let write = |var: usize, value: u32| -> Stm<()> {
        vars[var].set(tx, value)?;
        notes.note(Event::Write(var, value));
        Ok(())
    };
    for step in steps {
        match step {
            Step::Read(var) => {
                read(*var)?;
            }
            Step::Write(var, value) => write(*var, *value)?,
            Step::Bump(var) => write(*var, read(*var)? + 1)?,
            Step::Count(var) => {
                vars[*var].commute(tx, |n| n + 1)?;
                notes.note(Event::Count(*var));
            }
            Step::Yield => thread::yield_now(),
            Step::Left(steps) => {
                let length = notes.attempts.borrow().last().map_or(0, |a| a.events.len());
                tx.optionally(|tx| {
                    perform(tx, vars, notes, steps)?;
                    tx.retry::<()>()
                })?;
                notes.leave(length);
            }
        }
    }
    Ok(())
}

/// One operation of a thread, of a kind that the dice choose.
fn operate(vars: &[TVar<u32>; VARS], notes: &Notes<'_>, dice: &mut Dice, fresh: &mut u32) {
    let var = dice.below(VARS as u64) as usize;
    match dice.below(16) {
        0 => {
            notes.begin();
            *fresh += 16;
            vars[var].store(*fresh);
            notes.note(Event::Write(var, *fresh));
            notes.finish(true);
        }
        1 => {
            notes.begin();
            notes.note(Event::Read(var, vars[var].load()));
            notes.finish(true);
        }
        2 => {
            notes.begin();
            snapshot(|s| {
                for (n, var) in vars.iter().enumerate() {
                    notes.note(Event::Read(n, *var.view(s)));
                    thread::yield_now();
                }
            });
            notes.finish(true);
        }
        3 => {
            // An abort is an attempt that does not commit.
            let steps = steps(dice, fresh, 1);
            let _: Result<(), ()> = try_atomically(|tx| {
                notes.begin();
                perform(tx, vars, notes, &steps)?;
                abort(())
            });
            notes.finish(false);
        }
        4 => {
            // No branch: what is irrevocable cannot retry.
            let steps = steps(dice, fresh, 0);
            atomically(|tx| {
                notes.begin();
                perform(tx, vars, notes, &steps)?;
                tx.irrevocable()?;
                perform(tx, vars, notes, &steps)
            });
            notes.finish(true);
        }
        _ => {
            let steps = steps(dice, fresh, 1);
            atomically(|tx| {
                notes.begin();
                perform(tx, vars, notes, &steps)
            });
            notes.finish(true);
        }
    }
}

fn random_history(seed: u64, operations: usize) -> (History<Vec<Event>, ()>, usize) {
    let vars: [TVar<u32>; VARS] = std::array::from_fn(|_| TVar::new(0));
    let clock = AtomicU64::new(0);
    let of_threads = on_threads(3, |me| {
        let notes = Notes {
            clock: &clock,
            log: me,
            attempts: RefCell::new(Vec::new()),
            history: RefCell::new(Vec::new()),
        };
        let mut dice = Dice::new(seed * 3 + me as u64);
        let mut fresh = me as u32 * 1_000_000;
        for _ in 0..operations {
            operate(&vars, &notes, &mut dice, &mut fresh);
        }
        notes.history.into_inner()
    });
    let mut history: History<_, _> = of_threads.into_iter().flatten().collect();
    history.sort_by_key(|o| o.called);
    let extra = history.len() - 3 * operations;
    (history, extra)
}

#[test]
fn commits_and_failed_attempts_have_one_sequential_explanation() {
    watched(|| {
        let mut failed = 0;
        for round in 0..iters(1_500, 300, 5) as u64 {
            let (history, extra) = random_history(round, 8);
            failed += extra;
            if let Err(error) = check(&State, &history) {
                panic!("round {round}: {error}");
            }
        }
        println!("{failed} attempts did not commit");
    });
}

#[test]
fn the_model_refuses_what_no_transactions_may_do() {
    use Event::{Read, Write};
    // Times as if all of `events` ran at once, one on each thread.
    let at_once = |events: &[&[Event]]| -> History<Vec<Event>, ()> {
        let operation = |(log, op): (usize, &&[Event])| Operation {
            log,
            op: op.to_vec(),
            called: 0,
            returned: Some(((), 1)),
        };
        events.iter().enumerate().map(operation).collect()
    };
    let refused = |events: &[&[Event]]| {
        let history = at_once(events);
        assert!(check(&State, &history).is_err(), "{events:?}");
    };
    // Write skew.
    refused(&[&[Read(0, 0), Write(1, 5)], &[Read(1, 0), Write(0, 6)]]);
    // A lost update.
    refused(&[&[Read(0, 0), Write(0, 1)], &[Read(0, 0), Write(0, 2)]]);
    // Half of a commit, seen by an attempt that fails.
    refused(&[&[Write(0, 1), Write(1, 1)], &[Read(0, 0), Read(1, 1)]]);
    // Two readers that disagree about the order of two commits.
    refused(&[
        &[Write(0, 1)],
        &[Write(1, 1)],
        &[Read(0, 1), Read(1, 0)],
        &[Read(0, 0), Read(1, 1)],
    ]);
    // And what is allowed.
    let fine = at_once(&[&[Read(0, 0), Write(1, 5)], &[Read(1, 5), Write(0, 6)]]);
    assert!(check(&State, &fine).is_ok());
}

//! Random bodies, made of reads, writes, commuting changes, locals, hooks, alternatives and catches
//! nested in each other, do what a sequential model of them does.

mod support;

use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use weftwork_stm::{Stm, TVar, Tx, TxError, TxLocal, abort, try_atomically};

/// Enough that a log with all of them is searched in another way than one with a few.
const VARS: usize = 12;

/// A part of a body. What it reads is noted in a trace.
#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Set(usize, u8),
    Add(usize, u8),
    SetAll(u8),
    /// Doubles and adds: an operation whose order can be seen.
    Commute(usize, u8),
    Local(u8),
    Hook(u8),
    /// Retries unless the variable has at least this.
    Check(usize, u8),
    Abort(u8),
    OrElse(Vec<Step>, Vec<Step>),
    Optionally(Vec<Step>),
    Catch(Vec<Step>),
    OrAny(Vec<Vec<Step>>),
}

/// How a part ends that does not go on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Retry,
    Abort(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        3 => (0..VARS).prop_map(Step::Read),
        3 => (0..VARS, any::<u8>()).prop_map(|(v, n)| Step::Set(v, n)),
        3 => (0..VARS, any::<u8>()).prop_map(|(v, n)| Step::Add(v, n)),
        1 => any::<u8>().prop_map(Step::SetAll),
        3 => (0..VARS, any::<u8>()).prop_map(|(v, n)| Step::Commute(v, n)),
        2 => any::<u8>().prop_map(Step::Local),
        2 => any::<u8>().prop_map(Step::Hook),
        2 => (0..VARS, any::<u8>()).prop_map(|(v, n)| Step::Check(v, n)),
        1 => any::<u8>().prop_map(Step::Abort),
    ];
    let step = leaf.prop_recursive(4, 48, 6, |step| {
        let steps = || prop::collection::vec(step.clone(), 0..5);
        prop_oneof![
            2 => (steps(), steps()).prop_map(|(a, b)| Step::OrElse(a, b)),
            1 => steps().prop_map(Step::Optionally),
            2 => steps().prop_map(Step::Catch),
            1 => prop::collection::vec(steps(), 0..4).prop_map(Step::OrAny),
        ]
    });
    prop::collection::vec(step, 0..8)
}

/// What goes with a branch.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    vars: [u8; VARS],
    local: u8,
    on_commit: Vec<u8>,
    on_abort: Vec<u8>,
}

/// The model: states are copied before each branch.
#[derive(Clone, Debug, Default, PartialEq)]
struct Machine {
    state: State,
    /// Abort hooks of branches that were left.
    undone: Vec<u8>,
    trace: Vec<u8>,
}

fn double_and_add(n: u8, more: u8) -> u8 {
    n.wrapping_mul(2).wrapping_add(more)
}

impl Machine {
    fn run(&mut self, steps: &[Step]) -> Result<(), End> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<(), End> {
        match step {
            Step::Read(v) => self.trace.push(self.state.vars[*v]),
            Step::Set(v, n) => self.state.vars[*v] = *n,
            Step::Add(v, n) => self.state.vars[*v] = self.state.vars[*v].wrapping_add(*n),
            Step::SetAll(n) => self.state.vars = [*n; VARS],
            Step::Commute(v, n) => self.state.vars[*v] = double_and_add(self.state.vars[*v], *n),
            Step::Local(n) => {
                self.state.local = double_and_add(self.state.local, *n);
                self.trace.push(self.state.local);
            }
            Step::Hook(n) => {
                self.state.on_commit.push(*n);
                self.state.on_abort.push(*n);
            }
            Step::Check(v, n) if self.state.vars[*v] >= *n => {}
            Step::Check(..) => return Err(End::Retry),
            Step::Abort(n) => return Err(End::Abort(*n)),
            Step::OrElse(first, second) => {
                if !self.branch(first)? {
                    self.run(second)?;
                }
            }
            Step::Optionally(branch) => {
                let is_taken = self.branch(branch)?;
                self.trace.push(u8::from(is_taken));
            }
            Step::Catch(body) => {
                let before = self.state.clone();
                match self.run(body) {
                    Err(End::Abort(n)) => {
                        self.roll_back(before);
                        self.trace.push(n);
                    }
                    other => other?,
                }
            }
            Step::OrAny(branches) => {
                for branch in branches {
                    if self.branch(branch)? {
                        return Ok(());
                    }
                }
                return Err(End::Retry);
            }
        }
        Ok(())
    }

    /// Runs a branch; false if it retried, and its writes are gone.
    fn branch(&mut self, branch: &[Step]) -> Result<bool, End> {
        let before = self.state.clone();
        // An abort has no way through an alternative: the bodies catch it at the edge of each branch, and
        // pass it on behind it.
        match self.run(branch) {
            Ok(()) => Ok(true),
            Err(End::Retry) => {
                self.roll_back(before);
                Ok(false)
            }
            Err(end) => Err(end),
        }
    }

    fn roll_back(&mut self, to: State) {
        let hooks = self.state.on_abort.split_off(to.on_abort.len());
        self.undone.extend(hooks);
        self.state = to;
    }

    /// What is left when it has ended as `end` says, of a run that began with `initial`.
    fn leave(mut self, end: Result<(), End>, initial: [u8; VARS]) -> Left {
        let hooks = match end {
            Ok(()) => self.state.on_commit,
            Err(_) => {
                self.state.vars = initial;
                self.state.on_abort
            }
        };
        Left {
            vars: self.state.vars,
            trace: self.trace,
            hooks: [self.undone, hooks].concat(),
        }
    }
}

/// What can be seen of a run afterwards.
#[derive(Clone, Debug, PartialEq)]
struct Left {
    vars: [u8; VARS],
    trace: Vec<u8>,
    hooks: Vec<u8>,
}

static LOCAL: TxLocal<u8> = TxLocal::new(|| 0);

type Part = Result<(), TxError<u8>>;

/// The same, on variables.
struct Body<'a> {
    vars: &'a [TVar<u8>; VARS],
    trace: &'a RefCell<Vec<u8>>,
    hooks: &'a Rc<RefCell<Vec<u8>>>,
}

impl Body<'_> {
    fn run(&self, tx: &Tx, steps: &[Step]) -> Part {
        steps.iter().try_for_each(|step| self.step(tx, step))
    }

    fn note(&self, n: u8) {
        self.trace.borrow_mut().push(n);
    }

    fn step(&self, tx: &Tx, step: &Step) -> Part {
        match step {
            Step::Read(v) => self.note(*self.vars[*v].get(tx)?),
            Step::Set(v, n) => self.vars[*v].set(tx, *n)?,
            Step::Add(v, n) => self.vars[*v].update(tx, |old| old.wrapping_add(*n))?,
            Step::SetAll(n) => self.vars.iter().try_for_each(|v| v.set(tx, *n))?,
            Step::Commute(v, n) => {
                let n = *n;
                self.vars[*v].commute(tx, move |old| double_and_add(*old, n))?;
            }
            Step::Local(n) => {
                LOCAL.with(tx, |local| *local = double_and_add(*local, *n));
                self.note(*LOCAL.get(tx));
            }
            Step::Hook(n) => {
                let hook = || {
                    let (hooks, n) = (Rc::clone(self.hooks), *n);
                    move || hooks.borrow_mut().push(n)
                };
                tx.on_commit(hook());
                tx.on_abort(hook());
            }
            Step::Check(v, n) => tx.check(*self.vars[*v].get(tx)? >= *n)?,
            Step::Abort(n) => return abort(*n),
            Step::OrElse(first, second) => {
                let (first, second) = (self.branch(first), self.branch(second));
                Self::pass_on(tx.or_else(first, second)?)?;
            }
            Step::Optionally(branch) => {
                let taken = tx.optionally(self.branch(branch))?;
                let is_taken = taken.is_some();
                Self::pass_on(taken.unwrap_or(Ok(())))?;
                self.note(u8::from(is_taken));
            }
            Step::Catch(body) => {
                if let Err(n) = tx.catch(|tx| self.run(tx, body))? {
                    self.note(n);
                }
            }
            Step::OrAny(branches) => {
                let branches = branches.iter().map(|branch| self.branch(branch));
                Self::pass_on(tx.or_any(branches)?)?;
            }
        }
        Ok(())
    }

    /// A branch; an abort in it becomes its result.
    fn branch(&self, steps: &[Step]) -> impl FnOnce(&Tx) -> Stm<Result<(), u8>> {
        move |tx| match self.run(tx, steps) {
            Ok(()) => Ok(Ok(())),
            Err(TxError::Abort(n)) => Ok(Err(n)),
            Err(TxError::Stop(stop)) => Err(stop),
        }
    }

    fn pass_on(result: Result<(), u8>) -> Part {
        result.map_err(TxError::Abort)
    }
}

/// Runs the steps as a transaction; a retry of the whole is told as such, instead of waiting.
fn run_for_real(initial: [u8; VARS], steps: &[Step]) -> (Result<(), End>, Left) {
    let vars = initial.map(TVar::new);
    let (trace, hooks) = (RefCell::new(Vec::new()), Rc::new(RefCell::new(Vec::new())));
    let result = try_atomically(|tx| {
        trace.borrow_mut().clear();
        // A commuting change that a branch looks at makes the body start again. Then the abort hooks of the
        // first attempt have run already.
        hooks.borrow_mut().clear();
        let body = Body {
            vars: &vars,
            trace: &trace,
            hooks: &hooks,
        };
        match tx.optionally(body.branch(steps))? {
            None => abort(End::Retry),
            Some(result) => result.map_err(|n| TxError::Abort(End::Abort(n))),
        }
    });
    let left = Left {
        vars: vars.map(|var| var.load()),
        trace: trace.into_inner(),
        hooks: hooks.take(),
    };
    (result, left)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: u32::try_from(weftwork_testkit::iters(1_000, 500, 20)).unwrap_or(u32::MAX),
        ..ProptestConfig::default()
    })]

    #[test]
    fn branches_do_what_copies_of_the_state_would_do(
        initial in any::<[u8; VARS]>(),
        steps in steps(),
    ) {
        let state = State { vars: initial, ..State::default() };
        let mut model = Machine { state, ..Machine::default() };
        let expected = model.run(&steps);
        if expected == Err(End::Retry) {
            model.roll_back(State { vars: initial, ..State::default() });
        }
        let expected_left = model.leave(expected, initial);
        let (result, left) = run_for_real(initial, &steps);
        prop_assert_eq!(result, expected);
        prop_assert_eq!(left, expected_left);
    }
}

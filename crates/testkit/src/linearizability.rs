//! Deciding whether a concurrent history could have happened one operation at a time.
//!
//! The search is that of Wing and Gong (1993) with the memory of visited configurations that Lowe
//! (2017) added: operations are put in a row one by one, each after all that had returned before it
//! was called; where the row cannot be continued, the last choice is taken back. Two rows of the
//! same operations that leave the object in the same state have the same continuations, so each pair
//! of (operations done, state) is tried once. Where k operations overlap that makes at most 2^k sets
//! for a state instead of k! orders, and windows that do not overlap add up instead of multiplying.
//! The problem stays NP-complete: record few threads and short histories, many times.
//!
//! Invariants:
//! 1. `ops` holds the operations that returned, ordered by their call, then those that did not.
//! 2. A row is complete when every operation that returned is in it; those without an answer may be
//!    in it, at any place after their call, or not at all.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::hash::Hash;

use crate::history::{History, Operation};

/// The sequential object against which [`check`] holds a history.
///
/// An example stands at [`Recorder`](crate::Recorder).
pub trait Model {
    /// The state of the object between two operations.
    type State: Clone + Eq + Hash;
    /// What can be asked of the object.
    type Op;
    /// What it answers.
    type Ret;

    /// Gives the state before the first operation.
    fn initial(&self) -> Self::State;

    /// Performs `op` on an object in `state`, if it may then answer `ret`, and gives the state after.
    ///
    /// Gives `None` if the object in this state cannot answer `ret`, or would block. With a `ret`
    /// of `None` the answer is not known, because the operation never returned; then give the state
    /// it leaves if it takes effect, or `None` if it cannot take effect now. (That it takes no effect
    /// at all is tried without asking.)
    fn step(
        &self,
        state: &Self::State,
        op: &Self::Op,
        ret: Option<&Self::Ret>,
    ) -> Option<Self::State>;
}

/// Checks that `history` is linearizable with respect to `model`.
///
/// On success it gives one explanation: the indices into `history` in an order in which the
/// operations, performed one at a time, answer what was recorded. Operations without an answer
/// appear in it only if they had to take effect.
///
/// Two operations of which one returned at the very time at which the other was called count as
/// concurrent. A [`Recorder`](crate::Recorder) never gives the same time twice.
///
/// # Errors
///
/// [`NotLinearizable`] if there is no such order. It shows the longest one found and the operations
/// that could come next, none of which fits.
///
/// # Panics
///
/// If an operation of the history returned before it was called.
pub fn check<M: Model>(
    model: &M,
    history: &History<M::Op, M::Ret>,
) -> Result<Vec<usize>, NotLinearizable>
where
    M::Op: Debug,
    M::Ret: Debug,
{
    for o in history {
        if let Some((_, returned)) = &o.returned {
            assert!(
                *returned >= o.called,
                "an operation returned before it was called: {o:?}"
            );
        }
    }
    let mut search = Search::new(model, history);
    match search.run() {
        true => Ok(search
            .row
            .iter()
            .map(|placed| search.index[placed.position])
            .collect()),
        false => Err(search.failure()),
    }
}

/// A history has no sequential explanation.
///
/// Its `Debug` and `Display` forms are the same report of several lines, so that `unwrap` in a test
/// prints it.
pub struct NotLinearizable {
    placed: Vec<String>,
    stuck: Vec<String>,
}

impl NotLinearizable {
    /// How many operations the longest order found has.
    #[must_use]
    pub fn placed(&self) -> usize {
        self.placed.len()
    }
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the history is not linearizable; the longest order found is"
        )?;
        for line in &self.placed {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "and none of these can come next:")?;
        for line in &self.stuck {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

impl Debug for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotLinearizable {}

/// An operation in the row, and what is needed to take it back.
struct Placed<S> {
    position: usize,
    before: S,
}

/// The operations in a row, in their one canonical form: the first `prefix`, and `beyond` these.
#[derive(PartialEq, Eq, Hash)]
struct Done {
    prefix: usize,
    beyond: Vec<usize>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    /// Invariant 1.
    ops: Vec<&'a Operation<M::Op, M::Ret>>,
    /// Where in the caller's history each of `ops` stands.
    index: Vec<usize>,
    /// How many of `ops` returned.
    returned: usize,
    /// Which of `ops` are in the row.
    in_row: Vec<bool>,
    /// The first that returned and is not in the row, or `returned`: then the row is complete.
    first: usize,
    row: Vec<Placed<M::State>>,
    /// The longest row so far, with its `first`.
    longest: (Vec<usize>, usize),
}

impl<'a, M: Model> Search<'a, M>
where
    M::Op: Debug,
    M::Ret: Debug,
{
    fn new(model: &'a M, history: &'a History<M::Op, M::Ret>) -> Self {
        let mut index: Vec<usize> = (0..history.len()).collect();
        index.sort_by_key(|&i| (history[i].returned.is_none(), history[i].called));
        Search {
            model,
            ops: index.iter().map(|&i| &history[i]).collect(),
            index,
            returned: history.iter().filter(|o| o.returned.is_some()).count(),
            in_row: vec![false; history.len()],
            first: 0,
            row: Vec::new(),
            longest: (Vec::new(), 0),
        }
    }

    /// Searches for a complete row and leaves it in `row`.
    fn run(&mut self) -> bool {
        let mut seen = HashSet::new();
        let mut state = self.model.initial();
        // The first position not yet tried as the next element of the row.
        let mut from = 0;
        while self.first < self.returned {
            let next = self
                .candidates()
                .into_iter()
                .filter(|&p| p >= from)
                .find_map(|position| {
                    let op = self.ops[position];
                    let ret = op.returned.as_ref().map(|(ret, _)| ret);
                    let after = self.model.step(&state, &op.op, ret)?;
                    self.put(position);
                    if seen.insert((self.done(), after.clone())) {
                        return Some((position, after));
                    }
                    self.take_back(position);
                    None
                });
            if let Some((position, after)) = next {
                let before = std::mem::replace(&mut state, after);
                self.row.push(Placed { position, before });
                from = 0;
                continue;
            }
            if self.row.len() > self.longest.0.len() {
                let positions = self.row.iter().map(|placed| placed.position);
                self.longest = (positions.collect(), self.first);
            }
            if let Some(Placed { position, before }) = self.row.pop() {
                self.take_back(position);
                state = before;
                from = position + 1;
            } else {
                return false;
            }
        }
        true
    }

    fn put(&mut self, position: usize) {
        self.in_row[position] = true;
        while self.first < self.returned && self.in_row[self.first] {
            self.first += 1;
        }
    }

    fn take_back(&mut self, position: usize) {
        self.in_row[position] = false;
        self.first = self.first.min(position);
    }

    /// The operations that may come next: those called before all others outside the row returned.
    fn candidates(&self) -> Vec<usize> {
        let mut horizon = u64::MAX;
        let mut next = Vec::new();
        for (position, op) in self.ops[..self.returned]
            .iter()
            .enumerate()
            .skip(self.first)
        {
            // Ordered by call: whatever follows was called, and so returned, later still.
            if op.called > horizon {
                break;
            }
            if !self.in_row[position] {
                horizon = horizon.min(op.returned.as_ref().map_or(u64::MAX, |(_, at)| *at));
                next.push(position);
            }
        }
        let unanswered = self.returned..self.ops.len();
        next.extend(unanswered.filter(|&p| !self.in_row[p] && self.ops[p].called <= horizon));
        next
    }

    fn done(&self) -> Done {
        // While `first` waits, nothing called after its return can be in the row.
        let limit = self
            .ops
            .get(self.first)
            .and_then(|op| op.returned.as_ref())
            .map(|(_, at)| at);
        let beyond = (self.first..self.returned)
            .take_while(|&p| limit.is_none_or(|limit| self.ops[p].called <= *limit))
            .chain(self.returned..self.ops.len())
            .filter(|&p| self.in_row[p])
            .collect();
        Done {
            prefix: self.first,
            beyond,
        }
    }

    fn failure(mut self) -> NotLinearizable {
        let (placed, first) = std::mem::take(&mut self.longest);
        self.in_row.fill(false);
        for &position in &placed {
            self.in_row[position] = true;
        }
        self.first = first;
        let line = |position: usize| {
            let Operation {
                log,
                op,
                called,
                returned,
            } = self.ops[position];
            match returned {
                Some((ret, at)) => format!("log {log}: {op:?} -> {ret:?} during {called}..{at}"),
                None => format!("log {log}: {op:?} without an answer, from {called}"),
            }
        };
        NotLinearizable {
            stuck: self.candidates().into_iter().map(line).collect(),
            placed: placed.into_iter().map(line).collect(),
        }
    }
}

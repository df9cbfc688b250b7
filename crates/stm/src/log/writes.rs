//! What an attempt will write: one entry for each variable, with the private node that holds the new value.
//!
//! Up to eight entries are searched from end to end; from there on an index of their addresses helps. A
//! filter of 64 bits in front says at once, most of the time, that a variable is not here.
//!
//! Invariants
//! 1. No variable has two entries.
//! 2. What an entry held before, and what was rolled back, stays in `trash` or `undo` until the attempt
//!    is over: references to it may be about.
//! 3. Slots of the index may be stale: they count only if the entry they name is of the variable that is
//!    looked for.

use crate::node::{Fresh, NodeRef};
use crate::var::inner::{VarRef, Word};

/// Above this many entries, the index is used.
const LINEAR: usize = 8;

const EMPTY: u32 = u32::MAX;

pub(crate) struct Entry {
    pub(crate) var: VarRef,
    /// The new value; `None` while it waits for the commit to compute it.
    pub(crate) fresh: Option<Fresh>,
    /// The word that the lock found. Means something only during a commit.
    pub(crate) found: Option<Word>,
}

/// A point that the writes can be rolled back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    entries: usize,
    undo: usize,
    /// The `floor` before.
    floor: usize,
}

#[derive(Default)]
pub(crate) struct Writes {
    pub(crate) entries: Vec<Entry>,
    filter: u64,
    index: Vec<u32>,
    /// Slots of the index that are not empty.
    used: usize,
    /// Which entry held what before, since the first mark.
    undo: Vec<(usize, Fresh)>,
    /// Entries below it existed when the last mark was made.
    floor: usize,
    trash: Vec<Fresh>,
}

#[inline]
fn hash(var: VarRef) -> u64 {
    // Addresses are multiples of 16; the multiplication (Knuth) spreads what is above.
    ((var.address() >> 4) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[inline]
fn bit(var: VarRef) -> u64 {
    1 << (hash(var) >> 58)
}

impl Writes {
    /// False if `var` has no entry and was not [noted](Self::note); true otherwise, and sometimes for nothing.
    #[inline]
    pub(crate) fn may_have(&self, var: VarRef) -> bool {
        self.filter & bit(var) != 0
    }

    /// Makes the filter let `var` through.
    #[inline]
    pub(crate) fn note(&mut self, var: VarRef) {
        self.filter |= bit(var);
    }

    pub(crate) fn find(&self, var: VarRef) -> Option<usize> {
        if self.entries.len() <= LINEAR {
            return self.entries.iter().position(|entry| entry.var == var);
        }
        let mask = self.index.len() - 1;
        let mut at = hash(var) as usize & mask;
        loop {
            let slot = self.index[at];
            if slot == EMPTY {
                return None;
            }
            let slot = slot as usize;
            if self.entries.get(slot).is_some_and(|entry| entry.var == var) {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    /// The private node of `var`.
    #[inline]
    pub(crate) fn node(&self, var: VarRef) -> Option<NodeRef> {
        let entry = &self.entries[self.find(var)?];
        entry.fresh.as_ref().map(Fresh::node)
    }

    #[inline]
    pub(crate) fn put(&mut self, var: VarRef, fresh: Fresh) {
        if self.may_have(var)
            && let Some(n) = self.find(var)
        {
            let old = self.entries[n].fresh.replace(fresh);
            if let Some(old) = old {
                if n < self.floor {
                    self.undo.push((n, old));
                } else {
                    self.trash.push(old);
                }
            }
            return;
        }
        self.append(var, Some(fresh));
    }

    #[inline]
    pub(crate) fn append(&mut self, var: VarRef, fresh: Option<Fresh>) {
        self.note(var);
        self.entries.push(Entry {
            var,
            fresh,
            found: None,
        });
        if self.entries.len() > LINEAR {
            self.add_to_index();
        }
    }

    #[cold]
    fn add_to_index(&mut self) {
        let count = self.entries.len();
        if count == LINEAR + 1 || (self.used + 1) * 2 > self.index.len() {
            let size = (count * 4).next_power_of_two();
            self.index.clear();
            self.index.resize(size, EMPTY);
            self.used = 0;
            (0..count).for_each(|n| self.occupy(n));
        } else {
            self.occupy(count - 1);
        }
    }

    fn occupy(&mut self, n: usize) {
        let mask = self.index.len() - 1;
        let mut at = hash(self.entries[n].var) as usize & mask;
        while self.index[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.index[at] = u32::try_from(n).expect("fewer than four billion writes");
        self.used += 1;
    }

    pub(crate) fn mark(&mut self) -> Mark {
        let mark = Mark {
            entries: self.entries.len(),
            undo: self.undo.len(),
            floor: self.floor,
        };
        self.floor = self.entries.len();
        mark
    }

    /// Keeps what was written since `mark`, as part of what is around it.
    pub(crate) fn keep(&mut self, mark: Mark) {
        self.floor = mark.floor;
    }

    /// Takes back what was written since `mark`.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        while self.undo.len() > mark.undo {
            let (n, old) = self.undo.pop().expect("longer than the mark");
            self.trash.extend(self.entries[n].fresh.replace(old));
        }
        let gone = self.entries.drain(mark.entries..);
        self.trash.extend(gone.filter_map(|entry| entry.fresh));
        self.floor = mark.floor;
    }

    /// Whether no variable was written or noted since all was [taken out](Self::pop_private): then there are no
    /// private nodes, either.
    #[inline]
    pub(crate) fn is_unused(&self) -> bool {
        self.filter == 0
    }

    /// Sets the value of an entry whose variable is locked.
    pub(crate) fn fill(&mut self, n: usize, fresh: Fresh) {
        let old = self.entries[n].fresh.replace(fresh);
        self.trash.extend(old);
    }

    /// Forgets which variables were written, after all entries were taken out. Private nodes may be left.
    #[inline]
    pub(crate) fn end_commit(&mut self) {
        debug_assert!(self.entries.is_empty());
        if self.trash.is_empty() && self.undo.is_empty() {
            self.filter = 0;
            self.floor = 0;
        }
    }

    /// Takes out one of the private nodes; `None` when there are none and all is as new.
    #[inline]
    pub(crate) fn pop_private(&mut self) -> Option<Fresh> {
        while let Some(entry) = self.entries.pop() {
            if entry.fresh.is_some() {
                return entry.fresh;
            }
        }
        self.filter = 0;
        self.floor = 0;
        if let Some((_, old)) = self.undo.pop() {
            return Some(old);
        }
        self.trash.pop()
    }
}

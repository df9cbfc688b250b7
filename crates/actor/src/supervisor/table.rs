//! The children of a supervisor, in the order of their start, found by id or by pid at the same cost however
//! many they are.
//!
//! Invariants
//! 1. The places form a list through `before` and `after`; a place that is free is in `free` and in no list.
//! 2. `ids` has the place of each child that has an id; `pids` that of each child that runs, and of each
//!    that is being restarted under the pid it had.
//! 3. `significant` counts the significant children that have not ended, `running` those that run,
//!    `supervisors` those that are supervisors.

use super::id::ChildId;
use super::rules::{Kind, Rules};
use super::window::Window;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

/// A place. Another child that gets it later has another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    place: u32,
    generation: u32,
}

/// How a child is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State<P> {
    Running(P),
    /// A restart failed, or waits: the one with this number. What it was, if it ran before.
    Restarting(u64, Option<P>),
    /// Its place is kept (OTP's `undefined`).
    Ended,
}

#[derive(Debug)]
pub(crate) struct Child<P, S> {
    pub(crate) id: Option<ChildId>,
    pub(crate) rules: Rules,
    /// Makes an incarnation.
    pub(crate) start: S,
    state: State<P>,
    /// Since when it runs, or ran.
    pub(crate) since: Option<Instant>,
    /// Restarts in a row, for the back-off.
    pub(crate) in_a_row: u32,
    pub(crate) limit: Option<Window>,
}

impl<P, S> Child<P, S> {
    pub(crate) fn new(id: Option<ChildId>, rules: Rules, start: S) -> Self {
        let limit = (rules.limit).map(|limit| Window::new(limit.restarts, limit.period));
        Child {
            id,
            rules,
            start,
            state: State::Ended,
            since: None,
            in_a_row: 0,
            limit,
        }
    }

    pub(crate) fn state(&self) -> &State<P> {
        &self.state
    }
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Place<P, S> {
    generation: u32,
    before: u32,
    after: u32,
    child: Option<Child<P, S>>,
}

#[derive(Debug)]
pub(crate) struct Children<P, S> {
    places: Vec<Place<P, S>>,
    free: Vec<u32>,
    first: u32,
    last: u32,
    ids: HashMap<ChildId, Key>,
    pids: HashMap<P, Key>,
    significant: usize,
    running: usize,
    supervisors: usize,
}

impl<P: Clone + Eq + Hash, S> Children<P, S> {
    pub(crate) fn new() -> Self {
        Children {
            places: Vec::new(),
            free: Vec::new(),
            first: NONE,
            last: NONE,
            ids: HashMap::new(),
            pids: HashMap::new(),
            significant: 0,
            running: 0,
            supervisors: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Appends a child, which has no pid yet. Its id is not taken.
    pub(crate) fn push(&mut self, child: Child<P, S>) -> Key {
        debug_assert!(child.state == State::Ended);
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                before: NONE,
                after: NONE,
                child: None,
            });
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 children")
        });
        let (id, before) = (child.id.clone(), self.last);
        self.supervisors += usize::from(child.rules.kind == Kind::Supervisor);
        let slot = &mut self.places[place as usize];
        slot.before = before;
        slot.after = NONE;
        slot.child = Some(child);
        let generation = slot.generation;
        match self.places.get_mut(before as usize) {
            Some(last) => last.after = place,
            None => self.first = place,
        }
        self.last = place;
        let key = Key { place, generation };
        if let Some(id) = id {
            let taken = self.ids.insert(id, key);
            debug_assert!(taken.is_none());
        }
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Child<P, S>> {
        self.get(key)?;
        self.set(key, State::Ended);
        let slot = &mut self.places[key.place as usize];
        let child = slot.child.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        let (before, after) = (slot.before, slot.after);
        match self.places.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => self.first = after,
        }
        match self.places.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => self.last = before,
        }
        self.free.push(key.place);
        self.supervisors -= usize::from(child.rules.kind == Kind::Supervisor);
        if let Some(id) = &child.id {
            self.ids.remove(id);
        }
        Some(child)
    }

    fn place(&self, key: Key) -> Option<&Place<P, S>> {
        let place = self.places.get(key.place as usize)?;
        (place.generation == key.generation && place.child.is_some()).then_some(place)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Child<P, S>> {
        self.place(key)?.child.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Child<P, S>> {
        let place = self.places.get_mut(key.place as usize)?;
        let child = place.child.as_mut()?;
        (place.generation == key.generation).then_some(child)
    }

    /// Changes how a child is.
    pub(crate) fn set(&mut self, key: Key, state: State<P>) {
        let Some(child) = self.get_mut(key) else {
            return;
        };
        let old = std::mem::replace(&mut child.state, state.clone());
        let is_significant = child.rules.significant;
        self.running += usize::from(matches!(state, State::Running(_)));
        self.running -= usize::from(matches!(old, State::Running(_)));
        if let State::Running(pid) | State::Restarting(_, Some(pid)) = old {
            self.pids.remove(&pid);
        } else if is_significant && old == State::Ended {
            self.significant += 1;
        }
        match state {
            State::Running(pid) | State::Restarting(_, Some(pid)) => {
                self.pids.insert(pid, key);
            }
            State::Restarting(_, None) => {}
            State::Ended => self.significant -= usize::from(is_significant),
        }
    }

    pub(crate) fn by_id(&self, id: &ChildId) -> Option<Key> {
        self.ids.get(id).copied()
    }

    pub(crate) fn by_pid(&self, pid: &P) -> Option<Key> {
        self.pids.get(pid).copied()
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    pub(crate) fn supervisors(&self) -> usize {
        self.supervisors
    }

    /// Whether a significant child has not ended.
    pub(crate) fn has_significant(&self) -> bool {
        self.significant > 0
    }

    pub(crate) fn first(&self) -> Option<Key> {
        self.key_at(self.first)
    }

    pub(crate) fn last(&self) -> Option<Key> {
        self.key_at(self.last)
    }

    pub(crate) fn after(&self, key: Key) -> Option<Key> {
        self.key_at(self.place(key)?.after)
    }

    pub(crate) fn before(&self, key: Key) -> Option<Key> {
        self.key_at(self.place(key)?.before)
    }

    fn key_at(&self, place: u32) -> Option<Key> {
        let generation = self.places.get(place as usize)?.generation;
        Some(Key { place, generation })
    }

    /// The last one first.
    pub(crate) fn iter_reverse(&self) -> impl Iterator<Item = (Key, &Child<P, S>)> {
        std::iter::successors(self.last(), |key| self.before(*key))
            .filter_map(|key| Some((key, self.get(key)?)))
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    fn child(id: &str) -> Child<u32, ()> {
        Child::new(Some(id.into()), Rules::new().significant(), ())
    }

    fn ids(children: &Children<u32, ()>) -> Vec<String> {
        let mut ids: Vec<_> = (children.iter_reverse())
            .filter_map(|(_, child)| Some(child.id.as_ref()?.to_string()))
            .collect();
        ids.reverse();
        ids
    }

    #[test]
    fn children_keep_their_order_when_others_leave_and_places_are_used_again() {
        let mut children = Children::new();
        let keys = ["a", "b", "c", "d"].map(|id| children.push(child(id)));
        assert!(children.remove(keys[1]).is_some());
        assert!(children.remove(keys[1]).is_none());
        assert_eq!(ids(&children), ["a", "c", "d"]);
        let new = children.push(child("e"));
        assert_eq!(ids(&children), ["a", "c", "d", "e"]);
        assert!(
            children.get(keys[1]).is_none(),
            "the key is of another child"
        );
        assert_eq!(children.after(keys[0]), Some(keys[2]));
        assert_eq!(children.before(new), Some(keys[3]));
        for key in [keys[0], new, keys[3], keys[2]] {
            children.remove(key);
        }
        assert_eq!((children.len(), children.first()), (0, None));
        assert_eq!(children.last(), None);
    }

    #[test]
    fn a_child_is_found_by_its_present_pid_alone() {
        let mut children = Children::new();
        let key = children.push(child("a"));
        assert!(!children.has_significant());
        children.set(key, State::Running(1));
        children.set(key, State::Restarting(7, Some(1)));
        assert_eq!(children.by_pid(&1), Some(key));
        children.set(key, State::Running(2));
        assert_eq!(
            (children.by_pid(&1), children.by_pid(&2)),
            (None, Some(key))
        );
        assert!(children.has_significant());
        children.set(key, State::Ended);
        assert!(!children.has_significant());
        assert_eq!(
            (children.by_pid(&2), children.by_id(&"a".into())),
            (None, Some(key))
        );
    }
}

//! A table by name, in parts that are locked one by one.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use weftwork_core::sync::{Mutex, sized};

/// How many parts: so many threads rarely meet in one.
const PARTS: usize = sized(32, 2);

type Part<V> = HashMap<Arc<str>, V>;

pub(crate) struct Parts<V> {
    parts: Box<[Mutex<Part<V>>]>,
    hasher: RandomState,
}

impl<V> Parts<V> {
    pub(crate) fn new() -> Self {
        Parts {
            parts: (0..PARTS).map(|_| Mutex::new(HashMap::new())).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Reaches the part where `name` is kept, under its lock. `f` runs no code of the user's and drops
    /// nothing that may.
    pub(crate) fn with<R>(&self, name: &str, f: impl FnOnce(&mut Part<V>) -> R) -> R {
        let at = self.hasher.hash_one(name) as usize % self.parts.len();
        f(&mut self.parts[at].lock())
    }

    /// Reaches each part in turn. Together that is no snapshot.
    pub(crate) fn for_each_part(&self, mut f: impl FnMut(&Part<V>)) {
        for part in &self.parts {
            f(&part.lock());
        }
    }
}

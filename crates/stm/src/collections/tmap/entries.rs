//! The entries of one bucket: a slice that is never changed, but made anew.
//!
//! It is in parts, by the bits of the hash that follow those that chose the bucket, and only the part of a key
//! is searched. So a bucket can be large, which makes a map small, and a look-up still touches one or two
//! lines of it.

use std::borrow::Borrow;
use std::ops::Range;

/// How many bits of the hash choose a part.
pub(super) const PART_BITS: u32 = 4;
const PARTS: usize = 1 << PART_BITS;

/// How many entries are in parts at most. More, which only a poor hasher brings about, are behind all parts, and
/// are searched for every key.
const ORDERED: usize = u8::MAX as usize;

pub(super) struct Entries<K, V> {
    all: Box<[(K, V)]>,
    /// Where each part ends.
    ends: [u8; PARTS],
}

impl<K, V> Entries<K, V> {
    pub(super) fn new() -> Self {
        Entries {
            all: Box::default(),
            ends: [0; PARTS],
        }
    }

    /// Of entries with their parts.
    pub(super) fn of(mut entries: Vec<(usize, (K, V))>) -> Self {
        entries.sort_by_key(|(part, _)| *part);
        let mut ends = [0; PARTS];
        for (part, _) in entries.iter().take(ORDERED) {
            count(&mut ends, *part, |end| end + 1);
        }
        let all = entries.into_iter().map(|(_, entry)| entry).collect();
        Entries { all, ends }
    }

    pub(super) fn all(&self) -> &[(K, V)] {
        &self.all
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn part(&self, part: usize) -> Range<usize> {
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        start.into()..self.ends[part].into()
    }

    /// Where what is in no part begins.
    fn ordered(&self) -> usize {
        self.ends[PARTS - 1].into()
    }

    #[inline]
    pub(super) fn position<Q>(&self, part: usize, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let search = |mut range: Range<usize>| range.find(|at| self.all[*at].0.borrow() == key);
        let found = search(self.part(part));
        if found.is_some() || self.ordered() == self.all.len() {
            return found;
        }
        search(self.ordered()..self.all.len())
    }
}

impl<K: Clone, V: Clone> Entries<K, V> {
    /// These and one more, which is in none of them.
    pub(super) fn added(&self, part: usize, entry: (K, V)) -> Self {
        let mut ends = self.ends;
        let at = if self.ordered() < ORDERED {
            count(&mut ends, part, |end| end + 1);
            self.part(part).end
        } else {
            self.all.len()
        };
        let mut all = Vec::with_capacity(self.all.len() + 1);
        all.extend_from_slice(&self.all[..at]);
        all.push(entry);
        all.extend_from_slice(&self.all[at..]);
        Entries {
            all: all.into(),
            ends,
        }
    }

    /// These with another value at `at`.
    pub(super) fn replaced(&self, at: usize, value: V) -> Self {
        let mut all = Vec::with_capacity(self.all.len());
        all.extend_from_slice(&self.all[..at]);
        all.push((self.all[at].0.clone(), value));
        all.extend_from_slice(&self.all[at + 1..]);
        Entries {
            all: all.into(),
            ends: self.ends,
        }
    }

    /// These without the one at `at`, whose part is `part`.
    pub(super) fn removed(&self, part: usize, at: usize) -> Self {
        let mut ends = self.ends;
        if at < self.ordered() {
            count(&mut ends, part, |end| end - 1);
        }
        let mut all = Vec::with_capacity(self.all.len() - 1);
        all.extend_from_slice(&self.all[..at]);
        all.extend_from_slice(&self.all[at + 1..]);
        Entries {
            all: all.into(),
            ends,
        }
    }
}

/// Counts an entry of `part` in or out.
fn count(ends: &mut [u8; PARTS], part: usize, change: impl Fn(u8) -> u8) {
    ends[part..].iter_mut().for_each(|end| *end = change(*end));
}

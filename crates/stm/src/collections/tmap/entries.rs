//! The entries of one bucket: a slice that is never changed, but made anew.

use std::borrow::Borrow;

#[inline]
pub(super) fn position<K, V, Q>(entries: &[(K, V)], key: &Q) -> Option<usize>
where
    K: Borrow<Q>,
    Q: Eq + ?Sized,
{
    entries.iter().position(|(other, _)| other.borrow() == key)
}

/// `entries` and one more.
pub(super) fn added<K: Clone, V: Clone>(entries: &[(K, V)], entry: (K, V)) -> Box<[(K, V)]> {
    let mut all = Vec::with_capacity(entries.len() + 1);
    all.extend_from_slice(entries);
    all.push(entry);
    all.into()
}

/// `entries` with another value at `at`.
pub(super) fn replaced<K: Clone, V: Clone>(
    entries: &[(K, V)],
    at: usize,
    value: V,
) -> Box<[(K, V)]> {
    let mut all = Vec::with_capacity(entries.len());
    all.extend_from_slice(&entries[..at]);
    all.push((entries[at].0.clone(), value));
    all.extend_from_slice(&entries[at + 1..]);
    all.into()
}

/// `entries` without the one at `at`.
pub(super) fn removed<K: Clone, V: Clone>(entries: &[(K, V)], at: usize) -> Box<[(K, V)]> {
    let mut all = Vec::with_capacity(entries.len() - 1);
    all.extend_from_slice(&entries[..at]);
    all.extend_from_slice(&entries[at + 1..]);
    all.into()
}

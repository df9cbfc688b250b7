//! A walk over all buckets that have entries.

use super::table::{Bucket, Table};
use crate::{Stm, TVar, Tx};
use std::ops::Range;

/// Visits each entry once, whatever buckets are split meanwhile: it goes down from the first level, and what is
/// behind a bucket never changes.
pub(super) struct Walk<'t, 'r, K: 'static, V: 'static, S> {
    table: &'t Table<K, V, S>,
    /// The buckets of the first level that are still to be visited.
    first: Range<usize>,
    /// Buckets behind one that was visited, by level and index.
    behind: Vec<(usize, usize)>,
    entries: std::slice::Iter<'r, (K, V)>,
}

impl<'t, 'r, K, V, S> Walk<'t, 'r, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(table: &'t Table<K, V, S>) -> Self {
        Walk {
            table,
            first: 0..table.level(0).buckets.len(),
            behind: Vec::new(),
            entries: [].iter(),
        }
    }

    /// The next entry; buckets are read by `read`.
    pub(super) fn next_by<E>(
        &mut self,
        read: impl Fn(&TVar<Bucket<K, V>>) -> Result<&'r Bucket<K, V>, E>,
    ) -> Result<Option<(&'r K, &'r V)>, E> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Ok(Some((key, value)));
            }
            let behind = self.behind.pop();
            let Some((level, index)) = behind.or_else(|| Some((0, self.first.next()?))) else {
                return Ok(None);
            };
            match read(&self.table.level(level).buckets[index])? {
                Bucket::Entries(entries) => self.entries = entries.all().iter(),
                Bucket::Moved => {
                    let next = level + 1;
                    self.behind.push((next, 2 * index + 1));
                    self.behind.push((next, 2 * index));
                }
                Bucket::Fresh => unreachable!("behind a bucket that was not moved"),
            }
        }
    }
}

/// The entries of a map in a transaction.
pub(super) struct Iter<'t, 'tx, K: 'static, V: 'static, S> {
    tx: &'tx Tx,
    /// `None` after the transaction was stopped.
    walk: Option<Walk<'t, 'tx, K, V, S>>,
}

impl<'t, 'tx, K, V, S> Iter<'t, 'tx, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(table: &'t Table<K, V, S>, tx: &'tx Tx) -> Self {
        Iter {
            tx,
            walk: Some(Walk::new(table)),
        }
    }
}

impl<'tx, K, V, S> Iterator for Iter<'_, 'tx, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Item = Stm<(&'tx K, &'tx V)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.walk.as_mut()?.next_by(|var| var.get(self.tx));
        if next.is_err() {
            self.walk = None;
        }
        next.transpose()
    }
}

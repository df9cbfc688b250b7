//! What changes a map.

use super::TMap;
use super::entries::Entries;
use super::table::{Bucket, Table};
use crate::{Stm, Tx};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

impl<K, V, S> TMap<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Gives `key` the value `value`, and returns the one it had.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::new();
    /// assert_eq!(atomically(|tx| map.insert(tx, "one", 0)), None);
    /// assert_eq!(atomically(|tx| map.insert(tx, "one", 1)), Some(0));
    /// ```
    pub fn insert(&self, tx: &Tx, key: K, value: V) -> Stm<Option<V>> {
        let spread = self.table.spread(&key);
        let place = self.table.find_for_insert(tx, spread)?;
        let (entries, part) = (place.entries, place.part);
        let (entries, old) = match entries.position(part, &key) {
            Some(at) => (
                entries.replaced(at, value),
                Some(entries.all()[at].1.clone()),
            ),
            None => (entries.added(part, (key, value)), None),
        };
        place.var.set(tx, Bucket::Entries(entries))?;
        if old.is_none() {
            self.table.counts.add(tx)?;
        }
        self.table.help_to_grow(tx);
        Ok(old)
    }

    /// Removes `key`, and returns the value it had. Writes nothing if it had none.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::from([("one", 1)]);
    /// assert_eq!(atomically(|tx| map.remove(tx, "one")), Some(1));
    /// assert_eq!(atomically(|tx| map.remove(tx, "one")), None);
    /// ```
    pub fn remove<Q>(&self, tx: &Tx, key: &Q) -> Stm<Option<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let spread = self.table.spread(key);
        let place = self.table.find(tx, spread)?;
        let Some(at) = place.entries.position(place.part, key) else {
            return Ok(None);
        };
        let entries = place.entries.removed(place.part, at);
        place.var.set(tx, Bucket::Entries(entries))?;
        self.table.counts.subtract(tx)?;
        self.table.help_to_grow(tx);
        Ok(Some(place.entries.all()[at].1.clone()))
    }

    /// Gives `key` the value that `f` makes of the one it has; `None` is no value, before as after.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let words = TMap::new();
    /// for word in ["so", "and", "so"] {
    ///     atomically(|tx| words.alter(tx, word, |n| Some(n.unwrap_or(&0) + 1)));
    /// }
    /// assert_eq!(atomically(|tx| Ok(words.get(tx, "so")?.copied())), Some(2));
    /// ```
    pub fn alter(&self, tx: &Tx, key: K, f: impl FnOnce(Option<&V>) -> Option<V>) -> Stm<()> {
        match f(self.get(tx, &key)?) {
            Some(value) => self.insert(tx, key, value).map(drop),
            None => self.remove(tx, &key).map(drop),
        }
    }

    /// Removes all keys. Conflicts with whoever uses any.
    ///
    /// ```
    /// use weftwork_stm::{TMap, atomically};
    ///
    /// let map = TMap::from([("one", 1)]);
    /// atomically(|tx| map.clear(tx));
    /// assert!(atomically(|tx| map.is_empty(tx)));
    /// ```
    pub fn clear(&self, tx: &Tx) -> Stm<()> {
        let keys: Vec<&K> = self
            .iter(tx)
            .map(|entry| Ok(entry?.0))
            .collect::<Stm<_>>()?;
        for key in keys {
            let place = self.table.find(tx, self.table.spread(key))?;
            if !place.entries.is_empty() {
                place.var.set(tx, Bucket::Entries(Entries::new()))?;
            }
        }
        self.table.counts.clear(tx)
    }
}

impl<K, V, S> FromIterator<(K, V)> for TMap<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Default,
{
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        TMap {
            table: Arc::new(Table::filled(entries.into_iter().collect(), S::default())),
        }
    }
}

impl<K, V, const N: usize> From<[(K, V); N]> for TMap<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

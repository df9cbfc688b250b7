//! What hangs on a node: added and removed in constant time, and numbered in between.

#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Slab {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, value: T) -> usize {
        if let Some(key) = self.free.pop() {
            self.slots[key] = Some(value);
            return key;
        }
        self.slots.push(Some(value));
        self.slots.len() - 1
    }

    pub(super) fn remove(&mut self, key: usize) -> Option<T> {
        let value = self.slots.get_mut(key)?.take()?;
        self.free.push(key);
        if self.free.len() == self.slots.len() {
            // Nothing is left: give the memory of a rush back.
            *self = Slab::new();
        }
        Some(value)
    }

    /// Takes all out, in no order that means anything.
    pub(super) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::replace(self, Slab::new())
            .slots
            .into_iter()
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_slot_is_the_next_one_used() {
        let mut slab = Slab::new();
        let keys = [1, 2, 3].map(|n| slab.insert(n));
        assert_eq!(slab.remove(keys[1]), Some(2));
        assert_eq!(slab.remove(keys[1]), None);
        assert_eq!(slab.insert(4), keys[1]);
        assert_eq!(slab.take().count(), 3);
        assert_eq!(slab.remove(keys[0]), None);
    }
}

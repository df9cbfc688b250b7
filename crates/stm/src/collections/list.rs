//! A persistent list: what a queue keeps in one variable.
//!
//! To push shares all that was there, so a version of the variable costs one cell. Lists of any length are
//! dropped in a loop: the cells would drop each other recursively.

use std::sync::Arc;

pub(super) struct List<T> {
    first: Option<Arc<Cell<T>>>,
    len: usize,
}

struct Cell<T> {
    value: T,
    rest: Option<Arc<Cell<T>>>,
}

impl<T> List<T> {
    pub(super) const fn new() -> Self {
        List {
            first: None,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// This list with `value` before all others.
    pub(super) fn pushed(&self, value: T) -> Self {
        List {
            first: Some(Arc::new(Cell {
                value,
                rest: self.first.clone(),
            })),
            len: self.len + 1,
        }
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.first.as_deref().map(|cell| &cell.value)
    }

    /// This list without its first value.
    pub(super) fn rest(&self) -> Self {
        match self.first.as_deref() {
            Some(cell) => List {
                first: cell.rest.clone(),
                len: self.len - 1,
            },
            None => List::new(),
        }
    }

    pub(super) fn iter(&self) -> Iter<'_, T> {
        Iter {
            next: self.first.as_deref(),
        }
    }

    /// The values from the last to the first.
    pub(super) fn backwards(&self) -> std::iter::Rev<std::vec::IntoIter<&T>> {
        let mut values = Vec::with_capacity(self.len);
        values.extend(self.iter());
        values.into_iter().rev()
    }
}

impl<T: Clone> List<T> {
    /// This list from the last value to the first, without the last one.
    pub(super) fn reversed_without_last(&self) -> Self {
        let values = self.iter().take(self.len.saturating_sub(1));
        values.fold(List::new(), |list, value| list.pushed(value.clone()))
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        List {
            first: self.first.clone(),
            len: self.len,
        }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        let mut next = self.first.take();
        // Who finds a cell that others share as well leaves it and what is behind it to them.
        while let Some(cell) = next.and_then(Arc::into_inner) {
            let Cell { value, rest } = cell;
            next = rest;
            drop(value);
        }
    }
}

/// The values of a list, first to last.
pub(super) struct Iter<'l, T> {
    next: Option<&'l Cell<T>>,
}

impl<'l, T> Iterator for Iter<'l, T> {
    type Item = &'l T;

    fn next(&mut self) -> Option<&'l T> {
        let cell = self.next?;
        self.next = cell.rest.as_deref();
        Some(&cell.value)
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn a_long_list_is_dropped_without_recursion() {
        let list = (0..1_000_000).fold(List::new(), |list, n| list.pushed(n));
        let shared = list.rest();
        drop(list);
        assert_eq!((shared.len(), shared.first()), (999_999, Some(&999_998)));
    }

    #[test]
    fn a_value_that_panics_when_it_is_dropped_takes_none_twice() {
        struct Panics(u8);
        impl Drop for Panics {
            fn drop(&mut self) {
                assert_ne!(self.0, 1, "the value panics");
            }
        }
        let list = (0..3).fold(List::new(), |list, n| list.pushed(Panics(n)));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(list))).is_err());
    }

    #[test]
    fn a_reversal_leaves_the_last_out() {
        let list = (0..4).fold(List::new(), |list, n| list.pushed(n)); // 3 2 1 0
        let reversed: Vec<_> = list.reversed_without_last().iter().copied().collect();
        assert_eq!(reversed, [1, 2, 3]);
        assert_eq!(list.backwards().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(List::<u8>::new().reversed_without_last().len(), 0);
    }
}

//! A persistent heap: a leftist tree, after C. A. Crane (1972).
//!
//! Invariants
//! 1. No value is less than one below it.
//! 2. The rank of a tree is one more than that of its right subtree, and that of no right subtree is higher
//!    than that of the left one beside it. So a path to the right has at most log2(n + 1) nodes, and what a
//!    push or a pop copies lies on such paths.
//!
//! Paths to the left may be as long as the heap: trees are dropped and walked in loops.

use std::sync::Arc;

pub(super) struct Heap<T> {
    root: Tree<T>,
    len: usize,
}

type Tree<T> = Option<Arc<Node<T>>>;

struct Node<T> {
    rank: u32,
    /// Apart, because nodes that share a value are made anew.
    value: Arc<T>,
    left: Tree<T>,
    right: Tree<T>,
}

fn rank<T>(tree: &Tree<T>) -> u32 {
    tree.as_ref().map_or(0, |node| node.rank)
}

fn node<T>(value: Arc<T>, one: Tree<T>, other: Tree<T>) -> Tree<T> {
    let (left, right) = if rank(&one) < rank(&other) {
        (other, one)
    } else {
        (one, other)
    };
    let rank = rank(&right) + 1;
    Some(Arc::new(Node {
        rank,
        value,
        left,
        right,
    }))
}

/// All values of both. Goes down paths to the right alone.
fn merge<T: Ord>(one: &Tree<T>, other: &Tree<T>) -> Tree<T> {
    let (Some(a), Some(b)) = (one, other) else {
        return one.as_ref().or(other.as_ref()).cloned();
    };
    // Of equal ones the first stays above.
    if a.value >= b.value {
        node(Arc::clone(&a.value), a.left.clone(), merge(&a.right, other))
    } else {
        node(Arc::clone(&b.value), b.left.clone(), merge(one, &b.right))
    }
}

impl<T> Heap<T> {
    pub(super) const fn new() -> Self {
        Heap { root: None, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn greatest(&self) -> Option<&T> {
        self.root.as_ref().map(|root| &*root.value)
    }

    /// All values, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let mut left_to_do: Vec<_> = self.root.iter().collect();
        std::iter::from_fn(move || {
            let node = left_to_do.pop()?;
            left_to_do.extend(node.left.iter().chain(&node.right));
            Some(&*node.value)
        })
    }
}

impl<T: Ord> Heap<T> {
    pub(super) fn pushed(&self, value: T) -> Self {
        Heap {
            root: merge(&self.root, &node(Arc::new(value), None, None)),
            len: self.len + 1,
        }
    }

    /// This heap without its greatest value.
    pub(super) fn rest(&self) -> Self {
        match &self.root {
            Some(root) => Heap {
                root: merge(&root.left, &root.right),
                len: self.len - 1,
            },
            None => Heap::new(),
        }
    }
}

impl<T> Drop for Heap<T> {
    fn drop(&mut self) {
        let mut left_to_do: Vec<_> = self.root.take().into_iter().collect();
        while let Some(node) = left_to_do.pop() {
            // Who finds a node that others share as well leaves it and what is below to them.
            if let Some(Node {
                value, left, right, ..
            }) = Arc::into_inner(node)
            {
                left_to_do.extend(left.into_iter().chain(right));
                drop(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Heap, Tree};

    /// Checks the invariants, and returns the length of the path to the right.
    fn check<T: Ord>(tree: &Tree<T>) -> u32 {
        let Some(node) = tree else { return 0 };
        for below in node.left.iter().chain(&node.right) {
            assert!(below.value <= node.value);
        }
        let (left, right) = (check(&node.left), check(&node.right));
        assert!(right <= left);
        assert_eq!(node.rank, right + 1);
        node.rank
    }

    #[test]
    fn every_version_keeps_the_invariants_and_its_values() {
        let mut heap = Heap::new();
        let mut versions = Vec::new();
        for n in 0..200_u32 {
            heap = heap.pushed(n.wrapping_mul(0x9e37_79b1) % 97);
            if n % 3 == 0 {
                heap = heap.rest();
            }
            check(&heap.root);
            let mut values: Vec<_> = heap.iter().copied().collect();
            values.sort_unstable();
            assert_eq!(values.len(), heap.len());
            assert_eq!(values.last(), heap.greatest());
            values.reverse();
            versions.push((heap.pushed(97), values));
        }
        for (mut version, values) in versions {
            assert_eq!(version.greatest(), Some(&97));
            for value in values {
                version = version.rest();
                assert_eq!(version.greatest(), Some(&value));
            }
            assert_eq!(version.rest().len(), 0);
        }
    }

    #[test]
    fn a_deep_heap_is_dropped_without_recursion() {
        let heap = (0..300_000).fold(Heap::new(), |heap, n| heap.pushed(n));
        let shared = heap.rest();
        drop(heap);
        assert_eq!(shared.greatest(), Some(&299_998));
    }
}

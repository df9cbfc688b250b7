//! Letters in a row, first in, first out: the consumer's side of a mailbox.
//!
//! A ring through the letters' own links: the chain knows its last letter, whose `next` is the first one.

use super::letter::{Class, Letter, Node};
use std::ptr::{self, NonNull};

/// A row of letters, which it owns.
pub(crate) struct Chain {
    last: *mut Node,
}

// SAFETY: the pointer takes the automatic one away; the letters are `Send`, and owned.
unsafe impl Send for Chain {}

impl Chain {
    pub(crate) const fn new() -> Self {
        Chain {
            last: ptr::null_mut(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_null()
    }

    #[inline]
    pub(crate) fn push_back(&mut self, letter: Letter) {
        self.link(letter.into_raw(), true);
    }

    #[inline]
    pub(crate) fn push_front(&mut self, letter: Letter) {
        self.link(letter.into_raw(), false);
    }

    #[inline]
    fn link(&mut self, node: NonNull<Node>, at_end: bool) {
        // SAFETY: the node and all letters of the ring are ours.
        unsafe {
            match NonNull::new(self.last) {
                Some(last) => {
                    Node::set_next(node, Node::next(last));
                    Node::set_next(last, node.as_ptr());
                    if at_end {
                        self.last = node.as_ptr();
                    }
                }
                None => {
                    Node::set_next(node, node.as_ptr());
                    self.last = node.as_ptr();
                }
            }
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<Letter> {
        let last = NonNull::new(self.last)?;
        // SAFETY: the letters of the ring are ours; a ring has no null in it. The first one is unlinked.
        unsafe {
            let first = NonNull::new_unchecked(Node::next(last));
            if first == last {
                self.last = ptr::null_mut();
            } else {
                Node::set_next(last, Node::next(first));
            }
            Some(Letter::from_raw(first))
        }
    }

    /// The class of the first letter.
    #[inline]
    pub(crate) fn first_class(&self) -> Option<&'static Class> {
        let last = NonNull::new(self.last)?;
        // SAFETY: the letters of the ring are ours; a ring has no null in it.
        unsafe { Some(Node::class(NonNull::new_unchecked(Node::next(last)))) }
    }

    /// Puts all of `front` before what is here.
    pub(crate) fn prepend(&mut self, mut front: Chain) {
        front.append(std::mem::take(self));
        *self = front;
    }

    /// Puts all of `back` behind what is here.
    pub(crate) fn append(&mut self, mut back: Chain) {
        let Some(their_last) = NonNull::new(back.last) else {
            return;
        };
        if let Some(last) = NonNull::new(self.last) {
            // SAFETY: the letters of both rings are ours.
            unsafe {
                let first = Node::next(last);
                Node::set_next(last, Node::next(their_last));
                Node::set_next(their_last, first);
            }
        }
        self.last = their_last.as_ptr();
        back.last = ptr::null_mut();
    }

    /// Takes the letters out for which `is_wanted`; the others stay in order.
    pub(crate) fn extract(&mut self, mut is_wanted: impl FnMut(&Letter) -> bool) -> Chain {
        let mut wanted = Chain::new();
        let mut rest = Chain::new();
        while let Some(letter) = self.pop_front() {
            if is_wanted(&letter) {
                wanted.push_back(letter);
            } else {
                rest.push_back(letter);
            }
        }
        *self = rest;
        wanted
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        while let Some(letter) = self.pop_front() {
            drop(letter);
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Chain::new()
    }
}

//! The wakers of the waiters that were served under one lock, to be called when it is released.

use std::slice::IterMut;
use std::task::Waker;
use std::vec::Drain;

/// As many as are collected without an allocation.
const INLINE: usize = crate::sync::sized(8, 1);

pub(super) struct Batch {
    inline: [Option<Waker>; INLINE],
    len: usize,
    /// For those who serve many and do not breathe.
    spill: Vec<Waker>,
}

impl Batch {
    pub(super) const fn new() -> Self {
        Batch {
            inline: [const { None }; INLINE],
            len: 0,
            spill: Vec::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= INLINE
    }

    pub(super) fn push(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.is_full() {
            self.spill.push(waker);
        } else {
            self.inline[self.len] = Some(waker);
            self.len += 1;
        }
    }

    /// Calls them all, in the order they came; a panic of one does not spare the others.
    #[inline]
    pub(super) fn wake(&mut self) {
        if self.len > 0 {
            self.wake_some();
        }
    }

    fn wake_some(&mut self) {
        /// Its drop goes on where a waker panicked.
        struct Rest<'a>(IterMut<'a, Option<Waker>>, Drain<'a, Waker>);

        impl Rest<'_> {
            fn wake(&mut self) {
                for waker in self.0.by_ref().filter_map(Option::take) {
                    waker.wake();
                }
                for waker in self.1.by_ref() {
                    waker.wake();
                }
            }
        }

        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                self.wake();
            }
        }

        let len = std::mem::take(&mut self.len);
        Rest(self.inline[..len].iter_mut(), self.spill.drain(..)).wake();
    }
}

//! The wakers that an operation has taken from waiters, to be called after the channel is unlocked.

use std::task::Waker;

/// Wakers to call once no lock is held.
///
/// Most operations wake one other at most; closing a channel may wake many.
#[derive(Debug)]
#[must_use = "waiters whose wakers are here sleep until `wake` is called"]
pub(crate) struct Wakes {
    first: Option<Waker>,
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
struct Rest(Vec<Waker>);

impl Wakes {
    #[inline]
    pub(crate) fn new() -> Self {
        Wakes {
            first: None,
            rest: None,
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.add_more(waker);
        }
    }

    #[cold]
    fn add_more(&mut self, waker: Waker) {
        let rest = self.rest.get_or_insert_with(|| Box::new(Rest(Vec::new())));
        rest.0.push(waker);
    }

    /// Calls all of them. A waker that panics does not keep the others from being called: they are
    /// called while the panic unwinds.
    #[inline]
    pub(crate) fn wake(self) {
        // Calls the others when it goes, whether or not the first one has panicked.
        let rest = self.rest;
        if let Some(waker) = self.first {
            waker.wake();
        }
        drop(rest);
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        while let Some(waker) = self.0.pop() {
            waker.wake();
        }
    }
}

//! The wakers that an operation has taken from waiters, to be called after the channel is unlocked.

use std::task::Waker;

/// Wakers to call once no lock is held.
///
/// Most operations wake at most two others, which need no allocation; closing a channel may wake many.
#[derive(Debug, Default)]
#[must_use = "waiters whose wakers are here sleep until `wake` is called"]
pub(crate) struct Wakes {
    first: Option<Waker>,
    second: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakes {
    #[inline]
    pub(crate) fn new() -> Self {
        Wakes {
            first: None,
            second: None,
            rest: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.first.is_none() {
            self.first = Some(waker);
        } else if self.second.is_none() {
            self.second = Some(waker);
        } else {
            self.rest.push(waker);
        }
    }

    /// Calls all of them. A waker that panics does not keep the others from being called: they are
    /// called while the panic unwinds.
    #[inline]
    pub(crate) fn wake(mut self) {
        if let Some(waker) = self.first.take() {
            waker.wake();
        }
        if self.second.is_some() {
            self.wake_more();
        }
    }

    #[cold]
    fn wake_more(&mut self) {
        if let Some(waker) = self.second.take() {
            waker.wake();
        }
        while let Some(waker) = self.rest.pop() {
            waker.wake();
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        // Only after a panic, of a waker or of what came before `wake`, is there anything left.
        if self.first.is_some() || self.second.is_some() || !self.rest.is_empty() {
            if let Some(waker) = self.first.take() {
                waker.wake();
            }
            self.wake_more();
        }
    }
}

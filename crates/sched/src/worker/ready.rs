//! The ready ring: started carriers that are to be resumed, first come, first served. Intrusive,
//! without atomics, for one thread.

use crate::carrier::Carrier;
use std::cell::Cell;
use std::ptr::NonNull;

/// See the module's page.
pub(super) struct Ready {
    first: Cell<Option<NonNull<Carrier>>>,
    last: Cell<Option<NonNull<Carrier>>>,
}

impl Ready {
    pub(super) const fn new() -> Self {
        Ready {
            first: Cell::new(None),
            last: Cell::new(None),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    #[inline]
    pub(super) fn push(&self, carrier: NonNull<Carrier>) {
        // SAFETY: the worker keeps its carriers alive until they have left their stacks.
        unsafe { carrier.as_ref() }.next.set(None);
        match self.last.replace(Some(carrier)) {
            // SAFETY: carriers in the ring are alive.
            Some(last) => unsafe { last.as_ref() }.next.set(Some(carrier)),
            None => self.first.set(Some(carrier)),
        }
    }

    /// Puts a carrier before all others.
    #[inline]
    pub(super) fn push_front(&self, carrier: NonNull<Carrier>) {
        let first = self.first.replace(Some(carrier));
        // SAFETY: as in `push`.
        unsafe { carrier.as_ref() }.next.set(first);
        if first.is_none() {
            self.last.set(Some(carrier));
        }
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<NonNull<Carrier>> {
        let carrier = self.first.get()?;
        // SAFETY: carriers in the ring are alive.
        let next = unsafe { carrier.as_ref() }.next.take();
        self.first.set(next);
        if next.is_none() {
            self.last.set(None);
        }
        Some(carrier)
    }
}

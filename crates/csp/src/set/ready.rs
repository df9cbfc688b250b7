//! The entries of a set that may be ready, in the order in which they became so.
//!
//! Invariants
//! 1. A slot is on the list once at most, and if and only if its flag is up.
//! 2. If an entry has changed since it was looked at, then its slot is on the list: whoever looks takes
//!    it off first.
//! 3. If `waiter` is there, then the list is empty.
//!
//! No waker is called, cloned or dropped under the lock.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Wake, Waker};
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::Mutex;

#[derive(Default)]
struct State {
    list: VecDeque<usize>,
    listed: Vec<bool>,
    waiter: Option<Waker>,
}

/// The list of a set, which its entries' wakers share.
#[derive(Default)]
pub(super) struct Ready(Mutex<State>);

/// What a look at the list found.
pub(super) enum Next {
    /// This slot may be ready. It is off the list.
    Slot(usize),
    /// None is, and the waker is left.
    Waits,
}

impl Ready {
    /// Makes room for the flags of this many slots.
    pub(super) fn grow(&self, slots: usize) {
        let mut state = self.0.lock();
        if state.listed.len() < slots {
            state.listed.resize(slots, false);
        }
    }

    /// Puts a slot on the list, and wakes whoever waits for that.
    pub(super) fn add(&self, slot: usize) {
        let waiter = {
            let mut state = self.0.lock();
            if std::mem::replace(&mut state.listed[slot], true) {
                return;
            }
            state.list.push_back(slot);
            state.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Takes the slot off the list that has been there longest.
    pub(super) fn pop(&self) -> Option<usize> {
        let mut state = self.0.lock();
        let slot = state.list.pop_front()?;
        state.listed[slot] = false;
        Some(slot)
    }

    /// As [`pop`](Self::pop), and leaves the waker if there is none.
    pub(super) fn pop_or_wait(&self, waker: &Waker) -> Next {
        if let Some(slot) = self.pop() {
            return Next::Slot(slot);
        }
        // Cloning is the executor's code: not under the lock.
        let mut waker = Some(waker.clone());
        let next = {
            let mut state = self.0.lock();
            let slot = state.list.pop_front();
            // Canary: a waker that is left without another look.
            #[cfg(weftwork_canary)]
            let slot = slot.filter(|_| !canary::is(Step::Of("set: pop_or_wait")));
            match slot {
                Some(slot) => {
                    state.listed[slot] = false;
                    Next::Slot(slot)
                }
                None => {
                    std::mem::swap(&mut state.waiter, &mut waker);
                    Next::Waits
                }
            }
        };
        drop(waker);
        next
    }

    /// Takes back the waker that was left.
    pub(super) fn stop_waiting(&self) {
        let waiter = self.0.lock().waiter.take();
        drop(waiter);
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("len", &self.0.lock().list.len())
            .finish_non_exhaustive()
    }
}

/// The waker of the entry in a slot. A late call, when another entry has the slot, makes that one be
/// looked at for nothing.
pub(super) struct SlotWaker {
    pub(super) slot: usize,
    pub(super) ready: Arc<Ready>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.add(self.slot);
    }
}

//! One who sleeps: whether it was notified, and the waker to call then.

use std::mem;
use std::task::{Context, Poll, Waker};
use weftwork_core::sync::Mutex;
use weftwork_core::wait::is_first_look;

#[derive(Debug)]
pub(crate) struct Waiter(Mutex<State>);

#[derive(Debug)]
struct State {
    is_notified: bool,
    waker: Option<Waker>,
}

impl Waiter {
    pub(crate) fn new() -> Waiter {
        Waiter(Mutex::new(State {
            is_notified: false,
            waker: None,
        }))
    }

    /// Wakes the sleeper, once. True if it was this call that did.
    pub(crate) fn notify(&self) -> bool {
        let waker = {
            let mut state = self.0.lock();
            if mem::replace(&mut state.is_notified, true) {
                return false;
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    pub(crate) fn is_notified(&self) -> bool {
        self.0.lock().is_notified
    }

    /// Ready once it was notified; leaves the waker otherwise.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker();
        let mut new = None;
        loop {
            let mut state = self.0.lock();
            if state.is_notified {
                return Poll::Ready(());
            }
            let is_left = state
                .waker
                .as_ref()
                .is_some_and(|left| left.will_wake(waker));
            if is_left || is_first_look(waker) {
                return Poll::Pending;
            }
            if let Some(new) = new.take() {
                let old = state.waker.replace(new);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            // Cloned without the lock: it is code of others.
            drop(state);
            new = Some(waker.clone());
        }
    }
}
